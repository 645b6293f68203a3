//! What the protocol says about a deployment, apart from its wire form.

use crate::error::Refused;
use mainspring_core::{DType, ErrorKind};
use mainspring_serving::{Contract, DeploymentView, State, VersionView};

/// Name of the server in its metadata.
pub(crate) const SERVER_NAME: &str = "mainspring";
/// Version of the server in its metadata.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Extensions of the protocol that are built here, by Triton's names. Of the model repository
/// extension only the index is built, so it is not named.
pub(crate) const EXTENSIONS: [&str; 6] =
    ["binary_tensor_data", "classification", "generate", "model_configuration", "parameters", "statistics"];

/// The version asked for, or the current one.
pub(crate) fn pick<'a>(view: &'a DeploymentView, version: Option<&str>) -> Result<&'a VersionView, Refused> {
    let found = match version {
        Some(wanted) => view.versions.iter().find(|v| &*v.contract.target.version == wanted),
        None => view.current(),
    };
    found.ok_or_else(|| {
        let name = view.name.as_str();
        let Some(wanted) = version else {
            let reason = view.reason.as_deref().unwrap_or("no version is loaded");
            return Refused::new(ErrorKind::Unavailable, format!("deployment {name:?} is {}: {reason}", view.state));
        };
        let serves: Vec<&str> = view.versions.iter().map(|v| &*v.contract.target.version).collect();
        let serves = if serves.is_empty() { "none".to_owned() } else { serves.join(", ") };
        let message = format!("deployment {name:?} does not serve version {wanted:?}; it serves {serves}");
        Refused::new(ErrorKind::NotFound, message)
    })
}

/// Versions that answer.
pub(crate) fn versions(view: &DeploymentView) -> Vec<String> {
    view.versions.iter().filter(|v| v.state == State::Ready).map(|v| v.contract.target.version.to_string()).collect()
}

/// The state by Triton's names: `READY`, `LOADING`, `UNLOADING`, `UNAVAILABLE`.
pub(crate) fn triton_state(state: State) -> &'static str {
    match state {
        State::Ready => "READY",
        State::Loading => "LOADING",
        State::Draining => "UNLOADING",
        State::Failed => "UNAVAILABLE",
    }
}

/// One line of the repository index.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) state: &'static str,
    pub(crate) reason: String,
}

/// The repository index: a line for each version, or one for a deployment that has none yet.
pub(crate) fn index(views: &[DeploymentView], only_ready: bool) -> Vec<Entry> {
    let mut entries = Vec::new();
    for view in views {
        let reason = view.reason.clone().unwrap_or_default();
        if view.versions.is_empty() {
            let state = triton_state(view.state);
            entries.push(Entry { name: view.name.to_string(), version: String::new(), state, reason });
            continue;
        }
        for version in &view.versions {
            entries.push(Entry {
                name: view.name.to_string(),
                version: version.contract.target.version.to_string(),
                state: triton_state(version.state),
                reason: if version.state == State::Failed { reason.clone() } else { String::new() },
            });
        }
    }
    entries.retain(|e| !only_ready || e.state == "READY");
    entries
}

/// Rows that one call may hold, as `max_batch_size`: 0 when the model does not batch.
pub(crate) fn max_batch_size(contract: &Contract) -> i32 {
    i32::try_from(contract.max_batch_rows).unwrap_or(i32::MAX)
}

/// Dimensions as Triton's configuration has them: without the batch when the model batches.
pub(crate) fn config_dims(contract: &Contract, shape: &[i64]) -> Vec<i64> {
    shape.iter().skip(usize::from(contract.max_batch_rows > 0)).copied().collect()
}

/// The engine's part of a platform name: `onnxruntime` of `onnxruntime_onnx`.
pub(crate) fn backend(contract: &Contract) -> &'static str {
    contract.platform.split('_').next().unwrap_or(contract.platform)
}

/// A type by the names of Triton's configuration.
pub(crate) fn config_type(dtype: DType) -> &'static str {
    match dtype {
        DType::Bool => "TYPE_BOOL",
        DType::Uint8 => "TYPE_UINT8",
        DType::Uint16 => "TYPE_UINT16",
        DType::Uint32 => "TYPE_UINT32",
        DType::Uint64 => "TYPE_UINT64",
        DType::Int8 => "TYPE_INT8",
        DType::Int16 => "TYPE_INT16",
        DType::Int32 => "TYPE_INT32",
        DType::Int64 => "TYPE_INT64",
        DType::Fp16 => "TYPE_FP16",
        DType::Bf16 => "TYPE_BF16",
        DType::Fp32 => "TYPE_FP32",
        DType::Fp64 => "TYPE_FP64",
        DType::Bytes => "TYPE_STRING",
    }
}
