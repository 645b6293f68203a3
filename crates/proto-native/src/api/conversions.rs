//! Conversions to ONNX and optimisations, as jobs.

use super::{Failures, Reply};
use crate::convert::conversions::order;
use crate::dto::conversions::{ConversionList, ConversionRequest, ConversionView};
use crate::extract::Seg;
use crate::state::NativeState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::StatusCode;
use mainspring_convert::{Convert, ReadConversion};
use mainspring_http::{ApiError, Caller, body::parse, read_body};

#[utoipa::path(post, path = "/api/v1/conversions", operation_id = "startConversion", tag = "models",
    request_body = ConversionRequest,
    responses((status = 200, description = "The job, which has been started", body = ConversionView), Failures))]
pub(crate) async fn start_conversion(
    State(s): State<NativeState>,
    Caller(who): Caller,
    body: Body,
) -> Reply<ConversionView> {
    let request: ConversionRequest = parse(&read_body(body, s.max_body).await?)?;
    let auth = s.may(&who, Convert { model: request.model.clone() })?;
    Ok(Json(s.conversions.start(&auth, order(request)?).await?.into()))
}

#[utoipa::path(get, path = "/api/v1/conversions", operation_id = "listConversions", tag = "models",
    responses((status = 200, description = "Jobs of all replicas, newest first", body = ConversionList), Failures))]
pub(crate) async fn list_conversions(State(s): State<NativeState>, Caller(who): Caller) -> Reply<ConversionList> {
    let jobs = s.conversions.jobs(&s.may(&who, ReadConversion)?).await?;
    Ok(Json(ConversionList { conversions: jobs.into_iter().map(Into::into).collect() }))
}

#[utoipa::path(get, path = "/api/v1/conversions/{id}", operation_id = "getConversion", tag = "models",
    params(("id" = String, Path, description = "Id")),
    responses((status = 200, description = "The job as it stands", body = ConversionView), Failures))]
pub(crate) async fn get_conversion(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(id): Seg<String>,
) -> Reply<ConversionView> {
    Ok(Json(s.conversions.job(&s.may(&who, ReadConversion)?, &id).await?.into()))
}

#[utoipa::path(delete, path = "/api/v1/conversions/{id}", operation_id = "cancelConversion", tag = "models",
    params(("id" = String, Path, description = "Id")),
    responses((status = 204, description = "The job stops, if it had not ended"), Failures))]
pub(crate) async fn cancel_conversion(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(id): Seg<String>,
) -> Result<StatusCode, ApiError> {
    let job = s.conversions.job(&s.may(&who, ReadConversion)?, &id).await?;
    s.conversions.cancel(&s.may(&who, Convert { model: job.model })?, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
