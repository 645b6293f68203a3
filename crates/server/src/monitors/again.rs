//! monitor asks models again about rows of the journal; serving has them loaded.

use crate::deployments::acting_for;
use mainspring_core::tensor::{NamedTensor, Tensor};
use mainspring_core::{DType, ErrorKind, Failure, Gate};
use mainspring_monitor::live::rows::Cells;
use mainspring_monitor::live::{Answer, Answered, Answers, Asked, Given, PortError, PortResult};
use mainspring_monitor::performance::telling;
use mainspring_serving::{Cell, ColumnType, Contract, Infer, MlflowInputs, Serving, Table};
use std::sync::Arc;

/// The models that are loaded here.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Has them.
    pub serving: Serving,
    /// Decides who may do what.
    pub gate: Gate,
}

fn port(e: &dyn Failure) -> PortError {
    PortError { kind: e.kind(), message: e.to_string() }
}

fn unfit(message: impl Into<String>) -> PortError {
    PortError { kind: ErrorKind::InvalidInput, message: message.into() }
}

impl Answers for Loaded {
    fn again<'a>(&'a self, of: &'a Asked, rows: Given) -> PortResult<'a, Answered> {
        Box::pin(async move {
            let infer = Infer { deployment: of.deployment.clone() };
            let auth = self.gate.authorize(&acting_for(&of.tenant), infer).map_err(|e| port(&e))?;
            let contract = self.serving.contract(&auth, Some(&of.version)).map_err(|e| port(&e))?;
            let inputs = contract.tensors(&table(&contract, &rows)?).map_err(|e| port(&e))?;
            let outputs = self.serving.again(&auth, &of.version, inputs).await.map_err(|e| port(&e))?;
            answered(&outputs, rows.rows)
        })
    }
}

/// Rows of the journal as the table that a caller would send.
fn table(contract: &Contract, given: &Given) -> Result<Table, PortError> {
    let cells = |name: &str| given.columns.get(&format!("in.{name}"));
    let declared: Vec<(&str, Option<&ColumnType>)> = match contract.mlflow().and_then(|s| s.inputs.as_ref()) {
        Some(MlflowInputs::Columns(columns)) => {
            columns.iter().filter_map(|c| Some((c.name.as_deref()?, Some(&c.kind)))).collect()
        }
        _ => contract.signature.inputs.iter().map(|input| (&*input.name, None)).collect(),
    };
    let mut columns: Vec<(Option<Arc<str>>, &Cells, bool)> = declared
        .iter()
        .filter_map(|(name, kind)| Some((Some(Arc::from(*name)), cells(name)?, *kind == Some(&ColumnType::Boolean))))
        .collect();
    if columns.is_empty() {
        // One input of several values a row, which are columns by their place.
        let [only] = contract.signature.inputs.as_slice() else {
            return Err(unfit("its inputs are not in the journal as columns of numbers or texts"));
        };
        let place = |j: usize| given.columns.get(&format!("in.{}[{j}]", only.name));
        columns.extend((0..).map_while(place).map(|cells| (None, cells, false)));
        if columns.is_empty() {
            return Err(unfit(format!("its input {:?} is not in the journal as numbers or texts", only.name)));
        }
    }
    let mut all = Vec::with_capacity(columns.len() * given.rows);
    for row in 0..given.rows {
        all.extend(columns.iter().map(|(_, cells, truth)| cell(cells, row, *truth)));
    }
    let names = columns.iter().filter_map(|(name, ..)| name.clone()).collect();
    Ok(Table { columns: names, width: columns.len(), cells: all })
}

fn cell(cells: &Cells, row: usize, truth: bool) -> Cell {
    match cells {
        Cells::Numbers(values) => match values[row] {
            v if v.is_nan() => Cell::Null,
            v if v.fract() == 0.0 && v.abs() < 9e15 => Cell::Int(v as i64),
            v => Cell::Float(v),
        },
        Cells::Texts(values) => match values[row].as_deref() {
            None => Cell::Null,
            Some(text) if truth => Cell::Bool(text == "true"),
            Some(text) => Cell::Text(text.as_bytes().to_vec().into()),
        },
    }
}

/// What tells most of a prediction among the outputs, row by row.
fn answered(outputs: &[NamedTensor], rows: usize) -> Result<Answered, PortError> {
    let kind = |tensor: &Tensor| {
        let each = match tensor.dtype() {
            DType::Bytes => "Utf8",
            DType::Bool => "Boolean",
            DType::Fp16 | DType::Bf16 | DType::Fp32 | DType::Fp64 => "Float64",
            _ => "Int64",
        };
        if tensor.len() > tensor.rows() { format!("List({each})") } else { each.to_owned() }
    };
    let named: Vec<(String, String)> = outputs.iter().map(|o| (format!("out.{}", o.name), kind(&o.tensor))).collect();
    let told = telling(named.iter().map(|(name, kind)| (name.as_str(), kind.clone())));
    let Some((at, output)) = told.and_then(|told| Some((named.iter().position(|(name, _)| *name == told)?, told)))
    else {
        return Err(unfit("none of its outputs tells alone what was predicted"));
    };
    let tensor = &outputs[at].tensor;
    if tensor.rows() != rows || rows == 0 {
        return Err(unfit(format!("{output} is not one answer a row")));
    }
    let width = tensor.len() / rows;
    let floats = match tensor.dtype() {
        DType::Fp32 => tensor.to_vec::<f32>().map(|v| v.into_iter().map(f64::from).collect::<Vec<f64>>()),
        DType::Fp64 => tensor.to_vec::<f64>(),
        _ => None,
    };
    let rows = if let Some(values) = floats {
        values.chunks(width.max(1)).map(|row| Answer::Numbers(row.to_vec())).collect()
    } else {
        let names: Option<Vec<String>> = match tensor.dtype() {
            DType::Bytes => tensor.strings().map(|all| all.iter().map(|s| String::from_utf8_lossy(s).into()).collect()),
            DType::Int64 => tensor.to_vec::<i64>().map(|all| all.iter().map(i64::to_string).collect()),
            DType::Int32 => tensor.to_vec::<i32>().map(|all| all.iter().map(i32::to_string).collect()),
            DType::Bool | DType::Uint8 => tensor.to_vec::<u8>().map(|all| all.iter().map(u8::to_string).collect()),
            _ => None,
        };
        let names = names.filter(|_| width == 1);
        names
            .ok_or_else(|| unfit(format!("{output} is {} and cannot be compared", tensor.dtype())))?
            .into_iter()
            .map(Answer::Class)
            .collect()
    };
    Ok(Answered { output, rows })
}
