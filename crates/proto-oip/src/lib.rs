//! The Open Inference Protocol v2 in Triton's dialect.

pub mod v2;

/// Generated from `proto/`.
#[allow(clippy::pedantic, missing_docs)]
pub mod pb {
    tonic::include_proto!("inference");
}
