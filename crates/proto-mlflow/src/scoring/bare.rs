//! Rows without names, which SageMaker's serializers send by default: CSV without a header line (`CSVSerializer`)
//! and a bare list (`JSONSerializer`), told apart from what MLflow's clients send.

use super::csv;
use super::error::InputError;
use super::input::{self, Input};
use super::rows;
use mainspring_core::DType;
use mainspring_serving::{Cell, ColumnType, Contract, MlflowInputs};
use mainspring_wire::Node;

/// A column that the model takes at a place of a row.
struct Column<'a> {
    /// `None` where the model gives none: then its place stands for it.
    name: Option<&'a str>,
    /// Its type, where that takes no text.
    number: Option<String>,
}

/// The columns of a row; `None` where the model has one input that takes rows of any names.
fn columns(contract: &Contract) -> Option<Vec<Column<'_>>> {
    if let Some(MlflowInputs::Columns(declared)) = contract.mlflow().and_then(|s| s.inputs.as_ref()) {
        let text = |kind: &ColumnType| {
            matches!(kind, ColumnType::String | ColumnType::Binary | ColumnType::Datetime | ColumnType::Other(_))
        };
        let number = |kind: &ColumnType| (!text(kind)).then(|| kind.as_str().to_owned());
        return Some(declared.iter().map(|c| Column { name: c.name.as_deref(), number: number(&c.kind) }).collect());
    }
    match contract.signature.inputs.as_slice() {
        [] | [_] => None,
        several => {
            let number = |dtype: DType| (dtype != DType::Bytes).then(|| dtype.to_string());
            Some(several.iter().map(|i| Column { name: Some(&i.name), number: number(i.dtype) }).collect())
        }
    }
}

/// `the model takes 2 columns: "a", "b"`.
fn takes(columns: &[Column<'_>]) -> String {
    let names: Vec<String> = columns.iter().filter_map(|c| c.name).map(|n| format!("{n:?}")).collect();
    let s = if columns.len() == 1 { "" } else { "s" };
    let colon = if names.is_empty() { "" } else { ": " };
    format!("the model takes {} column{s}{colon}{}", columns.len(), names.join(", "))
}

fn wrong(field: impl Into<String>, what: String) -> InputError {
    InputError::Shape { field: field.into(), what }
}

/// CSV with a header line when that has a name of the model's columns; a row when it has none and is as wide as the
/// model's rows. Where the model has no names, there is a header, as in MLflow, if it does not look like a row.
///
/// # Errors
/// [`InputError`] naming the line or the column, or saying why it cannot be told what the first line is.
pub(super) fn csv_either(body: &[u8], contract: &Contract) -> Result<Input, InputError> {
    let first = csv::first(body);
    let columns = columns(contract).unwrap_or_default();
    if first.is_empty() || is_header(&first, &columns, contract) {
        return with_header(body, contract);
    }
    if columns.iter().all(|c| c.name.is_none()) {
        if !numbers(&first) {
            return with_header(body, contract);
        }
        let what = "holds numbers, and the model has no names of columns by which a header could be told from a row; \
                    say which it is: text/csv; header=absent, or header=present";
        return Err(wrong("the first line", what.to_owned()));
    }
    if first.len() > 2 && counted(&first) {
        let what = format!(
            "counts the columns, as pandas does where they have no names, and might be a row as well; {}; say which it \
             is: text/csv; header=absent, or name them",
            takes(&columns)
        );
        return Err(wrong("the first line", what));
    }
    if first.len() == columns.len()
        && let Some((field, column, kind)) = first.iter().zip(&columns).find_map(|(field, column)| {
            let kind = column.number.as_ref()?;
            matches!(Cell::written(field, false), Cell::Text(_)).then_some((field, column.name.unwrap_or("?"), kind))
        })
    {
        let what = format!(
            "has none of the names of the model's columns, and is no row: column {column:?} is {kind}, and it has \
             {field:?}; {}, with a header or without",
            takes(&columns)
        );
        return Err(wrong("the first line", what));
    }
    csv_plain(body, contract)
}

/// CSV whose first line is a header when it has a name of the model's columns, else a row.
///
/// # Errors
/// [`InputError`] naming the line or the column.
pub(super) fn csv_rows(body: &[u8], contract: &Contract) -> Result<Input, InputError> {
    if is_header(&csv::first(body), &columns(contract).unwrap_or_default(), contract) {
        return with_header(body, contract);
    }
    input::read_table(&csv::rows(body, contract.mlflow().and_then(|s| s.inputs.as_ref()))?, contract)
}

/// Whether a line has a name of the model's columns, or of its input where the columns have none.
fn is_header(line: &[String], columns: &[Column<'_>], contract: &Contract) -> bool {
    let names: Vec<&str> = columns.iter().filter_map(|c| c.name).collect();
    let names = if names.is_empty() { contract.signature.inputs.iter().map(|i| &*i.name).collect() } else { names };
    line.iter().any(|field| names.contains(&field.trim()))
}

fn with_header(body: &[u8], contract: &Contract) -> Result<Input, InputError> {
    let declared = contract.mlflow().and_then(|s| s.inputs.as_ref());
    input::read_table(&csv::table(body, declared)?, contract)
}

/// Whether a line is a row of numbers rather than a header. pandas numbers the columns of a frame without names, so
/// that `0,1,2` is a header, and the name of an index is empty.
fn numbers(first: &[String]) -> bool {
    let fields = match first {
        [index, rest @ ..] if index.is_empty() && !rest.is_empty() => rest,
        all => all,
    };
    let number = |field: &String| matches!(Cell::written(field, false), Cell::Int(_) | Cell::Float(_));
    let missing = |field: &String| matches!(Cell::written(field, false), Cell::Null);
    !counted(fields) && first.iter().any(number) && first.iter().all(|f| number(f) || missing(f))
}

/// `0,1,2`.
fn counted(fields: &[String]) -> bool {
    fields.iter().enumerate().all(|(at, field)| field.trim().parse() == Ok(at))
}

/// CSV without a header line: a column's place says which it is.
///
/// # Errors
/// [`InputError`] naming the line or the column, or what a row has to have.
pub(super) fn csv_plain(body: &[u8], contract: &Contract) -> Result<Input, InputError> {
    let table = csv::rows(body, contract.mlflow().and_then(|s| s.inputs.as_ref()))?;
    if table.width == 0 {
        return Err(InputError::Csv("it has no rows".into()));
    }
    if let Some(columns) = columns(contract)
        && table.width != columns.len()
    {
        let what = format!("has {} fields without names, and {}", table.width, takes(&columns));
        return Err(wrong("the first line", what));
    }
    input::read_table(&table, contract)
}

/// A bare list: rows by place, or objects. Values alone are one row, or, where a row is one value, so many rows.
///
/// # Errors
/// [`InputError`] naming the row, and what it has to have.
pub(super) fn list(given: Node, contract: &Contract) -> Result<Input, InputError> {
    let Node::List(items) = given else { return rows::instances(given, contract) };
    let columns = columns(contract);
    let width = columns.as_ref().map(Vec::len);
    let flat = !items.is_empty() && items.iter().all(Node::scalar) && wide(&items, width, contract);
    let items = if flat { vec![Node::List(items)] } else { items };
    if let Some(columns) = columns.filter(|c| c.len() > 1) {
        let lengths = items.iter().map(|row| match row {
            Node::List(row) => Some(row.len()),
            _ => None,
        });
        if let Some((at, has)) = lengths.enumerate().find(|(_, has)| has.is_some_and(|n| n != columns.len())) {
            let field = if flat { "the list".to_owned() } else { format!("row {at} of the list") };
            let has = has.unwrap_or_default();
            return Err(wrong(field, format!("has {has} values, and {}", takes(&columns))));
        }
        let rows = Node::List(items);
        return match input::placed(&rows, columns.len(), contract)? {
            Some(input) => Ok(input),
            None => rows::instances(rows, contract),
        };
    }
    rows::instances(Node::List(items), contract)
}

/// Whether a row of the model has several values, so that a list of values is a row.
fn wide(values: &[Node], columns: Option<usize>, contract: &Contract) -> bool {
    match (columns, contract.signature.inputs.as_slice()) {
        (Some(columns), _) => columns > 1,
        (None, [only]) => match only.shape.as_slice() {
            // A model that leaves the rank open takes rows of numbers, or texts.
            [] => !values.iter().any(|v| matches!(v, Node::Text(_))),
            [_, row @ ..] => row.iter().any(|d| *d != 1),
        },
        _ => false,
    }
}
