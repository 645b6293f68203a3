//! Errors as RFC 9457 problem details.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use mainspring_core::{ErrorKind, Failure};
use serde::Serialize;
use std::time::Duration;

/// The header that carries a request's id both ways.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How a protocol shows a failure: kind, message, hint.
pub type Render = fn(ErrorKind, &str, Option<&str>) -> Response;

/// The body of an error: RFC 9457 with `kind`, `hint` and `request_id` as extension members.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(title = "Problem")]
pub struct Problem {
    /// A stable URN for the kind, e.g. `urn:mainspring:problem:not_found`.
    #[serde(rename = "type")]
    pub type_: String,
    /// The kind in words.
    pub title: &'static str,
    /// HTTP status.
    pub status: u16,
    /// The stable name of the kind: `not_found`, `invalid_input`, …
    pub kind: &'static str,
    /// What happened, to what.
    pub detail: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The id under which the server logged this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

fn title(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidInput => "The request is wrong",
        ErrorKind::Unauthenticated => "No valid credentials",
        ErrorKind::Denied => "Not allowed",
        ErrorKind::NotFound => "Not found",
        ErrorKind::AlreadyExists => "It exists already",
        ErrorKind::Conflict => "Conflict with the present state",
        ErrorKind::TooLarge => "Too large",
        ErrorKind::Overloaded => "Too many requests now",
        ErrorKind::DeadlineExceeded => "The deadline passed",
        ErrorKind::Cancelled => "The caller went away",
        ErrorKind::Unavailable => "Not available now",
        ErrorKind::Unimplemented => "Not built",
        ErrorKind::Internal => "An internal error",
    }
}

impl Problem {
    /// A problem of this kind.
    pub fn new(kind: ErrorKind, detail: &str, hint: Option<&str>) -> Self {
        Self {
            type_: format!("urn:mainspring:problem:{}", kind.as_str()),
            title: title(kind),
            status: kind.http_status(),
            kind: kind.as_str(),
            detail: detail.to_owned(),
            hint: hint.map(str::to_owned),
            request_id: None,
        }
    }

    /// The body as bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = Response::new(self.to_bytes().into());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        status_headers(status, headers);
        // The guard adds the request id, which it alone knows.
        response.extensions_mut().insert(std::sync::Arc::new(self));
        response
    }
}

/// `WWW-Authenticate` for 401 and `Retry-After` for 429 and 503, when nobody set them.
pub(crate) fn status_headers(status: StatusCode, headers: &mut http::HeaderMap) {
    match status {
        StatusCode::UNAUTHORIZED => {
            headers.entry(WWW_AUTHENTICATE).or_insert(HeaderValue::from_static("Bearer realm=\"mainspring\""));
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            headers.entry(RETRY_AFTER).or_insert(HeaderValue::from_static("1"));
        }
        _ => {}
    }
}

/// A problem+json response: the [`Render`] of the native API.
pub fn problem(kind: ErrorKind, message: &str, hint: Option<&str>) -> Response {
    if kind == ErrorKind::Internal {
        tracing::error!(message, "internal error");
    }
    Problem::new(kind, message, hint).into_response()
}

/// Any failure on its way out, so that handlers can use `?`. Each protocol shows it in its own way; by
/// itself it is problem+json.
#[derive(Debug, Clone)]
pub struct ApiError {
    /// Its kind.
    pub kind: ErrorKind,
    /// What happened.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// When to try again, where that is known.
    pub retry_after: Option<Duration>,
    /// A header that goes out with it.
    pub header: Option<Box<(HeaderName, HeaderValue)>>,
}

impl ApiError {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, retry_after: None, header: None }
    }

    /// With what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With a header, when its value can be one.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.header = HeaderValue::from_str(value).ok().map(|value| Box::new((name, value)));
        self
    }

    /// As a protocol shows it, with `Retry-After` where it is known when to try again.
    pub fn rendered(&self, render: Render) -> Response {
        let mut response = render(self.kind, &self.message, self.hint.as_deref());
        if let Some(after) = self.retry_after {
            // Rounded up: whoever comes back early is refused again.
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        self.beside(&mut response);
        response
    }

    /// Puts its header beside it, for who renders it by hand.
    pub fn beside(&self, response: &mut Response) {
        if let Some((name, value)) = self.header.as_deref() {
            response.headers_mut().insert(name.clone(), value.clone());
        }
    }
}

impl<E: Failure> From<E> for ApiError {
    fn from(e: E) -> Self {
        Self { kind: e.kind(), message: e.to_string(), hint: e.hint(), retry_after: e.retry_after(), header: None }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.rendered(problem)
    }
}

/// A response with the status and the headers that a kind has in every protocol, and this JSON body:
/// what a [`Render`] without a table of its own ends with. An internal error is logged.
pub fn json_failure(kind: ErrorKind, message: &str, body: Vec<u8>) -> Response {
    if kind == ErrorKind::Internal {
        tracing::error!(message, "internal error");
    }
    let status = StatusCode::from_u16(kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    status_headers(status, headers);
    response
}

/// Message and hint as one text, for protocols that have room for one only.
pub fn one_text(message: &str, hint: Option<&str>) -> String {
    match hint {
        Some(hint) => format!("{message}; {hint}"),
        None => message.to_owned(),
    }
}
