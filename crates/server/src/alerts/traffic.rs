//! alert asks for objectives, limits and counts: deployments declare the first two; the journal's tiles and serving's
//! rules have the others.

use super::answering::Answers;
use super::judged::Judged;
use mainspring_alert::slo::{Count, Objective, RuleLimit, faulty};
use mainspring_alert::{Severity, Traffic};
use mainspring_core::{Name, Tenant, Timestamp};
use mainspring_journal::{Journal, RequestTile};
use mainspring_serving::{DeploymentSpec, RuleAction, RulesSpec, SloSpec};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What deployments promise: objectives, and how many rows may break their rules. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Slos(Arc<RwLock<BTreeMap<(Tenant, Name), Promise>>>);

#[derive(Debug)]
struct Promise {
    slo: Option<SloSpec>,
    rules: Option<RulesSpec>,
}

impl Slos {
    /// What a deployment declares now.
    pub fn set(&self, tenant: &Tenant, deployment: &Name, spec: Option<&DeploymentSpec>) {
        let key = (tenant.clone(), deployment.clone());
        match spec {
            Some(spec) => {
                let promise = Promise { slo: spec.slo.clone(), rules: spec.rules.clone() };
                self.0.write().insert(key, promise);
            }
            None => drop(self.0.write().remove(&key)),
        }
    }

    fn rules(&self) -> Vec<RuleLimit> {
        let all = self.0.read();
        let declared = all.iter().filter_map(|(of, promise)| Some((of, promise.rules.as_ref()?)));
        declared.flat_map(|((tenant, deployment), rules)| limits(tenant, deployment, rules)).collect()
    }

    /// The deployments that have rules.
    fn ruled(&self) -> Vec<(Tenant, Name)> {
        let all = self.0.read();
        all.iter().filter(|(_, promise)| promise.rules.is_some()).map(|(of, _)| of.clone()).collect()
    }

    fn objectives(&self) -> Vec<Objective> {
        let all = self.0.read();
        all.iter()
            .filter_map(|(of, promise)| Some((of, promise.slo.as_ref()?)))
            .flat_map(|((tenant, deployment), slo)| {
                slo.objectives().into_iter().map(move |(name, target, within)| Objective {
                    tenant: tenant.clone(),
                    deployment: deployment.clone(),
                    name: name.to_owned(),
                    target,
                    within,
                    minimum: slo.minimum,
                    runbook: slo.runbook.clone(),
                    answers: None,
                })
            })
            .collect()
    }
}

/// The limits of one deployment; none where it wants no alert.
fn limits(tenant: &Tenant, deployment: &Name, rules: &RulesSpec) -> Vec<RuleLimit> {
    let Some(alert) = &rules.alert else { return Vec::new() };
    let each = rules.names().into_iter().zip(&rules.expectations);
    each.map(|(rule, spec)| RuleLimit {
        tenant: tenant.clone(),
        deployment: deployment.clone(),
        rule,
        over: spec.allowed().unwrap_or_else(|| alert.over.share()),
        window: alert.window.0,
        minimum: alert.minimum,
        severity: if alert.page { Severity::Page } else { Severity::Ticket },
        runbook: alert.runbook.clone(),
        recorded: rules.action_of(spec) != RuleAction::Count,
    })
    .collect()
}

/// What this process counted.
#[derive(Debug)]
pub struct Counted {
    /// What is declared.
    pub slos: Slos,
    /// Has the tiles.
    pub journal: Journal,
    /// Has what rules counted.
    pub judged: Judged,
    /// Knows who answers.
    pub answering: Answers,
}

impl Traffic for Counted {
    fn objectives(&self) -> Vec<Objective> {
        let all = self.slos.objectives().into_iter();
        all.map(|one| Objective { answers: self.answering.alone(&one.tenant, &one.deployment), ..one }).collect()
    }

    fn minutes(&self, objective: &Objective, since: Timestamp) -> Vec<Count> {
        let minutes = self.journal.tiles().minutes(&objective.tenant, objective.deployment.as_str(), since);
        minutes.iter().map(|(at, tile)| count(objective, *at, tile)).collect()
    }

    fn rules(&self) -> Vec<RuleLimit> {
        self.judged.look(&self.slos.ruled());
        self.slos.rules()
    }

    fn judged(&self, limit: &RuleLimit, since: Timestamp) -> Vec<Count> {
        self.judged.minutes(limit, since)
    }
}

/// Requests of the server's own account, and those of them that were not good.
fn count(objective: &Objective, at: Timestamp, tile: &RequestTile) -> Count {
    match objective.within {
        None => {
            let of = |fault: bool| tile.failed.iter().filter(|(k, _)| faulty(*k) == fault).map(|(_, n)| n).sum::<u64>();
            Count { at, total: tile.requests.saturating_sub(of(false)), bad: of(true) }
        }
        Some(within) => {
            let times = &tile.total.quantiles;
            let quick = times.view().rank(within.as_secs_f64() * 1e6).unwrap_or(1.0);
            let slow = ((1.0 - quick) * times.count() as f64).round() as u64;
            // A failure is neither quick nor slow, as for Prometheus: it is bad for the availability alone. Tiles of earlier
            // versions have failures among the times.
            let total = times.count().min(tile.requests.saturating_sub(tile.errors()));
            Count { at, total, bad: slow.min(total) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainspring_core::ErrorKind;
    use std::time::Duration;

    fn objective(within: Option<Duration>) -> Objective {
        Objective {
            tenant: Tenant::default(),
            deployment: Name::new("churn").unwrap(),
            name: "x".into(),
            target: 0.99,
            within,
            minimum: 20,
            runbook: None,
            answers: None,
        }
    }

    #[test]
    fn a_callers_own_failures_count_neither_as_good_nor_as_bad() {
        let failed = vec![(ErrorKind::InvalidInput, 30), (ErrorKind::Internal, 5), (ErrorKind::Overloaded, 2)];
        let tile = RequestTile { requests: 100, failed, ..RequestTile::default() };
        let counted = count(&objective(None), Timestamp(60), &tile);
        assert_eq!((counted.total, counted.bad), (70, 7));
    }

    #[test]
    fn a_request_that_takes_exactly_as_long_as_allowed_is_good() {
        let mut tile = RequestTile { requests: 4, ..RequestTile::default() };
        tile.total.quantiles.extend(&[19_999.0, 20_000.0, 20_000.1, 50_000.0]);
        let counted = count(&objective(Some(Duration::from_millis(20))), Timestamp(60), &tile);
        assert_eq!((counted.total, counted.bad), (4, 2));
        assert_eq!(count(&objective(Some(Duration::from_millis(20))), Timestamp(60), &RequestTile::default()).bad, 0);
    }

    #[test]
    fn a_failure_is_not_an_answer_in_time() {
        // Nine of ten fail, some of them late: what is left is as slow as it is.
        let failed = vec![(ErrorKind::Overloaded, 90)];
        let mut tile = RequestTile { requests: 100, failed, ..RequestTile::default() };
        tile.total.quantiles.extend(&[[50_000.0; 5], [10_000.0; 5]].concat());
        let counted = count(&objective(Some(Duration::from_millis(20))), Timestamp(60), &tile);
        assert_eq!((counted.total, counted.bad), (10, 5));
        // A tile that an earlier version wrote has the failures' times, too.
        tile.total = RequestTile::default().total;
        tile.total.quantiles.extend(&[[10.0; 90].as_slice(), &[50_000.0; 5], &[10_000.0; 5]].concat());
        let counted = count(&objective(Some(Duration::from_millis(20))), Timestamp(60), &tile);
        // Of a hundred times a sketch keeps the ranks, and not each.
        assert!(counted.total == 10 && (3..=7).contains(&counted.bad), "{counted:?}");
    }
}
