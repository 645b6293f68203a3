use super::*;
use crate::{RouteSpec, Variant};

fn row() -> Row {
    let share = |ppm| Share::from_ppm(ppm).unwrap();
    let variants = vec![
        Variant { name: "stable".into(), weight: share(900_000) },
        Variant { name: "v8".into(), weight: share(100_000) },
    ];
    let route = Route::new(RouteSpec { salt: "churn-8".into(), variants, holdout: None, layer: None }).unwrap();
    let variant =
        |name: &str, version: u32| RowVariant { name: name.into(), model: format!("models:/churn/{version}") };
    Row {
        rollout: "churn-v8".into(),
        unit: UnitFrom::Header("x-user-id".into()),
        variants: vec![variant("stable", 7), variant("v8", 8)],
        route,
        policy: None,
        shadow: Some(Shadow { variant: 1, share: share(500_000), max_in_flight: 4 }),
        limits: Some(HardLimits {
            error_rate: Some(share(50_000)),
            p99: Some(Duration::from_millis(250)),
            window: Duration::from_secs(30),
            min_requests: 50,
        }),
    }
}

#[test]
fn a_row_comes_back_from_its_json() {
    let text = serde_json::to_string(&row()).unwrap();
    assert_eq!(serde_json::from_str::<Row>(&text).unwrap(), row());
    let plain = Row { shadow: None, limits: None, ..row() };
    let text = serde_json::to_string(&plain).unwrap();
    assert!(!text.contains("shadow") && !text.contains("limits"), "{text}");
    assert_eq!(serde_json::from_str::<Row>(&text).unwrap(), plain);
}

/// What is stored today must be read by every later release.
#[test]
fn the_written_form_stands() {
    let text = r#"{"rollout":"churn-v8","unit":"header:x-user-id","variants":[
        {"name":"stable","model":"models:/churn/7"},{"name":"v8","model":"models:/churn/8"}],
        "route":{"generation":1,"salt":"churn-8","variants":["stable","v8"],
            "split":{"owners":2,"spans":[[100000,1],[1000000,0]]}},
        "shadow":{"variant":1,"share":500000,"max_in_flight":4},
        "limits":{"error_rate":50000,"p99_us":250000,"window_us":30000000,"min_requests":50}}"#;
    assert_eq!(serde_json::from_str::<Row>(text).unwrap(), row());
    let unknown = text.replacen("\"rollout\"", "\"speed\":1,\"rollout\"", 1);
    assert!(serde_json::from_str::<Row>(&unknown).unwrap_err().to_string().contains("speed"));
}

#[test]
fn variants_and_route_name_the_same() {
    let mut other = row();
    other.variants.swap(0, 1);
    let error = other.check().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the row's variants are v8, stable and its route's are stable, v8; they must be the same, in one order"
    );
    let text = serde_json::to_string(&other).unwrap();
    assert!(serde_json::from_str::<Row>(&text).unwrap_err().to_string().contains("in one order"), "read unchecked");
    let mut fewer = row();
    fewer.variants.pop();
    assert!(matches!(fewer.check(), Err(RowError::Variants { .. })));
}

#[test]
fn only_what_cannot_move_is_a_variants_model() {
    let with = |model: &str| {
        let mut row = row();
        row.variants[1].model = model.into();
        row.check()
    };
    for good in ["models:/churn/8", "models:/m-0a1b2c", "runs:/0a1b/model", "file:/models/churn.onnx"] {
        assert_eq!(with(good), Ok(()), "{good}");
    }
    for bad in ["models:/churn@champion", "models:/churn/Production", "models:/churn/latest", "models:/churn", ""] {
        assert!(matches!(with(bad), Err(RowError::NotPinned { .. })), "{bad}");
    }
}

#[test]
fn stable_is_nobodys_shadow() {
    for variant in [0, 2] {
        let shadow = Some(Shadow { variant, share: Share::ALL, max_in_flight: 1 });
        let error = Row { shadow, ..row() }.check().unwrap_err();
        assert_eq!(error, RowError::Shadow { variant, last: 1 });
    }
}

#[test]
fn limits_that_cannot_trip_are_refused() {
    let with = |change: fn(&mut HardLimits)| {
        let mut row = row();
        row.limits.iter_mut().for_each(change);
        row.check()
    };
    assert_eq!(with(|l| l.p99 = None), Ok(()));
    assert_eq!(with(|l| (l.p99, l.error_rate) = (None, None)), Err(RowError::Limits("error_rate or p99")));
    assert_eq!(with(|l| l.window = Duration::ZERO), Err(RowError::Limits("a window")));
    assert_eq!(with(|l| l.min_requests = 0), Err(RowError::Limits("min_requests of at least 1")));
}

#[test]
fn a_late_row_never_undoes_a_newer_one() {
    let first = row();
    let weights = [Share::ALL, Share::NONE];
    let second = Row { route: first.route.reweighted(&weights).unwrap(), ..first.clone() };
    assert_eq!(second.replaces(&first), Ok(true));
    assert_eq!(first.replaces(&second), Err(StaleRow { offered: 1, have: 2 }));
    assert_eq!(second.replaces(&second), Ok(false), "read again");
    let other = Row { shadow: None, ..second.clone() };
    assert_eq!(other.replaces(&second), Err(StaleRow { offered: 2, have: 2 }), "two writers gave out one number");
    let next = Row { rollout: "churn-v9".into(), ..first };
    assert_eq!(next.replaces(&second), Ok(true), "another rollout counts from one again");
}
