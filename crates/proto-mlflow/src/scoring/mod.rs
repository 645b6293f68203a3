//! MLflow's scoring protocol: `GET /ping`, `/health`, `/version` and `POST /invocations`, for every
//! deployment under `/deployments/{name}` and at the root for the default one.
//!
//! The format is that of `mlflow models serve` (`mlflow/pyfunc/scoring_server`): JSON with exactly
//! one of `dataframe_split`, `dataframe_records`, `instances` and `inputs`, or CSV; answers are
//! `{"predictions": …}` in the shape that MLflow's own server gives for that model. A v2 inference
//! body is taken as well and answered as such.

mod body;
mod csv;
mod error;
mod input;
mod output;
mod tensor;

#[cfg(test)]
mod tests;

pub use body::{Body, Media};
pub use error::{InputError, render_error};
pub use input::Input;

use crate::MLFLOW_VERSION;
use axum::Router;
use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use error::Refused;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use mainspring_core::{Authorized, ErrorKind, Failure, Gate, Name, Principal, Protocol};
use mainspring_http::{Caller, read_body};
use mainspring_serving::{Answer, Contract, Describe, GivenParams, Infer, InferRequest, Refusal, ServeError, Serving};
use mainspring_wire::{Classes, InferBody, Reply, Selection};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bodies of at least this many bytes are parsed off the async threads.
const LARGE: usize = 256 << 10;

const HEADER_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");
const PREDICTION_ID: HeaderName = HeaderName::from_static("mainspring-prediction-id");
const VARIANT: HeaderName = HeaderName::from_static("mainspring-variant");
const MODEL_VERSION: HeaderName = HeaderName::from_static("mainspring-model-version");
const TIMEOUT: HeaderName = HeaderName::from_static("mainspring-timeout-ms");

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

/// A scoring request that is allowed.
struct Call {
    state: ScoringState,
    auth: Authorized<Infer>,
    contract: Arc<Contract>,
    received: Instant,
    deadline: Option<Instant>,
}

async fn invocations(State(state): State<ScoringState>, request: Request) -> Result<Response, Refused> {
    let received = Instant::now();
    let (mut parts, body) = request.into_parts();
    let who = caller(&parts.extensions)?;
    let name = deployment(&state, &mut parts, &who).await?;
    let deadline = timeout(&parts.headers)?.and_then(|limit| received.checked_add(limit));
    let auth = state.gate.authorize(&who, Infer { deployment: name })?;
    let contract = state.serving.contract(&auth, None)?;
    let call = Call { state, auth, contract, received, deadline };
    match call.read(&parts.headers, body).await {
        Ok(parsed) => call.answer(parsed).await,
        Err(why) => Err(call.refuse(why)),
    }
}

fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Refused> {
    let Some(value) = headers.get(&TIMEOUT) else { return Ok(None) };
    let ms = value.to_str().ok().and_then(|v| v.trim().parse::<u64>().ok()).filter(|ms| *ms > 0);
    ms.map(|ms| Some(Duration::from_millis(ms))).ok_or_else(|| {
        Refused::new(ErrorKind::InvalidInput, format!("{TIMEOUT} is {value:?}, which is not a number of milliseconds"))
    })
}

/// The content type, by MLflow's rules: UTF-8 only, and no parameter but `charset`.
fn media(headers: &HeaderMap) -> Result<Media, Refused> {
    let given = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let mut pieces = given.split(';').map(str::trim);
    let mime = pieces.next().unwrap_or("").to_ascii_lowercase();
    for parameter in pieces.filter(|p| !p.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
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
        "application/json" => Ok(Media::Json),
        "text/csv" => Ok(Media::Csv),
        _ => Err(Refused::media_type(format!(
            "the content type is {given:?}; application/json and text/csv are understood"
        ))),
    }
}

impl Call {
    async fn read(&self, headers: &HeaderMap, body: axum::body::Body) -> Result<Body, Refused> {
        let media = media(headers)?;
        let header = header_length(headers)?;
        let bytes = read_body(body, self.state.max_body).await?;
        let contract = Arc::clone(&self.contract);
        if bytes.len() < LARGE {
            return Ok(Body::read(media, header, &bytes, &contract)?);
        }
        tokio::task::spawn_blocking(move || Body::read(media, header, &bytes, &contract))
            .await
            .map_err(|e| Refused::new(ErrorKind::Internal, format!("reading the body failed: {e}")))?
            .map_err(Refused::from)
    }

    async fn answer(self, parsed: Body) -> Result<Response, Refused> {
        if matches!(&parsed, Body::Scoring(input) if input.no_rows()) {
            // As MLflow; there is nothing to run and nothing to record.
            let json = HeaderValue::from_static("application/json");
            return Ok(([(CONTENT_TYPE, json)], "{\"predictions\": []}").into_response());
        }
        let (inputs, values, client_id, form) = match parsed {
            Body::Scoring(input) => (input.tensors, input.params, None, Ok(input.frame)),
            Body::V2(mut body) => {
                (std::mem::take(&mut body.inputs), std::mem::take(&mut body.params), body.id.clone(), Err(body))
            }
        };
        let request = InferRequest {
            version: None,
            client_id,
            inputs,
            params: GivenParams { values, flat: false },
            protocol: Protocol::MlflowScoring,
            deadline: self.deadline,
            received: self.received,
        };
        let answer = self.state.serving.infer(&self.auth, request).await?;
        match form {
            Ok(frame) => predictions(answer, frame).await,
            Err(body) => v2(answer, &body).await,
        }
    }

    /// Leaves a refused body in the journal.
    fn refuse(&self, why: Refused) -> Refused {
        let refusal = Refusal {
            version: None,
            client_id: None,
            protocol: Protocol::MlflowScoring,
            received: self.received,
            kind: why.kind,
            message: why.message.clone(),
        };
        let _id = self.state.serving.refuse(&self.auth, refusal);
        why
    }
}

/// Bytes of the JSON part of a v2 body with binary data.
fn header_length(headers: &HeaderMap) -> Result<Option<usize>, Refused> {
    let Some(value) = headers.get(&HEADER_LENGTH) else { return Ok(None) };
    let text = value.to_str().unwrap_or("?").trim();
    let length = text.parse().map_err(|_| mainspring_wire::BodyError::HeaderValue { given: text.to_owned() })?;
    Ok(Some(length))
}

async fn predictions(answer: Answer, frame: bool) -> Result<Response, Refused> {
    let body = output::render(&answer.outputs, &answer.contract, frame);
    let mut response = Response::new(axum::body::Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    finish(response, answer).await
}

async fn v2(answer: Answer, body: &InferBody) -> Result<Response, Refused> {
    let reply = Reply {
        model: &answer.target.deployment,
        version: &answer.target.version,
        id: body.id.as_deref(),
        prediction: Some(answer.id),
        outputs: &answer.outputs,
        classes: Classes { batched: answer.contract.max_batch_rows > 0, labels: &answer.contract.labels },
    };
    let selection = Selection { wanted: body.outputs.as_deref(), binary: body.binary_output };
    let rendered = match mainspring_wire::render(reply, selection) {
        Ok(rendered) => rendered,
        Err(why) => {
            answer.failed(why.kind(), &why.to_string());
            return Err(why.into());
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

async fn finish(mut response: Response, answer: Answer) -> Result<Response, Refused> {
    let headers = response.headers_mut();
    let id = answer.id.to_string();
    for (name, value) in
        [(PREDICTION_ID, id.as_str()), (VARIANT, &answer.target.variant), (MODEL_VERSION, &answer.target.version)]
    {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    answer.encoded().await?;
    Ok(response)
}
