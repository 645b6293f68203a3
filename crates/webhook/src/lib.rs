//! What a declaration needs to have something sent: where it goes, a secret by reference, and the signature of a webhook. It
//! sends nothing.

mod secret;
mod signature;

pub use secret::{ENV_PREFIX, SecretError, SecretRef, Vault, without};
pub use signature::{SignError, body, headers, rfc3339};

/// Whether a text is an address that something can be posted to.
///
/// # Errors
/// What is wrong with it.
pub fn check_url(text: &str) -> Result<(), String> {
    let parsed = url::Url::parse(text).ok();
    let good = parsed.is_some_and(|u| {
        matches!(u.scheme(), "http" | "https") && u.has_host() && u.username().is_empty() && u.password().is_none()
    });
    if good { Ok(()) } else { Err(format!("{text:?} is not an http or https URL without a password in it")) }
}
