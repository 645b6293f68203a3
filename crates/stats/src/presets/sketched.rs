//! The presets that can judge from sketches: of a profile that was saved, or of a window of live rows.
//!
//! Distances and p-values are those of `mainspring_stats::twosample::sketched`, within the sketches' rank error: about
//! 2 % for k = 128, 1.3 % for k = 200. Texts are exact as long as there are fewer different ones than a sketch holds.
//!
//! A p-value is of what is left of a distance after the sketches' error: it errs on the side of no drift.
//! Unlike with rows, whole numbers are numbers however few different ones there are: sketches do not know.

use super::{Finding, NoFinding, Preset, Score, evidently, whylogs};
use crate::twosample::distance::jensen_shannon;
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
    let both = sketched::categories(reference, current).ok_or(NoFinding::Empty("current data"))?;
    let counts = |shares: &[f64], total: u64| -> Vec<u64> {
        shares.iter().map(|share| (share * total as f64).round() as u64).collect()
    };
    if preset == Preset::Evidently && reference.count() as usize > evidently::SMALL {
        let distance = jensen_shannon(&both.reference, &both.current);
        let drifted = distance >= evidently::DISTANCE;
        return Ok(evidently::finding("Jensen-Shannon distance, sketched", Score::Distance, distance, drifted));
    }
    let counted = (counts(&both.reference, reference.count()), counts(&both.current, current.count()));
    let p_value = chi_square(&counted.0, &counted.1)?.p_value;
    Ok(match preset {
        Preset::Whylogs => whylogs::finding("chi-square, sketched", p_value),
        _ => evidently::finding("chi-square p_value, sketched", Score::PValue, p_value, p_value < evidently::LEVEL),
    })
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
}
