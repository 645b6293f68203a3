//! What a rollout measures.

use super::{MetricTest, SpendingSpec};
use mainspring_resource::HumanDuration;
use mainspring_stats::decision::Direction;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What is measured.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct MetricsSpec {
    /// Must not get worse than their margin; if one does, the candidate is rolled back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub guardrails: Vec<MetricSpec>,
    /// Reasons for the change: one of them must get better, none may get worse.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub success: Vec<MetricSpec>,
    /// Only shown, with their intervals: they decide nothing, and take nothing from the error rates of the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub report: Vec<MetricSpec>,
    /// Worth a look by a person: the rollout pauses, and goes on by itself once they are calm.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<SignalSpec>,
    /// Whether the comparison can be trusted. All of it is checked also when it is not declared.
    pub quality: QualitySpec,
}

/// A guardrail, a success metric, or one that is only reported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricSpec {
    /// Its name in decisions.
    pub name: String,
    /// How it is measured.
    pub kind: MetricKind,
    /// What is measured: `latency`, `label:NAME` or `output:NAME`. Not for `errors`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// The denominator of a `ratio`, in the same form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Source>,
    /// The quantile, 0 to 1: 0.99 when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<f64>,
    /// For `errors` and `quantile`, how many times stable's value is tolerable: 1.1 allows 10 % more. When not set,
    /// 1.5 for errors and 1.25 for a quantile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// For `errors`, `mean`, `total` and `ratio`, how much worse is tolerable, in the metric's own unit. For errors it
    /// is a part of the units, 0.001 when not set; a candidate that keeps this or the margin holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub non_inferiority: Option<f64>,
    /// Which way it is good. Errors and times are good when they fall.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<DirectionSpec>,
    /// The smallest effect worth finding, in the metric's own unit: what `simulate` plans for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_effect: Option<f64>,
    /// How much later than the answers its labels come. Such a guardrail does not hold a promotion up while it is
    /// unclear; it is watched on, and can reverse the promotion within `rollback.window`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<HumanDuration>,
    /// For `mean` and `total`: its values are 0 and 1 and nothing else, as true and false are. Then values that are all 0 show
    /// how rare a 1 is; a number that is another takes that back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub binary: bool,
    /// How it is tested; when not set, as most of its kind are: `asymptotic`, `rateRatio` for errors, `exceedance` for a
    /// quantile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<MetricTest>,
    /// The error rate of each of its questions (worse, better, within its margin), of all candidates together. It is taken out
    /// of `decision.alpha`; metrics without one share what is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// For `test: msprt`: how large effects are expected to be (their standard deviation), in the metric's own unit;
    /// `minEffect` when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tau: Option<f64>,
    /// For `test: groupSequential`: units of stable and of a candidate at the last look, split evenly. At other weights a unit
    /// counts for less: of `n` and `m` units, `4nm/(n+m)` count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_units: Option<u64>,
    /// For `test: groupSequential`: how many looks there are until then, evenly; 5 when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 20))]
    pub looks: Option<u32>,
    /// For `test: groupSequential`: how the error rate is spent over the looks; `obrienFleming` when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spending: Option<SpendingSpec>,
    /// For `mean`, `total` and `ratio`: takes out of the variance what was known of a unit before (CUPED).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cuped: Option<CupedSpec>,
}

/// Less variance by what was known of a unit before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CupedSpec {
    /// `before:28d` is the unit's own mean of the metric in so long a time before the rollout began, as the journal has it; a unit
    /// that it does not know has the mean of those that it knows. `input:NAME` is a number of the request that no variant has an
    /// influence on: that of the unit's first request in each time of constant weights counts; 0 where there is none.
    pub covariate: Covariate,
}

/// What was known of a unit before: `before:28d` or `input:NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Covariate {
    /// An input of this name.
    Input(String),
    /// The unit's own mean in so long a time before the rollout began.
    Before(Duration),
}

impl FromStr for Covariate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("input", name)) if !name.is_empty() => Ok(Self::Input(name.to_owned())),
            Some(("before", window)) => Ok(Self::Before(window.parse::<HumanDuration>()?.0)),
            _ => Err(format!("{text:?} is no covariate; write before:28d or input:NAME")),
        }
    }
}

impl fmt::Display for Covariate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(name) => write!(f, "input:{name}"),
            Self::Before(window) => write!(f, "before:{}", HumanDuration(*window)),
        }
    }
}

impl Serialize for Covariate {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Covariate {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Covariate {
    fn schema_name() -> Cow<'static, str> {
        "Covariate".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^(input|before):.+$"})
    }
}

impl MetricSpec {
    /// How many times stable's value is tolerable, for `errors` and `quantile`.
    pub(crate) fn margin(&self) -> f64 {
        self.margin.unwrap_or(if self.kind == MetricKind::Quantile { 1.25 } else { 1.5 })
    }

    /// How much worse is tolerable, in the metric's own unit; a part of the units for `errors`.
    pub(crate) fn non_inferiority(&self) -> f64 {
        self.non_inferiority.unwrap_or(if self.kind == MetricKind::Errors { 0.001 } else { 0.0 })
    }

    /// A metric with everything else at its default.
    pub fn new(name: &str, kind: MetricKind, source: Option<Source>) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            source,
            over: None,
            q: None,
            margin: None,
            non_inferiority: None,
            direction: None,
            min_effect: None,
            delay: None,
            binary: false,
            test: None,
            alpha: None,
            tau: None,
            max_units: None,
            looks: None,
            spending: None,
            cuped: None,
        }
    }

    /// Which way it is good.
    pub fn direction(&self) -> Direction {
        let falls = matches!(self.kind, MetricKind::Errors | MetricKind::Quantile)
            || matches!(self.source, Some(Source::Latency));
        match self.direction {
            Some(DirectionSpec::Down) => Direction::Down,
            None if falls => Direction::Down,
            Some(DirectionSpec::Up) | None => Direction::Up,
        }
    }
}

/// How a metric is measured. The unit of assignment is the unit of analysis, whatever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MetricKind {
    /// Units whose requests failed on the server's side.
    Errors,
    /// A quantile of the time that an answer took.
    Quantile,
    /// The mean over answers.
    Mean,
    /// The mean over units of a unit's total, such as revenue for each user.
    Total,
    /// The sum of the source over the sum of another.
    Ratio,
}

impl MetricKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Quantile => "quantile",
            Self::Mean => "mean",
            Self::Total => "total",
            Self::Ratio => "ratio",
        }
    }
}

/// Which way a metric is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DirectionSpec {
    /// More is better.
    Up,
    /// Less is better.
    Down,
}

/// Where a metric's values come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// The time from request to answer, seconds.
    Latency,
    /// Feedback of this name: numbers, or true and false as 1 and 0.
    Label(String),
    /// An output of this name: its numbers.
    Output(String),
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("label", name)) if !name.is_empty() => Ok(Self::Label(name.to_owned())),
            Some(("output", name)) if !name.is_empty() => Ok(Self::Output(name.to_owned())),
            None if text == "latency" => Ok(Self::Latency),
            _ => Err(format!("{text:?} is no source; write latency, label:NAME or output:NAME")),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latency => f.write_str("latency"),
            Self::Label(name) => write!(f, "label:{name}"),
            Self::Output(name) => write!(f, "output:{name}"),
        }
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Source {
    fn schema_name() -> Cow<'static, str> {
        "Source".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^(latency|(label|output):.+)$"})
    }
}

/// What should stay as it is: a mean by `maxShift`, or the whole distribution by `psi`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignalSpec {
    /// Its name in decisions.
    pub name: String,
    /// What is measured.
    pub source: Source,
    /// How far the mean may move, in the source's own unit, either way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_shift: Option<f64>,
    /// The greatest population stability index of units' first values, in ten bins of stable's: 0.1 is a small shift and 0.25
    /// a large one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psi: Option<f64>,
    /// The probability, of all candidates together, of pausing where nothing is beyond the limit; `decision.alpha` when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
}

/// Whether the comparison can be trusted.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct QualitySpec {
    /// Whether the variants get the units that their weights promise.
    pub srm: SrmSpec,
    /// Whether units see one variant only.
    pub multiple_exposure: MultipleExposureSpec,
    /// Whether the candidate is asked at all.
    pub no_data: NoDataSpec,
}

/// What follows when a check of the comparison fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnFail {
    /// It stays where it is until the check passes again, or a person decides.
    #[default]
    Hold,
    /// Back to stable.
    Rollback,
    /// It is said in a decision, and the rollout goes on as if it had passed.
    Warn,
}

impl OnFail {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    fn holds(&self) -> bool {
        *self == Self::Hold
    }
}

/// Sample-ratio mismatch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SrmSpec {
    /// The probability that a sound rollout fails it.
    pub alpha: f64,
    /// What follows.
    #[serde(skip_serializing_if = "OnFail::holds")]
    pub on_fail: OnFail,
}

impl Default for SrmSpec {
    fn default() -> Self {
        Self { alpha: 0.001, on_fail: OnFail::Hold }
    }
}

/// Units that saw two variants while the weights stood still.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct MultipleExposureSpec {
    /// How many units may, in percent.
    pub max_percent: f64,
    /// What follows.
    #[serde(skip_serializing_if = "OnFail::holds")]
    pub on_fail: OnFail,
}

impl Default for MultipleExposureSpec {
    fn default() -> Self {
        Self { max_percent: 1.0, on_fail: OnFail::Hold }
    }
}

/// Nothing of the candidate for so long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct NoDataSpec {
    /// After so long.
    pub after: HumanDuration,
    /// What follows.
    #[serde(skip_serializing_if = "OnFail::holds")]
    pub on_fail: OnFail,
}

impl Default for NoDataSpec {
    fn default() -> Self {
        Self { after: HumanDuration(Duration::from_secs(1800)), on_fail: OnFail::Hold }
    }
}
