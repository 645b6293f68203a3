//! Failures as MLflow's scoring server shows them.

use super::call::VARIANT;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use mainspring_core::{ErrorKind, Failure};
use mainspring_http::ApiError;
use mainspring_http::problem::{json_failure, one_text};
use mainspring_serving::{ColumnError, VariantName};
use mainspring_wire::BodyError;
use mainspring_wire::response::string;
use std::ops::Deref;

/// How a scoring request is wrong.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InputError {
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
    /// The same where a protocol has but two forms.
    #[error("the input must be a JSON object with exactly one of instances and inputs; it {0}")]
    Classic(String),
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

/// Why there is no answer, for the protocol to show.
#[derive(Debug, Clone)]
pub struct Refused {
    error: ApiError,
    /// 415 has a body of plain text, as in MLflow.
    media_type: bool,
}

impl Refused {
    /// A refusal of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { error: ApiError::new(kind, message), media_type: false }
    }

    /// With what to do next.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { error: self.error.hint(hint), ..self }
    }

    /// By the variant that was to answer.
    pub fn by(self, variant: &VariantName) -> Self {
        Self { error: self.error.header(VARIANT, variant.as_str()), ..self }
    }

    /// A content type that is not taken.
    pub fn media_type(message: String) -> Self {
        Self { media_type: true, ..Self::new(ErrorKind::InvalidInput, message) }
    }
}

impl Refused {
    /// Whether it is about the content type.
    pub fn is_media_type(&self) -> bool {
        self.media_type
    }

    /// Message and hint as one text.
    pub fn text(&self) -> String {
        one_text(&self.error.message, self.error.hint.as_deref())
    }
}

impl Deref for Refused {
    type Target = ApiError;

    fn deref(&self) -> &ApiError {
        &self.error
    }
}

impl<E: Failure> From<E> for Refused {
    fn from(e: E) -> Self {
        Self { error: e.into(), media_type: false }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        if self.media_type {
            let text = HeaderValue::from_static("text/plain; charset=utf-8");
            let said = (StatusCode::UNSUPPORTED_MEDIA_TYPE, [(CONTENT_TYPE, text)], self.error.message.clone());
            let mut response = said.into_response();
            self.beside(&mut response);
            return response;
        }
        self.rendered(render_error)
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
    let mut body = Vec::with_capacity(message.len() + 96);
    body.extend_from_slice(b"{\"error_code\": ");
    string(&mut body, code(kind));
    body.extend_from_slice(b", \"message\": ");
    string(&mut body, &one_text(message, hint));
    body.push(b'}');
    json_failure(kind, message, body)
}
