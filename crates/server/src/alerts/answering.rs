//! Which version an objective is about: the one that alone answers a deployment.

use crate::deployments::acting_for;
use mainspring_alert::slo::{Answering, PERIOD};
use mainspring_core::{Ctx, Gate, Name, Tenant};
use mainspring_journal::Journal;
use mainspring_serving::{Describe, Serving};
use std::time::Duration;

/// Knows who answers.
#[derive(Debug, Clone)]
pub struct Answers {
    /// Has the deployments of this process.
    pub serving: Serving,
    /// Knows who answered before.
    pub journal: Journal,
    /// Decides who may do what.
    pub gate: Gate,
    /// Says what time it is.
    pub ctx: Ctx,
}

impl Answers {
    /// The version that alone answers, and since when; nothing while a rollout decides, or nothing answers.
    pub fn alone(&self, tenant: &Tenant, deployment: &Name) -> Option<Answering> {
        let action = Describe { deployment: Some(deployment.clone()) };
        let view = self.serving.describe(&self.gate.authorize(&acting_for(tenant), action).ok()?)?;
        let target = &view.current().filter(|_| view.rollout.is_none())?.contract.target;
        let of = (&*target.model, &*target.version);
        // A candidate may have gone a minute ago, and what it did still counts.
        let held = match self.journal.tiles().last_of_others(tenant, deployment.as_str(), of) {
            Some(other) => Duration::from_micros(u64::try_from(self.ctx.now().micros() - other.micros()).unwrap_or(0)),
            None => PERIOD,
        };
        Some(Answering { model: of.0.to_owned(), version: of.1.to_owned(), held })
    }
}
