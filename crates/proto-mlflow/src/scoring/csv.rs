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
        table.cells.extend(record.iter().zip(&text).map(|(field, text)| Cell::written(field, *text)));
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
