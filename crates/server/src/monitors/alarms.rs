//! monitor tells of drift; rollouts carry out its orders.

use crate::deployments::acting_for;
use mainspring_core::{Failure, Gate, Name};
use mainspring_monitor::live::spec::RolloutOrder;
use mainspring_monitor::live::{Alarm, Alarms, PortError, PortResult};
use mainspring_rollout::{Order, OrderRollout, ReadRollouts, RolloutError, Rollouts};

/// Carries out what a monitor orders.
#[derive(Debug, Clone)]
pub struct Deputy {
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

impl Alarms for Deputy {
    fn tell<'a>(&'a self, alarm: &'a Alarm) -> PortResult<'a, ()> {
        Box::pin(async move {
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
