//! A list of rules, as it is written.

use super::rules::Check;
use fancy_regex::{Regex, RegexBuilder};
use mainspring_core::{ErrorKind, Failure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// How bad it is when a rule is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The data fails.
    #[default]
    Critical,
    /// It is said.
    Warning,
    /// It is counted.
    Info,
}

/// Rules that a table must keep.
#[derive(Debug, Clone, Default)]
pub struct Suite {
    /// Its name, where it has one.
    pub name: Option<String>,
    /// In the order in which they are written.
    pub rules: Vec<Rule>,
}

/// A rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// `expect_…`.
    pub kind: String,
    /// Its arguments, as they are written.
    pub kwargs: Map<String, Value>,
    /// How bad it is.
    pub severity: Severity,
    /// Rows that it is about: all of these must hold.
    pub when: Vec<Condition>,
    pub(super) check: Check,
    /// Share of the rows that must keep it.
    pub(super) mostly: f64,
}

/// Which rows a rule is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Column.
    pub column: String,
    /// It has one of these values.
    #[serde(rename = "in")]
    pub among: Vec<Value>,
}

/// Why a text is no suite.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SuiteError {
    /// Not YAML or JSON, or not a list of expectations.
    #[error("the suite cannot be read: {0}")]
    Form(String),
    /// A rule that is not known.
    #[error("expectation {place} is called {kind:?}, which is not known{}", nearest.as_ref().map(|n| format!("; did you mean {n:?}?")).unwrap_or_default())]
    Unknown {
        /// Counted from 1.
        place: usize,
        /// Its name.
        kind: String,
        /// The nearest that is.
        nearest: Option<String>,
    },
    /// A rule's arguments do not fit.
    #[error("expectation {place}, {kind}: {reason}")]
    Arguments {
        /// Counted from 1.
        place: usize,
        /// Its name.
        kind: String,
        /// What is wrong.
        reason: String,
    },
}

impl Failure for SuiteError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidInput
    }

    fn hint(&self) -> Option<String> {
        matches!(self, Self::Form(_))
            .then(|| "a suite is a mapping with `expectations`, a list of `type` and `kwargs`".into())
    }
}

/// As written by Great Expectations 1 and 0, and by hand.
#[derive(Deserialize)]
struct Written {
    #[serde(alias = "expectation_suite_name")]
    name: Option<String>,
    expectations: Vec<One>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    #[serde(rename = "type", alias = "expectation_type")]
    kind: String,
    #[serde(default)]
    kwargs: Map<String, Value>,
    #[serde(default)]
    severity: Severity,
    #[serde(default)]
    when: Vec<Condition>,
    // Words for people and for its own tools.
    #[serde(rename = "meta")]
    _meta: Option<Value>,
    #[serde(rename = "id")]
    _id: Option<Value>,
    #[serde(rename = "ge_cloud_id")]
    _cloud_id: Option<Value>,
    #[serde(rename = "notes")]
    _notes: Option<Value>,
    #[serde(rename = "description")]
    _description: Option<Value>,
    #[serde(rename = "rendered_content")]
    _rendered: Option<Value>,
}

/// What is asked for in it.
struct Asked {
    kind: String,
    kwargs: Map<String, Value>,
    severity: Severity,
    when: Vec<Condition>,
}

impl From<One> for Asked {
    fn from(one: One) -> Self {
        Self { kind: one.kind, kwargs: one.kwargs, severity: one.severity, when: one.when }
    }
}

impl Suite {
    /// Reads YAML or JSON.
    ///
    /// # Errors
    /// [`SuiteError`] with the place of what is not understood.
    pub fn parse(text: &str) -> Result<Self, SuiteError> {
        let written: Written = serde_saphyr::from_str(text)
            .map_err(|e| SuiteError::Form(e.to_string().lines().next().unwrap_or_default().to_owned()))?;
        let rules = written.expectations.into_iter().enumerate();
        let rules = rules.map(|(at, one)| Rule::read(at + 1, one.into())).collect::<Result<_, _>>()?;
        Ok(Self { name: written.name, rules })
    }

    /// The suite as Great Expectations writes it.
    pub fn to_json(&self) -> Value {
        let rule = |rule: &Rule| {
            let mut made = json!({ "type": rule.kind, "kwargs": rule.kwargs, "severity": rule.severity });
            if !rule.when.is_empty() {
                made["when"] = json!(rule.when);
            }
            made
        };
        json!({ "name": self.name, "expectations": self.rules.iter().map(rule).collect::<Vec<_>>() })
    }

    /// The suite as YAML that [`Suite::parse`] reads: each rule a line of JSON, which is YAML too.
    pub fn to_yaml(&self) -> String {
        let mut text = String::new();
        if let Some(name) = &self.name {
            text.push_str(&format!("name: {}\n", json!(name)));
        }
        text.push_str("expectations:\n");
        for rule in &self.rules {
            text.push_str(&format!("  - type: {}\n    kwargs: {}\n", rule.kind, Value::Object(rule.kwargs.clone())));
            if rule.severity != Severity::Critical {
                text.push_str(&format!("    severity: {}\n", json!(rule.severity).as_str().unwrap_or_default()));
            }
            if !rule.when.is_empty() {
                text.push_str(&format!("    when: {}\n", json!(rule.when)));
            }
        }
        text
    }
}

impl Rule {
    /// A rule of these arguments, for those who make rules themselves.
    ///
    /// # Errors
    /// [`SuiteError`] where the arguments do not fit.
    pub fn new(kind: &str, kwargs: Value, severity: Severity) -> Result<Self, SuiteError> {
        let kwargs = if let Value::Object(map) = kwargs { map } else { Map::new() };
        Self::read(1, Asked { kind: kind.into(), kwargs, severity, when: Vec::new() })
    }

    /// A rule about the rows that `when` names.
    pub(super) fn told(
        kind: &str,
        kwargs: Map<String, Value>,
        when: Vec<Condition>,
        severity: Severity,
    ) -> Result<Self, SuiteError> {
        Self::read(1, Asked { kind: kind.into(), kwargs, severity, when })
    }

    fn read(place: usize, one: Asked) -> Result<Self, SuiteError> {
        let wrong = |reason: String| SuiteError::Arguments { place, kind: one.kind.clone(), reason };
        if !Check::NAMES.contains(&one.kind.as_str()) {
            let nearest = mainspring_core::nearest(&one.kind, Check::NAMES.iter().copied()).map(str::to_owned);
            return Err(SuiteError::Unknown { place, kind: one.kind, nearest });
        }
        let mut kwargs = one.kwargs.clone();
        let mostly = match kwargs.remove("mostly") {
            None | Some(Value::Null) => 1.0,
            Some(v) => v
                .as_f64()
                .filter(|m| (0.0..=1.0).contains(m))
                .ok_or_else(|| wrong(format!("mostly is {v}; it must be a share from 0 to 1")))?,
        };
        // What Great Expectations writes for itself.
        for own in ["batch_id", "result_format", "include_config", "catch_exceptions", "auto", "profiler_config"] {
            kwargs.remove(own);
        }
        if kwargs.get("row_condition").is_some_and(|c| !c.is_null()) {
            return Err(wrong(
                "row_condition is code and is not run; write `when` beside kwargs: [{column, in}]".into(),
            ));
        }
        kwargs.retain(|key, value| !value.is_null() && key != "row_condition" && key != "condition_parser");
        let check: Check =
            serde_json::from_value(json!({ "type": one.kind, "kwargs": kwargs })).map_err(|e| wrong(e.to_string()))?;
        check.sound().map_err(wrong)?;
        if mostly < 1.0 && !check.counts_rows() {
            return Err(wrong("it is about the whole table, so there is no mostly".into()));
        }
        if !one.when.is_empty() && !check.has_rows() {
            return Err(wrong("it is about the columns, so there is no when".into()));
        }
        Ok(Self { kind: one.kind, kwargs: one.kwargs, severity: one.severity, when: one.when, check, mostly })
    }
}

/// Steps that an expression with look-around or back references may take in one text: about a millisecond. Others are
/// found in linear time.
const STEPS: usize = 100_000;

/// A regular expression that is known to be one: Python's, look-around included.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Regex);

impl Pattern {
    /// Whether it stands somewhere in the text, as pandas' `str.contains` and Spark's `rlike`, which Great Expectations
    /// asks. `None` when that takes more than [`STEPS`].
    pub fn is_in(&self, text: &str) -> Option<bool> {
        self.0.is_match(text).ok()
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let made = RegexBuilder::new(&text).backtrack_limit(STEPS).build();
        made.map(Self).map_err(|e| serde::de::Error::custom(format!("{text:?} is no regular expression: {e}")))
    }
}
