//! From columns to the model's inputs.
//!
//! The rules are serving's ([`Contract::tensors`]): whatever does not take the quick way here goes through
//! a [`Table`] and that. The quick way is for numbers that need no check, straight from Arrow's buffers.

mod list;
mod numbers;

use crate::csv;
use crate::error::BatchError;
use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, Schema};
use bytes::Bytes;
use list::list;
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{DType, Tensor};
use mainspring_engine::TensorSpec;
use mainspring_mlmodel::{Cell, ColumnError, ColumnSpec, ColumnType, Contract, MlflowInputs, Table};
use numbers::{Spread, floats32, floats64, wholes32, wholes64};
use std::sync::Arc;

/// How the columns of one input file become a model's inputs.
#[derive(Debug)]
pub(crate) struct Columns {
    contract: Arc<Contract>,
    /// Whether every column is CSV's text.
    text: bool,
    way: Way,
    /// The columns of the table, for what does not go the quick way, by place in the file.
    table: Vec<usize>,
    /// Columns that were named.
    chosen: Vec<String>,
}

#[derive(Debug)]
enum Way {
    /// Columns side by side in one input.
    Stacked(TensorSpec, Vec<Pick>),
    /// An input a column.
    Each(Vec<(TensorSpec, Pick)>),
    /// Through a table.
    Table,
}

#[derive(Debug, Clone)]
struct Pick {
    at: usize,
    kind: Option<ColumnType>,
}

impl Columns {
    /// Fits the columns of `schema` to the model; `chosen` names those that it takes, else its signature
    /// does.
    pub fn new(
        contract: Arc<Contract>,
        schema: &Schema,
        chosen: Option<&[String]>,
        text: bool,
    ) -> Result<Self, BatchError> {
        let table = match chosen {
            Some(names) => names.iter().map(|n| place(schema, n)).collect::<Result<Vec<_>, _>>()?,
            None => (0..schema.fields().len()).collect(),
        };
        let declared = declared(&contract);
        // Columns that the signature does not name are none of the model's.
        let table = match declared.filter(|d| d.iter().all(|c| c.name.is_some())) {
            Some(columns) if chosen.is_none() => {
                let named = |at: &usize| columns.iter().any(|c| c.name.as_deref() == Some(schema.field(*at).name()));
                table.into_iter().filter(named).collect()
            }
            _ => table,
        };
        let way = way(&contract, schema, &table);
        let this = Self { contract, text, way, table, chosen: chosen.map(<[_]>::to_vec).unwrap_or_default() };
        // What is missing shows without a row.
        if matches!(this.way, Way::Table) {
            let names = this.names(schema);
            let none = Table { width: names.len(), columns: names, cells: Vec::new() };
            if none.width == 0 {
                let expected = this.contract.signature.inputs.iter().map(|i| format!("{:?}", i.name));
                let expected = declared_names(&this.contract).unwrap_or_else(|| expected.collect());
                let column = expected.first().map_or_else(String::new, |e| e.trim_matches('"').to_owned());
                let error = ColumnError::Missing { column, nearest: None, expected: expected.join(", ") };
                return Err(BatchError::Columns(error));
            }
            this.contract.tensors(&none).map_err(|e| BatchError::column(e, 0))?;
        }
        Ok(this)
    }

    /// The columns that it takes, by place in the file and in the file's order.
    pub fn places(&self) -> Vec<usize> {
        let mut places = self.table.clone();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// The type in which a column of CSV goes on where the output has types.
    pub fn carried(&self, name: &str) -> DataType {
        if let Some(columns) = declared(&self.contract) {
            let column = columns.iter().find(|c| c.name.as_deref() == Some(name));
            return column.map_or(DataType::Utf8, |c| csv::carried(&c.kind));
        }
        // Without a signature the model says what the columns are that it was given by name.
        match self.contract.signature.inputs.first() {
            Some(only) if self.chosen.iter().any(|c| c == name) => csv::carried(&number(only.dtype)),
            _ => DataType::Utf8,
        }
    }

    /// The inputs that these rows make; the first of them is row `first` of the file.
    pub fn tensors(&self, rows: &RecordBatch, first: u64) -> Result<Vec<NamedTensor>, BatchError> {
        let quick = match &self.way {
            Way::Stacked(spec, picks) => self.stacked(spec, picks, rows).map(|t| vec![t]),
            Way::Each(inputs) => {
                let mut tensors = Vec::with_capacity(inputs.len());
                for (spec, pick) in inputs {
                    let column = rows.column(pick.at);
                    if let DataType::List(_) | DataType::FixedSizeList(..) | DataType::LargeList(_) = column.data_type()
                    {
                        tensors.push(Some(list(spec, rows, pick.at, first)?));
                    } else {
                        tensors.push(self.each(spec, pick, rows));
                    }
                }
                tensors.into_iter().collect()
            }
            Way::Table => None,
        };
        match quick {
            Some(tensors) => Ok(tensors),
            None => self.through_table(rows, first),
        }
    }

    /// The same, the long way round.
    pub fn through_table(&self, rows: &RecordBatch, first: u64) -> Result<Vec<NamedTensor>, BatchError> {
        let columns = self.table.iter().map(|at| self.cells(rows, *at)).collect::<Result<Vec<_>, _>>()?;
        let width = columns.len();
        let mut cells = Vec::with_capacity(width * rows.num_rows());
        let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
        for _ in 0..rows.num_rows() {
            cells.extend(columns.iter_mut().filter_map(Iterator::next));
        }
        let table = Table { columns: self.names(rows.schema_ref()), width, cells };
        self.contract.tensors(&table).map_err(|e| BatchError::column(e, first))
    }

    fn names(&self, schema: &Schema) -> Vec<Arc<str>> {
        self.table.iter().map(|at| Arc::from(schema.field(*at).name().as_str())).collect()
    }

    /// Whether the signature declares a column as text.
    fn is_text(&self, name: &str) -> bool {
        declared(&self.contract).into_iter().flatten().any(|c| {
            c.name.as_deref() == Some(name)
                && matches!(c.kind, ColumnType::String | ColumnType::Binary | ColumnType::Datetime)
        })
    }

    fn cells(&self, rows: &RecordBatch, at: usize) -> Result<Vec<Cell>, BatchError> {
        let (column, name) = (rows.column(at), rows.schema_ref().field(at).name());
        let text = |t: &str| {
            if self.text {
                Cell::written(t, self.is_text(name))
            } else {
                Cell::Text(Bytes::copy_from_slice(t.as_bytes()))
            }
        };
        let wrong = |reason: String| BatchError::Tensor {
            column: name.clone(),
            input: self.contract.signature.inputs.first().map_or_else(String::new, |i| i.name.to_string()),
            reason,
        };
        let to = |kind: &DataType| cast(column, kind).map_err(|e| wrong(e.to_string()));
        Ok(match column.data_type() {
            DataType::Boolean => column.as_boolean().iter().map(|b| b.map_or(Cell::Null, Cell::Bool)).collect(),
            DataType::UInt64 => {
                let values = column.as_primitive::<arrow::datatypes::UInt64Type>().iter();
                let number = |n: u64| i64::try_from(n).map_or(Cell::Float(n as f64), Cell::Int);
                values.map(|n| n.map_or(Cell::Null, number)).collect()
            }
            kind if kind.is_integer() => {
                let values = to(&DataType::Int64)?;
                values.as_primitive::<Int64Type>().iter().map(|n| n.map_or(Cell::Null, Cell::Int)).collect()
            }
            kind if kind.is_floating() || kind.is_decimal() => {
                let values = to(&DataType::Float64)?;
                values.as_primitive::<Float64Type>().iter().map(|n| n.map_or(Cell::Null, Cell::Float)).collect()
            }
            DataType::Utf8 => column.as_string::<i32>().iter().map(|t| t.map_or(Cell::Null, text)).collect(),
            DataType::Binary => column
                .as_binary::<i32>()
                .iter()
                .map(|b| b.map_or(Cell::Null, |b| Cell::Text(Bytes::copy_from_slice(b))))
                .collect(),
            kind if kind.is_temporal() => {
                let values = to(&DataType::Utf8)?;
                values.as_string::<i32>().iter().map(|t| t.map_or(Cell::Null, text)).collect()
            }
            other => return Err(wrong(format!("it is {other}, and the model takes columns of single values"))),
        })
    }

    fn stacked(&self, spec: &TensorSpec, picks: &[Pick], rows: &RecordBatch) -> Option<NamedTensor> {
        let shape = vec![rows.num_rows(), picks.len()];
        let tensor = self.fill(spec.dtype, shape, picks, rows)?;
        Some(NamedTensor { name: Arc::clone(&spec.name), tensor })
    }

    fn each(&self, spec: &TensorSpec, pick: &Pick, rows: &RecordBatch) -> Option<NamedTensor> {
        let n = rows.num_rows();
        let shape = if spec.shape.len() == 2 { vec![n, 1] } else { vec![n] };
        let tensor = if spec.dtype == DType::Bytes {
            Tensor::from_strings(shape, self.texts(pick, rows)?).ok()?
        } else {
            self.fill(spec.dtype, shape, std::slice::from_ref(pick), rows)?
        };
        Some(NamedTensor { name: Arc::clone(&spec.name), tensor })
    }

    fn texts(&self, pick: &Pick, rows: &RecordBatch) -> Option<Vec<Bytes>> {
        let texts: &StringArray = rows.column(pick.at).as_string_opt()?;
        let takes = match pick.kind {
            Some(ColumnType::String) => true,
            None => !self.text,
            Some(_) => false,
        };
        if !takes || texts.null_count() > 0 || (self.text && csv::missing(texts)) {
            return None;
        }
        let (offsets, all) = (texts.value_offsets(), Bytes::copy_from_slice(texts.value_data()));
        let piece = |w: &[i32]| Some(all.slice(usize::try_from(w[0]).ok()?..usize::try_from(w[1]).ok()?));
        offsets.windows(2).map(piece).collect()
    }

    fn fill(&self, dtype: DType, shape: Vec<usize>, picks: &[Pick], rows: &RecordBatch) -> Option<Tensor> {
        let (n, width) = (rows.num_rows(), picks.len());
        macro_rules! numbers {
            ($type:ty, $fill:ident) => {{
                let mut out: Vec<$type> = vec![<$type>::default(); n * width];
                for (place, pick) in picks.iter().enumerate() {
                    let spread = Spread { out: &mut out, from: place, step: width };
                    if !$fill(rows.column(pick.at), pick.kind.as_ref(), self.text, spread) {
                        return None;
                    }
                }
                Tensor::from_vec(dtype, shape, out).ok()
            }};
        }
        match dtype {
            DType::Fp32 => numbers!(f32, floats32),
            DType::Fp64 => numbers!(f64, floats64),
            DType::Int64 => numbers!(i64, wholes64),
            DType::Int32 => numbers!(i32, wholes32),
            _ => None,
        }
    }
}

/// The column type of an element type.
fn number(dtype: DType) -> ColumnType {
    match dtype {
        DType::Bytes => ColumnType::String,
        DType::Bool => ColumnType::Boolean,
        DType::Fp16 | DType::Bf16 | DType::Fp32 | DType::Fp64 => ColumnType::Double,
        _ => ColumnType::Long,
    }
}

fn place(schema: &Schema, name: &str) -> Result<usize, BatchError> {
    schema.index_of(name).map_err(|_| BatchError::NoColumn {
        column: name.to_owned(),
        nearest: mainspring_core::nearest(name, schema.fields().iter().map(|f| f.name().as_str())).map(str::to_owned),
    })
}

fn declared(contract: &Contract) -> Option<&[ColumnSpec]> {
    match contract.mlflow().and_then(|s| s.inputs.as_ref()) {
        Some(MlflowInputs::Columns(columns)) => Some(columns),
        _ => None,
    }
}

fn declared_names(contract: &Contract) -> Option<Vec<String>> {
    Some(declared(contract)?.iter().filter_map(|c| c.name.as_ref().map(|n| format!("{n:?}"))).collect())
}

/// The quick way, where there is one.
fn way(contract: &Contract, schema: &Schema, table: &[usize]) -> Way {
    let inputs = contract.signature.inputs.as_slice();
    let is_list = |at: usize| {
        matches!(schema.field(at).data_type(), DataType::List(_) | DataType::FixedSizeList(..) | DataType::LargeList(_))
    };
    let declared = declared(contract);
    if declared.is_none() && table.iter().any(|at| is_list(*at)) {
        let named = |spec: &TensorSpec| {
            let at = table.iter().copied().find(|at| *schema.field(*at).name() == *spec.name)?;
            Some((spec.clone(), Pick { at, kind: None }))
        };
        let lists: Vec<usize> = table.iter().copied().filter(|at| is_list(*at)).collect();
        return match (inputs.iter().map(named).collect::<Option<Vec<_>>>(), inputs, lists.as_slice()) {
            (Some(all), ..) => Way::Each(all),
            (None, [only], [list]) => Way::Each(vec![(only.clone(), Pick { at: *list, kind: None })]),
            _ => Way::Table,
        };
    }
    let pick = |column: &ColumnSpec| {
        let name = column.name.as_deref()?;
        let at = table.iter().copied().find(|at| schema.field(*at).name() == name)?;
        Some(Pick { at, kind: Some(column.kind.clone()) })
    };
    match inputs {
        [only] if matches!(only.shape.len(), 0 | 2) => {
            let picks: Option<Vec<Pick>> = match declared {
                Some(columns) => columns.iter().map(pick).collect(),
                None if only.shape.get(1) == Some(&1) => None,
                None => Some(table.iter().map(|at| Pick { at: *at, kind: None }).collect()),
            };
            let fits = |picks: &Vec<Pick>| {
                !picks.is_empty() && only.shape.get(1).is_none_or(|d| *d < 0 || usize::try_from(*d) == Ok(picks.len()))
            };
            picks.filter(fits).map_or(Way::Table, |picks| Way::Stacked(only.clone(), picks))
        }
        inputs => {
            let each = |spec: &TensorSpec| {
                let column = declared.map(|d| d.iter().find(|c| c.name.as_deref() == Some(&spec.name)));
                let pick = match column {
                    Some(column) => pick(column?)?,
                    None => {
                        let at = table.iter().copied().find(|at| *schema.field(*at).name() == *spec.name)?;
                        Pick { at, kind: None }
                    }
                };
                matches!(spec.shape.as_slice(), [_] | [_, 1 | -1]).then(|| (spec.clone(), pick))
            };
            inputs.iter().map(each).collect::<Option<Vec<_>>>().map_or(Way::Table, Way::Each)
        }
    }
}
