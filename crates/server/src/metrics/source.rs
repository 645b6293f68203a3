//! Where readings come from: the parts, asked at one moment.

use super::firing::Firing;
use super::{Families, Reading, resident};
use crate::deployments::acting_for;
use crate::health::Health;
use crate::start::Parts;
use mainspring_alert::{Alerts, ReadAlerts};
use mainspring_core::{Denied, Gate, Principal, Tenant};
use mainspring_cost::{Costs, ReadCost};
use mainspring_journal::Journal;
use mainspring_monitor::live::{Monitors, ReadMonitors};
use mainspring_rollout::{ReadRollouts, Rollouts};
use mainspring_serving::{Describe, ReadStats, Serving};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

/// Series that are told of all tenants together: a message of OTLP with so many is within the 4 MiB that a collector takes.
const MOST_SERIES: usize = 10_000;

/// What all tenants do.
#[derive(Debug)]
pub struct Everything {
    /// The process's own numbers and the tenant `default`'s, as a page has them; then those of other tenants, which say
    /// whose they are.
    pub families: Families,
    /// Tenants that are left out, because there are too many series.
    pub left_out: usize,
}

/// Reads the parts.
#[derive(Clone)]
pub struct Source {
    serving: Serving,
    journal: Journal,
    rollouts: Rollouts,
    alerts: Alerts,
    firing: Firing,
    monitors: Monitors,
    costs: Costs,
    health: Health,
    gate: Gate,
    began: Instant,
}

impl Source {
    /// Of these parts, from now on. Counts the alerts that fire until shutdown.
    pub fn new(parts: &Parts, health: Health) -> Self {
        Self {
            serving: parts.serving.clone(),
            journal: parts.journal.clone(),
            rollouts: parts.rollouts.clone(),
            alerts: parts.alerts.clone(),
            firing: Firing::follow(parts.alerts.clone(), &parts.ctx.tasks),
            monitors: parts.monitors.clone(),
            costs: parts.costs.clone(),
            health,
            gate: parts.gate.clone(),
            began: Instant::now(),
        }
    }

    /// What all tenants do, now: for exporters, which no tenant asks.
    ///
    /// # Errors
    /// [`Denied`] when the server itself may not see it.
    pub fn everything(&self) -> Result<Everything, Denied> {
        let families = self.read(&Arc::new(Principal::system()))?.families();
        let others = self.serving.tenants().into_iter().chain(self.costs.tenants()).chain(self.firing.tenants());
        let others: BTreeSet<Tenant> = others.filter(|tenant| *tenant != Tenant::default()).collect();
        let mut all = Everything { families, left_out: 0 };
        for tenant in others {
            let mut theirs = Families::default();
            self.read(&acting_for(&tenant))?.tenants_own(&mut theirs);
            if all.families.series() + theirs.series() > MOST_SERIES {
                all.left_out += 1;
            } else {
                all.families.join(tenant.as_str(), theirs);
            }
        }
        Ok(all)
    }

    /// What `who` may see of it, now.
    ///
    /// # Errors
    /// [`Denied`] when they may not see all of it.
    pub fn read(&self, who: &Arc<Principal>) -> Result<Reading, Denied> {
        let gate = &self.gate;
        let read_alerts = gate.authorize(who, ReadAlerts)?;
        Ok(Reading {
            deployments: self.serving.stats(&gate.authorize(who, ReadStats { deployment: None })?),
            views: self.serving.list(&gate.authorize(who, Describe { deployment: None })?),
            rollouts: self.rollouts.list(&gate.authorize(who, ReadRollouts { rollout: None })?),
            standings: self.alerts.standings(&read_alerts),
            firing: self.firing.of(&read_alerts),
            monitors: self.monitors.list(&gate.authorize(who, ReadMonitors { monitor: None })?),
            budgets: self.costs.standings(&gate.authorize(who, ReadCost)?),
            journal: self.journal.stats(),
            health: self.health.report(),
            uptime: self.began.elapsed(),
            resident: resident(),
        })
    }
}
