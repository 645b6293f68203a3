//! MLflow's scoring forms: JSON and CSV.

use crate::fills_its_shape;
use arbitrary::Arbitrary;
use bytes::Bytes;
use mainspring_core::{DType, NamedTensor, Target, Tensor};
use mainspring_engine::{AnswerForm, Signature, TensorSpec};
use mainspring_proto_mlflow::scoring::{Body, InputError, Media};
use mainspring_serving::{
    ColumnError, ColumnSpec, ColumnType, Contract, MlflowInputs, MlflowSignature, Mlmodel, TensorColumn,
};
use mainspring_wire::response;
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};

fn input(name: &str, dtype: DType, shape: &[i64]) -> TensorSpec {
    TensorSpec::new(name, dtype, shape)
}

fn column(name: &str, kind: ColumnType, required: bool) -> ColumnSpec {
    ColumnSpec { name: Some(name.into()), kind, required }
}

fn contract(inputs: Vec<TensorSpec>, declared: Option<MlflowInputs>) -> Contract {
    let signature = declared.map(|inputs| MlflowSignature { inputs: Some(inputs), ..MlflowSignature::default() });
    let target = Target {
        deployment: "d".into(),
        variant: "stable".into(),
        model: "m".into(),
        version: "1".into(),
        columns: Arc::default(),
    };
    Contract {
        target: Arc::new(target),
        signature: Signature { inputs, outputs: Vec::new() },
        platform: "onnxruntime_onnx",
        answer: AnswerForm::Tensors,
        max_batch_rows: 64,
        streams: false,
        labels: Vec::new(),
        mlmodel: Some(Arc::new(Mlmodel { signature, ..Mlmodel::default() })),
    }
}

/// A model of each shape that requests are read for.
static MODELS: LazyLock<Vec<Contract>> = LazyLock::new(|| {
    let every_kind = [
        ("b", ColumnType::Boolean, DType::Bool),
        ("i", ColumnType::Integer, DType::Int32),
        ("l", ColumnType::Long, DType::Int64),
        ("f", ColumnType::Float, DType::Fp32),
        ("d", ColumnType::Double, DType::Fp64),
        ("s", ColumnType::String, DType::Bytes),
    ];
    let columns = |required: bool| {
        every_kind.iter().map(|(n, kind, _)| column(n, kind.clone(), required)).collect::<Vec<ColumnSpec>>()
    };
    let inputs = |inner: &[i64]| {
        let shape = [&[-1], inner].concat();
        every_kind.iter().map(|(n, _, dtype)| input(n, *dtype, &shape)).collect::<Vec<TensorSpec>>()
    };
    let wide = || vec![input("X", DType::Fp32, &[-1, 2])];
    let doubles = vec![column("a", ColumnType::Double, true), column("b", ColumnType::Long, true)];
    let image =
        TensorColumn { name: Some("img".into()), dtype: "float32".into(), shape: vec![-1, 2, 2], required: true };
    vec![
        contract(wide(), None),
        contract(wide(), Some(MlflowInputs::Columns(doubles))),
        contract(inputs(&[1]), Some(MlflowInputs::Columns(columns(true)))),
        contract(inputs(&[]), Some(MlflowInputs::Columns(columns(false)))),
        contract(inputs(&[1]), None),
        contract(vec![input("img", DType::Fp32, &[-1, 2, 2])], Some(MlflowInputs::Tensors(vec![image]))),
        contract(vec![input("h", DType::Fp16, &[-1]), input("t", DType::Bytes, &[-1])], None),
    ]
});

/// A model, and the bytes that the first one does not choose.
fn chosen(data: &[u8]) -> Option<(&'static Contract, Bytes)> {
    let (first, rest) = data.split_first()?;
    let model = MODELS.get(usize::from(*first) % MODELS.len())?;
    Some((model, Bytes::copy_from_slice(rest)))
}

/// A JSON body, after a byte that chooses the model.
pub fn json(data: &[u8]) {
    let Some((model, body)) = chosen(data) else { return };
    match Body::read(Media::Json, None, &body, model) {
        Ok(Body::Scoring(read)) => {
            fits(&read.tensors, model);
            by_name(&read.tensors, model);
        }
        Ok(Body::V2(request)) => request.inputs.iter().for_each(|i| fills_its_shape(&i.tensor)),
        Err(why) => refused(&why, body.len()),
    }
}

/// A CSV body, after a byte that chooses the model.
pub fn csv(data: &[u8]) {
    let Some((model, body)) = chosen(data) else { return };
    match Body::read(Media::Csv, None, &body, model) {
        Ok(Body::Scoring(read)) => fits(&read.tensors, model),
        Ok(Body::V2(_)) => panic!("CSV is no v2 body"),
        Err(why) => refused(&why, body.len()),
    }
}

/// What the model is given is what it declares.
fn fits(tensors: &[NamedTensor], model: &Contract) {
    assert_eq!(tensors.len(), model.signature.inputs.len());
    for (tensor, spec) in tensors.iter().zip(&model.signature.inputs) {
        assert_eq!(tensor.name, spec.name);
        assert_eq!(tensor.tensor.dtype(), spec.dtype);
        fills_its_shape(&tensor.tensor);
    }
}

/// The same tensors as arrays by the names of the model's inputs are the same request. Only for models
/// whose inputs are not columns of a signature, which are named otherwise.
fn by_name(tensors: &[NamedTensor], model: &Contract) {
    let columns = model.mlflow().is_some_and(|s| matches!(s.inputs, Some(MlflowInputs::Columns(_))));
    let empty = tensors.iter().any(|t| t.tensor.is_empty());
    if columns || empty {
        return;
    }
    let members: Option<Vec<String>> =
        tensors.iter().map(|t| Some(format!("{}:{}", json!(&*t.name), nested(t)?))).collect();
    let Some(members) = members else { return };
    let text = format!("{{\"inputs\":{{{}}}}}", members.join(","));
    let again = Body::read(Media::Json, None, &Bytes::from(text.clone()), model);
    let again = again.unwrap_or_else(|e| panic!("{e}: {text}"));
    let Body::Scoring(again) = again else { panic!("no v2 body: {text}") };
    assert_eq!(shown(&again.tensors), shown(tensors), "{text}");
}

/// A tensor as nested lists; `None` when it has text that JSON cannot carry.
fn nested(named: &NamedTensor) -> Option<String> {
    let tensor = &named.tensor;
    let mut flat = Vec::new();
    let one = |i: usize| {
        let mut out = Vec::new();
        let flat = Tensor::from_wire(tensor.dtype(), vec![tensor.len()], tensor.to_wire()).ok()?;
        let row = flat.slice_rows(i, i + 1);
        response::data(&mut out, &row).then_some(String::from_utf8(out).ok()?)
    };
    for i in 0..tensor.len() {
        flat.push(one(i)?);
    }
    for length in tensor.shape().iter().rev() {
        flat = flat.chunks((*length).max(1)).map(|part| format!("[{}]", part.join(","))).collect();
    }
    flat.into_iter().next()
}

/// Not-a-number is not itself, so tensors are compared as they are written.
fn shown(tensors: &[NamedTensor]) -> Vec<(String, Vec<usize>, String)> {
    let text = |t: &NamedTensor| {
        let mut out = Vec::new();
        response::data(&mut out, &t.tensor);
        (t.name.to_string(), t.tensor.shape().to_vec(), String::from_utf8_lossy(&out).into_owned())
    };
    tensors.iter().map(text).collect()
}

/// A refusal names the place, the field, the column or the input.
fn refused(why: &InputError, length: usize) {
    let text = why.to_string();
    assert!(!text.is_empty());
    match why {
        InputError::Body(mainspring_wire::BodyError::Syntax { at, .. } | mainspring_wire::BodyError::Utf8 { at }) => {
            assert!(*at <= length);
        }
        InputError::Shape { field, .. } => assert!(text.contains(field)),
        InputError::Value { input, .. } => assert!(text.contains(&format!("{input:?}"))),
        InputError::Column(
            ColumnError::Missing { column, .. } | ColumnError::Duplicate { column } | ColumnError::Type { column, .. },
        ) => assert!(text.contains(&format!("{column:?}"))),
        InputError::Column(ColumnError::Tensor(e)) => panic!("a table that is no tensor: {e}"),
        _ => {}
    }
}

/// One cell of a row, by the column's kind.
#[derive(Debug, Clone, Arbitrary)]
pub struct Row {
    boolean: bool,
    integer: i32,
    long: i64,
    float: f32,
    double: f64,
    string: String,
}

/// Rows for the model with a column of every kind.
#[derive(Debug, Clone, Arbitrary)]
pub struct Rows {
    rows: Vec<Row>,
    /// Where the columns of `dataframe_split` begin: their order means nothing.
    turn: u8,
}

const NAMES: [&str; 6] = ["b", "i", "l", "f", "d", "s"];

impl Row {
    /// A number that JSON can carry; what it cannot becomes 0.
    fn cells(&self) -> [Value; 6] {
        let number = |x: f64| json!(if x.is_finite() { x } else { 0.0 });
        [
            json!(self.boolean),
            json!(self.integer),
            json!(self.long),
            number(f64::from(self.float)),
            number(self.double),
            json!(self.string),
        ]
    }
}

/// The forms say the same, so the model is given the same.
pub fn forms(rows: &Rows) {
    if rows.rows.is_empty() {
        return;
    }
    let model = &MODELS[2];
    let cells: Vec<[Value; 6]> = rows.rows.iter().map(Row::cells).collect();
    let order: Vec<usize> = (0..6).map(|i| (i + usize::from(rows.turn)) % 6).collect();
    let names: Vec<&str> = order.iter().map(|i| NAMES[*i]).collect();
    let data: Vec<Vec<&Value>> = cells.iter().map(|row| order.iter().map(|i| &row[*i]).collect()).collect();
    let record = |row: &[Value; 6]| -> Value { NAMES.iter().map(|n| (*n).to_owned()).zip(row.clone()).collect() };
    let records: Vec<Value> = cells.iter().map(record).collect();
    let columns: Value = NAMES
        .iter()
        .enumerate()
        .map(|(i, n)| ((*n).to_owned(), cells.iter().map(|row| row[i].clone()).collect::<Value>()))
        .collect();
    let split = json!({"dataframe_split": {"columns": names, "data": data}});
    let expected = taken(Media::Json, split.to_string(), model);
    for form in [
        json!({"dataframe_records": records}),
        json!({"instances": records}),
        json!({"inputs": records}),
        json!({"inputs": columns}),
        json!({"instances": columns}),
    ] {
        assert_eq!(taken(Media::Json, form.to_string(), model), expected, "{form}");
    }
    // A text that pandas takes for a missing value is one in CSV, and only there.
    if let Ok(read) = read(Media::Csv, comma_separated(&cells), model) {
        assert_eq!(read, expected);
    }
}

fn read(media: Media, text: String, model: &Contract) -> Result<Vec<(String, Vec<usize>, String)>, InputError> {
    match Body::read(media, None, &Bytes::from(text), model)? {
        Body::Scoring(read) => {
            fits(&read.tensors, model);
            Ok(shown(&read.tensors))
        }
        Body::V2(_) => panic!("no v2 body"),
    }
}

fn taken(media: Media, text: String, model: &Contract) -> Vec<(String, Vec<usize>, String)> {
    read(media, text.clone(), model).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn comma_separated(cells: &[[Value; 6]]) -> String {
    let mut out = format!("{}\n", NAMES.join(","));
    for row in cells {
        let fields: Vec<String> = row
            .iter()
            .map(|cell| match cell {
                Value::String(text) => format!("\"{}\"", text.replace('"', "\"\"")),
                other => other.to_string(),
            })
            .collect();
        out.push_str(&fields.join(","));
        out.push('\n');
    }
    out
}
