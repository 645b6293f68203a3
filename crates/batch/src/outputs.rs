//! The model's answers as columns.

use crate::error::BatchError;
use crate::format::Format;
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array,
    ListArray, StringArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use half::{bf16, f16};
use mainspring_core::DType;
use mainspring_core::tensor::{Data, NamedTensor, Tensor};
use mainspring_engine::{Content, Model};
use std::sync::Arc;

/// Columns that one output becomes at most; a wider one is a list, or cannot be CSV.
const MOST: usize = 1024;

/// How the outputs become columns.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outputs {
    /// The form of each, and whether its BYTES are no text.
    forms: Vec<(Form, bool)>,
    pub fields: Vec<Field>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One value a row.
    Scalar,
    /// A column for each of so many values.
    Columns(usize),
    /// A list a row.
    List,
}

impl Outputs {
    /// Learns the columns from one answer for `rows` rows.
    pub fn learn(
        model: &dyn Model,
        answer: &[NamedTensor],
        (rows, format, prefix): (usize, Format, &str),
    ) -> Result<Self, BatchError> {
        let (mut forms, mut fields) = (Vec::new(), Vec::new());
        for (i, output) in answer.iter().enumerate() {
            let width = width(output, rows)?;
            let name = format!("{prefix}{}", output.name);
            let binary = model.signature().outputs.get(i).is_some_and(|o| o.content == Content::Binary);
            let kind = if binary { DataType::Binary } else { kind(output.tensor.dtype()) };
            let labels = model.labels(i).filter(|l| l.len() == width && width > 1);
            let form = match (width, format) {
                (1, _) if output.tensor.shape().len() <= 2 => Form::Scalar,
                (n, _) if labels.is_some() && n <= MOST => Form::Columns(n),
                (n, Format::Csv) if n <= MOST => Form::Columns(n),
                (_, Format::Csv) => {
                    let kind = format!("a list of {width} values a row");
                    return Err(BatchError::Unwritable { format: "csv", column: name, kind });
                }
                _ => Form::List,
            };
            match form {
                Form::Scalar => fields.push(Field::new(name, kind, false)),
                Form::List => {
                    fields.push(Field::new(name, DataType::List(Arc::new(Field::new("element", kind, false))), false));
                }
                Form::Columns(n) => fields.extend((0..n).map(|at| {
                    let label = labels.as_ref().map_or_else(|| at.to_string(), |l| l[at].to_string());
                    Field::new(format!("{name}.{label}"), kind.clone(), false)
                })),
            }
            forms.push((form, binary));
        }
        Ok(Self { forms, fields })
    }

    /// The same for rows of which some have no answer.
    pub fn with_gaps(mut self) -> Self {
        self.fields = self.fields.into_iter().map(|f| f.with_nullable(true)).collect();
        self
    }

    /// The columns of a row that has no answer.
    pub fn gap(&self) -> Vec<ArrayRef> {
        self.fields.iter().map(|f| new_null_array(f.data_type(), 1)).collect()
    }

    /// An answer for `rows` rows, the first of which is row `first`, as columns.
    pub fn columns(&self, answer: &[NamedTensor], rows: usize, first: u64) -> Result<Vec<ArrayRef>, BatchError> {
        let mut columns = Vec::with_capacity(self.fields.len());
        for (output, (form, binary)) in answer.iter().zip(&self.forms) {
            let binary = *binary;
            let width = width(output, rows)?;
            let text = |at: usize| BatchError::NotText {
                row: first + (at / width.max(1)) as u64,
                output: output.name.to_string(),
            };
            match *form {
                Form::Scalar | Form::Columns(_) if form.columns() != width => {
                    let (output, shape) = (output.name.to_string(), output.tensor.shape().to_vec());
                    return Err(BatchError::Shape { output, shape, rows });
                }
                Form::Scalar => columns.push(array(&output.tensor, (0, 1), binary).map_err(text)?),
                Form::Columns(n) => {
                    for at in 0..n {
                        columns.push(array(&output.tensor, (at, n), binary).map_err(text)?);
                    }
                }
                Form::List => {
                    let values = array(&output.tensor, (0, 1), binary).map_err(text)?;
                    let item = Arc::new(Field::new("element", values.data_type().clone(), false));
                    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(width, rows));
                    let list = ListArray::try_new(item, offsets, values, None);
                    columns.push(Arc::new(list.map_err(|e| BatchError::Broken(e.to_string()))?));
                }
            }
        }
        Ok(columns)
    }
}

impl Form {
    fn columns(self) -> usize {
        match self {
            Self::Columns(n) => n,
            Self::Scalar | Self::List => 1,
        }
    }
}

/// Values of one row.
fn width(output: &NamedTensor, rows: usize) -> Result<usize, BatchError> {
    let shape = output.tensor.shape();
    if shape.first() == Some(&rows) {
        return Ok(shape[1..].iter().product());
    }
    Err(BatchError::Shape { output: output.name.to_string(), shape: shape.to_vec(), rows })
}

fn kind(dtype: DType) -> DataType {
    match dtype {
        DType::Bool => DataType::Boolean,
        DType::Uint8 => DataType::UInt8,
        DType::Uint16 => DataType::UInt16,
        DType::Uint32 => DataType::UInt32,
        DType::Uint64 => DataType::UInt64,
        DType::Int8 => DataType::Int8,
        DType::Int16 => DataType::Int16,
        DType::Int32 => DataType::Int32,
        DType::Int64 => DataType::Int64,
        DType::Fp16 | DType::Bf16 | DType::Fp32 => DataType::Float32,
        DType::Fp64 => DataType::Float64,
        DType::Bytes => DataType::Utf8,
    }
}

/// Every `step`th value from `from` on. The error is the place of a text that is not UTF-8.
fn array(tensor: &Tensor, (from, step): (usize, usize), binary: bool) -> Result<ArrayRef, usize> {
    macro_rules! numbers {
        ($array:ty, $type:ty, $convert:expr) => {
            match tensor.as_slice::<$type>() {
                Some(all) => Arc::new(<$array>::from_iter_values(all.iter().skip(from).step_by(step).map($convert))),
                None => {
                    let all = tensor.to_vec::<$type>().unwrap_or_default();
                    Arc::new(<$array>::from_iter_values(all.iter().skip(from).step_by(step).map($convert)))
                }
            }
        };
    }
    Ok(match (tensor.dtype(), tensor.data()) {
        (DType::Bool, Data::Raw(all)) => {
            Arc::new(all.iter().skip(from).step_by(step).map(|b| Some(*b != 0)).collect::<BooleanArray>())
        }
        (DType::Uint8, _) => numbers!(UInt8Array, u8, |v| *v),
        (DType::Uint16, _) => numbers!(UInt16Array, u16, |v| *v),
        (DType::Uint32, _) => numbers!(UInt32Array, u32, |v| *v),
        (DType::Uint64, _) => numbers!(UInt64Array, u64, |v| *v),
        (DType::Int8, _) => numbers!(Int8Array, i8, |v| *v),
        (DType::Int16, _) => numbers!(Int16Array, i16, |v| *v),
        (DType::Int32, _) => numbers!(Int32Array, i32, |v| *v),
        (DType::Int64, _) => numbers!(Int64Array, i64, |v| *v),
        (DType::Fp16, _) => numbers!(Float32Array, f16, |v| v.to_f32()),
        (DType::Bf16, _) => numbers!(Float32Array, bf16, |v| v.to_f32()),
        (DType::Fp32, _) => numbers!(Float32Array, f32, |v| *v),
        (DType::Fp64, _) => numbers!(Float64Array, f64, |v| *v),
        (DType::Bytes | DType::Bool, _) => {
            let all = tensor.strings().unwrap_or_default();
            if binary {
                return Ok(Arc::new(BinaryArray::from_iter_values(all.iter().skip(from).step_by(step))));
            }
            let texts = all.iter().enumerate().skip(from).step_by(step);
            let texts = texts.map(|(at, t)| std::str::from_utf8(t).map_err(|_| at)).collect::<Result<Vec<_>, _>>()?;
            Arc::new(StringArray::from_iter_values(texts))
        }
    })
}
