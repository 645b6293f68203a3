//! alert asks for objectives and for counts; deployments declare the ones, the journal's tiles have the others.

use mainspring_alert::Traffic;
use mainspring_alert::slo::{Count, Objective, faulty};
use mainspring_core::{Name, Tenant, Timestamp};
use mainspring_journal::{Journal, RequestTile};
use mainspring_serving::SloSpec;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The objectives that deployments declare. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Slos(Arc<RwLock<BTreeMap<(Tenant, Name), SloSpec>>>);

impl Slos {
    /// What a deployment declares now.
    pub fn set(&self, tenant: &Tenant, deployment: &Name, slo: Option<&SloSpec>) {
        let key = (tenant.clone(), deployment.clone());
        match slo {
            Some(slo) => drop(self.0.write().insert(key, slo.clone())),
            None => drop(self.0.write().remove(&key)),
        }
    }

    fn objectives(&self) -> Vec<Objective> {
        let all = self.0.read();
        all.iter()
            .flat_map(|((tenant, deployment), slo)| {
                slo.objectives().into_iter().map(move |(name, target, within)| Objective {
                    tenant: tenant.clone(),
                    deployment: deployment.clone(),
                    name: name.to_owned(),
                    target,
                    within,
                    minimum: slo.minimum,
                    runbook: slo.runbook.clone(),
                })
            })
            .collect()
    }
}

/// What this process counted.
#[derive(Debug, Clone)]
pub struct Counted {
    /// What is declared.
    pub slos: Slos,
    /// Has the tiles.
    pub journal: Journal,
}

impl Traffic for Counted {
    fn objectives(&self) -> Vec<Objective> {
        self.slos.objectives()
    }

    fn minutes(&self, objective: &Objective, since: Timestamp) -> Vec<Count> {
        let minutes = self.journal.tiles().minutes(&objective.tenant, objective.deployment.as_str(), since);
        minutes.iter().map(|(at, tile)| count(objective, *at, tile)).collect()
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
        let mut tile = RequestTile::default();
        tile.requests = 4;
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
        tile.total.quantiles.extend(&[10.0; 90]);
        let counted = count(&objective(Some(Duration::from_millis(20))), Timestamp(60), &tile);
        assert_eq!((counted.total, counted.bad), (10, 5));
    }
}
