//! Alerts: what is wrong, who is told of it, when, and how often.
//!
//! ```text
//! looks ─▶ alert ─┐                        ┌─▶ webhook, Slack, PagerDuty, mail, SNS
//!                 ├─▶ group ─▶ delivery ───┤
//! happenings ─────┘     (one transaction)  └─▶ again, until it is taken
//! ```
//!
//! [`machine`] decides and does no I/O. Anybody may say what he sees ([`Alerts::observe`]); what follows is written in
//! one transaction with the journal's event. The [`Controller`] of one process leads: it makes notices and sends them.
//! [`slo`] turns counts of requests into error budgets and looks.

mod action;
mod alerts;
mod control;
mod error;
mod kind;
pub mod machine;
mod matcher;
mod notice;
mod ports;
pub mod render;
mod sha;
mod signal;
mod silence;
pub mod slo;
pub mod spec;
mod sql;

pub use action::{ReadAlerts, SilenceAlerts, TryChannel};
pub use alerts::{Alerts, ChannelView, NewSilence};
pub use control::{Controller, Ports};
pub use error::AlertError;
pub use kind::kind;
pub use machine::{Alert, Phase};
pub use matcher::Matcher;
pub use notice::{Item, Notice, Status};
pub use ports::{Courier, Freezer, Happenings, PortError, Refused, Traffic};
pub use signal::{DETECTED_CHANGE, Happening, MONITOR_STOPPED, Severity, Signal, Source, Subject};
pub use silence::Silence;
pub use spec::ChannelSpec;
pub use sql::{Delivery, DeliveryState, MIGRATIONS};
