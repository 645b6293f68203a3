//! `GET /v2/models/{model}[/versions/{version}]/ws`: inference over a WebSocket.
//!
//! - A text message is one v2 request in JSON. Its answer is one text message: the v2 response, with
//!   the request's `id` echoed, the prediction's id in `parameters.prediction_id` and the variant that
//!   answered in `parameters.variant`. Headers of the request that opened the socket say whose unit its
//!   requests are, and which variant they ask for.
//! - A binary message is a request with binary tensors: four bytes with the length of its JSON
//!   (unsigned, little-endian), the JSON, then the binary data in the order of the inputs. An answer
//!   with binary outputs comes as a binary message of the same form.
//! - A request that fails is answered by `{"id": …, "error": "…"}`, with the variant that was to answer in
//!   `parameters.variant` where that is known; the socket stays open.
//! - Requests may be sent without waiting. Answers come as they are ready, in any order, so that a
//!   caller with several in flight needs ids. When the limit is in flight the socket is not read.
//! - A model that answers in parts gives a message a part, with `parameters.triton_final_response` false, and one
//!   without outputs after the last, in which it is true.
//! - When the server stops, what it has read is answered before it closes the socket.
//! - `parameters.timeout` (microseconds) is a request's deadline. Closing the socket cancels what is
//!   in flight.

use crate::error::Refused;
use crate::rest::infer::Path;
use crate::state::{Call, Door, OipState, Whom, caller};
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{FromRequestParts, Request, State};
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use http::HeaderMap;
use mainspring_core::{ErrorKind, Failure, Principal, Protocol};
use mainspring_http::Head;
use mainspring_serving::{AnswerParts, Ask, VariantName};
use mainspring_wire::{BodyError, Classes, InferBody, Rendered, Reply, Selection, render, render_part, response};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a silent socket is asked whether it is still there.
const PING: Duration = Duration::from_secs(30);
/// How long the other side may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);
/// A socket that has not been heard for this long is given up.
const SILENT: Duration = Duration::from_secs(90);

pub(crate) async fn upgrade(State(state): State<OipState>, request: Request) -> Result<Response, Refused> {
    let (mut parts, _) = request.into_parts();
    let path = Path::of(&mut parts, &state).await?;
    let caller = caller(&parts.extensions)?;
    // The right to call the model, and that it exists, are checked before the upgrade as well, so
    // that a wrong address fails with a status rather than with a closed socket.
    state.call(&caller, path.model(), Door::new(Protocol::OipWebsocket))?.contract(path.version())?;
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &state).await.map_err(|e| {
        let message = format!("this address takes WebSocket connections only: {}", e.body_text());
        Refused::new(ErrorKind::InvalidInput, message)
    })?;
    let limit = state.limits().max_body;
    let (model, version) = (path.model().to_owned(), path.version().map(str::to_owned));
    let session = Session { state, caller, model, version, headers: parts.headers };
    // A task of the server's own, so that a shutdown waits for what is in flight on it.
    let tasks = session.state.ctx().tasks.clone();
    Ok(upgrade.max_message_size(limit).max_frame_size(limit).on_upgrade(move |socket| async move {
        drop(tasks.spawn_graceful(session.run(socket)));
    }))
}

/// Says goodbye and reads on until the other side has: closing with unread messages would reset the
/// connection, and answers that are still on their way would be lost with it.
async fn leave(mut socket: WebSocket) {
    let frame = CloseFrame { code: close_code::AWAY, reason: Utf8Bytes::from_static("the server is stopping") };
    if socket.send(Message::Close(Some(frame))).await.is_ok() {
        let _slow = tokio::time::timeout(GOODBYE, async { while let Some(Ok(_)) = socket.recv().await {} }).await;
    }
}

struct Session {
    state: OipState,
    caller: Arc<Principal>,
    model: String,
    version: Option<String>,
    /// Those of the request that opened the socket: they say whose all of its requests are.
    headers: HeaderMap,
}

impl Session {
    async fn run(self, mut socket: WebSocket) {
        let stop = self.state.ctx().tasks.cancelled();
        let mut stopping = false;
        let mut in_flight = FuturesUnordered::new();
        let mut ping = tokio::time::interval(PING);
        let mut heard = Instant::now();
        loop {
            if stopping && in_flight.is_empty() {
                return leave(socket).await;
            }
            let room = !stopping && in_flight.len() < self.state.limits().max_in_flight;
            tokio::select! {
                () = stop.cancelled(), if !stopping => stopping = true,
                Some((answer, more)) = in_flight.next() => {
                    if socket.send(answer).await.is_err() {
                        return;
                    }
                    let more: Option<Box<Parts>> = more;
                    in_flight.extend(more.map(|parts| self.step(Step::Next(parts))));
                }
                message = socket.recv(), if room => {
                    heard = Instant::now();
                    match message {
                        Some(Ok(Message::Text(text))) => in_flight.push(self.step(Step::Request(Framed::text(text)))),
                        Some(Ok(Message::Binary(bytes))) => in_flight.push(self.step(Step::Request(Framed::binary(bytes)))),
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                        Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    }
                }
                _ = ping.tick() => {
                    if heard.elapsed() > SILENT && in_flight.is_empty() {
                        return;
                    }
                    if socket.send(Message::Ping(Bytes::new())).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// The next message of a request, and what is left of its answer.
    async fn step(&self, step: Step) -> (Message, Option<Box<Parts>>) {
        let mut id = None;
        let done = match step {
            Step::Request(framed) => self.infer(framed, &mut id).await,
            Step::Next(parts) => {
                id.clone_from(&parts.id);
                self.next(parts).await
            }
        };
        done.unwrap_or_else(|why| (failure(id.as_deref(), &why), None))
    }

    /// The next part of an answer.
    async fn next(&self, mut parts: Box<Parts>) -> Result<(Message, Option<Box<Parts>>), Refused> {
        let part = parts.answer.next().await.transpose();
        let part = part.map_err(|why| Refused::from(why).by(&VariantName::of(&parts.answer.target)))?;
        let last = part.is_none();
        let outputs = part.map(|p| p.outputs).unwrap_or_default();
        let reply = Reply {
            model: &self.model,
            version: &parts.answer.target.version,
            id: parts.id.as_deref(),
            prediction: Some(parts.answer.id),
            variant: Some(&parts.answer.target.variant),
            flags: parts.answer.flags.as_deref(),
            outputs: &outputs,
            classes: Classes { batched: false, labels: &[] },
        };
        match render_part(reply, Selection { wanted: None, binary: parts.binary }, last) {
            Ok(rendered) => Ok((message(rendered), (!last).then_some(parts))),
            Err(why) => {
                parts.answer.cannot_send(why.kind(), &why.to_string());
                Err(why.into())
            }
        }
    }

    async fn infer(
        &self,
        framed: Result<Framed, BodyError>,
        id: &mut Option<Arc<str>>,
    ) -> Result<(Message, Option<Box<Parts>>), Refused> {
        let door = Door::new(Protocol::OipWebsocket);
        let call = self.state.call(&self.caller, &self.model, door)?;
        let ask = Ask { version: self.version.as_deref(), head: &Head(&self.headers) };
        let parsed = framed.and_then(|f| {
            InferBody::parse(&f.body, f.header).inspect_err(|_| *id = InferBody::id_of(&f.body, f.header))
        });
        let mut body = parsed.map_err(|why| call.refuse(Whom::Version(ask.version), id.clone(), why))?;
        id.clone_from(&body.id);
        let picked = call.pick(ask, body.id.as_ref())?;
        if picked.contract().streams {
            let answer = call.infer_parts(picked, &mut body)?;
            return self.next(Box::new(Parts { answer, id: body.id, binary: body.binary_output })).await;
        }
        let answer = call.infer(picked, &mut body).await?;
        let reply = Reply {
            model: &self.model,
            version: &answer.target.version,
            id: body.id.as_deref(),
            prediction: Some(answer.id),
            variant: Some(&answer.target.variant),
            flags: answer.flags.as_deref(),
            outputs: &answer.outputs,
            classes: Classes { batched: answer.contract.max_batch_rows > 0, labels: &answer.contract.labels },
        };
        match render(reply, Selection { wanted: body.outputs.as_deref(), binary: body.binary_output }) {
            Ok(rendered) => {
                let message = message(rendered);
                answer.encoded().await?;
                Ok((message, None))
            }
            Err(why) => Err(Call::unwritable(answer, why)),
        }
    }
}

/// What is to be done next for a request.
enum Step {
    Request(Result<Framed, BodyError>),
    Next(Box<Parts>),
}

/// An answer that comes in parts.
struct Parts {
    answer: AnswerParts,
    id: Option<Arc<str>>,
    /// Whether its outputs go out as binary data.
    binary: bool,
}

/// A message taken apart: the JSON is `body[..header]`.
struct Framed {
    body: Bytes,
    header: usize,
}

impl Framed {
    #[expect(clippy::unnecessary_wraps, reason = "both kinds of message go the same way")]
    fn text(text: Utf8Bytes) -> Result<Self, BodyError> {
        let body = Bytes::from(text);
        let header = body.len();
        Ok(Self { body, header })
    }

    fn binary(mut bytes: Bytes) -> Result<Self, BodyError> {
        let Some((prefix, _)) = bytes.split_first_chunk::<4>() else {
            return Err(BodyError::HeaderLength { given: 4, body: bytes.len() });
        };
        let header = u32::from_le_bytes(*prefix) as usize;
        let body = bytes.split_off(4);
        if header > body.len() {
            return Err(BodyError::HeaderLength { given: header, body: body.len() });
        }
        Ok(Self { body, header })
    }
}

fn message(rendered: Rendered) -> Message {
    if !rendered.binary {
        return match Utf8Bytes::try_from(rendered.json) {
            Ok(text) => Message::Text(text),
            Err(e) => failure(None, &Refused::new(ErrorKind::Internal, e.to_string())),
        };
    }
    let mut out = BytesMut::with_capacity(rendered.len() + 4);
    out.put_u32_le(rendered.json.len() as u32);
    out.put(rendered.json);
    for blob in rendered.blobs {
        out.put(blob);
    }
    Message::Binary(out.freeze())
}

fn failure(id: Option<&str>, why: &Refused) -> Message {
    let mut out = Vec::with_capacity(why.message.len() + 64);
    out.push(b'{');
    if let Some(id) = id {
        out.extend_from_slice(b"\"id\":");
        response::string(&mut out, id);
        out.push(b',');
    }
    out.extend_from_slice(b"\"error\":");
    response::string(&mut out, &why.text());
    if let Some(variant) = why.variant() {
        out.extend_from_slice(b",\"parameters\":{\"variant\":");
        response::string(&mut out, variant);
        out.push(b'}');
    }
    out.push(b'}');
    Message::Text(Utf8Bytes::try_from(Bytes::from(out)).unwrap_or_default())
}
