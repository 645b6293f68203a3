//! One request from its caller to its event: what the protocols of rows share.

use super::ScoringState;
use super::error::{InputError, Refused};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use mainspring_core::{Authorized, ErrorKind, Name, NamedTensor, Principal, Protocol};
use mainspring_http::read_body;
use mainspring_serving::{Answer, Ask, Contract, GivenParams, Infer, InferRequest, Picked, Refusal};
use mainspring_traffic::RequestHead;
use mainspring_wire::Node;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bodies of at least this many bytes are parsed off the async threads.
const LARGE: usize = 256 << 10;

const PREDICTION_ID: HeaderName = HeaderName::from_static("mainspring-prediction-id");
/// The variant that answered.
pub const VARIANT: HeaderName = HeaderName::from_static(mainspring_traffic::VARIANT_HEADER);
const FLAGS: HeaderName = HeaderName::from_static(mainspring_serving::FLAGS_HEADER);
const CACHE: HeaderName = HeaderName::from_static(mainspring_serving::CACHE_HEADER);
const MODEL_VERSION: HeaderName = HeaderName::from_static("mainspring-model-version");
const TIMEOUT: HeaderName = HeaderName::from_static("mainspring-timeout-ms");

/// By which door a request came, when, and what it says beside its body.
#[derive(Debug, Clone)]
pub struct Door {
    protocol: Protocol,
    received: Instant,
    deadline: Option<Instant>,
    version: Option<String>,
    client_id: Option<Arc<str>>,
}

impl Door {
    /// A request with these headers that came at `received`.
    ///
    /// # Errors
    /// [`Refused`] when the caller's limit of time is no number.
    pub fn new(protocol: Protocol, received: Instant, headers: &HeaderMap) -> Result<Self, Refused> {
        let deadline = timeout(headers)?.and_then(|limit| received.checked_add(limit));
        Ok(Self { protocol, received, deadline, version: None, client_id: None })
    }

    /// For this version of the model.
    pub fn version(self, version: Option<String>) -> Self {
        Self { version, ..self }
    }

    /// With the caller's own id.
    pub fn client_id(self, client_id: Option<Arc<str>>) -> Self {
        Self { client_id, ..self }
    }

    /// What the journal is to have of a request that came by it and is refused.
    fn refusal(self, picked: Option<Picked>, why: &Refused) -> Refusal {
        Refusal {
            version: self.version,
            picked,
            client_id: self.client_id,
            protocol: self.protocol,
            received: self.received,
            kind: why.kind,
            message: why.message.clone(),
        }
    }
}

fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Refused> {
    let Some(value) = headers.get(&TIMEOUT) else { return Ok(None) };
    let ms = value.to_str().ok().and_then(|v| v.trim().parse::<u64>().ok()).filter(|ms| *ms > 0);
    ms.map(|ms| Some(Duration::from_millis(ms))).ok_or_else(|| {
        Refused::new(ErrorKind::InvalidInput, format!("{TIMEOUT} is {value:?}, which is not a number of milliseconds"))
    })
}

/// A request that is allowed.
#[derive(Debug)]
pub struct Call {
    state: ScoringState,
    auth: Authorized<Infer>,
    picked: Picked,
    door: Door,
}

impl Call {
    /// Asks whether `who` may call the deployment `name`, and who of it answers: `head` says whose the request
    /// is, and which variant it names.
    ///
    /// # Errors
    /// [`Refused`]; the journal has it already, where there is such a deployment.
    pub fn open(
        state: &ScoringState,
        who: &Arc<Principal>,
        name: Name,
        door: Door,
        head: &dyn RequestHead,
    ) -> Result<Self, Refused> {
        let auth = state.gate.authorize(who, Infer { deployment: name })?;
        match state.serving.pick(&auth, Ask { version: door.version.as_deref(), head }) {
            Ok(picked) => Ok(Self { state: state.clone(), auth, picked, door }),
            Err(why) => {
                let why = Refused::from(why);
                let _id = state.serving.refuse(&auth, door.refusal(None, &why));
                Err(why)
            }
        }
    }

    /// What the model takes.
    pub fn contract(&self) -> &Arc<Contract> {
        self.picked.contract()
    }

    /// Reads the body and lets `parse` make something of it.
    ///
    /// # Errors
    /// [`Refused`] when it is too large, or `parse` refuses it.
    pub async fn read<T: Send + 'static>(
        &self,
        body: axum::body::Body,
        parse: impl FnOnce(&Bytes, &Contract) -> Result<T, InputError> + Send + 'static,
    ) -> Result<T, Refused> {
        let bytes = read_body(body, self.state.max_body).await?;
        let contract = Arc::clone(self.contract());
        if bytes.len() < LARGE {
            return Ok(parse(&bytes, &contract)?);
        }
        tokio::task::spawn_blocking(move || parse(&bytes, &contract))
            .await
            .map_err(|e| Refused::new(ErrorKind::Internal, format!("reading the body failed: {e}")))?
            .map_err(Refused::from)
    }

    /// Runs the model. `id` is the caller's own id in the body, which goes before one beside it.
    ///
    /// # Errors
    /// [`Refused`]; the journal has it already.
    pub async fn infer(
        mut self,
        inputs: Vec<NamedTensor>,
        values: Vec<(Arc<str>, Node)>,
        id: Option<Arc<str>>,
    ) -> Result<Answer, Refused> {
        let variant = self.picked.variant(&inputs);
        let request = InferRequest {
            version: None,
            picked: Some(self.picked),
            client_id: id.or(self.door.client_id),
            inputs,
            params: GivenParams { values, flat: false },
            protocol: self.door.protocol,
            deadline: self.door.deadline,
            received: self.door.received,
        };
        self.state.serving.infer(&self.auth, request).await.map_err(|why| Refused::from(why).by(&variant))
    }

    /// Leaves a refused body in the journal.
    pub fn refuse(self, why: Refused) -> Refused {
        let why = match self.picked.named() {
            Some(variant) => why.by(&variant),
            None => why,
        };
        let _id = self.state.serving.refuse(&self.auth, self.door.refusal(Some(self.picked), &why));
        why
    }
}

/// Says in its headers which prediction an answer is, and closes its event.
///
/// # Errors
/// [`Refused`] when answers wait for the disk and it does not take the event.
pub async fn finish(mut response: Response, answer: Answer) -> Result<Response, Refused> {
    let headers = response.headers_mut();
    let id = answer.id.to_string();
    for (name, value) in
        [(PREDICTION_ID, id.as_str()), (VARIANT, &answer.target.variant), (MODEL_VERSION, &answer.target.version)]
    {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    if let Some(Ok(flags)) = answer.flags.as_deref().map(HeaderValue::from_str) {
        headers.insert(FLAGS, flags);
    }
    if let Some(cache) = answer.cache {
        headers.insert(CACHE, HeaderValue::from_static(cache.status()));
    }
    answer.encoded().await?;
    Ok(response)
}
