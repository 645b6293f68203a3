//! The whole: configuration, wiring, background jobs, shutdown. Nothing here decides anything that
//! a domain could; it opens the parts, joins them, and closes them in order.

mod alerts;
mod app;
pub mod backup;
pub mod config;
mod console;
mod conversions;
mod costs;
mod data;
mod deployments;
pub mod doctor;
mod error;
mod export;
mod health;
mod keys;
mod lineage;
mod listen;
mod metrics;
mod monitors;
mod personalizers;
mod ports;
mod rollouts;
mod rules;
mod shortcut;
mod start;
pub mod telemetry;
mod trace;
mod upkeep;
mod views;
mod wiring;

pub use error::StartError;
pub use keys::{Made, NewKey, create_key};
pub use metrics::dashboard;
pub use start::{About, Running, start};
pub use wiring::{Engines, open_engines};

/// The version of this binary.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
