//! What may be asked about cost, and which permission it needs.

use mainspring_core::{Action, Effect, Resource};

/// Look at what the caller's own tenant costs.
#[derive(Debug, Clone, Copy)]
pub struct ReadCost;

impl Action for ReadCost {
    const NAME: &'static str = "cost.read";
    const EFFECT: Effect = Effect::Read;

    fn resource(&self) -> Resource {
        Resource { kind: "cost", name: "*".to_owned() }
    }
}

/// Look at what every tenant costs; only the default tenant's administrators may.
#[derive(Debug, Clone, Copy)]
pub struct ReadAllCost;

impl Action for ReadAllCost {
    const NAME: &'static str = "cost.readall";
    const EFFECT: Effect = Effect::Admin;

    fn resource(&self) -> Resource {
        Resource { kind: "cost", name: "*".to_owned() }
    }
}
