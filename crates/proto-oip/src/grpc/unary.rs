//! `ModelInfer` by itself, which is what nearly every call is: without a router, and without the boxes of generated code.

use super::COMPRESSED;
use super::service::model_infer;
use crate::direct::{Answering, Direct};
use crate::pb;
use crate::state::OipState;
use axum::body::Body;
use axum::extract::Request;
use std::pin::Pin;
use tonic::codec::EnabledCompressionEncodings;
use tonic::server::{Grpc, UnaryService};
use tonic_prost::ProstCodec;

const MODEL_INFER: &str = "/inference.GRPCInferenceService/ModelInfer";

/// `POST /inference.GRPCInferenceService/ModelInfer`.
pub fn grpc_infer(state: OipState) -> Direct {
    let takes = |request: &Request| request.method() == http::Method::POST && request.uri().path() == MODEL_INFER;
    let answer = |state: OipState, request: Request| -> Answering {
        Box::pin(async move {
            let mut accepted = EnabledCompressionEncodings::default();
            for encoding in COMPRESSED {
                accepted.enable(encoding);
            }
            let mut server = Grpc::new(ProstCodec::default())
                .apply_compression_config(accepted, EnabledCompressionEncodings::default())
                .apply_max_message_size_config(Some(state.limits().max_body), Some(usize::MAX));
            Ok(server.unary(Infer(state), request).await.map(Body::new))
        })
    };
    Direct { state, takes, answer }
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
