use crate::convert::deployments::{quantiles, since, sum};
use crate::convert::downsample::downsample;
use crate::dto::{Number, Time};
use mainspring_core::Timestamp;
use mainspring_registry::points::Point;
use mainspring_serving::Histogram;
use proptest::prelude::*;
use serde_json::json;

#[test]
fn times_and_odd_numbers_have_a_json_form() {
    let at = Time(Timestamp(1_700_000_000_000_123));
    assert_eq!(serde_json::to_value(at).unwrap(), "2023-11-14T22:13:20.000123Z");
    let odd = [1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(Number);
    assert_eq!(serde_json::to_value(odd).unwrap(), json!([1.5, "NaN", "Infinity", "-Infinity"]));
}

#[test]
fn histograms_add_up_and_subtract() {
    let histogram = Histogram::default();
    histogram.record(1_000_000);
    let before = histogram.view();
    assert!(quantiles(&since(&before, &before)).is_none(), "nothing happened");
    histogram.record(8_000_000);
    let second = quantiles(&since(&histogram.view(), &before)).unwrap();
    assert!((8.0..9.1).contains(&second.p50) && (8.0..8.01).contains(&second.mean), "{second:?}");
    let both = sum([&before, &histogram.view()].into_iter());
    assert_eq!((both.count, both.sum_ns), (3, 10_000_000));
    let restarted = since(&before, &histogram.view());
    assert_eq!(restarted.count, 1, "a histogram that was started anew counts whole");
}

proptest! {
    #[test]
    fn fewer_points_keep_order_ends_and_extremes(
        values in prop::collection::vec(prop_oneof![9 => -1e3..1e3_f64, 1 => Just(f64::NAN)], 1..400),
        max in 4_usize..100,
    ) {
        let points: Vec<Point> =
            values.iter().enumerate().map(|(i, v)| Point { step: i as i64, timestamp: 0, value: *v }).collect();
        let few = downsample(points.clone(), max);
        prop_assert!(few.len() <= max.max(2));
        prop_assert!(few.windows(2).all(|w| w[0].step < w[1].step));
        prop_assert_eq!(few[0].step, 0);
        prop_assert_eq!(few[few.len() - 1].step, points.len() as i64 - 1);
        let highest = |p: &[Point]| p.iter().map(|p| p.value).filter(|v| !v.is_nan()).fold(f64::MIN, f64::max);
        prop_assert!(highest(&few) == highest(&points));
    }
}
