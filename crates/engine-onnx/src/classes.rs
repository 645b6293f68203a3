//! Probabilities that come as a list of maps, one for each row, as one tensor.

use mainspring_core::{DType, Tensor};
use mainspring_engine::{EngineError, TensorSpec};
use ort::value::{DynSequenceValueType, DynValue, MapValueType, Value};
use std::sync::{Arc, OnceLock};

/// Class names of an output, once an answer showed them.
pub(crate) type Labels = OnceLock<Arc<[Arc<str>]>>;

type Sequence = Value<DynSequenceValueType>;
type Row<C> = Vec<(C, f32)>;

/// A key of a probability map.
pub(crate) trait Class: Sized {
    /// The probabilities of each row, in the maps' own order, which is sorted by class.
    fn rows(sequence: &Sequence) -> Result<Vec<Row<Self>>, ort::Error>;

    /// The class as a label.
    fn name(&self) -> String;
}

impl Class for i64 {
    fn rows(sequence: &Sequence) -> Result<Vec<Row<Self>>, ort::Error> {
        let maps = sequence.try_extract_sequence::<MapValueType<Self, f32>>()?;
        maps.iter().map(Value::try_extract_key_values).collect()
    }

    fn name(&self) -> String {
        self.to_string()
    }
}

impl Class for String {
    fn rows(sequence: &Sequence) -> Result<Vec<Row<Self>>, ort::Error> {
        let maps = sequence.try_extract_sequence::<MapValueType<Self, f32>>()?;
        maps.iter().map(Value::try_extract_key_values).collect()
    }

    fn name(&self) -> String {
        self.clone()
    }
}

/// A list of maps as one FP32 tensor `[rows, classes]`; keeps the class names in `labels`.
pub(crate) fn output<C: Class>(spec: &TensorSpec, value: DynValue, labels: &Labels) -> Result<Tensor, EngineError> {
    let unreadable = |e: ort::Error| EngineError::Run { reason: e.message().to_owned(), bad_input: false };
    let sequence: Sequence = value.downcast().map_err(unreadable)?;
    let rows = C::rows(&sequence).map_err(unreadable)?;
    let count = rows.len();
    let mut values = Vec::new();
    let mut classes = 0;
    for row in rows {
        classes = row.len();
        let known = labels.get_or_init(|| row.iter().map(|(class, _)| Arc::from(class.name())).collect());
        if known.len() != classes || row.iter().zip(known.iter()).any(|((class, _), label)| class.name() != **label) {
            return Err(EngineError::WrongOutput {
                output: spec.name.to_string(),
                declared: "the same classes in each row".into(),
                got: "other classes in one row".into(),
            });
        }
        values.extend(row.into_iter().map(|(_, probability)| probability));
    }
    Ok(Tensor::from_vec(DType::Fp32, vec![count, classes], values)?)
}
