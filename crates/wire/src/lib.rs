//! Tensors on the wire: the Open Inference Protocol's v2 request and response as JSON and binary
//! data, and the JSON reader and writer under them, which other protocols share. Nothing here knows
//! HTTP or a deployment.
//!
//! Source of the format: the Open Inference Protocol's "required API" and Triton's binary tensor
//! data extension.

mod alike;
mod classes;
pub mod cursor;
mod data;
mod decimal;
mod error;
mod node;
pub mod npy;
mod parser;
mod request;
pub mod response;

pub use classes::{Classes, classified};
pub use cursor::Cursor;
pub use decimal::Decimal;
pub use error::BodyError;
pub use node::Node;
pub use request::{InferBody, Wanted};
pub use response::{Rendered, Reply, Selection, render, render_part};

#[cfg(test)]
mod tests;
