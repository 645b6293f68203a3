//! The gRPC door: `inference.GRPCInferenceService` in Triton's dialect, and `grpc.health.v1.Health`.

mod convert;
mod health;
mod models;
mod service;
mod unary;

use crate::pb::grpc_inference_service_server::GrpcInferenceServiceServer;
use crate::state::OipState;
use axum::Router;
use service::Service;
#[cfg(test)]
pub(crate) use service::grpc_timeout;
use tonic::codec::CompressionEncoding;
use tonic_health::pb::health_server::HealthServer;
pub use unary::grpc_infer;

/// How requests may be compressed.
const COMPRESSED: [CompressionEncoding; 2] = [CompressionEncoding::Gzip, CompressionEncoding::Deflate];

/// The protocol's service for callers that a guard has authenticated; render its refusals with
/// [`crate::render_grpc_error`]. Takes gzip and deflate; answers uncompressed, since clients announce
/// compression whether they want it or not.
pub fn grpc(state: OipState) -> Router {
    let limit = state.limits().max_body;
    let service = GrpcInferenceServiceServer::new(Service::new(state))
        .max_decoding_message_size(limit)
        .max_encoding_message_size(usize::MAX);
    let service = COMPRESSED.into_iter().fold(service, GrpcInferenceServiceServer::accept_compressed);
    Router::new().route_service("/inference.GRPCInferenceService/{method}", service)
}

/// `grpc.health.v1.Health` for probes that carry no key: the server as a whole, by the empty name or
/// by the name of the service. It belongs in front of the guard.
pub fn grpc_probes(state: OipState) -> Router {
    Router::new().route_service("/grpc.health.v1.Health/{method}", HealthServer::new(health::Probe::new(state)))
}
