//! Errors in MLflow's shape: `{"error_code": NAME, "message": …}`.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, StatusCode};
use mainspring_core::{Denied, ErrorKind, Failure};
use mainspring_registry::RegistryError;

/// A handler's failure, ready to be rendered.
#[derive(Debug)]
pub(super) struct Failed {
    kind: ErrorKind,
    /// MLflow's name, where the kind alone does not say it.
    code: Option<&'static str>,
    message: String,
    hint: Option<String>,
}

impl Failed {
    /// The request is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::InvalidInput, code: None, message: message.into(), hint: None }
    }

    /// The request cannot even be read.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self { code: Some("BAD_REQUEST"), ..Self::invalid(message) }
    }

    /// Known to MLflow, not built here.
    pub fn not_built(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Unimplemented, ..Self::invalid(message) }
    }

    /// No such path, here or in MLflow.
    pub fn no_endpoint(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::NotFound, code: Some("ENDPOINT_NOT_FOUND"), ..Self::invalid(message) }
    }
}

impl<E: Failure> From<&E> for Failed {
    fn from(e: &E) -> Self {
        Self { kind: e.kind(), code: None, message: e.to_string(), hint: e.hint() }
    }
}

impl From<RegistryError> for Failed {
    fn from(e: RegistryError) -> Self {
        let code = matches!(e, RegistryError::State(_)).then_some("INVALID_STATE");
        if matches!(e.kind(), ErrorKind::Internal) {
            tracing::error!(error = %e, "an MLflow request failed");
        }
        Self { code, ..Self::from(&e) }
    }
}

impl From<Denied> for Failed {
    fn from(e: Denied) -> Self {
        Self::from(&e)
    }
}

impl From<mainspring_http::BodyError> for Failed {
    fn from(e: mainspring_http::BodyError) -> Self {
        Self::from(&e)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        render(self.kind, self.code, &self.message, self.hint.as_deref())
    }
}

/// MLflow's name and HTTP status of a kind (`mlflow/exceptions.py`).
fn code_of(kind: ErrorKind) -> (&'static str, u16) {
    match kind {
        ErrorKind::InvalidInput => ("INVALID_PARAMETER_VALUE", 400),
        ErrorKind::Unauthenticated => ("UNAUTHENTICATED", 401),
        ErrorKind::Denied => ("PERMISSION_DENIED", 403),
        ErrorKind::NotFound => ("RESOURCE_DOES_NOT_EXIST", 404),
        ErrorKind::AlreadyExists => ("RESOURCE_ALREADY_EXISTS", 400),
        ErrorKind::Conflict => ("RESOURCE_CONFLICT", 409),
        ErrorKind::TooLarge => ("INVALID_PARAMETER_VALUE", 413),
        ErrorKind::Overloaded => ("REQUEST_LIMIT_EXCEEDED", 429),
        ErrorKind::Cancelled => ("CANCELLED", 499),
        ErrorKind::Internal => ("INTERNAL_ERROR", 500),
        ErrorKind::Unimplemented => ("NOT_IMPLEMENTED", 501),
        ErrorKind::Unavailable => ("TEMPORARILY_UNAVAILABLE", 503),
        ErrorKind::DeadlineExceeded => ("DEADLINE_EXCEEDED", 504),
    }
}

fn render(kind: ErrorKind, code: Option<&str>, message: &str, hint: Option<&str>) -> Response {
    let (name, status) = code_of(kind);
    let status = if code == Some("INVALID_STATE") { 500 } else { status };
    let message = match hint {
        Some(hint) => format!("{message} ({hint})"),
        None => message.to_owned(),
    };
    let body = serde_json::json!({"error_code": code.unwrap_or(name), "message": message});
    let mut response = Response::new(body.to_string().into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let extra: Option<(HeaderName, &'static str)> = match kind {
        ErrorKind::Unauthenticated => Some((WWW_AUTHENTICATE, "Basic realm=\"mlflow\"")),
        ErrorKind::Overloaded | ErrorKind::Unavailable => Some((RETRY_AFTER, "1")),
        _ => None,
    };
    if let Some((name, value)) = extra {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Renders a failure as MLflow would: for guards in front of these routes.
pub fn render_error(kind: ErrorKind, message: &str, hint: Option<&str>) -> Response {
    render(kind, None, message, hint)
}
