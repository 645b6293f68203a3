//! A CSV body with a header line, read as pandas reads it.

use super::error::InputError;
use bytes::Bytes;
use mainspring_serving::{Cell, ColumnType, MlflowInputs, Table};
use std::sync::Arc;

/// Texts that pandas takes for a missing value (`pandas.io.parsers`, `STR_NA_VALUES`).
const MISSING: [&str; 19] = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
];

/// Reads a table. A column that the signature declares as text keeps its text; in any other, what
/// looks like a number or a truth value is one.
///
/// # Errors
/// [`InputError::Csv`] with the line at fault.
pub(crate) fn table(body: &[u8], declared: Option<&MlflowInputs>) -> Result<Table, InputError> {
    let bad = |e: csv::Error| InputError::Csv(e.to_string());
    if let Err(e) = std::str::from_utf8(body) {
        return Err(InputError::Csv(format!("it is not UTF-8 text, at byte {}", e.valid_up_to())));
    }
    let mut reader = csv::ReaderBuilder::new().has_headers(true).from_reader(body);
    let columns: Vec<Arc<str>> = reader
        .headers()
        .map_err(bad)?
        .iter()
        .enumerate()
        .map(|(i, name)| match name.trim_start_matches('\u{feff}') {
            // The index column that `DataFrame.to_csv()` writes has no name; pandas reads it as this.
            "" => format!("Unnamed: {i}").into(),
            name => name.into(),
        })
        .collect();
    if columns.is_empty() {
        return Err(InputError::Csv("it has no header line".into()));
    }
    let text: Vec<bool> = columns.iter().map(|c| is_text(declared, c)).collect();
    let mut table = Table { width: columns.len(), columns, cells: Vec::new() };
    for record in reader.records() {
        let record = record.map_err(bad)?;
        table.cells.extend(record.iter().zip(&text).map(|(field, text)| cell(field, *text)));
    }
    Ok(table)
}

fn is_text(declared: Option<&MlflowInputs>, name: &str) -> bool {
    let Some(MlflowInputs::Columns(columns)) = declared else { return false };
    columns.iter().any(|c| {
        c.name.as_deref() == Some(name)
            && matches!(c.kind, ColumnType::String | ColumnType::Binary | ColumnType::Datetime)
    })
}

fn cell(field: &str, text: bool) -> Cell {
    if MISSING.contains(&field) {
        return Cell::Null;
    }
    if text {
        return Cell::Text(Bytes::copy_from_slice(field.as_bytes()));
    }
    let trimmed = field.trim();
    match trimmed {
        "True" | "TRUE" | "true" => return Cell::Bool(true),
        "False" | "FALSE" | "false" => return Cell::Bool(false),
        _ => {}
    }
    if let Ok(whole) = trimmed.parse::<i64>() {
        return Cell::Int(whole);
    }
    match trimmed.parse::<f64>() {
        Ok(number) => Cell::Float(number),
        Err(_) => Cell::Text(Bytes::copy_from_slice(field.as_bytes())),
    }
}
