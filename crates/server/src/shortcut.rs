//! Past the router: nearly every request asks a model by its name, and finding a route among two hundred, with a boxed
//! service and a boxed future on the way, costs a twentieth of what the whole answer does (ADR 0033).

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::future::RouteFuture;
use futures::future::Either;
use mainspring_http::guard::Finish;
use mainspring_http::{Guard, Guarded};
use mainspring_proto_oip::{Answering, GrpcInfer, OipState, RestInfer};
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::Service;

/// The two calls that nearly all are, and the router for all others. The router has routes for both, too: for paths that
/// are written in another way, and for when every request has a span.
#[derive(Clone)]
pub struct Shortcut(Arc<Ways>);

struct Ways {
    taken: Option<(Guarded<RestInfer>, Guarded<GrpcInfer>)>,
    router: Router,
}

impl Shortcut {
    /// `router`, with its two routes to models taken out of turn.
    pub fn new(oip: OipState, guard: &Guard, router: Router) -> Self {
        let rest = guard.protect_service(RestInfer::new(oip.clone()), mainspring_proto_oip::render_error);
        let grpc = guard.protect_service(GrpcInfer::new(oip), mainspring_proto_oip::render_grpc_error);
        Self(Arc::new(Ways { taken: Some((rest, grpc)), router }))
    }

    /// Every request by way of `router`.
    pub fn none(router: Router) -> Self {
        Self(Arc::new(Ways { taken: None, router }))
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
        match &self.0.taken {
            Some((rest, _)) if RestInfer::takes(&request) => Either::Left(rest.clone().call(request)),
            Some((_, grpc)) if GrpcInfer::takes(&request) => Either::Left(grpc.clone().call(request)),
            _ => Either::Right(self.0.router.clone().call(request)),
        }
    }
}
