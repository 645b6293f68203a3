//! What every door of this crate shares.

use crate::error::Refused;
use mainspring_core::{Authorized, Ctx, ErrorKind, Failure, Gate, Name, Principal, Protocol};
use mainspring_http::Caller;
use mainspring_serving::{
    Answer, AnswerParts, Ask, Contract, DeploymentStats, DeploymentView, Describe, GivenParams, Infer, InferRequest,
    Picked, ReadStats, Refusal, ServeError, Serving, VariantName,
};
use mainspring_wire::{BodyError, InferBody, response};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the protocol needs from the rest of the server.
#[derive(Clone)]
pub struct OipState {
    inner: Arc<Inner>,
}

struct Inner {
    serving: Serving,
    gate: Gate,
    ctx: Ctx,
    limits: Limits,
    ready: Box<dyn Fn() -> bool + Send + Sync>,
}

impl std::fmt::Debug for OipState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OipState").field("limits", &self.inner.limits).finish_non_exhaustive()
    }
}

/// Sizes that a request may have.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Largest request, bytes, after its compression is undone; also the largest gRPC message and
    /// WebSocket message. Default 64 MiB.
    pub max_body: usize,
    /// Requests of one WebSocket or one gRPC stream that may be in flight together; further ones
    /// wait in the connection. Default 64.
    pub max_in_flight: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_body: 64 << 20, max_in_flight: 64 }
    }
}

impl OipState {
    /// State over these domains. `ready` answers whether the server as a whole takes requests; it is
    /// asked on every readiness probe and must not block. Streams and sockets are tasks of `ctx`:
    /// they end when it is told to stop.
    pub fn new(
        serving: Serving,
        gate: Gate,
        ctx: Ctx,
        limits: Limits,
        ready: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { inner: Arc::new(Inner { serving, gate, ctx, limits, ready: Box::new(ready) }) }
    }

    pub(crate) fn serving(&self) -> &Serving {
        &self.inner.serving
    }

    pub(crate) fn ctx(&self) -> &Ctx {
        &self.inner.ctx
    }

    pub(crate) fn limits(&self) -> Limits {
        self.inner.limits
    }

    /// Whether the server takes requests.
    pub(crate) fn ready(&self) -> bool {
        (self.inner.ready)()
    }

    /// Opens a call of `model`.
    pub(crate) fn call(&self, caller: &Arc<Principal>, model: &str, door: Door) -> Result<Call, Refused> {
        let deployment = name(model)?;
        let auth = self.inner.gate.authorize(caller, Infer { deployment })?;
        Ok(Call { state: self.clone(), auth, door })
    }

    /// One deployment as it stands.
    pub(crate) fn view(&self, caller: &Arc<Principal>, model: &str) -> Result<DeploymentView, Refused> {
        let auth = self.inner.gate.authorize(caller, Describe { deployment: Some(name(model)?) })?;
        self.serving().describe(&auth).ok_or_else(|| self.nobody(&auth))
    }

    /// All deployments of the caller's tenant.
    pub(crate) fn views(&self, caller: &Arc<Principal>) -> Result<Vec<DeploymentView>, Refused> {
        let auth = self.inner.gate.authorize(caller, Describe { deployment: None })?;
        Ok(self.serving().list(&auth))
    }

    /// Statistics of one deployment, or of all.
    pub(crate) fn stats(&self, caller: &Arc<Principal>, model: Option<&str>) -> Result<Vec<DeploymentStats>, Refused> {
        let deployment = model.map(name).transpose()?;
        let auth = self.inner.gate.authorize(caller, ReadStats { deployment })?;
        let found = self.serving().stats(&auth);
        match model {
            // What has no counters does not exist.
            Some(_) if found.is_empty() => self.view(caller, model.unwrap_or_default()).map(|_| found),
            _ => Ok(found),
        }
    }

    /// The error for a deployment that does not exist, with the nearest name there is.
    fn nobody(&self, auth: &Authorized<Describe>) -> Refused {
        let name = auth.action().deployment.as_ref().map_or("", Name::as_str);
        match self.serving().ready(auth, None) {
            Err(e) => e.into(),
            Ok(()) => Refused::new(ErrorKind::NotFound, format!("there is no deployment {name:?}")),
        }
    }
}

/// Who is asking; refused when no guard said so.
pub(crate) fn caller(extensions: &http::Extensions) -> Result<Arc<Principal>, Refused> {
    Caller::of(extensions).ok_or_else(|| Refused::new(ErrorKind::Unauthenticated, "nobody vouches for this request"))
}

/// A model's name. What cannot be a name cannot be deployed.
fn name(model: &str) -> Result<Name, Refused> {
    Name::new(model).map_err(|e| Refused::new(ErrorKind::NotFound, format!("there is no deployment {model:?}: {e}")))
}

/// By which door a request came, when, and until when somebody waits for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Door {
    pub(crate) protocol: Protocol,
    pub(crate) received: Instant,
    /// Limit that came beside the body: a header, gRPC's own deadline.
    pub(crate) deadline: Option<Instant>,
}

impl Door {
    pub(crate) fn new(protocol: Protocol) -> Self {
        Self { protocol, received: Instant::now(), deadline: None }
    }

    pub(crate) fn within(mut self, limit: Option<Duration>) -> Self {
        self.deadline = earlier(self.deadline, limit.and_then(|l| self.received.checked_add(l)));
        self
    }
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

/// Who was to answer a request that is turned away.
pub(crate) enum Whom<'a> {
    /// The version that it names, or whichever is due.
    Version(Option<&'a str>),
    /// Who was found.
    Picked(Picked),
}

/// A call that is allowed.
#[derive(Debug)]
pub(crate) struct Call {
    state: OipState,
    auth: Authorized<Infer>,
    door: Door,
}

impl Call {
    pub(crate) fn contract(&self, version: Option<&str>) -> Result<Arc<Contract>, Refused> {
        Ok(self.state.serving().contract(&self.auth, version)?)
    }

    /// Finds who answers; when nobody does, that is in the journal. `id` is the caller's own.
    pub(crate) fn pick(&self, ask: Ask<'_>, id: Option<&Arc<str>>) -> Result<Picked, Refused> {
        let picked = self.state.serving().pick(&self.auth, ask);
        picked.map_err(|why| self.refuse(Whom::Version(ask.version), id.cloned(), why))
    }

    /// Runs a parsed request. `body` keeps its outputs and id for the rendering.
    pub(crate) async fn infer(&self, picked: Picked, body: &mut InferBody) -> Result<Answer, Refused> {
        let (variant, answer) = self.begin(picked, body)?;
        answer.await.map_err(|why| Refused::from(why).by(&variant))
    }

    /// Checks what is asked for and starts the request. Apart from the waiting, which would hold all of it meanwhile.
    fn begin(
        &self,
        mut picked: Picked,
        body: &mut InferBody,
    ) -> Result<(VariantName, impl Future<Output = Result<Answer, ServeError>>), Refused> {
        if let Some(wanted) = &body.outputs {
            let contract = Arc::clone(picked.contract());
            let names = contract.signature.outputs.iter().map(|o| &*o.name);
            if let Some(missing) = wanted.iter().find(|w| !names.clone().any(|n| n == &*w.name)) {
                let why = response::unknown(&missing.name, names);
                return Err(self.refuse(Whom::Picked(picked), body.id.clone(), why));
            }
        }
        let variant = picked.variant(&body.inputs);
        let request = self.request(picked, body);
        Ok((variant, self.state.serving().infer(&self.auth, request)))
    }

    /// Runs a parsed request whose answer comes in parts.
    pub(crate) fn infer_parts(&self, mut picked: Picked, body: &mut InferBody) -> Result<AnswerParts, Refused> {
        let variant = picked.variant(&body.inputs);
        let request = self.request(picked, body);
        self.state.serving().infer_parts(&self.auth, request).map_err(|why| Refused::from(why).by(&variant))
    }

    fn request(&self, picked: Picked, body: &mut InferBody) -> InferRequest {
        let timeout = body.timeout_us.filter(|us| *us > 0).map(Duration::from_micros);
        InferRequest {
            version: None,
            picked: Some(picked),
            client_id: body.id.clone(),
            inputs: std::mem::take(&mut body.inputs),
            params: GivenParams {
                values: std::mem::take(&mut body.params),
                flat: self.door.protocol == Protocol::OipGrpc,
            },
            protocol: self.door.protocol,
            deadline: self.door.within(timeout).deadline,
            received: self.door.received,
        }
    }

    /// Turns a body away and leaves that in the journal.
    pub(crate) fn refuse(&self, whom: Whom<'_>, client_id: Option<Arc<str>>, why: impl Into<Refused>) -> Refused {
        let mut why = why.into();
        let (version, picked) = match whom {
            Whom::Version(version) => (version.map(str::to_owned), None),
            Whom::Picked(picked) => (None, Some(picked)),
        };
        if let Some(variant) = picked.as_ref().and_then(Picked::named) {
            why = why.by(&variant);
        }
        let refusal = Refusal {
            version,
            picked,
            client_id,
            protocol: self.door.protocol,
            received: self.door.received,
            kind: why.kind,
            message: why.message.clone(),
        };
        let _id = self.state.serving().refuse(&self.auth, refusal);
        why
    }

    /// An answer that cannot be written down.
    pub(crate) fn unwritable(answer: Answer, why: BodyError) -> Refused {
        let variant = VariantName::of(&answer.target);
        answer.failed(why.kind(), &why.to_string());
        Refused::from(why).by(&variant)
    }
}
