//! Rows as SageMaker's clients send them: JSON lines and NumPy's arrays; without names they are [`super::bare`]'s.

use super::error::InputError;
use super::input::{self, Input};
use half::{bf16, f16};
use mainspring_core::{DType, NamedTensor, Tensor};
use mainspring_serving::{Cell, Contract, MlflowInputs, Table};
use mainspring_wire::{Node, npy};
use std::sync::Arc;

/// A JSON value a line: an object with the columns, a list of values, or `{"features": […]}`.
///
/// # Errors
/// [`InputError`] naming the line.
pub(super) fn lines(body: &[u8], contract: &Contract) -> Result<Input, InputError> {
    let mut rows = Vec::new();
    for (i, line) in body.split(|b| *b == b'\n').enumerate().filter(|(_, l)| !l.trim_ascii().is_empty()) {
        let node = Node::parse(line)
            .map_err(|e| InputError::Shape { field: format!("line {}", i + 1), what: format!("is not JSON: {e}") })?;
        rows.push(match node {
            Node::Map(members) => match <[_; 1]>::try_from(members) {
                Ok([(name, row @ Node::List(_))]) if *name == *"features" => row,
                Ok([one]) => Node::Map(vec![one]),
                Err(members) => Node::Map(members),
            },
            other => other,
        });
    }
    instances(Node::List(rows), contract)
}

/// Rows that stand for themselves, as under `instances`.
pub(super) fn instances(rows: Node, contract: &Contract) -> Result<Input, InputError> {
    input::read(Node::Map(vec![("instances".into(), rows)]), contract)
}

/// One array.
///
/// # Errors
/// [`InputError`] saying what does not fit.
pub(super) fn array(body: &bytes::Bytes, contract: &Contract) -> Result<Input, InputError> {
    let tensor = npy::read(body)?;
    let declared = contract.mlflow().and_then(|s| s.inputs.as_ref());
    if let (Some(MlflowInputs::Columns(_)), [_, width]) = (declared, tensor.shape()) {
        let table = Table { columns: Vec::new(), width: *width, cells: cells(&tensor)? };
        return input::read_table(&table, contract);
    }
    let [only] = contract.signature.inputs.as_slice() else {
        let names: Vec<String> = contract.signature.inputs.iter().map(|i| format!("{:?}", i.name)).collect();
        let what = format!("is one array, and the model takes several: {}", names.join(", "));
        return Err(InputError::Shape { field: "the body".into(), what });
    };
    let tensor = cast(&tensor, only.dtype).ok_or_else(|| InputError::Value {
        input: only.name.to_string(),
        what: format!("takes {}, which the array's {} cannot become without loss", only.dtype, tensor.dtype()),
    })?;
    let tensors = vec![NamedTensor { name: Arc::clone(&only.name), tensor }];
    Ok(Input { tensors, params: Vec::new(), frame: false, bare: false })
}

fn cells(tensor: &Tensor) -> Result<Vec<Cell>, InputError> {
    macro_rules! all {
        ($type:ty, $cell:expr) => {
            tensor.to_vec::<$type>().unwrap_or_default().into_iter().map($cell).collect()
        };
    }
    Ok(match tensor.dtype() {
        DType::Bool => all!(u8, |v| Cell::Bool(v != 0)),
        DType::Uint8 => all!(u8, |v| Cell::Int(v.into())),
        DType::Uint16 => all!(u16, |v| Cell::Int(v.into())),
        DType::Uint32 => all!(u32, |v| Cell::Int(v.into())),
        DType::Uint64 => all!(u64, |v| i64::try_from(v).map_or(Cell::Float(v as f64), Cell::Int)),
        DType::Int8 => all!(i8, |v| Cell::Int(v.into())),
        DType::Int16 => all!(i16, |v| Cell::Int(v.into())),
        DType::Int32 => all!(i32, |v| Cell::Int(v.into())),
        DType::Int64 => all!(i64, Cell::Int),
        DType::Fp16 => all!(f16, |v| Cell::Float(v.to_f64())),
        DType::Bf16 => all!(bf16, |v| Cell::Float(v.to_f64())),
        DType::Fp32 => all!(f32, |v| Cell::Float(v.into())),
        DType::Fp64 => all!(f64, Cell::Float),
        DType::Bytes => return Err(InputError::Shape { field: "the body".into(), what: "holds no numbers".into() }),
    })
}

/// The array as the model's type: floating-point numbers of another width, whole numbers that fit.
fn cast(tensor: &Tensor, to: DType) -> Option<Tensor> {
    if tensor.dtype() == to {
        return Some(tensor.clone());
    }
    let shape = tensor.shape().to_vec();
    let cells = cells(tensor).ok()?;
    let float = |cell: &Cell| match cell {
        Cell::Int(n) => Some(*n as f64),
        Cell::Float(x) => Some(*x),
        _ => None,
    };
    let whole = |cell: &Cell| match cell {
        Cell::Int(n) => Some(*n),
        _ => None,
    };
    macro_rules! made {
        ($type:ty, $convert:expr) => {
            Tensor::from_vec::<$type>(to, shape, cells.iter().map($convert).collect::<Option<Vec<$type>>>()?).ok()
        };
    }
    match to {
        DType::Fp64 => made!(f64, float),
        DType::Fp32 => made!(f32, |c| float(c).map(|x| x as f32)),
        DType::Fp16 => made!(f16, |c| float(c).map(f16::from_f64)),
        DType::Bf16 => made!(bf16, |c| float(c).map(bf16::from_f64)),
        DType::Int64 => made!(i64, whole),
        DType::Int32 => made!(i32, |c| whole(c).and_then(|n| n.try_into().ok())),
        DType::Int16 => made!(i16, |c| whole(c).and_then(|n| n.try_into().ok())),
        DType::Int8 => made!(i8, |c| whole(c).and_then(|n| n.try_into().ok())),
        DType::Uint64 => made!(u64, |c| whole(c).and_then(|n| n.try_into().ok())),
        DType::Uint32 => made!(u32, |c| whole(c).and_then(|n| n.try_into().ok())),
        DType::Uint16 => made!(u16, |c| whole(c).and_then(|n| n.try_into().ok())),
        DType::Uint8 => made!(u8, |c| whole(c).and_then(|n| n.try_into().ok())),
        DType::Bool | DType::Bytes => None,
    }
}
