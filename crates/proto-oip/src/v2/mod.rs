//! The wire form of the protocol's inference request and response: JSON and the binary tensor data
//! extension. Nothing here knows HTTP or a deployment.
//!
//! Source of the format: the Open Inference Protocol's "required API" and Triton's binary tensor
//! data extension.

mod cursor;
mod data;
mod error;
mod request;
pub mod response;

pub use error::BodyError;
pub use request::{InferBody, Wanted};
pub use response::{Rendered, Reply, Selection, render};

#[cfg(test)]
mod tests;
