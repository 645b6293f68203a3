//! Domain values into DTOs.

pub(crate) mod alerts;
pub(crate) mod conversions;
pub(crate) mod cost;
pub(crate) mod deployments;
pub(crate) mod downsample;
pub(crate) mod estimates;
pub(crate) mod models;
pub(crate) mod monitors;
pub(crate) mod performance;
pub(crate) mod resources;
pub(crate) mod rollouts;
pub(crate) mod security;
pub(crate) mod span;
pub(crate) mod tracking;
