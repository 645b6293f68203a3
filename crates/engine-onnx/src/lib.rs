//! ONNX Runtime behind the engine port. The library is found at run time and loaded once a process;
//! a machine without it still runs everything else, and says what is missing when a model is to be
//! loaded.

mod classes;
mod convert;
mod elf;
mod find;
mod join;
mod kept;
mod model;
mod pool;
mod runtime;
mod scan;
#[cfg(test)]
mod tests;
mod types;

pub use find::{Found, find};
pub use runtime::OnnxRuntime;
