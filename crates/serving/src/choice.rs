//! Which version serves: the one that is named, or one that was made from it.

use crate::error::ServeError;
use crate::load;
use crate::source::{ModelSource, Resolved};
use crate::spec::{DeploymentSpec, Prefer};
use mainspring_core::Tenant;

/// What is to serve.
#[derive(Debug)]
pub(crate) struct Choice {
    pub resolved: Resolved,
    /// Which one and why, when the spec leaves it open.
    pub why: Option<String>,
    /// What serves when that one cannot be loaded.
    pub instead: Option<Resolved>,
}

/// Chooses for `named`, the version that the spec names now.
///
/// # Errors
/// What the source says when it cannot be asked.
pub(crate) async fn choose(
    source: &dyn ModelSource,
    tenant: &Tenant,
    spec: &DeploymentSpec,
    named: Resolved,
) -> Result<Choice, ServeError> {
    let Some(Prefer::Onnx) = spec.prefer else { return Ok(Choice { resolved: named, why: None, instead: None }) };
    if let Some(faster) = source.faster(tenant, &named).await? {
        let why = format!(
            "prefer: onnx: version {} serves, which was made from version {} and proven to answer the same",
            faster.version, named.version
        );
        return Ok(Choice { resolved: faster, why: Some(why), instead: Some(named) });
    }
    let why = if load::is_onnx(&named) {
        format!("prefer: onnx: version {} serves, which is ONNX itself", named.version)
    } else {
        format!(
            "prefer: onnx: version {} serves as it was logged, for no proven conversion of it is registered; make one with: \
             mainspring convert {}/{}",
            named.version, named.model, named.version
        )
    };
    Ok(Choice { resolved: named, why: Some(why), instead: None })
}

/// Why the named version serves although another one was to.
pub(crate) fn fallen_back(named: &Resolved, preferred: &str, error: &ServeError) -> String {
    format!(
        "prefer: onnx: version {} serves as it was logged, for version {preferred} cannot be loaded: {error}",
        named.version
    )
}
