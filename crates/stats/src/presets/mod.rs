//! Which test a column gets, and what counts as drift: the choices of other tools, and ours.
//!
//! | preset | numbers | categories | drift |
//! |---|---|---|---|
//! | [`Preset::Evidently`] | KS, or Wasserstein above 1,000 rows; few values as categories | chi² or Z, or Jensen–Shannon above 1,000 rows | p < 0.05, distance ≥ 0.1 |
//! | [`Preset::NannyMl`] | Jensen–Shannon in bits, Doane's bins, by chunk | the same by value | above mean + 3 σ of the reference's own chunks |
//! | [`Preset::Whylogs`] | KS at 100 quantiles | chi² of frequent items | p < 0.05; below 0.15 possible |
//! | [`Preset::Sequential`] | conformal martingale on quantile bins | the same on hashed values | e-value ≥ 1/α, at any time |
//!
//! The first three reproduce what the tools do, with what is odd about it; each file says what that is.

mod apart;
pub mod evidently;
pub mod nannyml;
mod sequential;
mod sketched;
mod whylogs;

#[cfg(test)]
mod tests;

pub use apart::{Components, Side, VectorTest, classified, components, vectors};
pub use nannyml::reconstruction;
pub use sequential::{Calibration, sequential};
pub use sketched::{Sketched, judge_sketched};

use crate::twosample::{NoTest, Sample};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::str::FromStr;

/// Stands for a category that is missing.
pub const MISSING: u32 = u32::MAX;

/// A column's values, a row each.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Numbers; what is missing is NaN.
    Numbers {
        /// A row each.
        values: Vec<f64>,
        /// Whether its type is of whole numbers.
        whole: bool,
    },
    /// Values by their number in a list that reference and current share; what is missing is [`MISSING`].
    Categories {
        /// A row each.
        values: Vec<u32>,
        /// Whether they are texts, not truth values.
        text: bool,
    },
}

impl Values {
    /// Rows, those with missing values too.
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers { values, .. } => values.len(),
            Self::Categories { values, .. } => values.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Whose choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Evidently 0.7.
    Evidently,
    /// NannyML 0.13.
    NannyMl,
    /// whylogs 1.6.
    Whylogs,
    /// Our own.
    Sequential,
}

impl Preset {
    /// Its name: `evidently`, `nannyml`, `whylogs`, `sequential`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Evidently => "evidently",
            Self::NannyMl => "nannyml",
            Self::Whylogs => "whylogs",
            Self::Sequential => "sequential",
        }
    }
}

impl FromStr for Preset {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Evidently, Self::NannyMl, Self::Whylogs, Self::Sequential]
            .into_iter()
            .find(|p| p.as_str() == text)
            .ok_or_else(|| format!("{text:?} is none of evidently, nannyml, whylogs and sequential"))
    }
}

/// What a column's score is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Score {
    /// A probability: drift where it is small.
    PValue,
    /// A distance: drift where it is large.
    Distance,
    /// A wealth: drift where it is large.
    EValue,
    /// The area under a classifier's ROC curve: drift where it is large; 0.5 is chance.
    Auc,
}

/// Whether a column has drifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It has not, as far as can be seen.
    Steady,
    /// Perhaps.
    Possible,
    /// It has.
    Drift,
}

impl Verdict {
    fn when(drifted: bool) -> Self {
        if drifted { Self::Drift } else { Self::Steady }
    }
}

/// What a preset says of a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Its test, in words.
    pub method: &'static str,
    /// What the score is.
    pub kind: Score,
    /// The number that decides; of chunks the greatest.
    pub score: f64,
    /// With what it was compared.
    pub threshold: f64,
    /// What follows.
    pub verdict: Verdict,
    /// The row of the current data, from 0, at which it was sure, where the test reads rows in order; of chunks, the
    /// first row of the first that alerts.
    pub since: Option<u64>,
    /// Scores of the current data's chunks in their order, where the test works by chunk.
    pub chunks: Vec<f64>,
}

/// Why a column has no finding.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NoFinding {
    /// No value on one side.
    #[error("the {0} has no values in it")]
    Empty(&'static str),
    /// One side has numbers, the other categories.
    #[error("it holds numbers on one side and categories on the other")]
    Kinds,
    /// The tool uses a classifier there.
    #[error("its texts are nearly all different, which this preset would judge by a trained classifier")]
    Text,
    /// Only sketches are there.
    #[error("{0} reads rows, of which a profile keeps sketches only")]
    Rows(&'static str),
    /// Fewer rows than chunks.
    #[error("{0} rows are too few for 10 chunks")]
    Chunks(usize),
    /// The tool has no such test.
    #[error("the profile {profile} has no test of {what}")]
    Untested {
        /// The preset's name.
        profile: &'static str,
        /// Of what.
        what: &'static str,
    },
    /// The preset needs a test with a p-value.
    #[error("the profile sequential needs a test of vectors with a p-value: model or mmd")]
    Level,
    /// The test has no answer.
    #[error(transparent)]
    Test(#[from] NoTest),
}

/// Asks the preset about a column. `level` is the error rate of [`Preset::Sequential`] for this column.
///
/// # Errors
/// [`NoFinding`] where it has no answer.
pub fn judge(preset: Preset, reference: &Values, current: &Values, level: f64) -> Result<Finding, NoFinding> {
    match preset {
        Preset::Evidently => evidently::judge(reference, current, evidently::Told::default()),
        Preset::NannyMl => nannyml::judge(reference, current, nannyml::Told::default()),
        Preset::Whylogs => whylogs::judge(reference, current),
        Preset::Sequential => sequential::judge(reference, current, level),
    }
}

/// A test that is asked for, and where it calls drift: as the tool does, if nothing is said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Asked<T> {
    /// Which.
    pub test: T,
    /// A p-value below which, or a distance above which, there is drift.
    pub threshold: Option<f64>,
}

impl<T> From<T> for Asked<T> {
    fn from(test: T) -> Self {
        Self { test, threshold: None }
    }
}

/// Tests that are asked for in the place of a tool's choices, where it can be told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tests {
    /// Evidently's.
    Evidently(evidently::Told),
    /// NannyML's.
    NannyMl(nannyml::Told),
}

impl Tests {
    /// By the tool's names for its tests, of columns of numbers and of categories; none where neither is asked for.
    ///
    /// # Errors
    /// What is wrong, with the names that there are.
    pub fn named(
        preset: Preset,
        numbers: Option<Asked<&str>>,
        categories: Option<Asked<&str>>,
    ) -> Result<Option<Self>, String> {
        if numbers.is_none() && categories.is_none() {
            return Ok(None);
        }
        match preset {
            Preset::Evidently => {
                let numbers = by_name(numbers, evidently::NumberTest::NAMED)?;
                let categories = by_name(categories, evidently::CategoryTest::NAMED)?;
                Ok(Some(Self::Evidently(evidently::Told { numbers, categories })))
            }
            Preset::NannyMl => {
                let numbers = by_name(numbers, nannyml::NumberTest::NAMED)?;
                let categories = by_name(categories, nannyml::CategoryTest::NAMED)?;
                if categories.is_some_and(|c| c.test == nannyml::CategoryTest::ChiSquare && c.threshold.is_some()) {
                    return Err("chi2 alerts at p < 0.05, and NannyML lets no other threshold be set".to_owned());
                }
                Ok(Some(Self::NannyMl(nannyml::Told { numbers, categories })))
            }
            Preset::Whylogs | Preset::Sequential => {
                Err(format!("the profile {} makes its own test only", preset.as_str()))
            }
        }
    }

    /// As [`judge`] with the preset whose tests they are.
    ///
    /// # Errors
    /// [`NoFinding`] where there is no answer.
    pub fn judge(self, reference: &Values, current: &Values) -> Result<Finding, NoFinding> {
        match self {
            Self::Evidently(told) => evidently::judge(reference, current, told),
            Self::NannyMl(told) => nannyml::judge(reference, current, told),
        }
    }
}

fn by_name<T: Copy>(asked: Option<Asked<&str>>, named: &[(&str, T)]) -> Result<Option<Asked<T>>, String> {
    let Some(Asked { test, threshold }) = asked else { return Ok(None) };
    if let Some(wrong) = threshold.filter(|t| !t.is_finite() || *t <= 0.0) {
        return Err(format!("{wrong} is no threshold: a p-value or a distance is above 0"));
    }
    let Some((_, test)) = named.iter().find(|(name, _)| *name == test) else {
        let names: Vec<&str> = named.iter().map(|(name, _)| *name).collect();
        return Err(format!("{test:?} is no such test; there are {}", names.join(", ")));
    };
    Ok(Some(Asked { test: *test, threshold }))
}

/// The numbers that are there, sorted.
fn sample(values: &[f64], side: &'static str) -> Result<Sample, NoFinding> {
    let sample = Sample::new(values.to_vec());
    if sample.is_empty() { Err(NoFinding::Empty(side)) } else { Ok(sample) }
}

/// Counts of each value over both sides, in the order of first sight.
struct Counts {
    reference: Vec<u64>,
    current: Vec<u64>,
}

impl Counts {
    fn new<K: std::hash::Hash + Eq>(
        reference: impl Iterator<Item = K>,
        current: impl Iterator<Item = K>,
    ) -> Result<Self, NoFinding> {
        let mut places = HashMap::new();
        let mut counts = Self { reference: Vec::new(), current: Vec::new() };
        let both = reference.map(|v| (v, true)).chain(current.map(|v| (v, false)));
        for (value, of_reference) in both {
            let at = *places.entry(value).or_insert(counts.reference.len());
            if at == counts.reference.len() {
                counts.reference.push(0);
                counts.current.push(0);
            }
            let side = if of_reference { &mut counts.reference } else { &mut counts.current };
            side[at] += 1;
        }
        let empty = |side: &[u64]| side.iter().all(|n| *n == 0);
        match () {
            () if empty(&counts.reference) => Err(NoFinding::Empty("reference")),
            () if empty(&counts.current) => Err(NoFinding::Empty("current data")),
            () => Ok(counts),
        }
    }

    /// Of finite numbers.
    fn of_numbers(reference: &[f64], current: &[f64]) -> Result<Self, NoFinding> {
        let bits = |values: &[f64]| -> Vec<u64> {
            values.iter().filter(|v| v.is_finite()).map(|v| (v + 0.0).to_bits()).collect()
        };
        Self::new(bits(reference).into_iter(), bits(current).into_iter())
    }

    /// Of the categories that are there.
    fn of_categories(reference: &[u32], current: &[u32]) -> Result<Self, NoFinding> {
        let there = |values: &[u32]| values.iter().copied().filter(|v| *v != MISSING).collect::<Vec<_>>();
        Self::new(there(reference).into_iter(), there(current).into_iter())
    }

    fn distinct(&self) -> usize {
        self.reference.len()
    }

    fn totals(&self) -> (u64, u64) {
        (self.reference.iter().sum(), self.current.iter().sum())
    }
}
