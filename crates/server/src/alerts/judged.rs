//! What rules counted, minute by minute: serving counts since it began, so that a minute is what came since the last look.

use crate::deployments::acting_for;
use mainspring_alert::slo::{Count, RuleLimit, Series};
use mainspring_core::{Ctx, Gate, Name, Tenant, Timestamp};
use mainspring_serving::{ReadStats, RuleView, Serving};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};

/// Minutes that are kept: as many as are asked for again, and some more.
const KEPT: usize = 90;
const MINUTE: i64 = 60_000_000;

/// Counts of one rule.
#[derive(Debug, Default)]
struct Minutes {
    /// Rows and broken ones at the last look.
    last: (u64, u64),
    each: VecDeque<Count>,
}

impl Minutes {
    fn add(&mut self, at: Timestamp, now: (u64, u64)) {
        // A rule that says something else counts from the beginning.
        let from = if now.0 < self.last.0 || now.1 < self.last.1 { (0, 0) } else { self.last };
        self.last = now;
        let (total, bad) = (now.0 - from.0, now.1 - from.1);
        if total == 0 && bad == 0 {
            return;
        }
        match self.each.back_mut().filter(|count| count.at == at) {
            Some(count) => (count.total, count.bad) = (count.total + total, count.bad + bad),
            None => self.each.push_back(Count { at, total, bad }),
        }
        while self.each.len() > KEPT {
            self.each.pop_front();
        }
    }
}

/// What the rules of this process's deployments counted.
#[derive(Debug)]
pub struct Judged {
    serving: Serving,
    gate: Gate,
    ctx: Ctx,
    minutes: Mutex<HashMap<Series, Minutes>>,
}

impl Judged {
    /// Nothing was looked at yet.
    pub fn new(serving: Serving, gate: Gate, ctx: Ctx) -> Self {
        Self { serving, gate, ctx, minutes: Mutex::default() }
    }

    /// Takes what was counted since the last look, by the rules of these deployments; those of others are forgotten. It
    /// must be all that have rules, whether or not somebody wants to hear of them: a limit that is declared later begins
    /// with what comes then, and not with all that was ever counted.
    pub fn look(&self, deployments: &[(Tenant, Name)]) {
        let now = self.ctx.now();
        let at = Timestamp(now.micros() - now.micros().rem_euclid(MINUTE));
        let mut minutes = self.minutes.lock();
        let mut next = HashMap::new();
        for (tenant, deployment) in deployments {
            let views = self.views(tenant, deployment);
            if views.is_empty() {
                // Nothing answers at the moment; what was counted goes on where it was.
                next.extend(minutes.extract_if(|of, _| of.tenant == *tenant && of.deployment == *deployment));
            }
            for rule in views {
                let counted = (rule.looked, rule.broken);
                let (tenant, deployment) = (tenant.clone(), deployment.clone());
                let series = Series { tenant, deployment, counted: RuleLimit::counted(&rule.name) };
                let mut of = minutes.remove(&series).unwrap_or_default();
                of.add(at, counted);
                next.insert(series, of);
            }
        }
        *minutes = next;
    }

    fn views(&self, tenant: &Tenant, deployment: &Name) -> Vec<RuleView> {
        match self.gate.authorize(&acting_for(tenant), ReadStats { deployment: Some(deployment.clone()) }) {
            Ok(auth) => self.serving.stats(&auth).into_iter().flat_map(|stats| stats.rules).collect(),
            Err(error) => {
                tracing::error!(%deployment, %error, "cannot read what rules counted");
                Vec::new()
            }
        }
    }

    /// The minutes from `since` on.
    pub fn minutes(&self, limit: &RuleLimit, since: Timestamp) -> Vec<Count> {
        let minutes = self.minutes.lock();
        let of = minutes.get(&limit.series());
        of.map(|of| of.each.iter().filter(|count| count.at >= since).copied().collect()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_what_came_since_the_last_look() {
        let mut minutes = Minutes::default();
        let of = |minutes: &Minutes| minutes.each.iter().map(|c| (c.at.micros(), c.total, c.bad)).collect::<Vec<_>>();
        minutes.add(Timestamp(0), (10, 1));
        minutes.add(Timestamp(0), (15, 3));
        minutes.add(Timestamp(MINUTE), (15, 3));
        minutes.add(Timestamp(2 * MINUTE), (20, 3));
        assert_eq!(of(&minutes), [(0, 15, 3), (2 * MINUTE, 5, 0)]);
        minutes.add(Timestamp(3 * MINUTE), (4, 4));
        assert_eq!(of(&minutes)[2], (3 * MINUTE, 4, 4), "the rule was declared anew and counts from nothing");
    }
}
