//! A CSV body with a header line, read as pandas reads it.

use super::error::InputError;
use mainspring_serving::{Cell, ColumnType, MlflowInputs, Table};
use std::sync::Arc;

/// Reads a table. A column that the signature declares as text keeps its text; in any other, what
/// looks like a number or a truth value is one.
///
/// # Errors
/// [`InputError::Csv`] with the line at fault.
pub(crate) fn table(body: &[u8], declared: Option<&MlflowInputs>) -> Result<Table, InputError> {
    let bad = |e: csv::Error| InputError::Csv(e.to_string());
    utf8(body)?;
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
        table.cells.extend(record.iter().zip(&text).map(|(field, text)| Cell::written(field, *text)));
    }
    Ok(table)
}

/// Reads rows without a header; a column's place says which it is.
///
/// # Errors
/// [`InputError::Csv`] with the line at fault.
pub(crate) fn rows(body: &[u8], declared: Option<&MlflowInputs>) -> Result<Table, InputError> {
    utf8(body)?;
    let names: Vec<&str> = match declared {
        Some(MlflowInputs::Columns(columns)) => columns.iter().map(|c| c.name.as_deref().unwrap_or("")).collect(),
        _ => Vec::new(),
    };
    let text = |at: usize| names.get(at).is_some_and(|name| is_text(declared, name));
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(body);
    let mut table = Table::default();
    for record in reader.records() {
        let record = record.map_err(|e| InputError::Csv(e.to_string()))?;
        table.width = record.len();
        table.cells.extend(record.iter().enumerate().map(|(at, field)| Cell::written(field, text(at))));
    }
    Ok(table)
}

/// The fields of the first line; none where there is no line, or it is not CSV.
pub(crate) fn first(body: &[u8]) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(body);
    let record = reader.records().next().and_then(Result::ok).unwrap_or_default();
    record.iter().map(|field| field.trim_start_matches('\u{feff}').to_owned()).collect()
}

fn utf8(body: &[u8]) -> Result<(), InputError> {
    let failed = |e: std::str::Utf8Error| InputError::Csv(format!("it is not UTF-8 text, at byte {}", e.valid_up_to()));
    std::str::from_utf8(body).map(drop).map_err(failed)
}

fn is_text(declared: Option<&MlflowInputs>, name: &str) -> bool {
    let Some(MlflowInputs::Columns(columns)) = declared else { return false };
    columns.iter().any(|c| {
        c.name.as_deref() == Some(name)
            && matches!(c.kind, ColumnType::String | ColumnType::Binary | ColumnType::Datetime)
    })
}
