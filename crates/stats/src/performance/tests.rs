//! How often intervals hold what is true, and what has none.

use super::*;
use crate::stream::Coin;

const RUNS: u64 = 1_000;

/// A coverage of 95 % is counted in 1,000 runs within 3.5 standard deviations and what small samples cost.
#[track_caller]
fn covers(what: &str, truth: f64, mut run: impl FnMut(&mut Coin) -> Option<Measure>) {
    let (mut held, mut made) = (0, 0);
    for seed in 0..RUNS {
        let Some(i) = run(&mut Coin::new(seed * 7_919 + 1)).and_then(|m| m.interval) else { continue };
        made += 1;
        held += u64::from(i.low <= truth && truth <= i.high);
    }
    let share = held as f64 / made as f64;
    assert!(made > RUNS * 9 / 10 && (0.925..=0.98).contains(&share), "{what}: {share} of {made}");
}

/// Uniform scores that are right: truth is drawn with them.
fn scored(coin: &mut Coin, n: usize) -> Scored {
    let mut scored = Scored::default();
    for _ in 0..n {
        let p = coin.unit();
        scored.push(p, coin.unit() < p);
    }
    scored
}

fn confusion(coin: &mut Coin, n: usize) -> Confusion {
    let mut confusion = Confusion::new(2);
    scored(coin, n).rows().for_each(|(p, truth)| confusion.push(usize::from(truth), usize::from(p >= 0.5)));
    confusion
}

#[test]
fn intervals_hold_what_is_true_as_often_as_they_say() {
    let level = Level::default();
    // By integrals over the uniform score: of each cell of the matrix 3/8 or 1/8.
    covers("accuracy", 0.75, |c| confusion(c, 150).accuracy(level));
    covers("balanced accuracy", 0.75, |c| confusion(c, 150).balanced_accuracy(level));
    covers("F1", 0.75, |c| confusion(c, 150).f1(1, level));
    covers("macro F1", 0.75, |c| confusion(c, 150).f1_average(Average::Macro, level));
    covers("weighted precision", 0.75, |c| confusion(c, 150).precision_average(Average::Weighted, level));
    covers("macro recall", 0.75, |c| confusion(c, 150).recall_average(Average::Macro, level));
    covers("Matthews", 0.5, |c| confusion(c, 150).matthews(level));
    covers("kappa", 0.5, |c| confusion(c, 150).kappa(level));
    covers("worth", 3.0 / 8.0 * 5.0 - 1.0 / 8.0 * 3.0, |c| {
        confusion(c, 150).worth(&[vec![0.0, -1.0], vec![-2.0, 5.0]], level)
    });
    covers("area", 5.0 / 6.0, |c| scored(c, 150).roc_auc(level));
    covers("average precision", 5.0 / 6.0, |c| scored(c, 150).average_precision(level));
    covers("log loss", 0.5, |c| scored(c, 300).log_loss(level));
    covers("Brier", 1.0 / 6.0, |c| scored(c, 300).brier(level));
    covers("slope", 1.0, |c| recalibration(&scored(c, 300), level).map(|r| r.slope));
    covers("in the large", 0.0, |c| recalibration(&scored(c, 300), level).map(|r| r.in_the_large));
}

#[test]
fn intervals_of_regressions_do_too() {
    let level = Level::default();
    // Truth and error uniform on widths 2 and 1: R² = 1 − (1/12) / (4/12).
    let rows =
        |c: &mut Coin, n: usize| -> Vec<(f64, f64)> { (0..n).map(|_| (2.0 * c.unit(), c.unit() - 0.5)).collect() };
    let found = |c: &mut Coin| {
        let mut found = Regression::default();
        for (truth, error) in rows(c, 300) {
            assert!(found.push(truth, truth + error));
        }
        found
    };
    covers("R²", 0.75, |c| found(c).r2(level));
    covers("MAE", 0.25, |c| found(c).mae(level));
    covers("RMSE", (1.0_f64 / 12.0).sqrt(), |c| found(c).rmse(level));
    covers("bias", 0.0, |c| found(c).bias(level));
    covers("median", 0.25, |c| median_absolute_error(&mut rows(c, 101).iter().map(|r| r.1).collect::<Vec<_>>(), level));
}

#[test]
fn a_calibration_that_is_off_is_seen_and_one_that_is_right_is_chance() {
    let level = Level::default();
    let mut right = 0;
    for seed in 0..200 {
        let calibration = Calibration::of(&scored(&mut Coin::new(seed), 500), 10).unwrap();
        let [expected, most] = calibration.errors(level).unwrap();
        assert!(most.value >= expected.value);
        right += u32::from(expected.interval.unwrap().low == 0.0);
        assert!(expected.value < 3.0 * calibration.by_chance().unwrap());
    }
    assert!(right > 185, "{right} of 200 hold zero");
    // p is said where p² is true: |p − p²| is 1/6 on average.
    let held = (0..RUNS).filter(|seed| {
        let (mut coin, mut calibration) = (Coin::new(seed * 7_919 + 1), Calibration::new(10));
        for _ in 0..400 {
            let p = coin.unit();
            calibration.push(p, coin.unit() < p * p);
        }
        let i = calibration.errors(level).unwrap()[0].interval.unwrap();
        assert!(i.low > 0.05 && i.high < 0.3, "{i:?}");
        i.low <= 1.0 / 6.0 && 1.0 / 6.0 <= i.high
    });
    assert!(held.count() > 940);
}

#[test]
fn differences_and_ratios_hold_too() {
    let level = Level::default();
    let share =
        |c: &mut Coin, p: f64, n: u64| wilson((0..n).filter(|_| c.unit() < p).count() as u64, n, level).unwrap();
    covers("difference", 0.15, |c| Some(difference(&share(c, 0.85, 60), &share(c, 0.7, 90))));
    covers("ratio", 0.8, |c| ratio(&share(c, 0.6, 120), &share(c, 0.75, 100)));
    covers("difference of areas", 0.0, |c| {
        Some(difference(&scored(c, 150).roc_auc(level)?, &scored(c, 200).roc_auc(level)?))
    });
}

#[test]
fn what_has_no_interval_has_none_and_what_is_no_number_is_not_counted() {
    let level = Level::default();
    assert!(Level::new(1.0).is_none() && Level::new(f64::NAN).is_none());
    let mut scored = Scored::default();
    assert!(scored.roc_auc(level).is_none() && scored.log_loss(level).is_none());
    assert!(!scored.push(f64::NAN, true) && !scored.push(f64::INFINITY, false));
    (0..5).for_each(|i| assert!(scored.push(f64::from(i), i > 2)));
    assert_eq!(scored.roc_auc(level), Some(Measure { value: 1.0, interval: None }));
    assert!(!scored.are_probabilities() && scored.brier(level).is_none() && Calibration::of(&scored, 10).is_none());
    assert!(recalibration(&scored, level).is_none());
    let mut one = Confusion::new(3);
    (0..9).for_each(|_| one.push(1, 1));
    one.push(7, 0);
    assert_eq!(one.total(), 9);
    assert!(one.precision(0, level).is_none() && one.kappa(level).is_none());
    assert_eq!(one.matthews(level), Some(Measure { value: 0.0, interval: None }));
    assert_eq!(one.f1_average(Average::Macro, level), Some(Measure { value: 1.0, interval: None }));
    assert!(one.accuracy(level).unwrap().interval.unwrap().low > 0.6);
    assert!(one.worth(&[vec![1.0]], level).is_none());
    let mut numbers = Regression::default();
    assert!(!numbers.push(f64::NAN, 1.0) && !numbers.push(1.0, f64::INFINITY));
    assert!(numbers.push(0.0, 0.0) && numbers.push(0.0, -2.0));
    assert_eq!(numbers.zeros(), 2);
    assert!(numbers.mape(level).is_none() && numbers.r2(level).is_none() && numbers.rmsle(level).is_none());
    assert!(median_absolute_error(&mut [1.0, -2.0], level).unwrap().interval.is_none());
    let mut ranking = Ranking::new(3);
    ranking.push(&mut [Item { score: 1.0, relevance: 0.0 }]);
    assert_eq!((ranking.queries(), ranking.ndcg(level)), ((0, 1), None));
    let mut given = Probabilities::new(2);
    assert!(!given.push(&[0.5], 0) && !given.push(&[0.5, 1.5], 0) && !given.push(&[0.5, 0.5], 2));
    assert!(given.roc_auc(level).is_none());
    // Nothing may be said of a ratio to what may be zero.
    assert!(ratio(&wilson(3, 9, level).unwrap(), &wilson(0, 9, level).unwrap()).is_none());
}

#[test]
fn the_first_k_are_counted_as_by_hand() {
    let level = Level::default();
    let items = |relevance: &[f64]| -> Vec<Item> {
        relevance.iter().enumerate().map(|(at, r)| Item { score: -(at as f64), relevance: *r }).collect()
    };
    let mut ranking = Ranking::new(3);
    ranking.push(&mut items(&[0.0, 1.0, 1.0, 0.0, 1.0]));
    let mut other = Ranking::new(3);
    other.push(&mut items(&[0.0, 0.0, 0.0, 2.0]));
    ranking.merge(&other);
    let value = |m: Option<Measure>| m.unwrap().value;
    assert_eq!(value(ranking.precision(level)), 1.0 / 3.0);
    assert_eq!(value(ranking.recall(level)), (2.0 / 3.0) / 2.0);
    assert_eq!(value(ranking.reciprocal_rank(level)), 0.25);
    assert_eq!(value(ranking.hit_rate(level)), 0.5);
    assert!((value(ranking.average_precision(level)) - (0.5 + 2.0 / 3.0) / 3.0 / 2.0).abs() < 1e-15);
    // What is worse than useless is useless.
    let [mut below, mut zero] = [Ranking::new(3), Ranking::new(3)];
    below.push(&mut items(&[-5.0, 1.0, -5.0]));
    zero.push(&mut items(&[0.0, 1.0, 0.0]));
    assert_eq!(below, zero);
    assert!((value(below.ndcg(level)) - 1.0 / 3.0_f64.log2()).abs() < 1e-15);
}

/// What is true of groups is within the intervals at least as often as they say, however many groups there are.
#[test]
fn what_groups_are_apart_is_held_as_often_as_asked() {
    let level = Level::new(0.9).unwrap();
    for rates in [&[0.3, 0.5][..], &[0.4, 0.4], &[0.2, 0.25, 0.3, 0.6], &[0.5; 6]] {
        let (mut coin, mut held, mut runs) = (crate::stream::Coin::new(5), [0, 0], 0);
        let (least, most) = rates.iter().fold((1.0_f64, 0.0_f64), |(a, b), r| (a.min(*r), b.max(*r)));
        while runs < 400 {
            runs += 1;
            let groups: Vec<Treated> = rates
                .iter()
                .map(|rate| {
                    let selected = (0..150).filter(|_| coin.unit() < *rate).count() as u64;
                    Treated { answers: 150, selected, ..Treated::default() }
                })
                .collect();
            let found = fairness(&groups, level);
            assert_eq!(found.len(), 2, "without labels there is the one that needs none");
            for (at, truth) in [most - least, least / most].into_iter().enumerate() {
                let i = found[at].1.interval.unwrap();
                held[at] += u32::from(i.low <= truth + 1e-12 && truth <= i.high + 1e-12);
            }
        }
        // 3.5 standard errors of a share of 400 below it.
        assert!(held.iter().all(|held| f64::from(*held) / 400.0 > 0.9 - 0.053), "{rates:?}: {held:?}");
    }
}

#[test]
fn a_rate_that_a_group_has_no_rows_for_is_not_that_groups() {
    let group = |tp, false_negatives| Treated {
        answers: 10,
        selected: tp,
        true_positives: tp,
        false_negatives,
        ..Treated::default()
    };
    let names = |groups: &[Treated]| fairness(groups, Level::default()).into_iter().map(|(n, _)| n).collect::<Vec<_>>();
    assert_eq!(names(&[group(5, 5)]), [""; 0], "one group is like itself");
    let found = names(&[group(5, 5), group(4, 4), group(0, 0)]);
    assert!(
        found.contains(&"equal_opportunity_difference") && !found.contains(&"equalized_odds_difference"),
        "{found:?}"
    );
    let found = names(&[group(5, 5), group(0, 0)]);
    assert_eq!(found, ["demographic_parity_difference", "demographic_parity_ratio"]);
}
