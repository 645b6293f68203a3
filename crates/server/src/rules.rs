//! serving asks whether rows keep rules; monitor knows what the rules mean.

use arrow::datatypes::DataType;
use mainspring_core::tensor::{Data, NamedTensor};
use mainspring_core::{DType, Tensor};
use mainspring_engine::{Content, TensorSpec};
use mainspring_monitor::quality::{RowChecker, RowColumn, RowRule, Rows};
use mainspring_serving::{Contract, RowRules, RuleAction, RuleError, RuleMaker, RulesSpec, Seen};
use std::sync::Arc;

/// Makes rules ready with monitor's language.
#[derive(Debug, Clone, Copy)]
pub struct Suites;

/// The rules as monitor has them.
///
/// # Errors
/// [`RuleError`] for the first that is none, or that no row keeps or breaks by itself.
pub fn read(spec: &RulesSpec) -> Result<Vec<RowRule>, RuleError> {
    let each = spec.names().into_iter().zip(&spec.expectations).enumerate();
    each.map(|(at, (name, rule))| {
        let when: Vec<_> = rule.when.iter().map(|c| (c.column.clone(), c.among.clone())).collect();
        let whole = spec.action_of(rule) == RuleAction::Reject;
        RowRule::new(&rule.kind, &rule.kwargs, &when, whole).map_err(|reason| RuleError { at, name, reason })
    })
    .collect()
}

impl RuleMaker for Suites {
    fn make(&self, rules: &RulesSpec, contract: &Contract) -> Result<Arc<dyn RowRules>, RuleError> {
        let (columns, places): (Vec<RowColumn>, Vec<Place>) = taken(contract).into_iter().unzip();
        let checker = RowChecker::new(&read(rules)?, &columns).map_err(|(at, reason)| {
            let name = rules.names().into_iter().nth(at).unwrap_or_default();
            RuleError { at, name, reason }
        })?;
        Ok(Arc::new(Ready { checker, places, inputs: contract.signature.inputs.len() }))
    }
}

/// Where a column's values are among the inputs.
#[derive(Debug, Clone)]
struct Place {
    /// Place and name of the input.
    input: usize,
    name: Arc<str>,
    /// Of the first row's value, and how many values further the next row's is.
    first: usize,
    step: usize,
}

#[derive(Debug)]
struct Ready {
    checker: RowChecker,
    places: Vec<Place>,
    /// How many inputs there are when none is left out.
    inputs: usize,
}

/// The columns that a version takes, in the form in which the journal has them.
fn taken(contract: &Contract) -> Vec<(RowColumn, Place)> {
    let mut all = Vec::new();
    for (input, spec) in contract.signature.inputs.iter().enumerate() {
        let place = |first, step| Place { input, name: Arc::clone(&spec.name), first, step };
        let of = |name: &str, kind| RowColumn { name: name.to_owned(), kind };
        let names = &contract.target.columns;
        let rest = spec.shape.get(1..).unwrap_or_default();
        match rest {
            [width] if names.len() > 1 && usize::try_from(*width).is_ok_and(|w| w == names.len()) => {
                let columns = names.iter().enumerate();
                all.extend(columns.map(|(at, name)| (of(name, kind(spec)), place(at, names.len()))));
            }
            // What says how many columns it has by its names alone.
            [-1] if names.len() > 1 && contract.signature.inputs.len() == 1 => {
                let columns = names.iter().enumerate();
                all.extend(columns.map(|(at, name)| (of(name, kind(spec)), place(at, names.len()))));
            }
            [] | [1] => {
                let name =
                    if names.len() == 1 && contract.signature.inputs.len() == 1 { &names[0] } else { &spec.name };
                all.push((of(name, kind(spec)), place(0, 1)));
            }
            _ => {
                let item = arrow::datatypes::Field::new("item", kind(spec), true);
                all.push((of(&spec.name, DataType::List(Arc::new(item))), place(0, 1)));
            }
        }
    }
    all
}

fn kind(spec: &TensorSpec) -> DataType {
    match spec.dtype {
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
        DType::Bytes if spec.content == Content::Text => DataType::Utf8,
        DType::Bytes => DataType::Binary,
    }
}

/// The inputs of one request.
struct Given<'a> {
    ready: &'a Ready,
    inputs: &'a [NamedTensor],
}

impl Given<'_> {
    fn find(&self, column: usize) -> Option<(&Tensor, &Place)> {
        let place = self.ready.places.get(column)?;
        let given = if self.inputs.len() == self.ready.inputs {
            self.inputs.get(place.input)
        } else {
            // An optional one is left out, and those behind it have moved up.
            self.inputs.iter().find(|i| i.name == place.name)
        };
        Some((&given?.tensor, place))
    }
}

impl Rows for Given<'_> {
    fn number(&self, column: usize, row: usize) -> Option<f64> {
        let (tensor, place) = self.find(column)?;
        let at = row * place.step + place.first;
        macro_rules! at {
            ($type:ty) => {
                value(tensor, at).map(<$type>::from_le_bytes)
            };
        }
        let number = match tensor.dtype() {
            DType::Fp64 => at!(f64),
            DType::Fp32 => at!(f32).map(f64::from),
            DType::Fp16 => at!(half::f16).map(f64::from),
            DType::Bf16 => at!(half::bf16).map(f64::from),
            DType::Int64 => at!(i64).map(|x| x as f64),
            DType::Int32 => at!(i32).map(f64::from),
            DType::Int16 => at!(i16).map(f64::from),
            DType::Int8 => at!(i8).map(f64::from),
            DType::Uint64 => at!(u64).map(|x| x as f64),
            DType::Uint32 => at!(u32).map(f64::from),
            DType::Uint16 => at!(u16).map(f64::from),
            DType::Uint8 => at!(u8).map(f64::from),
            DType::Bool | DType::Bytes => None,
        };
        number.filter(|x| !x.is_nan())
    }

    fn text(&self, column: usize, row: usize) -> Option<&str> {
        let (tensor, place) = self.find(column)?;
        let at = row * place.step + place.first;
        match tensor.dtype() {
            DType::Bool => Some(if value::<1>(tensor, at)? == [0] { "false" } else { "true" }),
            // A missing text comes as an empty one; one that is no UTF-8 is a text all the same.
            DType::Bytes => {
                let bytes = tensor.strings()?.get(at).filter(|bytes| !bytes.is_empty())?;
                Some(std::str::from_utf8(bytes).unwrap_or("\u{fffd}"))
            }
            _ => None,
        }
    }
}

/// The bytes of one value. They need not lie where a number may be read in place.
fn value<const WIDTH: usize>(tensor: &Tensor, at: usize) -> Option<[u8; WIDTH]> {
    match tensor.data() {
        Data::Raw(bytes) => bytes.get(at * WIDTH..(at + 1) * WIDTH)?.try_into().ok(),
        Data::Strings(_) => None,
    }
}

impl RowRules for Ready {
    fn look(&self, inputs: &[NamedTensor], rows: usize, tell: &mut dyn FnMut(Seen)) {
        let given = Given { ready: self, inputs };
        self.checker.look(&given, rows, &mut |rule, row, broken| tell(Seen { rule, row, broken }));
    }

    fn why(&self, rule: usize, inputs: &[NamedTensor], row: usize) -> String {
        self.checker.why(rule, &Given { ready: self, inputs }, row)
    }
}
