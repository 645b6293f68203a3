//! cost tells where budgets are; who asked hears of it.

use super::port;
use mainspring_alert::{Alerts, Severity, Signal, Source, Subject};
use mainspring_core::Tenant;
use mainspring_cost::budget::{Alarm, Mark};
use mainspring_cost::{Alarms, PortResult};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a forecast must be within the budget before it is over.
const CALM: Duration = Duration::from_secs(1_800);

/// Passes on what budgets say.
#[derive(Debug, Clone)]
pub struct Treasurer {
    /// Tells who asked.
    pub alerts: Alerts,
}

/// A look at one threshold: half of a budget is worth knowing, and from four fifths on somebody looks at it.
fn signal(alarm: &Alarm) -> Signal {
    let (severity, threshold) = match alarm.mark {
        Mark::Percent(percent) if percent < 80 => (Severity::Info, percent.to_string()),
        Mark::Percent(percent) => (Severity::Ticket, percent.to_string()),
        Mark::Forecast => (Severity::Ticket, "forecast".to_owned()),
    };
    let mut labels = BTreeMap::from([("budget", alarm.budget.to_string()), ("threshold", threshold)]);
    labels.extend(alarm.deployment.clone().map(|d| ("deployment", d)));
    labels.extend(alarm.key.clone().map(|k| ("key", k)));
    Signal {
        subject: Subject {
            name: if alarm.mark == Mark::Forecast { "BudgetForecast" } else { "BudgetSpent" }.to_owned(),
            source: Source::Budget,
            severity,
            labels: labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
            sentence: alarm.sentence.clone(),
            numbers: alarm.numbers.clone(),
            query: Some(alarm.query.clone()),
            runbook: alarm.runbook.clone(),
            page: Some("/ui/cost".to_owned()),
        },
        active: alarm.active,
        // What is spent stays spent until its period ends; a pace that is just enough would come and go.
        keep: if alarm.mark == Mark::Forecast { CALM } else { Duration::ZERO },
    }
}

impl Alarms for Treasurer {
    fn tell<'a>(&'a self, all: &'a [(Tenant, Alarm)], nothing: &'a BTreeSet<Tenant>) -> PortResult<'a, ()> {
        Box::pin(async move {
            let mut known = BTreeSet::new();
            for (tenant, alarm) in all {
                let signal = signal(alarm);
                known.insert((tenant.clone(), signal.subject.fingerprint()));
                self.alerts.observe(tenant, signal).await.map_err(|e| port(&e))?;
            }
            for (tenant, alert) in self.alerts.firing(Source::Budget).await.map_err(|e| port(&e))? {
                if nothing.contains(&tenant) || known.contains(&(tenant.clone(), alert.fingerprint.clone())) {
                    continue;
                }
                let mut subject = alert.subject;
                "the budget is no longer declared so, or can no longer be reckoned".clone_into(&mut subject.sentence);
                let over = Signal { subject, active: false, keep: Duration::ZERO };
                self.alerts.observe(&tenant, over).await.map_err(|e| port(&e))?;
            }
            Ok(())
        })
    }
}
