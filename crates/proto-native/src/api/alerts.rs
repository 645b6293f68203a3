//! Alerts: what is wrong, who is told, what is silenced, and the budgets of objectives.

use super::{Failures, Reply};
use crate::convert::alerts::alert;
use crate::dto::alerts::{AlertChannelList, AlertList, AlertTest, SilenceList, SilenceRequest, SilenceView, SloList};
use crate::extract::{Params, Seg, page_size};
use crate::state::NativeState;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use mainspring_alert::{Matcher, NewSilence, ReadAlerts, SilenceAlerts, TryChannel};
use mainspring_core::{ErrorKind, Name};
use mainspring_http::{ApiError, Caller, Json as JsonBody};
use mainspring_resource::HumanDuration;
use serde::Deserialize;
use utoipa::IntoParams;

/// How many.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HowMany {
    /// How many at most; 100 when left out.
    limit: Option<u32>,
}

#[utoipa::path(get, path = "/api/v1/alerts", operation_id = "listAlerts", tag = "alerts", params(HowMany),
    responses((status = 200, description = "Those that fire first, then by the last change", body = AlertList), Failures))]
pub(crate) async fn list_alerts(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Params(asked): Params<HowMany>,
) -> Reply<AlertList> {
    let auth = s.may(&who, ReadAlerts)?;
    let (silences, now) = (s.alerts.silences(&auth).await?, s.ctx.now());
    let alerts = s.alerts.list(&auth, page_size(asked.limit, 100)?).await?;
    Ok(Json(AlertList { alerts: alerts.iter().map(|a| alert(a, &silences, now)).collect() }))
}

#[utoipa::path(get, path = "/api/v1/alerts/silences", operation_id = "listSilences", tag = "alerts",
    responses((status = 200, description = "Those that have not ended", body = SilenceList), Failures))]
pub(crate) async fn list_silences(State(s): State<NativeState>, Caller(who): Caller) -> Reply<SilenceList> {
    let silences = s.alerts.silences(&s.may(&who, ReadAlerts)?).await?;
    Ok(Json(SilenceList { silences: silences.iter().map(Into::into).collect() }))
}

#[utoipa::path(post, path = "/api/v1/alerts/silences", operation_id = "silenceAlerts", tag = "alerts",
    request_body = SilenceRequest,
    responses((status = 201, description = "Nobody hears of these alerts for a while", body = SilenceView), Failures))]
pub(crate) async fn silence_alerts(
    State(s): State<NativeState>,
    Caller(who): Caller,
    JsonBody(request): JsonBody<SilenceRequest>,
) -> Result<(StatusCode, Json<SilenceView>), ApiError> {
    let wrong = |message: String| ApiError::new(ErrorKind::InvalidInput, message);
    let matching: Result<Vec<Matcher>, String> = request.matching.iter().map(|m| m.parse()).collect();
    let length: HumanDuration = request.length.parse().map_err(wrong)?;
    let new = NewSilence { matching: matching.map_err(wrong)?, length: length.0, reason: request.reason };
    let silence = s.alerts.silence(&s.may(&who, SilenceAlerts { id: None })?, new).await?;
    Ok((StatusCode::CREATED, Json(SilenceView::from(&silence))))
}

#[utoipa::path(delete, path = "/api/v1/alerts/silences/{id}", operation_id = "endSilence", tag = "alerts",
    params(("id" = String, Path, description = "The silence")),
    responses((status = 204, description = "It has ended"), Failures))]
pub(crate) async fn end_silence(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(id): Seg<String>,
) -> Result<StatusCode, ApiError> {
    s.alerts.end_silence(&s.may(&who, SilenceAlerts { id: Some(id) })?).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(get, path = "/api/v1/alerts/channels", operation_id = "listAlertChannels", tag = "alerts",
    params(HowMany),
    responses((status = 200, description = "Each with its last notices", body = AlertChannelList), Failures))]
pub(crate) async fn list_channels(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Params(asked): Params<HowMany>,
) -> Reply<AlertChannelList> {
    let last = page_size(asked.limit, 20)?;
    let channels = s.alerts.channels(&s.may(&who, ReadAlerts)?, last).await?;
    Ok(Json(AlertChannelList { channels: channels.iter().map(Into::into).collect() }))
}

#[utoipa::path(post, path = "/api/v1/alerts/channels/{name}/test", operation_id = "testAlertChannel", tag = "alerts",
    params(("name" = String, Path, description = "The channel")),
    responses((status = 200, description = "The receiver took a test notice", body = AlertTest), Failures))]
pub(crate) async fn test_channel(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(name): Seg<String>,
) -> Reply<AlertTest> {
    let none = |e| ApiError::new(ErrorKind::NotFound, format!("there is no alert channel {name:?}: {e}"));
    let channel = Name::new(&name).map_err(none)?;
    let notice = s.alerts.try_channel(&s.may(&who, TryChannel { channel })?).await?;
    Ok(Json(AlertTest { id: notice.id.to_string(), title: notice.title() }))
}

#[utoipa::path(get, path = "/api/v1/alerts/rules", operation_id = "getAlertRules", tag = "alerts",
    responses((status = 200, description = "Recording and alert rules for Prometheus", body = String, content_type = "application/yaml"), Failures))]
pub(crate) async fn get_rules(State(s): State<NativeState>, Caller(who): Caller) -> Result<Response, ApiError> {
    let standings = s.alerts.standings(&s.may(&who, ReadAlerts)?);
    let objectives: Vec<_> = standings.into_iter().map(|standing| standing.objective).collect();
    let text = mainspring_alert::slo::rules(&objectives, &s.buckets);
    Ok(([(CONTENT_TYPE, "application/yaml")], text).into_response())
}

#[utoipa::path(get, path = "/api/v1/slos", operation_id = "listSlos", tag = "alerts",
    responses((status = 200, description = "Objectives with their budgets, of all replicas", body = SloList), Failures))]
pub(crate) async fn list_slos(State(s): State<NativeState>, Caller(who): Caller) -> Reply<SloList> {
    let standings = s.alerts.standings(&s.may(&who, ReadAlerts)?);
    Ok(Json(SloList { slos: standings.iter().map(Into::into).collect() }))
}
