//! The spec of the kind `Monitor`.

use super::detectors::DetectorSpec;
use super::form;
use super::outlook::spec::EstimateSpec;
use super::part::{Beside, Part};
use super::rows::MOST_ELEMENTS;
use crate::column::element;
use crate::segment::{Segment, Written};
use mainspring_core::Name;
use mainspring_resource::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const MOST_DETECTORS: usize = 16;

/// What a deployment's answers are compared with, and what follows when they are no longer alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Monitor")]
pub struct MonitorSpec {
    /// The deployment whose rows are watched.
    #[schemars(with = "String")]
    pub deployment: Name,
    /// Which of its variants.
    #[serde(default = "stable")]
    pub variant: String,
    /// Which of these rows: those that have this value in each of these columns, such as `{in.plan: gold}`, or a number of this
    /// range, such as `{in.age: 30..40}`; all when left out.
    #[serde(default, skip_serializing_if = "Segment::is_all")]
    #[schemars(with = "Written")]
    pub segment: Segment,
    /// What they are compared with.
    #[serde(default)]
    pub reference: ReferenceSpec,
    /// Which columns: names or patterns such as `in.*` and `out.score`.
    #[serde(default = "all")]
    #[schemars(length(min = 1))]
    pub columns: Vec<String>,
    /// Which of these are free text, names or patterns: they are watched by their form, as columns of numbers called
    /// `in.comment:length`, `in.comment:words`, `in.comment:sentences` and `in.comment:non-letters %`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub texts: Vec<String>,
    /// The probability that a version is ever called drifted when nothing has changed, over all columns and all looks.
    #[serde(default = "level")]
    #[schemars(range(min = 1e-12, max = 0.5))]
    pub level: f64,
    /// How much must have changed to be called drift, 0 to 1: the share of rows that would have to move to undo it, beyond
    /// what chance does. What is sure and smaller is `shifted`.
    #[serde(default = "min_effect")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_effect: f64,
    /// How often it looks: rows of so long are sampled and looked at together, a few seconds after the last of them. One of
    /// 5s, 10s, 15s, 20s, 30s and 1m.
    #[serde(default = "every")]
    pub every: HumanDuration,
    /// How far back it is measured how much has changed.
    #[serde(default = "window")]
    pub window: HumanDuration,
    /// Rows that a column needs, in the test and in the window, before anything is said of it.
    #[serde(default = "min_rows")]
    #[schemars(range(min = 1))]
    pub min_rows: u64,
    /// A column that has drifted counts as recovered when for this long less than half of `minEffect` was left of it.
    #[serde(default = "recover_after")]
    pub recover_after: HumanDuration,
    /// Columns whose values are watched apart: of each, its eight most frequent values at the beginning.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    pub segments: Vec<String>,
    /// Stream detectors, each of some columns, beside the monitor's own test. They see the sampled rows of the monitor one by
    /// one in the order of time. None of them bounds how often it calls a change that is not there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub detectors: Vec<DetectorSpec>,
    /// What turned out to be true, which is watched apart from what was asked and answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<LabelSpec>,
    /// A metric that is estimated without labels, window after window, and watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<EstimateSpec>,
    /// How bad it is.
    #[serde(default)]
    pub severity: Severity,
    /// What is done about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_drift: Option<OnDriftSpec>,
    /// Where it is written what to do: an address that goes with each alarm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
}

/// What rows are compared with. Without anything: the profile that was saved with the version that answers, and for
/// columns that it does not have, or when there is none, that version's own first rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ReferenceSpec {
    /// The profile saved with this version, whichever version answers: `models:/churn@champion`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The deployment's own rows of so long before the monitor was declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<HumanDuration>,
    /// Rows that are answered meanwhile, minute by minute: those of this variant,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// of this version, whichever variant has it,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// of this deployment, the same one when it is left out: its stable rows when neither of the two is named,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub deployment: Option<Name>,
    /// and of this segment: columns with their values, or `others`, which are the rows that are not of the monitor's own.
    /// When it is left out they are of the same segment as the watched ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<Beside>,
    /// How many of the first rows make a reference.
    #[schemars(range(min = 200, max = 16384))]
    pub first_rows: u32,
}

impl Default for ReferenceSpec {
    fn default() -> Self {
        Self {
            profile: None,
            window: None,
            variant: None,
            version: None,
            deployment: None,
            segment: None,
            first_rows: 2_000,
        }
    }
}

/// Whose rows are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whose<'a> {
    /// Of this variant; of any when there is none.
    pub variant: Option<&'a str>,
    /// Of this version; of any when there is none.
    pub version: Option<&'a str>,
    /// Which of them.
    pub part: Part<'a>,
}

/// Which feedback says what was true, and how long it is waited for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelSpec {
    /// The feedback's name. The column is called `label.NAME`.
    pub name: String,
    /// When each prediction's label is looked at: so long after the prediction. What has come by then counts, what comes
    /// later does not, so that labels that come sooner are not taken for more frequent ones.
    #[serde(default = "wait")]
    pub wait: HumanDuration,
    /// The column of the profile that it is compared with, where that is called otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The output that it is the truth of, such as `out.label`; found out when left out. The error that is made is watched
    /// as `error.NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prediction: Option<String>,
}

/// How bad drift is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// Somebody should look at it.
    #[default]
    Warning,
    /// Somebody must look at it now.
    Critical,
}

impl Severity {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What is done when drift begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OnDriftSpec {
    /// What happens to the rollout that the deployment is in, if it is in one.
    pub rollout: RolloutOrder,
}

/// An order to a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RolloutOrder {
    /// Its weights stay as they are until a person goes on.
    Pause,
    /// It is rolled back.
    Abort,
}

const STABLE: &str = "stable";

fn stable() -> String {
    STABLE.to_owned()
}

fn all() -> Vec<String> {
    vec!["*".to_owned()]
}

fn level() -> f64 {
    0.01
}

fn min_effect() -> f64 {
    0.1
}

fn every() -> HumanDuration {
    HumanDuration(MINUTE)
}

fn window() -> HumanDuration {
    HumanDuration(60 * MINUTE)
}

fn min_rows() -> u64 {
    500
}

fn wait() -> HumanDuration {
    HumanDuration(60 * MINUTE)
}

fn recover_after() -> HumanDuration {
    HumanDuration(15 * MINUTE)
}

/// A value outside its range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{path} is {got}; it must be {expected}")]
pub struct SpecError {
    /// The value's path.
    pub path: String,
    /// What it is.
    pub got: String,
    /// What it may be.
    pub expected: &'static str,
}

pub(super) fn check(fits: bool, path: &str, got: impl ToString, expected: &'static str) -> Result<(), SpecError> {
    if fits { Ok(()) } else { Err(SpecError { path: path.to_owned(), got: got.to_string(), expected }) }
}

impl MonitorSpec {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// [`SpecError`], of the first value at fault.
    pub fn validate(&self) -> Result<(), SpecError> {
        check(self.level > 0.0 && self.level <= 0.5, "level", self.level, "over 0 and at most 0.5")?;
        check((0.0..=1.0).contains(&self.min_effect), "minEffect", self.min_effect, "from 0 to 1")?;
        let looks = [5, 10, 15, 20, 30, 60].map(Duration::from_secs);
        check(looks.contains(&self.every.0), "every", self.every, "one of 5s, 10s, 15s, 20s, 30s and 1m")?;
        let spans = 6 * MINUTE..=7 * 24 * 60 * MINUTE;
        check(spans.contains(&self.window.0), "window", self.window, "from 6m to 7d")?;
        check(self.recover_after.0 <= 7 * 24 * 60 * MINUTE, "recoverAfter", self.recover_after, "at most 7d")?;
        check(self.min_rows > 0, "minRows", self.min_rows, "at least 1")?;
        check(!self.columns.is_empty(), "columns", "empty", "a list with at least one name or pattern")?;
        check(!self.variant.is_empty(), "variant", "empty", "a variant's name, such as stable")?;
        check(self.segments.len() <= 3, "segments", format!("{} columns", self.segments.len()), "at most 3 columns")?;
        check(self.texts.len() <= 16, "texts", format!("{} names", self.texts.len()), "at most 16")?;
        for (at, text) in self.texts.iter().enumerate() {
            let apart = self.segments.iter().find(|segment| fits(text, segment));
            let got = apart.map(|segment| format!("{segment}, which tells segments apart")).unwrap_or_default();
            check(apart.is_none(), &format!("texts[{at}]"), got, "another column: segments are of its values")?;
        }
        for (at, segment) in self.segments.iter().enumerate() {
            let whole = segment.starts_with("in.") || segment.starts_with("out.");
            check(whole, &format!("segments[{at}]"), format!("{segment:?}"), "a column's name, such as in.plan")?;
        }
        let most = self.detectors.len() <= MOST_DETECTORS;
        check(most, "detectors", format!("{} detectors", self.detectors.len()), "at most 16, each of several columns")?;
        let label = self.label.as_ref().map(|label| label.name.as_str());
        for (at, detector) in self.detectors.iter().enumerate() {
            detector.validate(&format!("detectors[{at}]"), label)?;
            let apart = !detector.by_segment || !self.segments.is_empty();
            check(apart, &format!("detectors[{at}].bySegment"), true, "of a monitor with `segments`")?;
        }
        self.check_segments()?;
        self.check_label()?;
        self.estimate.as_ref().map_or(Ok(()), |estimate| estimate.validate(self))?;
        self.check_reference()
    }

    fn check_label(&self) -> Result<(), SpecError> {
        let Some(LabelSpec { name, wait, prediction, .. }) = &self.label else { return Ok(()) };
        check(!name.is_empty(), "label.name", "empty", "the name of the feedback that says what was true")?;
        let spans = self.every.0..=90 * 24 * 60 * MINUTE;
        check(
            spans.contains(&wait.0),
            "label.wait",
            wait,
            "at least as long as every, 1m without one, and at most 90d",
        )?;
        let output = prediction.as_ref().is_none_or(|output| output.starts_with("out."));
        let got = prediction.as_deref().unwrap_or_default();
        check(output, "label.prediction", format!("{got:?}"), "an output, such as out.label")
    }

    fn check_reference(&self) -> Result<(), SpecError> {
        let ReferenceSpec { profile, window, first_rows, variant, version, deployment, segment } = &self.reference;
        if self.beside().is_some() {
            check(profile.is_none() && window.is_none(), "reference", "live rows and something else", "one of them")?;
            let other = deployment.as_ref().is_some_and(|d| *d != self.deployment) || version.is_some();
            let itself = !other && variant.as_ref().is_none_or(|v| *v == self.variant);
            if segment.is_some() {
                let expected = "another value of the same column, or others: no row may be of both";
                check(
                    !itself || self.parts_exclude(),
                    "reference.segment",
                    "not surely apart from `segment`",
                    expected,
                )?;
            } else {
                let expected = "another variant, version, deployment or segment";
                check(!itself, "reference", "the very rows that are watched", expected)?;
            }
        }
        check((200..=16_384).contains(first_rows), "reference.firstRows", first_rows, "from 200 to 16384")?;
        if let Some(uri) = profile {
            check(
                uri.starts_with("models:/"),
                "reference.profile",
                format!("{uri:?}"),
                "a version: models:/NAME@alias or models:/NAME/VERSION",
            )?;
            check(window.is_none(), "reference", "a profile and a window", "one of them")?;
        }
        if let Some(window) = window {
            let spans = MINUTE..=30 * 24 * 60 * MINUTE;
            check(spans.contains(&window.0), "reference.window", window, "from 1m to 30d")?;
        }
        Ok(())
    }

    /// Whether a state that was reached under `other` can go on under this spec.
    pub fn tests_as(&self, other: &Self) -> bool {
        let told = |spec: &Self| Self {
            // What is estimated is no part of the test; another estimate begins anew by itself.
            estimate: None,
            severity: Severity::default(),
            on_drift: None,
            runbook: None,
            recover_after: recover_after(),
            min_effect: 0.0,
            ..spec.clone()
        };
        told(self) == told(other)
    }

    /// How often it looks, microseconds.
    pub fn step(&self) -> i64 {
        i64::try_from(self.every.0.as_micros()).unwrap_or(super::rows::MINUTE).max(1)
    }

    /// Whose rows are watched.
    pub fn whose(&self) -> Whose<'_> {
        Whose { variant: Some(&self.variant), version: None, part: Part::Of(&self.segment) }
    }

    /// The deployment and its rows that they are compared with, minute by minute.
    pub fn beside(&self) -> Option<(&Name, Whose<'_>)> {
        let ReferenceSpec { variant, version, deployment, segment, .. } = &self.reference;
        let others = variant.is_some() || version.is_some() || deployment.is_some();
        let part = match segment {
            None => Part::Of(&self.segment),
            Some(Beside::Of(segment)) => Part::Of(segment),
            Some(Beside::Others) => Part::But(&self.segment),
        };
        // Of several variants now this, now that one has more rows in a minute: one is compared with, as one is watched, and
        // where nothing but the segment is named, nothing but the segment is another.
        let otherwise = if others { STABLE } else { self.variant.as_str() };
        let variant = variant.as_deref().or(if version.is_none() { Some(otherwise) } else { None });
        let whose = Whose { variant, version: version.as_deref(), part };
        (others || segment.is_some()).then_some((deployment.as_ref().unwrap_or(&self.deployment), whose))
    }

    /// Whether a column of the journal is needed, or an element of it where it is a list: it is watched, or tells
    /// segments apart.
    pub fn needs(&self, column: &str) -> bool {
        let named = |name: &str| self.reads(name);
        let watched = || {
            named(column)
                || (0..MOST_ELEMENTS).any(|j| named(&format!("{column}[{j}]")))
                || (self.is_free_text(column) && form::names(column).any(|name| named(&name)))
        };
        self.needs_to_tell_apart(column) || watched()
    }

    /// Whether a column's values are looked at: it is watched, by a detector or by the monitor's own test, or segments are of it.
    pub(super) fn reads(&self, column: &str) -> bool {
        self.wants(column)
            || self.segments.iter().any(|segment| segment == column)
            || self.detectors.iter().any(|detector| self.is_detected(detector, column))
    }

    /// Whether a detector is to watch a column.
    pub(super) fn is_detected(&self, detector: &DetectorSpec, column: &str) -> bool {
        !self.tells_apart(column) && self.names(&detector.columns, column)
    }

    /// Whether a column is watched by its form, where it is one of texts.
    pub(super) fn is_free_text(&self, column: &str) -> bool {
        !self.tells_apart(column) && self.texts.iter().any(|pattern| fits(pattern, column))
    }

    /// The journal's column that holds what is watched under a name: of the form of a text the text, of an element of a list
    /// the list.
    pub fn journal_column<'a>(&self, column: &'a str) -> &'a str {
        let text = form::text_of(column).filter(|text| self.is_free_text(text)).unwrap_or(column);
        element(text).map_or(text, |(list, _)| list)
    }

    /// Whether patterns name a column: itself, or the free text whose form it is.
    fn names(&self, patterns: &[String], column: &str) -> bool {
        let text = form::text_of(column).filter(|text| self.is_free_text(text));
        patterns.iter().any(|pattern| fits(pattern, column) || text.is_some_and(|text| fits(pattern, text)))
    }

    /// Whether a column is to be watched.
    pub fn wants(&self, column: &str) -> bool {
        !self.tells_apart(column) && self.names(&self.columns, column)
    }
}

/// Whether `pattern`, in which `*` stands for anything, is `text`.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|head| text.strip_prefix(head)) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(middle) = last.replace(part) {
            let Some(at) = rest.find(middle) else { return false };
            rest = &rest[at + str::len(middle)..];
        }
    }
    last.map_or(rest.is_empty(), |tail| rest.ends_with(tail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spec(more: serde_json::Value) -> Result<MonitorSpec, String> {
        let mut whole = json!({"deployment": "churn"});
        whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let spec: MonitorSpec = serde_json::from_value(whole).map_err(|e| e.to_string())?;
        spec.validate().map(|()| spec).map_err(|e| e.to_string())
    }

    #[test]
    fn patterns_fit_names() {
        for (pattern, name, does) in [
            ("*", "in.x", true),
            ("in.*", "in.x", true),
            ("in.*", "out.x", false),
            ("in.x", "in.x", true),
            ("in.x", "in.xy", false),
            ("*.x", "in.x", true),
            ("in.*_at*", "in.seen_at.h", true),
            ("in.a*b*c", "in.abbc", true),
            ("in.a*b*c", "in.ac", false),
            ("", "in.x", false),
        ] {
            assert_eq!(fits(pattern, name), does, "{pattern} {name}");
        }
    }

    #[test]
    fn a_column_is_needed_for_itself_its_elements_and_segments() {
        let spec = spec(json!({"columns": ["in.x", "in.list[3]"], "segments": ["in.plan"]})).unwrap();
        let needed: Vec<&str> =
            ["in.x", "in.xy", "in.list", "in.plan", "out.y"].into_iter().filter(|name| spec.needs(name)).collect();
        assert_eq!(needed, ["in.x", "in.list", "in.plan"]);
    }

    #[test]
    fn free_text_is_named_by_itself_or_by_its_form() {
        let spec = |columns: &[&str]| spec(json!({"columns": columns, "texts": ["in.comment"]})).unwrap();
        let watched = |columns: &[&str]| {
            let spec = spec(columns);
            assert!(spec.needs("in.comment"), "{columns:?}");
            let names = ["in.comment:words", "in.comment:length", "in.other:words", "in.comment:tone"];
            names.into_iter().filter(|name| spec.wants(name)).collect::<Vec<_>>()
        };
        assert_eq!(watched(&["in.comment"]), ["in.comment:words", "in.comment:length"]);
        assert_eq!(watched(&["in.comment:words"]), ["in.comment:words"]);
        assert!(!spec(&["in.x"]).needs("in.comment"));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_place() {
        assert!(spec(json!({})).is_ok());
        for reference in [json!({"variant": "v8"}), json!({"version": "3"}), json!({"deployment": "churn-eu"})] {
            assert!(spec(json!({"reference": reference})).unwrap().beside().is_some());
        }
        let estimate = |asked: serde_json::Value| json!({"label": {"name": "y"}, "estimate": asked});
        assert!(spec(estimate(json!({"metric": "mae", "above": 12.5, "window": "2h"}))).is_ok());
        let other = spec(json!({"reference": {"deployment": "churn-eu"}})).unwrap();
        let of = |spec: &MonitorSpec| {
            spec.beside().map(|(_, w)| (w.variant.map(str::to_owned), w.version.map(str::to_owned)))
        };
        assert_eq!(of(&other), Some((Some("stable".into()), None)), "one variant, whichever has most rows in a minute");
        let version = spec(json!({"reference": {"deployment": "churn-eu", "version": "3"}})).unwrap();
        assert_eq!(of(&version), Some((None, Some("3".into()))));
        for (more, place) in [
            (json!({"level": 0.0}), "level is 0"),
            (json!({"minEffect": 1.5}), "minEffect is 1.5"),
            (json!({"window": "1m"}), "window is 1m"),
            (json!({"every": "7s"}), "every is 7s"),
            (json!({"every": "30s", "label": {"name": "y", "wait": "20s"}}), "label.wait is 20s"),
            (json!({"columns": []}), "columns is empty"),
            (
                json!({"texts": ["in.*"], "segments": ["in.plan"]}),
                "texts[0] is in.plan, which tells segments apart; it must be another column",
            ),
            (json!({"segments": ["plan"]}), "segments[0] is \"plan\""),
            (json!({"reference": {"profile": "churn"}}), "reference.profile is \"churn\""),
            (json!({"reference": {"profile": "models:/churn/1", "window": "1d"}}), "reference is"),
            (json!({"reference": {"firstRows": 10}}), "reference.firstRows is 10"),
            (json!({"reference": {"variant": "stable"}}), "reference is the very rows that are watched"),
            (json!({"reference": {"deployment": "churn"}}), "reference is the very rows that are watched"),
            (json!({"reference": {"version": "3", "window": "1d"}}), "reference is live rows and something else"),
            (json!({"segment": {"plan": "gold"}}), "segment is of \"plan\"; it must be of inputs and outputs"),
            (json!({"segment": {"variant": "v8"}}), "segment is of \"variant\"; it must be without it"),
            (json!({"segment": {"in.plan": ["gold"]}}), "did not match any variant"),
            (json!({"reference": {"segment": "others"}}), "reference.segment is others; it must be of a monitor with"),
            (json!({"reference": {"segment": "other"}}), "\"other\" is no segment; expected others, or columns"),
            (json!({"reference": {"segment": {}}}), "reference.segment is of no column"),
            (json!({"reference": {"segment": {"in.plan": "free"}}}), "reference.segment is not surely apart"),
            (
                json!({"segment": {"in.plan": "gold"}, "reference": {"segment": {"in.new": true}}}),
                "reference.segment is not surely apart from `segment`; it must be another value of the same column",
            ),
            (
                json!({"reference": {"segment": "others", "window": "1d"}, "segment": {"in.a": 1}}),
                "live rows and something",
            ),
            (
                json!({"detectors": [{"columns": ["in.x"], "adwin": {}, "bySegment": true}]}),
                "detectors[0].bySegment is true; it must be of a monitor with `segments`",
            ),
            (json!({"label": {"name": ""}}), "label.name is empty"),
            (json!({"label": {"name": "y", "wait": "5s"}}), "label.wait is 5s"),
            (json!({"label": {"name": "y", "prediction": "label"}}), "label.prediction is \"label\""),
            (json!({"estimate": {"metric": "accuracy", "below": 0.9}}), "label is left out; it must be there beside"),
            (estimate(json!({"metric": "accuracy"})), "estimate is with 0 of below, above and drop"),
            (estimate(json!({"metric": "accuracy", "below": 0.9, "drop": 0.1})), "estimate is with 2 of below"),
            (estimate(json!({"metric": "accuracy", "below": 90})), "estimate.below is 90; it must be from 0 to 1"),
            (estimate(json!({"metric": "mae", "drop": 0})), "estimate.drop is 0; it must be over 0"),
            (estimate(json!({"metric": "kappa", "below": 0.9})), "unknown variant `kappa`"),
            (estimate(json!({"metric": "f1", "below": 0.9, "window": "90s"})), "estimate.window is 90s"),
            (estimate(json!({"metric": "f1", "below": 0.9, "window": "10s"})), "estimate.window is 10s"),
            (
                json!({"label": {"name": "y", "wait": "7d"}, "estimate": {"metric": "f1", "below": 0.9, "window": "30m"}}),
                "estimate.window is 30m; it must be a 168th of label.wait",
            ),
            (
                estimate(json!({"metric": "f1", "below": 0.9, "reference": {"data": "churn"}})),
                "estimate.reference.data is \"churn\"",
            ),
            (
                estimate(json!({"metric": "f1", "below": 0.9, "reference": {"data": "models:/a/1", "window": "7d"}})),
                "estimate.reference is data and a window",
            ),
            (json!({"onDrift": {"rollout": "explode"}}), "unknown variant"),
            (json!({"colums": ["*"]}), "unknown field"),
        ] {
            let why = spec(more.clone()).unwrap_err();
            assert!(why.contains(place), "{more}: {why}");
        }
    }

    #[test]
    fn two_segments_are_of_the_same_variant_and_what_tells_them_apart_is_not_watched() {
        let gold =
            json!({"segment": {"in.plan": "gold"}, "reference": {"segment": {"in.plan": "free", "in.new": true}}});
        let gold = spec(gold).unwrap();
        assert_eq!(gold.watched(), "stable of churn where in.plan = gold");
        assert_eq!(gold.compared().unwrap(), "stable of churn where in.new = true and in.plan = free");
        assert!(gold.wants("in.age") && !gold.wants("in.plan") && !gold.wants("in.new"));
        assert!(gold.needs("in.plan") && gold.needs("in.new"));
        let written = serde_json::to_value(&gold).unwrap();
        assert_eq!(serde_json::from_value::<MonitorSpec>(written).unwrap(), gold);
        let rest = spec(json!({"segment": {"in.list[2]": 1}, "reference": {"segment": "others"}})).unwrap();
        assert_eq!(rest.compared().unwrap(), "stable of churn where not (in.list[2] = 1)");
        assert!(rest.needs("in.list") && !rest.wants("in.list[2]") && rest.wants("in.list[1]"));
        // The same segment of another variant, and any variant's of another deployment.
        let same = spec(json!({"segment": {"in.plan": "gold"}, "reference": {"variant": "v8"}})).unwrap();
        assert_eq!(same.compared().unwrap(), "v8 of churn where in.plan = gold");
        let other = json!({"reference": {"deployment": "churn-eu", "segment": {"in.plan": "gold"}}});
        assert_eq!(spec(other).unwrap().compared().unwrap(), "stable of churn-eu where in.plan = gold");
        assert_eq!(spec(json!({})).unwrap().compared(), None);
    }

    #[test]
    fn only_what_changes_the_test_begins_it_anew() {
        let before = spec(json!({})).unwrap();
        assert!(spec(json!({"severity": "critical", "runbook": "https://x"})).unwrap().tests_as(&before));
        let estimate = json!({"label": {"name": "y"}, "estimate": {"metric": "accuracy", "below": 0.9}});
        let labelled = spec(json!({"label": {"name": "y"}})).unwrap();
        assert!(spec(estimate).unwrap().tests_as(&labelled), "what is estimated is no part of the test");
        assert!(!spec(json!({"level": 0.02})).unwrap().tests_as(&before));
        assert!(!spec(json!({"columns": ["in.*"]})).unwrap().tests_as(&before));
        assert!(!spec(json!({"label": {"name": "y"}})).unwrap().tests_as(&before));
        assert!(!spec(json!({"segment": {"in.plan": "gold"}})).unwrap().tests_as(&before));
    }
}
