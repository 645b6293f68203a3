use super::*;
use proptest::prelude::*;

fn unit(value: f64, denominator: f64, covariate: f64) -> UnitTotals {
    UnitTotals { value, denominator, covariate }
}

fn near(a: f64, b: f64, within: f64) -> bool {
    (a - b).abs() <= within * (1.0 + b.abs())
}

fn moments(units: &[UnitTotals]) -> UnitMoments {
    let mut m = UnitMoments::default();
    for u in units {
        m.add(u);
    }
    m
}

fn stored<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    postcard::from_bytes(&postcard::to_stdvec(value).unwrap()).unwrap()
}

const PLAIN: Contrast = Contrast { measure: Measure::Mean, scale: Scale::Absolute, cuped: false };

fn any_unit() -> impl Strategy<Value = UnitTotals> {
    (-1e3_f64..1e3, 0.0_f64..50.0, -10.0_f64..10.0).prop_map(|(v, d, c)| unit(v, d, c))
}

proptest! {
    #[test]
    fn units_that_return_leave_and_merge_give_what_the_final_totals_give(
        units in prop::collection::vec((any_unit(), any_unit()), 3..60),
        gone in any_unit(),
        cut in 0.0_f64..1.0,
    ) {
        let last: Vec<UnitTotals> = units.iter().map(|(_, last)| *last).collect();
        let whole = moments(&last);
        let at = (units.len() as f64 * cut) as usize;
        let mut left = moments(&[gone]);
        units[..at].iter().for_each(|(first, _)| left.add(first));
        left.remove(&gone);
        units[..at].iter().for_each(|(first, last)| left.replace(first, last));
        left.merge(&moments(&last[at..]));
        prop_assert_eq!(left.units(), whole.units());
        for (a, b) in [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)] {
            prop_assert!(near(left.covariance(a, b), whole.covariance(a, b), 1e-7), "{a}{b}");
        }
        prop_assert!(near(left.means().value, whole.means().value, 1e-9));
    }

    #[test]
    fn the_order_of_batches_and_replicas_does_not_matter_to_counts(batches in prop::collection::vec((0_u64..50, 0_u64..50), 1..8)) {
        let mut one = Multinomial::new(&[0.3, 0.7], 100.0).unwrap();
        let mut other = one.clone();
        let mut ratio = RateRatio::default();
        let mut parts = [RateRatio::default(), RateRatio::default()];
        for (i, (a, b)) in batches.iter().enumerate() {
            one.observe(&[*a, *b]).unwrap();
            ratio.observe(*a, *b, 0.7).unwrap();
            parts[i % 2].observe(*a, *b, 0.7).unwrap();
        }
        for (a, b) in batches.iter().rev() {
            other.observe(&[*a, *b]).unwrap();
        }
        prop_assert!(near(one.log_e(), other.log_e(), 1e-9));
        let [mut first, second] = parts;
        first.merge(&second);
        prop_assert_eq!(first.events(), ratio.events());
        prop_assert!(near(first.log_e(1.0, Side::Above), ratio.log_e(1.0, Side::Above), 1e-9));
    }

    #[test]
    fn a_change_to_the_same_shares_changes_nothing(before in (1_u64..200, 1_u64..200), after in (0_u64..200, 0_u64..200)) {
        let mut whole = Multinomial::new(&[0.4, 0.6], 50.0).unwrap();
        let mut cut = whole.clone();
        for test in [&mut whole, &mut cut] {
            test.observe(&[before.0, before.1]).unwrap();
        }
        cut.change(&[0.4, 0.6]).unwrap();
        for test in [&mut whole, &mut cut] {
            test.observe(&[after.0, after.1]).unwrap();
        }
        prop_assert!(near(whole.log_e(), cut.log_e(), 1e-9), "{} {}", whole.log_e(), cut.log_e());
        prop_assert_eq!(whole.counts(), cut.counts());
    }

    #[test]
    fn a_histogram_brackets_every_rank(values in prop::collection::vec(1e-7_f64..1e4, 1..200), pick in 0.0_f64..1.0) {
        let mut histogram = LogHistogram::new(1e-4, 1e2).unwrap();
        for v in &values {
            histogram.push(*v);
        }
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = 1 + ((values.len() - 1) as f64 * pick) as usize;
        let value = sorted[rank - 1];
        let (low, high) = (histogram.below_rank(rank as u64), histogram.at_rank(rank as u64));
        prop_assert!(low < value && value <= high, "{low} {value} {high}");
        prop_assert!(value <= 1e-4 || value > 99.0 || high / low < 1.0201, "{low} {value} {high}");
    }
}

/// The mean e-value under the null hypothesis, over all outcomes of three events: exactly 1.
#[test]
fn a_change_of_shares_keeps_the_multinomial_fair() {
    let steps = [[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]];
    let mut mean = 0.0;
    for outcome in 0..8_usize {
        let mut test = Multinomial::new(&steps[0], 3.0).unwrap();
        let mut probability = 1.0;
        for (i, theta) in steps.iter().enumerate() {
            if i > 0 {
                test.change(theta).unwrap();
            }
            let which = outcome >> i & 1;
            probability *= theta[which];
            test.observe(&if which == 0 { [1, 0] } else { [0, 1] }).unwrap();
        }
        mean += probability * test.log_e().exp();
    }
    assert!((mean - 1.0).abs() < 1e-12, "{mean}");
}

#[test]
fn counts_that_make_no_sense_are_refused() {
    let mut test = Multinomial::new(&[1.0, 0.0], 10.0).unwrap();
    assert_eq!(test.observe(&[5, 1]), Err(CountsError::Impossible { variant: 1, count: 1 }));
    assert_eq!(test.counts(), [0, 0], "nothing was taken");
    assert_eq!(test.observe(&[5]), Err(CountsError::Variants { given: 1, have: 2 }));
    test.observe(&[5, 0]).unwrap();
    test.change(&[0.5, 0.5]).unwrap();
    test.observe(&[3, 4]).unwrap();
    assert!(test.log_e().is_finite());
    assert_eq!(test.counts(), [8, 4]);
    assert!(matches!(Multinomial::new(&[0.5, 0.6], 1.0), Err(CountsError::Shares { .. })));
    assert!(RateRatio::default().observe(1, 1, 1.0).is_err());
    assert!(
        BettingAb::new(0.0, Side::Above)
            .unwrap()
            .push(Exposure { candidate: true, propensity: 0.5, value: 1.1 })
            .is_err()
    );
    assert!(HedgedCapital::new(0.5, 0.05).unwrap().push(f64::NAN).is_err());
    assert!(AsymptoticCs::two_sided(0.0, 100.0).is_err());
}

#[test]
fn what_is_stored_comes_back() {
    let mut ratio = RateRatio::default();
    ratio.observe(3, 9, 0.5).unwrap();
    assert_eq!(stored(&ratio), ratio);
    let mut histogram = LogHistogram::new(1e-3, 10.0).unwrap();
    histogram.push(0.5);
    assert_eq!(stored(&histogram), histogram);
    let mut test = Multinomial::new(&[0.5, 0.5], 10.0).unwrap();
    test.observe(&[3, 4]).unwrap();
    assert_eq!(stored(&test), test);
    let mut bets = BettingCs::new(0.05).unwrap();
    bets.push(0.25).unwrap();
    assert_eq!(stored(&bets), bets);
    let torn = serde_json::to_string(&test).unwrap().replace(r#""counts":[3,4]"#, r#""counts":[3]"#);
    assert!(serde_json::from_str::<Multinomial>(&torn).unwrap_err().to_string().contains("not all of 2 variants"));
    let torn = serde_json::to_string(&bets).unwrap().replace(r#""from_below":0"#, r#""from_below":501"#);
    assert!(serde_json::from_str::<BettingCs>(&torn).unwrap_err().to_string().contains("501 and 0 are out"));
}

/// The interval of the ratio holds what made the data, and its ends say the same as the e-values.
#[test]
fn a_rate_ratio_is_found_across_steps_with_other_weights() {
    let mut ratio = RateRatio::default();
    // Twice the rate under 10 %, then under 50 %: 200 + 2·… events in proportion.
    ratio.observe(900, 200, 0.1).unwrap();
    ratio.observe(500, 1_000, 0.5).unwrap();
    let interval = ratio.interval(0.05).unwrap();
    assert!(interval.contains(2.0) && interval.low > 1.6 && interval.high < 2.5, "{interval:?}");
    assert!(near(interval.estimate, 2.0, 0.05));
    assert!(ratio.log_e(1.0, Side::Above) > 50.0);
    assert!(ratio.log_e(1.0, Side::Below) < 0.0);
    assert!(ratio.log_e(2.5, Side::Above) < 0.0, "a margin of 2.5 is not exceeded");
    let empty = RateRatio::default().interval(0.05).unwrap();
    assert_eq!((empty.low, empty.estimate, empty.high), (0.0, 1.0, f64::INFINITY));
}

#[test]
fn evidence_never_forgets() {
    let mut evidence = Evidence::default();
    assert_eq!(evidence.p_value(), 1.0);
    evidence.observe(4.0);
    evidence.observe(-2.0);
    evidence.observe(f64::NAN);
    assert!(evidence.rejects(0.05));
    assert!((evidence.p_value() - (-4.0_f64).exp()).abs() < 1e-15);
    assert_eq!(evidence.log_e(), -2.0);
}

#[test]
fn interval_bound_and_e_values_agree_about_the_null() {
    let (two, one) = (AsymptoticCs::two_sided(0.05, 500.0).unwrap(), AsymptoticCs::one_sided(0.05, 500.0).unwrap());
    for units in [50.0, 500.0, 50_000.0] {
        let effect = Effect { value: 0.3, standard_error: 0.1, units };
        let interval = two.interval(&effect);
        assert!(near(two.log_e(&effect, interval.low), 20.0_f64.ln(), 1e-9));
        let bound = one.bound(&effect, Side::Above);
        let at_bound = one.log_e_one_sided(&effect, bound.low, Side::Above);
        assert!(at_bound >= 20.0_f64.ln() && at_bound < 20.0_f64.ln() + 0.2, "{at_bound}");
        assert!(bound.low > interval.low, "one side is sharper");
        let mirrored = Effect { value: -0.3, ..effect };
        assert!(near(one.bound(&mirrored, Side::Below).high, -bound.low, 1e-12));
        let msprt = Msprt::new(0.2).unwrap();
        assert!(near(msprt.log_e(&effect, msprt.interval(&effect, 0.05).high), 20.0_f64.ln(), 1e-9));
    }
}

/// Late units come mostly to the candidate and have twice the baseline: pooled, that is an effect.
#[test]
fn strata_see_through_a_drift_that_pooling_takes_for_an_effect() {
    let spread = |level: f64, n: usize| -> Vec<UnitTotals> {
        (0..n).map(|i| unit(level + (i % 10) as f64 * 0.1, 1.0, 0.0)).collect()
    };
    let mut strata = Strata::new(2);
    let mut pooled = [UnitMoments::default(); 2];
    for (step, (level, n)) in [(1.0, [900, 100]), (2.0, [100, 900])].into_iter().enumerate() {
        for (variant, n) in n.into_iter().enumerate() {
            for u in spread(level, n) {
                strata.cell(step, variant).unwrap().add(&u);
                pooled[variant].add(&u);
            }
        }
    }
    let (stratified, naive) = (strata.compare(0, 1, PLAIN).unwrap(), compare(&pooled[0], &pooled[1], PLAIN).unwrap());
    assert!(stratified.value.abs() < 1e-9, "{stratified:?}");
    assert!(naive.value > 10.0 * naive.standard_error, "{naive:?}");
    assert_eq!(stratified.units, 4.0 * 180.0);
    assert!(strata.cell(0, 2).is_none());
    assert_eq!(Strata::new(2).compare(0, 1, PLAIN), Err(NoEffect::TooFew));
    assert_eq!(strata.steps(), 2);
}

#[test]
fn what_cannot_be_compared_says_why() {
    let same = moments(&[unit(1.0, 1.0, 0.0); 5]);
    assert_eq!(compare(&same, &same, PLAIN), Err(NoEffect::NoVariance));
    let zero = moments(&[unit(1.0, 0.0, 0.0), unit(-1.0, 0.0, 0.0)]);
    assert_eq!(compare(&zero, &zero, Contrast { scale: Scale::Relative, ..PLAIN }), Err(NoEffect::NoBaseline));
    assert_eq!(compare(&zero, &zero, Contrast { measure: Measure::Ratio, ..PLAIN }), Err(NoEffect::NoBaseline));
    assert_eq!(compare(&moments(&[unit(1.0, 0.0, 0.0)]), &zero, PLAIN), Err(NoEffect::TooFew));
}

/// ldbounds and rpact: spending of O'Brien-Fleming and Pocock type, five looks; rpact's own tests (1d81a55): a linear
/// spending with its rejection probabilities under the drift of 86 % power, and Kim-DeMets.
#[test]
fn group_sequential_boundaries_are_the_published_ones() {
    let five = [0.2, 0.4, 0.6, 0.8, 1.0];
    let bounds = |alpha, sides, spending, t: &[f64]| {
        GroupSequential::new(alpha, sides, spending).unwrap().boundaries(t).unwrap()
    };
    let close = |ours: &[f64], want: &[f64], within: f64| {
        assert!(ours.iter().zip(want).all(|(a, b)| (a - b).abs() < within), "{ours:?} is not {want:?}");
    };
    close(&bounds(0.05, Sides::Two, Spending::OBrienFleming, &five), &[4.8769, 3.3569, 2.6803, 2.2898, 2.0310], 2e-4);
    close(&bounds(0.05, Sides::Two, Spending::Pocock, &five), &[2.4380, 2.4268, 2.4101, 2.3966, 2.3859], 1e-4);
    let three = [0.2, 0.4, 1.0];
    let linear = bounds(0.03, Sides::One, Spending::Power(1.0), &three);
    close(&linear, &[2.512_144_3, 2.422_874_7, 2.028_039_2], 2e-7);
    close(
        &bounds(0.03, Sides::One, Spending::Power(2.2), &[0.3, 0.7, 1.0]),
        &[2.859_401_2, 2.243_570_8, 1.973_573_7],
        2e-7,
    );
    let design = GroupSequential::new(0.03, Sides::One, Spending::Power(1.0)).unwrap();
    let drift = 9.459_410_1_f64.sqrt();
    close(&design.crossing(&three, &linear, drift).unwrap(), &[0.127_834_51, 0.212_717_13, 0.519_448_35], 1e-7);
    assert!((design.drift_for(&three, 0.86).unwrap() - drift).abs() < 1e-6);
    // Repeated looks at 5 % a side, as rpact computes them.
    let peeking = GroupSequential::new(0.05, Sides::Two, Spending::Pocock).unwrap();
    let four = [0.25, 0.5, 0.75, 1.0];
    let crossed = peeking.crossing(&four, &[1.644_853_626_951_472_2; 4], 0.0).unwrap();
    close(&crossed, &[0.1, 0.060_149_85, 0.041_922_496, 0.031_916_96], 2e-7);
    // Jennison and Turnbull (2000), tables 2.1 and 2.2: Pocock's test with five looks has 90 % power with 1.207 times
    // the units of a single look.
    let power: f64 =
        peeking.crossing(&five, &[2.413; 5], 1.207_f64.sqrt() * (1.959_964 + 1.281_552)).unwrap().iter().sum();
    assert!((power - 0.9).abs() < 5e-4, "{power}");
    assert!(peeking.boundaries(&[0.5, 0.5]).is_err());
    // Only the ratios of the information count, and it must rise.
    let fractions = [0.2, 0.5, 1.0];
    let looks = |known: [f64; 3]| {
        let pairs = fractions.into_iter().zip(known);
        pairs.map(|(fraction, information)| GroupLook { fraction, information }).collect::<Vec<_>>()
    };
    let usual = peeking.boundaries(&fractions).unwrap();
    let scaled = peeking.boundaries_at(&looks([2e-7, 5e-7, 1e-6])).unwrap();
    assert!(usual.iter().zip(&scaled).all(|(a, b)| near(*a, *b, 1e-7)), "{usual:?} and {scaled:?}");
    // Looks that are nearly the same one share their chance, so that the later boundary may be lower.
    let alike = peeking.boundaries_at(&looks([0.2, 0.95, 1.0])).unwrap();
    assert!(alike[0] == scaled[0] && alike[2] < scaled[2], "{alike:?} and {scaled:?}");
    assert!(peeking.boundaries_at(&looks([0.2, 0.2, 1.0])).is_err());
    assert!(peeking.crossing(&four, &[2.0], 0.0).is_err());
}

#[test]
fn ranks_of_a_quantile_widen_and_narrow_with_what_was_seen() {
    let cs = QuantileCs::new(0.99, 0.05, 5_000.0).unwrap();
    assert_eq!(cs.ranks(0), (0, 0));
    let (low, high) = cs.ranks(100);
    assert!(low < 99 && high == 100, "{low} {high}");
    let (low, high) = cs.ranks(100_000);
    assert!((98_700..99_000).contains(&low) && (99_000..99_200).contains(&high), "{low} {high}");
    let threshold = 20.0_f64.ln();
    assert!(cs.log_e(low, 100_000) < threshold && cs.log_e(low - 1, 100_000) >= threshold);
    assert!(cs.log_e(high, 100_000) < threshold && cs.log_e(high + 1, 100_000) >= threshold);
}

#[test]
fn skewness_is_that_of_the_units_and_lets_few_of_them_say_little() {
    let unit = |value: f64, denominator: f64| UnitTotals { value, denominator, covariate: 0.0 };
    let mut all = Skewness::default();
    assert_eq!(all.value(), 0.0);
    // scipy.stats.skew([1, 2, 2, 3, 9]) of SciPy 1.17, far from 0 as well.
    for far in [0.0, 1e6] {
        all = Skewness::default();
        for value in [1.0, 2.0, 2.0, 3.0, 9.0] {
            all.add(&unit(value + far, 1.0));
        }
        assert!(near(all.value(), 1.321_086_967_875_271, 1e-6), "{}", all.value());
    }
    all.add(&unit(1e6 + 77.0, 1.0));
    all.remove(&unit(1e6 + 77.0, 1.0));
    assert!(near(all.value(), 1.321_086_967_875_271, 1e-6), "{}", all.value());
    let mut none = Skewness::default();
    none.remove(&unit(5.0, 1.0));
    assert_eq!(none, Skewness::default());
    // Values that are all that their denominators let expect vary in nothing.
    let mut ratio = Skewness::default();
    for n in [1.0, 2.0, 50.0] {
        ratio.add(&unit(3.0 * n, n));
    }
    assert_eq!(ratio.value(), 0.0);
    // 2·1.321·0.9 ∕ √units is 0.3 at 63 units; of an even split it is 0.
    let effect = |units: f64| Effect { value: 1.0, standard_error: 1.0, units };
    assert!(
        !all.allows(&effect(60.0), [19, 1]) && all.allows(&effect(64.0), [19, 1]) && all.allows(&effect(1.0), [5, 5])
    );
}

#[test]
fn a_slow_candidate_is_seen_and_one_within_the_margin_is_not() {
    let fill = |scale: f64| {
        let mut histogram = LogHistogram::new(1e-4, 1e3).unwrap();
        // Exponential latencies at their own quantiles.
        (0..20_000).for_each(|i| histogram.push(-scale * (1.0 - (f64::from(i) + 0.5) / 20_000.0).ln()));
        histogram
    };
    let (control, slow) = (fill(0.01), fill(0.015));
    let test = SlowerTest::new(0.99, 1.1, 20_000.0).unwrap();
    assert!(test.log_e(&control, &slow) > 5.0, "{}", test.log_e(&control, &slow));
    assert!(test.log_e(&slow, &control) < 0.0);
    assert!(test.log_e(&control, &fill(0.011)) < 1.0);
    assert_eq!(test.log_e(&control, &LogHistogram::new(1e-4, 1e3).unwrap()), 0.0);
    let interval = QuantileCs::new(0.99, 0.01, 20_000.0).unwrap().interval(&control);
    let truth = -0.01 * 0.01_f64.ln();
    assert!(interval.contains(truth) && interval.high / interval.low < 1.25, "{interval:?} {truth}");
}

/// Also when so much was seen that the truth lies between two places of the grid which are both out.
#[test]
fn the_betting_interval_closes_in_on_the_mean_and_keeps_it() {
    let mut cs = BettingCs::new(0.05).unwrap();
    let mut widths = Vec::new();
    // Values around 0.3, half-way between two places, in an order without chance: a golden-ratio sequence.
    for i in 0..100_000_u32 {
        let u = (f64::from(i) * 0.618_033_988_749_894_9).fract();
        cs.push(0.295 + 0.01 * u).unwrap();
        if i % 20_000 == 19_999 || i == 500 {
            let interval = cs.interval();
            assert!(interval.contains(0.3) && near(interval.estimate, 0.3, 0.001), "{i}: {interval:?}");
            widths.push(interval.high - interval.low);
        }
    }
    assert!(widths[0] > 0.005 && widths[5] < 0.0021, "{widths:?}");
    assert_eq!(stored(&cs), cs);
}

/// A user who comes in two steps is one user: twice the same data are no more evidence than once.
#[test]
fn visits_of_one_unit_in_two_steps_are_not_independent() {
    let values: Vec<f64> = (0..200).map(|i| f64::from(i * 37 % 101)).collect();
    let mut once = Strata::new(2);
    let mut twice = Strata::new(2);
    let mut visits = Vec::new();
    for (i, value) in values.iter().enumerate() {
        let totals = unit(*value, 1.0, 0.0);
        once.cell(0, i % 2).unwrap().add(&totals);
        let both = [0, 1].map(|step| Visit { step, variant: i % 2, totals });
        for v in &both {
            twice.cell(v.step, v.variant).unwrap().add(&v.totals);
        }
        visits.push(both);
    }
    for measure in [Measure::Mean, Measure::Ratio] {
        for scale in [Scale::Absolute, Scale::Relative] {
            let contrast = Contrast { measure, scale, cuped: false };
            let single = once.compare(0, 1, contrast).unwrap();
            let double = twice.compare_returning((0, 1), contrast, visits.iter().map(|v| v.iter().copied())).unwrap();
            assert!(near(single.value, double.value, 1e-12));
            // Up to the n − 1 of the variance within a step.
            assert!(near(single.standard_error, double.standard_error, 0.005), "{single:?} {double:?}");
            let naive = twice.compare(0, 1, contrast).unwrap();
            assert!(naive.standard_error < 0.75 * single.standard_error);
        }
    }
}

/// Who moves from the control to the candidate is compared with itself: what does not change cancels.
#[test]
fn a_unit_that_moves_is_its_own_control() {
    let mut strata = Strata::new(2);
    let mut visits = Vec::new();
    for i in 0..400_u32 {
        let habit = f64::from(i * 37 % 101);
        let noise = f64::from(i * 53 % 7);
        let pair = [0_usize, 1].map(|step| Visit {
            step,
            variant: usize::from((i % 2 == 0) == (step == 0)),
            totals: unit(habit + noise * step as f64, 1.0, 0.0),
        });
        for v in &pair {
            strata.cell(v.step, v.variant).unwrap().add(&v.totals);
        }
        visits.push(pair);
    }
    let robust = strata.compare_returning((0, 1), PLAIN, visits.iter().map(|v| v.iter().copied())).unwrap();
    let naive = strata.compare(0, 1, PLAIN).unwrap();
    assert!(robust.standard_error < 0.2 * naive.standard_error, "{robust:?} {naive:?}");
}
