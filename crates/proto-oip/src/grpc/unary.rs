//! `ModelInfer` by itself, which is what nearly every call is: without a router, and without the boxes of generated code.

use super::service::model_infer;
use super::{METHODS, compressed};
use crate::pb;
use crate::rest::infer::Answering;
use crate::state::OipState;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::codec::EnabledCompressionEncodings;
use tonic::server::{Grpc, UnaryService};
use tonic_prost::ProstCodec;

/// `POST /inference.GRPCInferenceService/ModelInfer`, without a router.
#[derive(Debug, Clone)]
pub struct GrpcInfer(OipState);

impl GrpcInfer {
    /// Over this state.
    pub fn new(state: OipState) -> Self {
        Self(state)
    }

    /// Whether a request is for it.
    pub fn takes<B>(request: &http::Request<B>) -> bool {
        request.method() == http::Method::POST
            && request.uri().path().strip_prefix(METHODS).is_some_and(|method| method == "ModelInfer")
    }
}

impl tower::Service<Request> for GrpcInfer {
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Answering {
        let state = self.0.clone();
        Box::pin(async move {
            let limit = state.limits().max_body;
            let mut server = Grpc::new(ProstCodec::default())
                .apply_compression_config(compressed(), EnabledCompressionEncodings::default())
                .apply_max_message_size_config(Some(limit), Some(usize::MAX));
            Ok(server.unary(Infer(state), request).await.map(Body::new))
        })
    }
}

struct Infer(OipState);

impl UnaryService<pb::ModelInferRequest> for Infer {
    type Response = pb::ModelInferResponse;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Self::Response>, tonic::Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<pb::ModelInferRequest>) -> Self::Future {
        let state = self.0.clone();
        Box::pin(async move { model_infer(&state, request).await })
    }
}
