//! `POST /v2/models/{model}[/versions/{version}]/infer`.

use super::raw;
use crate::direct::{Answering, Direct};
use crate::encoding::{Parts, encode, for_response};
use crate::error::Refused;
use crate::state::{Call, Door, OipState, Whom, caller};
use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderName, HeaderValue};
use mainspring_core::{ErrorKind, EventId, Protocol};
use mainspring_http::{Coding, Head, read_body_aligned};
use mainspring_serving::{Answer, Ask, Encoded, Lookup, Picked};
use mainspring_wire::{BodyError, Classes, InferBody, Rendered, Reply, Selection, render};
use std::time::Duration;

/// Bytes of the JSON part of a body; `0` says that there is none.
pub(crate) const HEADER_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");
/// Id of the prediction, for feedback.
pub(crate) const PREDICTION_ID: HeaderName = HeaderName::from_static("mainspring-prediction-id");
/// Variant that answered.
pub(crate) const VARIANT: HeaderName = HeaderName::from_static(mainspring_traffic::VARIANT_HEADER);
/// Rules of the deployment that the rows broke.
pub(crate) const FLAGS: HeaderName = HeaderName::from_static(mainspring_serving::FLAGS_HEADER);
/// Whether the answer was kept.
const CACHE: HeaderName = HeaderName::from_static(mainspring_serving::CACHE_HEADER);
/// Version of the model that answered.
pub(crate) const MODEL_VERSION: HeaderName = HeaderName::from_static("mainspring-model-version");
/// How long the caller waits, milliseconds.
pub(crate) const TIMEOUT: HeaderName = HeaderName::from_static("mainspring-timeout-ms");

/// Bodies with at least this many bytes to look at are read off the async threads.
const LARGE: usize = 512 << 10;

/// Answers of at least this many bytes are sent in parts rather than joined.
const JOIN: usize = 16 << 10;

pub(crate) async fn infer(State(state): State<OipState>, request: Request) -> Result<Response, Refused> {
    let door = Door::new(Protocol::OipRest);
    let (mut parts, body) = request.into_parts();
    let path = Path::of(&mut parts, &state).await?;
    answer(&state, door, Addressed { model: path.model(), version: path.version() }, &parts, body).await
}

/// Who is asked, as the path names it.
#[derive(Clone, Copy)]
struct Addressed<'a> {
    model: &'a str,
    version: Option<&'a str>,
}

async fn answer(
    state: &OipState,
    door: Door,
    addressed: Addressed<'_>,
    parts: &http::request::Parts,
    body: Body,
) -> Result<Response, Refused> {
    let door = door.within(timeout(&parts.headers)?);
    let call = state.call(&caller(&parts.extensions)?, addressed.model, door)?;
    let ask = Ask { version: addressed.version, head: &Head(&parts.headers) };
    let (picked, mut request) = read(&call, ask, &parts.headers, body, state.limits().max_body).await?;
    let binary = request.binary_output;
    let answer = call.infer(picked, &mut request).await?;
    let (response, encoded) = respond(addressed.model, &request, binary, answer, &parts.headers)?;
    encoded.await?;
    Ok(response)
}

/// `POST /v2/models/{model}/infer` where nothing in the path is encoded.
pub fn rest_infer(state: OipState) -> Direct {
    let takes = |request: &Request| request.method() == http::Method::POST && plain(request.uri().path()).is_some();
    let answer = |state: OipState, request: Request| -> Answering {
        Box::pin(async move {
            let door = Door::new(Protocol::OipRest);
            let (parts, body) = request.into_parts();
            let model = plain(parts.uri.path()).unwrap_or_default();
            let answered = answer(&state, door, Addressed { model, version: None }, &parts, body).await;
            Ok(answered.unwrap_or_else(Refused::into_response))
        })
    };
    Direct { state, takes, answer }
}

/// The model in a path that has nothing to decode.
fn plain(path: &str) -> Option<&str> {
    let model = path.strip_prefix("/v2/models/")?.strip_suffix("/infer")?;
    if model.is_empty() || model.bytes().any(|b| matches!(b, b'/' | b'%')) { None } else { Some(model) }
}

/// The model and version in the path, percent-decoded.
pub(crate) struct Path(RawPathParams);

impl Path {
    pub(crate) async fn of(parts: &mut http::request::Parts, state: &OipState) -> Result<Self, Refused> {
        RawPathParams::from_request_parts(parts, state)
            .await
            .map(Self)
            .map_err(|e| Refused::new(ErrorKind::InvalidInput, e.to_string()))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    pub(crate) fn model(&self) -> &str {
        self.get("model").unwrap_or_default()
    }

    pub(crate) fn version(&self) -> Option<&str> {
        self.get("version")
    }
}

/// The caller's own limit in a header.
pub(crate) fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Refused> {
    let Some(value) = headers.get(&TIMEOUT) else { return Ok(None) };
    let ms = value.to_str().ok().and_then(|v| v.trim().parse::<u64>().ok()).filter(|ms| *ms > 0);
    ms.map(|ms| Some(Duration::from_millis(ms))).ok_or_else(|| {
        Refused::new(ErrorKind::InvalidInput, format!("{TIMEOUT} is {value:?}, which is not a number of milliseconds"))
    })
}

/// Reads the body, and finds who answers. What goes wrong is in the journal.
async fn read(
    call: &Call,
    ask: Ask<'_>,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<(Picked, InferBody), Refused> {
    let unread = |why| call.refuse(Whom::Version(ask.version), None, why);
    let (bytes, declared) = unpacked(headers, body, limit).await.map_err(unread)?;
    if declared == Some(0) {
        let picked = call.pick(ask, None)?;
        return match raw::request(&picked.contract().signature, bytes) {
            Ok(request) => Ok((picked, request)),
            Err(why) => Err(call.refuse(Whom::Picked(picked), None, why)),
        };
    }
    let header = declared.unwrap_or(bytes.len());
    let work = InferBody::work(&bytes, header);
    let parsed = blocking(bytes, work, move |b| Ok(InferBody::parse(b, header)?)).await.map_err(unread)?;
    Ok((call.pick(ask, parsed.id.as_ref())?, parsed))
}

/// The body without its compression, and the bytes of its JSON part, when it has others too.
async fn unpacked(headers: &HeaderMap, body: Body, limit: usize) -> Result<(Bytes, Option<usize>), Refused> {
    let declared = header_length(headers)?;
    let mut bytes = read_body_aligned(body, limit, declared.unwrap_or(0)).await?;
    if let Some(coding) = Coding::of_request(headers)? {
        let size = bytes.len();
        bytes = blocking(bytes, size, move |b| Ok(coding.decode(b, limit)?)).await?;
    }
    Ok((bytes, declared))
}

/// Bytes of the JSON part, when the body has other parts too.
fn header_length(headers: &HeaderMap) -> Result<Option<usize>, BodyError> {
    let Some(value) = headers.get(&HEADER_LENGTH) else { return Ok(None) };
    let text = value.to_str().unwrap_or("?").trim();
    text.parse().map(Some).map_err(|_| BodyError::HeaderValue { given: text.to_owned() })
}

/// Works on a body here when there is little to look at, on a blocking thread when there is much.
async fn blocking<T: Send + 'static>(
    bytes: Bytes,
    size: usize,
    work: impl FnOnce(&Bytes) -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    if size < LARGE {
        return work(&bytes);
    }
    tokio::task::spawn_blocking(move || work(&bytes))
        .await
        .unwrap_or_else(|e| Err(Refused::new(ErrorKind::Internal, format!("reading the body failed: {e}"))))
}

/// Writes an answer down. It may leave once the second has ended.
fn respond(
    model: &str,
    request: &InferBody,
    binary: bool,
    answer: Answer,
    headers: &HeaderMap,
) -> Result<(Response, Encoded), Refused> {
    let reply = Reply {
        model,
        version: &answer.target.version,
        id: request.id.as_deref(),
        prediction: Some(answer.id),
        variant: None,
        flags: None,
        outputs: &answer.outputs,
        classes: Classes { batched: answer.contract.max_batch_rows > 0, labels: &answer.contract.labels },
    };
    let selection = Selection { wanted: request.outputs.as_deref(), binary };
    let rendered = match render(reply, selection) {
        Ok(rendered) => rendered,
        Err(why) => return Err(Call::unwritable(answer, why)),
    };
    let mut response = body_response(rendered, headers);
    let (target, flags) = (&answer.target, answer.flags.as_deref());
    let (variant, version) = (&target.variant, &target.version);
    Said { id: answer.id, variant, version, flags, cache: answer.cache }.put(response.headers_mut());
    Ok((response, answer.encoded()))
}

/// What the headers of an answer say of it.
#[derive(Clone, Copy)]
pub(crate) struct Said<'a> {
    pub(crate) id: EventId,
    pub(crate) variant: &'a str,
    pub(crate) version: &'a str,
    pub(crate) flags: Option<&'a str>,
    pub(crate) cache: Option<Lookup>,
}

impl Said<'_> {
    pub(crate) fn put(self, headers: &mut HeaderMap) {
        if let Ok(mut id) = HeaderValue::from_str(self.id.0.hyphenated().encode_lower(&mut [0; 36])) {
            // No other answer has the same: kept in HTTP/2's table of headers, it would drive out what they do have.
            id.set_sensitive(true);
            headers.insert(PREDICTION_ID, id);
        }
        set(headers, VARIANT, self.variant);
        set(headers, MODEL_VERSION, self.version);
        if let Some(flags) = self.flags {
            set(headers, FLAGS, flags);
        }
        if let Some(cache) = self.cache {
            headers.insert(CACHE, HeaderValue::from_static(cache.status()));
        }
    }
}

/// A header, when its value can be one.
pub(crate) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn body_response(rendered: Rendered, asked: &HeaderMap) -> Response {
    let (binary, json_length) = (rendered.binary, rendered.json.len());
    let coding = for_response(asked, rendered.len());
    let packed = coding.and_then(|c| {
        let parts: Vec<Bytes> = std::iter::once(&rendered.json).chain(&rendered.blobs).cloned().collect();
        encode(c, &parts).map(|bytes| (c, bytes))
    });
    let (body, coding) = match packed {
        Some((coding, bytes)) => (Body::from(bytes), Some(coding)),
        None if rendered.len() < JOIN || rendered.blobs.is_empty() => (Body::from(rendered.joined()), None),
        None => (Body::new(Parts::new(std::iter::once(rendered.json).chain(rendered.blobs))), None),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    if binary {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        headers.insert(HEADER_LENGTH, HeaderValue::from(json_length));
    } else {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let Some(coding) = coding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    }
    response
}
