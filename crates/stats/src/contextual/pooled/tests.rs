use super::*;

fn of(rewards: &[f64], propensity: f64) -> Weighed {
    let mut all = Weighed::default();
    for r in rewards {
        all.push(*r, propensity).unwrap();
    }
    all
}

fn numbers(belief: &Belief) -> (f64, f64) {
    (belief.mean, belief.standard_error)
}

#[test]
fn a_mean_is_weighed_by_how_unlikely_each_answer_was() {
    let mut all = of(&[1.0, 1.0], 0.5);
    all.push(0.0, 0.25).unwrap();
    assert_eq!((all.count(), all.mean()), (3, Some(0.5)));
    assert!(all.push(f64::NAN, 0.5).is_err() && all.push(1.0, 0.0).is_err() && all.push(1.0, 1.5).is_err());
    assert_eq!(all.count(), 3, "what is refused leaves no trace");
}

/// The same by hand, in the primal form: weights of the indicators, with their prior variances.
#[test]
fn it_is_the_bayesian_linear_model_on_indicators() {
    let grid = Grid { levels: &[2], centre: 0.0, spread: 1.0 };
    let seen = [of(&[1.0, 0.0, 1.0], 0.5), Weighed::default()];
    let beliefs = grid.beliefs(&seen).unwrap();
    // y₀ has the prior variance 1 + ¼ + 1⁄16 and shares 1 of it with y₁.
    let (prior, noise) = (1.3125, seen[0].variance(1.0));
    let (mean, sd) = numbers(&beliefs[0]);
    assert!((mean - prior / (prior + noise) * (2.0 / 3.0)).abs() < 1e-12);
    assert!((sd * sd - (prior - prior * prior / (prior + noise))).abs() < 1e-12);
    let (mean, sd) = numbers(&beliefs[1]);
    assert!((mean - 1.0 / (prior + noise) * (2.0 / 3.0)).abs() < 1e-12);
    assert!((sd * sd - (prior - 1.0 / (prior + noise))).abs() < 1e-12);
}

#[test]
fn an_unseen_context_is_like_its_neighbours_and_a_seen_one_speaks_for_itself() {
    // Two features of two levels; the reward is one of the first alone.
    let (low, high) = ([0.0, 0.1, -0.1, 0.05].repeat(20), [1.0, 1.1, 0.9, 1.05].repeat(20));
    let grid = Grid { levels: &[2, 2], centre: 0.5, spread: 0.2 };
    let seen = [of(&low, 0.5), of(&low, 0.5), of(&high, 0.5), Weighed::default()];
    let beliefs = grid.beliefs(&seen).unwrap();
    let (like, unsure) = numbers(&beliefs[3]);
    assert!(like > 0.75 && unsure > 3.0 * numbers(&beliefs[2]).1, "{like} {unsure}");
    // An exclusive or, which no line can say: each context is learned all the same.
    let seen = [of(&low, 0.5), of(&high, 0.5), of(&high, 0.5), of(&low, 0.5)];
    let beliefs = grid.beliefs(&seen).unwrap();
    for (belief, want) in beliefs.iter().zip([0.0125, 1.0125, 1.0125, 0.0125]) {
        assert!((numbers(belief).0 - want).abs() < 0.1, "{belief:?}");
    }
}

#[test]
fn nothing_seen_is_the_prior_and_nonsense_is_refused() {
    let grid = Grid { levels: &[3, 2], centre: 0.3, spread: 0.21 };
    let nothing = vec![Weighed::default(); grid.contexts()];
    for belief in grid.beliefs(&nothing).unwrap() {
        assert!((numbers(&belief).0 - 0.3).abs() < 1e-12);
        assert!((numbers(&belief).1 - (0.21_f64 * 1.5625).sqrt()).abs() < 1e-12);
    }
    assert_eq!(usual(nothing.iter()), None);
    assert!(Grid { spread: 0.0, ..grid }.beliefs(&nothing).is_err());
    assert!(Grid { centre: f64::NAN, ..grid }.beliefs(&nothing).is_err());
}

#[test]
fn what_is_usual_does_not_take_the_gap_between_contexts_for_noise() {
    let (mean, variance) = usual([of(&[0.0, 0.2], 0.5), of(&[10.0, 10.2], 0.1)].iter()).unwrap();
    assert!((mean - 5.1).abs() < 1e-9 && (variance - 0.02).abs() < 1e-9, "{mean} {variance}");
    assert_eq!(usual([of(&[1.0], 0.5), of(&[2.0], 0.5)].iter()), None, "one of each shows no spread");
}
