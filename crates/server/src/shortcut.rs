//! Past the router: nearly every request asks a model by its name, and finding a route among two hundred, with a boxed
//! service and a boxed future on the way, costs a twentieth of what the whole answer does (ADR 0033).

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::future::RouteFuture;
use futures::future::Either;
use mainspring_http::guard::Finish;
use mainspring_http::{Guard, Guarded, Render};
use mainspring_proto_oip::{
    Answering, Direct, OipState, Takes, grpc_infer, render_error, render_grpc_error, rest_infer,
};
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::Service;

/// The two calls that nearly all are, and the router for all others. The router has routes for both, too: for paths that
/// are written in another way, and for when every request has a span.
#[derive(Clone)]
pub struct Shortcut(Arc<Ways>);

struct Ways {
    /// Which requests it takes, and who answers them.
    taken: Vec<(Takes, Guarded<Direct>)>,
    router: Router,
}

impl Shortcut {
    /// `router`, with its two routes to models taken out of turn.
    pub fn new(oip: OipState, guard: &Guard, router: Router) -> Self {
        let calls = [(rest_infer(oip.clone()), render_error as Render), (grpc_infer(oip), render_grpc_error as Render)];
        let taken = calls.map(|(call, render)| (call.takes, guard.protect_service(call, render))).into();
        Self(Arc::new(Ways { taken, router }))
    }

    /// Every request by way of `router`.
    pub fn none(router: Router) -> Self {
        Self(Arc::new(Ways { taken: Vec::new(), router }))
    }
}

impl Service<Request> for Shortcut {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Finish<Answering>, RouteFuture<Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // Nothing of them is cloned but what is called: a clone is made for each request.
        match self.0.taken.iter().find(|(takes, _)| takes(&request)) {
            Some((_, call)) => Either::Left(call.clone().call(request)),
            None => Either::Right(self.0.router.clone().call(request)),
        }
    }
}
