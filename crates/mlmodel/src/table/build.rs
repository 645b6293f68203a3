//! Building tensors out of cells.

use super::{Cell, ColumnError, Table};
use crate::mlmodel::{ColumnSpec, ColumnType};
use bytes::Bytes;
use half::{bf16, f16};
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{DType, Tensor};
use mainspring_engine::{Content, TensorSpec};
use mainspring_wire::Node;
use std::borrow::Cow;
use std::sync::Arc;

/// One column as the model takes it: where it is in the table, and what it must be.
struct Pick<'a> {
    name: Cow<'a, str>,
    /// Place in the table; `None` for an optional column that the request leaves out.
    at: Option<usize>,
    kind: Option<&'a ColumnType>,
    required: bool,
    /// What the elements of its input are.
    content: Content,
}

/// All columns side by side in one `[rows, columns]` tensor.
pub(super) fn stacked(
    spec: &TensorSpec,
    declared: Option<&[ColumnSpec]>,
    table: &Table,
) -> Result<NamedTensor, ColumnError> {
    let picks = match declared {
        Some(columns) => {
            columns.iter().enumerate().map(|(i, c)| pick(c, i, columns, table)).collect::<Result<_, _>>()?
        }
        None => undeclared(spec, table),
    };
    if let Some(want) = spec.shape.get(1).and_then(|d| usize::try_from(*d).ok())
        && want != picks.len()
    {
        return Err(ColumnError::Width { got: picks.len(), expected: want });
    }
    let shape = vec![table.rows(), picks.len()];
    Ok(NamedTensor { name: Arc::clone(&spec.name), tensor: fill(spec.dtype, shape, &picks, table)? })
}

/// A column an input.
pub(super) fn by_name(
    inputs: &[TensorSpec],
    declared: Option<&[ColumnSpec]>,
    table: &Table,
) -> Result<Vec<NamedTensor>, ColumnError> {
    let expected = || inputs.iter().map(|i| format!("{:?}", i.name)).collect::<Vec<_>>().join(", ");
    let nameless = table.columns.is_empty() && declared.is_none_or(|d| d.iter().all(|c| c.name.is_none()));
    if nameless && table.width != inputs.len() {
        return Err(ColumnError::Width { got: table.width, expected: inputs.len() });
    }
    inputs
        .iter()
        .enumerate()
        .filter(|(_, spec)| !(spec.optional && !nameless && !table.columns.contains(&spec.name)))
        .map(|(place, spec)| {
            let rows = table.rows();
            let shape = match spec.shape.as_slice() {
                [_] => vec![rows],
                [_, 1 | -1] => vec![rows, 1],
                other => {
                    return Err(ColumnError::NotColumns { input: spec.name.to_string(), shape: other.to_vec() });
                }
            };
            let column = declared.and_then(|d| match (d, inputs) {
                // One of each: whatever it is called, there is nothing else that it could be.
                ([only], [_]) => Some((0, only)),
                _ => d.iter().enumerate().find(|(i, c)| match &c.name {
                    Some(name) => **name == *spec.name,
                    None => *i == place,
                }),
            });
            let content = spec.content;
            let pick = match (column, declared) {
                (Some((i, column)), Some(all)) => Pick { content, ..pick(column, i, all, table)? },
                _ if nameless => Pick { content, ..undeclared_pick(&spec.name, Some(place)) },
                _ => {
                    let at = table.columns.iter().position(|c| **c == *spec.name);
                    if at.is_none() {
                        return Err(missing(&spec.name, expected(), table));
                    }
                    Pick { content, ..undeclared_pick(&spec.name, at) }
                }
            };
            let tensor = fill(spec.dtype, shape, &[pick], table)?;
            Ok(NamedTensor { name: Arc::clone(&spec.name), tensor })
        })
        .collect()
}

fn missing(column: &str, expected: String, table: &Table) -> ColumnError {
    let nearest = mainspring_core::nearest(column, table.columns.iter().map(|c| &**c)).map(str::to_owned);
    ColumnError::Missing { column: column.to_owned(), nearest, expected }
}

fn pick<'a>(
    column: &'a ColumnSpec,
    place: usize,
    all: &'a [ColumnSpec],
    table: &Table,
) -> Result<Pick<'a>, ColumnError> {
    let label = |i: usize, c: &'a ColumnSpec| match &c.name {
        Some(name) => Cow::Borrowed(&**name),
        None => Cow::Owned(i.to_string()),
    };
    let at = match &column.name {
        Some(name) if !table.columns.is_empty() => {
            // The usual request names the columns in the signature's order.
            if table.columns.get(place).is_some_and(|c| c == name) {
                Some(place)
            } else {
                table.columns.iter().position(|c| c == name)
            }
        }
        _ => {
            if table.width != all.len() {
                return Err(ColumnError::Width { got: table.width, expected: all.len() });
            }
            Some(place)
        }
    };
    if at.is_none() && column.required {
        let expected = all.iter().enumerate().map(|(i, c)| format!("{:?}", label(i, c))).collect::<Vec<_>>().join(", ");
        return Err(missing(&label(place, column), expected, table));
    }
    let name = label(place, column);
    Ok(Pick { name, at, kind: Some(&column.kind), required: column.required, content: Content::Text })
}

fn undeclared_pick(name: &str, at: Option<usize>) -> Pick<'_> {
    Pick { name: Cow::Borrowed(name), at, kind: None, required: true, content: Content::Text }
}

fn undeclared<'a>(spec: &'a TensorSpec, table: &'a Table) -> Vec<Pick<'a>> {
    if spec.shape.get(1) == Some(&1)
        && let Some(at) = table.columns.iter().position(|c| c == &spec.name)
    {
        return vec![undeclared_pick(&spec.name, Some(at))];
    }
    (0..table.width)
        .map(|i| {
            let name = table.columns.get(i).map_or_else(|| Cow::Owned(i.to_string()), |c| Cow::Borrowed(&**c));
            Pick { name, ..undeclared_pick("", Some(i)) }
        })
        .collect()
}

fn fill(dtype: DType, shape: Vec<usize>, picks: &[Pick<'_>], table: &Table) -> Result<Tensor, ColumnError> {
    if dtype == DType::Bytes {
        return Ok(Tensor::from_strings(shape, collect(picks, table, dtype, text)?)?);
    }
    macro_rules! numbers {
        ($type:ty, $from:expr) => {
            Tensor::from_vec::<$type>(dtype, shape, collect(picks, table, dtype, $from)?)
        };
    }
    let tensor = match dtype {
        DType::Bool => numbers!(u8, |cell, pick| boolean(cell, pick).map(u8::from)),
        DType::Uint8 => numbers!(u8, whole),
        DType::Uint16 => numbers!(u16, whole),
        DType::Uint32 => numbers!(u32, whole),
        DType::Uint64 => numbers!(u64, whole),
        DType::Int8 => numbers!(i8, whole),
        DType::Int16 => numbers!(i16, whole),
        DType::Int32 => numbers!(i32, whole),
        DType::Int64 => numbers!(i64, whole),
        DType::Fp16 => numbers!(f16, |c, p| float(c, p).map(f16::from_f64)),
        DType::Bf16 => numbers!(bf16, |c, p| float(c, p).map(bf16::from_f64)),
        DType::Fp32 => numbers!(f32, |c, p| float(c, p).map(|x| x as f32)),
        DType::Fp64 => numbers!(f64, float),
        DType::Bytes => return Err(ColumnError::Tensor(mainspring_core::TensorError::WrongForm { dtype })),
    };
    Ok(tensor?)
}

fn collect<T>(
    picks: &[Pick<'_>],
    table: &Table,
    dtype: DType,
    convert: impl Fn(&Cell, &Pick<'_>) -> Option<T>,
) -> Result<Vec<T>, ColumnError> {
    let mut out = Vec::with_capacity(picks.len() * table.rows());
    for (row, cells) in table.cells.chunks_exact(table.width).enumerate() {
        for pick in picks {
            let cell = pick.at.and_then(|i| cells.get(i)).unwrap_or(&Cell::Null);
            match convert(cell, pick) {
                Some(value) => out.push(value),
                None => {
                    let expected = pick.kind.map_or_else(|| dtype.to_string(), |k| k.as_str().to_owned());
                    let got = cell.describe().into_owned();
                    return Err(ColumnError::Type { column: pick.name.to_string(), expected, row, got });
                }
            }
        }
    }
    Ok(out)
}

/// A number as it came.
enum Number {
    Whole(i64),
    Real(f64),
}

/// The cell as a number of its column's type. As MLflow, a column that is declared as numbers takes truth
/// values and numbers written as text; other than MLflow it takes no value that the type cannot hold,
/// which MLflow cuts to size without a word.
fn number(cell: &Cell, pick: &Pick<'_>) -> Option<Number> {
    let declared = matches!(
        pick.kind,
        Some(ColumnType::Integer | ColumnType::Long | ColumnType::Float | ColumnType::Double | ColumnType::Boolean)
    );
    let number = match cell {
        Cell::Int(n) => Number::Whole(*n),
        Cell::Float(x) => Number::Real(*x),
        Cell::Bool(b) if declared => Number::Whole(i64::from(*b)),
        Cell::Text(text) if declared => written(std::str::from_utf8(text).ok()?.trim())?,
        _ => return None,
    };
    let fits = match (pick.kind, &number) {
        (Some(ColumnType::String | ColumnType::Binary), _) => false,
        (Some(ColumnType::Boolean), Number::Whole(n)) => !matches!(cell, Cell::Text(_)) && matches!(n, 0 | 1),
        (Some(ColumnType::Boolean), Number::Real(x)) => *x == 0.0 || *x == 1.0,
        (Some(ColumnType::Integer), _) => whole_of(&number).is_some_and(|n| i32::try_from(n).is_ok()),
        (Some(ColumnType::Long), _) => whole_of(&number).is_some(),
        _ => true,
    };
    fits.then_some(number)
}

fn written(text: &str) -> Option<Number> {
    text.parse().map(Number::Whole).or_else(|_| text.parse().map(Number::Real)).ok()
}

/// The number as a whole one, when it is.
fn whole_of(number: &Number) -> Option<i64> {
    match number {
        Number::Whole(n) => Some(*n),
        // The bounds are powers of two, so they are exact.
        Number::Real(x) if x.fract() == 0.0 && (-9.223_372_036_854_775e18..9.223_372_036_854_775e18).contains(x) => {
            Some(*x as i64)
        }
        Number::Real(_) => None,
    }
}

/// Whether a column takes a missing value where the model takes floating-point numbers: MLflow's
/// floating-point columns take it as NaN, its whole-number columns do not.
fn may_be_missing(pick: &Pick<'_>) -> bool {
    !pick.required
        || !matches!(
            pick.kind,
            Some(
                ColumnType::Integer | ColumnType::Long | ColumnType::Boolean | ColumnType::String | ColumnType::Binary
            )
        )
}

fn float(cell: &Cell, pick: &Pick<'_>) -> Option<f64> {
    if matches!(cell, Cell::Null) {
        return may_be_missing(pick).then_some(f64::NAN);
    }
    number(cell, pick).map(|number| match number {
        Number::Whole(n) => n as f64,
        Number::Real(x) => x,
    })
}

fn whole<T: TryFrom<i64>>(cell: &Cell, pick: &Pick<'_>) -> Option<T> {
    T::try_from(whole_of(&number(cell, pick)?)?).ok()
}

fn boolean(cell: &Cell, _: &Pick<'_>) -> Option<bool> {
    match cell {
        Cell::Bool(b) => Some(*b),
        Cell::Int(n) if matches!(n, 0 | 1) => Some(*n == 1),
        Cell::Float(x) if *x == 0.0 || *x == 1.0 => Some(*x == 1.0),
        _ => None,
    }
}

/// Text. As MLflow, a column that is declared as text takes numbers and truth values too, as Python
/// writes them.
fn text(cell: &Cell, pick: &Pick<'_>) -> Option<Bytes> {
    if pick.content == Content::Json {
        return Some(json(cell));
    }
    let declared = matches!(pick.kind, Some(ColumnType::String));
    match cell {
        Cell::Text(text) => Some(text.clone()),
        Cell::Null if !pick.required => Some(Bytes::new()),
        Cell::Bool(b) if declared => Some(Bytes::from_static(if *b { b"True" } else { b"False" })),
        Cell::Int(n) if declared => Some(n.to_string().into()),
        Cell::Float(x) if declared && x.is_finite() => Some(repr(*x).into()),
        _ => None,
    }
}

/// Any cell as the text of a JSON value.
fn json(cell: &Cell) -> Bytes {
    match cell {
        Cell::Json(text) => text.clone(),
        Cell::Null => Node::Null.to_json(),
        Cell::Bool(b) => Node::Bool(*b).to_json(),
        Cell::Int(n) => Node::Int(*n).to_json(),
        Cell::Float(x) => Node::Float(*x).to_json(),
        Cell::Text(text) => Node::Text(text.clone()).to_json(),
    }
}

/// A number as Python's `repr` writes it: Rust's differs in the exponent alone.
fn repr(x: f64) -> String {
    let shortest = format!("{x:?}");
    match shortest.split_once('e') {
        Some((digits, exponent)) => match exponent.strip_prefix('-') {
            Some(small) => format!("{digits}e-{small:0>2}"),
            None => format!("{digits}e+{exponent:0>2}"),
        },
        None => shortest,
    }
}
