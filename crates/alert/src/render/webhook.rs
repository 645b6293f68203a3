//! Standard Webhooks 1.0 (<https://www.standardwebhooks.com>): `webhook-id`, `webhook-timestamp`, `webhook-signature`.

use super::{GivesUp, HttpRequest, RenderError};
use crate::notice::{Notice, rfc3339};
use crate::spec::WebhookSpec;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use mainspring_core::{Secret, Timestamp};
use serde_json::json;
use sha2::Sha256;

/// A secret with this in front is base 64, any other is its own bytes.
const PREFIX: &str = "whsec_";

fn key(secret: &Secret) -> Result<Vec<u8>, RenderError> {
    match secret.reveal().strip_prefix(PREFIX) {
        None => Ok(secret.reveal().as_bytes().to_vec()),
        Some(rest) => STANDARD.decode(rest).map_err(|e| RenderError::Form {
            what: "the webhook's secret",
            reason: format!("what follows {PREFIX} is not base 64: {e}"),
        }),
    }
}

/// `v1,` and the signature of id, time and body, base 64.
pub(super) fn sign(secret: &Secret, id: &str, seconds: i64, body: &str) -> Result<String, RenderError> {
    let short = |_| RenderError::Form { what: "the webhook's secret", reason: "its length is not allowed".into() };
    let mut mac = Hmac::<Sha256>::new_from_slice(&key(secret)?).map_err(short)?;
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

pub(super) fn render(
    way: &WebhookSpec,
    notice: &Notice,
    secret: &Secret,
    now: Timestamp,
) -> Result<HttpRequest, RenderError> {
    let body = json!({
        "type": format!("alert.{}", notice.status.as_str()),
        "timestamp": rfc3339(notice.at),
        "data": {
            "tenant": notice.tenant,
            "channel": notice.channel,
            "group": notice.group,
            "labels": notice.labels,
            "severity": notice.severity(),
            "repeated": notice.repeated,
            "title": notice.title(),
            "alerts": notice.items,
            "leftOut": notice.left_out,
            "link": notice.link,
        },
    })
    .to_string();
    let (id, seconds) = (notice.id.to_string(), now.micros().div_euclid(1_000_000));
    let signature = sign(secret, &id, seconds, &body)?;
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("webhook-id", id),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", signature),
    ];
    let url = Secret::new(way.url.as_str());
    Ok(HttpRequest { url, headers, body, sign: None, gives_up: GivesUp::OnGone, hide: Vec::new() })
}
