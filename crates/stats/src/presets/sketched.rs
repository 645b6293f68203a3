//! The presets that can judge from sketches: of a profile that was saved, or of a window of live rows.
//!
//! Distances and p-values are those of `mainspring_stats::twosample::sketched`, within the sketches' rank error: about
//! 2 % for k = 128, 1.3 % for k = 200. Texts are exact as long as there are fewer different ones than a sketch holds.
//! Of more, only those are told apart that surely are frequent, all others are one category, and the score is the one
//! nearest to no drift that the sketches' bounds allow. Evidently's distance is therefore never more than that of all
//! rows. In the place of its chi², and of whylogs', which call nearly any such column drifted, there is then a p-value
//! of the value that changed most, false no more often than it says. Where no text is frequent (ids, prose) there is no
//! finding.
//!
//! A p-value is of what is left of a distance after the sketches' error: it errs on the side of no drift.
//! Unlike with rows, whole numbers are numbers however few different ones there are: sketches do not know.

use super::{Finding, NoFinding, Preset, Score, evidently, whylogs};
use crate::twosample::{chi_square, kolmogorov_tail, sketched};
use crate::{Frequent, Kll};

/// What is kept of a column.
#[derive(Debug, Clone)]
pub enum Sketched {
    /// Of numbers.
    Numbers {
        /// Of the finite ones.
        quantiles: Kll,
        /// Their standard deviation, divided by n − 1.
        deviation: Option<f64>,
    },
    /// Of texts and truth values.
    Texts(Frequent),
}

impl Sketched {
    /// Values that there are.
    pub fn count(&self) -> u64 {
        match self {
            Self::Numbers { quantiles, .. } => quantiles.count(),
            Self::Texts(frequent) => frequent.count(),
        }
    }
}

/// Asks a preset about a column of which only sketches are kept.
///
/// # Errors
/// [`NoFinding::Rows`] for the presets that read rows; else as [`super::judge`].
pub fn judge_sketched(preset: Preset, reference: &Sketched, current: &Sketched) -> Result<Finding, NoFinding> {
    if matches!(preset, Preset::NannyMl | Preset::Sequential) {
        return Err(NoFinding::Rows(preset.as_str()));
    }
    for (side, what) in [(reference, "reference"), (current, "current data")] {
        if side.count() == 0 {
            return Err(NoFinding::Empty(what));
        }
    }
    match (reference, current) {
        (Sketched::Numbers { quantiles: a, deviation }, Sketched::Numbers { quantiles: b, .. }) => {
            numbers(preset, (a, *deviation), b)
        }
        (Sketched::Texts(a), Sketched::Texts(b)) => texts(preset, a, b),
        _ => Err(NoFinding::Kinds),
    }
}

fn numbers(preset: Preset, (reference, deviation): (&Kll, Option<f64>), current: &Kll) -> Result<Finding, NoFinding> {
    let empty = || NoFinding::Empty("current data");
    let (n, m) = (reference.count() as f64, current.count() as f64);
    if preset == Preset::Evidently && reference.count() as usize > evidently::SMALL {
        let spread = deviation.map_or(0.0, |d| d * ((n - 1.0) / n).sqrt()).max(0.001);
        let distance = sketched::wasserstein(reference, current).ok_or_else(empty)?.value / spread;
        let drifted = distance >= evidently::DISTANCE;
        return Ok(evidently::finding("Wasserstein distance (normed), sketched", Score::Distance, distance, drifted));
    }
    // A p-value knows nothing of the sketches' error, which with many rows is far more than chance: what it may be is
    // taken off. Sketches that still hold every value have none.
    let error = |s: &Kll| if s.retained() as u64 == s.count() { 0.0 } else { s.rank_error() };
    let distance = sketched::kolmogorov_smirnov(reference, current).ok_or_else(empty)?.value;
    let distance = (distance - error(reference) - error(current)).max(0.0);
    let p_value = kolmogorov_tail((n * m / (n + m)).round_ties_even(), distance);
    Ok(match preset {
        Preset::Whylogs => whylogs::finding("ks, sketched", p_value),
        _ => evidently::finding("K-S p_value, sketched", Score::PValue, p_value, p_value <= evidently::LEVEL),
    })
}

fn texts(preset: Preset, reference: &Frequent, current: &Frequent) -> Result<Finding, NoFinding> {
    if let Some(why) = prose(preset, reference, current) {
        return Err(why);
    }
    let both = sketched::categories(reference, current).ok_or(NoFinding::Empty("current data"))?;
    if both.values.is_empty() {
        let what = "texts of which no value is frequent enough for a sketch to count";
        return Err(NoFinding::Untested { profile: preset.as_str(), what });
    }
    if preset == Preset::Evidently && reference.count() as usize > evidently::SMALL {
        let distance = both.least_jensen_shannon();
        let drifted = distance >= evidently::DISTANCE;
        return Ok(evidently::finding("Jensen-Shannon distance, sketched", Score::Distance, distance, drifted));
    }
    let (method, p_value) = match (both.exact(), preset) {
        (Some([was, now]), Preset::Whylogs) => ("chi-square, sketched", chi_square(&was, &now)?.p_value),
        (Some([was, now]), _) => ("chi-square p_value, sketched", chi_square(&was, &now)?.p_value),
        (None, Preset::Whylogs) => ("most changed value, sketched", both.greatest_p_value()),
        (None, _) => ("most changed value p_value, sketched", both.greatest_p_value()),
    };
    Ok(match preset {
        Preset::Whylogs => whylogs::finding(method, p_value),
        _ => evidently::finding(method, Score::PValue, p_value, p_value < evidently::LEVEL),
    })
}

/// Why texts are not compared that are known to be nearly all different: Evidently asks this of the current ones.
/// whylogs asks nothing, and calls any two columns of ids drifted, which says nothing about them.
fn prose(preset: Preset, reference: &Frequent, current: &Frequent) -> Option<NoFinding> {
    match preset {
        Preset::Evidently => nearly_all_different(current).then_some(NoFinding::Text),
        _ => (nearly_all_different(reference) && nearly_all_different(current))
            .then_some(NoFinding::Untested { profile: preset.as_str(), what: "texts that are nearly all different" }),
    }
}

/// More than half of the values differ, as far as a sketch without an error can say. Two are no prose, however few rows
/// there are: sketches do not tell truth values from texts.
fn nearly_all_different(texts: &Frequent) -> bool {
    let different = texts.top(usize::MAX).len() as u64;
    texts.error() == 0 && different > 2 && 2 * different > texts.count()
}

#[cfg(test)]
mod tests {
    use super::super::{Values, Verdict, judge};
    use super::*;
    use crate::stream::Coin;

    fn numbers_of(coin: &mut Coin, n: usize, shift: f64) -> Vec<f64> {
        (0..n).map(|_| -(1.0 - coin.unit()).ln() + shift).collect()
    }

    fn sketch(values: &[f64]) -> Sketched {
        let mut quantiles = Kll::default();
        quantiles.extend(values);
        let mut moments = crate::Moments::default();
        moments.extend(values);
        Sketched::Numbers { quantiles, deviation: moments.stddev() }
    }

    /// The same verdicts as from all rows, and nearly the same numbers.
    #[test]
    fn sketches_say_what_rows_say() {
        let mut coin = Coin::new(4);
        for (n, shift) in [(800, 0.0), (800, 0.4), (30_000, 0.0), (30_000, 0.4)] {
            let (a, b) = (numbers_of(&mut coin, n, 0.0), numbers_of(&mut coin, n, shift));
            let rows = |values: &[f64]| Values::Numbers { values: values.to_vec(), whole: false };
            for preset in [Preset::Evidently, Preset::Whylogs] {
                let exact = judge(preset, &rows(&a), &rows(&b), 0.05).unwrap();
                let found = judge_sketched(preset, &sketch(&a), &sketch(&b)).unwrap();
                assert_eq!(found.kind, exact.kind);
                if exact.kind == Score::Distance {
                    assert!((found.score - exact.score).abs() < 0.05, "{found:?} {exact:?}");
                    assert_eq!(found.verdict, exact.verdict, "{found:?} {exact:?}");
                } else {
                    let drifted = if shift > 0.0 { Verdict::Drift } else { Verdict::Steady };
                    assert_eq!(found.verdict, drifted, "{found:?}");
                }
            }
        }
    }

    #[test]
    fn texts_are_exact_and_what_needs_rows_says_so() {
        let texts = |counts: &[(&str, u64)]| {
            let mut frequent = Frequent::default();
            for (text, n) in counts {
                frequent.push(text, *n);
            }
            Sketched::Texts(frequent)
        };
        let (a, b) = (texts(&[("x", 600), ("y", 400)]), texts(&[("x", 300), ("y", 200)]));
        let c = texts(&[("x", 100), ("y", 400)]);
        for preset in [Preset::Evidently, Preset::Whylogs] {
            assert_eq!(judge_sketched(preset, &a, &b).unwrap().verdict, Verdict::Steady);
            assert_eq!(judge_sketched(preset, &a, &c).unwrap().verdict, Verdict::Drift);
        }
        let refused = judge_sketched(Preset::Sequential, &a, &b).unwrap_err();
        assert!(refused.to_string().contains("sequential reads rows"), "{refused}");
        assert_eq!(judge_sketched(Preset::Whylogs, &a, &sketch(&[1.0])), Err(NoFinding::Kinds));
        assert_eq!(judge_sketched(Preset::Whylogs, &a, &texts(&[])), Err(NoFinding::Empty("current data")));
    }

    /// Values with a share in proportion to their place to the power of `-steep`.
    fn drawn(coin: &mut Coin, (values, steep): (u32, f64), rows: usize) -> Vec<u32> {
        let mut sum = 0.0;
        let below: Vec<f64> = (1..=values)
            .map(|place| {
                sum += f64::from(place).powf(-steep);
                sum
            })
            .collect();
        (0..rows)
            .map(|_| {
                let at = coin.unit() * sum;
                below.partition_point(|b| *b <= at) as u32
            })
            .collect()
    }

    /// As a profile makes it: of lanes that are merged.
    fn counted(values: &[u32]) -> Sketched {
        let mut whole = Frequent::default();
        for lane in 0..4 {
            let mut part = Frequent::default();
            values.iter().skip(lane).step_by(4).for_each(|value| part.push(&format!("v{value}"), 1));
            whole.merge(&part);
        }
        Sketched::Texts(whole)
    }

    const BOTH: [Preset; 2] = [Preset::Evidently, Preset::Whylogs];
    /// Even and uneven, all with more different values than a sketch holds.
    const MANY: [(u32, f64); 4] = [(150, 0.0), (150, 1.0), (500, 0.0), (500, 1.0)];

    /// Rows on either side: p-values and distances, many and few.
    #[test]
    fn samples_of_one_distribution_have_not_drifted_however_many_values_it_has() {
        let mut coin = Coin::new(8);
        for of in MANY {
            for (n, m) in [(10_000, 10_000), (10_000, 2_000), (1_000, 1_000), (1_000, 10_000)] {
                for preset in BOTH {
                    let (a, b) = (drawn(&mut coin, of, n), drawn(&mut coin, of, m));
                    match judge_sketched(preset, &counted(&a), &counted(&b)) {
                        Ok(found) => assert_eq!(found.verdict, Verdict::Steady, "{of:?} {n} {m} {found:?}"),
                        Err(why) => assert!(matches!(why, NoFinding::Untested { .. }), "{of:?} {n} {m} {why}"),
                    }
                }
            }
        }
    }

    /// 400 pairs, where one side's sketch is nearly exact and the other's not, so that which values are told apart depends
    /// on chance.
    #[test]
    fn p_values_within_bounds_are_false_no_more_often_than_they_say() {
        let mut coin = Coin::new(9);
        let mut alarms = 0;
        for _ in 0..400 {
            let (a, b) = (drawn(&mut coin, (150, 0.7), 1_000), drawn(&mut coin, (150, 0.7), 200));
            let found = judge_sketched(Preset::Whylogs, &counted(&a), &counted(&b)).unwrap();
            alarms += usize::from(found.verdict == Verdict::Drift);
        }
        assert!(alarms <= 20, "{alarms} of 400 at 0.05");
    }

    #[test]
    fn values_that_come_once_are_not_compared() {
        let ids = |from: u32, rows: u32| counted(&(from..from + rows).collect::<Vec<_>>());
        for (n, m) in [(10_000, 10_000), (10_000, 40), (40, 10_000), (1_000, 1_000), (40, 40)] {
            for preset in BOTH {
                let why = judge_sketched(preset, &ids(0, n), &ids(n, m)).unwrap_err();
                assert!(matches!(why, NoFinding::Untested { .. } | NoFinding::Text), "{n} {m} {why}");
            }
        }
    }

    /// Two of the most frequent values swap their shares, a value takes a fifth of the rows, a new one takes a tenth.
    #[test]
    fn frequent_values_whose_shares_change_have_drifted() {
        let mut coin = Coin::new(10);
        let swapped = |value: u32, _: f64| match value {
            0 => 3,
            3 => 0,
            other => other,
        };
        let swollen = |value, chance| if chance < 0.2 { 7 } else { value };
        let new = |value, chance| if chance < 0.1 { 9_999 } else { value };
        let changes: [&dyn Fn(u32, f64) -> u32; 3] = [&swapped, &swollen, &new];
        for of in MANY {
            // Of an even distribution, a swap changes nothing.
            let changes = if of.1 > 0.0 { &changes[..] } else { &changes[1..] };
            for change in changes {
                for (n, m) in [(1_000, 1_000), (10_000, 500)] {
                    let a = drawn(&mut coin, of, n);
                    let b =
                        drawn(&mut coin, of, m).into_iter().map(|value| change(value, coin.unit())).collect::<Vec<_>>();
                    for preset in BOTH {
                        let found = judge_sketched(preset, &counted(&a), &counted(&b)).unwrap();
                        assert_eq!(found.verdict, Verdict::Drift, "{of:?} {n} {m} {found:?}");
                    }
                }
            }
        }
    }
}
