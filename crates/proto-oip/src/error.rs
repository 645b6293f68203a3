//! Failures in the protocol's own shape: `{"error": "…"}` over HTTP, a status over gRPC.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use mainspring_core::{Denied, ErrorKind, Failure};
use mainspring_serving::ServeError;
use std::time::Duration;
use tonic::{Code, Status};

use mainspring_wire::{BodyError, response};

/// Why there is no answer: what every door of this crate turns failures into before it renders them.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    pub(crate) retry_after: Option<Duration>,
}

impl Refused {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, retry_after: None }
    }

    fn of(failure: &dyn Failure) -> Self {
        Self { kind: failure.kind(), message: failure.to_string(), hint: failure.hint(), retry_after: None }
    }

    /// Message and hint as one text.
    pub(crate) fn text(&self) -> String {
        joined(&self.message, self.hint.as_deref())
    }

    /// As an HTTP response.
    pub(crate) fn response(&self) -> Response {
        let mut response = render_error(self.kind, &self.message, self.hint.as_deref());
        if let Some(after) = self.retry_after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }

    /// As a gRPC status.
    pub(crate) fn status(&self) -> Status {
        Status::new(code(self.kind), self.text())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        self.response()
    }
}

impl From<BodyError> for Refused {
    fn from(e: BodyError) -> Self {
        Self::of(&e)
    }
}

impl From<Denied> for Refused {
    fn from(e: Denied) -> Self {
        Self::of(&e)
    }
}

impl From<mainspring_http::BodyError> for Refused {
    fn from(e: mainspring_http::BodyError) -> Self {
        Self::of(&e)
    }
}

impl From<ServeError> for Refused {
    fn from(e: ServeError) -> Self {
        Self { retry_after: e.retry_after(), ..Self::of(&e) }
    }
}

fn joined(message: &str, hint: Option<&str>) -> String {
    match hint {
        Some(hint) => format!("{message}; {hint}"),
        None => message.to_owned(),
    }
}

/// A failure as the protocol shows it: `{"error": "…"}` with the kind's HTTP status. Triton's clients
/// read the text under `error`, whatever the status; a refusal because of load is 429 with
/// `Retry-After`, a passed deadline 504.
pub fn render_error(kind: ErrorKind, message: &str, hint: Option<&str>) -> Response {
    if kind == ErrorKind::Internal {
        tracing::error!(message, "internal error");
    }
    let mut body = Vec::with_capacity(message.len() + 64);
    body.extend_from_slice(b"{\"error\":");
    response::string(&mut body, &joined(message, hint));
    body.push(b'}');
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    match kind {
        ErrorKind::Unauthenticated => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"mainspring\""));
        }
        ErrorKind::Overloaded | ErrorKind::Unavailable => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
    response
}

/// A failure before a gRPC method was reached, as a response that gRPC clients read.
pub fn render_grpc_error(kind: ErrorKind, message: &str, hint: Option<&str>) -> Response {
    Status::new(code(kind), joined(message, hint)).into_http::<Body>()
}

/// The gRPC code of a kind. Load is `UNAVAILABLE`, as in Triton: it is what clients retry.
pub(crate) fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::InvalidInput => Code::InvalidArgument,
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::Denied => Code::PermissionDenied,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::AlreadyExists => Code::AlreadyExists,
        ErrorKind::Conflict => Code::FailedPrecondition,
        ErrorKind::TooLarge => Code::ResourceExhausted,
        ErrorKind::DeadlineExceeded => Code::DeadlineExceeded,
        ErrorKind::Cancelled => Code::Cancelled,
        ErrorKind::Overloaded | ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Unimplemented => Code::Unimplemented,
        ErrorKind::Internal => Code::Internal,
    }
}
