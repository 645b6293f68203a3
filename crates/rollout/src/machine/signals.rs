//! Signals: which of them stop a step, and which a person let pass.

use super::step::Draft;
use super::{DecisionKind, Phase, RowChange, State, Transition, words};
use crate::ledger::{MetricReport, Report};
use mainspring_stats::decision::{Finding, Role};
use serde::{Deserialize, Serialize};

/// A signal that was beyond its limit in a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Signal {
    /// In which step of the spec.
    pub step: u16,
    /// Its name.
    pub metric: String,
    /// Of which candidate, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Signal {
    fn of(metric: &MetricReport, step: u16) -> Self {
        Self { step, metric: metric.name.clone(), variant: metric.variant.clone() }
    }

    fn is(&self, metric: &MetricReport) -> bool {
        self.metric == metric.name && self.variant == metric.variant
    }

    /// For sentences: `score of v8`.
    pub fn title(&self) -> String {
        let of = self.variant.as_ref().map(|v| format!(" of {v}")).unwrap_or_default();
        format!("{}{of}", self.metric)
    }
}

fn titles(signals: &[Signal]) -> String {
    signals.iter().map(Signal::title).collect::<Vec<_>>().join(", ")
}

/// The signals that are beyond their limits, of the candidates that are left.
fn loud<'r>(draft: &Draft<'_>, report: &'r Report) -> Vec<&'r MetricReport> {
    let live = draft.machine.live(draft.state);
    let left = |m: &&MetricReport| live.iter().any(|at| m.is_of(draft.machine.name_of(*at)));
    let loud = report.metrics.iter().filter(|m| m.role == Role::Signal && m.finding == Finding::Worse);
    loud.filter(left).collect()
}

/// Those of them that ask for a person: nobody let them pass in this step.
fn alarms<'r>(draft: &Draft<'_>, report: &'r Report) -> Vec<&'r MetricReport> {
    let passed = |m: &MetricReport| draft.state.let_pass().any(|signal| signal.is(m));
    loud(draft, report).into_iter().filter(|m| !passed(m)).collect()
}

/// A signal stops the step where it is.
pub(super) fn alarmed(draft: &Draft<'_>, report: &Report) -> Option<Transition> {
    let alarms = alarms(draft, report);
    if alarms.is_empty() {
        return None;
    }
    let numbers: Vec<String> = alarms.iter().map(|m| words::metric(m)).collect();
    let stopped = alarms.iter().map(|m| Signal::of(m, draft.state.step)).collect();
    let state = State { alarms: stopped, ..draft.state.clone() };
    let sentence = format!("paused by a signal: {}", numbers.join("; "));
    let mut done = Draft { state: &state, ..*draft }.stay(Phase::Alarmed, DecisionKind::Paused, sentence);
    done.decision.because = alarms.iter().map(|m| m.name.clone()).collect();
    Some(done)
}

/// It goes on by itself once what stopped it is calm.
pub(super) fn calm(draft: &Draft<'_>, report: &Report) -> Option<Transition> {
    if !alarms(draft, report).is_empty() {
        return None;
    }
    let state = State { alarms: Vec::new(), ..draft.state.clone() };
    let sentence = "the signals are calm again".to_owned();
    Some(Draft { state: &state, ..*draft }.stay(Phase::Step, DecisionKind::Resumed, sentence))
}

/// A signal that was let pass is calm: when it comes again, it stops the step again.
pub(super) fn calmed(draft: &Draft<'_>, report: &Report) -> Option<Transition> {
    let (loud, live) = (loud(draft, report), draft.machine.live(draft.state));
    let named = |name: &str| live.iter().any(|at| draft.machine.name_of(*at) == name);
    // Of a candidate that was taken out nothing is known any more.
    let left = |signal: &Signal| signal.variant.as_deref().is_none_or(named);
    let over = |signal: &Signal| {
        signal.step == draft.state.step && left(signal) && !loud.iter().any(|metric| signal.is(metric))
    };
    let (gone, acknowledged): (Vec<Signal>, Vec<Signal>) = draft.state.acknowledged.iter().cloned().partition(over);
    if gone.is_empty() {
        return None;
    }
    let sentence = format!("calm again, and stops this step when it comes back: {}", titles(&gone));
    let state = State { acknowledged, ..draft.state.clone() };
    let mut done = draft.done(state, RowChange::Keep, DecisionKind::Calmed, sentence);
    done.decision.because = gone.into_iter().map(|signal| signal.metric).collect();
    Some(done)
}

/// A person goes on in `step` past what stopped this one: the state that lets it pass there, and what is said of it, which is
/// nothing where nothing was beyond its limit.
pub(super) fn let_pass(state: &State, step: u16) -> (State, String) {
    let mut acknowledged: Vec<Signal> = Vec::new();
    for signal in state.let_pass().chain(&state.alarms) {
        let signal = Signal { step, ..signal.clone() };
        if !acknowledged.contains(&signal) {
            acknowledged.push(signal);
        }
    }
    let said = match titles(&acknowledged) {
        none if none.is_empty() => none,
        titles => format!("; let pass until calm: {titles}"),
    };
    (State { alarms: Vec::new(), acknowledged, ..state.clone() }, said)
}
