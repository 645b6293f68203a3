//! Contextual bandits: which of several actions fits a context, learnt from rewards. Every choice is an event of the
//! journal with the probability with which it was made, every reward is feedback about it, so that what was learnt can
//! be checked, and other policies valued, from the same log as everything else.

pub mod action;
pub mod error;
pub mod spec;

mod features;
mod learner;
mod personalizers;
mod ports;
mod sql;

pub use action::{Inspect, Rank};
pub use error::PersonalizeError;
pub use features::FeatureError;
pub use learner::Candidate;
pub use personalizers::{Personalizers, RankRequest, Ranked, View};
pub use ports::{Log, Past, PortError};
pub use spec::PersonalizerSpec;
pub use sql::MIGRATIONS;
