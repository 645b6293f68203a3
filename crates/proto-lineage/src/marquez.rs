//! Lists and single things, as the clients and the web page of Marquez ask for them.

use crate::LineageState;
use crate::shape::{DatasetShape, JobShape, NamespaceShape, RunShape};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use mainspring_core::{Authorized, ErrorKind, Principal, Timestamp};
use mainspring_http::{ApiError, Caller};
use mainspring_lineage::{Between, LineageError, ReadLineage, ThingKind};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The most things of one page.
const MOST: u32 = 1_000;

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Paging {
    limit: Option<u32>,
    offset: Option<u32>,
}

impl Paging {
    fn page(&self) -> Result<(u32, u32), ApiError> {
        match self.limit.unwrap_or(100) {
            n if n <= MOST => Ok((n, self.offset.unwrap_or(0))),
            n => Err(ApiError::new(ErrorKind::InvalidInput, format!("limit is {n}; it must be at most {MOST}"))),
        }
    }
}

pub(crate) type Asked<T> = Result<Query<T>, QueryRejection>;

pub(crate) fn asked<T>(query: Asked<T>) -> Result<T, ApiError> {
    query.map(|q| q.0).map_err(|e| ApiError::new(ErrorKind::InvalidInput, e.body_text()))
}

pub(crate) fn may(s: &LineageState, who: &Arc<Principal>) -> Result<Authorized<ReadLineage>, ApiError> {
    Ok(s.gate.authorize(who, ReadLineage)?)
}

#[derive(Serialize)]
pub(crate) struct Namespaces {
    namespaces: Vec<NamespaceShape>,
}

pub(crate) async fn namespaces(
    State(s): State<LineageState>,
    Caller(who): Caller,
    query: Asked<Paging>,
) -> Result<Json<Namespaces>, ApiError> {
    let auth = may(&s, &who)?;
    let (limit, offset) = asked(query)?.page()?;
    let all = s.lineage.namespaces(&auth).await?.into_iter();
    let part = all.skip(offset as usize).take(limit as usize);
    Ok(Json(Namespaces { namespaces: part.map(NamespaceShape::new).collect() }))
}

pub(crate) async fn namespace(
    State(s): State<LineageState>,
    Caller(who): Caller,
    Path(name): Path<String>,
) -> Result<Json<NamespaceShape>, ApiError> {
    let auth = may(&s, &who)?;
    let found = s.lineage.namespaces(&auth).await?.into_iter().find(|(n, ..)| *n == name);
    let found = found.ok_or(LineageError::NotFound(name))?;
    Ok(Json(NamespaceShape::new(found)))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Jobs {
    jobs: Vec<JobShape>,
    total_count: u64,
}

pub(crate) async fn jobs(
    State(s): State<LineageState>,
    Caller(who): Caller,
    Path(namespace): Path<String>,
    query: Asked<Paging>,
) -> Result<Json<Jobs>, ApiError> {
    let auth = may(&s, &who)?;
    let page = s.lineage.things(&auth, (ThingKind::Job, &namespace), asked(query)?.page()?).await?;
    Ok(Json(Jobs { jobs: page.items.into_iter().map(Into::into).collect(), total_count: page.total }))
}

pub(crate) async fn job(
    State(s): State<LineageState>,
    Caller(who): Caller,
    Path((namespace, name)): Path<(String, String)>,
) -> Result<Json<JobShape>, ApiError> {
    let auth = may(&s, &who)?;
    Ok(Json(s.lineage.thing(&auth, (ThingKind::Job, &namespace, &name)).await?.into()))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Datasets {
    datasets: Vec<DatasetShape>,
    total_count: u64,
}

pub(crate) async fn datasets(
    State(s): State<LineageState>,
    Caller(who): Caller,
    Path(namespace): Path<String>,
    query: Asked<Paging>,
) -> Result<Json<Datasets>, ApiError> {
    let auth = may(&s, &who)?;
    let page = s.lineage.things(&auth, (ThingKind::Dataset, &namespace), asked(query)?.page()?).await?;
    Ok(Json(Datasets { datasets: page.items.into_iter().map(Into::into).collect(), total_count: page.total }))
}

pub(crate) async fn dataset(
    State(s): State<LineageState>,
    Caller(who): Caller,
    Path((namespace, name)): Path<(String, String)>,
) -> Result<Json<DatasetShape>, ApiError> {
    let auth = may(&s, &who)?;
    Ok(Json(s.lineage.thing(&auth, (ThingKind::Dataset, &namespace, &name)).await?.into()))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Runs {
    runs: Vec<RunShape>,
    total_count: u64,
}

pub(crate) async fn runs(
    State(s): State<LineageState>,
    Caller(who): Caller,
    Path((namespace, name)): Path<(String, String)>,
    query: Asked<Paging>,
) -> Result<Json<Runs>, ApiError> {
    let auth = may(&s, &who)?;
    let page = s.lineage.runs(&auth, (&namespace, &name), asked(query)?.page()?).await?;
    Ok(Json(Runs { runs: page.items.into_iter().map(Into::into).collect(), total_count: page.total }))
}

pub(crate) async fn run(
    State(s): State<LineageState>,
    Caller(who): Caller,
    Path(id): Path<String>,
) -> Result<Json<RunShape>, ApiError> {
    let auth = may(&s, &who)?;
    Ok(Json(s.lineage.run(&auth, &id.to_ascii_lowercase()).await?.into()))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventQuery {
    before: Option<String>,
    after: Option<String>,
    sort_direction: Option<String>,
    limit: Option<u32>,
    offset: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Events {
    events: Vec<Box<RawValue>>,
    total_count: u64,
}

fn moment(given: Option<&str>, name: &str, otherwise: Timestamp) -> Result<Timestamp, ApiError> {
    let Some(text) = given.filter(|t| !t.is_empty()) else { return Ok(otherwise) };
    let wrong = || {
        let message = format!("{name} is {text:?}; it must be a time like 2026-01-31T12:00:00Z");
        ApiError::new(ErrorKind::InvalidInput, message)
    };
    // A plus that was not escaped comes as a space.
    let parsed = OffsetDateTime::parse(&text.replace(' ', "+"), &Rfc3339).map_err(|_| wrong())?;
    i64::try_from(parsed.unix_timestamp_nanos().div_euclid(1_000)).map(Timestamp).map_err(|_| wrong())
}

pub(crate) async fn events(
    State(s): State<LineageState>,
    Caller(who): Caller,
    query: Asked<EventQuery>,
) -> Result<Json<Events>, ApiError> {
    let auth = may(&s, &who)?;
    let query = asked(query)?;
    let ascending = match query.sort_direction.as_deref().map(str::to_ascii_lowercase).as_deref() {
        None | Some("desc") => false,
        Some("asc") => true,
        Some(other) => {
            let message = format!("sortDirection is {other:?}; it must be asc or desc");
            return Err(ApiError::new(ErrorKind::InvalidInput, message));
        }
    };
    let between = Between {
        after: moment(query.after.as_deref(), "after", Timestamp(i64::MIN))?,
        before: moment(query.before.as_deref(), "before", Timestamp(i64::MAX))?,
        ascending,
    };
    let page = Paging { limit: query.limit, offset: query.offset }.page()?;
    let found = s.lineage.events(&auth, between, page).await?;
    let events = found.items.into_iter().filter_map(|e| RawValue::from_string(e.body).ok()).collect();
    Ok(Json(Events { events, total_count: found.total }))
}
