//! The `MLmodel` file of an MLflow model: flavors and signature.
//!
//! The format is MLflow's (`mlflow/models/model.py`, `mlflow/types/schema.py`): YAML whose
//! `signature.inputs`, `.outputs` and `.params` are JSON texts.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Why an `MLmodel` file cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MlmodelError {
    /// Not YAML, or not of this shape.
    #[error("MLmodel: {0}")]
    Yaml(String),
    /// The JSON inside `signature` is wrong.
    #[error("MLmodel: signature.{part} is not an MLflow schema: {reason}")]
    Signature {
        /// `inputs`, `outputs` or `params`.
        part: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A path that leaves the model's folder.
    #[error("MLmodel: {path:?} is not inside the model's folder")]
    Outside {
        /// The path.
        path: String,
    },
}

/// What an `MLmodel` file says, as far as serving needs it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Mlmodel {
    /// Flavor names, each with the file or folder that its `data` names.
    pub flavors: BTreeMap<String, Option<PathBuf>>,
    /// The signature, when one was logged.
    pub signature: Option<MlflowSignature>,
    /// File of the input example in the form of a scoring request, relative to the model's folder.
    pub serving_input: Option<PathBuf>,
    /// The run that logged it.
    pub run_id: Option<String>,
    /// The logged model's id (`m-…`).
    pub model_id: Option<String>,
}

/// An MLflow signature.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MlflowSignature {
    /// What goes in; `None` when the model was logged with outputs only.
    pub inputs: Option<MlflowInputs>,
    /// What comes out.
    pub outputs: Option<MlflowInputs>,
    /// Parameters that a request may carry beside its data.
    pub params: Vec<ParamSpec>,
}

/// A schema: columns of a table, or named tensors.
#[derive(Debug, Clone, PartialEq)]
pub enum MlflowInputs {
    /// Column-based.
    Columns(Vec<ColumnSpec>),
    /// Tensor-based.
    Tensors(Vec<TensorColumn>),
}

/// One column of a column-based schema.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnSpec {
    /// Its name; `None` when the columns are known by place only.
    pub name: Option<Arc<str>>,
    /// Its type.
    pub kind: ColumnType,
    /// Whether a request must have it.
    pub required: bool,
}

/// MLflow's column types.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum ColumnType {
    Boolean,
    Integer,
    Long,
    Float,
    Double,
    String,
    Binary,
    Datetime,
    /// `array`, `object`, `map`, `any`, by MLflow's name.
    #[serde(untagged)]
    Other(String),
}

/// One tensor of a tensor-based schema.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorColumn {
    /// Its name; a single tensor may have none.
    pub name: Option<Arc<str>>,
    /// NumPy's name of the element type: `float32`.
    pub dtype: String,
    /// Its dimensions; -1 is any size.
    pub shape: Vec<i64>,
    /// Whether a request must have it.
    pub required: bool,
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParamSpec {
    /// Its name.
    pub name: String,
    /// MLflow's type name.
    #[serde(rename = "type", alias = "dtype", default)]
    pub kind: String,
    /// Its value when the request does not give one.
    #[serde(default)]
    pub default: serde_json::Value,
    /// `[-1]` for a list, absent for a scalar.
    #[serde(default)]
    pub shape: Option<Vec<i64>>,
}

impl ColumnType {
    fn parse(name: &str) -> Self {
        match name {
            "boolean" => Self::Boolean,
            "integer" => Self::Integer,
            "long" => Self::Long,
            "float" => Self::Float,
            "double" => Self::Double,
            "string" => Self::String,
            "binary" => Self::Binary,
            "datetime" => Self::Datetime,
            other => Self::Other(other.to_owned()),
        }
    }

    /// MLflow's name of the type.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::String => "string",
            Self::Binary => "binary",
            Self::Datetime => "datetime",
            Self::Other(name) => name,
        }
    }
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    flavors: BTreeMap<String, Option<Flavor>>,
    #[serde(default)]
    signature: Option<RawSignature>,
    #[serde(default)]
    saved_input_example_info: Option<Example>,
    #[serde(default)]
    run_id: Option<String>,
    #[serde(default)]
    model_id: Option<String>,
}

#[derive(Deserialize)]
struct Flavor {
    #[serde(default)]
    data: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct RawSignature {
    #[serde(default)]
    inputs: Option<String>,
    #[serde(default)]
    outputs: Option<String>,
    #[serde(default)]
    params: Option<String>,
}

#[derive(Deserialize)]
struct Example {
    #[serde(default)]
    serving_input_path: Option<String>,
}

#[derive(Deserialize)]
struct RawField {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    name: Option<serde_json::Value>,
    #[serde(default)]
    required: Option<bool>,
    /// Written by MLflow before 2.4 in place of `required`.
    #[serde(default)]
    optional: Option<bool>,
    #[serde(default, rename = "tensor-spec")]
    tensor: Option<RawTensor>,
}

#[derive(Deserialize)]
struct RawTensor {
    dtype: String,
    shape: Vec<i64>,
}

impl Mlmodel {
    /// Reads the text of an `MLmodel` file.
    ///
    /// # Errors
    /// [`MlmodelError`] saying what is wrong and where.
    pub fn parse(text: &str) -> Result<Self, MlmodelError> {
        let file: File = serde_saphyr::from_str(text).map_err(|e| MlmodelError::Yaml(first_line(&e.to_string())))?;
        let flavors = file
            .flavors
            .into_iter()
            .map(|(name, flavor)| {
                let data = flavor.and_then(|f| f.data).and_then(|d| d.as_str().map(inside)).transpose()?;
                Ok((name, data))
            })
            .collect::<Result<_, MlmodelError>>()?;
        let serving_input =
            file.saved_input_example_info.and_then(|e| e.serving_input_path).map(|p| inside(&p)).transpose()?;
        Ok(Self {
            flavors,
            signature: file.signature.map(signature).transpose()?,
            serving_input,
            run_id: file.run_id,
            model_id: file.model_id,
        })
    }
}

/// A relative path without `..`: what an `MLmodel` file may name.
fn inside(path: &str) -> Result<PathBuf, MlmodelError> {
    let parsed = Path::new(path);
    let plain = !path.is_empty() && parsed.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    if plain && !path.contains(['\\', '\0']) {
        Ok(parsed.to_owned())
    } else {
        Err(MlmodelError::Outside { path: path.to_owned() })
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn signature(raw: RawSignature) -> Result<MlflowSignature, MlmodelError> {
    let params = match raw.params {
        Some(text) => serde_json::from_str::<Option<Vec<ParamSpec>>>(&text)
            .map_err(|e| MlmodelError::Signature { part: "params", reason: e.to_string() })?
            .unwrap_or_default(),
        None => Vec::new(),
    };
    Ok(MlflowSignature {
        inputs: raw.inputs.map(|t| schema("inputs", &t)).transpose()?.flatten(),
        outputs: raw.outputs.map(|t| schema("outputs", &t)).transpose()?.flatten(),
        params,
    })
}

/// The signature that an engine tells of its model, in JSON.
pub(crate) fn told(text: &str) -> Result<MlflowSignature, MlmodelError> {
    let raw: RawSignature =
        serde_json::from_str(text).map_err(|e| MlmodelError::Signature { part: "inputs", reason: e.to_string() })?;
    signature(raw)
}

fn schema(part: &'static str, text: &str) -> Result<Option<MlflowInputs>, MlmodelError> {
    let wrong = |reason: String| MlmodelError::Signature { part, reason };
    let fields: Option<Vec<RawField>> = serde_json::from_str(text).map_err(|e| wrong(e.to_string()))?;
    let Some(fields) = fields else { return Ok(None) };
    let tensors = fields.iter().filter(|f| f.kind == "tensor").count();
    if tensors == 0 {
        return Ok(Some(MlflowInputs::Columns(
            fields
                .into_iter()
                .map(|f| ColumnSpec { required: required(&f), kind: ColumnType::parse(&f.kind), name: name(f.name) })
                .collect(),
        )));
    }
    if tensors != fields.len() {
        return Err(wrong("columns and tensors are mixed".into()));
    }
    let tensors = fields
        .into_iter()
        .map(|f| {
            let required = required(&f);
            let spec = f.tensor.ok_or_else(|| wrong("a tensor has no tensor-spec".into()))?;
            Ok(TensorColumn { name: name(f.name), dtype: spec.dtype, shape: spec.shape, required })
        })
        .collect::<Result<_, MlmodelError>>()?;
    Ok(Some(MlflowInputs::Tensors(tensors)))
}

fn required(field: &RawField) -> bool {
    field.required.unwrap_or(!field.optional.unwrap_or(false))
}

/// Column names are text, but a pandas frame without names has numbers.
fn name(raw: Option<serde_json::Value>) -> Option<Arc<str>> {
    match raw? {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.into()),
        other => Some(other.to_string().into()),
    }
}
