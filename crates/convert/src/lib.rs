//! Models made faster, with a proof that they answer the same: conversion to ONNX, and variants of an ONNX
//! model (graph optimisation, int8, fp16), each measured against what it comes from.
//!
//! Python programs export and measure, in an environment layered on the model's own; they decide nothing.
//! What is decided (does it pass, which one is registered, which version serves) is decided here, by
//! functions without I/O. A job runs in the background and is read, step by step, until it has ended; it is a row of
//! the database, which every replica reads and which says of a job that its server stopped.

mod action;
mod conversions;
mod decide;
mod error;
mod findings;
mod job;
pub mod lineage;
mod order;
mod ports;
mod report;
mod run;
mod sql;
#[cfg(test)]
mod tests;

pub use action::{Convert, ReadConversion};
pub use conversions::{Conversions, Settings};
pub use error::ConvertError;
pub use findings::{Candidate, Failed, Findings, Output, Speed};
pub use job::{Course, Job, State, Why};
pub use order::{Gate, Order, Rows, Task, Tolerance};
pub use ports::{Found, Models, NewModel, PortError};
pub use sql::MIGRATIONS;
