use super::*;
use proptest::prelude::*;

fn share(percent: f64) -> Share {
    Share::from_fraction(percent / 100.0).unwrap()
}

fn spec(candidates: &[(&str, f64)]) -> RouteSpec {
    let rest: Vec<Variant> =
        candidates.iter().map(|(name, w)| Variant { name: (*name).into(), weight: share(*w) }).collect();
    let weight = Share::rest(&rest.iter().map(|v| v.weight).collect::<Vec<_>>()).unwrap();
    let stable = Variant { name: "stable".into(), weight };
    let variants = std::iter::once(stable).chain(rest).collect();
    RouteSpec { salt: "fraud-2026q4".into(), variants, holdout: None, layer: None }
}

fn units(n: u32) -> impl Iterator<Item = Vec<u8>> {
    (0..n).map(|i| format!("user-{i}").into_bytes())
}

proptest! {
    #[test]
    fn who_is_in_the_candidate_stays_while_its_weight_rises(
        mut steps in prop::collection::vec(0.001_f64..49.9, 2..8),
        other in 0.001_f64..49.9,
        unit in ".{0,300}",
    ) {
        steps.sort_by(f64::total_cmp);
        let mut route = Route::new(spec(&[("v8", steps[0]), ("v9", other)])).unwrap();
        for (step, weight) in steps.iter().enumerate() {
            let weights: Vec<Share> = spec(&[("v8", *weight), ("v9", other)]).variants.iter().map(|v| v.weight).collect();
            let next = route.reweighted(&weights).unwrap();
            let (was, is) = (route.choose(unit.as_bytes()).variant, next.choose(unit.as_bytes()).variant);
            prop_assert!(was == is || was == 0, "step {step}: from {was} to {is}");
            prop_assert_eq!(next.generation(), route.generation() + 1);
            route = next;
        }
    }

    #[test]
    fn a_stored_row_makes_the_same_choices(weight in 0.001_f64..100.0, held in 0.001_f64..49.9, unit in ".{0,40}") {
        let mut spec = spec(&[("v8", weight)]);
        spec.holdout = Some(Holdout { salt: "2026".into(), share: share(held) });
        let layer = Layer { salt: "ranking".into(), split: Split::new(&[share(0.0), share(50.0), share(50.0)]).unwrap() };
        spec.layer = Some(LayerPlace { layer, place: 2 });
        let route = Route::new(spec).unwrap();
        let read: Route = serde_json::from_str(&serde_json::to_string(&route).unwrap()).unwrap();
        prop_assert_eq!(&read, &route);
        prop_assert_eq!(read.choose(unit.as_bytes()), route.choose(unit.as_bytes()));
    }
}

#[test]
fn the_shares_come_out_and_the_propensity_is_the_weight() {
    let route = Route::new(spec(&[("v8", 5.0), ("v9", 20.0)])).unwrap();
    let mut counts = [0_u32; 3];
    for unit in units(100_000) {
        let choice = route.choose(&unit);
        counts[usize::from(choice.variant)] += 1;
        assert!(choice.counts());
        assert_eq!(choice.propensity, [0.75, 0.05, 0.2][usize::from(choice.variant)]);
    }
    for (count, want) in counts.iter().zip([0.75, 0.05, 0.2]) {
        let sd = (want * (1.0 - want) / 1e5_f64).sqrt();
        assert!((f64::from(*count) / 1e5 - want).abs() < 4.0 * sd, "{counts:?}");
    }
}

#[test]
fn a_rollback_takes_everybody_back_and_a_promotion_takes_everybody() {
    let route = Route::new(spec(&[("v8", 50.0)])).unwrap();
    let back = route.reweighted(&[Share::ALL, Share::NONE]).unwrap();
    let on = route.reweighted(&[Share::NONE, Share::ALL]).unwrap();
    for unit in units(1_000) {
        assert_eq!(back.choose(&unit).variant, 0);
        assert_eq!(on.choose(&unit).variant, 1);
    }
}

#[test]
fn a_layer_gives_a_unit_to_one_rollout_at_most() {
    let layer = Layer { salt: "ranking".into(), split: Split::new(&[share(40.0), share(30.0), share(30.0)]).unwrap() };
    let at = |place, salt: &str| {
        let mut spec = spec(&[("v8", 50.0)]);
        spec.salt = salt.into();
        spec.layer = Some(LayerPlace { layer: layer.clone(), place });
        Route::new(spec).unwrap()
    };
    let (one, two) = (at(1, "a"), at(2, "b"));
    let mut touched = [0; 3];
    for unit in units(20_000) {
        let (a, b) = (one.choose(&unit), two.choose(&unit));
        assert!(!(a.counts() && b.counts()), "a unit in two rollouts");
        touched[usize::from(a.counts()) + 2 * usize::from(b.counts())] += 1;
        for choice in [a, b] {
            assert!(choice.counts() || (choice.variant, choice.why) == (0, Why::OtherPlace));
        }
    }
    assert!(touched.iter().zip([8_000, 6_000, 6_000]).all(|(n, want)| i32::abs(n - want) < 300), "{touched:?}");
}

#[test]
fn a_smaller_holdout_lies_within_the_larger_and_its_units_see_stable_only() {
    let with = |percent, salt: &str| {
        let mut spec = spec(&[("v8", 100.0)]);
        spec.salt = salt.into();
        spec.holdout = Some(Holdout { salt: "2026".into(), share: share(percent) });
        Route::new(spec).unwrap()
    };
    let (small, large) = (with(5.0, "a"), with(10.0, "b"));
    let mut held = 0;
    for unit in units(20_000) {
        let (s, l) = (small.choose(&unit), large.choose(&unit));
        assert_eq!(s.variant, u16::from(s.why == Why::Assigned));
        if s.why == Why::HeldOut {
            held += 1;
            assert_eq!(l.why, Why::HeldOut);
        }
    }
    assert!((880..1_120).contains(&held), "{held}");
}

#[test]
fn a_forced_variant_is_served_and_not_counted() {
    let route = Route::new(spec(&[("v8", 0.0)])).unwrap();
    let choice = route.force("v8").unwrap();
    assert_eq!((choice.variant, choice.counts(), choice.propensity), (1, false, 1.0));
    assert_eq!(route.force("v7").unwrap_err().to_string(), "there is no variant \"v7\"; there are: stable, v8");
    assert!(!route.fallback().counts());
}

#[test]
fn what_is_no_route_is_refused() {
    let twice = Route::new(spec(&[("v8", 1.0), ("v8", 1.0)]));
    assert_eq!(twice.unwrap_err(), RouteError::Twice("v8".into()));
    let mut place = spec(&[("v8", 1.0)]);
    let layer = Layer { salt: "l".into(), split: Split::new(&[share(50.0), share(50.0)]).unwrap() };
    place.layer = Some(LayerPlace { layer, place: 2 });
    assert_eq!(Route::new(place).unwrap_err().to_string(), "place 2 is not in its layer, which has places 1 to 1");
    let text = serde_json::to_string(&Route::new(spec(&[("v8", 1.0)])).unwrap()).unwrap();
    let torn = text.replace(r#""variants":["stable","v8"]"#, r#""variants":["stable"]"#);
    assert!(serde_json::from_str::<Route>(&torn).unwrap_err().to_string().contains("names 1 variants"), "{torn}");
}

#[test]
fn the_rows_of_the_next_rollout_count_on() {
    let route = Route::new(spec(&[("v8", 5.0)])).unwrap().after(41);
    assert_eq!(route.generation(), 42);
    let read: Route = serde_json::from_str(&serde_json::to_string(&route).unwrap()).unwrap();
    assert_eq!(read, route);
}
