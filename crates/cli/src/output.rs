//! What the terminal shows: sentences, tables, and JSON for machines.

use crate::args::Output;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{Cell, ContentArrangement, Table};
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

/// A table with a head.
pub fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(head.iter().map(|h| Cell::new(h.bold())));
    for row in rows {
        table.add_row(row);
    }
    line(table);
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
