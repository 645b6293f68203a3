//! Rules that the rows of requests must keep. Serving names, counts and acts; what a rule means is asked of the port
//! [`crate::RuleMaker`].

use super::{HumanDuration, Percent};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::time::Duration;

/// Rules of one deployment at most: what a row broke is one bit each.
pub const MOST_RULES: usize = 64;

const MINUTE: u64 = 60;
/// The windows that counts are summed over.
const WINDOWS: [u64; 7] =
    [5 * MINUTE, 30 * MINUTE, 60 * MINUTE, 120 * MINUTE, 360 * MINUTE, 1440 * MINUTE, 4320 * MINUTE];

/// What the rows of requests must keep, and what happens when one does not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RulesSpec {
    /// What happens to a request with a row that breaks a rule which says nothing of its own.
    #[serde(default)]
    pub action: RuleAction,
    /// The rules, as in a suite of `mainspring validate`: those that a row keeps or breaks by itself.
    pub expectations: Vec<RuleSpec>,
    /// Who broke too much is an alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<RuleAlert>,
}

/// What happens to a request with a row that breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuleAction {
    /// It is answered, and counted.
    Count,
    /// It is answered; the answer and the journal say which rules it broke.
    #[default]
    Flag,
    /// It is refused before the model sees it.
    Reject,
}

impl RuleAction {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Flag => "flag",
            Self::Reject => "reject",
        }
    }
}

/// How bad it is when a rule is broken, as suites say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuleSeverity {
    /// What `action` says.
    #[default]
    Critical,
    /// Flagged at most.
    Warning,
    /// Counted.
    Info,
}

/// One rule, as suites write it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleSpec {
    /// What it is called in answers, in the journal and in metrics: letters, digits, `_`, `.`, `:` and `-`. Made of its
    /// column and its type when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `expect_…`.
    #[serde(rename = "type", alias = "expectation_type")]
    pub kind: String,
    /// Its arguments.
    #[serde(default)]
    pub kwargs: Map<String, Value>,
    /// Which rows it is about: all of these must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<RuleCondition>,
    /// What happens, for this rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<RuleAction>,
    /// How bad it is; says what happens where the rule has no `action`.
    #[serde(default)]
    pub severity: RuleSeverity,
    /// Words for people and for other tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<Value>,
    /// Words for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<Value>,
    /// Words for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Value>,
    /// A name that Great Expectations gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Value>,
}

/// Which rows a rule is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleCondition {
    /// Column.
    pub column: String,
    /// It has one of these values.
    #[serde(rename = "in")]
    pub among: Vec<Value>,
}

/// When rows that break a rule are too many.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuleAlert {
    /// The share of the rows that a rule is about which may break it; a rule with `mostly` says it itself.
    pub over: Percent,
    /// In the last so long: `5m`, `30m`, `1h`, `2h`, `6h`, `1d` or `3d`.
    #[serde(default = "hour")]
    pub window: HumanDuration,
    /// Rows that the window must have before anything is said.
    #[serde(default = "minimum")]
    pub minimum: u64,
    /// Whether somebody looks at it now, and not only on a working day.
    #[serde(default)]
    pub page: bool,
    /// Where it says what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
}

fn hour() -> HumanDuration {
    HumanDuration(Duration::from_secs(60 * MINUTE))
}

fn minimum() -> u64 {
    20
}

impl RuleSpec {
    /// The share of rows that may break it before that is an alert, where it says so itself.
    pub fn allowed(&self) -> Option<f64> {
        let mostly = self.kwargs.get("mostly")?.as_f64()?;
        Some(1.0 - mostly)
    }

    fn called(&self) -> String {
        let columns = [self.kwargs.get("column"), self.kwargs.get("column_A")].into_iter().flatten();
        let list = self.kwargs.get("column_list").and_then(Value::as_array).into_iter().flatten();
        let column = columns.chain(list).find_map(Value::as_str).unwrap_or("row");
        let word = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '_' };
        let column: String = column.chars().map(word).take(64).collect();
        let kind = self.kind.strip_prefix("expect_").unwrap_or(&self.kind);
        let starts = [
            "column_pair_values_",
            "select_column_values_",
            "column_values_",
            "column_value_",
            "multicolumn_",
            "column_",
        ];
        let kind = starts.iter().find_map(|start| kind.strip_prefix(start)).unwrap_or(kind);
        let kind = kind.strip_prefix("to_").unwrap_or(kind);
        format!("{column}:{}", kind.strip_prefix("be_").unwrap_or(kind))
    }
}

impl RulesSpec {
    /// What each rule is called, in their order; no two are called the same.
    pub fn names(&self) -> Vec<String> {
        let mut taken: BTreeSet<String> = self.expectations.iter().filter_map(|r| r.name.clone()).collect();
        let name = |rule: &RuleSpec| {
            rule.name.clone().unwrap_or_else(|| {
                let called = rule.called();
                let mut name = called.clone();
                let mut n = 1;
                while !taken.insert(name.clone()) {
                    n += 1;
                    name = format!("{called}-{n}");
                }
                name
            })
        };
        self.expectations.iter().map(name).collect()
    }

    /// What happens to a request that breaks this rule.
    pub fn action_of(&self, rule: &RuleSpec) -> RuleAction {
        let most = match rule.severity {
            RuleSeverity::Critical => RuleAction::Reject,
            RuleSeverity::Warning => RuleAction::Flag,
            RuleSeverity::Info => RuleAction::Count,
        };
        rule.action.unwrap_or(self.action.min(most))
    }

    /// The field that is wrong, what it is, and what it may be.
    pub(super) fn wrong(&self) -> Option<(&'static str, String, &'static str)> {
        let rules = &self.expectations;
        if rules.is_empty() || rules.len() > MOST_RULES {
            return Some(("rules.expectations", format!("a list of {}", rules.len()), "one rule to 64"));
        }
        let plain = |name: &str| {
            (1..=128).contains(&name.len()) && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"_.:-".contains(&c))
        };
        let mut seen = BTreeSet::new();
        for name in rules.iter().filter_map(|r| r.name.as_deref()) {
            if !plain(name) {
                return Some(("rules.expectations.name", format!("{name:?}"), "letters, digits, _ . : and -"));
            }
            if !seen.insert(name) {
                return Some(("rules.expectations.name", format!("{name:?} twice"), "a name of its own for each rule"));
            }
        }
        let alert = self.alert.as_ref()?;
        if !(0.0..1.0).contains(&alert.over.share()) {
            return Some(("rules.alert.over", alert.over.to_string(), "at least 0%, and less than 100%"));
        }
        if !WINDOWS.contains(&alert.window.0.as_secs()) || alert.window.0.subsec_nanos() > 0 {
            return Some(("rules.alert.window", alert.window.to_string(), "one of 5m, 30m, 1h, 2h, 6h, 1d and 3d"));
        }
        if alert.minimum == 0 {
            return Some(("rules.alert.minimum", "0".to_owned(), "at least 1"));
        }
        let link = alert.runbook.as_ref().filter(|r| !r.starts_with("https://") && !r.starts_with("http://"));
        link.map(|link| ("rules.alert.runbook", format!("{link:?}"), "an http or https URL"))
    }
}
