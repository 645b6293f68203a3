use super::*;
use crate::offpolicy::{Logged, OffPolicy};

/// SplitMix64: a stream of numbers in [0, 1) that is the same everywhere.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn word(n: u64) -> Feature {
    Feature { key: n.wrapping_mul(0x517c_c1b7_2722_0a95), value: 1.0 }
}

#[test]
fn a_line_is_learnt_whatever_the_scales_of_its_features() {
    let mut model = RewardModel::new(10).unwrap();
    let mut draws = Draws(1);
    for _ in 0..20_000 {
        let (a, b) = (draws.next() as f32, 1_000.0 * draws.next() as f32);
        let features = [word(1), Feature { value: a, ..word(2) }, Feature { value: b, ..word(3) }];
        let reward = 0.3 - 0.5 * f64::from(a) + 0.0004 * f64::from(b) + 0.1 * (draws.next() - 0.5);
        model.learn(&features, reward, 1.0).unwrap();
    }
    for (a, b) in [(0.1, 100.0), (0.9, 100.0), (0.5, 900.0)] {
        let features = [word(1), Feature { value: a, ..word(2) }, Feature { value: b, ..word(3) }];
        let truth = 0.3 - 0.5 * f64::from(a) + 0.0004 * f64::from(b);
        assert!((model.estimate(&features) - truth).abs() < 0.02, "{} {truth}", model.estimate(&features));
    }
}

#[test]
fn the_probabilities_are_those_of_the_paper() {
    let policy = InverseGap { gamma: 10.0, growth: 0.5, floor: 0.0 };
    let p = policy.probabilities(&[0.2, 0.5, 0.4], 4.0).unwrap();
    // γ = 10·√4
    assert!((p[0] - 1.0 / (3.0 + 20.0 * 0.3)).abs() < 1e-12, "{p:?}");
    assert!((p[2] - 1.0 / (3.0 + 20.0 * 0.1)).abs() < 1e-12, "{p:?}");
    assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    let equal = policy.probabilities(&[0.7; 4], 1e9).unwrap();
    assert!(equal.iter().all(|p| (p - 0.25).abs() < 1e-9), "{equal:?}");
    let floored = InverseGap { floor: 0.05, ..policy }.probabilities(&[0.0, 1.0], 1e12).unwrap();
    assert!((floored[0] - 0.05).abs() < 1e-4, "{floored:?}");
    let single = InverseGap { floor: 0.7, ..policy }.probabilities(&[0.0, 1.0], 1.0).unwrap();
    assert!(single.iter().all(|p| (p - 0.5).abs() < 1e-12), "a floor over 1/K is 1/K: {single:?}");
}

#[test]
fn a_draw_means_the_action_it_falls_into() {
    let p = [0.25, 0.0, 0.5, 0.25];
    let picked: Vec<usize> = [0.0, 0.249, 0.25, 0.749, 0.75, 0.999_999_999].iter().map(|u| pick(&p, *u)).collect();
    assert_eq!(picked, [0, 0, 2, 2, 3, 3]);
    assert_eq!(pick(&[0.1, 0.2, 0.0], 0.9), 1, "nothing that has no chance");
}

/// Three kinds of users, three actions, another best action for each: learnt within a few thousand answers, and the
/// log then tells what the best policy and an even one are worth.
#[test]
fn who_wants_what_is_learnt_and_other_policies_are_valued_from_the_log() {
    let worth = [[0.1, 0.3, 0.8], [0.7, 0.2, 0.1], [0.2, 0.6, 0.2]];
    let best = [2, 0, 1];
    let (mut model, policy, mut draws) = (RewardModel::new(12).unwrap(), InverseGap::default(), Draws(7));
    let (mut late, mut oracle, mut even) = (0.0, OffPolicy::default(), OffPolicy::default());
    let rounds = 6_000;
    for round in 0..rounds {
        let user = (draws.next() * 3.0) as usize;
        let features = |action: usize| {
            let (user, action) = (word(10 + user as u64), word(20 + action as u64));
            [action, user, user.with(action)]
        };
        let estimates: Vec<f64> = (0..3).map(|a| model.estimate(&features(a))).collect();
        let p = policy.probabilities(&estimates, model.learnt()).unwrap();
        let action = pick(&p, draws.next());
        let reward = f64::from(u8::from(draws.next() < worth[user][action]));
        model.learn(&features(action), reward, 1.0).unwrap();
        if round >= rounds - 1_000 {
            late += reward / 1_000.0;
        }
        let target = f64::from(u8::from(action == best[user]));
        let logged = Logged { reward, propensity: p[action], target, predicted: 0.0, baseline: 0.0 };
        oracle.push(&logged).unwrap();
        even.push(&Logged { target: 1.0 / 3.0, ..logged }).unwrap();
    }
    // The best policy brings 0.7, an even one 0.356.
    assert!(late > 0.62, "{late}");
    let (oracle, even) = (oracle.snips().unwrap(), even.snips().unwrap());
    assert!((oracle.value - 0.7).abs() < 4.0 * oracle.standard_error, "{oracle:?}");
    assert!((even.value - 0.3556).abs() < 4.0 * even.standard_error, "{even:?}");
}

#[test]
fn what_is_no_model_and_no_policy_is_refused_and_leaves_no_trace() {
    assert_eq!(RewardModel::new(40), Err(ContextualError::Bits(40)));
    let mut model = RewardModel::new(8).unwrap();
    model.learn(&[word(1)], 1.0, 1.0).unwrap();
    let before = model.clone();
    for (reward, importance, value) in [(f64::NAN, 1.0, 1.0), (1.0, -1.0, 1.0), (1.0, 1.0, f32::INFINITY)] {
        assert!(model.learn(&[Feature { value, ..word(1) }], reward, importance).is_err());
        assert_eq!(model, before);
    }
    assert_eq!(InverseGap::default().probabilities(&[], 1.0), Err(ContextualError::NoAction));
    assert!(InverseGap { gamma: 0.0, ..InverseGap::default() }.probabilities(&[0.0], 1.0).is_err());
    assert!(InverseGap { floor: 2.0, ..InverseGap::default() }.probabilities(&[0.0], 1.0).is_err());
}
