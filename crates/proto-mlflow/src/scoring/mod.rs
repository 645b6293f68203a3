//! MLflow's scoring protocol: `GET /ping`, `/health`, `/version` and `POST /invocations`, for every
//! deployment under `/deployments/{name}` and at the root for the default one.
//!
//! The format is that of `mlflow models serve` (`mlflow/pyfunc/scoring_server`): JSON with exactly
//! one of `dataframe_split`, `dataframe_records`, `instances` and `inputs`, or CSV; answers are
//! `{"predictions": …}` in the shape that MLflow's own server gives for that model. A v2 inference
//! body is taken as well and answered as such, and so is what SageMaker's clients send: JSON lines, NumPy's
//! arrays, bare lists, and CSV without a header; an answer comes in one of these forms when `Accept` names it.
//!
//! Other protocols whose requests are rows of JSON or CSV stand on [`Call`], [`Body`] and the forms of
//! answers here.

mod accept;
mod bare;
mod body;
mod call;
mod classic;
mod csv;
mod error;
mod input;
mod output;
mod rows;
mod tensor;

#[cfg(test)]
mod tests;

pub use accept::{Accepted, written};
pub use body::{Body, Media};
pub use call::{Call, Door, VARIANT, finish};
pub use classic::{Classic, classic};
pub use error::{InputError, Refused, render_error};
pub use input::Input;

use crate::MLFLOW_VERSION;
use axum::Router;
use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use mainspring_core::{ErrorKind, Failure, Gate, Name, Principal, Protocol};
use mainspring_http::{Caller, Head};
use mainspring_serving::{Answer, Describe, ServeError, Serving, VariantName};
use mainspring_wire::{Classes, InferBody, Reply, Selection};
use std::sync::Arc;
use std::time::Instant;

const HEADER_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// What scoring needs from the rest of the server.
#[derive(Clone)]
pub struct ScoringState {
    serving: Serving,
    gate: Gate,
    max_body: usize,
}

impl std::fmt::Debug for ScoringState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScoringState").field("max_body", &self.max_body).finish_non_exhaustive()
    }
}

impl ScoringState {
    /// State over these domains; `max_body` is the largest request, bytes.
    pub fn new(serving: Serving, gate: Gate, max_body: usize) -> Self {
        Self { serving, gate, max_body }
    }
}

/// Scoring of every deployment, under `/deployments/{name}`, for callers that a guard has
/// authenticated.
pub fn routes(state: ScoringState) -> Router {
    Router::new()
        .route("/deployments/{name}/invocations", post(invocations))
        .route("/deployments/{name}/ping", get(ping))
        .route("/deployments/{name}/health", get(ping))
        .route("/deployments/{name}/version", get(version))
        .with_state(state)
}

/// Scoring of the default deployment at the root: `/invocations` and `/ping`. MLflow's clients can
/// only name a host and a port. (`/health` and `/version` at the root belong to the tracking API, whose
/// answers serve scoring clients too.)
pub fn root(state: ScoringState) -> Router {
    Router::new().route("/invocations", post(invocations)).route("/ping", get(root_ping)).with_state(state)
}

async fn version() -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], MLFLOW_VERSION).into_response()
}

fn caller(extensions: &http::Extensions) -> Result<Arc<Principal>, Refused> {
    Caller::of(extensions).ok_or_else(|| Refused::new(ErrorKind::Unauthenticated, "nobody vouches for this request"))
}

/// The deployment in the path, or the default one.
async fn deployment(state: &ScoringState, parts: &mut http::request::Parts, who: &Principal) -> Result<Name, Refused> {
    let params = RawPathParams::from_request_parts(parts, state)
        .await
        .map_err(|e| Refused::new(ErrorKind::InvalidInput, e.to_string()))?;
    match params.iter().find(|(n, _)| *n == "name") {
        Some((_, name)) => Name::new(name)
            .map_err(|e| Refused::new(ErrorKind::NotFound, format!("there is no deployment {name:?}: {e}"))),
        None => state.serving.default_deployment(&who.tenant).ok_or_else(|| {
            Refused::new(ErrorKind::NotFound, "no deployment is the default one")
                .hint("set 'default: true' in a Deployment, or send to /deployments/NAME/invocations")
        }),
    }
}

/// 200 and an empty line when the deployment answers, as MLflow; 404 when there is none.
async fn ping(State(state): State<ScoringState>, request: Request) -> Result<Response, Refused> {
    let ready = readiness(&state, request).await?;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], "\n").into_response())
}

/// For MLflow and SageMaker, which look at the status, and TorchServe, which looks at the body.
async fn root_ping(State(state): State<ScoringState>, request: Request) -> Result<Response, Refused> {
    let ready = readiness(&state, request).await?;
    let (status, body) = if ready {
        (StatusCode::OK, "{\"status\": \"Healthy\"}")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "{\"status\": \"Unhealthy\"}")
    };
    Ok((status, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response())
}

async fn readiness(state: &ScoringState, request: Request) -> Result<bool, Refused> {
    let (mut parts, _) = request.into_parts();
    let who = caller(&parts.extensions)?;
    let name = deployment(state, &mut parts, &who).await?;
    let auth = state.gate.authorize(&who, Describe { deployment: Some(name) })?;
    match state.serving.ready(&auth, None) {
        Ok(()) => Ok(true),
        Err(ServeError::NotReady { .. }) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

async fn invocations(State(state): State<ScoringState>, request: Request) -> Result<Response, Refused> {
    let received = Instant::now();
    let (mut parts, body) = request.into_parts();
    let who = caller(&parts.extensions)?;
    let name = deployment(&state, &mut parts, &who).await?;
    let door = Door::new(Protocol::MlflowScoring, received, &parts.headers)?;
    let call = Call::open(&state, &who, name, door, &Head(&parts.headers))?;
    match read(&call, &parts.headers, body).await {
        Ok((parsed, accepted)) => answer(call, parsed, accepted).await,
        Err(why) => Err(call.refuse(why)),
    }
}

async fn read(call: &Call, headers: &HeaderMap, body: axum::body::Body) -> Result<(Body, Accepted), Refused> {
    let media = media(headers)?;
    let header = header_length(headers)?;
    // As MLflow, which answers with JSON whatever is asked for.
    let accepted = Accepted::of(headers).unwrap_or(Accepted::Json);
    let parsed = call.read(body, move |bytes, contract| Body::read(media, header, bytes, contract)).await?;
    Ok((parsed, accepted))
}

/// Runs what was read, and answers in the form that is asked for.
///
/// # Errors
/// [`Refused`].
pub async fn answer(call: Call, parsed: Body, accepted: Accepted) -> Result<Response, Refused> {
    if matches!(&parsed, Body::Scoring(input) if input.no_rows()) {
        // As MLflow; there is nothing to run and nothing to record.
        let json = HeaderValue::from_static("application/json");
        return Ok(([(CONTENT_TYPE, json)], "{\"predictions\": []}").into_response());
    }
    match parsed {
        Body::Scoring(input) => {
            let answer = call.infer(input.tensors, input.params, None).await?;
            predictions(answer, accepted, (input.frame, input.bare)).await
        }
        Body::V2(mut body) => {
            let (inputs, params) = (std::mem::take(&mut body.inputs), std::mem::take(&mut body.params));
            let answer = call.infer(inputs, params, body.id.clone()).await?;
            v2(answer, &body).await
        }
    }
}

/// The content type, by MLflow's rules: UTF-8 only, and no parameter but `charset`; CSV may say whether it has a
/// `header` (RFC 4180).
fn media(headers: &HeaderMap) -> Result<Media, Refused> {
    let given = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let mut pieces = given.split(';').map(str::trim);
    let mime = pieces.next().unwrap_or("").to_ascii_lowercase();
    let mut csv = Media::CsvEither;
    for parameter in pieces.filter(|p| !p.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if mime == "text/csv" && name.trim().eq_ignore_ascii_case("header") {
            csv = match value.trim().trim_matches('"').to_ascii_lowercase().as_str() {
                "present" => Media::Csv,
                "absent" => Media::CsvPlain,
                _ => return Err(Refused::media_type(format!("the header is {value:?}; it is present or absent"))),
            };
            continue;
        }
        if !name.eq_ignore_ascii_case("charset") {
            return Err(Refused::media_type(format!(
                "the content type has the parameter {name:?}; only charset is known"
            )));
        }
        if !value.trim_matches('"').eq_ignore_ascii_case("utf-8") {
            return Err(Refused::media_type(format!("the charset is {value}; only UTF-8 is understood")));
        }
    }
    match mime.as_str() {
        "application/json" => Ok(Media::JsonRows),
        "text/csv" => Ok(csv),
        "application/jsonlines" | "application/x-jsonlines" => Ok(Media::JsonLines),
        "application/x-npy" => Ok(Media::Npy),
        _ => Err(Refused::media_type(format!(
            "the content type is {given:?}; application/json, text/csv, application/jsonlines and application/x-npy are understood"
        ))),
    }
}

/// Bytes of the JSON part of a v2 body with binary data.
fn header_length(headers: &HeaderMap) -> Result<Option<usize>, Refused> {
    let Some(value) = headers.get(&HEADER_LENGTH) else { return Ok(None) };
    let text = value.to_str().unwrap_or("?").trim();
    let length = text.parse().map_err(|_| mainspring_wire::BodyError::HeaderValue { given: text.to_owned() })?;
    Ok(Some(length))
}

async fn predictions(answer: Answer, accepted: Accepted, (frame, bare): (bool, bool)) -> Result<Response, Refused> {
    let body = if bare {
        let mut out = Vec::new();
        output::bare(&mut out, &answer.outputs, &answer.contract, frame);
        Ok(("application/json", out))
    } else {
        written(&answer.outputs, &answer.contract, accepted, frame)
    };
    let (media, body) = match body {
        Ok(written) => written,
        Err(why) => {
            let variant = VariantName::of(&answer.target);
            answer.failed(why.kind(), &why.to_string());
            return Err(Refused::from(why).by(&variant));
        }
    };
    let mut response = Response::new(axum::body::Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    finish(response, answer).await
}

async fn v2(answer: Answer, body: &InferBody) -> Result<Response, Refused> {
    let reply = Reply {
        model: &answer.target.deployment,
        version: &answer.target.version,
        id: body.id.as_deref(),
        prediction: Some(answer.id),
        variant: None,
        flags: None,
        outputs: &answer.outputs,
        classes: Classes { batched: answer.contract.max_batch_rows > 0, labels: &answer.contract.labels },
    };
    let selection = Selection { wanted: body.outputs.as_deref(), binary: body.binary_output };
    let rendered = match mainspring_wire::render(reply, selection) {
        Ok(rendered) => rendered,
        Err(why) => {
            let variant = VariantName::of(&answer.target);
            answer.failed(why.kind(), &why.to_string());
            return Err(Refused::from(why).by(&variant));
        }
    };
    let json = HeaderValue::from(rendered.json.len());
    let binary = rendered.binary;
    let mut response = Response::new(axum::body::Body::from(rendered.joined()));
    let headers = response.headers_mut();
    if binary {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        headers.insert(HEADER_LENGTH, json);
    } else {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    finish(response, answer).await
}
