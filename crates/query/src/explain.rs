//! What is wrong with a query's text, in plain words and with its place.

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use mainspring_core::nearest;

/// Characters shown of the line at fault.
const SHOWN: usize = 100;

/// A place in the text, both counted from one, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    line: usize,
    column: usize,
}

/// The reason, in front of it the place where it is known, and below it the line with a caret.
pub(crate) fn invalid(e: &DataFusionError, sql: &str) -> String {
    let (reason, place) = match e.find_root() {
        DataFusionError::SQL(parser, _) => parsed(parser, sql),
        DataFusionError::SchemaError(schema, _) => (missing(schema), None),
        other => (plain(&other.strip_backtrace()), None),
    };
    let span = e.diagnostic().and_then(|d| d.span).map(|s| s.start);
    let place = place.or_else(|| span.map(|s| Place { line: index(s.line), column: index(s.column) }));
    // A place of zero is DataFusion's word for one that it does not know.
    let shown = place.filter(|p| p.line > 0 && p.column > 0).and_then(|p| Some((p, snippet(sql, p)?)));
    match shown {
        Some((Place { line, column }, snippet)) => format!("line {line}, column {column}: {reason}\n{snippet}"),
        None => reason,
    }
}

fn index(n: u64) -> usize {
    usize::try_from(n).unwrap_or(0)
}

fn parsed(e: &ParserError, sql: &str) -> (String, Option<Place>) {
    let text = match e {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
        ParserError::RecursionLimitExceeded => return ("it is nested too deeply".to_owned(), None),
    };
    let (reason, place) = match text.rsplit_once(" at Line: ") {
        Some((reason, place)) => (reason, read_place(place)),
        // The end is the one thing whose place it does not say.
        None => (text.as_str(), text.ends_with("found: EOF").then(|| end(sql))),
    };
    let reason = reason.replace("Expected: ", "expected ").replace(", found: ", ", found ");
    (plain(&reason.replace("found EOF", "found the end of the query")), place)
}

/// Behind the last character that is no space.
fn end(sql: &str) -> Place {
    let sql = sql.trim_end();
    let last = sql.lines().next_back().unwrap_or_default();
    Place { line: sql.lines().count().max(1), column: last.chars().count() + 1 }
}

/// `1, Column: 8`.
fn read_place(text: &str) -> Option<Place> {
    let (line, column) = text.split_once(", Column: ")?;
    Some(Place { line: line.trim().parse().ok()?, column: column.trim().parse().ok()? })
}

fn missing(e: &SchemaError) -> String {
    let SchemaError::FieldNotFound { field, valid_fields } = e else { return plain(&e.to_string()) };
    // Without quotes a dot parts a table from its column, so `in.age` is looked for as `age` of `in`.
    let wanted = field.flat_name();
    let names: Vec<&str> = valid_fields.iter().map(|f| f.name.as_str()).collect();
    let near = names.iter().copied().find(|n| *n == wanted).or_else(|| nearest(&wanted, names.iter().copied()));
    match near {
        Some(near) if near.contains(|c: char| !c.is_ascii_lowercase() && c != '_') => {
            format!("there is no column {wanted}; did you mean \"{near}\", with its double quotes?")
        }
        Some(near) => format!("there is no column {wanted}; did you mean {near}?"),
        None => format!("there is no column {wanted}"),
    }
}

/// DataFusion's own words without the layers that they came through.
fn plain(text: &str) -> String {
    let mut text = text.trim();
    for layer in ["SQL error: ", "Error during planning: ", "Schema error: ", "sql parser error: "] {
        text = text.strip_prefix(layer).unwrap_or(text);
    }
    // The caret's lines are the only ones that break.
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace("mainspring.journal.", "")
}

/// The line at fault, indented, and a caret below the place.
fn snippet(sql: &str, at: Place) -> Option<String> {
    let line: Vec<char> = sql.lines().nth(at.line - 1).filter(|l| !l.is_empty())?.chars().collect();
    let place = (at.column - 1).min(line.len());
    let from = place.saturating_sub(SHOWN / 2);
    let part = line.iter().skip(from).take(SHOWN).map(|c| if c.is_control() { ' ' } else { *c });
    Some(format!("  {}\n  {}^", part.collect::<String>().trim_end(), " ".repeat(place - from)))
}

#[cfg(test)]
mod tests;
