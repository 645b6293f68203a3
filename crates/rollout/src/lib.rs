//! Rollouts: a candidate takes a deployment's traffic in steps, and evidence decides.
//!
//! ```text
//! events ─▶ ledger ─▶ report ─┐
//!                             ├─▶ machine ─▶ state + routing row + decision
//! facts (fleet, people) ──────┘
//! ```
//!
//! [`ledger`] folds answers and labels into evidence by unit; [`machine`] decides and does no I/O.

mod event;
mod kind;
pub mod ledger;
pub mod machine;
mod pilot;
mod replay;
pub mod simulate;
pub mod spec;

pub use event::{Event, Exposure, Label, ShadowAnswer};
pub use kind::kind;
pub use ledger::{Ledger, Limits, Plan, Report};
pub use machine::{Decision, DecisionKind, Facts, Machine, Order, Phase, State};
pub use pilot::Pilot;
pub use replay::{Difference, Record, Replayed, replay};
pub use spec::{RolloutSpec, SpecError};
