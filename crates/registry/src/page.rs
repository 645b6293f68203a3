//! Page tokens: opaque to clients, an offset inside. The form is MLflow's own, base64 of
//! `{"offset": N}`, so that a client that moves between servers in the middle keeps its place.

use crate::error::{RegistryError, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The token for the page that starts at `offset`.
pub fn token(offset: u64) -> String {
    STANDARD.encode(format!("{{\"offset\": {offset}}}"))
}

/// The offset inside a token; 0 without one.
///
/// # Errors
/// [`RegistryError::Invalid`] when the token was not made by [`token`].
pub fn offset(page_token: Option<&str>) -> Result<u64> {
    let Some(text) = page_token.filter(|t| !t.is_empty()) else { return Ok(0) };
    let bytes =
        STANDARD.decode(text).map_err(|_| RegistryError::invalid("Invalid page token, could not base64-decode"))?;
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|_| {
        RegistryError::invalid(format!("Invalid page token, decoded value={}", String::from_utf8_lossy(&bytes)))
    })?;
    let offset = value.get("offset");
    offset
        .and_then(|o| o.as_u64().or_else(|| o.as_str().and_then(|s| s.parse().ok())))
        .filter(|o| i64::try_from(*o).is_ok())
        .ok_or_else(|| RegistryError::invalid(format!("Invalid page token, parsed value={value}")))
}

/// Cuts `items`, read with one row more than `limit`, to a page.
pub(crate) fn cut<T>(mut items: Vec<T>, from: u64, limit: u64) -> crate::types::Page<T> {
    let more = items.len() as u64 > limit;
    items.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    crate::types::Page { items, next: more.then(|| token(from.saturating_add(limit))) }
}
