//! How many alerts fire. They are rows of the database: they are counted in the background, so that a scrape asks no
//! database.

use super::Reading;
use super::family::{Families, Kind};
use mainspring_alert::{AlertError, Alerts, ReadAlerts, Severity, Source};
use mainspring_core::{Authorized, Tasks, Tenant};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How often they are counted.
const EVERY: Duration = Duration::from_secs(10);
/// What alerts are about that last. What a rollout decides happens once, and does not fire.
const LASTING: [Source; 4] = [Source::Slo, Source::Drift, Source::Quality, Source::Budget];
const SEVERITIES: [Severity; 3] = [Severity::Info, Severity::Ticket, Severity::Page];

/// Alerts that fire, by how severe and what about; what is not in it is none.
pub type Counts = BTreeMap<(Severity, Source), u64>;

/// Alerts of all tenants that fire, as they were counted last. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Firing(Arc<RwLock<Option<BTreeMap<Tenant, Counts>>>>);

impl Firing {
    /// Counted from now on, every ten seconds, until shutdown.
    pub fn follow(alerts: Alerts, tasks: &Tasks) -> Self {
        let firing = Self::default();
        let me = firing.clone();
        drop(tasks.spawn("metrics: alerts that fire", async move {
            loop {
                me.look(&alerts).await;
                tokio::time::sleep(EVERY).await;
            }
        }));
        firing
    }

    /// Counts once. Of a database that does not answer nothing is told, since what fired may be over.
    async fn look(&self, alerts: &Alerts) {
        let counted = count(alerts).await;
        // Health says that the database does not answer.
        let counted = counted.inspect_err(|error| tracing::debug!(%error, "alerts that fire cannot be counted"));
        *self.0.write() = counted.ok();
    }

    /// Those of the tenant; `None` while nobody knows.
    pub fn of(&self, auth: &Authorized<ReadAlerts>) -> Option<Counts> {
        let all = self.0.read();
        Some(all.as_ref()?.get(auth.tenant()).cloned().unwrap_or_default())
    }

    /// The tenants that have some.
    pub fn tenants(&self) -> Vec<Tenant> {
        self.0.read().iter().flat_map(|all| all.keys().cloned()).collect()
    }
}

async fn count(alerts: &Alerts) -> Result<BTreeMap<Tenant, Counts>, AlertError> {
    let mut all: BTreeMap<Tenant, Counts> = BTreeMap::new();
    for source in LASTING {
        for (tenant, alert) in alerts.firing(source).await? {
            *all.entry(tenant).or_default().entry((alert.subject.severity, source)).or_default() += 1;
        }
    }
    Ok(all)
}

impl Reading {
    pub(super) fn alerts(&self, all: &mut Families) {
        let Some(firing) = &self.firing else { return };
        let help = "alerts that fire by severity and source, silenced ones too, of all replicas";
        all.family("mainspring_alerts_firing", Kind::Gauge, help);
        for severity in SEVERITIES {
            for source in LASTING {
                // None is told, too: who watches for more than none sees it end.
                let count = firing.get(&(severity, source)).copied().unwrap_or(0);
                all.sample(&[("severity", severity.as_str()), ("source", source.as_str())], count as f64);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::Sender;
    use mainspring_alert::{MIGRATIONS, Signal, Subject};
    use mainspring_artifact::AwsSigner;
    use mainspring_http::Reach;
    use mainspring_testkit::{TempDb, may, may_in};
    use mainspring_webhook::Vault;

    fn signal(source: Source, severity: Severity, of: &str, active: bool) -> Signal {
        let subject = Subject {
            name: "Test".into(),
            source,
            severity,
            labels: BTreeMap::from([("of".to_owned(), of.to_owned())]),
            sentence: String::new(),
            numbers: serde_json::json!({}),
            query: None,
            runbook: None,
            page: None,
        };
        Signal { subject, active, keep: Duration::ZERO }
    }

    #[tokio::test]
    async fn alerts_that_fire_are_counted_by_tenant_until_they_end_or_nobody_knows() {
        let temp = TempDb::sqlite();
        let db = temp.open_with(&[MIGRATIONS]).await;
        let sender = Sender::new(Reach::Public, AwsSigner::new(&[]).unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let alerts = Alerts::new(db.clone(), temp.ctx.clone(), Vault::new(folder.path()), Arc::new(sender));
        let (mine, acme) = (Tenant::default(), Tenant::new("acme").unwrap());
        let firing = Firing::default();
        assert_eq!(firing.of(&may(ReadAlerts)), None, "not counted yet");
        for of in ["a", "b"] {
            alerts.observe(&mine, signal(Source::Drift, Severity::Page, of, true)).await.unwrap();
        }
        alerts.observe(&acme, signal(Source::Slo, Severity::Ticket, "a", true)).await.unwrap();
        firing.look(&alerts).await;
        assert_eq!(firing.of(&may(ReadAlerts)), Some(Counts::from([((Severity::Page, Source::Drift), 2)])));
        let theirs = firing.of(&may_in(&acme, ReadAlerts));
        assert_eq!(theirs, Some(Counts::from([((Severity::Ticket, Source::Slo), 1)])));
        assert_eq!(firing.tenants(), [acme, mine.clone()]);
        alerts.observe(&mine, signal(Source::Drift, Severity::Page, "a", false)).await.unwrap();
        firing.look(&alerts).await;
        assert_eq!(firing.of(&may(ReadAlerts)), Some(Counts::from([((Severity::Page, Source::Drift), 1)])));
        db.close().await;
        firing.look(&alerts).await;
        assert_eq!(firing.of(&may(ReadAlerts)), None);
    }
}
