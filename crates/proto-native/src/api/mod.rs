//! Routes: each handler authorises, calls one domain method, and turns its answer into a DTO.

pub(crate) mod alerts;
pub(crate) mod batches;
pub(crate) mod conversions;
pub(crate) mod cost;
pub(crate) mod deployments;
pub(crate) mod journal;
pub(crate) mod lineage;
pub(crate) mod models;
pub(crate) mod monitors;
pub(crate) mod performance;
pub(crate) mod resources;
pub(crate) mod rollouts;
pub(crate) mod security;
pub(crate) mod system;
pub(crate) mod tracking;
pub(crate) mod windows;

use mainspring_http::{ApiError, Problem};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

/// What a handler gives back.
pub(crate) type Reply<T> = Result<axum::Json<T>, ApiError>;

/// How every operation fails, for the OpenAPI document.
pub(crate) struct Failures;

impl utoipa::IntoResponses for Failures {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let schema = Ref::from_schema_name(Problem::name());
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let response = ResponseBuilder::new()
            .description("The request failed: RFC 9457 problem details")
            .content("application/problem+json", content)
            .build();
        BTreeMap::from([("default".to_owned(), response.into())])
    }
}
