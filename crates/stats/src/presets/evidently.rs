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

use super::{Counts, Finding, NoFinding, Score, Tests, Values, Verdict};
use crate::Moments;
use crate::twosample::bins::{Rule, edges, histogram};
use crate::twosample::distance::{fill_zeros, hellinger, jensen_shannon, kullback_leibler, psi, shares};
use crate::twosample::{
    Alternative, NoTest, Sample, anderson_darling, chi_square, cramer_von_mises, energy, epps_singleton,
    kolmogorov_smirnov_of, mann_whitney, t_test, wasserstein_of, z_proportions,
};
use std::borrow::Cow;
use std::str::FromStr;

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
        ("psi", Self::Apart(Distance::Psi)),
        ("kl_div", Self::Apart(Distance::KullbackLeibler)),
        ("jensenshannon", Self::Apart(Distance::JensenShannon)),
        ("hellinger", Self::Apart(Distance::Hellinger)),
    ];
}

impl FromStr for NumberTest {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        by_name(text, Self::NAMED)
    }
}

impl FromStr for CategoryTest {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        by_name(text, Self::NAMED)
    }
}

fn by_name<T: Copy>(text: &str, named: &[(&str, T)]) -> Result<T, String> {
    let found = named.iter().find(|(name, _)| *name == text);
    found.map(|(_, test)| *test).ok_or_else(|| {
        let names: Vec<&str> = named.iter().map(|(name, _)| *name).collect();
        format!("{text:?} is no such test; there are {}", names.join(", "))
    })
}

/// A test of numbers that it is told to make is made however few different ones there are.
pub(super) fn judge(reference: &Values, current: &Values, tests: Tests) -> Result<Finding, NoFinding> {
    match (reference, current) {
        (Values::Numbers { values: a, .. }, Values::Numbers { values: b, whole }) => {
            let (finite_a, finite_b) = (finite(a, "reference")?, finite(b, "current data")?);
            let category = *whole && finite_b.len() == b.len() && at_most(CATEGORIES, finite_b.iter());
            let few = || at_most(FEW, finite_a.iter().chain(finite_b.iter()));
            match tests.numbers {
                _ if category => categories(&Counts::of_numbers(a, b)?, tests.categories),
                None if few() => categories(&Counts::of_numbers(a, b)?, tests.categories),
                test => numbers((&finite_a, &finite_b), *whole, test),
            }
        }
        (Values::Categories { values: a, .. }, Values::Categories { values: b, text }) => {
            let counts = Counts::of_categories(a, b)?;
            let different = counts.current.iter().filter(|n| **n > 0).count() as u64;
            if *text && 2 * different > counts.totals().1 {
                return Err(NoFinding::Text);
            }
            categories(&counts, tests.categories)
        }
        _ => Err(NoFinding::Kinds),
    }
}

pub(super) fn finding(method: &'static str, kind: Score, score: f64, drifted: bool) -> Finding {
    let threshold = if kind == Score::PValue { LEVEL } else { DISTANCE };
    Finding { method, kind, score, threshold, verdict: Verdict::when(drifted), since: None, chunks: Vec::new() }
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

/// A finding with a threshold of its own.
fn beyond(method: &'static str, kind: Score, (score, threshold): (f64, f64), drifted: bool) -> Finding {
    Finding { threshold, ..finding(method, kind, score, drifted) }
}

fn numbers(
    (reference, current): (&[f64], &[f64]),
    whole: bool,
    test: Option<NumberTest>,
) -> Result<Finding, NoFinding> {
    let own = if reference.len() <= SMALL { NumberTest::KolmogorovSmirnov } else { NumberTest::Wasserstein };
    let both = || (Sample::new(reference.to_vec()), Sample::new(current.to_vec()));
    let below = |method, p, level| beyond(method, Score::PValue, (p, level), p < level);
    Ok(match test.unwrap_or(own) {
        NumberTest::KolmogorovSmirnov => {
            let p = kolmogorov_smirnov_of(reference, current)?.p_value;
            finding("K-S p_value", Score::PValue, p, p <= LEVEL)
        }
        NumberTest::Wasserstein => wasserstein(reference, current)?,
        NumberTest::AndersonDarling => {
            let (a, b) = both();
            below("Anderson-Darling", anderson_darling(&a, &b)?.p_value, 0.1)
        }
        NumberTest::CramerVonMises => {
            let (a, b) = both();
            let p = cramer_von_mises(&a, &b)?.p_value;
            beyond("Cramer-von Mises", Score::PValue, (p, 0.1), p <= 0.1)
        }
        NumberTest::EppsSingleton => {
            let (a, b) = both();
            below("Epps-Singleton", epps_singleton(&a, &b)?.p_value, LEVEL)
        }
        NumberTest::TTest => {
            let (a, b) = both();
            below("t_test", t_test(&a.moments(), &b.moments())?.p_value, LEVEL)
        }
        NumberTest::MannWhitney => {
            let (a, b) = both();
            below("Mann-Whitney U-rank test", mann_whitney(&a, &b, Alternative::Less)?.p_value, LEVEL)
        }
        NumberTest::Energy => {
            let (a, b) = both();
            let distance = energy(&a, &b)?;
            finding("Energy-distance", Score::Distance, distance, distance > DISTANCE)
        }
        NumberTest::Apart(Distance::Hellinger) => apart(Distance::Hellinger, in_bins_of_all(both(), whole)),
        NumberTest::Apart(distance) => apart(distance, binned(both(), whole)),
    })
}

fn wasserstein(reference: &[f64], current: &[f64]) -> Result<Finding, NoFinding> {
    let n = reference.len() as f64;
    let mut moments = Moments::default();
    moments.extend(reference);
    let deviation = moments.variance().map_or(0.0, |v| v * (n - 1.0) / n).sqrt();
    let distance = wasserstein_of(reference, current)? / deviation.max(0.001);
    Ok(finding("Wasserstein distance (normed)", Score::Distance, distance, distance >= DISTANCE))
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
fn apart(distance: Distance, [mut p, mut q]: [Vec<f64>; 2]) -> Finding {
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
    finding(method, Score::Distance, score, score >= DISTANCE)
}

fn categories(counts: &Counts, test: Option<CategoryTest>) -> Result<Finding, NoFinding> {
    let (n, m) = counts.totals();
    let own = match counts.distinct() {
        _ if n as usize > SMALL => Some(CategoryTest::Apart(Distance::JensenShannon)),
        3.. => Some(CategoryTest::ChiSquare),
        _ => None,
    };
    match test.or(own) {
        Some(CategoryTest::Apart(by)) => {
            return Ok(apart(by, [shares(&counts.reference, n), shares(&counts.current, m)]));
        }
        Some(CategoryTest::ChiSquare) => {
            let p = chi_square(&counts.reference, &counts.current)?.p_value;
            return Ok(finding("chi-square p_value", Score::PValue, p, p < LEVEL));
        }
        None => {}
    }
    let p = match z_proportions((counts.reference[0], n), (counts.current[0], m)) {
        Ok(test) => test.p_value,
        Err(NoTest::NoSpread) => 1.0,
        Err(other) => return Err(other.into()),
    };
    Ok(finding("Z-test p_value", Score::PValue, p, p < LEVEL))
}
