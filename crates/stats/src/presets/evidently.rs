//! Evidently 0.7.23: `ValueDrift` without a method, on a `Dataset` whose types it inferred.
//!
//! What is odd about it, and kept:
//! - Types are those of the *current* data. Whole numbers with at most ten different values are categories, but not
//!   where one is missing: pandas then makes them floating point. Texts of which more than half differ are prose.
//! - The reference's size alone chooses between p-values and distances.
//! - chi² takes the reference's shares for the truth, so that a value that the reference lacks is drift for certain.
//! - KS drifts at p ≤ 0.05, the others at p < 0.05.
//! - Wasserstein is over the reference's standard deviation divided by n, at least 0.001.
//! - Jensen–Shannon is in nats, over the values as they are: its bins are for more than 20 different numbers, which it
//!   is never asked about.

use super::{Asked, Counts, Finding, NoFinding, Score, Values, Verdict};
use crate::Moments;
use crate::twosample::bins::{Rule, edges, histogram};
use crate::twosample::distance::{fill_zeros, hellinger, jensen_shannon, kullback_leibler, psi, shares};
use crate::twosample::{
    Alternative, NoTest, Sample, anderson_darling, chi_square, cramer_von_mises, energy, epps_singleton, fisher_exact,
    g_test, kolmogorov_smirnov_of, mann_whitney, t_test, total_variation, wasserstein_of, z_proportions,
};
use std::borrow::Cow;

/// Rows of the reference up to which it uses p-values.
pub(super) const SMALL: usize = 1_000;
/// Different numbers up to which they are tested as categories.
const FEW: usize = 5;
/// Different whole numbers up to which a column is one of categories.
const CATEGORIES: usize = 10;
pub(super) const LEVEL: f64 = 0.05;
pub(super) const DISTANCE: f64 = 0.1;

/// A distance of shares that Evidently can be told to take, drift from 0.1 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    /// Population stability index.
    Psi,
    /// Kullback and Leibler's divergence.
    KullbackLeibler,
    /// Jensen and Shannon's distance in nats.
    JensenShannon,
    /// Hellinger's distance.
    Hellinger,
}

/// A test of numbers that Evidently can be told to make, with its own threshold: its `num_stattest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberTest {
    /// Kolmogorov and Smirnov's, drift at p ≤ 0.05.
    KolmogorovSmirnov,
    /// Wasserstein's distance over the reference's standard deviation, drift from 0.1 on.
    Wasserstein,
    /// Anderson and Darling's for two samples, p < 0.1.
    AndersonDarling,
    /// Cramér and von Mises', p ≤ 0.1.
    CramerVonMises,
    /// Epps and Singleton's, p < 0.05.
    EppsSingleton,
    /// Student's for equal variances, p < 0.05.
    TTest,
    /// Mann and Whitney's, which looks for numbers that have become greater, p < 0.05.
    MannWhitney,
    /// Energy distance, above 0.1.
    Energy,
    /// A distance of the shares of bins.
    Apart(Distance),
}

/// A test of categories that Evidently can be told to make, with its own threshold: its `cat_stattest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CategoryTest {
    /// Pearson's, p < 0.05.
    ChiSquare,
    /// The likelihood ratio, p < 0.1. Evidently makes it of as many rows on both sides only.
    G,
    /// Fisher's exact one, of two categories, p < 0.1. Evidently makes it of as many rows on both sides only.
    Fisher,
    /// Of two proportions, p < 0.05. Evidently takes more than two categories for the first and all others.
    Z,
    /// Total variation distance, p < 0.1 of a thousand permutations.
    TotalVariation,
    /// A distance of the shares of categories.
    Apart(Distance),
}

impl NumberTest {
    /// All of them by Evidently's names.
    pub const NAMED: &[(&str, Self)] = &[
        ("ks", Self::KolmogorovSmirnov),
        ("wasserstein", Self::Wasserstein),
        ("anderson", Self::AndersonDarling),
        ("cramer_von_mises", Self::CramerVonMises),
        ("es", Self::EppsSingleton),
        ("t_test", Self::TTest),
        ("mannw", Self::MannWhitney),
        ("ed", Self::Energy),
        ("psi", Self::Apart(Distance::Psi)),
        ("kl_div", Self::Apart(Distance::KullbackLeibler)),
        ("jensenshannon", Self::Apart(Distance::JensenShannon)),
        ("hellinger", Self::Apart(Distance::Hellinger)),
    ];
}

impl CategoryTest {
    /// All of them by Evidently's names.
    pub const NAMED: &[(&str, Self)] = &[
        ("chisquare", Self::ChiSquare),
        ("g_test", Self::G),
        ("fisher_exact", Self::Fisher),
        ("z", Self::Z),
        ("TVD", Self::TotalVariation),
        ("psi", Self::Apart(Distance::Psi)),
        ("kl_div", Self::Apart(Distance::KullbackLeibler)),
        ("jensenshannon", Self::Apart(Distance::JensenShannon)),
        ("hellinger", Self::Apart(Distance::Hellinger)),
    ];
}

/// What Evidently is told to do of columns of numbers and of categories, where it is not to choose.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Told {
    /// Of columns of numbers.
    pub numbers: Option<Asked<NumberTest>>,
    /// Of texts and truth values, and of whole numbers of which there are few.
    pub categories: Option<Asked<CategoryTest>>,
}

/// A test of numbers that it is told to make is made however few different ones there are.
pub(super) fn judge(reference: &Values, current: &Values, told: Told) -> Result<Finding, NoFinding> {
    match (reference, current) {
        (Values::Numbers { values: a, .. }, Values::Numbers { values: b, whole }) => {
            let (finite_a, finite_b) = (finite(a, "reference")?, finite(b, "current data")?);
            let category = *whole && finite_b.len() == b.len() && at_most(CATEGORIES, finite_b.iter());
            let few = || at_most(FEW, finite_a.iter().chain(finite_b.iter()));
            match told.numbers {
                _ if category => categories(&Counts::of_numbers(a, b)?, told.categories),
                None if few() => categories(&Counts::of_numbers(a, b)?, told.categories),
                test => numbers((&finite_a, &finite_b), *whole, test),
            }
        }
        (Values::Categories { values: a, .. }, Values::Categories { values: b, text }) => {
            let counts = Counts::of_categories(a, b)?;
            let different = counts.current.iter().filter(|n| **n > 0).count() as u64;
            if *text && 2 * different > counts.totals().1 {
                return Err(NoFinding::Text);
            }
            categories(&counts, told.categories)
        }
        _ => Err(NoFinding::Kinds),
    }
}

pub(super) fn finding(method: &'static str, kind: Score, score: f64, drifted: bool) -> Finding {
    let threshold = if kind == Score::PValue { LEVEL } else { DISTANCE };
    Finding { method, kind, score, threshold, verdict: Verdict::when(drifted), since: None, chunks: Vec::new() }
}

/// How a test's score is read.
struct Reading {
    method: &'static str,
    kind: Score,
    /// Evidently's own.
    threshold: f64,
    /// Whether the threshold itself is drift.
    reached: bool,
}

/// Drift below this p-value.
const fn below(method: &'static str, threshold: f64) -> Reading {
    Reading { method, kind: Score::PValue, threshold, reached: false }
}

/// Drift at this p-value, and below.
const fn at_most_p(method: &'static str, threshold: f64) -> Reading {
    Reading { method, kind: Score::PValue, threshold, reached: true }
}

/// Drift from this distance on.
const fn from(method: &'static str) -> Reading {
    Reading { method, kind: Score::Distance, threshold: DISTANCE, reached: true }
}

impl Reading {
    fn of(self, score: f64, threshold: Option<f64>) -> Finding {
        let threshold = threshold.unwrap_or(self.threshold);
        let beyond = if self.kind == Score::PValue { score < threshold } else { score > threshold };
        let drifted = beyond || self.reached && score == threshold;
        Finding { threshold, ..finding(self.method, self.kind, score, drifted) }
    }
}

/// The numbers that there are.
fn finite<'a>(values: &'a [f64], side: &'static str) -> Result<Cow<'a, [f64]>, NoFinding> {
    // Without an early end, so that it runs over many at once.
    let all = values.iter().fold(true, |all, v| all & v.is_finite());
    let there: Cow<[f64]> =
        if all { values.into() } else { values.iter().copied().filter(|v| v.is_finite()).collect() };
    if there.is_empty() { Err(NoFinding::Empty(side)) } else { Ok(there) }
}

/// Whether there are no more than `most` different numbers.
fn at_most<'a>(most: usize, mut values: impl Iterator<Item = &'a f64>) -> bool {
    let mut seen: Vec<f64> = Vec::with_capacity(most + 1);
    values.all(|v| {
        if !seen.contains(v) {
            seen.push(*v);
        }
        seen.len() <= most
    })
}

fn numbers(
    (reference, current): (&[f64], &[f64]),
    whole: bool,
    asked: Option<Asked<NumberTest>>,
) -> Result<Finding, NoFinding> {
    let own = if reference.len() <= SMALL { NumberTest::KolmogorovSmirnov } else { NumberTest::Wasserstein };
    let Asked { test, threshold } = asked.unwrap_or(own.into());
    let both = || (Sample::new(reference.to_vec()), Sample::new(current.to_vec()));
    let (reading, score) = match test {
        NumberTest::KolmogorovSmirnov => {
            (at_most_p("K-S p_value", LEVEL), kolmogorov_smirnov_of(reference, current)?.p_value)
        }
        NumberTest::Wasserstein => (from("Wasserstein distance (normed)"), wasserstein(reference, current)?),
        NumberTest::AndersonDarling => {
            let (a, b) = both();
            (below("Anderson-Darling", 0.1), anderson_darling(&a, &b)?.p_value)
        }
        NumberTest::CramerVonMises => {
            let (a, b) = both();
            (at_most_p("Cramer-von Mises", 0.1), cramer_von_mises(&a, &b)?.p_value)
        }
        NumberTest::EppsSingleton => {
            let (a, b) = both();
            (below("Epps-Singleton", LEVEL), epps_singleton(&a, &b)?.p_value)
        }
        NumberTest::TTest => {
            let (a, b) = both();
            (below("t_test", LEVEL), t_test(&a.moments(), &b.moments())?.p_value)
        }
        NumberTest::MannWhitney => {
            let (a, b) = both();
            (below("Mann-Whitney U-rank test", LEVEL), mann_whitney(&a, &b, Alternative::Less)?.p_value)
        }
        NumberTest::Energy => {
            let (a, b) = both();
            (Reading { reached: false, ..from("Energy-distance") }, energy(&a, &b)?)
        }
        NumberTest::Apart(Distance::Hellinger) => apart(Distance::Hellinger, in_bins_of_all(both(), whole)),
        NumberTest::Apart(distance) => apart(distance, binned(both(), whole)),
    };
    Ok(reading.of(score, threshold))
}

fn wasserstein(reference: &[f64], current: &[f64]) -> Result<f64, NoFinding> {
    let n = reference.len() as f64;
    let mut moments = Moments::default();
    moments.extend(reference);
    let deviation = moments.variance().map_or(0.0, |v| v * (n - 1.0) / n).sqrt();
    Ok(wasserstein_of(reference, current)? / deviation.max(0.001))
}

/// Shares in Sturges' bins over both, or by value where the reference has no more than 20 different ones.
fn binned((a, b): (Sample, Sample), whole: bool) -> [Vec<f64>; 2] {
    if a.distinct() > 20 {
        return in_bins((&a, &b), &edges(&[&a, &b], Rule::Sturges, whole));
    }
    let mut counts = [Vec::new(), Vec::new()];
    let (mut left, mut right) = (a.values(), b.values());
    while let Some(value) = [left.first(), right.first()].into_iter().flatten().copied().min_by(f64::total_cmp) {
        for (rest, counts) in [&mut left, &mut right].into_iter().zip(&mut counts) {
            let same = rest.partition_point(|v| *v <= value);
            counts.push(same as u64);
            *rest = &rest[same..];
        }
    }
    let [was, now] = &counts;
    [shares(was, a.len() as u64), shares(now, b.len() as u64)]
}

fn in_bins((a, b): (&Sample, &Sample), edges: &[f64]) -> [Vec<f64>; 2] {
    [a, b].map(|side| shares(&histogram(side, edges), side.len() as u64))
}

/// Shares in as many bins as the different values of both ask for: its Hellinger distance takes them for the sample.
fn in_bins_of_all((a, b): (Sample, Sample), whole: bool) -> [Vec<f64>; 2] {
    let mut all: Vec<f64> = a.values().iter().chain(b.values()).copied().collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    in_bins((&a, &b), &edges(&[&Sample::new(all)], Rule::Sturges, whole))
}

/// A distance of shares. None of a divergence's is zero: what a side lacks it has once in ten thousand, or less.
fn apart(distance: Distance, [mut p, mut q]: [Vec<f64>; 2]) -> (Reading, f64) {
    if matches!(distance, Distance::Psi | Distance::KullbackLeibler) {
        fill_zeros(&mut p);
        fill_zeros(&mut q);
    }
    let (method, score) = match distance {
        Distance::Psi => ("PSI", psi(&p, &q)),
        Distance::KullbackLeibler => ("Kullback-Leibler divergence", kullback_leibler(&p, &q)),
        Distance::JensenShannon => ("Jensen-Shannon distance", jensen_shannon(&p, &q)),
        Distance::Hellinger => ("Hellinger distance", hellinger(&p, &q)),
    };
    (from(method), score)
}

fn categories(counts: &Counts, asked: Option<Asked<CategoryTest>>) -> Result<Finding, NoFinding> {
    let (n, m) = counts.totals();
    let (was, now) = (&counts.reference, &counts.current);
    let own = match counts.distinct() {
        _ if n as usize > SMALL => CategoryTest::Apart(Distance::JensenShannon),
        3.. => CategoryTest::ChiSquare,
        _ => CategoryTest::Z,
    };
    let Asked { test, threshold } = asked.unwrap_or(own.into());
    let (reading, score) = match test {
        CategoryTest::ChiSquare => (below("chi-square p_value", LEVEL), chi_square(was, now)?.p_value),
        CategoryTest::G => (below("g_test", 0.1), g_test(was, now)?.p_value),
        CategoryTest::Fisher => (below("Fisher's Exact test", 0.1), fisher(was, now)?),
        CategoryTest::Z => (below("Z-test p_value", LEVEL), z((was, n), (now, m))?),
        CategoryTest::TotalVariation => (below("Total-Variation-Distance", 0.1), total_variation(was, now)?.p_value),
        CategoryTest::Apart(by) => apart(by, [shares(was, n), shares(now, m)]),
    };
    Ok(reading.of(score, threshold))
}

/// One category on both sides is two of which the other is not there.
fn fisher(reference: &[u64], current: &[u64]) -> Result<f64, NoFinding> {
    if reference.len() < 2 { Ok(1.0) } else { Ok(fisher_exact(reference, current)?.p_value) }
}

fn z((was, n): (&[u64], u64), (now, m): (&[u64], u64)) -> Result<f64, NoFinding> {
    if was.len() > 2 {
        return Err(NoTest::Categories(was.len()).into());
    }
    match z_proportions((was[0], n), (now[0], m)) {
        Ok(test) => Ok(test.p_value),
        Err(NoTest::NoSpread) => Ok(1.0),
        Err(other) => Err(other.into()),
    }
}
