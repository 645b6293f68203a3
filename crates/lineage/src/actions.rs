//! What one can do to lineage.
//!
//! Sending is authorised but not audited event by event: the events are themselves the record.

use mainspring_core::{Action, Effect, Resource};

fn all() -> Resource {
    Resource { kind: "lineage", name: "*".into() }
}

/// Looks at events, jobs, datasets and the graph.
#[derive(Debug, Clone, Copy)]
pub struct ReadLineage;

impl Action for ReadLineage {
    const NAME: &'static str = "lineage.read";
    const EFFECT: Effect = Effect::Read;

    fn resource(&self) -> Resource {
        all()
    }
}

/// Sends events about jobs and datasets outside.
#[derive(Debug, Clone, Copy)]
pub struct SendLineage;

impl Action for SendLineage {
    const NAME: &'static str = "lineage.send";
    const EFFECT: Effect = Effect::Write;

    fn resource(&self) -> Resource {
        all()
    }
}
