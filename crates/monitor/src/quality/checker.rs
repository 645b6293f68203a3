//! Rules over batches of rows.

use super::arguments::Range;
use super::judge::is_about;
use super::rows::{Columns, Set};
use super::rules::Check;
use super::state::{Row, State};
use super::suite::{Rule, Severity, Suite};
use crate::column::{Kind, kind_of};
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Rows that are shown of those that broke a rule.
const SHOWN: usize = 5;

/// What came of a suite.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Validation {
    /// Whether every critical rule was kept.
    pub success: bool,
    /// Rows looked at.
    pub rows: u64,
    /// Rules by what became of them.
    pub statistics: Statistics,
    /// In the order of the suite.
    pub results: Vec<RuleResult>,
}

/// Rules by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Statistics {
    /// All.
    pub evaluated: usize,
    /// Those kept.
    pub successful: usize,
    /// Critical ones that were not.
    pub failed: usize,
    /// Others that were not.
    pub warned: usize,
}

/// What came of a rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleResult {
    /// `expect_…`.
    #[serde(rename = "type")]
    pub kind: String,
    /// As in the suite.
    pub kwargs: Map<String, Value>,
    /// As in the suite.
    pub severity: Severity,
    /// Whether it was kept.
    pub success: bool,
    /// Rows that it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looked: Option<u64>,
    /// Those that broke it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unexpected: Option<u64>,
    /// What was found, of rules about a column or the table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed: Option<Value>,
    /// Some of the rows that broke it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
    /// Why it could not be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A row that broke a rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Example {
    /// Its number, from 0.
    pub row: u64,
    /// The values that the rule is about.
    pub values: Map<String, Value>,
}

struct Live {
    rule: Rule,
    state: State,
    when: Vec<Set>,
    looked: u64,
    broken: u64,
    examples: Vec<Example>,
    error: Option<String>,
}

/// Looks at rows as they come.
pub struct Checker {
    rules: Vec<Live>,
    schema: SchemaRef,
    rows: u64,
}

impl std::fmt::Debug for Checker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Checker({} rules, {} rows)", self.rules.len(), self.rows)
    }
}

impl Checker {
    /// For rows of these columns. A rule about a column that is not there is broken, and says so.
    pub fn new(suite: &Suite, schema: &SchemaRef) -> Self {
        let live = |rule: &Rule| Live {
            state: State::new(&rule.check),
            when: rule.when.iter().map(|c| Set::new(&c.among)).collect(),
            error: absent(rule, schema),
            rule: rule.clone(),
            looked: 0,
            broken: 0,
            examples: Vec::new(),
        };
        Self { rules: suite.rules.iter().map(live).collect(), schema: SchemaRef::clone(schema), rows: 0 }
    }

    /// Looks at further rows.
    ///
    /// # Errors
    /// When a column is not what the schema says.
    pub fn see(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let columns = Columns::new(batch);
        for live in self.rules.iter_mut().filter(|live| live.error.is_none() && live.rule.check.has_rows()) {
            let about = live.about(&columns)?;
            match live.state.see(&live.rule, &columns, &about) {
                Ok(rows) => live.count(&rows, &columns, self.rows),
                Err(ArrowError::NotYetImplemented(reason)) => live.error = Some(reason),
                Err(e) => return Err(e),
            }
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// What came of the rows so far.
    pub fn finish(&self) -> Validation {
        let results: Vec<RuleResult> = self.rules.iter().map(|live| live.told(&self.schema, self.rows)).collect();
        let of = |critical: bool| {
            results.iter().filter(|r| !r.success && (r.severity == Severity::Critical) == critical).count()
        };
        let statistics = Statistics {
            evaluated: results.len(),
            successful: results.iter().filter(|r| r.success).count(),
            failed: of(true),
            warned: of(false),
        };
        Validation { success: statistics.failed == 0, rows: self.rows, statistics, results }
    }
}

/// Why a rule cannot be looked at in such a table.
fn absent(rule: &Rule, schema: &Schema) -> Option<String> {
    if matches!(rule.check, Check::ExpectColumnToExist(_)) {
        return None;
    }
    let mut names = rule.check.columns();
    names.extend(rule.when.iter().map(|c| c.column.as_str()));
    let absent = names.into_iter().find(|name| kind_of(schema, name).is_none())?;
    let there: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let near = mainspring_core::nearest(absent, there);
    Some(format!("there is no column {absent:?}{}", near.map(|n| format!("; did you mean {n:?}?")).unwrap_or_default()))
}

impl Live {
    /// Which rows the rule is about.
    fn about(&self, columns: &Columns<'_>) -> Result<Vec<bool>, ArrowError> {
        let mut about = vec![true; columns.len()];
        for (condition, set) in self.rule.when.iter().zip(&self.when) {
            let column = columns.get(&condition.column)?;
            about.iter_mut().enumerate().for_each(|(at, about)| *about &= is_about(set, &*column, at));
        }
        Ok(about)
    }

    fn count(&mut self, rows: &[Row], columns: &Columns<'_>, first: u64) {
        self.looked += rows.iter().filter(|r| **r != Row::Apart).count() as u64;
        for (at, _) in rows.iter().enumerate().filter(|(_, row)| **row == Row::Broken) {
            self.broken += 1;
            if self.examples.len() < SHOWN {
                let mut names: BTreeSet<String> = self.rule.check.columns().iter().map(|n| (*n).to_owned()).collect();
                names.extend(self.rule.when.iter().map(|c| c.column.clone()));
                let values = names.into_iter().map(|n| (n.clone(), columns.shown(&n, at))).collect();
                self.examples.push(Example { row: first + at as u64, values });
            }
        }
    }

    fn told(&self, schema: &Schema, rows: u64) -> RuleResult {
        let mut result = RuleResult {
            kind: self.rule.kind.clone(),
            kwargs: self.rule.kwargs.clone(),
            severity: self.rule.severity,
            success: false,
            looked: None,
            unexpected: None,
            observed: None,
            examples: Vec::new(),
            error: self.error.clone(),
        };
        if self.error.is_some() {
            return result;
        }
        if let Some((observed, success)) = self.of_table(schema, rows).or_else(|| self.state.told(&self.rule)) {
            (result.observed, result.success) = (Some(observed), success);
            return result;
        }
        // Equal rows are broken all of them.
        let broken = self.broken + self.state.first_of_many();
        let kept = self.looked - broken.min(self.looked);
        result.success = self.looked == 0 || kept as f64 / self.looked as f64 >= self.rule.mostly;
        (result.looked, result.unexpected) = (Some(self.looked), Some(broken));
        result.observed = if broken > 0 { self.state.outside() } else { None };
        result.examples.clone_from(&self.examples);
        result
    }

    /// Of rules about the table's form.
    fn of_table(&self, schema: &Schema, rows: u64) -> Option<(Value, bool)> {
        let names = || schema.fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>();
        let kind = |column: &str| kind_of(schema, column);
        Some(match &self.rule.check {
            // With `when`, the rows that it names.
            Check::ExpectTableRowCountToBeBetween(b) => {
                let rows = self.rows(rows);
                (json!(rows), Range::from(b).holds(rows as f64))
            }
            Check::ExpectTableRowCountToEqual(e) => (json!(self.rows(rows)), self.rows(rows) == e.value),
            Check::ExpectTableColumnCountToBeBetween(b) => {
                (json!(names().len()), Range::from(b).holds(names().len() as f64))
            }
            Check::ExpectTableColumnCountToEqual(e) => (json!(names().len()), names().len() as u64 == e.value),
            Check::ExpectColumnProportionOfNonNullValuesToBeBetween(b) => {
                let share = (self.looked > 0).then(|| (self.looked - self.broken) as f64 / self.looked as f64);
                (json!(share), share.is_some_and(|share| Range::from(b).holds(share)))
            }
            Check::ExpectTableColumnsToMatchSet(s) => {
                let there: BTreeSet<&str> = names().into_iter().collect();
                let wanted: BTreeSet<&str> = s.column_set.iter().map(String::as_str).collect();
                let absent: Vec<_> = wanted.difference(&there).collect();
                let more: Vec<_> = there.difference(&wanted).collect();
                let holds = absent.is_empty() && (more.is_empty() || !s.exact_match);
                (json!({ "absent": absent, "more": more }), holds)
            }
            Check::ExpectTableColumnsToMatchOrderedList(l) => (json!(names()), names() == l.column_list),
            Check::ExpectColumnToExist(c) => (json!(kind(&c.column).is_some()), kind(&c.column).is_some()),
            Check::ExpectColumnValuesToBeOfType(t) => {
                let kind = kind(&t.column)?;
                (json!(kind.to_string()), is_type(&kind, &t.type_))
            }
            Check::ExpectColumnValuesToBeInTypeList(t) => {
                let kind = kind(&t.column)?;
                (json!(kind.to_string()), t.type_list.iter().any(|wanted| is_type(&kind, wanted)))
            }
            _ => return None,
        })
    }

    fn rows(&self, all: u64) -> u64 {
        if self.rule.when.is_empty() { all } else { self.looked }
    }
}

/// Our own words for kinds, Arrow's names, and those of pandas and Spark that mean the same.
pub(super) fn is_type(kind: &arrow::datatypes::DataType, wanted: &str) -> bool {
    let word = wanted.to_ascii_lowercase();
    let same = match Kind::of(kind) {
        Kind::Integer => ["integer", "int", "bigint", "long"].contains(&word.as_str()),
        Kind::Number => ["number", "float", "double", "decimal"].contains(&word.as_str()),
        Kind::Boolean => ["boolean", "bool"].contains(&word.as_str()),
        Kind::Text => ["text", "string", "str", "object", "varchar"].contains(&word.as_str()),
        Kind::Time => ["time", "datetime", "timestamp", "date"].contains(&word.as_str()),
        Kind::Other => false,
    };
    same || kind.to_string().to_ascii_lowercase() == word
}
