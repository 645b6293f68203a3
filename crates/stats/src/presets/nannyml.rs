//! NannyML 0.13.1: `UnivariateDriftCalculator` as it is, with the method that it takes or is told to.
//!
//! What is odd about it, and kept:
//! - Both sides are cut into chunks of a tenth of their rows; what is left over is a chunk of its own, as small as it
//!   is, and counts for the threshold as the others do.
//! - The bins are made from all of the reference, and the reference's chunks are compared with the reference that they
//!   are part of.
//! - The threshold is the mean of their distances and three standard deviations (divided by n), whatever its
//!   documentation says of 0.1.
//! - What is outside the reference's bins, or a value that it does not have, is one more bin.
//! - From 10,000 rows of the reference on, Kolmogorov and Smirnov's statistic and Wasserstein's distance are over as many
//!   bins of one width, and of what is outside them the latter counts one row too many.
//! - chi² alerts at p < 0.05 whatever the threshold.
//!
//! It has no verdict on a column, only on chunks: here a column has drifted when one of them alerts.

use super::{Asked, Counts, Finding, MISSING, NoFinding, Score, Values, Verdict, sample};
use crate::estimate::thresholds;
use crate::twosample::bins::{Rule, edges, histogram, histogram_of};
use crate::twosample::distance::{hellinger, jensen_shannon, l_infinity, shares};
use crate::twosample::{Sample, contingency, kolmogorov_smirnov_distance, wasserstein};
use std::collections::BTreeMap;

const CHUNKS: usize = 10;
/// Rows of the reference from which on it is kept as bins, and how many they are.
const MANY: usize = 10_000;
const LEVEL: f64 = 0.05;

/// A method for columns of numbers: its `continuous_methods`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberTest {
    /// Jensen and Shannon's distance in bits.
    JensenShannon,
    /// Kolmogorov and Smirnov's statistic.
    KolmogorovSmirnov,
    /// Wasserstein's distance.
    Wasserstein,
    /// Hellinger's distance.
    Hellinger,
}

/// A method for columns of categories: its `categorical_methods`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CategoryTest {
    /// Jensen and Shannon's distance in bits.
    JensenShannon,
    /// Chi² of homogeneity, whose p-value decides.
    ChiSquare,
    /// The greatest difference of a share.
    LInfinity,
    /// Hellinger's distance.
    Hellinger,
}

impl NumberTest {
    /// All of them by NannyML's names.
    pub const NAMED: &[(&str, Self)] = &[
        ("jensen_shannon", Self::JensenShannon),
        ("kolmogorov_smirnov", Self::KolmogorovSmirnov),
        ("wasserstein", Self::Wasserstein),
        ("hellinger", Self::Hellinger),
    ];
}

impl CategoryTest {
    /// All of them by NannyML's names.
    pub const NAMED: &[(&str, Self)] = &[
        ("jensen_shannon", Self::JensenShannon),
        ("chi2", Self::ChiSquare),
        ("l_infinity", Self::LInfinity),
        ("hellinger", Self::Hellinger),
    ];
}

/// The methods that NannyML is told to take. A threshold is a `ConstantThreshold`'s upper one.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Told {
    /// Of columns of numbers.
    pub numbers: Option<Asked<NumberTest>>,
    /// Of texts and truth values.
    pub categories: Option<Asked<CategoryTest>>,
}

pub(super) fn judge(reference: &Values, current: &Values, told: Told) -> Result<Finding, NoFinding> {
    match (reference, current) {
        (Values::Numbers { values: a, .. }, Values::Numbers { values: b, .. }) => {
            numbers(a, b, told.numbers.unwrap_or(NumberTest::JensenShannon.into()))
        }
        (Values::Categories { values: a, .. }, Values::Categories { values: b, .. }) => {
            categories(a, b, told.categories.unwrap_or(CategoryTest::JensenShannon.into()))
        }
        _ => Err(NoFinding::Kinds),
    }
}

fn numbers(reference: &[f64], current: &[f64], asked: Asked<NumberTest>) -> Result<Finding, NoFinding> {
    let whole = sample(reference, "reference")?;
    let compared =
        |method, score: &dyn Fn(&[f64]) -> Option<f64>| by_chunk(method, [reference, current], score, asked.threshold);
    // A chunk's values that there are.
    let there = |chunk: &[f64]| Some(Sample::new(chunk.to_vec())).filter(|chunk| !chunk.is_empty());
    let binned = || {
        let edges = edges(&[&whole], Rule::Doane, false);
        // Not sorted: the sides' parts are many.
        let counted = move |values: &[f64]| {
            let there = values.iter().filter(|v| v.is_finite()).count();
            (there > 0).then(|| shares(&histogram_of(values, &edges), there as u64))
        };
        let base = counted(reference).unwrap_or_default();
        (base, counted)
    };
    let grid = (whole.len() >= MANY).then(|| Grid::new(&whole)).flatten();
    match (asked.test, grid) {
        (NumberTest::JensenShannon, _) => {
            let (base, counted) = binned();
            compared(JENSEN_SHANNON, &|chunk| Some(in_bits(&base, counted(chunk)?)))
        }
        (NumberTest::Hellinger, _) => {
            let (base, counted) = binned();
            compared(HELLINGER, &|chunk| Some(with_rest(hellinger, &base, counted(chunk)?)))
        }
        (NumberTest::KolmogorovSmirnov, Some(grid)) => compared(KOLMOGOROV, &|chunk| grid.kolmogorov(&there(chunk)?)),
        (NumberTest::KolmogorovSmirnov, None) => {
            compared(KOLMOGOROV, &|chunk| kolmogorov_smirnov_distance(&whole, &there(chunk)?).ok())
        }
        (NumberTest::Wasserstein, Some(grid)) => compared(WASSERSTEIN, &|chunk| Some(grid.wasserstein(&there(chunk)?))),
        (NumberTest::Wasserstein, None) => compared(WASSERSTEIN, &|chunk| wasserstein(&whole, &there(chunk)?).ok()),
    }
}

const JENSEN_SHANNON: &str = "Jensen-Shannon distance";
const HELLINGER: &str = "Hellinger distance";
const KOLMOGOROV: &str = "Kolmogorov-Smirnov statistic";
const WASSERSTEIN: &str = "Wasserstein distance";

/// The reference as its shares of bins of one width.
struct Grid {
    edges: Vec<f64>,
    /// Share of the rows up to each bin's end.
    below: Vec<f64>,
}

impl Grid {
    /// None of numbers that are all the same.
    fn new(sample: &Sample) -> Option<Self> {
        let (least, most) = (*sample.values().first()?, *sample.values().last()?);
        let width = (most - least) / MANY as f64;
        if width <= 0.0 || !width.is_finite() {
            return None;
        }
        let mut edges: Vec<f64> = (0..MANY).map(|i| i as f64 * width + least).collect();
        edges.push(most);
        let below = cumulated(&histogram(sample, &edges), sample.len());
        Some(Self { edges, below })
    }

    fn ends(&self) -> (f64, f64) {
        (self.edges[0], self.edges[MANY])
    }

    fn kolmogorov(&self, chunk: &Sample) -> Option<f64> {
        let before = chunk.values().partition_point(|v| *v < self.ends().0) as f64 / chunk.len() as f64;
        let below = cumulated(&histogram(chunk, &self.edges), chunk.len());
        self.below.iter().zip(below).map(|(was, now)| (was - (before + now)).abs()).reduce(f64::max)
    }

    fn wasserstein(&self, chunk: &Sample) -> f64 {
        let (values, n) = (chunk.values(), chunk.len() as f64);
        let (least, most) = self.ends();
        let smaller = &values[..values.partition_point(|v| *v < least)];
        let greater = &values[values.partition_point(|v| *v <= most)..];
        let left = smaller.iter().map(|v| least - v).sum::<f64>() / n;
        let right = greater.iter().map(|v| v - most).sum::<f64>() / n;
        let below = cumulated(&histogram(chunk, &self.edges), chunk.len());
        // The end itself is one of the rows before it.
        let shift = if smaller.is_empty() { 0.0 } else { (smaller.len() + 1) as f64 / n };
        let width = self.edges[1] - self.edges[0];
        let within: f64 = self.below.iter().zip(below).map(|(was, now)| (was - (now + shift)).abs() * width).sum();
        within + left + right
    }
}

fn cumulated(counts: &[u64], rows: usize) -> Vec<f64> {
    let mut sum = 0.0;
    shares(counts, rows as u64)
        .into_iter()
        .map(|share| {
            sum += share;
            sum
        })
        .collect()
}

fn categories(reference: &[u32], current: &[u32], asked: Asked<CategoryTest>) -> Result<Finding, NoFinding> {
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
    let counted = |chunk: &[u32]| {
        let chunk = there(chunk);
        let mut counts = vec![0; base.len()];
        chunk.iter().filter_map(|v| places.get(v)).for_each(|at| counts[*at] += 1);
        (!chunk.is_empty()).then(|| shares(&counts, chunk.len() as u64))
    };
    let compared =
        |method, score: &dyn Fn(&[u32]) -> Option<f64>| by_chunk(method, [reference, current], score, asked.threshold);
    match asked.test {
        CategoryTest::JensenShannon => compared(JENSEN_SHANNON, &|chunk| Some(in_bits(&base, counted(chunk)?))),
        CategoryTest::Hellinger => compared(HELLINGER, &|chunk| Some(with_rest(hellinger, &base, counted(chunk)?))),
        // Each value that the reference lacks is a share of its own.
        CategoryTest::LInfinity => compared("L-Infinity distance", &|chunk| {
            let counts = Counts::of_categories(reference, chunk).ok()?;
            let (n, m) = counts.totals();
            Some(l_infinity(&shares(&counts.reference, n), &shares(&counts.current, m)))
        }),
        CategoryTest::ChiSquare => by_p_value(reference, current, |chunk| {
            let counts = Counts::of_categories(reference, chunk).ok()?;
            Some(contingency(&counts.reference, &counts.current).ok()?.p_value)
        }),
    }
}

/// Of shares, with a bin for what the reference does not have.
fn with_rest(distance: fn(&[f64], &[f64]) -> f64, base: &[f64], mut chunk: Vec<f64>) -> f64 {
    let mut base = base.to_vec();
    let left = 1.0 - chunk.iter().sum::<f64>();
    if left > 0.0 {
        chunk.push(left);
        base.push(0.0);
    }
    distance(&base, &chunk)
}

fn in_bits(base: &[f64], chunk: Vec<f64>) -> f64 {
    with_rest(jensen_shannon, base, chunk) / std::f64::consts::LN_2.sqrt()
}

/// Scores of the chunks; one without values has none.
fn chunks<T>(values: &[T], score: impl Fn(&[T]) -> Option<f64>) -> Vec<f64> {
    values.chunks(values.len() / CHUNKS).map(|chunk| score(chunk).unwrap_or(f64::NAN)).collect()
}

fn enough<T>(reference: &[T], current: &[T]) -> Result<(), NoFinding> {
    let rows = reference.len().min(current.len());
    if rows < CHUNKS { Err(NoFinding::Chunks(rows)) } else { Ok(()) }
}

fn by_chunk<T>(
    method: &'static str,
    [reference, current]: [&[T]; 2],
    score: impl Fn(&[T]) -> Option<f64>,
    constant: Option<f64>,
) -> Result<Finding, NoFinding> {
    enough(reference, current)?;
    let threshold = match constant {
        Some(threshold) => threshold,
        None => thresholds(&chunks(reference, &score)).ok_or(NoFinding::Empty("reference"))?.1,
    };
    let found = chunks(current, &score);
    let Some(score) = found.iter().copied().filter(|d| !d.is_nan()).reduce(f64::max) else {
        return Err(NoFinding::Empty("current data"));
    };
    let since = found.iter().position(|d| *d > threshold);
    Ok(finding(method, (score, threshold), since.map(|at| at * (current.len() / CHUNKS)), found))
}

/// The chunk with the least p-value decides, and the reference's own say nothing.
fn by_p_value<T>(reference: &[T], current: &[T], p_value: impl Fn(&[T]) -> Option<f64>) -> Result<Finding, NoFinding> {
    enough(reference, current)?;
    let found = chunks(current, p_value);
    let Some(score) = found.iter().copied().filter(|p| !p.is_nan()).reduce(f64::min) else {
        return Err(NoFinding::Empty("current data"));
    };
    let since = found.iter().position(|p| *p < LEVEL).map(|at| at * (current.len() / CHUNKS));
    Ok(Finding { kind: Score::PValue, ..finding("Chi2 p_value", (score, LEVEL), since, found) })
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
    enough(reference, current)?;
    let mean_of = |chunk: &[f64]| Some(chunk.iter().sum::<f64>() / chunk.len() as f64);
    let (low, high) = thresholds(&chunks(reference, mean_of)).ok_or(NoFinding::Empty("reference"))?;
    let found = chunks(current, mean_of);
    let (least, most) = found.iter().fold((f64::INFINITY, 0.0), |(a, b), x| (x.min(a), x.max(b)));
    let decides = if low > 0.0 && low - least > most - high { (least, low) } else { (most, high) };
    let since = found.iter().position(|x| *x >= high || low > 0.0 && *x <= low);
    Ok(finding("PCA reconstruction error", decides, since.map(|at| at * (current.len() / CHUNKS)), found))
}
