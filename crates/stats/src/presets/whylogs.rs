//! whylogs 1.6.4: `calculate_drift_scores` without a map.
//!
//! What is odd about it, and kept:
//! - KS looks at no other places than 100 quantiles of each side, and counts what is *below* them.
//! - chi² rounds the expected counts down; one that becomes 0 makes the p-value 0. Values that only the reference has
//!   count with 0, those beyond the current data's own frequent ones do not count.
//! - Its degrees of freedom are the current data's different values less one, whatever the reference has.
//! - The sizes include missing values.
//!
//! whylogs sees sketches, here it is given all values: with more than a few thousand numbers, or more than some 100
//! different texts, its own numbers are within the sketches' error of these.

use super::{Counts, Finding, NoFinding, Score, Values, Verdict, sample};
use crate::special::chi_square_sf;
use crate::twosample::{Sample, kolmogorov_tail};

const QUANTILES: usize = 100;
const DRIFT: f64 = 0.05;
const POSSIBLE: f64 = 0.15;

pub(super) fn judge(reference: &Values, current: &Values) -> Result<Finding, NoFinding> {
    match (reference, current) {
        (Values::Numbers { values: a, .. }, Values::Numbers { values: b, .. }) => {
            let (a, b) = (sample(a, "reference")?, sample(b, "current data")?);
            Ok(finding("ks", kolmogorov(&a, &b)))
        }
        (Values::Categories { values: a, .. }, Values::Categories { values: b, .. }) => {
            let counts = Counts::of_categories(a, b)?;
            Ok(finding("chi-square", chi_square(&counts, a.len() as f64, b.len() as f64)))
        }
        _ => Err(NoFinding::Kinds),
    }
}

pub(super) fn finding(method: &'static str, p: f64) -> Finding {
    let verdict = match p {
        p if p < DRIFT => Verdict::Drift,
        p if p < POSSIBLE => Verdict::Possible,
        _ => Verdict::Steady,
    };
    Finding { method, kind: Score::PValue, score: p, threshold: DRIFT, verdict, since: None, chunks: Vec::new() }
}

fn kolmogorov(a: &Sample, b: &Sample) -> f64 {
    let below = |s: &Sample, x: f64| s.values().partition_point(|v| *v < x) as f64 / s.len() as f64;
    let quantile = |s: &Sample, i: usize| {
        let n = s.len();
        let place = (i as f64 / (QUANTILES - 1) as f64 * n as f64).floor() as usize;
        s.values()[place.min(n - 1)]
    };
    let places = (0..QUANTILES).flat_map(|i| [quantile(a, i), quantile(b, i)]);
    let distance = places.map(|x| (below(a, x) - below(b, x)).abs()).fold(0.0, f64::max);
    let (n, m) = (a.len() as f64, b.len() as f64);
    kolmogorov_tail((n * m / (n + m)).round_ties_even(), distance)
}

fn chi_square(counts: &Counts, n: f64, m: f64) -> f64 {
    let mut statistic = 0.0;
    for (r, c) in counts.reference.iter().zip(&counts.current) {
        let expected = (*r as f64 / n * m).floor();
        if expected == 0.0 {
            return 0.0;
        }
        statistic += (*c as f64 - expected).powi(2) / expected;
    }
    let freedom = counts.current.iter().filter(|c| **c > 0).count() as f64 - 1.0;
    chi_square_sf(statistic, freedom.max(1.0))
}
