//! monitor tells of drift: it becomes an alert, and rollouts carry out its orders.

use crate::deployments::acting_for;
use mainspring_alert::{Alerts, Hysteresis, Severity, Signal, Source, Subject};
use mainspring_core::{Failure, Gate, Name};
use mainspring_monitor::live::spec::{RolloutOrder, Severity as Grave};
use mainspring_monitor::live::{Alarm, Alarms, PortError, PortResult};
use mainspring_rollout::{Order, OrderRollout, ReadRollouts, RolloutError, Rollouts};

/// Carries out what a monitor orders.
#[derive(Debug, Clone)]
pub struct Deputy {
    /// Tells whom it concerns.
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

/// What an alarm is as an alert. A monitor has waited and been sure already, so nothing is waited for.
fn signal(alarm: &Alarm) -> Signal {
    let labels = [
        ("monitor", alarm.monitor.as_str()),
        ("deployment", alarm.deployment.as_str()),
        ("variant", alarm.variant.as_str()),
    ];
    let subject = Subject {
        name: "Drift".into(),
        source: Source::Drift,
        severity: match alarm.severity {
            Grave::Warning => Severity::Ticket,
            Grave::Critical => Severity::Page,
        },
        labels: labels.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        sentence: alarm.sentence.clone(),
        query: alarm.numbers.get("query").and_then(|q| q.as_str()).map(str::to_owned),
        numbers: alarm.numbers.clone(),
        runbook: alarm.runbook.clone(),
        page: Some(format!("/ui/deployments/{}", alarm.deployment)),
    };
    Signal { subject, active: alarm.firing, hysteresis: Hysteresis::default() }
}

impl Alarms for Deputy {
    fn tell<'a>(&'a self, alarm: &'a Alarm) -> PortResult<'a, ()> {
        Box::pin(async move {
            self.alerts.observe(&alarm.tenant, signal(alarm)).await.map_err(|e| port(&e))?;
            let Some(order) = alarm.order else { return Ok(()) };
            let Some(rollout) = self.rollout_of(alarm)? else { return Ok(()) };
            let order = match order {
                RolloutOrder::Pause => Order::Pause,
                RolloutOrder::Abort => Order::Abort,
            };
            let action = OrderRollout { rollout: rollout.clone(), order };
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
