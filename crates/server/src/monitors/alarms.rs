//! monitor tells of drift; who asked hears of it, and rollouts carry out its orders.

use crate::deployments::acting_for;
use mainspring_alert::{Alerts, DETECTED_CHANGE, MONITOR_STOPPED, Severity, Signal, Source, Subject};
use mainspring_core::{Failure, Gate, Name};
use mainspring_monitor::live::spec::{RolloutOrder, Severity as HowBad};
use mainspring_monitor::live::{About, Alarm, Alarms, PortError, PortResult};
use mainspring_rollout::{Order, OrderRollout, ReadRollouts, RolloutError, Rollouts};
use std::time::Duration;

/// Passes on what a monitor tells, and carries out what it orders.
#[derive(Debug, Clone)]
pub struct Deputy {
    /// Tells who asked.
    pub alerts: Alerts,
    /// Takes orders.
    pub rollouts: Rollouts,
    /// Decides who may do what.
    pub gate: Gate,
}

fn port(e: &dyn Failure) -> PortError {
    PortError { kind: e.kind(), message: e.to_string() }
}

impl Deputy {
    /// The rollout that has the alarm's deployment now.
    fn rollout_of(&self, alarm: &Alarm) -> Result<Option<Name>, PortError> {
        let read = ReadRollouts { rollout: None };
        let auth = self.gate.authorize(&acting_for(&alarm.tenant), read).map_err(|e| port(&e))?;
        let has = |run: &mainspring_rollout::Run| run.spec.deployment == alarm.deployment && !run.state.phase.ended();
        Ok(self.rollouts.list(&auth).into_iter().map(|view| view.run).find(has).map(|run| run.name))
    }
}

/// What an alarm says of each severity: what is over is over at every one, also when the monitor was declared with
/// another one meanwhile. A monitor has waited long enough on both sides before it tells.
fn signals(alarm: &Alarm) -> [Signal; 2] {
    let severity = match alarm.severity {
        HowBad::Warning => Severity::Ticket,
        HowBad::Critical => Severity::Page,
    };
    let name = match alarm.about {
        About::Drift => "Drift",
        About::Estimate => "EstimatedPerformance",
        About::Detected => DETECTED_CHANGE,
        About::Stopped => MONITOR_STOPPED,
    };
    let labels = [
        ("deployment", alarm.deployment.as_str()),
        ("monitor", alarm.monitor.as_str()),
        ("variant", alarm.variant.as_str()),
    ];
    [Severity::Ticket, Severity::Page].map(|one| Signal {
        subject: Subject {
            name: name.to_owned(),
            source: Source::Drift,
            severity: one,
            labels: labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            sentence: alarm.sentence.clone(),
            numbers: alarm.numbers.clone(),
            query: alarm.numbers["query"].as_str().map(str::to_owned),
            runbook: alarm.runbook.clone(),
            page: Some(format!("/ui/monitors/{}", alarm.monitor)),
        },
        active: alarm.firing && one == severity,
        keep: Duration::ZERO,
    })
}

impl Alarms for Deputy {
    fn tell<'a>(&'a self, alarm: &'a Alarm) -> PortResult<'a, ()> {
        Box::pin(async move {
            for signal in signals(alarm) {
                self.alerts.observe(&alarm.tenant, signal).await.map_err(|e| port(&e))?;
            }
            let Some(order) = alarm.order else { return Ok(()) };
            let Some(rollout) = self.rollout_of(alarm)? else { return Ok(()) };
            let order = match order {
                RolloutOrder::Pause => Order::Pause,
                RolloutOrder::Abort => Order::Abort,
            };
            let action = OrderRollout { rollout: rollout.clone(), order, reason: Some(alarm.sentence.clone()) };
            let auth = self.gate.authorize(&acting_for(&alarm.tenant), action).map_err(|e| port(&e))?;
            match self.rollouts.order(&auth).await {
                Ok(decision) => {
                    tracing::warn!(monitor = alarm.monitor, %rollout, sentence = decision.sentence, "drift gave an order");
                    Ok(())
                }
                // It is paused or over already: there is nothing left to stop.
                Err(RolloutError::Order(why)) => {
                    tracing::info!(monitor = alarm.monitor, %rollout, %why, "drift has nothing to order");
                    Ok(())
                }
                Err(error) => Err(port(&error)),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainspring_core::{Tenant, Timestamp};
    use serde_json::json;

    fn alarm(firing: bool, severity: HowBad) -> Alarm {
        Alarm {
            tenant: Tenant::default(),
            monitor: "ages".into(),
            deployment: Name::new("churn").unwrap(),
            variant: "stable".into(),
            about: About::Drift,
            firing,
            at: Timestamp(0),
            severity,
            sentence: "in.age has drifted".into(),
            runbook: None,
            order: None,
            numbers: json!({"query": "SELECT 1"}),
        }
    }

    #[test]
    fn an_alarm_that_ends_ends_at_every_severity() {
        let active = |firing, severity| signals(&alarm(firing, severity)).map(|s| s.active);
        assert_eq!(active(true, HowBad::Warning), [true, false]);
        assert_eq!(active(true, HowBad::Critical), [false, true]);
        assert_eq!(active(false, HowBad::Critical), [false, false]);
        let names = |alarm: &Alarm| signals(alarm).map(|s| s.subject.fingerprint());
        let raised = names(&alarm(true, HowBad::Critical));
        assert_eq!(raised, names(&alarm(false, HowBad::Warning)), "told apart by their severity alone");
        assert_ne!(raised[0], raised[1]);
        let estimate = Alarm { about: About::Estimate, ..alarm(true, HowBad::Warning) };
        assert_eq!(signals(&estimate)[0].subject.name, "EstimatedPerformance");
        let drift = names(&alarm(true, HowBad::Warning));
        assert!(!names(&estimate).iter().any(|name| drift.contains(name)), "each ends by itself");
        let called = Alarm { about: About::Detected, ..alarm(true, HowBad::Warning) };
        assert_eq!(signals(&called)[0].subject.name, "DetectedChange");
        assert!(signals(&called).iter().all(|signal| !signal.subject.may_freeze()), "it may be nothing");
        assert!(!names(&called).iter().any(|name| drift.contains(name)), "a drift after it is news");
        let still = Alarm { about: About::Stopped, ..alarm(true, HowBad::Warning) };
        assert_eq!(signals(&still)[0].subject.name, "MonitorStopped");
        assert!(signals(&still).iter().all(|signal| !signal.subject.may_freeze()), "the version is not to blame");
        assert_eq!(signals(&alarm(true, HowBad::Warning))[0].subject.query.as_deref(), Some("SELECT 1"));
    }
}
