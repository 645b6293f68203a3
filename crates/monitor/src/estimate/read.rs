//! Columns of a file.

use super::Unanswered;
use crate::column::{Kind, numbers, texts};
use crate::error::MonitorError;
use crate::table::Table;
use arrow::array::ArrayRef;
use arrow::error::ArrowError;

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
    Ok(columns(table, &[name])?.pop().unwrap_or_default())
}

/// Columns of numbers, in one pass of the file; what is missing is NaN.
pub(super) fn columns(table: &Table, names: &[&str]) -> Result<Vec<Vec<f64>>, MonitorError> {
    names.iter().try_for_each(|name| numeric(table, name))?;
    let mut found = vec![Vec::new(); names.len()];
    each(table, names, |at, column| numbers(column, |v| found[at].push(v.unwrap_or(f64::NAN))))?;
    Ok(found)
}

/// # Errors
/// [`Unanswered`] where it is not there, or holds no numbers.
pub(super) fn numeric(table: &Table, name: &str) -> Result<(), MonitorError> {
    if kind(table, name)?.is_numeric() {
        return Ok(());
    }
    Err(Unanswered::Numbers { file: named(table), name: name.to_owned() }.into())
}

/// A column as texts.
pub(super) fn words(table: &Table, name: &str) -> Result<Vec<Option<String>>, MonitorError> {
    kind(table, name)?;
    let mut found = Vec::new();
    each(table, &[name], |_, column| each_word(column, |word| found.push(word)))?;
    Ok(found)
}

/// Calls `f` with each row's text; whole numbers of either type are the same text.
pub(super) fn each_word(column: &ArrayRef, mut f: impl FnMut(Option<String>)) -> Result<(), ArrowError> {
    if Kind::of(column.data_type()).is_numeric() {
        numbers(column, |v| f(v.filter(|v| !v.is_nan()).map(|v| v.to_string())))
    } else {
        texts(column, |t| f(t.map(str::to_owned)))
    }
}

/// Calls `see` with each batch of each column and its place in `names`, in one pass of the file. What is not there is passed
/// over.
///
/// # Errors
/// [`MonitorError`] when the file cannot be read, or with what `see` says of it.
pub(super) fn each(
    table: &Table,
    names: &[&str],
    mut see: impl FnMut(usize, &ArrayRef) -> Result<(), ArrowError>,
) -> Result<(), MonitorError> {
    let mut places: Vec<usize> = names.iter().filter_map(|name| table.schema().index_of(name).ok()).collect();
    places.sort_unstable();
    places.dedup();
    if places.is_empty() {
        return Ok(());
    }
    for part in 0..table.parts() {
        for batch in table.rows(part, Some(&places))? {
            let batch = batch.map_err(|e| table.wrong(&e))?;
            for (at, name) in names.iter().enumerate() {
                let Some(column) = batch.column_by_name(name) else { continue };
                see(at, column).map_err(|e| table.wrong(&e))?;
            }
        }
    }
    Ok(())
}
