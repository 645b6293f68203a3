//! serving asks whether rows keep rules; monitor knows what the rules mean.

use arrow::datatypes::DataType;
use mainspring_core::tensor::{Data, NamedTensor};
use mainspring_core::{DType, Tensor};
use mainspring_engine::{Content, TensorSpec};
use mainspring_journal::arrow_type;
use mainspring_monitor::element;
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
        let wrong = |(at, reason): (usize, String)| {
            let name = rules.names().into_iter().nth(at).unwrap_or_default();
            RuleError { at, name, reason }
        };
        let (each, mut columns) = (read(rules)?, taken(contract));
        for (at, rule) in each.iter().enumerate() {
            for name in rule.columns() {
                columns.extend(one_of_many(contract, &columns, name).map_err(|why| wrong((at, why)))?);
            }
        }
        let (columns, places): (Vec<RowColumn>, Vec<Place>) = columns.into_iter().unzip();
        let checker = RowChecker::new(&each, &columns).map_err(wrong)?;
        Ok(Arc::new(Ready { checker, places, inputs: contract.signature.inputs.len() }))
    }
}

/// Where a column's values are among the inputs.
#[derive(Debug, Clone)]
struct Place {
    /// Place and name of the input.
    input: usize,
    name: Arc<str>,
    /// Its place among the values that a row has of the input; `None` where it is the input.
    first: Option<usize>,
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
        let place = |first| Place { input, name: Arc::clone(&spec.name), first };
        let of = |name: &str, kind| RowColumn { name: name.to_owned(), kind };
        let names = &contract.target.columns;
        let rest = spec.shape.get(1..).unwrap_or_default();
        match rest {
            // One that is open has as many columns as there are names.
            [width] if names.len() > 1 && [names.len() as i64, -1].contains(width) => {
                let columns = names.iter().enumerate();
                all.extend(columns.map(|(at, name)| (of(name, kind(spec)), place(Some(at)))));
            }
            [] | [1] => {
                let name =
                    if names.len() == 1 && contract.signature.inputs.len() == 1 { &names[0] } else { &spec.name };
                all.push((of(name, kind(spec)), place(None)));
            }
            _ => {
                let item = arrow::datatypes::Field::new("item", kind(spec), true);
                all.push((of(&spec.name, DataType::List(Arc::new(item))), place(None)));
            }
        }
    }
    all
}

/// The column `X[2]`, where `X` has several values a row and no names for them: the third of them, row-major, as in the
/// journal's list.
///
/// # Errors
/// In words, when a row has not as many.
fn one_of_many(
    contract: &Contract,
    columns: &[(RowColumn, Place)],
    name: &str,
) -> Result<Option<(RowColumn, Place)>, String> {
    let name = name.strip_prefix("in.").unwrap_or(name);
    let Some((list, at)) = element(name).filter(|_| columns.iter().all(|(c, _)| c.name != name)) else {
        return Ok(None);
    };
    let Some((column, place)) = columns.iter().find(|(c, _)| c.name == list) else { return Ok(None) };
    let DataType::List(item) = &column.kind else { return Ok(None) };
    let sizes = contract.signature.inputs.get(place.input).and_then(|spec| spec.shape.get(1..)).unwrap_or_default();
    // An open one has as many as come.
    let width: Option<usize> = sizes.iter().map(|size| usize::try_from(*size).ok()).product();
    if let Some(width) = width.filter(|width| at >= *width) {
        return Err(format!("{list:?} has {width} values a row, {list}[0] to {list}[{}]", width.saturating_sub(1)));
    }
    let column = RowColumn { name: name.to_owned(), kind: item.data_type().clone() };
    Ok(Some((column, Place { first: Some(at), ..place.clone() })))
}

fn kind(spec: &TensorSpec) -> DataType {
    arrow_type(spec.dtype, spec.content != Content::Text)
}

/// The inputs of one request.
struct Given<'a> {
    ready: &'a Ready,
    inputs: &'a [NamedTensor],
}

impl Given<'_> {
    /// The input of a column, and where in it the row's value is.
    fn find(&self, column: usize, row: usize) -> Option<(&Tensor, usize)> {
        let place = self.ready.places.get(column)?;
        let given = if self.inputs.len() == self.ready.inputs {
            self.inputs.get(place.input)
        } else {
            // An optional one is left out, and those behind it have moved up.
            self.inputs.iter().find(|i| i.name == place.name)
        };
        let tensor = &given?.tensor;
        let Some(first) = place.first else { return Some((tensor, row)) };
        // An open input may come with more columns than have names, or with fewer.
        let width = tensor.shape().get(1..)?.iter().product();
        (first < width).then_some((tensor, row * width + first))
    }
}

impl Rows for Given<'_> {
    fn number(&self, column: usize, row: usize) -> Option<f64> {
        let (tensor, at) = self.find(column, row)?;
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
        let (tensor, at) = self.find(column, row)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use mainspring_core::Target;
    use mainspring_engine::{AnswerForm, Signature};
    use serde_json::{Value, json};

    fn contract(inputs: Vec<TensorSpec>, columns: &[&str]) -> Contract {
        let target = Target {
            deployment: "churn".into(),
            variant: "stable".into(),
            model: "churn".into(),
            version: "1".into(),
            columns: columns.iter().map(|name| Arc::from(*name)).collect(),
        };
        Contract {
            target: Arc::new(target),
            signature: Signature { inputs, outputs: Vec::new() },
            platform: "onnxruntime_onnx",
            answer: AnswerForm::Tensors,
            max_batch_rows: 0,
            labels: Vec::new(),
            streams: false,
            mlmodel: None,
        }
    }

    fn rules(expectations: &Value) -> RulesSpec {
        serde_json::from_value(json!({ "expectations": expectations })).unwrap()
    }

    /// (rule, row, whether it is broken) of what a rule is not simply kept by.
    fn seen(
        contract: &Contract,
        expectations: &Value,
        inputs: &[NamedTensor],
        rows: usize,
    ) -> Vec<(usize, usize, bool)> {
        let ready = Suites.make(&rules(expectations), contract).unwrap();
        let mut all = Vec::new();
        ready.look(inputs, rows, &mut |seen| all.push((seen.rule, seen.row, seen.broken)));
        all
    }

    fn named(name: &str, tensor: Tensor) -> NamedTensor {
        NamedTensor { name: name.into(), tensor }
    }

    #[test]
    fn columns_of_one_input_are_found_by_their_names_also_where_a_body_has_them_askew() {
        let contract = contract(vec![TensorSpec::new("X", DType::Fp32, &[-1, 3])], &["a", "b", "c"]);
        let values = [1.0_f32, 20.0, 3.0, 4.0, 5.0, f32::NAN];
        let bytes: Vec<u8> = std::iter::once(0).chain(values.iter().flat_map(|v| v.to_le_bytes())).collect();
        let askew = Tensor::from_raw(DType::Fp32, vec![2, 3], Bytes::from(bytes).slice(1..)).unwrap();
        let expectations = json!([
            {"type": "expect_column_values_to_be_between", "kwargs": {"column": "b", "max_value": 10}},
            {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "c"}},
            {"type": "expect_column_pair_values_a_to_be_greater_than_b", "kwargs": {"column_A": "b", "column_B": "a"}},
            {"type": "expect_column_values_to_be_between", "kwargs": {"column": "c", "max_value": 10}},
        ]);
        assert_eq!(
            seen(&contract, &expectations, &[named("X", askew)], 2),
            [(0, 0, true), (1, 1, true), (3, 1, false)],
            "what is missing is in no range and outside of none"
        );
        let wide = rules(&json!([{"type": "expect_column_to_exist", "kwargs": {"column": "d"}}]));
        let error = Suites.make(&wide, &contract).unwrap_err().to_string();
        assert!(error.contains("\"d:exist\": the model takes no column \"d\""), "{error}");
    }

    #[test]
    fn a_value_of_an_input_without_names_is_found_by_its_place() {
        let inputs = || {
            vec![
                TensorSpec::new("X", DType::Fp32, &[-1, 2, 2]),
                TensorSpec::new("words", DType::Bytes, &[-1, -1]),
                TensorSpec::new("y[1]", DType::Fp32, &[-1]),
            ]
        };
        let contract = contract(inputs(), &[]);
        let values = [1.0_f32, 2.0, 3.0, 40.0, 5.0, 6.0, 7.0, 8.0];
        let words = ["a", "b", "c", ""].map(|t| Bytes::from_static(t.as_bytes())).to_vec();
        let given = [
            named("X", Tensor::from_vec(DType::Fp32, vec![2, 2, 2], values.to_vec()).unwrap()),
            named("words", Tensor::from_strings(vec![2, 2], words).unwrap()),
            named("y[1]", Tensor::from_vec(DType::Fp32, vec![2], vec![0.5_f32, 1.5]).unwrap()),
        ];
        let between = |column: &str, most: f64| json!({"type": "expect_column_values_to_be_between", "kwargs": {"column": column, "max_value": most}});
        let expectations = json!([
            between("X[3]", 10.0),
            between("in.X[0]", 4.0),
            {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "words[1]"}},
            {"type": "expect_column_values_to_be_null", "kwargs": {"column": "words[5]"}},
            between("y[1]", 1.0),
            {
                "type": "expect_column_values_to_be_null", "kwargs": {"column": "X[2]"},
                "when": [{"column": "words[0]", "in": ["a"]}]
            },
        ]);
        assert_eq!(
            seen(&contract, &expectations, &given, 2),
            [(0, 0, true), (1, 1, true), (2, 1, true), (4, 1, true), (5, 0, true), (5, 1, false)]
        );
        let refused = |column: &str| Suites.make(&rules(&json!([between(column, 1.0)])), &contract).unwrap_err().reason;
        assert_eq!(refused("X[4]"), "\"X\" has 4 values a row, X[0] to X[3]");
        assert!(refused("X").contains("\"X[0]\" is the first"), "{}", refused("X"));
        assert!(refused("words[0]").contains("about numbers"), "{}", refused("words[0]"));
        assert!(refused("Z[0]").contains("takes no column \"Z[0]\""), "{}", refused("Z[0]"));
    }

    #[test]
    fn inputs_of_their_own_may_be_left_out_and_texts_may_be_empty() {
        let optional = TensorSpec { optional: true, ..TensorSpec::new("age", DType::Int64, &[-1]) };
        let inputs = vec![
            optional,
            TensorSpec::new("city", DType::Bytes, &[-1, 1]),
            TensorSpec::new("paid", DType::Bool, &[-1]),
            TensorSpec { content: Content::Json, ..TensorSpec::new("more", DType::Bytes, &[-1]) },
        ];
        let contract = contract(inputs, &[]);
        let city =
            Tensor::from_strings(vec![3, 1], ["Ulm", "", "Bonn"].map(|t| Bytes::from_static(t.as_bytes())).to_vec());
        let paid = Tensor::from_vec(DType::Bool, vec![3], vec![1_u8, 0, 1]).unwrap();
        let more = Tensor::from_strings(vec![3], vec![Bytes::from_static(b"{}"); 3]).unwrap();
        let given = [named("city", city.unwrap()), named("paid", paid), named("more", more)];
        let expectations = json!([
            {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "age"}},
            {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "city", "value_set": ["Ulm"]}},
            {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "paid", "value_set": [true]}},
        ]);
        assert_eq!(
            seen(&contract, &expectations, &given, 3),
            [(0, 0, true), (0, 1, true), (0, 2, true), (1, 1, false), (1, 2, true), (2, 1, true)]
        );
        let documents = rules(&json!([{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "more"}}]));
        assert!(Suites.make(&documents, &contract).unwrap_err().reason.contains("documents"));
    }

    #[test]
    fn numbers_of_every_width_are_numbers() {
        let bytes = |values: &[u8]| Bytes::copy_from_slice(values);
        for (dtype, raw) in [
            (DType::Int8, bytes(&[7])),
            (DType::Uint16, bytes(&7_u16.to_le_bytes())),
            (DType::Int32, bytes(&7_i32.to_le_bytes())),
            (DType::Uint64, bytes(&7_u64.to_le_bytes())),
            (DType::Fp16, bytes(&half::f16::from_f32(7.0).to_le_bytes())),
            (DType::Bf16, bytes(&half::bf16::from_f32(7.0).to_le_bytes())),
            (DType::Fp64, bytes(&7_f64.to_le_bytes())),
        ] {
            let contract = contract(vec![TensorSpec::new("x", dtype, &[-1])], &[]);
            let given = [named("x", Tensor::from_raw(dtype, vec![1], raw).unwrap())];
            let between = |most: f64| {
                let rule = json!([{"type": "expect_column_values_to_be_between", "kwargs": {"column": "x", "min_value": 7, "max_value": most}}]);
                seen(&contract, &rule, &given, 1)
            };
            assert!(between(7.0).is_empty(), "{dtype:?}");
            let less =
                json!([{"type": "expect_column_values_to_be_between", "kwargs": {"column": "x", "max_value": 6}}]);
            assert_eq!(seen(&contract, &less, &given, 1), [(0, 0, true)], "{dtype:?}");
        }
    }
}
