//! The four JSON forms of a scoring request, and what the model's inputs become from each.

use super::error::InputError;
use super::tensor;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mainspring_core::NamedTensor;
use mainspring_engine::{AnswerForm, Content};
use mainspring_serving::{Cell, ColumnError, ColumnSpec, ColumnType, Contract, MlflowInputs, Table};
use mainspring_wire::Node;
use std::sync::Arc;

/// Inputs of the model, and how MLflow would write its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// The model's inputs, in its order.
    pub tensors: Vec<NamedTensor>,
    /// Its `params`.
    pub params: Vec<(Arc<str>, Node)>,
    /// Whether MLflow hands the model a data frame, so that the answer is a list of records rather
    /// than an object of arrays: for a column signature always, without a signature when the
    /// request is one, for a tensor signature never.
    pub frame: bool,
    /// Whether the request is one for a language model, whose answer MLflow writes as it is.
    pub bare: bool,
}

impl Input {
    /// Whether it is a data frame without rows, whose answer is a list without records.
    pub(crate) fn no_rows(&self) -> bool {
        self.frame && !self.tensors.is_empty() && self.tensors.iter().all(|t| t.tensor.rows() == 0)
    }
}

/// The request's data before the model is looked at.
enum Form {
    /// Rows with columns.
    Frame(Frame),
    /// Arrays by name.
    Named(Vec<(Arc<str>, Node)>),
    /// One array.
    Single(Node),
}

/// Rows of columns; a cell may hold a list.
struct Frame {
    columns: Vec<Arc<str>>,
    width: usize,
    cells: Vec<Node>,
}

/// Whether the body is a v2 inference request: `inputs` is a list of named tensors.
pub(crate) fn is_v2(body: &Node) -> bool {
    match body.get("inputs") {
        Some(Node::List(items)) => items.first().is_some_and(|first| {
            first.get("name").is_some() && first.get("shape").is_some() && first.get("datatype").is_some()
        }),
        _ => false,
    }
}

/// Reads a JSON request for this model.
///
/// # Errors
/// [`InputError`] naming the column, the input or the field at fault.
pub(crate) fn read(body: Node, contract: &Contract) -> Result<Input, InputError> {
    if contract.answer != AnswerForm::Tensors && LANGUAGE.iter().any(|name| body.get(name).is_some()) {
        return language(body, contract);
    }
    let (form, params, given_frame) = form(body, nested(contract) && nameless_column(contract))?;
    let params = declared_params(params, contract)?;
    let tensors = match form {
        Form::Frame(frame) => from_frame(frame, contract)?,
        Form::Named(arrays) => from_named(arrays, contract)?,
        Form::Single(array) => from_single(array, contract)?,
    };
    Ok(Input { tensors, params, frame: answers_with_records(contract, given_frame), bare: false })
}

/// Members by which MLflow knows a request for a language model (`SUPPORTED_LLM_FORMATS`).
const LANGUAGE: [&str; 3] = ["messages", "prompt", "input"];

/// One row whose members are the model's columns, beside those that are its parameters.
fn language(body: Node, contract: &Contract) -> Result<Input, InputError> {
    let Node::Map(members) = body else { return Err(InputError::Form(format!("is {}", body.kind()))) };
    let declared = contract.mlflow().map(|s| s.params.as_slice()).unwrap_or_default();
    let (params, row): (Vec<_>, Vec<_>) =
        members.into_iter().partition(|(n, _)| declared.iter().any(|d| d.name == **n));
    let (columns, cells): (Vec<_>, Vec<_>) = row.into_iter().unzip();
    let tensors = from_frame(Frame { width: columns.len(), columns, cells }, contract)?;
    Ok(Input { tensors, params, frame: true, bare: true })
}

/// Reads a table (from CSV) for this model.
///
/// # Errors
/// [`InputError::Column`] naming the column.
pub(crate) fn read_table(table: &Table, contract: &Contract) -> Result<Input, InputError> {
    let tensors = contract.tensors(table)?;
    Ok(Input { tensors, params: Vec::new(), frame: answers_with_records(contract, true), bare: false })
}

/// Rows by place, for a model with an input a column; `None` when they are no such rows.
///
/// # Errors
/// [`InputError::Column`] naming the column.
pub(crate) fn placed(rows: &Node, width: usize, contract: &Contract) -> Result<Option<Input>, InputError> {
    let Some(table) = nameless(rows, width) else { return Ok(None) };
    let tensors = from_table(table, contract)?;
    Ok(Some(Input { tensors, params: Vec::new(), frame: answers_with_records(contract, false), bare: false }))
}

/// The members of `params`. As in MLflow, something else than an object does not matter to a model that
/// takes none.
fn declared_params(given: Option<Node>, contract: &Contract) -> Result<Vec<(Arc<str>, Node)>, InputError> {
    match given {
        Some(Node::Map(members)) => Ok(members),
        None | Some(Node::Null) => Ok(Vec::new()),
        Some(_) if contract.mlflow().is_none_or(|s| s.params.is_empty()) => Ok(Vec::new()),
        Some(other) => Err(wrong("params", format!("must be an object, it is {}", other.kind()))),
    }
}

fn answers_with_records(contract: &Contract, frame: bool) -> bool {
    match signature(contract) {
        Some(MlflowInputs::Columns(_)) => true,
        Some(MlflowInputs::Tensors(_)) => false,
        None => frame,
    }
}

fn signature(contract: &Contract) -> Option<&MlflowInputs> {
    contract.mlflow().and_then(|s| s.inputs.as_ref())
}

fn wrong(field: &str, what: impl Into<String>) -> InputError {
    InputError::Shape { field: field.to_owned(), what: what.into() }
}

/// The one form given, the `params`, and whether the form is a data frame. Members that are neither are left
/// alone, as in MLflow. With `values`, a list holds values of the model's only column, whatever they are.
fn form(body: Node, values: bool) -> Result<(Form, Option<Node>, bool), InputError> {
    let Node::Map(members) = body else { return Err(InputError::Form(format!("is {}", body.kind()))) };
    let names: Vec<Arc<str>> = members.iter().map(|(n, _)| Arc::clone(n)).collect();
    let (mut forms, mut params) = (Vec::with_capacity(1), None);
    for (name, value) in members {
        match &*name {
            "dataframe_split" | "dataframe_records" | "instances" | "inputs" => forms.push((name, value)),
            "params" => params = Some(value),
            _ => {}
        }
    }
    let (Some((name, value)), true) = (forms.pop(), forms.is_empty()) else {
        let has = if names.is_empty() { "is empty".to_owned() } else { format!("has {}", names.join(", ")) };
        return Err(InputError::Form(has));
    };
    match &*name {
        "dataframe_split" => Ok((Form::Frame(split(value)?), params, true)),
        "dataframe_records" => Ok((Form::Frame(records(&name, value)?), params, true)),
        "instances" | "inputs" if values => Ok((Form::Single(value), params, false)),
        "instances" => Ok((instances(value)?, params, false)),
        _ => Ok((inputs(value), params, false)),
    }
}

fn split(value: Node) -> Result<Frame, InputError> {
    const FIELD: &str = "dataframe_split";
    let Node::Map(members) = value else {
        return Err(wrong(FIELD, format!("must be an object, it is {}", value.kind())));
    };
    let (mut columns, mut data) = (Vec::new(), None);
    for (name, value) in members {
        match (&*name, value) {
            ("columns", Node::List(list)) => columns = list.iter().map(column_name).collect::<Result<_, _>>()?,
            ("columns", Node::Null) | ("index", _) => {}
            ("columns", other) => {
                return Err(wrong("dataframe_split.columns", format!("must be a list, it is {}", other.kind())));
            }
            ("data", value) => data = Some(value),
            (other, _) => {
                return Err(wrong(FIELD, format!("has {other:?}; it takes columns, data and index")));
            }
        }
    }
    let rows = match data {
        Some(Node::List(rows)) => rows,
        Some(other) => {
            return Err(wrong("dataframe_split.data", format!("must be a list of rows, it is {}", other.kind())));
        }
        None => return Err(wrong(FIELD, "has no data")),
    };
    let width = match (columns.len(), rows.first()) {
        (0, Some(Node::List(first))) => first.len(),
        (0, _) => 1,
        (n, _) => n,
    };
    let mut cells = Vec::with_capacity(rows.len().saturating_mul(width).min(1 << 20));
    for (i, row) in rows.into_iter().enumerate() {
        match row {
            Node::List(row) if row.len() == width => cells.extend(row),
            Node::List(row) => {
                let what = format!("has {} values, there are {width} columns", row.len());
                return Err(wrong(&format!("dataframe_split.data[{i}]"), what));
            }
            scalar if width == 1 => cells.push(scalar),
            other => {
                return Err(wrong(
                    &format!("dataframe_split.data[{i}]"),
                    format!("must be a list, it is {}", other.kind()),
                ));
            }
        }
    }
    Ok(Frame { columns, width, cells })
}

/// Column names are texts; pandas numbers the columns of a frame without names.
fn column_name(node: &Node) -> Result<Arc<str>, InputError> {
    match node {
        Node::Text(text) => Ok(String::from_utf8_lossy(text).into()),
        Node::Int(n) => Ok(n.to_string().into()),
        other => Err(wrong("dataframe_split.columns", format!("must hold names, it holds {}", other.kind()))),
    }
}

/// Records: columns in the order in which they first appear; what a record leaves out is null.
fn records(field: &str, value: Node) -> Result<Frame, InputError> {
    let Node::List(rows) = value else {
        return Err(wrong(field, format!("must be a list of objects, it is {}", value.kind())));
    };
    let mut columns: Vec<Arc<str>> = Vec::new();
    let mut maps = Vec::with_capacity(rows.len());
    for (i, row) in rows.into_iter().enumerate() {
        let Node::Map(members) = row else {
            return Err(wrong(&format!("{field}[{i}]"), format!("must be an object, it is {}", row.kind())));
        };
        // The usual record has the columns of the first one, in the same order.
        let same = members.len() == columns.len() && members.iter().zip(&columns).all(|((n, _), c)| n == c);
        if !same {
            for (name, _) in &members {
                if !columns.contains(name) {
                    columns.push(Arc::clone(name));
                }
            }
            if columns.len() > MAX_COLUMNS {
                return Err(wrong(field, format!("has more than {MAX_COLUMNS} different columns")));
            }
        }
        maps.push(members);
    }
    let width = columns.len();
    let mut cells = Vec::with_capacity(maps.len().saturating_mul(width).min(1 << 20));
    for members in maps {
        if members.len() == width && members.iter().zip(&columns).all(|((n, _), c)| n == c) {
            cells.extend(members.into_iter().map(|(_, v)| v));
            continue;
        }
        let mut row: Vec<Node> = vec![Node::Null; width];
        for (name, value) in members {
            if let Some(at) = columns.iter().position(|c| *c == name) {
                row[at] = value;
            }
        }
        cells.extend(row);
    }
    Ok(Frame { columns, width, cells })
}

/// Columns that records may come to: sparse records cost rows times columns.
const MAX_COLUMNS: usize = 4096;

fn instances(value: Node) -> Result<Form, InputError> {
    match value {
        Node::List(ref items) if matches!(items.first(), Some(Node::Map(_))) => {
            records("instances", value).map(Form::Frame)
        }
        Node::Map(members) => Ok(Form::Named(members)),
        other => Ok(Form::Single(other)),
    }
}

fn inputs(value: Node) -> Form {
    match value {
        Node::Map(members) => Form::Named(members),
        Node::List(ref items) if matches!(items.first(), Some(Node::Map(_))) => {
            match records("inputs", value.clone()) {
                Ok(frame) => Form::Frame(frame),
                Err(_) => Form::Single(value),
            }
        }
        other => Form::Single(other),
    }
}

fn from_frame(frame: Frame, contract: &Contract) -> Result<Vec<NamedTensor>, InputError> {
    if frame.cells.iter().all(Node::scalar) || only_values(&frame, contract)? {
        let cells = frame.cells.into_iter().map(cell).collect();
        return from_table(Table { columns: frame.columns, width: frame.width, cells }, contract);
    }
    // Cells that are lists: each column is an array of its own.
    let mut columns: Vec<Vec<Node>> = (0..frame.width).map(|_| Vec::new()).collect();
    for (i, value) in frame.cells.into_iter().enumerate() {
        columns[i % frame.width].push(value);
    }
    if let (true, [only], Some(column)) = (frame.width == 1, contract.signature.inputs.as_slice(), columns.first_mut())
    {
        return Ok(vec![tensor::build(only, &Node::List(std::mem::take(column)))?]);
    }
    from_named(frame.columns.into_iter().zip(columns.into_iter().map(Node::List)).collect(), contract)
}

/// Whether what the model takes is a value a row in each column, so that a list is no column's rows: it is a
/// value of a nested column, none of any other declared one, and means nothing in the rest.
fn only_values(frame: &Frame, contract: &Contract) -> Result<bool, InputError> {
    let Some(MlflowInputs::Columns(declared)) = signature(contract) else { return Ok(nested(contract)) };
    if declared.iter().any(|c| matches!(c.kind, ColumnType::Other(_))) && !nested(contract) {
        return Ok(false);
    }
    for (i, cell) in frame.cells.iter().enumerate().filter(|(_, cell)| !cell.scalar()) {
        let (row, at) = (i / frame.width, i % frame.width);
        let column = match frame.columns.get(at) {
            Some(name) => declared.iter().find(|c| c.name.as_ref() == Some(name)),
            None => declared.get(at),
        };
        if let Some(column) = column
            && !matches!(column.kind, ColumnType::Other(_))
        {
            let name = column.name.as_deref().map_or_else(|| at.to_string(), str::to_owned);
            let (expected, got) = (column.kind.as_str().to_owned(), cell.kind().to_owned());
            return Err(ColumnError::Type { column: name, expected, row, got }.into());
        }
    }
    Ok(true)
}

/// Cells that are values. In JSON a column of bytes is base64 text, as in MLflow.
fn from_table(mut table: Table, contract: &Contract) -> Result<Vec<NamedTensor>, InputError> {
    if let Some(MlflowInputs::Columns(declared)) = signature(contract) {
        for (place, column) in declared.iter().enumerate().filter(|(_, c)| c.kind == ColumnType::Binary) {
            let at = match &column.name {
                Some(name) if !table.columns.is_empty() => table.columns.iter().position(|c| c == name),
                _ => Some(place).filter(|at| *at < table.width),
            };
            if let Some(at) = at {
                decode(&mut table, at, column)?;
            }
        }
    }
    Ok(contract.tensors(&table)?)
}

fn decode(table: &mut Table, at: usize, column: &ColumnSpec) -> Result<(), InputError> {
    let width = table.width.max(1);
    for (row, cell) in table.cells.iter_mut().skip(at).step_by(width).enumerate() {
        let Cell::Text(text) = cell else { continue };
        let packed: Vec<u8> = text.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
        let bytes = STANDARD.decode(packed).map_err(|e| ColumnError::Type {
            column: column.name.as_deref().map_or_else(|| at.to_string(), str::to_owned),
            expected: "binary, which is base64 text in JSON".into(),
            row,
            got: e.to_string(),
        })?;
        *text = bytes.into();
    }
    Ok(())
}

fn cell(node: Node) -> Cell {
    match node {
        Node::Bool(b) => Cell::Bool(b),
        Node::Int(n) => Cell::Int(n),
        Node::Float(x) => Cell::Float(x),
        Node::Text(text) => Cell::Text(text),
        Node::Null => Cell::Null,
        Node::List(_) | Node::Map(_) => Cell::Json(node.to_json()),
    }
}

/// Whether the model takes nested values.
fn nested(contract: &Contract) -> bool {
    contract.signature.inputs.iter().any(|i| i.content == Content::Json)
}

/// Whether an object is one row, as it is to MLflow when a column of the signature is a list or an object.
fn one_row(contract: &Contract) -> bool {
    let Some(MlflowInputs::Columns(declared)) = signature(contract) else { return false };
    nested(contract) && declared.iter().any(|c| matches!(c.kind.as_str(), "array" | "object"))
}

/// Arrays by name: the model's inputs when it has them, else columns.
fn from_named(arrays: Vec<(Arc<str>, Node)>, contract: &Contract) -> Result<Vec<NamedTensor>, InputError> {
    if one_row(contract) {
        let columns = arrays.iter().map(|(n, _)| Arc::clone(n)).collect();
        let width = arrays.len();
        return from_frame(Frame { columns, width, cells: arrays.into_iter().map(|(_, v)| v).collect() }, contract);
    }
    let known = |name: &str| contract.signature.inputs.iter().any(|i| *i.name == *name);
    let by_column =
        matches!(signature(contract), Some(MlflowInputs::Columns(_))) || !arrays.iter().any(|(name, _)| known(name));
    if by_column && let Some(table) = columns(&arrays) {
        return from_table(table, contract);
    }
    contract
        .signature
        .inputs
        .iter()
        .map(|spec| match arrays.iter().find(|(name, _)| *name == spec.name) {
            Some((_, node)) => tensor::build(spec, node),
            None => Err(missing(&spec.name, &arrays, contract)),
        })
        .collect()
}

fn missing(input: &str, arrays: &[(Arc<str>, Node)], contract: &Contract) -> InputError {
    let takes: Vec<String> = contract.signature.inputs.iter().map(|i| format!("{:?}", i.name)).collect();
    let nearest = mainspring_core::nearest(input, arrays.iter().map(|(n, _)| &**n));
    let near = nearest.map(|n| format!(" (the request has {n:?})")).unwrap_or_default();
    InputError::Value {
        input: input.to_owned(),
        what: format!("is missing{near}; the model takes {}", takes.join(", ")),
    }
}

/// Arrays of one dimension, all of a length, as the columns of a table. A bare value is a column of
/// one row, and lists of one value a row (`[[1], [2]]`) are columns too.
fn columns(arrays: &[(Arc<str>, Node)]) -> Option<Table> {
    let mut lists = Vec::with_capacity(arrays.len());
    for (_, node) in arrays {
        let items: Vec<&Node> = match node {
            Node::List(items) => items
                .iter()
                .map(|item| match item {
                    Node::List(one) if one.len() == 1 => one.first().filter(|n| n.scalar()),
                    item => Some(item).filter(|n| n.scalar()),
                })
                .collect::<Option<_>>()?,
            Node::Map(_) => return None,
            scalar => vec![scalar],
        };
        lists.push(items);
    }
    let rows = lists.first()?.len();
    if lists.iter().any(|l| l.len() != rows) {
        return None;
    }
    let cells =
        (0..rows).flat_map(|r| lists.iter().filter_map(move |l| l.get(r))).map(|n| cell((*n).clone())).collect();
    Some(Table { columns: arrays.iter().map(|(n, _)| Arc::clone(n)).collect(), width: arrays.len(), cells })
}

/// One array: the model's only input, or rows of the signature's columns.
fn from_single(array: Node, contract: &Contract) -> Result<Vec<NamedTensor>, InputError> {
    if let (true, [only], Node::List(values)) = (nested(contract), contract.signature.inputs.as_slice(), &array) {
        // Each element is a value of the only column.
        let columns = vec![Arc::clone(&only.name)];
        let columns = if nameless_column(contract) { Vec::new() } else { columns };
        let cells = values.iter().cloned().map(cell).collect();
        return from_table(Table { columns, width: 1, cells }, contract);
    }
    if let Some(MlflowInputs::Columns(declared)) = signature(contract)
        && let Some(table) = nameless(&array, declared.len())
    {
        return from_table(table, contract);
    }
    match contract.signature.inputs.as_slice() {
        [only] => Ok(vec![tensor::build(only, &array)?]),
        several => {
            let names: Vec<String> = several.iter().map(|i| format!("{:?}", i.name)).collect();
            let what = format!("must be an object with an array for each input: {}", names.join(", "));
            Err(wrong("inputs", what))
        }
    }
}

/// Whether the signature is one column without a name.
fn nameless_column(contract: &Contract) -> bool {
    matches!(signature(contract), Some(MlflowInputs::Columns(columns)) if matches!(columns.as_slice(), [only] if only.name.is_none()))
}

/// Rows without names, when they are as wide as the signature. With one column, a flat list is its
/// values.
fn nameless(array: &Node, width: usize) -> Option<Table> {
    let Node::List(rows) = array else { return None };
    let mut cells = Vec::new();
    for row in rows {
        match row {
            Node::List(row) if row.len() == width && row.iter().all(Node::scalar) => {
                cells.extend(row.iter().cloned().map(cell));
            }
            scalar if width == 1 && scalar.scalar() => cells.push(cell(scalar.clone())),
            _ => return None,
        }
    }
    Some(Table { columns: Vec::new(), width, cells })
}
