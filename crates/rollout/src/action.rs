//! What may be done to rollouts, and which permission it needs.

use crate::machine::Order;
use mainspring_core::{Action, Effect, Name, Resource};

fn one_or_all(rollout: Option<&Name>) -> Resource {
    Resource { kind: "rollout", name: rollout.map_or_else(|| "*".to_owned(), ToString::to_string) }
}

/// Look at rollouts, their evidence and their decisions.
#[derive(Debug, Clone)]
pub struct ReadRollouts {
    /// Which one; `None` is all of the tenant's.
    pub rollout: Option<Name>,
}

impl Action for ReadRollouts {
    const NAME: &'static str = "rollout.read";
    const EFFECT: Effect = Effect::Read;

    fn resource(&self) -> Resource {
        one_or_all(self.rollout.as_ref())
    }
}

/// Declare a rollout, or begin its next run.
#[derive(Debug, Clone)]
pub struct StartRollout {
    /// Which one.
    pub rollout: Name,
}

impl Action for StartRollout {
    const NAME: &'static str = "rollout.start";
    const EFFECT: Effect = Effect::Write;

    fn resource(&self) -> Resource {
        one_or_all(Some(&self.rollout))
    }
}

/// Pause, resume, promote, abort, skip or approve.
#[derive(Debug, Clone)]
pub struct OrderRollout {
    /// Which one.
    pub rollout: Name,
    /// What.
    pub order: Order,
    /// Why, in words: it stands in the decision.
    pub reason: Option<String>,
}

impl Action for OrderRollout {
    const NAME: &'static str = "rollout.order";
    const EFFECT: Effect = Effect::Write;

    fn resource(&self) -> Resource {
        one_or_all(Some(&self.rollout))
    }
}
