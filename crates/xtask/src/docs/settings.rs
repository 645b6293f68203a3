//! The table of settings in the documentation is the one in the binary.

use super::cli::{Cli, Setting};
use crate::report::{Finding, Trouble};
use std::fmt::Write;
use std::path::Path;

const PAGE: &str = "docs/how-to/configure.md";
const FROM: &str = "<!-- settings: made by `tools/settings-table`; do not edit -->\n";
const TO: &str = "<!-- end of settings -->";

/// Whether the page holds the binary's table.
///
/// # Errors
/// [`Trouble::Read`].
pub fn check(root: &Path, cli: &Cli) -> Result<Vec<Finding>, Trouble> {
    let path = root.join(PAGE);
    if !path.exists() {
        return Ok(vec![Finding::file(PAGE, "is not there; it holds the table of settings")]);
    }
    Ok(compare(&crate::read(&path)?, &cli.settings))
}

/// Compares a page with the settings.
pub fn compare(page: &str, settings: &[Setting]) -> Vec<Finding> {
    let Some(held) = page.split_once(FROM).and_then(|(_, rest)| rest.split_once(TO)).map(|(table, _)| table) else {
        return vec![Finding::file(PAGE, format!("needs the lines `{}` and `{TO}`", FROM.trim_end()))];
    };
    let line = page.split(FROM).next().unwrap_or_default().lines().count() + 1;
    if held.trim() == table(settings).trim() {
        return Vec::new();
    }
    vec![Finding::line(PAGE, line, "the table of settings is not the binary's; run: tools/settings-table")]
}

/// The table as Markdown.
pub fn table(settings: &[Setting]) -> String {
    let mut text = String::from("| setting | environment | default | what it is |\n| --- | --- | --- | --- |\n");
    for s in settings {
        let value = if s.value.is_empty() { String::new() } else { format!("`{}`", s.value) };
        let help = s.help.replace('|', "\\|");
        // Writing to a String cannot fail.
        let _never = writeln!(text, "| `{}` | `{}` | {value} | {help} |", s.name, s.env);
    }
    text
}
