//! Events come in.

use crate::LineageState;
use crate::event::{Wrong, event};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use flate2::read::GzDecoder;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, StatusCode};
use mainspring_core::ErrorKind;
use mainspring_http::body::parse;
use mainspring_http::{ApiError, BodyError, Caller, read_body};
use mainspring_lineage::{Event, SendLineage};
use serde::Serialize;
use serde_json::value::RawValue;
use std::io::Read;

/// The text of a body, unpacked. A body that is small when packed may be large afterwards: the limit holds for both.
async fn text(headers: &HeaderMap, body: Body, limit: usize) -> Result<String, ApiError> {
    let bytes = read_body(body, limit).await?;
    let packed = headers.get(CONTENT_ENCODING).map(|v| v.to_str().unwrap_or_default().to_ascii_lowercase());
    let bytes = match packed.as_deref() {
        None | Some("" | "identity") => bytes.to_vec(),
        Some("gzip" | "x-gzip") => unpack(bytes, limit).await?,
        Some(other) => {
            let message = format!("Content-Encoding is {other:?}; events come plain or as gzip");
            return Err(ApiError::new(ErrorKind::InvalidInput, message));
        }
    };
    String::from_utf8(bytes)
        .map_err(|e| ApiError::new(ErrorKind::InvalidInput, format!("the body is not UTF-8: {}", e.utf8_error())))
}

async fn unpack(bytes: bytes::Bytes, limit: usize) -> Result<Vec<u8>, ApiError> {
    let wrong = |what: String| ApiError::new(ErrorKind::InvalidInput, format!("the body is no gzip: {what}"));
    let read = tokio::task::spawn_blocking(move || {
        let mut out = Vec::new();
        GzDecoder::new(&*bytes).take(limit as u64 + 1).read_to_end(&mut out).map(|_| out)
    });
    let out = read.await.map_err(|e| wrong(e.to_string()))?.map_err(|e| wrong(e.to_string()))?;
    if out.len() > limit { Err(BodyError::TooLarge { limit }.into()) } else { Ok(out) }
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
    let given: Vec<Box<RawValue>> = parse(text.as_bytes())?;
    let received = given.len();
    let (mut events, mut failed_events): (Vec<Event>, _) = (Vec::with_capacity(received), Vec::new());
    for (index, raw) in given.into_iter().enumerate() {
        match event(raw.get()) {
            Ok(event) => events.push(event),
            Err(Wrong(reason)) => failed_events.push(Failed { index, reason, retriable: false }),
        }
    }
    let (successful, failed) = (events.len(), failed_events.len());
    s.lineage.record(&auth, events).await?;
    let status = if failed == 0 { "success" } else { "partial_success" };
    let summary = Summary { received, successful, failed, retriable: 0, non_retriable: failed };
    Ok(Json(BatchAnswer { status, summary, failed_events }).into_response())
}
