//! Live traffic against its reference, all the time: the kind `Monitor`.
//!
//! Of each minute of a deployment's rows a uniform sample is taken ([`rows`]), each column's values are put into the
//! reference's bins and bet on in their order ([`track`]), and [`Watch`] makes of the columns one state with its
//! transitions. What is estimated of its answers before labels come is a part of it ([`outlook`]). It is pure: the same minutes give the same state. [`Controller`] feeds it from the journal and writes
//! state, position and transitions in one transaction, so that after a crash no row counts twice and none is left out.

mod action;
mod control;
pub mod detectors;
mod early;
mod error;
mod form;
mod history;
mod labels;
mod learned;
mod monitors;
mod narrow;
pub mod outlook;
mod part;
mod ports;
pub mod rows;
pub mod spec;
mod sql;
pub mod track;
mod training;
mod watch;
mod why;
mod words;

pub use action::{DeclareMonitor, ReadMonitors, ReadProfile, SaveProfile};
pub use control::{Controller, Ports};
pub use error::WatchError;
pub use history::{Effect, Point};
pub use monitors::{Monitors, SavedProfile, View, kind};
pub use part::{Beside, Part};
pub use ports::{
    About, Alarm, Alarms, Answer, Answered, Asked, Estimates, FreshVersion, Models, NamedFile, PortError, PortResult,
    RowStream, Rows, Traffic, Trained, Wanted,
};
pub use spec::{MonitorSpec, SpecError};
pub use sql::MIGRATIONS;
pub use watch::{Compared, References, Saved, Transition, TransitionKind, Watch, Wrong};
pub use why::{Answers, Cause, Given, Unit, Why};
pub use words::{side, why};

/// The outbox topic of alarms on their way to whom they concern.
const ALARMS: &str = "monitor.alarm";
