//! What each preset makes of rows that a classifier tells apart, and of vectors.
//!
//! Evidently's numbers are its defaults: of texts and vectors an area above 0.55, or, with a small reference, above the
//! 95th percentile of an area by chance; 0.2 of a distance or a share, 0.015 of `mmd`. Its classifier is another (SGD on
//! one half of the rows, as ours tested on the other), so that areas differ by chance; percentiles come from a formula
//! here, from 1,000 draws there. `NannyML` alerts above 0.65, whose classifier is boosted trees on each chunk.

use super::{Finding, NoFinding, Preset, Score, Verdict};
use crate::multivariate::{Apart, COMPONENT, Dense, Distance, LEAST, Means, Vectors, apart, drawn, mmd, ratio};
use crate::stream::Coin;
use crate::twosample::NoTest;
use std::str::FromStr;

/// Evidently's area of texts and vectors.
const AREA: f64 = 0.55;
/// Its percentile of areas by chance.
const PERCENTILE: f64 = 0.95;
/// Texts of the reference up to which it takes the percentile; vectors fewer than which.
const SMALL: usize = 1_000;
/// `NannyML`'s area of a table.
const TREES: f64 = 0.65;
/// Evidently's thresholds of vectors.
const DISTANCE: f64 = 0.2;
const RATIO: f64 = 0.2;
/// Standard errors that two means may be apart by chance.
const ERRORS: f64 = 3.0;
const MMD: f64 = 0.015;
/// Vectors of a side whose kernel is made.
const KERNEL: usize = 1_000;
/// Vectors of a side that are kept, and components of them all.
const VECTORS: usize = 2_000;
const CELLS: usize = 4_000_000;
/// Ways to deal vectors out, at most.
const DRAWS: f64 = 10_000.0;

/// What the preset makes of a classifier's area; `reference` is how many rows the reference has, `level` the error rate of
/// [`Preset::Sequential`].
///
/// # Errors
/// [`NoFinding::Untested`] for whylogs.
pub fn classified(preset: Preset, found: &Apart, reference: usize, level: f64) -> Result<Finding, NoFinding> {
    area(preset, found, reference <= SMALL, level)
}

fn area(preset: Preset, found: &Apart, small: bool, level: f64) -> Result<Finding, NoFinding> {
    let area = found.auc.area;
    let judged = |kind, score, threshold, drifted| Finding {
        method: "classifier on held-out rows",
        kind,
        score,
        threshold,
        verdict: Verdict::when(drifted),
        since: None,
        chunks: Vec::new(),
    };
    let above = |threshold| judged(Score::Auc, area, threshold, area > threshold);
    match preset {
        Preset::Evidently if small => Ok(above(found.chance(PERCENTILE))),
        Preset::Evidently => Ok(above(AREA)),
        Preset::NannyMl => Ok(above(TREES)),
        Preset::Whylogs => Err(untested(preset, "whole rows")),
        Preset::Sequential => Ok(judged(Score::PValue, found.p_value, level, found.p_value <= level)),
    }
}

/// How vectors are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VectorTest {
    /// A classifier.
    #[default]
    Model,
    /// Maximum mean discrepancy.
    Mmd,
    /// The share of components that have drifted.
    Ratio,
    /// The distance of the means.
    Distance(Distance),
}

impl FromStr for VectorTest {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "model" => Ok(Self::Model),
            "mmd" => Ok(Self::Mmd),
            "ratio" => Ok(Self::Ratio),
            other => other.parse().map(Self::Distance).map_err(|_| {
                format!("{text:?} is none of model, mmd, ratio, euclidean, cosine, cityblock and chebyshev")
            }),
        }
    }
}

/// Vectors of one side, all of one length: their mean, and some of them by chance.
#[derive(Debug, Clone)]
pub struct Side {
    means: Means,
    drawn: Vectors,
    coin: Coin,
}

impl Side {
    /// Of no vectors. The same `seed` draws the same.
    pub fn new(seed: u64) -> Self {
        Self { means: Means::default(), drawn: Vectors::default(), coin: Coin::new(seed) }
    }

    /// Adds a vector. Up to 2,000 are kept, or as many as have four million components; then each of all has the same
    /// chance (Vitter's algorithm R, 1985).
    pub fn push(&mut self, vector: &[f64]) {
        self.means.push(vector);
        let room = VECTORS.min(CELLS / vector.len().max(1)).max(1);
        if self.drawn.len() < room {
            self.drawn.push(vector);
        } else {
            let at = self.coin.below(self.means.count()) as usize;
            self.drawn.replace(at, vector);
        }
    }

    /// The mean of all.
    pub fn means(&self) -> &Means {
        &self.means
    }

    /// Those that are kept.
    pub fn drawn(&self) -> &Vectors {
        &self.drawn
    }
}

/// What the preset says of vectors, the reference's first; with what a classifier found, where it decides.
/// [`Preset::Sequential`] needs a test with a p-value, whose error rate is `level`.
///
/// # Errors
/// [`NoFinding`] where there is no answer.
pub fn vectors(
    preset: Preset,
    test: VectorTest,
    sides: &[Side; 2],
    (level, seed): (f64, u64),
) -> Result<(Finding, Option<Apart>), NoFinding> {
    let [a, b] = sides.each_ref().map(|side| &side.drawn);
    for (side, name) in [(a, "reference"), (b, "current data")] {
        if side.is_empty() {
            return Err(NoFinding::Empty(name));
        }
    }
    if a.width() != b.width() {
        return Err(NoTest::Lengths(b.width(), a.width()).into());
    }
    match (preset, test) {
        (Preset::NannyMl | Preset::Whylogs, _) => Err(untested(preset, "vectors")),
        (Preset::Sequential, VectorTest::Ratio | VectorTest::Distance(_)) => Err(NoFinding::Level),
        (_, VectorTest::Model) => {
            let mut rows = Dense::new(a.width(), a.rows().chain(b.rows()).flatten().copied().collect());
            rows.standardize();
            let found = apart(&rows, [a.len(), b.len()], seed)?;
            let small = sides[0].means.count() < SMALL as u64;
            Ok((area(preset, &found, small, level)?, Some(found)))
        }
        (_, VectorTest::Mmd) => {
            let found = mmd(&few(a, seed), &few(b, seed))?;
            let (kind, score, threshold) = if preset == Preset::Evidently {
                (Score::Distance, found.squared.max(0.0), MMD)
            } else {
                (Score::PValue, found.p_value((2.0 / level).clamp(200.0, DRAWS) as u32, seed), level)
            };
            Ok((by("mmd", kind, score, threshold), None))
        }
        (_, VectorTest::Ratio) => Ok((by("ratio", Score::Distance, ratio(a, b)?, RATIO), None)),
        (_, VectorTest::Distance(kind)) => {
            let [a, b] = sides.each_ref().map(|side| side.means.mean());
            Ok((by(kind.as_str(), Score::Distance, kind.between(&a, &b), DISTANCE), None))
        }
    }
}

/// What is kept of the vectors of a side of which there are no rows: of each component its mean and standard deviation.
#[derive(Debug, Clone, Copy)]
pub struct Components<'a> {
    /// Vectors.
    pub count: u64,
    /// Mean of each component.
    pub means: &'a [f64],
    /// Standard deviation of each, divided by n − 1.
    pub deviations: &'a [f64],
}

/// Compares vectors of which only the means and spreads of their components are known: the share of components whose means are
/// a tenth of the reference's deviation apart, beyond three standard errors. That is never more than [`VectorTest::Ratio`] finds of
/// the rows, since means are no further apart than the distributions that they are of.
///
/// # Errors
/// [`NoFinding`] where there is no answer.
pub fn components(preset: Preset, reference: Components, current: Components) -> Result<Finding, NoFinding> {
    if preset != Preset::Evidently {
        return Err(untested(preset, "vectors"));
    }
    for (side, name) in [(reference, "reference"), (current, "current data")] {
        if side.count == 0 {
            return Err(NoFinding::Empty(name));
        }
    }
    if reference.means.len() != current.means.len() {
        return Err(NoTest::Lengths(current.means.len(), reference.means.len()).into());
    }
    let (n, m) = (reference.count as f64, current.count as f64);
    let sides = reference.means.iter().zip(reference.deviations).zip(current.means.iter().zip(current.deviations));
    let moved = sides.filter(|((before, spread), (now, other))| {
        let chance = ERRORS * (*spread * *spread / n + *other * *other / m).sqrt();
        ((*before - *now).abs() - chance) / spread.max(LEAST) >= COMPONENT
    });
    let share = moved.count() as f64 / reference.means.len().max(1) as f64;
    Ok(by("ratio of means", Score::Distance, share, RATIO))
}

fn untested(preset: Preset, what: &'static str) -> NoFinding {
    NoFinding::Untested { profile: preset.as_str(), what }
}

fn by(method: &'static str, kind: Score, score: f64, threshold: f64) -> Finding {
    let drifted = if kind == Score::PValue { score <= threshold } else { score > threshold };
    Finding { method, kind, score, threshold, verdict: Verdict::when(drifted), since: None, chunks: Vec::new() }
}

fn few(side: &Vectors, seed: u64) -> Vectors {
    let chosen = drawn(side.len(), KERNEL, seed);
    Vectors::new(side.width(), chosen.into_iter().flat_map(|row| side.row(row).to_vec()).collect())
}
