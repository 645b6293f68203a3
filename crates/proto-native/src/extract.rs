//! Path and query parameters, refused as problem+json.

use axum::extract::{FromRequestParts, Path, Query};
use http::Uri;
use http::request::Parts;
use mainspring_core::{ErrorKind, Name, nearest};
use mainspring_http::ApiError;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

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

/// Query parameters. One that an operation does not have is refused: nobody should believe that it was heard.
#[derive(Debug)]
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned + IntoParams, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        known(&parts.uri, names::<T>)?;
        Ok(Self(read(&parts.uri)?))
    }
}

/// Query parameters of two kinds.
#[derive(Debug)]
pub(crate) struct Both<A, B>(pub(crate) A, pub(crate) B);

impl<A, B, S> FromRequestParts<S> for Both<A, B>
where
    A: DeserializeOwned + IntoParams,
    B: DeserializeOwned + IntoParams,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        known(&parts.uri, || [names::<A>(), names::<B>()].concat())?;
        Ok(Self(read(&parts.uri)?, read(&parts.uri)?))
    }
}

fn read<T: DeserializeOwned>(uri: &Uri) -> Result<T, ApiError> {
    let query = Query::<T>::try_from_uri(uri);
    query.map(|q| q.0).map_err(|e| ApiError::new(ErrorKind::InvalidInput, e.body_text()))
}

/// What the OpenAPI document calls them.
fn names<T: IntoParams>() -> Vec<String> {
    T::into_params(|| None).into_iter().map(|p| p.name).collect()
}

fn known(uri: &Uri, names: impl Fn() -> Vec<String>) -> Result<(), ApiError> {
    if uri.query().is_none_or(str::is_empty) {
        return Ok(());
    }
    let names = names();
    // What is not in this form is refused where it is read.
    let given = Query::<Vec<(String, String)>>::try_from_uri(uri).map(|q| q.0).unwrap_or_default();
    let Some((unknown, _)) = given.iter().find(|(name, _)| !names.contains(name)) else { return Ok(()) };
    let near = nearest(unknown, names.iter().map(String::as_str));
    let hint = near.map_or_else(|| format!("it has: {}", names.join(", ")), |near| format!("did you mean {near:?}?"));
    Err(ApiError::new(ErrorKind::InvalidInput, format!("there is no parameter {unknown:?} here")).hint(hint))
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
