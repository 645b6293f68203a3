//! The events of one rollout, as they come.

use super::Ports;
use crate::ledger::{Limits, Plan};
use crate::pilot::Pilot;
use crate::ports::{Before, EventStream, PortError, Wanted};
use mainspring_core::{Ctx, Tenant, Timestamp};
use std::sync::Arc;

/// Batches that one rollout may take in one pass, so that one with a long past does not hold up the others.
const BATCHES: usize = 50;
/// Events of a long past that one rollout may take in one pass, about.
const A_PART: usize = 100_000;
const SECOND: i64 = 1_000_000;
/// How long one pass may read the past of rollouts: all others wait meanwhile.
const READING: i64 = 5 * SECOND;
/// The longest pause between two tries.
const PATIENCE: i64 = 60 * SECOND;

/// Something that fails: said once, and tried ever more rarely.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    pause: i64,
    again: Timestamp,
}

impl Trouble {
    /// It failed. Whether that is new.
    pub fn comes(&mut self, now: Timestamp) -> bool {
        let new = self.pause == 0;
        self.pause = (2 * self.pause).clamp(SECOND, PATIENCE);
        self.again = now.plus_micros(self.pause);
        new
    }

    /// Whether it may be tried.
    pub fn over(&self, now: Timestamp) -> bool {
        self.pause == 0 || now >= self.again
    }

    /// It worked. Whether it failed before.
    pub fn ends(&mut self) -> bool {
        std::mem::take(&mut self.pause) > 0
    }
}

/// What a rollout takes from the journal.
#[derive(Default)]
pub(super) struct Feed {
    stream: Option<Box<dyn EventStream>>,
    /// Nothing before this is missing any more.
    pub complete_until: Timestamp,
    trouble: Trouble,
    /// Whether a long past is still being read: then nothing is decided, as before a stream was opened.
    pub reading: bool,
    /// Why nothing comes.
    pub silence: Option<String>,
}

/// Whose events.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanting<'a> {
    pub tenant: &'a Tenant,
    pub ctx: &'a Ctx,
    pub limits: Limits,
}

/// What one pass may still read of the past.
#[derive(Debug)]
pub(super) struct Budget {
    until: Timestamp,
    any: bool,
}

impl Budget {
    /// Of a pass that begins now.
    pub fn at(now: Timestamp) -> Self {
        Self { until: now.plus_micros(READING), any: false }
    }

    /// Whether another part may be read; the first one always.
    fn takes(&mut self, now: Timestamp) -> bool {
        !std::mem::replace(&mut self.any, true) || now <= self.until
    }
}

impl Feed {
    /// Takes what has come since the last pass; opens the stream when there is none, from the rollout's beginning: the
    /// ledger is rebuilt from the journal. Without news the rollout holds; guardrails in the replicas go on.
    pub async fn take(&mut self, ports: &Ports, pilot: &mut Pilot, wanting: Wanting<'_>, budget: &mut Budget) {
        let now = wanting.ctx.now();
        if pilot.state().strata.is_empty() || !self.trouble.over(now) {
            return;
        }
        if (self.stream.is_none() || self.reading) && !budget.takes(now) {
            self.reading = true;
            return;
        }
        let news = self.news(ports, pilot, wanting, budget).await;
        self.silence = news.as_ref().err().map(ToString::to_string);
        match news {
            Ok(()) if self.trouble.ends() => {
                tracing::info!(deployment = %pilot.spec().deployment, "the journal tells of the rollout's traffic again");
            }
            Ok(()) => {}
            Err(error) => {
                (self.stream, self.reading) = (None, false);
                if self.trouble.comes(wanting.ctx.now()) {
                    let deployment = &pilot.spec().deployment;
                    tracing::warn!(%deployment, %error, "no news of the rollout's traffic; it is asked again");
                }
            }
        }
    }

    async fn news(
        &mut self,
        ports: &Ports,
        pilot: &mut Pilot,
        wanting: Wanting<'_>,
        budget: &mut Budget,
    ) -> Result<(), PortError> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.open(ports, pilot, wanting).await?,
        };
        let mut taken = 0;
        for _ in 0..BATCHES {
            let batch = stream.next().await?;
            let more = batch.reading || !batch.events.is_empty();
            taken += batch.events.len();
            self.reading = batch.reading;
            self.complete_until = self.complete_until.max(batch.complete_until);
            pilot.push(batch.events);
            if !more || (self.reading && (taken >= A_PART || !budget.takes(wanting.ctx.now()))) {
                break;
            }
        }
        self.stream = Some(stream);
        Ok(())
    }

    async fn open(
        &mut self,
        ports: &Ports,
        pilot: &mut Pilot,
        wanting: Wanting<'_>,
    ) -> Result<Box<dyn EventStream>, PortError> {
        let (spec, state) = (Arc::clone(pilot.spec()), pilot.state().clone());
        let Some(first) = state.strata.first().cloned() else {
            return Err(PortError("the rollout has not begun".to_owned()));
        };
        let plan = Plan::of(&spec);
        let stream = ports.events.follow(Wanted {
            tenant: wanting.tenant.clone(),
            deployment: spec.deployment.clone(),
            from: first.start,
            generation: first.generation,
            labels: plan.labels(),
            outputs: plan.outputs(),
            inputs: plan.inputs(),
        });
        let stream = stream.await?;
        let metrics = plan.before();
        let earlier = if metrics.is_empty() {
            Vec::new()
        } else {
            let (tenant, deployment) = (wanting.tenant.clone(), spec.deployment.clone());
            let (until, unit) = (first.start, spec.assignment.unit.clone());
            ports.events.before(Before { tenant, deployment, until, unit, metrics }).await?
        };
        // What was known until now had a gap; only now is there something better.
        *pilot = Pilot::new(pilot.name(), spec, state, wanting.limits);
        pilot.earlier(&earlier);
        self.complete_until = first.start;
        Ok(stream)
    }
}
