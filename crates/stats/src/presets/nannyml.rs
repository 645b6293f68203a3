//! NannyML 0.13.1: `UnivariateDriftCalculator` as it is.
//!
//! What is odd about it, and kept:
//! - Both sides are cut into chunks of a tenth of their rows; what is left over is a chunk of its own, as small as it
//!   is, and counts for the threshold as the others do.
//! - The bins are made from all of the reference, and the reference's chunks are compared with the reference that they
//!   are part of.
//! - The threshold is the mean of their distances and three standard deviations (divided by n), whatever its
//!   documentation says of 0.1.
//! - What is outside the reference's bins, or a value that it does not have, is one more bin.
//!
//! It has no verdict on a column, only on chunks: here a column has drifted when one of them alerts.

use super::{Finding, MISSING, NoFinding, Score, Values, Verdict, sample};
use crate::estimate::thresholds;
use crate::twosample::bins::{Rule, edges, histogram_of};
use crate::twosample::distance::{jensen_shannon, shares};
use std::collections::BTreeMap;

const CHUNKS: usize = 10;

pub(super) fn judge(reference: &Values, current: &Values) -> Result<Finding, NoFinding> {
    match (reference, current) {
        (Values::Numbers { values: a, .. }, Values::Numbers { values: b, .. }) => numbers(a, b),
        (Values::Categories { values: a, .. }, Values::Categories { values: b, .. }) => categories(a, b),
        _ => Err(NoFinding::Kinds),
    }
}

fn numbers(reference: &[f64], current: &[f64]) -> Result<Finding, NoFinding> {
    let edges = edges(&[&sample(reference, "reference")?], Rule::Doane, false);
    // Not sorted: the sides' parts are many.
    let counted = |values: &[f64]| {
        let there = values.iter().filter(|v| v.is_finite()).count();
        (there > 0).then(|| shares(&histogram_of(values, &edges), there as u64))
    };
    let base = counted(reference).ok_or(NoFinding::Empty("reference"))?;
    by_chunk(reference, current, |chunk| Some(distance(&base, counted(chunk)?)))
}

fn categories(reference: &[u32], current: &[u32]) -> Result<Finding, NoFinding> {
    let mut bins: BTreeMap<u32, u64> = BTreeMap::new();
    let there = |values: &[u32]| values.iter().copied().filter(|v| *v != MISSING).collect::<Vec<_>>();
    for v in there(reference) {
        *bins.entry(v).or_default() += 1;
    }
    let counts: Vec<u64> = bins.values().copied().collect();
    let total = counts.iter().sum();
    if total == 0 {
        return Err(NoFinding::Empty("reference"));
    }
    let base = shares(&counts, total);
    let places: BTreeMap<u32, usize> = bins.keys().enumerate().map(|(at, v)| (*v, at)).collect();
    by_chunk(reference, current, |chunk| {
        let chunk = there(chunk);
        let mut counts = vec![0; base.len()];
        chunk.iter().filter_map(|v| places.get(v)).for_each(|at| counts[*at] += 1);
        (!chunk.is_empty()).then(|| distance(&base, shares(&counts, chunk.len() as u64)))
    })
}

/// In bits, with a bin for what the reference does not have.
fn distance(base: &[f64], mut chunk: Vec<f64>) -> f64 {
    let mut base = base.to_vec();
    let left = 1.0 - chunk.iter().sum::<f64>();
    if left > 0.0 {
        chunk.push(left);
        base.push(0.0);
    }
    jensen_shannon(&base, &chunk) / std::f64::consts::LN_2.sqrt()
}

/// Scores of the chunks; one without values has none.
fn chunks<T>(values: &[T], score: impl Fn(&[T]) -> Option<f64>) -> Vec<f64> {
    values.chunks(values.len() / CHUNKS).map(|chunk| score(chunk).unwrap_or(f64::NAN)).collect()
}

fn by_chunk<T>(reference: &[T], current: &[T], score: impl Fn(&[T]) -> Option<f64>) -> Result<Finding, NoFinding> {
    let rows = reference.len().min(current.len());
    if rows < CHUNKS {
        return Err(NoFinding::Chunks(rows));
    }
    let (_, threshold) = thresholds(&chunks(reference, &score)).ok_or(NoFinding::Empty("reference"))?;
    let found = chunks(current, &score);
    let Some(score) = found.iter().copied().filter(|d| !d.is_nan()).reduce(f64::max) else {
        return Err(NoFinding::Empty("current data"));
    };
    let since = found.iter().position(|d| *d > threshold);
    Ok(finding("Jensen-Shannon distance", (score, threshold), since.map(|at| at * (current.len() / CHUNKS)), found))
}

fn finding(method: &'static str, (score, threshold): (f64, f64), since: Option<usize>, chunks: Vec<f64>) -> Finding {
    Finding {
        method,
        kind: Score::Distance,
        score,
        threshold,
        verdict: Verdict::when(since.is_some()),
        since: since.map(|row| row as u64),
        chunks,
    }
}

/// What `DataReconstructionDriftCalculator` says of the rows' errors
/// ([`crate::multivariate::Reconstruction::errors`]): their mean by chunk, outside the mean and three standard deviations
/// of the reference's own. Here, too little of it is an alert as well: score and threshold are those of the side that is
/// farther off.
///
/// # Errors
/// [`NoFinding::Chunks`] with fewer rows than chunks.
pub fn reconstruction(reference: &[f64], current: &[f64]) -> Result<Finding, NoFinding> {
    let rows = reference.len().min(current.len());
    if rows < CHUNKS {
        return Err(NoFinding::Chunks(rows));
    }
    let mean_of = |chunk: &[f64]| Some(chunk.iter().sum::<f64>() / chunk.len() as f64);
    let (low, high) = thresholds(&chunks(reference, mean_of)).ok_or(NoFinding::Empty("reference"))?;
    let found = chunks(current, mean_of);
    let (least, most) = found.iter().fold((f64::INFINITY, 0.0), |(a, b), x| (x.min(a), x.max(b)));
    let decides = if low > 0.0 && low - least > most - high { (least, low) } else { (most, high) };
    let since = found.iter().position(|x| *x >= high || low > 0.0 && *x <= low);
    Ok(finding("PCA reconstruction error", decides, since.map(|at| at * (current.len() / CHUNKS)), found))
}
