//! What a monitor's file says of the performance that is estimated without labels.

use crate::live::spec::{LabelSpec, MonitorSpec, SpecError, check};
use mainspring_resource::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Windows whose labels may still be waited for: so many are kept.
pub(super) const KEPT: u32 = 168;
/// Of how long before a window labelled rows are learnt from where nothing is named.
const BEFORE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A metric that is estimated window after window, and from when on that is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EstimateSpec {
    /// Which one. Of classes `accuracy`, `roc_auc`, …; of numbers `mae`, `rmse`, …
    pub metric: Metric,
    /// It is told when the metric is surely below this,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// or above this,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    /// or by more than this worse than it was on the rows that are learnt from: lower, or of an error higher. Exactly one of
    /// the three.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub drop: Option<f64>,
    /// How long each window is: rows of so long are estimated together. The monitor's own `window` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<HumanDuration>,
    /// Which labelled rows are learnt from.
    #[serde(default)]
    pub reference: EstimateReferenceSpec,
    /// The prediction: an output, or beside a file `COLUMN=OUTPUT`, the file's column and the output. Of live rows it is that
    /// of `label`, or found out, when left out; of a file `prediction`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prediction: Option<String>,
    /// The probabilities, likewise; found out of live rows when left out. With a file and none of them it is numbers that
    /// are predicted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<String>,
    /// Of two classes the one that is looked for; the second in order when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive: Option<String>,
}

/// What is learnt from: when nothing is named, the file that the version that answers names in its tag
/// `mainspring.reference_data`, and where it names none, its labelled rows of the thirty days before each window.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct EstimateReferenceSpec {
    /// The file that this version names, such as `models:/churn@champion`,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// or labelled rows of so long before each window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<HumanDuration>,
}

/// A metric that can be estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the metric of its name")]
pub enum Metric {
    Accuracy,
    RocAuc,
    AveragePrecision,
    F1,
    Precision,
    Recall,
    Specificity,
    Mae,
    Mape,
    Mse,
    Rmse,
    Msle,
    Rmsle,
}

impl Metric {
    /// As an estimate names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::RocAuc => "roc_auc",
            Self::AveragePrecision => "average_precision",
            Self::F1 => "f1",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::Specificity => "specificity",
            Self::Mae => "mae",
            Self::Mape => "mape",
            Self::Mse => "mse",
            Self::Rmse => "rmse",
            Self::Msle => "msle",
            Self::Rmsle => "rmsle",
        }
    }

    /// Whether more of it is worse.
    pub fn is_error(self) -> bool {
        match self {
            Self::Mae | Self::Mape | Self::Mse | Self::Rmse | Self::Msle | Self::Rmsle => true,
            Self::Accuracy
            | Self::RocAuc
            | Self::AveragePrecision
            | Self::F1
            | Self::Precision
            | Self::Recall
            | Self::Specificity => false,
        }
    }
}

/// On which side of a value a metric must not be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Limit {
    /// Not below it.
    Below(f64),
    /// Not above it.
    Above(f64),
}

impl Limit {
    /// `below`, or `above`.
    pub fn side(self) -> &'static str {
        match self {
            Self::Below(_) => "below",
            Self::Above(_) => "above",
        }
    }

    /// The value.
    pub fn value(self) -> f64 {
        match self {
            Self::Below(value) | Self::Above(value) => value,
        }
    }

    /// Whether a value is beyond it.
    pub(super) fn is_passed(self, value: f64) -> bool {
        match self {
            Self::Below(limit) => value < limit,
            Self::Above(limit) => value > limit,
        }
    }
}

impl EstimateSpec {
    /// What the metric must not pass; `reference` is what it was on the rows that are learnt from. `None` where it has no value
    /// there and a drop from it is looked for.
    pub(super) fn limit(&self, reference: Option<f64>) -> Option<Limit> {
        match (self.below, self.above, self.drop) {
            (Some(below), ..) => Some(Limit::Below(below)),
            (_, Some(above), _) => Some(Limit::Above(above)),
            (_, _, Some(drop)) if self.metric.is_error() => reference.map(|value| Limit::Above(value + drop)),
            (_, _, drop) => reference.map(|value| Limit::Below(value - drop.unwrap_or(0.0))),
        }
    }

    /// How long a window is, microseconds.
    pub(in crate::live) fn micros(&self, spec: &MonitorSpec) -> i64 {
        micros(self.window.unwrap_or(spec.window).0)
    }

    /// How long before a window labelled rows are learnt from, microseconds.
    pub(super) fn before(&self) -> i64 {
        micros(self.reference.window.map_or(BEFORE, |window| window.0))
    }

    /// Checks what types cannot.
    pub(in crate::live) fn validate(&self, spec: &MonitorSpec) -> Result<(), SpecError> {
        let Some(LabelSpec { wait, .. }) = &spec.label else {
            let expected = "there beside `estimate`: it names the feedback that says what was true";
            return check(false, "label", "left out", expected);
        };
        let limits = [("below", self.below), ("above", self.above), ("drop", self.drop)];
        let named: Vec<(&str, f64)> = limits.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let [(name, value)] = named[..] else {
            let got = format!("with {} of below, above and drop", named.len());
            return check(false, "estimate", got, "with exactly one of them, such as `below: 0.9`");
        };
        let path = format!("estimate.{name}");
        check(value.is_finite(), &path, value, "a number")?;
        check(name != "drop" || value > 0.0, &path, value, "over 0")?;
        let share = self.metric.is_error() || (0.0..=1.0).contains(&value);
        check(share, &path, value, "from 0 to 1, as the metric is")?;
        let (window, every) = (self.window.unwrap_or(spec.window), spec.every.0);
        let spans = every..=Duration::from_secs(7 * 24 * 60 * 60);
        check(spans.contains(&window.0), "estimate.window", window, "as long as every at least, and at most 7d")?;
        let whole = window.0.as_micros().is_multiple_of(every.as_micros().max(1));
        check(whole, "estimate.window", window, "a multiple of every")?;
        let expected = "a 168th of label.wait at least: of so many windows labels are waited for";
        check(window.0 * KEPT >= wait.0, "estimate.window", window, expected)?;
        let EstimateReferenceSpec { data, window } = &self.reference;
        check(data.is_none() || window.is_none(), "estimate.reference", "data and a window", "one of them")?;
        if let Some(uri) = data {
            let expected = "a version: models:/NAME@alias or models:/NAME/VERSION";
            check(uri.starts_with("models:/"), "estimate.reference.data", format!("{uri:?}"), expected)?;
        }
        if let Some(window) = window {
            let spans = Duration::from_secs(60)..=Duration::from_secs(90 * 24 * 60 * 60);
            check(spans.contains(&window.0), "estimate.reference.window", window, "from 1m to 90d")?;
        }
        Ok(())
    }
}

pub(super) fn micros(long: Duration) -> i64 {
    i64::try_from(long.as_micros()).unwrap_or(i64::MAX)
}
