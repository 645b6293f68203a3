//! Webhooks are asked while a rollout waits for them: apart from the pass, by the leader alone, and again until all agree. What
//! they said is in the memory of who asked: another leader asks anew, and only what the machine made of it is written.

use super::question::About;
use super::{Ports, Running};
use crate::machine::{Checked, Facts, Gate, Phase};
use crate::ports::{Answer, Question, Said, Webhooks};
use crate::spec::WebhookSpec;
use mainspring_core::{Ctx, Tenant, Timestamp};
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

const SECOND: i64 = 1_000_000;
/// The longest pause between two questions, and the longest that a receiver may ask for.
const LONGEST: i64 = 60 * SECOND;
const ASKED_FOR: i64 = 600 * SECOND;
/// Questions without an answer, one after the other, before a rollout is held for it: one that gets lost is no news.
const LOST: u32 = 3;

/// The webhooks of one rollout.
#[derive(Debug, Default)]
pub(super) struct Asking {
    open: Option<Open>,
}

/// A gate by where the rollout stands, and since when.
#[derive(Debug)]
struct Open {
    place: (Phase, u16, Timestamp),
    asked: Vec<Asked>,
}

#[derive(Debug)]
struct Asked {
    known: Checked,
    /// The question that is under way. Whoever drops this takes it back.
    answer: Option<oneshot::Receiver<Answer>>,
    lost: u32,
    pause: i64,
    again: Timestamp,
}

impl Asked {
    fn new(webhook: &WebhookSpec) -> Self {
        let known = Checked::new(webhook.check_name(), None, "it is asked");
        Self { known, answer: None, lost: 0, pause: 0, again: Timestamp(i64::MIN) }
    }

    /// Takes an answer that has come.
    fn hear(&mut self, now: Timestamp) {
        let Some(waited) = &mut self.answer else { return };
        let answer = match waited.try_recv() {
            Ok(answer) => answer,
            Err(TryRecvError::Empty) => return,
            // Shutdown, or a bug in the port: asked again.
            Err(TryRecvError::Closed) => Answer::new(Said::Nothing("was not asked to the end".to_owned())),
        };
        self.answer = None;
        let asked_for = answer.after.map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX)).min(ASKED_FOR);
        self.pause = (2 * self.pause).clamp(SECOND, LONGEST);
        self.again = now.plus_micros(self.pause.max(asked_for));
        let lost = std::mem::take(&mut self.lost) + 1;
        let (passed, detail) = match answer.said {
            Said::Yes(detail) => (Some(true), detail),
            Said::No(detail) => (Some(false), detail),
            Said::Nothing(detail) => {
                self.lost = lost;
                ((lost >= LOST).then_some(false), detail)
            }
        };
        (self.known.passed, self.known.detail) = (passed, detail);
    }
}

impl Asking {
    /// What is known of the webhooks of a gate; asks those whose time has come.
    fn known(&mut self, gate: &Gate<'_>, about: &About<'_>, port: &Arc<dyn Webhooks>, ctx: &Ctx) -> Vec<Checked> {
        let state = about.state;
        let place = (state.phase, state.step, state.since);
        let open = match self.open.take().filter(|open| open.place == place) {
            Some(open) => self.open.insert(open),
            None => self.open.insert(Open { place, asked: gate.webhooks.iter().map(|w| Asked::new(w)).collect() }),
        };
        let now = ctx.now();
        for (webhook, asked) in gate.webhooks.iter().zip(&mut open.asked) {
            asked.hear(now);
            // Also one that agreed: what is old by the time that the others agree is no answer.
            if asked.answer.is_none() && now >= asked.again {
                let question = Question {
                    tenant: about.tenant.clone(),
                    webhook: WebhookSpec::clone(webhook),
                    // Each time another one: a receiver that knows an id again says 200 without looking.
                    id: ctx.event_id().to_string(),
                    body: about.body(gate.before, webhook, now),
                };
                asked.answer = Some(ask(question, Arc::clone(port), ctx));
            }
        }
        open.asked.iter().map(|asked| asked.known.clone()).collect()
    }
}

impl Running {
    /// What the webhooks that it waits for have said; they are asked where it is time to.
    pub(super) fn webhooks(&mut self, tenant: &Tenant, facts: &Facts, ports: &Ports, ctx: &Ctx) -> Vec<Checked> {
        let report = self.pilot.report();
        let (machine, state) = (self.pilot.machine(), self.pilot.state());
        let Some(gate) = machine.gate(state, facts) else {
            self.asking = Asking::default();
            return Vec::new();
        };
        let about = About { tenant, name: machine.name, spec: machine.spec, state, report: &report, facts };
        self.asking.known(&gate, &about, &ports.webhooks, ctx)
    }
}

fn ask(question: Question, port: Arc<dyn Webhooks>, ctx: &Ctx) -> oneshot::Receiver<Answer> {
    let (mut tell, told) = oneshot::channel();
    drop(ctx.tasks.spawn("ask a webhook", async move {
        let answer = tokio::select! {
            answer = port.ask(question) => answer,
            () = tell.closed() => return,
        };
        let _nobody_waits_any_more = tell.send(answer);
    }));
    told
}
