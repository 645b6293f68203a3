//! Monitors and what they see; profiles and which version they belong to.

use super::{Failures, Reply};
use crate::convert::monitors::{distribution, explained, point, window_column};
use crate::convert::performance;
use crate::convert::span::{span, wrong};
use crate::dto::monitors::{
    MonitorColumnQuery, MonitorDistribution, MonitorEventQuery, MonitorEvents, MonitorHistory, MonitorHistoryQuery,
    MonitorList, MonitorView, MonitorWhy, ProfileQuery, ProfileState, ProfileView, SaveProfileRequest, WindowProfile,
    WindowQuery,
};
use crate::extract::{Params, Seg, deployment_name, page_size};
use crate::state::NativeState;
use axum::Json;
use axum::extract::State;
use mainspring_core::{ErrorKind, Failure, Name, Principal, Timestamp};
use mainspring_http::{ApiError, Caller, Json as JsonBody};
use mainspring_monitor::live::{ReadMonitors, ReadProfile, SaveProfile, View, WatchError};
use mainspring_monitor::profile::Profile;
use mainspring_monitor::segment::{Segment, Wanted, window};
use mainspring_query::QueryJournal;
use mainspring_registry::ModelUri;
use mainspring_registry::actions::ReadModel;
use mainspring_resource::HumanDuration;
use mainspring_serving::ReadStats;
use std::sync::Arc;

/// Seconds.
const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

fn named(name: &str) -> Result<Name, ApiError> {
    Name::new(name).map_err(|e| ApiError::new(ErrorKind::NotFound, format!("there is no monitor {name:?}: {e}")))
}

fn view(s: &NativeState, who: &Arc<Principal>, name: &str) -> Result<View, ApiError> {
    let name = named(name)?;
    let view = s.monitors.status(&s.may(who, ReadMonitors { monitor: Some(name.clone()) })?);
    view.ok_or_else(|| {
        ApiError::new(ErrorKind::NotFound, format!("there is no monitor {:?}", name.as_str()))
            .hint("declare one: mainspring apply -f, with kind: Monitor")
    })
}

#[utoipa::path(get, path = "/api/v1/monitors", operation_id = "listMonitors", tag = "monitors",
    responses((status = 200, description = "Each in a line, by name", body = MonitorList), Failures))]
pub(crate) async fn list_monitors(State(s): State<NativeState>, Caller(who): Caller) -> Reply<MonitorList> {
    let views = s.monitors.list(&s.may(&who, ReadMonitors { monitor: None })?);
    Ok(Json(MonitorList { monitors: views.iter().map(Into::into).collect() }))
}

#[utoipa::path(get, path = "/api/v1/monitors/{name}", operation_id = "getMonitor", tag = "monitors",
    params(("name" = String, Path, description = "Name")),
    responses((status = 200, description = "What it sees of each column", body = MonitorView), Failures))]
pub(crate) async fn get_monitor(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(name): Seg<String>,
) -> Reply<MonitorView> {
    Ok(Json(MonitorView::from(&view(&s, &who, &name)?)))
}

#[utoipa::path(get, path = "/api/v1/monitors/{name}/distribution", operation_id = "getMonitorDistribution", tag = "monitors",
    params(("name" = String, Path, description = "Name"), MonitorColumnQuery),
    responses((status = 200, description = "A column beside its reference", body = MonitorDistribution), Failures))]
pub(crate) async fn get_monitor_distribution(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(name): Seg<String>,
    Params(query): Params<MonitorColumnQuery>,
) -> Reply<MonitorDistribution> {
    let view = view(&s, &who, &name)?;
    let found = distribution(&view, &query.column, query.segment.as_deref());
    found.map(Json).ok_or_else(|| {
        let message = format!("monitor {name:?} watches no column {:?} there", query.column);
        ApiError::new(ErrorKind::NotFound, message).hint(format!("its columns: GET /api/v1/monitors/{name}"))
    })
}

#[utoipa::path(get, path = "/api/v1/monitors/{name}/events", operation_id = "listMonitorEvents", tag = "monitors",
    params(("name" = String, Path, description = "Name"), MonitorEventQuery),
    responses((status = 200, description = "What it has told, newest first", body = MonitorEvents), Failures))]
pub(crate) async fn list_monitor_events(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(name): Seg<String>,
    Params(query): Params<MonitorEventQuery>,
) -> Reply<MonitorEvents> {
    let auth = s.may(&who, ReadMonitors { monitor: Some(named(&name)?) })?;
    let limit = page_size(query.limit, 100)?;
    let events = s.monitors.transitions(&auth, query.before.unwrap_or(u64::MAX), limit).await?;
    Ok(Json(MonitorEvents { events: events.into_iter().map(Into::into).collect() }))
}

/// How many seconds `last` says.
fn seconds(last: Option<&str>) -> Result<Option<u64>, ApiError> {
    let last = last.map(str::parse::<HumanDuration>).transpose().map_err(|e| wrong(format!("last: {e}")))?;
    Ok(last.map(|last| last.0.as_secs()))
}

/// From when until when the rows of a window are: the last hour where nothing is said.
pub(super) fn window_of(query: &WindowQuery, now: Timestamp) -> Result<(Timestamp, Timestamp), ApiError> {
    span((query.from.as_deref(), query.until.as_deref(), seconds(query.last.as_deref())?), (now, HOUR))
}

#[utoipa::path(get, path = "/api/v1/monitors/{name}/why", operation_id = "getMonitorWhy", tag = "monitors",
    params(("name" = String, Path, description = "Name")),
    responses((status = 200, description = "Why it drifts, and what that does to the answers", body = MonitorWhy), Failures))]
pub(crate) async fn get_monitor_why(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(name): Seg<String>,
) -> Reply<MonitorWhy> {
    Ok(Json(explained(&view(&s, &who, &name)?)))
}

#[utoipa::path(get, path = "/api/v1/monitors/{name}/history", operation_id = "getMonitorHistory", tag = "monitors",
    params(("name" = String, Path, description = "Name"), MonitorHistoryQuery),
    responses((status = 200, description = "How far its columns had moved, look by look", body = MonitorHistory), Failures))]
pub(crate) async fn get_monitor_history(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(name): Seg<String>,
    Params(query): Params<MonitorHistoryQuery>,
) -> Reply<MonitorHistory> {
    view(&s, &who, &name)?;
    let auth = s.may(&who, ReadMonitors { monitor: Some(named(&name)?) })?;
    let (since, _) = span((None, None, seconds(query.last.as_deref())?), (s.ctx.now(), DAY))?;
    let only = query.column.as_deref().map(|column| (column, query.segment.as_deref()));
    let points = s.monitors.history(&auth, since).await?.into_iter().map(|p| point(p, only));
    Ok(Json(MonitorHistory { points: points.filter(|p| only.is_none() || !p.columns.is_empty()).collect() }))
}

/// The version that `churn@champion`, `churn/3` or their `models:/` forms name now.
pub(super) async fn version(s: &NativeState, who: &Arc<Principal>, text: &str) -> Result<(String, String), ApiError> {
    let uri = if text.contains(":/") { text.to_owned() } else { format!("models:/{text}") };
    let uri: ModelUri = uri.parse().map_err(|e: mainspring_registry::RegistryError| ApiError::from(e))?;
    if matches!(uri, ModelUri::Logged { .. } | ModelUri::Run { .. }) {
        let message = format!("{text:?} names no version of a registered model");
        return Err(ApiError::new(ErrorKind::InvalidInput, message).hint("write NAME@alias or NAME/VERSION"));
    }
    let found = s.registry.resolve_as(&s.may(who, ReadModel::on(uri.to_string()))?, &uri).await?;
    Ok((found.name, found.version))
}

async fn shown(s: &NativeState, who: &Arc<Principal>, (model, version): (String, String)) -> Reply<ProfileView> {
    let saved = s.monitors.profile(&s.may(who, ReadProfile { model: model.clone() })?, &version).await?;
    let profile = serde_json::to_value(&*saved.profile)
        .map_err(|e| ApiError::new(ErrorKind::Internal, format!("the profile cannot be shown: {e}")))?;
    let (source, saved_by, saved_at) = (saved.source, saved.saved_by, saved.saved_at.into());
    Ok(Json(ProfileView { model, version, source, saved_by, saved_at, profile }))
}

#[utoipa::path(get, path = "/api/v1/profiles", operation_id = "getProfile", tag = "monitors",
    params(ProfileQuery),
    responses((status = 200, description = "The profile saved with a version", body = ProfileView), Failures))]
pub(crate) async fn get_profile(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Params(query): Params<ProfileQuery>,
) -> Reply<ProfileView> {
    let of = version(&s, &who, &query.model).await?;
    shown(&s, &who, of).await
}

#[utoipa::path(get, path = "/api/v1/profiles/state", operation_id = "getProfileState", tag = "monitors",
    params(ProfileQuery),
    responses((status = 200, description = "Whether a version has a profile, and why not", body = ProfileState), Failures))]
pub(crate) async fn get_profile_state(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Params(query): Params<ProfileQuery>,
) -> Reply<ProfileState> {
    let (model, version) = version(&s, &who, &query.model).await?;
    let auth = s.may(&who, ReadProfile { model: model.clone() })?;
    let save = format!("save one: mainspring profile TRAINING_FILE --version {model}/{version}");
    let state = ProfileState { model, version: version.clone(), ..ProfileState::default() };
    match s.monitors.profile(&auth, &version).await {
        Ok(saved) => Ok(Json(ProfileState {
            source: Some(saved.source),
            saved_by: Some(saved.saved_by),
            saved_at: Some(saved.saved_at.into()),
            ..state
        })),
        Err(error @ (WatchError::NoProfile { .. } | WatchError::Port(_))) => {
            let reading = error.kind() == ErrorKind::Unavailable;
            Ok(Json(ProfileState {
                problem: Some(error.to_string()),
                hint: (!reading).then_some(save),
                reading,
                ..state
            }))
        }
        Err(error) => Err(error.into()),
    }
}

#[utoipa::path(post, path = "/api/v1/profiles", operation_id = "saveProfile", tag = "monitors",
    request_body = SaveProfileRequest,
    responses((status = 200, description = "It is saved, in the place of the one before", body = ProfileView), Failures))]
pub(crate) async fn save_profile(
    State(s): State<NativeState>,
    Caller(who): Caller,
    JsonBody(request): JsonBody<SaveProfileRequest>,
) -> Reply<ProfileView> {
    let (model, version) = version(&s, &who, &request.model).await?;
    let profile: Profile =
        serde_json::from_value(request.profile).map_err(|e| ApiError::from(WatchError::Profile(e.to_string())))?;
    let auth = s.may(&who, SaveProfile { model: model.clone() })?;
    s.monitors.save_profile(&auth, &version, &profile).await?;
    shown(&s, &who, (model, version)).await
}

#[utoipa::path(get, path = "/api/v1/deployments/{name}/profile", operation_id = "getDeploymentProfile", tag = "monitors",
    params(("name" = String, Path, description = "Name"), WindowQuery),
    responses((status = 200, description = "What its rows looked like, of all that this server answered", body = WindowProfile), Failures))]
pub(crate) async fn get_deployment_profile(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(name): Seg<String>,
    Params(query): Params<WindowQuery>,
) -> Reply<WindowProfile> {
    let name = deployment_name(&name)?;
    let auth = s.may(&who, ReadStats { deployment: Some(name.clone()) })?;
    let (since, until) = window_of(&query, s.ctx.now())?;
    if let Some(segment) = asked(&query)? {
        return of_segment(&s, &who, (name, segment), (since, until), query).await;
    }
    let (tiles, tenant, of) = (s.journal.tiles().clone(), auth.tenant().clone(), name.clone());
    s.journal.flush().await?;
    // Older columns are in files.
    let windows = tokio::task::spawn_blocking(move || tiles.windows(&tenant, of.as_str(), since, until))
        .await
        .map_err(|e| ApiError::new(ErrorKind::Internal, format!("reading the tiles broke off: {e}")))?;
    let fits = |w: &&mainspring_journal::Window| {
        query.variant.as_ref().is_none_or(|v| *v == w.variant) && query.version.as_ref().is_none_or(|v| *v == w.version)
    };
    let mut whole = mainspring_journal::Tile::default();
    windows.iter().filter(fits).for_each(|w| whole.merge(&w.tile));
    Ok(Json(WindowProfile {
        deployment: name.to_string(),
        since: since.into(),
        until: until.into(),
        requests: Some(whole.requests.requests),
        rows: whole.requests.rows,
        partial: false,
        columns: whole.columns.into_iter().map(|(name, column)| window_column(name, &column)).collect(),
    }))
}

/// The segment that is asked for, if one is.
pub(super) fn asked(query: &WindowQuery) -> Result<Option<Segment>, ApiError> {
    let wrong = |message: String| {
        ApiError::new(ErrorKind::InvalidInput, message).hint("write columns with their values: {\"in.plan\": \"gold\"}")
    };
    let segment = query.segment.as_deref().map(serde_json::from_str).transpose();
    let segment = segment.map_err(|e| wrong(format!("segment: {e}")))?.map(performance::segment);
    let segment = segment.filter(|segment| !segment.is_all());
    if query.others && segment.is_none() {
        return Err(wrong("others is of a segment, and there is none".to_owned()));
    }
    Ok(segment)
}

/// Of a segment no tiles are kept: its rows are read.
async fn of_segment(
    s: &NativeState,
    who: &Arc<Principal>,
    (deployment, segment): (Name, Segment),
    (from, until): (Timestamp, Timestamp),
    query: WindowQuery,
) -> Reply<WindowProfile> {
    let auth = s.may(who, QueryJournal)?;
    let WindowQuery { variant, version, others, .. } = query;
    let wanted = Wanted { deployment, from, until, variant, version, segment, others };
    let found = window(&s.query, &auth, &wanted).await?;
    let apart = |name: &str| wanted.segment.columns().any(|column| column == name);
    let columns = found.tile.columns.into_iter().filter(|(name, _)| !apart(name));
    Ok(Json(WindowProfile {
        deployment: wanted.deployment.to_string(),
        since: found.since.into(),
        until: until.into(),
        requests: None,
        rows: found.rows,
        partial: found.since > from,
        columns: columns.map(|(name, column)| window_column(name, &column)).collect(),
    }))
}
