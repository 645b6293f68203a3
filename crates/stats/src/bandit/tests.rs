use super::*;

const PLAIN: TopTwo = TopTwo { first: 0.5, floor: 0.0, even: 0.0 };

fn beta(successes: f64, failures: f64) -> Posterior {
    Posterior::Beta { successes, failures }
}

#[test]
fn equal_beliefs_share_evenly() {
    for arms in [vec![beta(3.0, 7.0); 4], vec![Posterior::Normal { mean: 1.0, standard_error: 0.1 }; 3]] {
        for weight in PLAIN.weights(&arms).unwrap() {
            assert!((weight - 1.0 / arms.len() as f64).abs() < 1e-12, "{weight}");
        }
    }
}

#[test]
fn two_normal_arms_have_a_closed_form() {
    // P(X > Y) = Φ((1.3 − 1)/√(0.2² + 0.3²))
    let arms =
        [Posterior::Normal { mean: 1.0, standard_error: 0.2 }, Posterior::Normal { mean: 1.3, standard_error: 0.3 }];
    let best = best_probabilities(&arms).unwrap();
    assert!((best[1] - normal_cdf(0.3 / 0.13_f64.sqrt())).abs() < 1e-11, "{best:?}");
}

/// With the second of two played half of the time, two arms are always shared evenly; three are not.
#[test]
fn the_top_two_are_played_as_russo_says() {
    let arms = [beta(20.0, 80.0), beta(30.0, 70.0), beta(5.0, 95.0)];
    let best = best_probabilities(&arms).unwrap();
    let weights = PLAIN.weights(&arms).unwrap();
    for i in 0..3 {
        let rivals: f64 = (0..3).filter(|j| *j != i).map(|j| best[j] / (1.0 - best[j])).sum();
        assert!((weights[i] - best[i] * (0.5 + 0.5 * rivals)).abs() < 1e-9);
    }
    assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    let pair = PLAIN.weights(&arms[..2]).unwrap();
    assert!((pair[0] - 0.5).abs() < 1e-12, "{pair:?}");
}

#[test]
fn no_arm_falls_below_the_floor_even_when_all_is_certain() {
    let arms = [beta(99_000.0, 1_000.0), beta(10.0, 100_000.0), beta(10.0, 100_000.0)];
    let weights = TopTwo { first: 0.9, floor: 0.01, even: 0.1 }.weights(&arms).unwrap();
    assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    assert!(weights.iter().all(|w| *w >= 0.01 + 0.97 * 0.1 / 3.0 - 1e-12), "{weights:?}");
    assert!((weights[0] - (0.01 + 0.97 * (0.1 / 3.0 + 0.9 * 0.9))).abs() < 1e-9, "{weights:?}");
}

#[test]
fn what_is_no_bandit_is_refused() {
    assert_eq!(PLAIN.weights(&[beta(1.0, 1.0)]), Err(BanditError::Arms(1)));
    assert_eq!(PLAIN.weights(&[beta(1.0, 1.0), beta(-1.0, 1.0)]), Err(BanditError::Posterior(1)));
    let floor = TopTwo { floor: 0.6, ..PLAIN };
    assert!(matches!(floor.weights(&[beta(1.0, 1.0); 2]), Err(BanditError::Settings { .. })));
}
