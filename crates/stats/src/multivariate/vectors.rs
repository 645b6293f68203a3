//! Vectors of one length, such as embeddings: how far two sets of them are apart, as Evidently 0.7 measures it.

use crate::stream::Coin;
use crate::twosample::{NoTest, Sample, wasserstein};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// From which distance over the reference's deviation on a component has drifted.
pub(crate) const COMPONENT: f64 = 0.1;
/// The least deviation that such a distance is divided by.
pub(crate) const LEAST: f64 = 0.001;
/// Draws beyond the observed value after which a p-value is certain enough not to be small (Besag and Clifford 1991).
const ENOUGH: u32 = 20;

/// How two mean vectors are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distance {
    /// The length of their difference.
    Euclidean,
    /// 1 less the cosine of the angle between them.
    Cosine,
    /// The sum of the components' differences.
    Cityblock,
    /// The greatest of them.
    Chebyshev,
}

impl Distance {
    const ALL: [Self; 4] = [Self::Euclidean, Self::Cosine, Self::Cityblock, Self::Chebyshev];

    /// Its name in scipy.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Euclidean => "euclidean",
            Self::Cosine => "cosine",
            Self::Cityblock => "cityblock",
            Self::Chebyshev => "chebyshev",
        }
    }

    /// Between two vectors of one length. The angle to a vector of length 0 is no number.
    pub fn between(self, a: &[f64], b: &[f64]) -> f64 {
        let gaps = a.iter().zip(b).map(|(x, y)| (x - y).abs());
        match self {
            Self::Euclidean => gaps.map(|d| d * d).sum::<f64>().sqrt(),
            Self::Cityblock => gaps.sum(),
            Self::Chebyshev => gaps.fold(0.0, f64::max),
            Self::Cosine => {
                let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
                (1.0 - product(a, b) / (product(a, a) * product(b, b)).sqrt()).max(0.0)
            }
        }
    }
}

impl FromStr for Distance {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|d| d.as_str() == text)
            .ok_or_else(|| format!("{text:?} is none of euclidean, cosine, cityblock and chebyshev"))
    }
}

/// The mean of vectors, in one pass.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Means {
    count: u64,
    sums: Vec<f64>,
}

impl Means {
    /// Adds a vector; all have one length.
    pub fn push(&mut self, vector: &[f64]) {
        self.sums.resize(vector.len().max(self.sums.len()), 0.0);
        self.count += 1;
        self.sums.iter_mut().zip(vector).for_each(|(sum, x)| *sum += x);
    }

    /// Adds the vectors that another has seen.
    pub fn merge(&mut self, other: &Self) {
        self.sums.resize(other.sums.len().max(self.sums.len()), 0.0);
        self.count += other.count;
        self.sums.iter_mut().zip(&other.sums).for_each(|(sum, x)| *sum += x);
    }

    /// Vectors seen.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The mean; empty when none was seen.
    pub fn mean(&self) -> Vec<f64> {
        self.sums.iter().map(|sum| sum / self.count as f64).collect()
    }
}

/// Vectors of one length.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Vectors {
    width: usize,
    cells: Vec<f64>,
}

impl Vectors {
    /// Vectors of `width` components, one after the other.
    pub fn new(width: usize, cells: Vec<f64>) -> Self {
        Self { width, cells }
    }

    /// Adds one; the first says how long they are.
    pub fn push(&mut self, vector: &[f64]) {
        self.width = if self.cells.is_empty() { vector.len() } else { self.width };
        self.cells.extend(vector);
    }

    /// Puts another in the place of the one at `at`; nothing beyond the last.
    pub fn replace(&mut self, at: usize, vector: &[f64]) {
        if let Some(there) = self.cells.get_mut(at * self.width..(at + 1) * self.width) {
            there.copy_from_slice(vector);
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.cells.len() / self.width.max(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many components each has.
    pub fn width(&self) -> usize {
        self.width
    }

    /// One after the other.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f64]> + Clone {
        self.cells.chunks_exact(self.width.max(1))
    }

    /// The vector at `at`; empty beyond the last.
    pub fn row(&self, at: usize) -> &[f64] {
        self.cells.get(at * self.width..(at + 1) * self.width).unwrap_or_default()
    }

    fn component(&self, at: usize) -> Sample {
        Sample::new(self.cells.iter().skip(at).step_by(self.width.max(1)).copied().collect())
    }
}

/// The share of components whose Wasserstein distance, over the reference's deviation, is 0.1 or more: Evidently's
/// `ratio`.
///
/// # Errors
/// [`NoTest`] when a side is empty, or the lengths differ.
pub fn ratio(reference: &Vectors, current: &Vectors) -> Result<f64, NoTest> {
    alike(reference, current, 1)?;
    let mut drifted = 0;
    for at in 0..reference.width {
        let (a, b) = (reference.component(at), current.component(at));
        let n = a.len() as f64;
        let deviation = a.moments().variance().map_or(0.0, |v| v * (n - 1.0) / n).sqrt();
        drifted += usize::from(wasserstein(&a, &b)? / deviation.max(LEAST) >= COMPONENT);
    }
    Ok(drifted as f64 / reference.width as f64)
}

fn alike(reference: &Vectors, current: &Vectors, need: usize) -> Result<(), NoTest> {
    let have = reference.len().min(current.len());
    match () {
        () if have < need => Err(NoTest::TooFew { have, need }),
        () if reference.width != current.width => Err(NoTest::Lengths(current.width, reference.width)),
        () => Ok(()),
    }
}

/// Gretton's maximum mean discrepancy (2012): which of all smooth functions differs most in its mean.
#[derive(Debug, Clone)]
pub struct Discrepancy {
    /// The unbiased estimate of its square, which may be below 0.
    pub squared: f64,
    /// The kernel between each two vectors, those of the reference first; 0 between a vector and itself.
    kernel: Vec<f64>,
    sizes: [usize; 2],
}

/// With the kernel exp(−d²/s²), where s is the median distance between a vector of the reference and a current one:
/// Evidently's `mmd`, which uses at most 1,000 vectors of a side for the median. Time and memory grow with the square
/// of the vectors: 8 bytes for each two.
///
/// # Errors
/// [`NoTest`] when a side has fewer than two vectors, their lengths differ, or half of all distances are 0.
pub fn mmd(reference: &Vectors, current: &Vectors) -> Result<Discrepancy, NoTest> {
    alike(reference, current, 2)?;
    let sizes = [reference.len(), current.len()];
    let all: Vec<&[f64]> = reference.rows().chain(current.rows()).collect();
    let n = all.len();
    let mut kernel = vec![0.0; n * n];
    for (i, a) in all.iter().enumerate() {
        for (j, b) in all.iter().enumerate().take(i) {
            let squared = gap(a, b);
            kernel[i * n + j] = squared;
            kernel[j * n + i] = squared;
        }
    }
    let mut across: Vec<f64> = (0..sizes[0]).flat_map(|i| kernel[i * n + sizes[0]..(i + 1) * n].to_vec()).collect();
    let width = median(&mut across);
    if width <= 0.0 || width.is_nan() {
        return Err(NoTest::NoSpread);
    }
    for (at, cell) in kernel.iter_mut().enumerate() {
        *cell = if at / n == at % n { 0.0 } else { (-*cell / width).exp() };
    }
    let mut found = Discrepancy { squared: 0.0, kernel, sizes };
    let sums = found.row_sums();
    let members: Vec<usize> = (0..sizes[0]).collect();
    found.squared = found.of(&members, &sums, sums.iter().sum());
    Ok(found)
}

/// The squared distance.
fn gap(a: &[f64], b: &[f64]) -> f64 {
    let mut parts = [0.0; 8];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (x, y) in a.iter().zip(b) {
        for (part, (x, y)) in parts.iter_mut().zip(x.iter().zip(y)) {
            *part += (x - y) * (x - y);
        }
    }
    parts.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(x, y)| (x - y) * (x - y)).sum::<f64>()
}

/// The square of the median distance, of squared ones: between two in the middle their mean before it is squared.
fn median(squared: &mut [f64]) -> f64 {
    let half = squared.len() / 2;
    let (before, middle, _) = squared.select_nth_unstable_by(half, f64::total_cmp);
    let upper = middle.sqrt();
    let lower = before.iter().copied().fold(0.0, f64::max).sqrt();
    if squared.len() % 2 == 1 { upper * upper } else { f64::midpoint(lower, upper).powi(2) }
}

impl Discrepancy {
    /// Probability of such a discrepancy or a greater one, had both sides one distribution: from so many ways to deal
    /// the vectors out to the sides, or as many as it takes to see that it is not small. Exact: of all levels, none is
    /// exceeded more often than it says. With all draws, the least that it can be is 1/(`draws` + 1).
    pub fn p_value(&self, draws: u32, seed: u64) -> f64 {
        let n = self.sizes[0] + self.sizes[1];
        let sums = self.row_sums();
        let total = sums.iter().sum();
        let mut coin = Coin::new(seed);
        let mut members: Vec<usize> = (0..n).collect();
        let mut beyond = 0;
        for draw in 1..=draws {
            for i in 0..self.sizes[0] {
                members.swap(i, i + coin.below((n - i) as u64) as usize);
            }
            // What is equal but for rounding counts as beyond.
            if self.of(&members[..self.sizes[0]], &sums, total) >= self.squared - 1e-12 {
                beyond += 1;
                if beyond == ENOUGH {
                    return f64::from(beyond) / f64::from(draw);
                }
            }
        }
        f64::from(beyond + 1) / f64::from(draws + 1)
    }

    fn row_sums(&self) -> Vec<f64> {
        self.kernel.chunks_exact(self.sizes[0] + self.sizes[1]).map(|row| row.iter().sum()).collect()
    }

    /// If `members` were the reference.
    fn of(&self, members: &[usize], sums: &[f64], total: f64) -> f64 {
        let all = self.sizes[0] + self.sizes[1];
        let (n, m) = (self.sizes[0] as f64, self.sizes[1] as f64);
        let within: f64 = members
            .iter()
            .map(|i| {
                let row = &self.kernel[i * all..(i + 1) * all];
                members.iter().map(|j| row[*j]).sum::<f64>()
            })
            .sum();
        let across = members.iter().map(|i| sums[*i]).sum::<f64>() - within;
        let others = total - within - 2.0 * across;
        within / (n * (n - 1.0)) + others / (m * (m - 1.0)) - 2.0 * across / (n * m)
    }
}
