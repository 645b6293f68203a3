//! Events come in.

use crate::LineageState;
use crate::event::{Wrong, event};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use mainspring_core::ErrorKind;
use mainspring_http::body::parse;
use mainspring_http::{ApiError, Caller, Coding, read_body};
use mainspring_lineage::{Event, SendLineage};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::fmt;

/// The most events of one batch.
const MOST: usize = 10_000;
/// The longest that a reason in the answer to a batch is, characters: it repeats what is wrong.
const REASON: usize = 500;

/// The text of a body, unpacked. A body that is small when packed may be large afterwards: the limit holds for both.
async fn text(headers: &HeaderMap, body: Body, limit: usize) -> Result<String, ApiError> {
    let mut bytes = read_body(body, limit).await?;
    if let Some(coding) = Coding::of_request(headers)? {
        let read = tokio::task::spawn_blocking(move || coding.decode(&bytes, limit)).await;
        bytes = read.map_err(|e| ApiError::new(ErrorKind::Internal, format!("the body was not unpacked: {e}")))??;
    }
    String::from_utf8(bytes.into())
        .map_err(|e| ApiError::new(ErrorKind::InvalidInput, format!("the body is not UTF-8: {}", e.utf8_error())))
}

/// A list that is refused as soon as it has too many elements: what is small in a body is large in the memory.
struct Few(Vec<Box<RawValue>>);

impl<'de> Deserialize<'de> for Few {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(Elements).map(Self)
    }
}

struct Elements;

impl<'de> Visitor<'de> for Elements {
    type Value = Vec<Box<RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MOST} events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(event) = seq.next_element()? {
            if all.len() == MOST {
                return Err(A::Error::custom(format_args!("a batch is at most {MOST} events; send it in parts")));
            }
            all.push(event);
        }
        Ok(all)
    }
}

/// One event. It is taken whether it is new or was sent before.
pub(crate) async fn one(
    State(s): State<LineageState>,
    Caller(who): Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let auth = s.gate.authorize(&who, SendLineage)?;
    let text = text(&headers, body, s.max_body).await?;
    let event = event(&text)?;
    s.lineage.record(&auth, vec![event]).await?;
    Ok(StatusCode::CREATED)
}

#[derive(Serialize)]
struct BatchAnswer {
    status: &'static str,
    summary: Summary,
    failed_events: Vec<Failed>,
}

#[derive(Serialize)]
struct Summary {
    received: usize,
    successful: usize,
    failed: usize,
    retriable: usize,
    non_retriable: usize,
}

#[derive(Serialize)]
struct Failed {
    index: usize,
    reason: String,
    retriable: bool,
}

/// Many events. What is wrong is left out and named; the others are taken.
pub(crate) async fn batch(
    State(s): State<LineageState>,
    Caller(who): Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let auth = s.gate.authorize(&who, SendLineage)?;
    let text = text(&headers, body, s.max_body).await?;
    let Few(given) = parse(text.as_bytes())?;
    let received = given.len();
    let (mut events, mut failed_events): (Vec<Event>, _) = (Vec::with_capacity(received), Vec::new());
    for (index, raw) in given.into_iter().enumerate() {
        match event(raw.get()) {
            Ok(event) => events.push(event),
            Err(Wrong(reason)) => {
                let reason = reason.chars().take(REASON).collect();
                failed_events.push(Failed { index, reason, retriable: false });
            }
        }
    }
    let (successful, failed) = (events.len(), failed_events.len());
    s.lineage.record(&auth, events).await?;
    let status = if failed == 0 { "success" } else { "partial_success" };
    let summary = Summary { received, successful, failed, retriable: 0, non_retriable: failed };
    Ok(Json(BatchAnswer { status, summary, failed_events }).into_response())
}
