//! The rows of a deployment's window, for what their sketches cannot tell, and how good they probably are.

use super::monitors::{asked, version, window_of};
use super::{Failures, Reply};
use crate::convert::estimates::{Meant, report, request};
use crate::dto::estimates::{EstimateReport, EstimateRequest};
use crate::dto::monitors::{RowsQuery, WindowQuery};
use crate::extract::{Both, Seg, deployment_name};
use crate::state::NativeState;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use mainspring_core::ErrorKind;
use mainspring_http::{ApiError, Caller, Json as JsonBody};
use mainspring_monitor::estimate::{Reference, Request};
use mainspring_monitor::live::ReadProfile;
use mainspring_monitor::segment::{Labelled, Wanted};
use mainspring_query::QueryJournal;

const ARROW: &str = "application/vnd.apache.arrow.stream";

#[utoipa::path(get, path = "/api/v1/deployments/{name}/rows", operation_id = "getDeploymentRows", tag = "monitors",
    params(("name" = String, Path, description = "Name"), WindowQuery, RowsQuery),
    responses((status = 200, description = "The newest rows that were kept, at most 100,000, as a stream of Arrow in the order \
        in which they came; `mainspring` in the schema's metadata says since when, whether there are older ones in this time, and \
        of how many the payload was not kept", body = Vec<u8>, content_type = "application/vnd.apache.arrow.stream"), Failures))]
pub(crate) async fn get_deployment_rows(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(name): Seg<String>,
    Both(query, label): Both<WindowQuery, RowsQuery>,
) -> Result<Response, ApiError> {
    let auth = s.may(&who, QueryJournal)?;
    let (from, until) = window_of(&query, s.ctx.now())?;
    let segment = asked(&query)?.unwrap_or_default();
    let deployment = deployment_name(&name)?;
    let WindowQuery { variant, version, others, .. } = query;
    let wanted = Wanted { deployment, from, until, variant, version, segment, others };
    let RowsQuery { label, labelled } = label;
    if labelled && label.is_none() {
        let refused = ApiError::new(ErrorKind::InvalidInput, "rows are labelled by a feedback, and none is named");
        return Err(refused.hint("name it: label=churned&labelled=true"));
    }
    let label = label.as_deref().map(|name| Labelled { name, only: labelled });
    let bytes = s.performance.rows(&auth, &wanted, label).await?;
    Ok(([(CONTENT_TYPE, ARROW)], bytes).into_response())
}

#[utoipa::path(post, path = "/api/v1/deployments/{name}/estimate", operation_id = "estimatePerformance",
    tag = "deployments", params(("name" = String, Path, description = "Name")), request_body = EstimateRequest,
    responses((status = 200, description = "Metrics as they probably are, beside those of the labels that have come", body = EstimateReport), Failures))]
pub(crate) async fn estimate_performance(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(name): Seg<String>,
    JsonBody(asked): JsonBody<EstimateRequest>,
) -> Reply<EstimateReport> {
    let auth = s.may(&who, QueryJournal)?;
    let name = deployment_name(&name)?;
    let Meant { current, rows, model, feedback, asked } = request(&name, asked, s.ctx.now())?;
    let reference = match model {
        Some(uri) => {
            let (model, number) = version(&s, &who, &uri).await?;
            Reference::File(s.monitors.reference(&s.may(&who, ReadProfile { model })?, &number).await?)
        }
        None => Reference::Rows(rows),
    };
    let found = s.performance.estimate(&auth, Request { current, reference, feedback, asked }).await?;
    Ok(Json(report(&name, found)))
}
