//! Rollouts: a candidate takes a deployment's traffic in steps, and evidence decides.

mod kind;
pub mod spec;

pub use kind::kind;
pub use spec::{RolloutSpec, SpecError};
