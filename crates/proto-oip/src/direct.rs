//! One call of the protocol as a service of its own, for whoever puts it in front of a router.

use crate::state::OipState;
use axum::extract::Request;
use axum::response::Response;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// An answer on its way.
pub type Answering = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// Whether a request is for a call.
pub type Takes = fn(&Request) -> bool;

/// A call without a router: made by [`crate::rest_infer`] and [`crate::grpc_infer`].
#[derive(Debug, Clone)]
pub struct Direct {
    pub(crate) state: OipState,
    /// Whether a request is for it.
    pub takes: Takes,
    pub(crate) answer: fn(OipState, Request) -> Answering,
}

impl tower::Service<Request> for Direct {
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Answering {
        (self.answer)(self.state.clone(), request)
    }
}
