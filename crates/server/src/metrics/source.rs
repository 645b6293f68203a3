//! Where readings come from: the parts, asked at one moment.

use super::{Reading, resident};
use crate::health::Health;
use crate::start::Parts;
use mainspring_alert::{Alerts, ReadAlerts};
use mainspring_core::{Denied, Gate, Principal};
use mainspring_cost::{Costs, ReadCost};
use mainspring_journal::Journal;
use mainspring_rollout::{ReadRollouts, Rollouts};
use mainspring_serving::{Describe, ReadStats, Serving};
use std::sync::Arc;
use std::time::Instant;

/// Reads the parts.
#[derive(Clone)]
pub struct Source {
    serving: Serving,
    journal: Journal,
    rollouts: Rollouts,
    alerts: Alerts,
    costs: Costs,
    health: Health,
    gate: Gate,
    began: Instant,
}

impl Source {
    /// Of these parts, from now on.
    pub fn new(parts: &Parts, health: Health) -> Self {
        Self {
            serving: parts.serving.clone(),
            journal: parts.journal.clone(),
            rollouts: parts.rollouts.clone(),
            alerts: parts.alerts.clone(),
            costs: parts.costs.clone(),
            health,
            gate: parts.gate.clone(),
            began: Instant::now(),
        }
    }

    /// What `who` may see of it, now.
    ///
    /// # Errors
    /// [`Denied`] when they may not see all of it.
    pub fn read(&self, who: &Arc<Principal>) -> Result<Reading, Denied> {
        let gate = &self.gate;
        Ok(Reading {
            deployments: self.serving.stats(&gate.authorize(who, ReadStats { deployment: None })?),
            views: self.serving.list(&gate.authorize(who, Describe { deployment: None })?),
            rollouts: self.rollouts.list(&gate.authorize(who, ReadRollouts { rollout: None })?),
            standings: self.alerts.standings(&gate.authorize(who, ReadAlerts)?),
            budgets: self.costs.standings(&gate.authorize(who, ReadCost)?),
            journal: self.journal.stats(),
            health: self.health.report(),
            uptime: self.began.elapsed(),
            resident: resident(),
        })
    }
}
