//! Failures in the protocol's own shape: `{"error": "…"}` over HTTP, a status over gRPC.

use crate::rest::infer::VARIANT;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use mainspring_core::{ErrorKind, Failure};
use mainspring_http::ApiError;
use mainspring_http::problem::{json_failure, one_text};
use mainspring_serving::VariantName;
use mainspring_wire::response;
use std::ops::Deref;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

/// Why there is no answer: what every door of this crate turns failures into before it renders them.
#[derive(Debug, Clone)]
pub(crate) struct Refused(ApiError);

impl Refused {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(ApiError::new(kind, message))
    }

    /// With what to do next.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self(self.0.hint(hint))
    }

    /// By the variant that was to answer.
    pub(crate) fn by(self, variant: &VariantName) -> Self {
        Self(self.0.header(VARIANT, variant.as_str()))
    }

    /// The variant that was to answer, where that is known.
    pub(crate) fn variant(&self) -> Option<&str> {
        let (name, value) = self.header.as_deref()?;
        if *name == VARIANT { value.to_str().ok() } else { None }
    }

    /// Message and hint as one text.
    pub(crate) fn text(&self) -> String {
        one_text(&self.message, self.0.hint.as_deref())
    }

    /// As a gRPC status.
    pub(crate) fn status(&self) -> Status {
        let mut status = Status::new(code(self.kind), self.text());
        if let Some(Ok(variant)) = self.variant().map(MetadataValue::try_from) {
            status.metadata_mut().insert(mainspring_traffic::VARIANT_HEADER, variant);
        }
        status
    }
}

impl Deref for Refused {
    type Target = ApiError;

    fn deref(&self) -> &ApiError {
        &self.0
    }
}

impl<E: Failure> From<E> for Refused {
    fn from(e: E) -> Self {
        Self(e.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        self.rendered(render_error)
    }
}

/// A failure as the protocol shows it: `{"error": "…"}` with the kind's HTTP status. Triton's clients
/// read the text under `error`, whatever the status; a refusal because of load is 429 with
/// `Retry-After`, a passed deadline 504.
pub fn render_error(kind: ErrorKind, message: &str, hint: Option<&str>) -> Response {
    let mut body = Vec::with_capacity(message.len() + 64);
    body.extend_from_slice(b"{\"error\":");
    response::string(&mut body, &one_text(message, hint));
    body.push(b'}');
    json_failure(kind, message, body)
}

/// A failure before a gRPC method was reached, as a response that gRPC clients read.
pub fn render_grpc_error(kind: ErrorKind, message: &str, hint: Option<&str>) -> Response {
    Status::new(code(kind), one_text(message, hint)).into_http::<Body>()
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
