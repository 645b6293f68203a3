//! What may be done to monitors and profiles, and which permission it needs.

use mainspring_core::{Action, Effect, Name, Resource};

/// Look at monitors, their columns and what they have told.
#[derive(Debug, Clone)]
pub struct ReadMonitors {
    /// Which one; `None` is all of the tenant's.
    pub monitor: Option<Name>,
}

impl Action for ReadMonitors {
    const NAME: &'static str = "monitor.read";
    const EFFECT: Effect = Effect::Read;

    fn resource(&self) -> Resource {
        Resource { kind: "monitor", name: self.monitor.as_ref().map_or_else(|| "*".to_owned(), ToString::to_string) }
    }
}

/// Declare a monitor, or take it away.
#[derive(Debug, Clone)]
pub struct DeclareMonitor {
    /// Which one.
    pub monitor: Name,
}

impl Action for DeclareMonitor {
    const NAME: &'static str = "monitor.declare";
    const EFFECT: Effect = Effect::Write;

    fn resource(&self) -> Resource {
        Resource { kind: "monitor", name: self.monitor.to_string() }
    }
}

/// Look at the profile of a model's version.
#[derive(Debug, Clone)]
pub struct ReadProfile {
    /// The registered model.
    pub model: String,
}

impl Action for ReadProfile {
    const NAME: &'static str = "profile.read";
    const EFFECT: Effect = Effect::Read;

    fn resource(&self) -> Resource {
        Resource { kind: "model", name: self.model.clone() }
    }
}

/// Save a profile with a model's version.
#[derive(Debug, Clone)]
pub struct SaveProfile {
    /// The registered model.
    pub model: String,
}

impl Action for SaveProfile {
    const NAME: &'static str = "profile.save";
    const EFFECT: Effect = Effect::Write;

    fn resource(&self) -> Resource {
        Resource { kind: "model", name: self.model.clone() }
    }
}
