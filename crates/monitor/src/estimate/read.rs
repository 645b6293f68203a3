//! Columns of a file.

use super::Unanswered;
use crate::column::{Kind, numbers, texts};
use crate::error::MonitorError;
use crate::table::Table;

pub(super) fn named(table: &Table) -> String {
    table.file().display().to_string()
}

pub(super) fn kind(table: &Table, name: &str) -> Result<Kind, MonitorError> {
    let field = table.schema().field_with_name(name);
    let unknown = || Unanswered::Column { file: named(table), name: name.to_owned() };
    Ok(field.map(|f| Kind::of(f.data_type())).map_err(|_| unknown())?)
}

/// A column of numbers; what is missing is NaN.
pub(super) fn column(table: &Table, name: &str) -> Result<Vec<f64>, MonitorError> {
    if !kind(table, name)?.is_numeric() {
        return Err(Unanswered::Numbers { file: named(table), name: name.to_owned() }.into());
    }
    let mut found = Vec::new();
    each(table, name, |column| numbers(column, |v| found.push(v.unwrap_or(f64::NAN))))?;
    Ok(found)
}

/// A column as texts; whole numbers of either type are the same text.
pub(super) fn words(table: &Table, name: &str) -> Result<Vec<Option<String>>, MonitorError> {
    let mut found = Vec::new();
    if kind(table, name)?.is_numeric() {
        each(table, name, |column| numbers(column, |v| found.push(v.filter(|v| !v.is_nan()).map(|v| v.to_string()))))?;
    } else {
        each(table, name, |column| texts(column, |t| found.push(t.map(str::to_owned))))?;
    }
    Ok(found)
}

fn each(
    table: &Table,
    name: &str,
    mut see: impl FnMut(&arrow::array::ArrayRef) -> Result<(), arrow::error::ArrowError>,
) -> Result<(), MonitorError> {
    let Ok(at) = table.schema().index_of(name) else { return Ok(()) };
    for part in 0..table.parts() {
        for batch in table.rows(part, Some(at))? {
            batch.and_then(|batch| see(batch.column(0))).map_err(|e| table.wrong(&e))?;
        }
    }
    Ok(())
}
