//! What is told of models: which there are, whether they answer, what they take.

use crate::ClassicState;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use mainspring_core::{DType, ErrorKind, Failure, Name, Principal};
use mainspring_engine::TensorSpec;
use mainspring_http::problem::{json_failure, one_text};
use mainspring_http::{ApiError, Caller};
use mainspring_proto_mlflow::scoring;
use mainspring_serving::{DeploymentView, Describe, State as Stands, VersionView};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(crate) struct Refused(ApiError);

impl Refused {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(ApiError::new(kind, message))
    }

    pub(crate) fn scoring(why: scoring::Refused) -> Self {
        Self(ApiError::clone(&why))
    }

    pub(crate) fn hint(self, hint: &str) -> Self {
        Self(self.0.hint(hint))
    }
}

impl<E: Failure> From<E> for Refused {
    fn from(e: E) -> Self {
        Self(e.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        self.0.rendered(render_error)
    }
}

/// `{"error": "…"}` with the kind's HTTP status, which is what both protocols' clients read.
pub fn render_error(kind: ErrorKind, message: &str, hint: Option<&str>) -> Response {
    json_failure(kind, message, json!({ "error": one_text(message, hint) }).to_string().into_bytes())
}

pub(crate) fn name(model: &str) -> Result<Name, Refused> {
    Name::new(model).map_err(|e| Refused::new(ErrorKind::NotFound, format!("there is no deployment {model:?}: {e}")))
}

fn view(state: &ClassicState, who: &Arc<Principal>, model: &str) -> Result<DeploymentView, Refused> {
    let auth = state.gate.authorize(who, Describe { deployment: Some(name(model)?) })?;
    match state.serving.describe(&auth) {
        Some(view) => Ok(view),
        // Says which is the nearest.
        None => Err(state.serving.ready(&auth, None).map_or_else(Refused::from, |()| {
            Refused::new(ErrorKind::NotFound, format!("there is no deployment {model:?}"))
        })),
    }
}

/// As OpenAI describes a model.
fn openai(view: &DeploymentView) -> Value {
    json!({ "id": view.name, "object": "model", "created": view.since.millis() / 1000, "owned_by": "mainspring" })
}

/// As TensorFlow Serving describes a version.
fn status(version: &VersionView, reason: Option<&str>) -> Value {
    let (state, code) = match version.state {
        Stands::Ready => ("AVAILABLE", "OK"),
        Stands::Loading => ("LOADING", "OK"),
        Stands::Draining => ("UNLOADING", "OK"),
        Stands::Failed => ("END", "UNKNOWN"),
    };
    json!({
        "version": version.contract.target.version,
        "state": state,
        "status": { "error_code": code, "error_message": if code == "OK" { "" } else { reason.unwrap_or_default() } },
    })
}

pub(crate) async fn list(State(state): State<ClassicState>, Caller(who): Caller) -> Result<Response, Refused> {
    let auth = state.gate.authorize(&who, Describe { deployment: None })?;
    let all = state.serving.list(&auth);
    let names: Vec<&str> = all.iter().map(|v| v.name.as_str()).collect();
    let data: Vec<Value> = all.iter().map(openai).collect();
    Ok(Json(json!({ "models": names, "object": "list", "data": data })).into_response())
}

/// 200 when it answers; 503 when it is known but does not, which is how KServe's client knows.
pub(crate) async fn one(
    State(state): State<ClassicState>,
    Caller(who): Caller,
    Path(model): Path<String>,
) -> Result<Response, Refused> {
    let view = view(&state, &who, &model)?;
    let mut body = openai(&view);
    let reason = view.reason.as_deref();
    body["name"] = json!(view.name);
    body["ready"] = json!(view.ready());
    body["model_version_status"] = view.versions.iter().map(|v| status(v, reason)).collect();
    if view.ready() {
        return Ok(Json(body).into_response());
    }
    body["error"] = json!(format!("deployment {model:?} is {}: {}", view.state, reason.unwrap_or("it has no version")));
    Ok((StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response())
}

fn pick<'a>(view: &'a DeploymentView, version: Option<&str>) -> Result<&'a VersionView, Refused> {
    let found = match version {
        Some(wanted) => view.versions.iter().find(|v| &*v.contract.target.version == wanted),
        None => view.current(),
    };
    found.ok_or_else(|| match version {
        Some(wanted) => {
            let name = &view.name;
            Refused::new(ErrorKind::NotFound, format!("deployment \"{name}\" does not serve version {wanted:?}"))
        }
        None => {
            let reason = view.reason.as_deref().unwrap_or("it has no version");
            Refused::new(ErrorKind::Unavailable, format!("deployment \"{}\" is {}: {reason}", view.name, view.state))
        }
    })
}

pub(crate) async fn version(
    State(state): State<ClassicState>,
    Caller(who): Caller,
    Path((model, version)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let view = view(&state, &who, &model)?;
    let status = status(pick(&view, Some(&version))?, view.reason.as_deref());
    Ok(Json(json!({ "model_version_status": [status] })).into_response())
}

pub(crate) async fn metadata(
    State(state): State<ClassicState>,
    Caller(who): Caller,
    Path(model): Path<String>,
) -> Result<Response, Refused> {
    let view = view(&state, &who, &model)?;
    Ok(Json(described(&view, pick(&view, None)?)).into_response())
}

pub(crate) async fn version_metadata(
    State(state): State<ClassicState>,
    Caller(who): Caller,
    Path((model, version)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let view = view(&state, &who, &model)?;
    Ok(Json(described(&view, pick(&view, Some(&version))?)).into_response())
}

/// As TensorFlow Serving describes a signature.
fn described(view: &DeploymentView, version: &VersionView) -> Value {
    let signature = &version.contract.signature;
    let tensors = |specs: &[TensorSpec]| -> Map<String, Value> {
        specs.iter().map(|spec| (spec.name.to_string(), tensor(spec))).collect()
    };
    let definition = json!({
        "inputs": tensors(&signature.inputs),
        "outputs": tensors(&signature.outputs),
        "method_name": "tensorflow/serving/predict",
    });
    json!({
        "model_spec": { "name": view.name, "signature_name": "", "version": version.contract.target.version },
        "metadata": { "signature_def": { "signature_def": { "serving_default": definition } } },
    })
}

fn tensor(spec: &TensorSpec) -> Value {
    let dims: Vec<Value> = spec.shape.iter().map(|d| json!({ "size": d.to_string(), "name": "" })).collect();
    let dtype = match spec.dtype {
        DType::Bool => "DT_BOOL",
        DType::Uint8 => "DT_UINT8",
        DType::Uint16 => "DT_UINT16",
        DType::Uint32 => "DT_UINT32",
        DType::Uint64 => "DT_UINT64",
        DType::Int8 => "DT_INT8",
        DType::Int16 => "DT_INT16",
        DType::Int32 => "DT_INT32",
        DType::Int64 => "DT_INT64",
        DType::Fp16 => "DT_HALF",
        DType::Bf16 => "DT_BFLOAT16",
        DType::Fp32 => "DT_FLOAT",
        DType::Fp64 => "DT_DOUBLE",
        DType::Bytes => "DT_STRING",
    };
    json!({ "dtype": dtype, "tensor_shape": { "dim": dims, "unknown_rank": spec.shape.is_empty() }, "name": spec.name })
}

pub(crate) async fn no_labels() -> Refused {
    Refused::new(ErrorKind::Unimplemented, "versions have no labels here")
        .hint("an alias of the registry is what moves: deploy NAME@alias and name no version")
}
