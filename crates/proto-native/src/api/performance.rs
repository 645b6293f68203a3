//! How good a deployment's predictions were.

use super::{Failures, Reply};
use crate::convert::performance;
use crate::dto::performance::{PerformanceReport, PerformanceRequest};
use crate::extract::{Seg, deployment_name};
use crate::state::NativeState;
use axum::Json;
use axum::extract::State;
use mainspring_http::{Caller, Json as JsonBody};
use mainspring_query::QueryJournal;

#[utoipa::path(post, path = "/api/v1/deployments/{name}/performance", operation_id = "measurePerformance",
    tag = "deployments", params(("name" = String, Path, description = "Name")), request_body = PerformanceRequest,
    responses((status = 200, description = "Metrics with intervals, from the labels that came", body = PerformanceReport), Failures))]
pub(crate) async fn measure_performance(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(name): Seg<String>,
    JsonBody(asked): JsonBody<PerformanceRequest>,
) -> Reply<PerformanceReport> {
    let auth = s.may(&who, QueryJournal)?;
    let asked = performance::request(deployment_name(&name)?, asked, s.ctx.now())?;
    let found = s.performance.report(&auth, &asked).await?;
    Ok(Json(performance::report(&asked, found)))
}
