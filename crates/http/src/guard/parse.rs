//! Credentials out of headers.

use super::{AuthFailure, CSRF_HEADER, Credential, SESSION_COOKIE};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderValue, Method};

/// A credential whose text may have had to be decoded.
pub(super) enum Found<'a> {
    Nothing,
    Key(&'a str),
    Decoded(String),
    Session { token: &'a str, csrf: Option<&'a str> },
}

impl Found<'_> {
    pub(super) fn credential(&self, method: &Method) -> Option<Credential<'_>> {
        let safe = matches!(*method, Method::GET | Method::HEAD);
        match self {
            Self::Nothing => None,
            Self::Key(key) => Some(Credential::Key(key)),
            Self::Decoded(key) => Some(Credential::Key(key)),
            Self::Session { token, csrf } => Some(Credential::Session { token, csrf: *csrf, safe }),
        }
    }
}

/// Headers that hold a key as it is; the second is that of Azure's SDKs.
const KEY_HEADERS: [(&str, &str); 2] =
    [("x-api-key", "x-api-key is not text"), ("ocp-apim-subscription-key", "ocp-apim-subscription-key is not text")];

/// The credential that a request brings: an explicit key before a cookie.
pub(super) fn find(headers: &HeaderMap) -> Result<Found<'_>, AuthFailure> {
    if let Some(value) = headers.get(AUTHORIZATION) {
        return if signed_for_aws(value) { Ok(session_key(headers)) } else { authorization(value) };
    }
    for (name, not_text) in KEY_HEADERS {
        if let Some(value) = headers.get(name) {
            return value.to_str().map(Found::Key).map_err(|_| AuthFailure::Malformed(not_text));
        }
    }
    let csrf = || headers.get(CSRF_HEADER).and_then(|v| v.to_str().ok());
    Ok(session_token(headers).map_or(Found::Nothing, |token| Found::Session { token, csrf: csrf() }))
}

/// Whether an AWS client signed the request. Nobody here knows its secret key, so that the signature proves
/// nothing and is not looked at.
fn signed_for_aws(value: &HeaderValue) -> bool {
    value.as_bytes().starts_with(b"AWS4-HMAC-SHA256 ")
}

/// What an AWS client sends as its session token is the key; a client without one brings no credential.
fn session_key(headers: &HeaderMap) -> Found<'_> {
    headers.get("x-amz-security-token").and_then(|v| v.to_str().ok()).map_or(Found::Nothing, Found::Key)
}

/// The value of the session cookie.
pub fn session_token(headers: &HeaderMap) -> Option<&str> {
    headers.get_all(COOKIE).iter().find_map(session_cookie)
}

fn authorization(value: &HeaderValue) -> Result<Found<'_>, AuthFailure> {
    let text = value.to_str().map_err(|_| AuthFailure::Malformed("it is not text"))?;
    let (scheme, rest) = text.split_once(' ').ok_or(AuthFailure::Malformed("it has no scheme"))?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Found::Key(rest));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(AuthFailure::Malformed("only Bearer and Basic are accepted"));
    }
    let decoded = STANDARD.decode(rest).ok().and_then(|b| String::from_utf8(b).ok());
    let text = decoded.ok_or(AuthFailure::Malformed("Basic does not hold base64 of text"))?;
    let (user, password) = text.split_once(':').ok_or(AuthFailure::Malformed("Basic holds no ':'"))?;
    Ok(Found::Decoded(if password.is_empty() { user } else { password }.to_owned()))
}

fn session_cookie(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()?.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == SESSION_COOKIE).then_some(value)
    })
}
