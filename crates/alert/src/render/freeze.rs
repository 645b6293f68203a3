//! The version that an alert is about, to be frozen.

use super::RenderError;
use crate::notice::{Notice, Status, cut};
use mainspring_core::Tenant;

/// Bytes of a reason; the registry keeps a thousand characters.
const REASON: usize = 900;

/// A version to be frozen, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    /// Whose.
    pub tenant: Tenant,
    /// The registered model.
    pub model: String,
    /// Its version.
    pub version: String,
    /// The alert's name, what tells it from others, and what it says.
    pub reason: String,
}

/// What a notice of one alert freezes: the version that its numbers name.
pub(crate) fn render(notice: &Notice) -> Result<Freeze, RenderError> {
    if notice.status == Status::Test {
        return Err(RenderError::NoVersion(
            "a channel that freezes cannot be tried: a test is about no version".into(),
        ));
    }
    let named = notice.items.first().and_then(|item| {
        let text = |key: &str| item.numbers.get(key).and_then(|v| v.as_str());
        Some((item, text("model")?, text("version")?))
    });
    let Some((item, model, version)) = named else {
        let why = "the alert is about no one version: a rollout decides who answers, or another version answered a part of what it \
                   counts; freeze the one at fault with `mainspring model freeze MODEL/VERSION`";
        return Err(RenderError::NoVersion(why.to_owned()));
    };
    let labels: Vec<String> = item.labels.iter().map(|(key, value)| format!("{key} {value}")).collect();
    let reason = format!("alert {} ({}): {}", item.name, labels.join(", "), item.summary);
    let (tenant, model, version) = (notice.tenant.clone(), model.to_owned(), version.to_owned());
    Ok(Freeze { tenant, model, version, reason: cut(&reason, REASON) })
}
