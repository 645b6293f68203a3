use super::*;
use crate::hash::unit_id;
use crate::route::{Route, RouteSpec, Variant, Why};
use crate::row::{Row, RowVariant};
use crate::share::Share;
use crate::unit::UnitFrom;

fn contexts() -> Contexts {
    let age = Feature { input: "age".into(), levels: Levels::Cuts(vec![30.0, 50.5]) };
    let country = Feature { input: "country".into(), levels: Levels::Values(vec!["de".into(), "fr".into()]) };
    Contexts::new(vec![age, country]).unwrap()
}

fn context(age: Option<&str>, country: Option<&str>) -> String {
    let contexts = contexts();
    let place = contexts.of(|name| if name == "age" { age } else { country });
    assert!(usize::from(place) < contexts.count());
    contexts.title(place)
}

fn share(ppm: u32) -> Share {
    Share::from_ppm(ppm).unwrap()
}

fn row() -> Row {
    let variant = |name: &str, ppm| Variant { name: name.into(), weight: share(ppm) };
    let variants = vec![variant("stable", 500_000), variant("a", 300_000), variant("b", 200_000)];
    let route = Route::new(RouteSpec { salt: "s".into(), variants, holdout: None, layer: None }).unwrap();
    let splits = (0..contexts().count() as u32)
        .map(|c| Split::new(&[share(700_000 - 50_000 * c), share(200_000), share(100_000 + 50_000 * c)]).unwrap());
    let model = |name: &str| RowVariant { name: name.into(), model: "models:/m/1".into() };
    Row {
        rollout: "r".into(),
        unit: UnitFrom::Request,
        variants: vec![model("stable"), model("a"), model("b")],
        route,
        policy: Some(Policy { contexts: contexts(), splits: splits.collect() }),
        shadow: None,
        limits: None,
    }
}

#[test]
fn a_value_has_one_level_and_what_is_none_has_the_first() {
    assert_eq!(context(Some("29.9"), Some("de")), "age < 30, country = de");
    assert_eq!(context(Some("30"), Some("fr")), "30 ≤ age < 50.5, country = fr");
    assert_eq!(context(Some("1e3"), Some("it")), "age ≥ 50.5, other country");
    assert_eq!(context(Some("-inf"), None), "age < 30, other country");
    for none in [None, Some("NaN"), Some(""), Some("old")] {
        assert_eq!(context(none, Some("de")), "other age, country = de");
    }
    let all: Vec<String> = (0..contexts().count() as u16).map(|c| contexts().title(c)).collect();
    assert!((1..all.len()).all(|i| !all[..i].contains(&all[i])), "{all:?}");
}

#[test]
fn features_that_make_no_contexts_are_refused() {
    let cuts = |cuts: &[f64]| Feature { input: "age".into(), levels: Levels::Cuts(cuts.to_vec()) };
    let values = |values: &[&str]| Feature {
        input: "x".into(),
        levels: Levels::Values(values.iter().map(|v| (*v).to_owned()).collect()),
    };
    for bad in [
        vec![],
        vec![cuts(&[])],
        vec![cuts(&[2.0, 1.0])],
        vec![cuts(&[1.0, f64::NAN])],
        vec![values(&[])],
        vec![values(&["a", "a"])],
        vec![cuts(&[1.0]), cuts(&[2.0])],
        vec![cuts(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]), values(&["a", "b", "c", "d", "e", "f", "g"])],
    ] {
        assert!(Contexts::new(bad.clone()).is_err(), "{bad:?}");
    }
}

#[test]
fn each_context_has_its_own_weights_and_says_the_probability() {
    let row = row();
    row.check().unwrap();
    let policy = row.policy.as_ref().unwrap();
    for context in 0..contexts().count() as u16 {
        let mut counts = [0_u32; 3];
        for n in 0..40_000 {
            let choice = row.choose(format!("u{n}").as_bytes(), Some(context));
            assert_eq!(choice.why, Why::Assigned);
            let weight = policy.split(context).unwrap().weight(choice.variant);
            assert_eq!(choice.propensity, weight.fraction());
            counts[usize::from(choice.variant)] += 1;
        }
        // Pearson's statistic on two degrees of freedom; 20 is passed once in 22,000.
        let chi: f64 = (0..3_u16)
            .map(|v| {
                let expected = 40_000.0 * policy.split(context).unwrap().weight(v).fraction();
                (f64::from(counts[usize::from(v)]) - expected).powi(2) / expected
            })
            .sum();
        assert!(chi < 20.0, "{context}: {counts:?}");
    }
    // Without a context, or with one that is not there, the weights of the route hold.
    for unit in [b"a", b"b", b"c"] {
        assert_eq!(row.choose(unit, None), row.route.choose(unit));
        assert_eq!(row.choose(unit, Some(99)), row.route.choose(unit));
    }
    assert_ne!(unit_id(b"a"), unit_id(b"b"));
}

#[test]
fn a_unit_stays_with_its_variant_while_its_context_and_the_weights_do() {
    let row = row();
    let (before, after) = (row.clone(), {
        let mut next = row.clone();
        let policy = next.policy.as_mut().unwrap();
        policy.splits[0] = policy.splits[0].reweighted(&[share(600_000), share(200_000), share(200_000)]).unwrap();
        next
    });
    for n in 0..2_000 {
        let unit = format!("u{n}");
        let (was, is) = (before.choose(unit.as_bytes(), Some(0)), after.choose(unit.as_bytes(), Some(0)));
        assert!(was.variant == is.variant || (was.variant, is.variant) == (0, 2), "only to what gained");
        assert_eq!(before.choose(unit.as_bytes(), Some(1)), after.choose(unit.as_bytes(), Some(1)));
    }
}

#[test]
fn it_is_stored_and_read_and_a_table_of_another_size_is_refused() {
    let row = row();
    let text = serde_json::to_string(&row).unwrap();
    assert_eq!(serde_json::from_str::<Row>(&text).unwrap(), row);
    let mut short = row.clone();
    short.policy.as_mut().unwrap().splits.pop();
    let error = short.check().unwrap_err().to_string();
    assert!(error.contains("11 splits for 12 contexts"), "{error}");
    assert!(serde_json::from_str::<Row>(&serde_json::to_string(&short).unwrap()).is_err());
    let plain = Row { policy: None, ..row };
    assert!(!serde_json::to_string(&plain).unwrap().contains("policy"), "what older servers wrote is what is written");
}
