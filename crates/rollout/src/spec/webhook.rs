//! Webhooks that must agree.

use super::check::{SpecError, ensure};
use mainspring_core::Name;
use mainspring_resource::HumanDuration;
use mainspring_webhook::{SecretRef, check_url};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest that one answer may take: who needs longer refuses, and is asked again.
const LONGEST: Duration = Duration::from_secs(60);

/// A webhook that must agree. It gets a signed POST that says what is about to happen, with the numbers that are known: any
/// answer from 200 to 299 agrees, every other one holds, and it is asked again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookSpec {
    /// Its name in decisions.
    #[schemars(with = "String")]
    pub name: Name,
    /// Where to. By the setting `alerts.reach` a public address, or any.
    pub url: String,
    /// What it is signed with, as Standard Webhooks say.
    pub secret: SecretRef,
    /// How long one answer may take, at most `1m`.
    #[serde(default = "timeout")]
    pub timeout: HumanDuration,
}

fn timeout() -> HumanDuration {
    HumanDuration(TIMEOUT)
}

impl WebhookSpec {
    /// Its name among the checks of a decision.
    pub(crate) fn check_name(&self) -> String {
        format!("webhook:{}", self.name)
    }
}

fn check(webhook: &WebhookSpec, path: &str) -> Result<(), SpecError> {
    let refused = |field: &str, reason| SpecError { path: format!("{path}.{field}"), reason };
    check_url(&webhook.url).map_err(|reason| refused("url", reason))?;
    webhook.secret.validate().map_err(|reason| refused("secret", reason))?;
    let fits = !webhook.timeout.0.is_zero() && webhook.timeout.0 <= LONGEST;
    ensure(fits, &format!("{path}.timeout"), "must be longer than 0ms and at most 1m")
}

/// Webhooks that are asked together, and the path of each.
pub(super) fn check_all<'a>(all: impl IntoIterator<Item = (String, &'a WebhookSpec)>) -> Result<(), SpecError> {
    let mut names = Vec::new();
    for (path, webhook) in all {
        check(webhook, &path)?;
        let new = !names.contains(&&webhook.name);
        ensure(new, &format!("{path}.name"), "another webhook that is asked at the same time has this name")?;
        names.push(&webhook.name);
    }
    Ok(())
}
