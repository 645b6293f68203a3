//! Failures as botocore parses them, and as a container shows them.

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, StatusCode};
use mainspring_core::{ErrorKind, Failure};
use mainspring_http::ApiError;
use mainspring_http::problem::{json_failure, one_text};
use mainspring_proto_mlflow::scoring;
use serde_json::{Value, json};

const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
/// The variant that answered, or was to.
pub(crate) const INVOKED: HeaderName = HeaderName::from_static("x-amzn-invoked-production-variant");

/// Why the runtime API has no answer.
#[derive(Debug, Clone)]
pub(crate) enum Refused {
    /// The API's own refusal.
    Api(ApiError),
    /// The model's, which SageMaker passes on inside an error of its own.
    Model(ApiError),
}

impl Refused {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::Api(ApiError::new(kind, message))
    }

    pub(crate) fn hint(self, hint: &str) -> Self {
        match self {
            Self::Api(e) => Self::Api(e.hint(hint)),
            Self::Model(e) => Self::Model(e.hint(hint)),
        }
    }

    /// What stands in the way before the body is looked at.
    pub(crate) fn before(why: &scoring::Refused) -> Self {
        Self::Api(ApiError::clone(why))
    }

    /// What came of reading the body or of running the model.
    pub(crate) fn model(why: &scoring::Refused) -> Self {
        let error = ApiError::clone(why);
        match error.kind {
            // Load is the endpoint's, not the model's.
            ErrorKind::Overloaded | ErrorKind::Unavailable => Self::Api(error),
            _ => Self::Model(error),
        }
    }
}

impl<E: Failure> From<E> for Refused {
    fn from(e: E) -> Self {
        Self::Api(e.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (mut response, error) = match self {
            Self::Api(error) => (error.rendered(render_error), error),
            Self::Model(error) => {
                let text = one_text(&error.message, error.hint.as_deref());
                let status = error.kind.http_status();
                let body = json!({
                    "Message": format!("Received {side} error ({status}) from the model with message \"{text}\"",
                        side = if status < 500 { "client" } else { "server" }),
                    "OriginalStatusCode": status,
                    "OriginalMessage": text,
                });
                (shaped(StatusCode::FAILED_DEPENDENCY, "ModelError", &body), error)
            }
        };
        error.beside(&mut response);
        if let Some(variant) = response.headers().get(scoring::VARIANT).cloned() {
            response.headers_mut().insert(INVOKED, variant);
        }
        response
    }
}

fn shaped(status: StatusCode, code: &'static str, body: &Value) -> Response {
    let mut response = Response::new(body.to_string().into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static(code));
    response
}

/// A failure of the runtime API: its name in `x-amzn-ErrorType`, its text under `Message`
/// (`botocore/data/sagemaker-runtime`, protocol rest-json). A name or a status that SageMaker does not
/// have is one that every AWS service knows.
pub fn render_error(kind: ErrorKind, message: &str, hint: Option<&str>) -> Response {
    if kind == ErrorKind::Internal {
        tracing::error!(message, "internal error");
    }
    let (status, code) = match kind {
        // SageMaker does not tell an endpoint that is not there from a wrong request.
        ErrorKind::InvalidInput | ErrorKind::NotFound | ErrorKind::AlreadyExists | ErrorKind::Conflict => {
            (400, "ValidationError")
        }
        ErrorKind::TooLarge => (413, "ValidationError"),
        ErrorKind::Unauthenticated => (403, "UnrecognizedClientException"),
        ErrorKind::Denied => (403, "AccessDeniedException"),
        ErrorKind::Overloaded => (429, "ThrottlingException"),
        ErrorKind::Unavailable => (429, "ModelNotReadyException"),
        ErrorKind::DeadlineExceeded | ErrorKind::Cancelled => (503, "ServiceUnavailable"),
        ErrorKind::Unimplemented => (501, "NotImplemented"),
        ErrorKind::Internal => (500, "InternalFailure"),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    shaped(status, code, &json!({ "Message": one_text(message, hint) }))
}

/// A failure of the container: SageMaker looks at the status, people at the text under `error`.
pub fn render_plain(kind: ErrorKind, message: &str, hint: Option<&str>) -> Response {
    json_failure(kind, message, json!({ "error": one_text(message, hint) }).to_string().into_bytes())
}

/// Why the container has no answer.
#[derive(Debug, Clone)]
pub(crate) struct Plain(pub ApiError);

impl Plain {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(ApiError::new(kind, message))
    }

    pub(crate) fn scoring(why: &scoring::Refused) -> Self {
        Self(ApiError::clone(why))
    }
}

impl<E: Failure> From<E> for Plain {
    fn from(e: E) -> Self {
        Self(e.into())
    }
}

impl IntoResponse for Plain {
    fn into_response(self) -> Response {
        self.0.rendered(render_plain)
    }
}
