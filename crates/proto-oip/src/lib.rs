//! The Open Inference Protocol v2 in Triton's dialect: REST with the binary tensor extension, gRPC
//! and WebSocket. A thin layer: it parses, asks for permission, calls serving and renders.

mod direct;
mod encoding;
mod error;
mod grpc;
mod rest;
mod state;
mod view;
mod ws;

pub use direct::{Answering, Direct, Takes};
pub use error::{render_error, render_grpc_error};
pub use grpc::{grpc, grpc_infer, grpc_probes};
pub use rest::infer::rest_infer;
pub use rest::{probes, routes};
pub use state::{Limits, OipState};

/// Messages and services generated from `proto/`.
#[allow(clippy::pedantic, missing_docs)]
pub mod pb {
    tonic::include_proto!("inference");
}

#[cfg(test)]
mod tests;
