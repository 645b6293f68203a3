//! `POST /v1/models/{model}:predict`.

use crate::ClassicState;
use crate::models::{Refused, name};
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use mainspring_core::{ErrorKind, Principal, Protocol};
use mainspring_http::{Caller, Head};
use mainspring_proto_mlflow::scoring::{self, Call, Classic, Door, classic, finish};
use std::sync::Arc;
use std::time::Instant;

/// The name of the signature that every model has; an empty one means it too.
const SIGNATURE: &str = "serving_default";

pub(crate) async fn by_name(
    State(state): State<ClassicState>,
    Caller(who): Caller,
    Path(target): Path<String>,
    request: Request,
) -> Result<Response, Refused> {
    let (model, verb) = verb(&target)?;
    run(&state, &who, (model, None, verb), request).await
}

pub(crate) async fn by_version(
    State(state): State<ClassicState>,
    Caller(who): Caller,
    Path((model, target)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refused> {
    let (version, verb) = verb(&target)?;
    run(&state, &who, (&model, Some(version.to_owned()), verb), request).await
}

/// `iris:predict` is a model and what to do with it.
fn verb(target: &str) -> Result<(&str, &str), Refused> {
    target.rsplit_once(':').ok_or_else(|| {
        Refused::new(ErrorKind::NotFound, format!("{target:?} does not say what to do"))
            .hint("POST to /v1/models/NAME:predict")
    })
}

async fn run(
    state: &ClassicState,
    who: &Arc<Principal>,
    (model, version, verb): (&str, Option<String>, &str),
    request: Request,
) -> Result<Response, Refused> {
    let received = Instant::now();
    match verb {
        "predict" => {}
        "explain" | "classify" | "regress" => {
            let message = format!("{verb:?} is not built: models answer :predict");
            return Err(Refused::new(ErrorKind::Unimplemented, message));
        }
        other => {
            return Err(Refused::new(ErrorKind::NotFound, format!("there is no {other:?}; models answer :predict")));
        }
    }
    let (parts, body) = request.into_parts();
    let door = Door::new(Protocol::KserveV1, received, &parts.headers).map_err(Refused::scoring)?.version(version);
    let call = Call::open(&state.scoring, who, name(model)?, door, &Head(&parts.headers)).map_err(Refused::scoring)?;
    let parsed = match read(&call, &parts.headers, body).await {
        Ok(parsed) => parsed,
        Err(why) => return Err(Refused::scoring(call.refuse(why))),
    };
    let answer = call.infer(parsed.input.tensors, parsed.input.params, None).await.map_err(Refused::scoring)?;
    let body = classic(&answer.outputs, &answer.contract, parsed.columns);
    let mut response = Response::new(axum::body::Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    finish(response, answer).await.map_err(Refused::scoring)
}

async fn read(call: &Call, headers: &http::HeaderMap, body: axum::body::Body) -> Result<Classic, scoring::Refused> {
    let media = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("application/json");
    // Clients of these protocols often send JSON under another name, or under none; only what says that
    // it is an envelope is something else.
    if media.to_ascii_lowercase().starts_with("application/cloudevents") {
        let message = "CloudEvents are not taken; send the data alone, as application/json";
        return Err(scoring::Refused::media_type(message.to_owned()));
    }
    let parsed = call.read(body, |bytes, contract| Classic::read(bytes, contract)).await?;
    match &parsed.signature_name {
        Some(other) if !other.is_empty() && other != SIGNATURE => {
            let message = format!("there is no signature {other:?}; there is {SIGNATURE:?}");
            Err(scoring::Refused::new(ErrorKind::InvalidInput, message))
        }
        _ => Ok(parsed),
    }
}
