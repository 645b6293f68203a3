//! Standard Webhooks 1.0 (<https://www.standardwebhooks.com>): a body with `type`, `timestamp` and `data`, and the headers
//! `webhook-id`, `webhook-timestamp` and `webhook-signature`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use mainspring_core::{Secret, Timestamp};
use serde_json::{Value, json};
use sha2::Sha256;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A secret with this in front is base 64, any other is its own bytes.
const PREFIX: &str = "whsec_";

/// The secret is not of the right form. It is not in the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the webhook's secret cannot be used: {0}")]
pub struct SignError(String);

fn key(secret: &Secret) -> Result<Vec<u8>, SignError> {
    match secret.reveal().strip_prefix(PREFIX) {
        None => Ok(secret.reveal().as_bytes().to_vec()),
        Some(rest) => {
            STANDARD.decode(rest).map_err(|e| SignError(format!("what follows {PREFIX} is not base 64: {e}")))
        }
    }
}

/// `v1,` and the signature of id, time and body, base 64.
fn sign(secret: &Secret, id: &str, seconds: i64, body: &str) -> Result<String, SignError> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(&key(secret)?).map_err(|_| SignError("its length is not allowed".to_owned()))?;
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

/// The body of what happened, or is asked, at `at`.
pub fn body(kind: &str, at: Timestamp, data: &Value) -> String {
    json!({"type": kind, "timestamp": rfc3339(at), "data": data}).to_string()
}

/// An instant in UTC, to the second.
pub fn rfc3339(at: Timestamp) -> String {
    let seconds = at.micros().div_euclid(1_000_000);
    let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    at.format(&Rfc3339).unwrap_or_default()
}

/// The headers of a JSON body that is sent at `now` under `id`.
///
/// # Errors
/// [`SignError`] when the secret is not of the right form.
pub fn headers(
    secret: &Secret,
    id: &str,
    now: Timestamp,
    body: &str,
) -> Result<Vec<(&'static str, String)>, SignError> {
    let seconds = now.micros().div_euclid(1_000_000);
    Ok(vec![
        ("content-type", "application/json".to_owned()),
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", sign(secret, id, seconds, body)?),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn a_webhook_is_signed_as_standard_webhooks_say() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signature = sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(signature.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let bare = sign(&Secret::new("plain"), "id", 1, "{}").unwrap();
        assert!(bare.starts_with("v1,") && bare.len() == 3 + 44);
        let wrong = sign(&Secret::new("whsec_!!"), "id", 1, "{}").unwrap_err().to_string();
        assert!(wrong.contains("not base 64"), "{wrong}");
    }
}
