//! What the terminal shows: sentences, tables, and JSON for machines.

use crate::args::Output;
use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, ColumnConstraint, ContentArrangement, Table};
use mainspring_core::Timestamp;
use owo_colors::OwoColorize;
use serde::Serialize;
use serde_json::Value;
use std::io::Write;

/// Writes a line to standard output. A closed pipe ends the program quietly, as `head` expects.
pub fn line(text: impl std::fmt::Display) {
    if writeln!(anstream::stdout(), "{text}").is_err() {
        std::process::exit(0);
    }
}

/// Writes a line to standard error: progress and remarks.
pub fn note(text: impl std::fmt::Display) {
    let _gone = writeln!(anstream::stderr(), "{text}");
}

/// One JSON document, pretty when a person may read it.
pub fn json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => line(text),
        Err(e) => note(format!("cannot render JSON: {e}")),
    }
}

/// A table with a head, a row a line, as wide as the terminal at most.
pub fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    grid(head.iter().map(|h| h.to_uppercase()), rows);
}

fn grid(head: impl Iterator<Item = String>, rows: impl IntoIterator<Item = Vec<String>>) {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(head.map(|h| Cell::new(h).add_attribute(Attribute::Bold)));
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    // What a row is called by is copied from here, so it stays in one piece.
    if let Some(first) = table.column_mut(0) {
        first.set_constraint(ColumnConstraint::ContentWidth);
    }
    line(table.trim_fmt());
}

/// A table whose head is names as SQL knows them, or a block of lines for each row where the terminal is
/// too narrow for so many columns.
pub fn rows(head: &[&str], rows: Vec<Vec<String>>) {
    const READABLE: usize = 10;
    if Table::new().width().is_none_or(|width| usize::from(width) >= head.len() * READABLE) {
        return grid(head.iter().map(|h| (*h).to_owned()), rows);
    }
    let longest = head.iter().map(|h| h.chars().count()).max().unwrap_or(0);
    for row in rows {
        for (name, value) in head.iter().zip(row) {
            line(format!("{name:longest$}  {value}"));
        }
        line("");
    }
}

/// A time as people read it, to the minute: `2026-11-25 19:50`.
pub fn time(value: &Value) -> String {
    let text = cell(value);
    match (text.get(..10), text.get(10..11), text.get(11..16)) {
        (Some(day), Some("T"), Some(minute)) => format!("{day} {minute}"),
        _ => text,
    }
}

/// A moment to the minute, UTC: `2026-11-25 08:00`.
pub fn moment(at: Timestamp) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp(at.millis() / 1_000).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let (date, clock) = (at.date(), at.time());
    format!("{date} {:02}:{:02}", clock.hour(), clock.minute())
}

/// A value as one cell: text without quotes, nothing for null.
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(s) => s.clone(),
        other => other.to_string(),
    }
}

/// Bytes for people: `512 B`, `3.4 MiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut shown = format!("{bytes} B");
    for unit in UNITS {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        shown = format!("{value:.1} {unit}");
    }
    shown
}

/// Either the JSON document or what `people` prints.
pub fn either(output: Output, value: &impl Serialize, people: impl FnOnce()) {
    match output {
        Output::Json => json(value),
        Output::Table => people(),
    }
}

/// `✓ text`, `! text` or `✗ text`.
pub fn mark(state: Mark, text: impl std::fmt::Display) -> String {
    match state {
        Mark::Good => format!("{} {text}", "✓".green()),
        Mark::Warn => format!("{} {text}", "!".yellow()),
        Mark::Bad => format!("{} {text}", "✗".red()),
    }
}

/// How a line ended.
#[derive(Debug, Clone, Copy)]
pub enum Mark {
    /// Fine.
    Good,
    /// Works, but.
    Warn,
    /// Does not work.
    Bad,
}
