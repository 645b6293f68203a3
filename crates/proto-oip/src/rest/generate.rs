//! Triton's generate extension: `POST /v2/models/{model}[/versions/{version}]/generate` and
//! `…/generate_stream`.
//!
//! A request is one row: an object with a member an input, beside `id` and `parameters`. An answer is an
//! object with a member an output. `generate_stream` answers with server-sent events, one a part of the
//! answer, each `data: {…}`; a failure after the first of them is `data: {"error": …}`.

use super::infer::{Path, Said, timeout};
use crate::error::Refused;
use crate::state::{Call, Door, OipState, Whom, caller};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::StreamExt;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};
use mainspring_core::tensor::Data;
use mainspring_core::{ErrorKind, EventId, Failure, NamedTensor, Protocol, Target};
use mainspring_engine::{Content, TensorSpec};
use mainspring_http::{Head, read_body};
use mainspring_serving::{AnswerParts, Ask, Cell, Contract, Picked, Table, VariantName};
use mainspring_wire::{BodyError, InferBody, Node, response};
use std::convert::Infallible;
use std::sync::Arc;

pub(crate) async fn whole(State(state): State<OipState>, request: Request) -> Result<Response, Refused> {
    let (call, picked, mut body) = read(&state, request).await?;
    let answer = call.infer(picked, &mut body).await?;
    let contents: Vec<Content> = answer.contract.signature.outputs.iter().map(|o| o.content).collect();
    let written = object(&answer.target, body.id.as_deref(), answer.id, (&answer.outputs, &contents));
    let written = match written {
        Ok(written) => written,
        Err(why) => return Err(Call::unwritable(answer, why)),
    };
    let mut response = Response::new(Body::from(written));
    let said = Said { cache: answer.cache, ..said(answer.id, &answer.target, answer.flags.as_deref()) };
    head(&mut response, "application/json", said);
    answer.encoded().await?;
    Ok(response)
}

pub(crate) async fn stream(State(state): State<OipState>, request: Request) -> Result<Response, Refused> {
    let stop = state.ctx().tasks.cancelled();
    let (call, picked, mut body) = read(&state, request).await?;
    let mut answer = call.infer_parts(picked, &mut body)?;
    // What fails before there is anything to show fails with a status.
    let first = event(&mut answer, body.id.as_deref()).await.transpose()?;
    let mut response = Response::new(Body::empty());
    head(&mut response, "text/event-stream", said(answer.id, &answer.target, answer.flags.as_deref()));
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    let Some(first) = first else { return Ok(response) };
    let rest = futures::stream::unfold(Some((answer, body.id)), |state| async {
        let (mut answer, id) = state?;
        match event(&mut answer, id.as_deref()).await? {
            Ok(event) => Some((event, Some((answer, id)))),
            Err(why) => Some((failure(&why), None)),
        }
    });
    let events = futures::stream::iter([first]).chain(rest).take_until(stop.cancelled_owned());
    *response.body_mut() = Body::from_stream(events.map(Ok::<_, Infallible>));
    Ok(response)
}

/// The next part as an event; `None` after the last one.
async fn event(answer: &mut AnswerParts, id: Option<&str>) -> Option<Result<Bytes, Refused>> {
    let part = match answer.next().await? {
        Ok(part) => part,
        Err(why) => return Some(Err(Refused::from(why).by(&VariantName::of(&answer.target)))),
    };
    match object(&answer.target, id, answer.id, (&part.outputs, &part.contents)) {
        Ok(json) => Some(Ok([b"data: ", json.as_slice(), b"\n\n"].concat().into())),
        Err(why) => {
            answer.cannot_send(why.kind(), &why.to_string());
            Some(Err(why.into()))
        }
    }
}

fn failure(why: &Refused) -> Bytes {
    let mut out = b"data: {\"error\":".to_vec();
    response::string(&mut out, &why.text());
    out.extend_from_slice(b"}\n\n");
    out.into()
}

fn said<'a>(id: EventId, target: &'a Target, flags: Option<&'a str>) -> Said<'a> {
    Said { id, variant: &target.variant, version: &target.version, flags, cache: None }
}

fn head(response: &mut Response, media: &'static str, said: Said<'_>) {
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    said.put(headers);
}

async fn read(state: &OipState, request: Request) -> Result<(Call, Picked, InferBody), Refused> {
    let door = Door::new(Protocol::OipRest);
    let (mut parts, body) = request.into_parts();
    let path = Path::of(&mut parts, state).await?;
    let door = door.within(timeout(&parts.headers)?);
    let call = state.call(&caller(&parts.extensions)?, path.model(), door)?;
    let picked = call.pick(Ask { version: path.version(), head: &Head(&parts.headers) }, None)?;
    let bytes = read_body(body, state.limits().max_body).await.map_err(Refused::from);
    match bytes.and_then(|bytes| inputs(Node::parse(&bytes)?, picked.contract())) {
        Ok(body) => Ok((call, picked, body)),
        Err(why) => Err(call.refuse(Whom::Picked(picked), None, why)),
    }
}

/// A request of one row out of an object.
fn inputs(body: Node, contract: &Contract) -> Result<InferBody, Refused> {
    let Node::Map(members) = body else {
        return Err(Refused::new(
            ErrorKind::InvalidInput,
            format!("the body must be an object, it is {}", body.kind()),
        ));
    };
    let specs = &contract.signature.inputs;
    let (mut out, mut given) = (InferBody::default(), Vec::new());
    for (name, value) in members {
        match (&*name, value) {
            (known, value) if specs.iter().any(|s| *s.name == *known) => given.push((name, value)),
            ("id", Node::Text(id)) => out.id = Some(String::from_utf8_lossy(&id).into()),
            ("parameters", Node::Map(parameters)) => out.params.extend(parameters),
            // As in Triton, what is no input is a parameter.
            (_, value) => out.params.push((name, value)),
        }
    }
    // With none of them, the signature says which one is missing.
    if !given.is_empty() && specs.iter().all(|s| s.shape.len() == 1) {
        let cells = given.iter().map(|(name, value)| cell(name, value, specs)).collect::<Result<_, _>>()?;
        let columns: Vec<Arc<str>> = given.into_iter().map(|(name, _)| name).collect();
        out.inputs = contract.tensors(&Table { width: columns.len(), columns, cells })?;
        return Ok(out);
    }
    let mut text = b"{\"inputs\":[".to_vec();
    for (i, (name, value)) in given.iter().enumerate() {
        if i > 0 {
            text.push(b',');
        }
        if let Some(spec) = specs.iter().find(|s| s.name == *name) {
            input(&mut text, spec, value);
        }
    }
    text.extend_from_slice(b"]}");
    let text = Bytes::from(text);
    out.inputs = InferBody::parse(&text, text.len())?.inputs;
    Ok(out)
}

fn cell(name: &str, value: &Node, specs: &[TensorSpec]) -> Result<Cell, Refused> {
    Ok(match value {
        Node::Null => Cell::Null,
        Node::Bool(b) => Cell::Bool(*b),
        Node::Int(n) => Cell::Int(*n),
        Node::Float(x) => Cell::Float(*x),
        Node::Text(text) if specs.iter().any(|s| *s.name == *name && s.content == Content::Binary) => {
            let bytes = STANDARD.decode(text).map_err(|e| {
                Refused::new(
                    ErrorKind::InvalidInput,
                    format!("input {name:?} is bytes, which are base64 text here: {e}"),
                )
            })?;
            Cell::Text(bytes.into())
        }
        Node::Text(text) => Cell::Text(text.clone()),
        Node::List(_) | Node::Map(_) => Cell::Json(value.to_json()),
    })
}

/// An input of a v2 request, whose lists say the shape; a batch of one is added where it is left out.
fn input(out: &mut Vec<u8>, spec: &TensorSpec, value: &Node) {
    let mut shape = Vec::new();
    let mut level = value;
    while let Node::List(items) = level {
        shape.push(items.len());
        match items.first() {
            Some(first) => level = first,
            None => break,
        }
    }
    while shape.len() < spec.shape.len() {
        shape.insert(0, 1);
    }
    out.extend_from_slice(b"{\"name\":");
    response::string(out, &spec.name);
    out.extend_from_slice(format!(",\"shape\":{shape:?},\"datatype\":\"{}\",\"data\":", spec.dtype).as_bytes());
    match value {
        Node::List(_) => value.write(out),
        scalar => Node::List(vec![scalar.clone()]).write(out),
    }
    out.push(b'}');
}

type Outputs<'a> = (&'a [NamedTensor], &'a [Content]);

/// One answer, or one part of one.
fn object(target: &Target, id: Option<&str>, prediction: EventId, outputs: Outputs<'_>) -> Result<Vec<u8>, BodyError> {
    let mut out = b"{".to_vec();
    if let Some(id) = id {
        out.extend_from_slice(b"\"id\":");
        response::string(&mut out, id);
        out.push(b',');
    }
    for (name, value) in [("model_name", &target.deployment), ("model_version", &target.version)] {
        out.extend_from_slice(format!("\"{name}\":").as_bytes());
        response::string(&mut out, value);
        out.push(b',');
    }
    out.extend_from_slice(format!("\"parameters\":{{\"prediction_id\":\"{prediction}\"}}").as_bytes());
    let (tensors, contents) = outputs;
    for (i, output) in tensors.iter().enumerate() {
        out.push(b',');
        response::string(&mut out, &output.name);
        out.push(b':');
        let many = output.tensor.len() != 1;
        if many {
            out.push(b'[');
        }
        values(&mut out, output, contents.get(i).copied().unwrap_or_default())?;
        if many {
            out.push(b']');
        }
    }
    out.push(b'}');
    Ok(out)
}

fn values(out: &mut Vec<u8>, output: &NamedTensor, content: Content) -> Result<(), BodyError> {
    let elements = match output.tensor.data() {
        Data::Raw(bytes) => {
            response::numbers(out, output.tensor.dtype(), bytes);
            return Ok(());
        }
        Data::Strings(elements) => elements,
    };
    for (i, element) in elements.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        match content {
            Content::Json => out.extend_from_slice(element),
            Content::Binary => response::string(out, &STANDARD.encode(element)),
            Content::Text => match std::str::from_utf8(element) {
                Ok(text) => response::string(out, text),
                Err(_) => return Err(BodyError::OutputNotText { name: output.name.to_string() }),
            },
        }
    }
    Ok(())
}
