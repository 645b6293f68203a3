//! Our own: [`Conformal`] on the column, row after row.
//!
//! Numbers fall into bins between quantiles of a random part of the reference, and the rest of it is ranked with the
//! stream; texts fall into bins by their hash, which knows nothing of either. So nothing that decides on the bins is
//! counted in them, and the error rate holds exactly where reference and stream are exchangeable. A missing value is a
//! bin of its own.

use super::{Finding, MISSING, NoFinding, Score, Values, Verdict};
use crate::InvalidSketch;
use crate::hash::fnv1a;
use crate::stream::{Coin, Conformal};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;

/// Bins of numbers, beside the one for what is missing.
const BINS: usize = 32;
/// Bins of categories, beside it.
const HASHED: u64 = 256;
/// Values whose bins are looked for at a time.
const AT_ONCE: usize = 512;
/// Rows that decide on the bins at most.
const PILOT: usize = 4_096;
/// ln of the greatest e-value that is told: about 10³⁰⁴.
const MOST: f64 = 700.0;
const SEED: u64 = 0x0064_7269_6674;

/// What a reference must keep to be compared with later: bins, and counts of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Calibration {
    /// Upper edges of the bins of numbers, each but the last; none for categories.
    pub edges: Option<Vec<f64>>,
    /// Rows of the reference in each bin; the last is of missing values.
    pub counts: Vec<u64>,
}

/// The stored form, checked before it becomes a [`Calibration`]: a profile comes from whoever saves one.
#[derive(Deserialize)]
struct Stored {
    edges: Option<Vec<f64>>,
    counts: Vec<u64>,
}

impl TryFrom<Stored> for Calibration {
    type Error = InvalidSketch;

    fn try_from(Stored { edges, counts }: Stored) -> Result<Self, InvalidSketch> {
        let invalid = |why: String| InvalidSketch { sketch: "calibration", why };
        let bins = match &edges {
            Some(edges) if edges.len() >= BINS => {
                return Err(invalid(format!("it has {} edges, at most {} are read", edges.len(), BINS - 1)));
            }
            Some(edges) if !edges.iter().all(|e| e.is_finite()) || !edges.is_sorted_by(|a, b| a < b) => {
                return Err(invalid("its edges are not finite numbers that ascend".into()));
            }
            Some(edges) => edges.len() + 2,
            None => HASHED as usize + 1,
        };
        if counts.len() != bins {
            return Err(invalid(format!("it has {} counts, {bins} belong to its bins", counts.len())));
        }
        // A quarter of what fits, so that a stream can be counted beside it, with a sign.
        let rows = counts.iter().try_fold(0_u64, |sum, n| sum.checked_add(*n));
        if rows.is_none_or(|rows| rows > u64::MAX / 4) {
            return Err(invalid("its counts are more rows than there can be".into()));
        }
        Ok(Self { edges, counts })
    }
}

impl Calibration {
    /// From all rows of a reference, of which a random tenth decides on the bins.
    ///
    /// # Errors
    /// [`NoFinding::Empty`] when there are no rows.
    pub fn new(reference: &Values) -> Result<Self, NoFinding> {
        if reference.is_empty() {
            return Err(NoFinding::Empty("reference"));
        }
        let Values::Numbers { values, .. } = reference else {
            let mut empty = Self { edges: None, counts: vec![0; HASHED as usize + 1] };
            empty.add(reference);
            return Ok(empty);
        };
        let mut coin = Coin::new(SEED);
        let wanted = (values.len() / 10).clamp(1, PILOT) as u64;
        let mut pilot = Vec::new();
        for value in values {
            if pilot.len() < wanted as usize && coin.below(values.len() as u64) < wanted {
                pilot.push(*value);
            }
        }
        let mut calibration = Self::cut(pilot.clone());
        calibration.add(reference);
        // Those that decided on the bins are not counted in them.
        for value in pilot {
            let bin = calibration.bin_of_number(value);
            calibration.counts[bin] -= 1;
        }
        Ok(calibration)
    }

    /// Bins between the quantiles of `pilot`, which are not counted. What has no end is the last number that has one.
    pub fn cut(mut pilot: Vec<f64>) -> Self {
        pilot.retain(|v| !v.is_nan());
        for value in &mut pilot {
            *value = value.clamp(f64::MIN, f64::MAX);
        }
        pilot.sort_unstable_by(f64::total_cmp);
        let at = |i: usize| pilot.get(i * pilot.len() / BINS).copied();
        let mut edges: Vec<f64> = (1..BINS).filter_map(at).collect();
        edges.dedup();
        let bins = edges.len() + 2;
        Self { edges: Some(edges), counts: vec![0; bins] }
    }

    /// Without edges: bins of categories.
    pub fn hashed() -> Self {
        Self { edges: None, counts: vec![0; HASHED as usize + 1] }
    }

    /// Counts more rows of the reference.
    pub fn add(&mut self, more: &Values) {
        let mut counts = std::mem::take(&mut self.counts);
        let missing = counts.len() - 1;
        self.each_bins(more, missing, |bins| {
            for bin in bins {
                counts[*bin] += 1;
            }
            ControlFlow::Continue(())
        });
        self.counts = counts;
    }

    /// The bin of a number; NaN is missing.
    pub fn bin_of_number(&self, value: f64) -> usize {
        match &self.edges {
            Some(edges) if !value.is_nan() => {
                let value = value.clamp(f64::MIN, f64::MAX);
                edges.partition_point(|edge| *edge < value)
            }
            _ => self.counts.len() - 1,
        }
    }

    /// The bin of a text, whatever list it may have a number in; `None` is missing.
    pub fn bin_of_text(&self, text: Option<&str>) -> usize {
        let missing = self.counts.len() - 1;
        text.map_or(missing, |text| Coin::new(fnv1a(text)).below(HASHED) as usize)
    }

    /// Rows of the reference that are counted.
    pub fn rows(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The bin of each row.
    pub fn bins(&self, values: &Values) -> Vec<usize> {
        let mut bins = Vec::with_capacity(values.len());
        self.each_bins(values, self.counts.len() - 1, |some| {
            bins.extend_from_slice(some);
            ControlFlow::Continue(())
        });
        bins
    }

    /// Calls `f` with the bins of some rows after the other, until it breaks off; `missing` is the bin of what is. Some at a
    /// time: one search does not wait for what is done with the bin of the one before.
    fn each_bins(&self, values: &Values, missing: usize, f: impl FnMut(&[usize]) -> ControlFlow<()>) {
        match (values, &self.edges) {
            (Values::Numbers { values, .. }, Some(edges)) => {
                // As many edges always: no step of the search depends on how many there are.
                let mut padded = [f64::INFINITY; BINS];
                padded.iter_mut().zip(edges).for_each(|(place, edge)| *place = *edge);
                let bin = |v: &f64| {
                    let value = v.clamp(f64::MIN, f64::MAX);
                    let found = padded.partition_point(|edge| *edge < value);
                    if v.is_nan() { missing } else { found }
                };
                some_at_a_time(values, bin, f);
            }
            (Values::Numbers { values, .. }, None) => some_at_a_time(values, |_| missing, f),
            (Values::Categories { values, .. }, _) => {
                let hash = |v: u32| Coin::new(u64::from(v)).below(HASHED) as usize;
                some_at_a_time(values, |v| if *v == MISSING { missing } else { hash(*v) }, f);
            }
        }
    }
}

fn some_at_a_time<T>(values: &[T], bin: impl Fn(&T) -> usize, mut f: impl FnMut(&[usize]) -> ControlFlow<()>) {
    let mut bins = [0; AT_ONCE];
    // Breaking off is no failure.
    let _: ControlFlow<()> = values.chunks(AT_ONCE).try_for_each(|values| {
        bins.iter_mut().zip(values).for_each(|(place, value)| *place = bin(value));
        f(&bins[..values.len()])
    });
}

/// Compares two tables' columns: rows in their order, unless that says drift and the reference, which stands for no
/// drift, drifts within itself too when it is read so. Such a file is sorted, or has seasons: then the current rows are
/// taken in an order by chance, and the finding says so and has no row since when. No look is added by that: without
/// drift in the first there is no second.
pub(super) fn judge(reference: &Values, current: &Values, level: f64) -> Result<Finding, NoFinding> {
    let calibration = Calibration::new(reference)?;
    let found = sequential(&calibration, current, level)?;
    if found.verdict != Verdict::Drift || !drifts_within(reference, level) {
        return Ok(found);
    }
    let mut current = current.clone();
    let mut coin = Coin::new(SEED);
    match &mut current {
        Values::Numbers { values, .. } => shuffle(values, &mut coin),
        Values::Categories { values, .. } => shuffle(values, &mut coin),
    }
    let found = sequential(&calibration, &current, level)?;
    Ok(Finding { method: "conformal martingale, rows by chance", since: None, ..found })
}

/// Whether the second half of the reference is a drift from its first.
fn drifts_within(reference: &Values, level: f64) -> bool {
    let (first, second) = match reference {
        Values::Numbers { values, whole } => {
            let (a, b) = values.split_at(values.len() / 2);
            let half = |v: &[f64]| Values::Numbers { values: v.to_vec(), whole: *whole };
            (half(a), half(b))
        }
        Values::Categories { values, text } => {
            let (a, b) = values.split_at(values.len() / 2);
            let half = |v: &[u32]| Values::Categories { values: v.to_vec(), text: *text };
            (half(a), half(b))
        }
    };
    let found = Calibration::new(&first).and_then(|first| sequential(&first, &second, level));
    found.is_ok_and(|f| f.verdict == Verdict::Drift)
}

fn shuffle<T>(values: &mut [T], coin: &mut Coin) {
    for i in (1..values.len()).rev() {
        values.swap(i, coin.below(i as u64 + 1) as usize);
    }
}

/// Bets on the rows of `current` in their order. The threshold is 1/`level`.
///
/// # Errors
/// [`NoFinding`] when there are no rows, or they are of another kind.
pub fn sequential(reference: &Calibration, current: &Values, level: f64) -> Result<Finding, NoFinding> {
    if current.is_empty() {
        return Err(NoFinding::Empty("current data"));
    }
    if reference.edges.is_some() != matches!(current, Values::Numbers { .. }) {
        return Err(NoFinding::Kinds);
    }
    let Ok(mut test) = Conformal::new(&reference.counts, SEED) else { return Err(NoFinding::Empty("reference")) };
    let (mut since, bound) = (None, -level.ln());
    let mut run = test.run();
    reference.each_bins(current, reference.counts.len() - 1, |mut bins| {
        while let Some(taken) = run.push(bins) {
            bins = &bins[taken..];
            let peak = run.peak();
            if since.is_none() && peak >= bound {
                since = Some(run.seen() - 1);
            }
            // More is not said of it.
            if peak >= MOST && since.is_some() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    });
    drop(run);
    Ok(Finding {
        method: "conformal martingale",
        kind: Score::EValue,
        score: test.peak().min(MOST).exp(),
        threshold: 1.0 / level,
        verdict: Verdict::when(since.is_some()),
        since,
        chunks: Vec::new(),
    })
}
