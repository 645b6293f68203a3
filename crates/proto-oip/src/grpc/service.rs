//! The twenty calls.

use super::{convert, models};
use crate::error::{Refused, code};
use crate::pb;
use crate::pb::grpc_inference_service_server::GrpcInferenceService;
use crate::pb::infer_parameter::ParameterChoice;
use crate::rest;
use crate::rest::infer::Said;
use crate::rest::models::versions_of;
use crate::state::{Call, Door, OipState, Whom};
use crate::view;
use futures::future::Either;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use http::HeaderMap;
use mainspring_core::{ErrorKind, EventId, Principal, Protocol};
use mainspring_http::Caller;
use mainspring_serving::{Answer, AnswerParts, Ask, Encoded, Lookup, Picked, State, VariantName};
use mainspring_traffic::RequestHead;
use mainspring_wire::InferBody;
use std::sync::Arc;
use std::time::Duration;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Extensions, Request, Response, Status, Streaming};

pub(crate) struct Service {
    state: OipState,
}

impl Service {
    pub(crate) fn new(state: OipState) -> Self {
        Self { state }
    }
}

fn caller<T>(request: &Request<T>) -> Result<Arc<Principal>, Status> {
    let found = Caller::of(request.extensions());
    found.ok_or_else(|| Status::unauthenticated("nobody vouches for this request"))
}

/// What the protocol leaves out, protobuf gives as an empty text.
fn given(text: &str) -> Option<&str> {
    if text.is_empty() { None } else { Some(text) }
}

/// The caller's own limit: `grpc-timeout` (the gRPC over HTTP/2 specification: up to eight digits
/// and a unit), or `mainspring-timeout-ms`.
fn timeout(metadata: &MetadataMap) -> Option<Duration> {
    let own = metadata.get("mainspring-timeout-ms").and_then(|v| v.to_str().ok()?.parse().ok());
    let grpc = metadata.get("grpc-timeout").and_then(|v| grpc_timeout(v.to_str().ok()?));
    match (own.map(Duration::from_millis), grpc) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

pub(crate) fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let n: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    match unit {
        "H" => Some(Duration::from_secs(n * 3600)),
        "M" => Some(Duration::from_secs(n * 60)),
        "S" => Some(Duration::from_secs(n)),
        "m" => Some(Duration::from_millis(n)),
        "u" => Some(Duration::from_micros(n)),
        "n" => Some(Duration::from_nanos(n)),
        _ => None,
    }
}

/// An answer and what goes into the metadata beside it.
struct Done {
    response: pb::ModelInferResponse,
    prediction: EventId,
    variant: Arc<str>,
    flags: Option<Arc<str>>,
    cache: Option<Lookup>,
}

/// What is said beside a message.
#[derive(Clone, Copy)]
struct Beside<'a> {
    caller: &'a Arc<Principal>,
    door: Door,
    metadata: &'a MetadataMap,
}

impl RequestHead for Beside<'_> {
    fn header(&self, name: &str) -> Option<&[u8]> {
        self.metadata.get(name).map(MetadataValue::as_encoded_bytes)
    }

    fn find<'a>(&'a self, name: &str, find: &mut dyn FnMut(&'a [u8]) -> Option<&'a [u8]>) -> Option<&'a [u8]> {
        self.metadata.get_all(name).iter().find_map(|value| find(value.as_encoded_bytes()))
    }
}

async fn infer(state: &OipState, beside: Beside<'_>, mut message: pb::ModelInferRequest) -> Result<Done, Refused> {
    let model = std::mem::take(&mut message.model_name);
    let call = state.call(beside.caller, &model, beside.door)?;
    let (picked, mut body) = parsed(&call, beside, message)?;
    let answer = call.infer(picked, &mut body).await?;
    let (done, encoded) = done(&model, &body, answer)?;
    encoded.await?;
    Ok(done)
}

/// Reads a message, and finds who answers it. What goes wrong is in the journal.
fn parsed(call: &Call, beside: Beside<'_>, mut message: pb::ModelInferRequest) -> Result<(Picked, InferBody), Refused> {
    let version = std::mem::take(&mut message.model_version);
    let ask = Ask { version: given(&version), head: &beside };
    let id = given(&message.id).map(Arc::from);
    match convert::request(message) {
        Ok(body) => Ok((call.pick(ask, id.as_ref())?, body)),
        Err(why) => Err(call.refuse(Whom::Version(ask.version), id, why)),
    }
}

/// Answers a message of a stream: with one response, or with those of a model that answers in parts.
async fn streamed(
    state: &OipState,
    beside: Beside<'_>,
    mut message: pb::ModelInferRequest,
) -> Result<Streamed, Refused> {
    let model = std::mem::take(&mut message.model_name);
    let call = state.call(beside.caller, &model, beside.door)?;
    let end = message.parameters.get(EMPTY_FINAL).is_some_and(convert::yes);
    let (picked, mut body) = parsed(&call, beside, message)?;
    if !picked.contract().streams {
        let answer = call.infer(picked, &mut body).await?;
        let (done, encoded) = done(&model, &body, answer)?;
        encoded.await?;
        return Ok(Streamed::One(Box::new(done)));
    }
    let answer = call.infer_parts(picked, &mut body)?;
    Ok(Streamed::Parts(Box::new(Parts { answer, model, body, end, over: false })))
}

/// What a message of a stream is answered with.
enum Streamed {
    One(Box<Done>),
    Parts(Box<Parts>),
}

/// The responses of one message that is answered in parts.
struct Parts {
    answer: AnswerParts,
    model: String,
    body: InferBody,
    /// Whether a last, empty response is to say that it was the last.
    end: bool,
    over: bool,
}

impl Parts {
    async fn next(&mut self) -> Option<Result<pb::ModelInferResponse, Refused>> {
        if self.over {
            return None;
        }
        match self.answer.next().await {
            Some(Ok(part)) => Some(Ok(convert::part(&self.model, &self.body, &self.answer, Some(part)))),
            Some(Err(why)) => {
                self.over = true;
                Some(Err(Refused::from(why).by(&VariantName::of(&self.answer.target))))
            }
            None => {
                self.over = true;
                self.end.then(|| Ok(convert::part(&self.model, &self.body, &self.answer, None)))
            }
        }
    }
}

/// A request for it asks for an empty response after the last part.
const EMPTY_FINAL: &str = "triton_enable_empty_final_response";

/// Writes an answer down. It may leave once the second has ended.
fn done(model: &str, body: &InferBody, answer: Answer) -> Result<(Done, Encoded), Refused> {
    match convert::response(model, body, &answer) {
        Ok(response) => {
            let (variant, flags) = (Arc::clone(&answer.target.variant), answer.flags.clone());
            let done = Done { response, prediction: answer.id, variant, flags, cache: answer.cache };
            Ok((done, answer.encoded()))
        }
        Err(why) => Err(Call::unwritable(answer, why)),
    }
}

/// `ModelInfer`.
pub(super) async fn model_infer(
    state: &OipState,
    request: Request<pb::ModelInferRequest>,
) -> Result<Response<pb::ModelInferResponse>, Status> {
    let door = Door::new(Protocol::OipGrpc).within(timeout(request.metadata()));
    let caller = caller(&request)?;
    let (metadata, _, message) = request.into_parts();
    let beside = Beside { caller: &caller, door, metadata: &metadata };
    let done = infer(state, beside, message).await.map_err(|e| e.status())?;
    let mut headers = HeaderMap::with_capacity(8);
    let (variant, version) = (&done.variant, &done.response.model_version);
    let Done { prediction: id, cache, .. } = done;
    Said { id, variant, version, flags: done.flags.as_deref(), cache }.put(&mut headers);
    Ok(Response::from_parts(MetadataMap::from_headers(headers), done.response, Extensions::new()))
}

fn unbuilt<T>(why: &Refused) -> Result<Response<T>, Status> {
    Err(why.status())
}

#[tonic::async_trait]
impl GrpcInferenceService for Service {
    async fn server_live(&self, _: Request<pb::ServerLiveRequest>) -> Result<Response<pb::ServerLiveResponse>, Status> {
        Ok(Response::new(pb::ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        _: Request<pb::ServerReadyRequest>,
    ) -> Result<Response<pb::ServerReadyResponse>, Status> {
        Ok(Response::new(pb::ServerReadyResponse { ready: self.state.ready() }))
    }

    async fn model_ready(
        &self,
        request: Request<pb::ModelReadyRequest>,
    ) -> Result<Response<pb::ModelReadyResponse>, Status> {
        let caller = caller(&request)?;
        let asked = request.into_inner();
        let found = self.state.view(&caller, &asked.name).and_then(|deployment| match given(&asked.version) {
            Some(version) => Ok(view::pick(&deployment, Some(version))?.state == State::Ready),
            None => Ok(deployment.ready()),
        });
        // A model that does not exist is not ready: Triton answers so rather than failing.
        match found {
            Ok(ready) => Ok(Response::new(pb::ModelReadyResponse { ready })),
            Err(why) if why.kind == ErrorKind::NotFound => Ok(Response::new(pb::ModelReadyResponse { ready: false })),
            Err(why) => Err(why.status()),
        }
    }

    async fn server_metadata(
        &self,
        _: Request<pb::ServerMetadataRequest>,
    ) -> Result<Response<pb::ServerMetadataResponse>, Status> {
        Ok(Response::new(pb::ServerMetadataResponse {
            name: view::SERVER_NAME.to_owned(),
            version: view::VERSION.to_owned(),
            extensions: view::EXTENSIONS.map(str::to_owned).to_vec(),
        }))
    }

    async fn model_metadata(
        &self,
        request: Request<pb::ModelMetadataRequest>,
    ) -> Result<Response<pb::ModelMetadataResponse>, Status> {
        let caller = caller(&request)?;
        let asked = request.into_inner();
        let deployment = self.state.view(&caller, &asked.name).map_err(|e| e.status())?;
        models::metadata(&deployment, given(&asked.version)).map(Response::new).map_err(|e| e.status())
    }

    async fn model_infer(
        &self,
        request: Request<pb::ModelInferRequest>,
    ) -> Result<Response<pb::ModelInferResponse>, Status> {
        model_infer(&self.state, request).await
    }

    type ModelStreamInferStream = BoxStream<'static, Result<pb::ModelStreamInferResponse, Status>>;

    /// Answers in the order of the requests, several of which may be in flight. A failure is an
    /// `error_message` with the request's id and the stream goes on, unless the caller asked for a
    /// status by the metadata `triton_grpc_error: true`, which ends it. A model that answers in parts gives a
    /// response a part, without a mark at the end unless `triton_enable_empty_final_response` asks for one. When the server stops, the
    /// stream ends after the answers to what was read.
    async fn model_stream_infer(
        &self,
        request: Request<Streaming<pb::ModelInferRequest>>,
    ) -> Result<Response<Self::ModelStreamInferStream>, Status> {
        let caller = caller(&request)?;
        let strict = request.metadata().get("triton_grpc_error").is_some_and(|v| v == "true");
        let limit = timeout(request.metadata());
        let state = self.state.clone();
        let width = state.limits().max_in_flight.max(1);
        let stop = state.ctx().tasks.cancelled();
        let (metadata, _, messages) = request.into_parts();
        let metadata = Arc::new(metadata);
        let messages = messages.take_until(stop.cancelled_owned());
        let answers = messages.map(move |message| {
            let (state, caller, metadata) = (state.clone(), Arc::clone(&caller), Arc::clone(&metadata));
            async move {
                let message = message?;
                let door = Door::new(Protocol::OipGrpc).within(limit);
                let id = message.id.clone();
                let beside = Beside { caller: &caller, door, metadata: &metadata };
                match streamed(&state, beside, message).await {
                    Ok(Streamed::One(done)) => Ok(Either::Left(ready(Ok(last(*done))))),
                    Ok(Streamed::Parts(parts)) => Ok(Either::Right(responses(parts, id, strict))),
                    Err(why) if strict => Err(why.status()),
                    Err(why) => Ok(Either::Left(ready(Ok(stream_error(id, &why))))),
                }
            }
        });
        Ok(Response::new(answers.buffered(width).try_flatten().boxed()))
    }

    async fn model_config(
        &self,
        request: Request<pb::ModelConfigRequest>,
    ) -> Result<Response<pb::ModelConfigResponse>, Status> {
        let caller = caller(&request)?;
        let asked = request.into_inner();
        let deployment = self.state.view(&caller, &asked.name).map_err(|e| e.status())?;
        models::config(&deployment, given(&asked.version)).map(Response::new).map_err(|e| e.status())
    }

    async fn model_statistics(
        &self,
        request: Request<pb::ModelStatisticsRequest>,
    ) -> Result<Response<pb::ModelStatisticsResponse>, Status> {
        let caller = caller(&request)?;
        let asked = request.into_inner();
        let all = self.state.stats(&caller, given(&asked.name)).map_err(|e| e.status())?;
        let model_stats: Vec<_> = versions_of(&all, given(&asked.version)).map(models::stats).collect();
        if model_stats.is_empty() && !asked.version.is_empty() {
            let text = format!("deployment {:?} has no version {:?}", asked.name, asked.version);
            return Err(Status::new(code(ErrorKind::NotFound), text));
        }
        Ok(Response::new(pb::ModelStatisticsResponse { model_stats }))
    }

    async fn repository_index(
        &self,
        request: Request<pb::RepositoryIndexRequest>,
    ) -> Result<Response<pb::RepositoryIndexResponse>, Status> {
        let caller = caller(&request)?;
        let only_ready = request.into_inner().ready;
        let views = self.state.views(&caller).map_err(|e| e.status())?;
        let models = view::index(&views, only_ready)
            .into_iter()
            .map(|e| pb::repository_index_response::ModelIndex {
                name: e.name,
                version: e.version,
                state: e.state.to_owned(),
                reason: e.reason,
            })
            .collect();
        Ok(Response::new(pb::RepositoryIndexResponse { models }))
    }

    async fn repository_model_load(
        &self,
        _: Request<pb::RepositoryModelLoadRequest>,
    ) -> Result<Response<pb::RepositoryModelLoadResponse>, Status> {
        unbuilt(&rest::model_control())
    }

    async fn repository_model_unload(
        &self,
        _: Request<pb::RepositoryModelUnloadRequest>,
    ) -> Result<Response<pb::RepositoryModelUnloadResponse>, Status> {
        unbuilt(&rest::model_control())
    }

    async fn system_shared_memory_status(
        &self,
        _: Request<pb::SystemSharedMemoryStatusRequest>,
    ) -> Result<Response<pb::SystemSharedMemoryStatusResponse>, Status> {
        unbuilt(&rest::shared_memory())
    }

    async fn system_shared_memory_register(
        &self,
        _: Request<pb::SystemSharedMemoryRegisterRequest>,
    ) -> Result<Response<pb::SystemSharedMemoryRegisterResponse>, Status> {
        unbuilt(&rest::shared_memory())
    }

    async fn system_shared_memory_unregister(
        &self,
        _: Request<pb::SystemSharedMemoryUnregisterRequest>,
    ) -> Result<Response<pb::SystemSharedMemoryUnregisterResponse>, Status> {
        unbuilt(&rest::shared_memory())
    }

    async fn cuda_shared_memory_status(
        &self,
        _: Request<pb::CudaSharedMemoryStatusRequest>,
    ) -> Result<Response<pb::CudaSharedMemoryStatusResponse>, Status> {
        unbuilt(&rest::shared_memory())
    }

    async fn cuda_shared_memory_register(
        &self,
        _: Request<pb::CudaSharedMemoryRegisterRequest>,
    ) -> Result<Response<pb::CudaSharedMemoryRegisterResponse>, Status> {
        unbuilt(&rest::shared_memory())
    }

    async fn cuda_shared_memory_unregister(
        &self,
        _: Request<pb::CudaSharedMemoryUnregisterRequest>,
    ) -> Result<Response<pb::CudaSharedMemoryUnregisterResponse>, Status> {
        unbuilt(&rest::shared_memory())
    }

    async fn trace_setting(
        &self,
        _: Request<pb::TraceSettingRequest>,
    ) -> Result<Response<pb::TraceSettingResponse>, Status> {
        unbuilt(&rest::trace())
    }

    async fn log_settings(
        &self,
        _: Request<pb::LogSettingsRequest>,
    ) -> Result<Response<pb::LogSettingsResponse>, Status> {
        unbuilt(&rest::logging())
    }
}

type Sent = Result<pb::ModelStreamInferResponse, Status>;

/// One response. No allocation: most streams have nothing else.
fn ready(response: Sent) -> futures::stream::Iter<std::option::IntoIter<Sent>> {
    futures::stream::iter(Some(response))
}

fn responses(parts: Box<Parts>, id: String, strict: bool) -> BoxStream<'static, Sent> {
    let next = move |mut parts: Box<Parts>| {
        let id = id.clone();
        async move {
            let sent = match parts.next().await? {
                Ok(response) => {
                    Ok(pb::ModelStreamInferResponse { error_message: String::new(), infer_response: Some(response) })
                }
                Err(why) if strict => Err(why.status()),
                Err(why) => Ok(stream_error(id, &why)),
            };
            Some((sent, parts))
        }
    };
    futures::stream::unfold(parts, next).boxed()
}

fn last(done: Done) -> pb::ModelStreamInferResponse {
    let Done { mut response, variant, flags, .. } = done;
    response.parameters.extend([
        convert::parameter("triton_final_response", ParameterChoice::BoolParam(true)),
        convert::parameter(convert::VARIANT, ParameterChoice::StringParam(variant.to_string())),
    ]);
    let flags = flags.map(|flags| convert::parameter(convert::FLAGS, ParameterChoice::StringParam(flags.to_string())));
    response.parameters.extend(flags);
    pb::ModelStreamInferResponse { error_message: String::new(), infer_response: Some(response) }
}

fn stream_error(id: String, why: &Refused) -> pb::ModelStreamInferResponse {
    let mut response = pb::ModelInferResponse { id, ..pb::ModelInferResponse::default() };
    if let Some(variant) = why.variant() {
        response
            .parameters
            .extend([convert::parameter(convert::VARIANT, ParameterChoice::StringParam(variant.to_owned()))]);
    }
    pb::ModelStreamInferResponse { error_message: why.text(), infer_response: Some(response) }
}
