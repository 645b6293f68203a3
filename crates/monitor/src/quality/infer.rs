//! Rules from what a table looks like.

use super::checker::Checker;
use super::suite::{Rule, Severity, Suite, SuiteError};
use crate::column::Kind;
use crate::error::MonitorError;
use crate::profile::{Column, Profile};
use crate::table::Table;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mainspring_stats::{Frequent, Kll};
use serde_json::{Value, json};

/// Different texts up to which they are a set that new ones are unexpected in.
const CATEGORIES: usize = 20;
/// Rows that a category must have, on average, before the set of them is believed to be whole.
const EACH: u64 = 20;
/// Rows below which one value more or less says too much.
const FEW: u64 = 100;
/// Share of a column's rows by which its missing values may at least be more than they were.
const SLACK: f64 = 0.01;
/// Share of the rows that must be in the range that was seen: the next sample has its own least and greatest values.
const MOSTLY: f64 = 0.99;

/// Quartiles, and rows below which they say too much.
const QUARTILES: [f64; 3] = [0.25, 0.5, 0.75];
const ENOUGH: f64 = 1_000.0;
/// Share of different values from which on whole numbers are ids or counts, of which the next ones are others.
const IDS: f64 = 0.85;

/// Rules that the profiled table keeps, and that another of its kind should: its columns and their types, how much is
/// missing, the range of numbers, the categories of texts.
///
/// # Errors
/// [`SuiteError`] never comes of a profile that is one.
pub fn infer(profile: &Profile) -> Result<Suite, SuiteError> {
    let names: Vec<&str> = profile.columns.iter().map(|c| c.name.as_str()).collect();
    let mut rules =
        vec![Rule::new("expect_table_columns_to_match_set", json!({ "column_set": names }), Severity::Critical)?];
    for column in &profile.columns {
        for (kind, kwargs, severity) in of_column(column, profile.rows) {
            rules.push(Rule::new(kind, kwargs, severity)?);
        }
    }
    Ok(Suite { name: Some(profile.file.clone()), rules })
}

fn of_column(column: &Column, rows: u64) -> Vec<(&'static str, Value, Severity)> {
    let name = &column.name;
    let mut rules = Vec::new();
    let word = match column.kind {
        Kind::Integer => Some("integer"),
        Kind::Number => Some("number"),
        Kind::Boolean => Some("boolean"),
        Kind::Text => Some("text"),
        Kind::Time => Some("time"),
        Kind::Other => None,
    };
    if let Some(word) = word.filter(|_| column.present > 0) {
        let kwargs = if word == "integer" || word == "number" {
            // What is whole today may have a fraction in another file, and the other way around in a CSV.
            ("expect_column_values_to_be_in_type_list", json!({ "column": name, "type_list": ["integer", "number"] }))
        } else {
            ("expect_column_values_to_be_of_type", json!({ "column": name, "type_": word }))
        };
        rules.push((kwargs.0, kwargs.1, Severity::Critical));
    }
    let nan = column.numbers.as_ref().map_or(0, |n| n.nan);
    let there = column.present - nan;
    if rows > 0 && there > 0 {
        let share = there as f64 / rows as f64;
        let slack = SLACK.max(chance(share, rows as f64));
        // To a thousandth, downwards.
        let mostly = ((share - slack).max(0.0) * 1e3).floor() / 1e3;
        let kwargs =
            if there == rows { json!({ "column": name }) } else { json!({ "column": name, "mostly": mostly }) };
        rules.push(("expect_column_values_to_not_be_null", kwargs, Severity::Critical));
    }
    let range = column.numbers.as_ref().filter(|n| n.infinite == 0).and_then(|n| Some((n.min?, n.max?)));
    if let (Some((min, max)), true) = (range, column.kind != Kind::Time && !ids(column)) {
        let kwargs = json!({ "column": name, "min_value": min, "max_value": max, "mostly": MOSTLY });
        rules.push(("expect_column_values_to_be_between", kwargs, Severity::Critical));
    }
    if let Some(quartiles) = quartiles(column) {
        rules.push(("expect_column_quantile_values_to_be_between", quartiles, Severity::Warning));
    }
    if let Some(texts) = &column.texts {
        let (known, seen) = (texts.frequent.len(), texts.frequent.iter().map(|f| f.1).sum::<u64>());
        // Whole, none of them cut, and each of them frequent.
        let uncut = texts.longest <= Frequent::MAX_VALUE_BYTES as u64;
        let whole = uncut && texts.count_error == 0 && seen == column.present;
        if whole && known <= CATEGORIES && column.present >= EACH * known as u64 && known > 0 {
            let values: Vec<&str> = texts.frequent.iter().map(|f| f.0.as_str()).collect();
            let kwargs = json!({ "column": name, "value_set": values });
            rules.push(("expect_column_values_to_be_in_set", kwargs, Severity::Critical));
        }
    }
    rules
}

/// Three standard deviations of the difference between a share of this sample, of `n` rows, and that of another of a thousand
/// rows or more.
fn chance(share: f64, n: f64) -> f64 {
    3.0 * (share * (1.0 - share) * (1.0 / n + 1.0 / ENOUGH)).sqrt()
}

/// Whole numbers that are nearly all different, in rows enough to say so: ids or counts, of which the next ones are others.
fn ids(column: &Column) -> bool {
    column.kind == Kind::Integer && column.present >= FEW && column.distinct > IDS * column.present as f64
}

/// The ranges of quartiles: the values of the ranks that are three standard deviations away, of the difference between this
/// sample and another of a thousand rows or more. Of few rows, ids and times there are none.
fn quartiles(column: &Column) -> Option<Value> {
    let numbers = column.numbers.as_ref().filter(|n| n.infinite == 0)?;
    let n = (column.present - numbers.nan) as f64;
    if n < ENOUGH || ids(column) || column.kind == Kind::Time {
        return None;
    }
    let sketch = Kll::from_datasketches(&STANDARD.decode(&numbers.kll).ok()?).ok()?;
    let view = sketch.view();
    let ranges: Option<Vec<(f64, f64)>> = QUARTILES
        .iter()
        .map(|q| {
            let away = chance(*q, n) + numbers.rank_error;
            Some((view.quantile(q - away)?, view.quantile(q + away)?))
        })
        .collect();
    Some(json!({ "column": column.name, "quantile_ranges": { "quantiles": QUARTILES, "value_ranges": ranges? } }))
}

/// The same with rules that only the rows themselves tell of, as warnings: columns whose values are all different, and
/// no row twice. Reads the table once. Blocks.
///
/// # Errors
/// [`MonitorError`] when it cannot be read.
pub fn sharpened(mut suite: Suite, profile: &Profile, table: &Table) -> Result<Suite, MonitorError> {
    if profile.rows < FEW {
        return Ok(suite);
    }
    let different = |c: &&Column| {
        matches!(c.kind, Kind::Integer | Kind::Text) && c.distinct > IDS * c.present as f64 && c.present >= FEW
    };
    let unique = profile
        .columns
        .iter()
        .filter(different)
        .map(|c| Rule::new("expect_column_values_to_be_unique", json!({ "column": c.name }), Severity::Warning));
    let whole = Rule::new("expect_table_rows_to_be_unique", json!({}), Severity::Warning);
    let candidates = Suite { name: None, rules: unique.chain([whole]).filter_map(Result::ok).collect() };
    let mut checker = Checker::new(&candidates, table.schema());
    for part in 0..table.parts() {
        for batch in table.rows(part, None)? {
            batch.and_then(|batch| checker.see(&batch)).map_err(|e| table.wrong(&e))?;
        }
    }
    let kept = checker.finish().results.into_iter().map(|r| r.success);
    suite.rules.extend(candidates.rules.into_iter().zip(kept).filter(|(_, kept)| *kept).map(|(rule, _)| rule));
    Ok(suite)
}
