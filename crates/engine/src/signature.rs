//! What a model takes and gives, and the check that a request fits.

use mainspring_core::tensor::NamedTensor;
use mainspring_core::{DType, ErrorKind, Failure};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One input or output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TensorSpec {
    /// Its name.
    pub name: Arc<str>,
    /// Its element type.
    pub dtype: DType,
    /// Its dimensions; -1 is any size. The first is the batch when it is -1.
    pub shape: Vec<i64>,
    /// Whether a request may leave it out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// What its elements are, when they are BYTES.
    #[serde(skip_serializing_if = "Content::is_text")]
    pub content: Content,
}

/// What the elements of a BYTES tensor are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// Text in UTF-8.
    #[default]
    Text,
    /// Any bytes: an image, say.
    Binary,
    /// The text of a JSON value: a list, an object, anything. NaN and the infinities stand as Python
    /// writes them.
    Json,
}

impl Content {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    fn is_text(&self) -> bool {
        *self == Self::Text
    }
}

impl TensorSpec {
    /// A required tensor; texts when it is BYTES.
    pub fn new(name: impl Into<Arc<str>>, dtype: DType, shape: &[i64]) -> Self {
        Self { name: name.into(), dtype, shape: shape.to_vec(), optional: false, content: Content::Text }
    }

    /// Whether the first dimension is free, so rows of several requests can share a call.
    pub fn batched(&self) -> bool {
        self.shape.first() == Some(&-1)
    }
}

/// What a model takes and gives, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Signature {
    /// Inputs in the model's order.
    pub inputs: Vec<TensorSpec>,
    /// Outputs in the model's order.
    pub outputs: Vec<TensorSpec>,
}

/// How a request does not fit a signature. Every message names the input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// An input that the model does not have.
    #[error("unexpected input {name:?}{}; the model takes {expected}", .nearest.as_ref().map(|n| format!(" (did you mean {n:?}?)")).unwrap_or_default())]
    Unexpected {
        /// Name given.
        name: String,
        /// The nearest name there is.
        nearest: Option<String>,
        /// Names the model takes.
        expected: String,
    },
    /// An input that is not there.
    #[error("input {name:?} is missing; the model takes {expected}")]
    Missing {
        /// Name of the input.
        name: String,
        /// Names the model takes.
        expected: String,
    },
    /// The same input twice.
    #[error("input {name:?} is given twice")]
    Duplicate {
        /// Name of the input.
        name: String,
    },
    /// Another element type.
    #[error("input {name:?} is {expected}, got {got}")]
    DType {
        /// Name of the input.
        name: String,
        /// Type the model takes.
        expected: DType,
        /// Type given.
        got: DType,
    },
    /// A shape that does not match.
    #[error("input {name:?} has shape {expected:?} (-1 is any size), got {got:?}")]
    Shape {
        /// Name of the input.
        name: String,
        /// Shape the model takes.
        expected: Vec<i64>,
        /// Shape given.
        got: Vec<usize>,
    },
    /// Inputs with different numbers of rows.
    #[error("input {name:?} has {got} rows, {first:?} has {expected}: a batch has one number of rows")]
    Rows {
        /// Name of the input.
        name: String,
        /// Rows it has.
        got: usize,
        /// The input it is compared with.
        first: String,
        /// Rows that one has.
        expected: usize,
    },
}

impl Failure for SignatureError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidInput
    }
}

impl Signature {
    /// Whether rows of several requests can share a call.
    pub fn batchable(&self) -> bool {
        !self.inputs.is_empty()
            && self.inputs.iter().all(TensorSpec::batched)
            && self.outputs.iter().all(TensorSpec::batched)
    }

    fn expected(&self) -> String {
        self.inputs.iter().map(|s| format!("{:?}", s.name)).collect::<Vec<_>>().join(", ")
    }

    /// Checks a request and puts its inputs into the model's order; optional ones that it leaves out
    /// stay out. A column of n rows may come as `[n]` or `[n, 1]`, whichever the model takes. Returns the number of rows (1 when the model is not batchable).
    ///
    /// # Errors
    /// [`SignatureError`] naming the input at fault.
    pub fn accept(&self, inputs: &mut [NamedTensor]) -> Result<usize, SignatureError> {
        // Most callers name all inputs in the model's order: then there is nothing to look for.
        let named = |(given, spec): (&NamedTensor, &TensorSpec)| given.name == spec.name;
        if inputs.len() != self.inputs.len() || !inputs.iter().zip(&self.inputs).all(named) {
            self.order(inputs)?;
        }
        if inputs.len() == self.inputs.len() {
            for (spec, input) in self.inputs.iter().zip(&mut *inputs) {
                fit(spec, input)?;
            }
            return self.rows(inputs);
        }
        let mut given = inputs.iter_mut().peekable();
        for spec in &self.inputs {
            // One that is not next was left out.
            let Some(input) = given.next_if(|input| input.name == spec.name) else { continue };
            fit(spec, input)?;
        }
        self.rows(inputs)
    }

    /// Puts inputs into the model's order, each of them once and none that is missing.
    fn order(&self, inputs: &mut [NamedTensor]) -> Result<(), SignatureError> {
        for (i, given) in inputs.iter().enumerate() {
            if !self.inputs.iter().any(|s| s.name == given.name) {
                let nearest = mainspring_core::nearest(&given.name, self.inputs.iter().map(|s| &*s.name));
                return Err(SignatureError::Unexpected {
                    name: given.name.to_string(),
                    nearest: nearest.map(str::to_owned),
                    expected: self.expected(),
                });
            }
            if inputs[..i].iter().any(|other| other.name == given.name) {
                return Err(SignatureError::Duplicate { name: given.name.to_string() });
            }
        }
        let mut place = 0;
        for spec in &self.inputs {
            let found = inputs.iter().skip(place).position(|t| t.name == spec.name).map(|p| p + place);
            match found {
                Some(at) => inputs.swap(place, at),
                // Nothing at all would not even say how many rows there are.
                None if spec.optional && !inputs.is_empty() => continue,
                None => {
                    return Err(SignatureError::Missing { name: spec.name.to_string(), expected: self.expected() });
                }
            }
            place += 1;
        }
        Ok(())
    }

    fn rows(&self, inputs: &[NamedTensor]) -> Result<usize, SignatureError> {
        if !self.batchable() {
            return Ok(1);
        }
        let Some(first) = inputs.first() else { return Ok(1) };
        for other in &inputs[1..] {
            if other.tensor.rows() != first.tensor.rows() {
                return Err(SignatureError::Rows {
                    name: other.name.to_string(),
                    got: other.tensor.rows(),
                    first: first.name.to_string(),
                    expected: first.tensor.rows(),
                });
            }
        }
        Ok(first.tensor.rows())
    }
}

/// Gives an input the model's own shape of a column, and checks it.
fn fit(spec: &TensorSpec, given: &mut NamedTensor) -> Result<(), SignatureError> {
    // A table's column has the same elements as `[n]` and as `[n, 1]`. MLflow's columns are the first,
    // those of skl2onnx and of MLServer's pandas codec the second; clients of either may call both.
    match (&*spec.shape, given.tensor.shape()) {
        ([_], [_, 1]) => given.tensor.column(false),
        ([_, 1], [_]) => given.tensor.column(true),
        _ => {}
    }
    check(spec, given)
}

fn check(spec: &TensorSpec, given: &NamedTensor) -> Result<(), SignatureError> {
    if spec.dtype != given.tensor.dtype() {
        return Err(SignatureError::DType {
            name: spec.name.to_string(),
            expected: spec.dtype,
            got: given.tensor.dtype(),
        });
    }
    let got = given.tensor.shape();
    // No dimensions are a scalar, or a rank that the model leaves open: the engine knows.
    let fits = spec.shape.is_empty()
        || spec.shape.len() == got.len()
            && spec.shape.iter().zip(got).all(|(want, have)| *want < 0 || usize::try_from(*want) == Ok(*have));
    if fits {
        Ok(())
    } else {
        Err(SignatureError::Shape { name: spec.name.to_string(), expected: spec.shape.clone(), got: got.to_vec() })
    }
}
