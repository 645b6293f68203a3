use super::*;
use proptest::prelude::*;

fn naive(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let var = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0);
    (mean, var)
}

proptest! {
    #[test]
    fn any_split_merges_to_the_whole(values in prop::collection::vec(-1e6_f64..1e6, 2..300), cut in 0.0_f64..1.0) {
        let at = (values.len() as f64 * cut) as usize;
        let mut left = Moments::default();
        values[..at].iter().for_each(|v| left.push(*v));
        let mut right = Moments::default();
        right.extend(&values[at..]);
        left.merge(&right);
        let (mean, var) = naive(&values);
        prop_assert_eq!(left.count(), values.len() as u64);
        prop_assert!((left.mean().unwrap() - mean).abs() <= 1e-9 * (1.0 + mean.abs()));
        prop_assert!((left.variance().unwrap() - var).abs() <= 1e-9 * (1.0 + var));
    }
}

#[test]
fn a_large_offset_does_not_eat_the_variance() {
    let mut m = Moments::default();
    for i in 0..1000 {
        m.push(1e9 + f64::from(i % 2));
    }
    assert!((m.variance().unwrap() - 0.25).abs() < 1e-3);
}

#[test]
fn nothing_seen_has_no_mean_and_one_has_no_variance() {
    let mut m = Moments::default();
    assert_eq!((m.mean(), m.variance()), (None, None));
    m.push(3.0);
    assert_eq!((m.mean(), m.variance()), (Some(3.0), None));
}
