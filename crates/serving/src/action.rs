//! What may be done to deployments, and which permission it needs.

use mainspring_core::{Action, Effect, Name, Resource};

const KIND: &str = "deployment";

/// Call a deployment.
#[derive(Debug, Clone)]
pub struct Infer {
    /// Which deployment.
    pub deployment: Name,
}

impl Action for Infer {
    const NAME: &'static str = "deployment.infer";
    const EFFECT: Effect = Effect::Infer;

    fn resource(&self) -> Resource {
        Resource { kind: KIND, name: self.deployment.to_string() }
    }
}

/// Ask whether a deployment is ready and what it takes and gives: whoever may call it may know.
#[derive(Debug, Clone)]
pub struct Describe {
    /// Which deployment; `None` is all of the tenant's.
    pub deployment: Option<Name>,
}

impl Action for Describe {
    const NAME: &'static str = "deployment.describe";
    const EFFECT: Effect = Effect::Infer;

    fn resource(&self) -> Resource {
        one_or_all(self.deployment.as_ref())
    }
}

/// Read counters, latencies and batch closings.
#[derive(Debug, Clone)]
pub struct ReadStats {
    /// Which deployment; `None` is all of the tenant's.
    pub deployment: Option<Name>,
}

impl Action for ReadStats {
    const NAME: &'static str = "deployment.stats";
    const EFFECT: Effect = Effect::Read;

    fn resource(&self) -> Resource {
        one_or_all(self.deployment.as_ref())
    }
}

/// Declare a deployment, or change it.
#[derive(Debug, Clone)]
pub struct Deploy {
    /// Which deployment.
    pub deployment: Name,
}

impl Action for Deploy {
    const NAME: &'static str = "deployment.deploy";
    const EFFECT: Effect = Effect::Write;

    fn resource(&self) -> Resource {
        Resource { kind: KIND, name: self.deployment.to_string() }
    }
}

/// Take a deployment away.
#[derive(Debug, Clone)]
pub struct Undeploy {
    /// Which deployment.
    pub deployment: Name,
}

impl Action for Undeploy {
    const NAME: &'static str = "deployment.undeploy";
    const EFFECT: Effect = Effect::Write;

    fn resource(&self) -> Resource {
        Resource { kind: KIND, name: self.deployment.to_string() }
    }
}

fn one_or_all(deployment: Option<&Name>) -> Resource {
    Resource { kind: KIND, name: deployment.map_or_else(|| "*".to_owned(), ToString::to_string) }
}
