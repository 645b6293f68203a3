//! Rollouts: a candidate takes a deployment's traffic in steps, and evidence decides.
//!
//! ```text
//! events ─▶ ledger ─▶ report ─┐
//!                             ├─▶ machine ─▶ state + routing row + decision, one transaction
//! facts (fleet, people) ──────┘
//! ```
//!
//! [`ledger`] folds answers and labels into evidence by unit; [`machine`] decides and does no I/O; the [`Controller`] of
//! one process leads, feeds both, and writes. What is in memory can be lost at any time: state and decisions are in the
//! database, and the evidence is folded again from the journal. [`Rollouts`] is what others ask.

mod action;
mod control;
mod course;
mod error;
mod event;
mod kind;
mod layers;
pub mod ledger;
pub mod machine;
pub mod news;
mod pilot;
mod ports;
pub mod rehearsal;
mod replay;
mod rollouts;
pub mod simulate;
pub mod spec;
mod sql;

pub use action::{OrderRollout, ReadRollouts, StartRollout};
pub use control::{Controller, Ports};
pub use course::{Course, MetricCourse, Point};
pub use error::RolloutError;
pub use event::{Event, Exposure, Label, ShadowAnswer, Unitless};
pub use kind::kind;
pub use ledger::{Ledger, Limits, Plan, Report};
pub use machine::{Decision, DecisionKind, Facts, Machine, Order, Phase, State};
pub use pilot::Pilot;
pub use ports::{
    Answer, Batch, Before, Declarations, Earlier, EventStream, Events, Fleet, FleetView, PortError, PortResult,
    Question, Said, Tripped, Wanted, Webhooks,
};
pub use replay::{Difference, Record, Replay, Replayed, replay};
pub use rollouts::{Rollouts, View};
pub use spec::{LayerError, RolloutSpec, SpecError};
pub use sql::{MIGRATIONS, NEWS_MIGRATIONS, Routing, Run};

/// The outbox topic of what deployments are to declare.
pub(crate) const FOLLOWS: &str = "rollout.follow";

/// The outbox topic of versions that are to be frozen.
pub(crate) const FREEZES: &str = "rollout.freeze";
