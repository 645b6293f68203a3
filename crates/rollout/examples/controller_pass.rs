//! How long one pass of the controller takes over many active rollouts, each with news.
//!
//! `cargo run --release -p mainspring-rollout --example controller_pass [-- ROLLOUTS]`
//!
//! Ends with 1 when 10,000 take more than a second.

#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use mainspring_core::{EventId, Name, Tenant};
use mainspring_rollout::machine::{Checked, Follow, Freeze, Pins, Readiness};
use mainspring_rollout::spec::CandidateSpec;
use mainspring_rollout::{
    Answer, Batch, Before, Controller, Declarations, Earlier, Event, EventStream, Events, Exposure, Fleet, FleetView,
    Limits, MIGRATIONS, PortResult, Ports, Question, RolloutSpec, Rollouts, Said, StartRollout, Wanted, Webhooks,
};
use mainspring_store::FutureExt;
use mainspring_testkit::{TempDb, may};
use mainspring_traffic::Row;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

/// Everything is ready, and every rollout has one answer more at each pass.
struct Calm(mainspring_core::Ctx);

impl Fleet for Calm {
    fn pins<'a>(&'a self, _: &'a Tenant, _: &'a Name, candidates: &'a [CandidateSpec]) -> PortResult<'a, Pins> {
        let candidates = candidates.iter().map(|c| c.model.clone()).collect();
        let pins = Pins { stable: "models:/m/1".to_owned(), candidates };
        async move { Ok(pins) }.boxed()
    }

    fn view<'a>(&'a self, _: &'a Tenant, _: &'a Name, _: &'a Row) -> PortResult<'a, FleetView> {
        async move { Ok(FleetView { candidate: Readiness::Ready, tripped: None }) }.boxed()
    }

    fn frozen<'a>(&'a self, _: &'a Tenant, models: &'a [String]) -> PortResult<'a, Vec<Option<String>>> {
        let none = vec![None; models.len()];
        async move { Ok(none) }.boxed()
    }

    fn settled<'a>(&'a self, _: &'a Tenant, _: &'a Name, _: &'a Row) -> PortResult<'a, bool> {
        async move { Ok(false) }.boxed()
    }

    fn checks<'a>(
        &'a self,
        _: &'a Tenant,
        _: &'a Name,
        _: &'a Row,
        _: &'a RolloutSpec,
    ) -> PortResult<'a, Vec<Checked>> {
        async move { Ok(Vec::new()) }.boxed()
    }
}

struct One {
    ctx: mainspring_core::Ctx,
    generation: u64,
    given: bool,
    count: u64,
}

impl EventStream for One {
    fn next(&mut self) -> PortResult<'_, Batch> {
        let at = self.ctx.now();
        let id: EventId = self.ctx.event_id();
        self.given = !self.given;
        self.count += 1;
        let variant: Arc<str> = if self.count.is_multiple_of(20) { "b" } else { "stable" }.into();
        let (unit, generation) = (self.count, self.generation + 1);
        let exposure = Exposure {
            at,
            id,
            unit,
            variant,
            generation,
            context: None,
            failed: None,
            latency_ns: 1_000_000,
            outputs: Vec::new(),
            inputs: Vec::new(),
        };
        let events = if self.given { vec![Event::Exposure(exposure)] } else { Vec::new() };
        async move { Ok(Batch { events, complete_until: at, reading: false }) }.boxed()
    }
}

impl Events for Calm {
    fn follow(&self, wanted: Wanted) -> PortResult<'_, Box<dyn EventStream>> {
        let one = One { ctx: self.0.clone(), generation: wanted.generation, given: false, count: 0 };
        async move { Ok(Box::new(one) as Box<dyn EventStream>) }.boxed()
    }

    fn before(&self, _: Before) -> PortResult<'_, Vec<Earlier>> {
        async move { Ok(Vec::new()) }.boxed()
    }
}

impl Webhooks for Calm {
    fn ask(&self, _: Question) -> futures::future::BoxFuture<'_, Answer> {
        async { Answer::new(Said::Yes("answered 200".to_owned())) }.boxed()
    }
}

impl Declarations for Calm {
    fn follow<'a>(&'a self, _: &'a Tenant, _: &'a Follow) -> PortResult<'a, ()> {
        async move { Ok(()) }.boxed()
    }

    fn freeze<'a>(&'a self, _: &'a Tenant, _: &'a Freeze) -> PortResult<'a, ()> {
        async move { Ok(()) }.boxed()
    }

    fn author<'a>(&'a self, _: &'a Tenant, _: &'a Name) -> PortResult<'a, Option<String>> {
        async move { Ok(None) }.boxed()
    }
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let many: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let rollouts = Rollouts::new(db, temp.ctx.clone());
    for i in 0..many {
        let spec: RolloutSpec = serde_json::from_value(serde_json::json!({
            "deployment": format!("d{i}"), "candidates": [{"name": "b", "model": "models:/m/2"}],
            "steps": [{"canary": {"weight": 5, "minExposures": 1_000_000}}],
            "metrics": {"guardrails": [{"name": "errors", "kind": "errors"},
                                       {"name": "p99", "kind": "quantile", "source": "latency"}]},
        }))?;
        rollouts.declare(&may(StartRollout { rollout: Name::new(&format!("r{i}"))? }), spec)?;
    }
    let calm = Arc::new(Calm(temp.ctx.clone()));
    let ports = Ports { fleet: calm.clone(), events: calm.clone(), declarations: calm.clone(), webhooks: calm };
    let mut controller = Controller::new(rollouts, ports, "bench".to_owned(), Limits::default());
    let mut slowest = 0.0_f64;
    // They begin, pass their preflight and are told of; after that a pass has nothing to write.
    for pass in 0..6 {
        temp.clock.advance(2_000_000);
        let start = Instant::now();
        controller.pass().await?;
        let seconds = start.elapsed().as_secs_f64();
        println!("pass {pass}: {seconds:.3} s over {many} rollouts");
        if pass >= 3 {
            slowest = slowest.max(seconds);
        }
    }
    Ok(if slowest < 1.0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
