//! Failures as MLflow's scoring server shows them.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use mainspring_core::{Denied, ErrorKind, Failure};
use mainspring_serving::{ColumnError, ServeError};
use mainspring_wire::BodyError;
use mainspring_wire::response::string;
use std::time::Duration;

/// How a scoring request is wrong.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum InputError {
    /// Not JSON, or a v2 body that is wrong.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// Not CSV.
    #[error("the body is not CSV: {0}")]
    Csv(String),
    /// None or several of the four forms.
    #[error(
        "the input must be a JSON object with exactly one of dataframe_split, dataframe_records, instances and inputs; it {0}"
    )]
    Form(String),
    /// A form that is not filled in as it has to be.
    #[error("{field} {what}")]
    Shape {
        /// The form: `dataframe_split`.
        field: String,
        /// What is wrong with it.
        what: String,
    },
    /// Values that the model's input does not take.
    #[error("input {input:?}: {what}")]
    Value {
        /// The input.
        input: String,
        /// What is wrong.
        what: String,
    },
    /// Columns that do not fit the model.
    #[error(transparent)]
    Column(#[from] ColumnError),
}

impl Failure for InputError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Body(e) => e.kind(),
            _ => ErrorKind::InvalidInput,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    hint: Option<String>,
    retry_after: Option<Duration>,
    /// 415 has a body of plain text, as in MLflow.
    media_type: bool,
}

impl Refused {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, retry_after: None, media_type: false }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A content type that is not taken.
    pub(crate) fn media_type(message: String) -> Self {
        Self { media_type: true, ..Self::new(ErrorKind::InvalidInput, message) }
    }

    fn of(failure: &dyn Failure) -> Self {
        Self { hint: failure.hint(), ..Self::new(failure.kind(), failure.to_string()) }
    }
}

impl From<InputError> for Refused {
    fn from(e: InputError) -> Self {
        Self::of(&e)
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

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        if self.media_type {
            let text = HeaderValue::from_static("text/plain; charset=utf-8");
            return (StatusCode::UNSUPPORTED_MEDIA_TYPE, [(CONTENT_TYPE, text)], self.message).into_response();
        }
        let mut response = render_error(self.kind, &self.message, self.hint.as_deref());
        if let Some(after) = self.retry_after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}

/// MLflow's name of an error (`databricks_pb2.ErrorCode`).
fn code(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidInput => "BAD_REQUEST",
        ErrorKind::Unauthenticated => "UNAUTHENTICATED",
        ErrorKind::Denied => "PERMISSION_DENIED",
        ErrorKind::NotFound => "RESOURCE_DOES_NOT_EXIST",
        ErrorKind::AlreadyExists => "RESOURCE_ALREADY_EXISTS",
        ErrorKind::Conflict => "RESOURCE_CONFLICT",
        ErrorKind::TooLarge | ErrorKind::Overloaded => "REQUEST_LIMIT_EXCEEDED",
        ErrorKind::DeadlineExceeded => "DEADLINE_EXCEEDED",
        ErrorKind::Cancelled => "CANCELLED",
        ErrorKind::Unavailable => "TEMPORARILY_UNAVAILABLE",
        ErrorKind::Unimplemented => "NOT_IMPLEMENTED",
        ErrorKind::Internal => "INTERNAL_ERROR",
    }
}

/// A failure as MLflow's scoring server shows it: `{"error_code": "BAD_REQUEST", "message": "…"}`
/// with the kind's HTTP status.
pub fn render_error(kind: ErrorKind, message: &str, hint: Option<&str>) -> Response {
    if kind == ErrorKind::Internal {
        tracing::error!(message, "internal error");
    }
    let text = hint.map_or_else(|| message.to_owned(), |hint| format!("{message}; {hint}"));
    let mut body = Vec::with_capacity(text.len() + 64);
    body.extend_from_slice(b"{\"error_code\": ");
    string(&mut body, code(kind));
    body.extend_from_slice(b", \"message\": ");
    string(&mut body, &text);
    body.push(b'}');
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if matches!(kind, ErrorKind::Overloaded | ErrorKind::Unavailable) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
