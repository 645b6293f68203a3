use super::*;

/// A world with three actions whose true values are known, logged under a policy that prefers the worst.
fn log(n: usize, model: impl Fn(usize) -> f64, propensity_error: f64) -> OffPolicy {
    let (logged, target, truth) = ([0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.2, 0.5, 0.8]);
    let mut state = 9_u64;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut estimates = OffPolicy::default();
    for _ in 0..n {
        let draw = uniform();
        let action = if draw < logged[0] { 0 } else { 1 + usize::from(draw >= logged[0] + logged[1]) };
        let reward = f64::from(uniform() < truth[action]);
        let baseline = (0..3).map(|a| target[a] * model(a)).sum();
        let answer = Logged {
            reward,
            propensity: (logged[action] * propensity_error).min(1.0),
            target: target[action],
            predicted: model(action),
            baseline,
        };
        estimates.push(&answer).unwrap();
    }
    estimates
}

const TRUE_VALUE: f64 = 0.1 * 0.2 + 0.2 * 0.5 + 0.7 * 0.8;

#[test]
fn all_estimates_find_the_value_of_the_other_policy() {
    let log = log(50_000, |_| 0.0, 1.0);
    for effect in [log.ips(), log.snips(), log.doubly_robust()].map(Result::unwrap) {
        assert!((effect.value - TRUE_VALUE).abs() < 4.0 * effect.standard_error, "{effect:?}");
        assert!(effect.standard_error < 0.02);
    }
    assert!(log.effective() > 5_000.0 && log.effective() < 20_000.0, "{}", log.effective());
    assert!((log.largest_weight() - 7.0).abs() < 1e-12);
}

#[test]
fn doubly_robust_survives_wrong_propensities_with_a_right_model_and_is_less_noisy() {
    let truth = |a: usize| [0.2, 0.5, 0.8][a];
    let right = log(50_000, truth, 1.0);
    assert!(right.doubly_robust().unwrap().standard_error < 0.7 * right.ips().unwrap().standard_error);
    let wrong = log(50_000, truth, 1.5);
    let (ips, dr) = (wrong.ips().unwrap(), wrong.doubly_robust().unwrap());
    assert!((dr.value - TRUE_VALUE).abs() < 4.0 * dr.standard_error);
    assert!((ips.value - TRUE_VALUE).abs() > 10.0 * ips.standard_error);
}

#[test]
fn replicas_merge_to_the_whole() {
    let mut halves = log(1_000, |_| 0.3, 1.0);
    halves.merge(&log(500, |_| 0.3, 1.0));
    assert_eq!(halves.ips().unwrap().units, 1_500.0);
}

#[test]
fn an_impossible_propensity_is_refused() {
    let answer = Logged { reward: 1.0, propensity: 0.0, target: 0.5, predicted: 0.0, baseline: 0.0 };
    assert!(OffPolicy::default().push(&answer).is_err());
    assert_eq!(OffPolicy::default().ips(), Err(NoEffect::TooFew));
}
