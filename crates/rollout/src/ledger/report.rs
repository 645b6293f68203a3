//! What the ledger knows at one look.

use crate::spec::MetricTest;
use mainspring_core::Timestamp;
use mainspring_stats::decision::{Finding, Role};
use mainspring_stats::sequential::Interval;
use serde::{Deserialize, Serialize};

/// An effect with its confidence sequence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Range {
    /// Lower end; nothing when there is none.
    pub low: Option<f64>,
    /// The estimate.
    pub estimate: f64,
    /// Upper end; nothing when there is none.
    pub high: Option<f64>,
}

impl From<Interval> for Range {
    fn from(i: Interval) -> Self {
        let finite = |x: f64| Some(x).filter(|x| x.is_finite());
        Self { low: finite(i.low), estimate: i.estimate, high: finite(i.high) }
    }
}

/// How an effect is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Scale {
    /// Candidate less stable.
    Difference,
    /// How many times as often as stable.
    Ratio,
    /// A mean by itself.
    Mean,
    /// A population stability index: 0 where the distributions are the same.
    Index,
}

/// The largest e-values so far, as natural logarithms; `None` where there is no such test.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogE {
    /// Against "it is no worse than its margin".
    pub harm: Option<f64>,
    /// Against "it is worse than its margin".
    pub holds: Option<f64>,
    /// Against "it is no better".
    pub better: Option<f64>,
}

/// A z statistic and the boundary beyond which it answers its question.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reached {
    /// The statistic.
    pub z: f64,
    /// The boundary; nothing where none of the error rate may be spent yet.
    pub bound: Option<f64>,
}

/// The looks of a group-sequential test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Looks {
    /// Looks that were taken: where many units come at once, one stands for several.
    pub taken: u32,
    /// Planned looks whose time has come.
    pub due: u32,
    /// Planned looks.
    pub of: u32,
    /// Units at the last one, of stable and of the candidate, split evenly; 0 before the first.
    pub units: u64,
    /// Units at the end.
    pub max_units: u64,
    /// Whether it is worse than its margin, at the last look.
    pub harm: Reached,
    /// Whether it keeps its margin.
    pub holds: Reached,
    /// Whether it is better.
    pub better: Reached,
}

/// How a metric is tested, where the file says it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tested {
    /// The test.
    pub test: MetricTest,
    /// The error rate of each of its questions, of one candidate, where the metric has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// Of a group-sequential test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looks: Option<Looks>,
}

/// One metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricReport {
    /// Its name.
    pub name: String,
    /// The candidate, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// What it is for.
    pub role: Role,
    /// What its test says.
    pub finding: Finding,
    /// Whether a promotion waits for it.
    pub required: bool,
    /// Stable's value.
    pub stable: Option<f64>,
    /// The candidate's.
    pub candidate: Option<f64>,
    /// The effect at 1 − α, at all looks at once.
    pub effect: Option<Range>,
    /// How to read it.
    pub scale: Scale,
    /// The evidence.
    pub log_e: LogE,
    /// Units that it rests on, or units with the event where events are counted: of stable and of the candidate.
    pub units: [u64; 2],
    /// What is taken out by what was known of the units before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cuped: Option<Narrowed>,
    /// How it is tested, where the file says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tested: Option<Tested>,
    /// Why there is no finding.
    pub why: Option<String>,
}

/// An estimate; normal in the limit of many units.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
}

/// What a bandit knows of one of its arms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Arm {
    /// The variant.
    pub variant: String,
    /// Its units with a reward, counted in each time of constant weights.
    pub units: u64,
    /// Its mean reward, standardised to the same mix of times as that of the others.
    pub mean: f64,
    /// The standard error of that.
    pub standard_error: f64,
    /// The probability that its mean is the best of all.
    pub best: f64,
    /// What it would have brought alone, from the answers that it gave and the probabilities with which it was chosen:
    /// by inverse propensities,
    pub ips: Option<Estimate>,
    /// the same, normalised,
    pub snips: Option<Estimate>,
    /// and doubly robust, with the means of all arms as the model.
    pub dr: Option<Estimate>,
    /// How many answers of this arm alone would tell as much.
    pub effective: f64,
    /// Of a contextual bandit, how much better than stable it would be alone for all, doubly robust, at 1 − α at all looks at
    /// once. The metrics compare them where both were seen alike, and a bandit sends a variant where it is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_stable: Option<Range>,
}

/// What a contextual bandit knows of one variant in one context.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContextArm {
    /// The variant.
    pub variant: String,
    /// Its units with a reward here.
    pub units: u64,
    /// What it is believed to bring here; where it was seldom seen, mostly by what it brings in contexts like this one.
    pub mean: f64,
    /// How sure that is.
    pub standard_error: f64,
    /// The probability that it is the best of all here.
    pub best: f64,
    /// The probability with which units get it here now.
    pub weight: f64,
}

/// What a contextual bandit knows of one context.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContextReport {
    /// Its number, as the journal has it.
    pub context: u16,
    /// In words: `age < 30, country = de`.
    pub title: String,
    /// Its part of the units with a reward, 0 to 1.
    pub share: f64,
    /// The variants, stable first.
    pub arms: Vec<ContextArm>,
}

/// What choosing by context brought beyond one variant for all, since it first did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gain {
    /// The variant.
    pub over: String,
    /// Units that it rests on.
    pub units: u64,
    /// How much more, doubly robust, with exploration paid for, at 1 − α at all looks at once; negative where the variant
    /// alone would have brought more.
    pub gain: Range,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_0(n: &u64) -> bool {
    *n == 0
}

/// What CUPED takes out of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Narrowed {
    /// The part of the effect's variance that what was known of the units explains, 0 to 1.
    pub variance: f64,
    /// Units that were known from before the rollout, of all variants; nothing where an input says what was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<u64>,
}

/// Everything that is known at one look.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Events up to here are in it.
    pub cut: Timestamp,
    /// Units compared, by the variant that they saw first.
    pub units: Vec<u64>,
    /// Units of each variant in the present step, counted in each time of constant weights.
    pub step_units: Vec<u64>,
    /// Answers that count, by variant.
    pub answers: Vec<u64>,
    /// The last answer of each variant, also of those that do not count.
    pub last_at: Vec<Option<Timestamp>>,
    /// The metrics, as declared; then what the quality checks say.
    pub metrics: Vec<MetricReport>,
    /// The arms of a bandit, stable first; none before it knows them all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arms: Vec<Arm>,
    /// The contexts of a contextual bandit in which something was seen; none before it knows its arms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contexts: Vec<ContextReport>,
    /// What a contextual bandit has brought beyond each of its variants alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gains: Vec<Gain>,
    /// Units that both answered in the shadow.
    pub shadow_units: u64,
    /// Answers of the warm-up.
    pub excluded: u64,
    /// Answers of other generations or variants than those of this rollout.
    pub strangers: u64,
    /// Labels about answers that are not counted.
    pub unmatched: u64,
    /// Events that came after a look at their time.
    pub late: u64,
    /// Answers of units that found no place: the statistics rest on the units before them.
    pub crowded_out: u64,
    /// Answers to requests without what the unit is taken from, since the first step began.
    #[serde(default, skip_serializing_if = "is_0")]
    pub unitless: u64,
    /// Answers that were forgotten to make room: labels that still come for them are not counted.
    #[serde(default, skip_serializing_if = "is_0")]
    pub forgotten: u64,
}

impl MetricReport {
    /// Whether it speaks of this candidate.
    pub fn is_of(&self, candidate: &str) -> bool {
        self.variant.as_ref().is_none_or(|v| v == candidate)
    }
}

impl Report {
    /// The metric of this name of one candidate.
    pub fn metric_of(&self, name: &str, variant: &str) -> Option<&MetricReport> {
        self.metrics.iter().find(|m| m.name == name && m.is_of(variant))
    }

    /// The arm of this variant.
    pub fn arm(&self, variant: &str) -> Option<&Arm> {
        self.arms.iter().find(|arm| arm.variant == variant)
    }

    /// The metric of this name, of the first candidate where there are several.
    pub fn metric(&self, name: &str) -> Option<&MetricReport> {
        self.metrics.iter().find(|m| m.name == name)
    }
}
