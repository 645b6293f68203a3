//! Path and query parameters, refused as problem+json.

use axum::extract::{FromRequestParts, Path, Query};
use http::request::Parts;
use mainspring_core::{ErrorKind, Name};
use mainspring_http::ApiError;
use serde::de::DeserializeOwned;

/// Path parameters.
#[derive(Debug)]
pub(crate) struct Seg<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Seg<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|p| Self(p.0)).map_err(|e| ApiError::new(ErrorKind::InvalidInput, e.body_text()))
    }
}

/// Query parameters.
#[derive(Debug)]
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let query = Query::<T>::try_from_uri(&parts.uri);
        query.map(|q| Self(q.0)).map_err(|e| ApiError::new(ErrorKind::InvalidInput, e.body_text()))
    }
}

/// The deployment called `text`: a text that is no name names none.
pub(crate) fn deployment_name(text: &str) -> Result<Name, ApiError> {
    Name::new(text).map_err(|e| ApiError::new(ErrorKind::NotFound, format!("there is no deployment {text:?}: {e}")))
}

/// A page size between 1 and 1000.
pub(crate) fn page_size(given: Option<u32>, default: u32) -> Result<u32, ApiError> {
    match given.unwrap_or(default) {
        n @ 1..=1000 => Ok(n),
        n => Err(ApiError::new(ErrorKind::InvalidInput, format!("limit is {n}; it must be between 1 and 1000"))),
    }
}
