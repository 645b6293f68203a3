//! Python workers behind the engine port: any MLflow model with the `python_function` flavor, run by
//! a process of its own. No pickle is ever opened in this process.
//!
//! A worker is the model's Python with `worker.py` of this crate, which comes to it through the
//! socket that it also answers over; so there is no file, no port and no path that another process
//! could use. The socket closes with this process, however it ends, and the worker with the socket.

mod environment;
mod find;
mod frame;
mod grow;
mod model;
mod nested;
mod pool;
mod runtime;
mod size;
mod supervise;
mod tail;
#[cfg(test)]
mod tests;
mod tools;
mod worker;

pub use find::{Found, find};
pub use runtime::{PythonRuntime, PythonSettings};
pub use tools::WORKER;
