//! The guard as a tower layer without a boxed future of its own: it stands in the path of every
//! prediction.

use super::origin::{Trick, check_loopback, check_origin};
use super::{AuthFailure, Caller, Credential, Guard, Peer, parse};
use crate::problem::{Problem, REQUEST_ID, Render, status_headers};
use axum::body::Body;
use axum::response::Response;
use http::Request;
use http::header::{CONTENT_LENGTH, HeaderValue};
use mainspring_core::{Clock, ErrorKind, Failure, IdGen, Principal, SystemClock, SystemIds};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::{Layer, Service};

#[derive(Clone)]
pub(super) struct GuardLayer(Arc<Settings>);

struct Settings {
    guard: Guard,
    render: Render,
    required: bool,
}

impl GuardLayer {
    pub(super) fn new(guard: Guard, render: Render, required: bool) -> Self {
        Self(Arc::new(Settings { guard, render, required }))
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, settings: Arc::clone(&self.0) }
    }
}

/// A service with the guard in front of it.
#[derive(Clone)]
pub struct Guarded<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Finish<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let id = request.headers().get(REQUEST_ID).filter(|id| id.len() <= 128).cloned();
        match self.settings.admit(&mut request) {
            None => Finish { id, state: State::Inner(self.inner.call(request)) },
            refusal => Finish { id, state: State::Refused(refusal) },
        }
    }
}

enum State<F> {
    Inner(F),
    Refused(Option<Response>),
}

/// A refusal, or what the service answers.
pub struct Finish<F> {
    id: Option<HeaderValue>,
    state: State<F>,
}

impl<F: Future<Output = Result<Response, Infallible>> + Unpin> Future for Finish<F> {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answered = match &mut self.state {
            State::Inner(inner) => std::task::ready!(Pin::new(inner).poll(cx)),
            State::Refused(refusal) => Ok(refusal.take().unwrap_or_default()),
        };
        let id = self.id.take();
        Poll::Ready(answered.map(|response| stamp(response, id)))
    }
}

/// Echoes the request id that the client sent. An error gets one in any case, in its header and in
/// a problem body.
fn stamp(mut response: Response, id: Option<HeaderValue>) -> Response {
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        let id = id.or_else(|| HeaderValue::try_from(SystemIds.event(SystemClock.now()).to_string()).ok());
        status_headers(status, response.headers_mut());
        if let Some(id) = id {
            if let (Some(problem), Ok(text)) = (response.extensions_mut().remove::<Arc<Problem>>(), id.to_str()) {
                let problem = Problem { request_id: Some(text.to_owned()), ..(*problem).clone() };
                response.headers_mut().remove(CONTENT_LENGTH);
                *response.body_mut() = Body::from(problem.to_bytes());
            }
            tracing::debug!(status = status.as_u16(), request_id = ?id, "request failed");
            response.headers_mut().insert(REQUEST_ID, id);
        }
    } else if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

enum Refusal {
    Auth(AuthFailure),
    Trick(Trick),
    Nobody,
}

impl Settings {
    /// Sets the caller, or answers with the refusal.
    fn admit(&self, request: &mut Request<Body>) -> Option<Response> {
        match self.identify(request) {
            Ok(who) => {
                Caller::put(request.extensions_mut(), who);
                None
            }
            Err(_) if !self.required => None,
            Err(refusal) => Some(self.refuse(&refusal)),
        }
    }

    fn identify(&self, request: &Request<Body>) -> Result<Arc<Principal>, Refusal> {
        let from = request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |p| p.address.ip());
        let found = parse::find(request.headers()).map_err(Refusal::Auth)?;
        let Some(credential) = found.credential(request.method()) else { return self.by_address(request, from) };
        if matches!(credential, Credential::Session { .. }) {
            check_origin(request).map_err(Refusal::Trick)?;
        }
        match self.guard.authenticator.authenticate(credential, from) {
            // A cookie left over from an earlier run must not lock the operator out of their own
            // machine.
            Err(AuthFailure::SessionEnded) => {
                self.by_address(request, from).map_err(|_| Refusal::Auth(AuthFailure::SessionEnded))
            }
            other => other.map_err(Refusal::Auth),
        }
    }

    fn by_address(&self, request: &Request<Body>, from: IpAddr) -> Result<Arc<Principal>, Refusal> {
        if !from.to_canonical().is_loopback() {
            return Err(Refusal::Nobody);
        }
        let who = self.guard.authenticator.loopback().ok_or(Refusal::Nobody)?;
        check_loopback(request, self.guard.authenticator.hosts()).map_err(Refusal::Trick)?;
        Ok(who)
    }

    fn refuse(&self, refusal: &Refusal) -> Response {
        match refusal {
            Refusal::Auth(failure) => (self.render)(failure.kind(), &failure.to_string(), failure.hint().as_deref()),
            Refusal::Trick(trick) => {
                (self.render)(ErrorKind::Denied, trick.message(), Some("send an API key: 'Authorization: Bearer KEY'"))
            }
            Refusal::Nobody => (self.render)(
                ErrorKind::Unauthenticated,
                "this server wants an API key and the request has none",
                Some("send it as 'Authorization: Bearer KEY', as Basic password, or as 'x-api-key: KEY'"),
            ),
        }
    }
}
