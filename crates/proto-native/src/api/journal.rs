//! Feedback, queries and the state of the journal.

use super::{Failures, Reply};
use crate::dto::journal::{
    FeedbackAnswer, FeedbackBatch, FeedbackItem, FeedbackRequest, FeedbackValueDto, JournalView, QueryAnswer,
    QueryColumn, QueryRequest,
};
use crate::state::NativeState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use mainspring_core::event::{About, Feedback, FeedbackValue};
use mainspring_core::{Action, Effect, ErrorKind, EventId, Resource, Tenant};
use mainspring_http::{ApiError, Caller, Json as JsonBody, body::parse, read_body};
use mainspring_journal::{Accepted, SendFeedback};
use mainspring_query::QueryJournal;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::time::Instant;

/// Pieces of feedback in one request at most.
const MAX_FEEDBACK: usize = 10_000;

/// Look at the state of the journal.
#[derive(Debug, Clone, Copy)]
struct ReadJournal;

impl Action for ReadJournal {
    const NAME: &'static str = "journal.read";
    const EFFECT: Effect = Effect::Read;

    fn resource(&self) -> Resource {
        Resource { kind: "journal", name: "*".to_owned() }
    }
}

/// Tells one piece from many, so that an error names the field at fault in the form that was sent.
#[derive(Deserialize)]
struct Probe {
    feedback: Option<IgnoredAny>,
}

fn items(bytes: &[u8]) -> Result<Vec<FeedbackItem>, ApiError> {
    let many = parse::<Probe>(bytes)?.feedback.is_some();
    let items = if many { parse::<FeedbackBatch>(bytes)?.feedback } else { vec![parse::<FeedbackItem>(bytes)?] };
    if items.len() > MAX_FEEDBACK {
        let message = format!("{} pieces of feedback; at most {MAX_FEEDBACK} are taken at once", items.len());
        return Err(ApiError::new(ErrorKind::TooLarge, message));
    }
    Ok(items)
}

fn wrong(index: usize, what: impl std::fmt::Display) -> ApiError {
    ApiError::new(ErrorKind::InvalidInput, format!("feedback[{index}]: {what}"))
}

fn id(index: usize, field: &str, text: &str) -> Result<EventId, ApiError> {
    text.parse().map_err(|e| wrong(index, format!("{field} {text:?} is no id: {e}")))
}

fn feedback(s: &NativeState, tenant: &Tenant, index: usize, item: FeedbackItem) -> Result<Feedback, ApiError> {
    let about = match (item.prediction_id, item.deployment, item.id) {
        (Some(text), None, None) => About::Prediction(id(index, "predictionId", &text)?),
        (None, Some(deployment), Some(id)) => About::ClientId { deployment, id },
        _ => return Err(wrong(index, "it names its prediction by predictionId, or by deployment and id")),
    };
    let event = match item.event_id {
        Some(text) => id(index, "eventId", &text)?,
        None => s.ctx.event_id(),
    };
    let value = match item.value {
        FeedbackValueDto::Bool(b) => FeedbackValue::Bool(b),
        FeedbackValueDto::Number(n) => FeedbackValue::Number(n),
        FeedbackValueDto::Text(t) => FeedbackValue::Text(t),
    };
    let at = s.ctx.now();
    Ok(Feedback { event, at, tenant: tenant.clone(), about, row: item.row, name: item.name, value })
}

pub(crate) fn view(s: &NativeState) -> JournalView {
    let stats = s.journal.stats();
    let recovery = s.journal.recovery();
    let cut = &recovery.cut;
    let bytes: u64 = cut.iter().map(|c| c.bytes).sum();
    JournalView {
        appended: stats.appended,
        payloads_dropped: stats.payloads_dropped,
        dropped: stats.events_dropped + stats.rows_lost,
        feedback: stats.feedback,
        segments: stats.segments_sealed,
        bytes: stats.bytes,
        degraded: stats.degraded,
        last_error: stats.last_error,
        lost: recovery.lost,
        recovered: (!cut.is_empty())
            .then(|| format!("{bytes} bytes of torn tail were cut from {} segments", cut.len())),
    }
}

#[utoipa::path(post, path = "/api/v1/feedback", operation_id = "sendFeedback", tag = "journal",
    request_body = FeedbackRequest,
    responses((status = 200, description = "What became of the feedback", body = FeedbackAnswer), Failures))]
pub(crate) async fn send_feedback(
    State(s): State<NativeState>,
    Caller(who): Caller,
    body: Body,
) -> Reply<FeedbackAnswer> {
    let auth = s.may(&who, SendFeedback)?;
    let bytes = read_body(body, s.max_body).await?;
    let items = items(&bytes)?.into_iter().enumerate();
    let pieces = items.map(|(i, item)| feedback(&s, &who.tenant, i, item)).collect::<Result<Vec<_>, _>>()?;
    let receipts = s.journal.feedback(&auth, pieces).await?;
    let new = || receipts.iter().filter(|r| r.accepted == Accepted::New);
    Ok(Json(FeedbackAnswer {
        accepted: new().count() as u64,
        duplicates: (receipts.len() - new().count()) as u64,
        orphans: new().filter(|r| r.prediction.is_none()).count() as u64,
    }))
}

#[utoipa::path(post, path = "/api/v1/query", operation_id = "queryJournal", tag = "journal",
    request_body = QueryRequest,
    responses((status = 200, description = "The rows", body = QueryAnswer), Failures))]
pub(crate) async fn query_journal(
    State(s): State<NativeState>,
    Caller(who): Caller,
    JsonBody(request): JsonBody<QueryRequest>,
) -> Reply<QueryAnswer> {
    let auth = s.may(&who, QueryJournal)?;
    let began = Instant::now();
    let answer = match request.limit {
        None => s.query.sql(&auth, &request.sql).await?,
        Some(0) => return Err(ApiError::new(ErrorKind::InvalidInput, "limit is 0; it must be at least 1")),
        Some(n) => s.query.sql_limited(&auth, &request.sql, n as usize).await?,
    };
    let columns = answer.columns().into_iter().map(|c| QueryColumn { name: c.name, type_: c.data_type }).collect();
    let took_ms = began.elapsed().as_secs_f64() * 1e3;
    Ok(Json(QueryAnswer { columns, rows: answer.values(), truncated: answer.truncated(), took_ms }))
}

#[utoipa::path(get, path = "/api/v1/journal", operation_id = "getJournal", tag = "journal",
    responses((status = 200, description = "The state of the journal", body = JournalView), Failures))]
pub(crate) async fn get_journal(State(s): State<NativeState>, Caller(who): Caller) -> Reply<JournalView> {
    s.may(&who, ReadJournal)?;
    Ok(Json(view(&s)))
}
