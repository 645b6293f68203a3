//! What the controller does by itself.

use super::row::{self, Traffic};
use super::words;
use super::{
    Decision, DecisionKind, Facts, Follow, Hold, HoldCause, Input, Machine, Order, Phase, Readiness, RowChange,
    RowFailed, State, Transition,
};
use crate::ledger::Report;
use crate::spec::{ApprovalPoint, AtMaxDuration, NoNewsThen, Ship, StepKind, StepSpec};
use mainspring_core::Timestamp;
use mainspring_resource::HumanDuration;
use mainspring_stats::decision::{self, Finding, Metric, Role, Verdict};

/// Events this old are no news.
const NEWS: i64 = 60_000_000;

/// A transition in the making.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draft<'a> {
    pub machine: &'a Machine<'a>,
    pub state: &'a State,
    pub now: Timestamp,
    pub by: &'a str,
    pub order: Option<Order>,
    pub evidence: Option<&'a Report>,
    pub facts: Option<&'a Facts>,
}

/// Where a transition goes, and the traffic there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Going<'a> {
    pub phase: Phase,
    pub step: u16,
    pub traffic: Traffic<'a>,
    pub kind: DecisionKind,
}

impl Draft<'_> {
    /// The transition to `state`.
    fn done(&self, mut state: State, row: RowChange, kind: DecisionKind, sentence: String) -> Transition {
        state.decisions += 1;
        let decision = Decision {
            seq: state.decisions,
            at: self.now,
            kind,
            by: self.by.to_owned(),
            sentence,
            because: Vec::new(),
            phase: state.phase,
            step: state.step,
            generation: state.generation,
            weight: state.weight(),
            order: self.order,
            evidence: self.evidence.cloned(),
            facts: self.facts.cloned(),
        };
        Transition { state, row, follow: None, decision }
    }

    /// Another phase, the same weights.
    pub fn stay(&self, phase: Phase, kind: DecisionKind, sentence: String) -> Transition {
        let state = State { phase, since: self.now, hold: None, ..self.state.clone() };
        self.done(state, RowChange::Keep, kind, sentence)
    }

    /// Other weights.
    pub fn go(&self, to: Going<'_>, sentence: String, because: Vec<String>) -> Result<Transition, RowFailed> {
        let mut state = State { phase: to.phase, since: self.now, hold: None, ..self.state.clone() };
        if matches!(to.kind, DecisionKind::Advanced | DecisionKind::Approved) {
            state.step_since = self.now;
        }
        state.step = to.step;
        row::put(self.machine, &mut state, to.traffic, self.now)?;
        let mut done = self.done(state, RowChange::Put, to.kind, sentence);
        done.decision.because = because;
        Ok(done)
    }

    fn hold(&self, cause: HoldCause, reason: String) -> Option<Transition> {
        if self.state.hold.as_ref().is_some_and(|h| h.cause == cause) {
            return None;
        }
        // One silence, whatever is silent.
        let silence = self.state.hold.as_ref().filter(|h| silent(h.cause) && silent(cause));
        let hold = Hold { cause, reason: reason.clone(), since: silence.map_or(self.now, |h| h.since) };
        let state = State { hold: Some(hold), ..self.state.clone() };
        Some(self.done(state, RowChange::Keep, DecisionKind::Held, format!("held: {reason}")))
    }

    fn candidate(&self) -> &str {
        self.machine.spec.candidate().map_or("the candidate", |c| c.name.as_str())
    }
}

fn over(now: Timestamp, since: Timestamp, duration: HumanDuration) -> bool {
    let micros = i64::try_from(duration.0.as_micros()).unwrap_or(i64::MAX);
    now.micros().saturating_sub(since.micros()) >= micros
}

pub(super) fn step(machine: &Machine<'_>, state: &State, input: Input<'_>) -> Result<Option<Transition>, RowFailed> {
    let (evidence, facts) = (Some(input.report), Some(input.facts));
    let draft = Draft { machine, state, now: input.now, by: "controller", order: None, evidence, facts };
    let compared = !matches!(state.phase, Phase::Pending | Phase::Preflight) && !state.phase.ended();
    if compared && let Some(stopped) = harmed(&draft, input)? {
        return Ok(Some(stopped));
    }
    match state.phase {
        Phase::Pending => pending(&draft, input.facts),
        Phase::Preflight => preflight(&draft, input.facts),
        Phase::Step => running(&draft, input),
        Phase::Alarmed => Ok(calm(&draft, input.report)),
        Phase::Promoting => Ok(promoting(&draft, input.facts)),
        Phase::Watching => Ok(watching(&draft)),
        Phase::Succeeded | Phase::RolledBack => Ok(ended(&draft, input.facts)),
        Phase::Approval(_) | Phase::Paused | Phase::Review => Ok(None),
    }
}

/// A hard limit or a metric that is worse: back to stable, wherever it is.
fn harmed(draft: &Draft<'_>, input: Input<'_>) -> Result<Option<Transition>, RowFailed> {
    if let Some(limit) = &input.facts.tripped {
        let sentence = format!("{} broke a hard limit: {limit}", draft.candidate());
        return roll_back(draft, sentence, vec!["hardLimits".to_owned()]).map(Some);
    }
    let decided = decision::decide(&judged(input.report, true));
    if decided.verdict != Verdict::RollBack {
        return Ok(None);
    }
    let numbers = words::metrics(input.report, &decided.because);
    let late = if draft.state.promoted.is_some() { "after the promotion, " } else { "" };
    roll_back(draft, format!("{late}{numbers}"), decided.because).map(Some)
}

/// The metrics that a decision looks at. A metric whose labels come late speaks only when it is worse; so do those of the
/// shadow once callers get answers. `early`: what has no data yet is no reason either.
fn judged(report: &Report, early: bool) -> Vec<Metric> {
    let shadow = |name: &str| name == "shadowErrors" || name == "shadowDiff";
    let speaks = |finding: Finding, silent: bool| finding == Finding::Worse || !silent;
    let counted = report.metrics.iter().filter(|m| speaks(m.finding, !m.required || shadow(&m.name)));
    counted
        .filter(|m| !(early && m.finding == Finding::NoData))
        .map(|m| Metric { name: m.name.clone(), role: m.role, finding: m.finding })
        .collect()
}

fn pending(draft: &Draft<'_>, facts: &Facts) -> Result<Option<Transition>, RowFailed> {
    if let Some(reason) = &facts.blocked {
        return Ok(draft.hold(HoldCause::Blocked, reason.clone()));
    }
    let Some(pins) = &facts.pins else {
        let reason = facts.unresolved.clone().unwrap_or_else(|| "its models are not resolved yet".to_owned());
        return Ok(draft.hold(HoldCause::Unresolved, reason));
    };
    let begun = State { pins: Some(pins.clone()), started: Some(draft.now), ..draft.state.clone() };
    let sentence = format!("{} ({}) is loaded beside {}", draft.candidate(), pins.candidate, pins.stable);
    let going = Going { phase: Phase::Preflight, step: 0, traffic: Traffic::Stable, kind: DecisionKind::Started };
    Draft { state: &begun, ..*draft }.go(going, sentence, Vec::new()).map(Some)
}

fn preflight(draft: &Draft<'_>, facts: &Facts) -> Result<Option<Transition>, RowFailed> {
    if let Readiness::Failed(reason) = &facts.candidate {
        let sentence = format!("{} cannot be loaded: {reason}", draft.candidate());
        return roll_back(draft, sentence, vec!["ready".to_owned()]).map(Some);
    }
    let failed: Vec<_> = facts.checks.iter().filter(|c| c.passed == Some(false)).collect();
    if let Some(first) = failed.first() {
        let because = failed.iter().map(|c| c.name.clone()).collect();
        return roll_back(draft, format!("the check {} failed: {}", first.name, first.detail), because).map(Some);
    }
    let waits: Vec<&str> = facts.checks.iter().filter(|c| c.passed.is_none()).map(|c| c.name.as_str()).collect();
    if facts.candidate == Readiness::Ready && waits.is_empty() {
        let passed: Vec<String> = facts.checks.iter().map(|c| c.name.clone()).collect();
        let sentence = format!("{} is ready and warm; {} checks passed", draft.candidate(), passed.len());
        return enter(draft, 0, sentence, passed).map(Some);
    }
    if over(draft.now, draft.state.since, draft.machine.spec.preflight.timeout) {
        let what = if waits.is_empty() { "ready".to_owned() } else { waits.join(", ") };
        let sentence =
            format!("{} did not pass within {}: {what}", draft.candidate(), draft.machine.spec.preflight.timeout);
        return roll_back(draft, sentence, vec!["timeout".to_owned()]).map(Some);
    }
    Ok(None)
}

/// Into a step, or before it where a person must agree.
pub(super) fn enter(draft: &Draft<'_>, next: u16, why: String, because: Vec<String>) -> Result<Transition, RowFailed> {
    let spec = draft.machine.spec;
    let step = spec.steps.get(usize::from(next)).ok_or(RowFailed::Missing("step"))?;
    let point = match step.kind() {
        Some(StepKind::Shadow(_)) | None => ApprovalPoint::Shadow,
        Some(StepKind::Canary(_)) => ApprovalPoint::Canary,
        Some(StepKind::AbTest(_)) => ApprovalPoint::AbTest,
    };
    let asked = spec.approvals.iter().any(|a| a.before == point) && !draft.state.approved.contains(&point);
    if asked {
        let ahead = State { step: next, ..draft.state.clone() };
        let sentence = format!("{why}; {} waits for an approval", step.title());
        let draft = Draft { state: &ahead, ..*draft };
        return Ok(draft.stay(Phase::Approval(point), DecisionKind::ApprovalAsked, sentence));
    }
    let going = Going { phase: Phase::Step, step: next, traffic: Traffic::Step(step), kind: DecisionKind::Advanced };
    draft.go(going, format!("{}: {why}", step.title()), because)
}

/// All traffic to the candidate.
pub(super) fn promote(draft: &Draft<'_>, why: String, because: Vec<String>) -> Result<Transition, RowFailed> {
    let point = ApprovalPoint::Promotion;
    let agreed = draft.state.approved.contains(&point) || draft.order == Some(Order::Promote);
    if draft.machine.spec.approvals.iter().any(|a| a.before == point) && !agreed {
        let sentence = format!("{why}; the promotion waits for an approval");
        return Ok(draft.stay(Phase::Approval(point), DecisionKind::ApprovalAsked, sentence));
    }
    let promoted = State { promoted: Some(draft.now), ..draft.state.clone() };
    let step = promoted.step;
    let going = Going { phase: Phase::Promoting, step, traffic: Traffic::Candidate, kind: DecisionKind::Promoted };
    let mut done = Draft { state: &promoted, ..*draft }.go(going, format!("promoted: {why}"), because)?;
    done.follow = follow(draft, true);
    Ok(done)
}

/// All traffic to stable, in one write.
pub(super) fn roll_back(draft: &Draft<'_>, why: String, because: Vec<String>) -> Result<Transition, RowFailed> {
    let sentence = format!("rolled back: {why}");
    if draft.state.row.is_none() {
        let mut done = draft.stay(Phase::RolledBack, DecisionKind::RolledBack, sentence);
        done.decision.because = because;
        return Ok(done);
    }
    let step = draft.state.step;
    let going = Going { phase: Phase::RolledBack, step, traffic: Traffic::Stable, kind: DecisionKind::RolledBack };
    let mut done = draft.go(going, sentence, because)?;
    if draft.state.promoted.is_some() {
        done.follow = follow(draft, false);
    }
    Ok(done)
}

fn follow(draft: &Draft<'_>, forward: bool) -> Option<Follow> {
    let pins = draft.state.pins.as_ref()?;
    let (from, to) = if forward { (&pins.stable, &pins.candidate) } else { (&pins.candidate, &pins.stable) };
    Some(Follow {
        deployment: draft.machine.spec.deployment.to_string(),
        rollout: draft.machine.name.to_owned(),
        from: from.clone(),
        to: to.clone(),
    })
}

/// In a step: first whether anything can be said at all, then what.
fn running(draft: &Draft<'_>, input: Input<'_>) -> Result<Option<Transition>, RowFailed> {
    if let Some((cause, reason)) = obstacle(draft, input) {
        return stuck(draft, cause, reason);
    }
    if draft.state.hold.is_some() {
        let state = State { hold: None, ..draft.state.clone() };
        let sentence = "released: what held it is gone".to_owned();
        return Ok(Some(draft.done(state, RowChange::Keep, DecisionKind::Released, sentence)));
    }
    let alarms = alarms(input.report);
    if !alarms.is_empty() {
        let sentence = format!("paused by a signal: {}", words::metrics(input.report, &alarms));
        let mut done = draft.stay(Phase::Alarmed, DecisionKind::Paused, sentence);
        done.decision.because = alarms;
        return Ok(Some(done));
    }
    let ready = match draft.machine.spec.steps.get(usize::from(draft.state.step)).and_then(StepSpec::kind) {
        Some(StepKind::Shadow(shadow)) => {
            let compared = input.report.metric("shadowDiff").map(|m| m.finding);
            let same = shadow.compare.is_none() || compared == Some(Finding::NonInferior);
            same && input.report.shadow_units >= shadow.min_exposures && since(draft, shadow.duration)
        }
        Some(StepKind::Canary(canary)) => {
            exposed(input.report) >= canary.min_exposures && since(draft, canary.min_duration)
        }
        Some(StepKind::AbTest(test)) => exposed(input.report) >= test.min_exposures && since(draft, test.min_duration),
        None => false,
    };
    let next = if ready { proceed(draft, input.report)? } else { None };
    match next {
        Some(next) => Ok(Some(next)),
        None => time_is_up(draft, input.report),
    }
}

/// Units that got the candidate in this step.
fn exposed(report: &Report) -> u64 {
    report.step_units.get(1).copied().unwrap_or_default()
}

fn since(draft: &Draft<'_>, duration: HumanDuration) -> bool {
    over(draft.now, draft.state.step_since, duration)
}

fn alarms(report: &Report) -> Vec<String> {
    let loud = report.metrics.iter().filter(|m| m.role == Role::Signal && m.finding == Finding::Worse);
    loud.map(|m| m.name.clone()).collect()
}

/// Why nothing can be said now.
fn obstacle(draft: &Draft<'_>, input: Input<'_>) -> Option<(HoldCause, String)> {
    let (facts, report) = (input.facts, input.report);
    match &facts.candidate {
        Readiness::Ready => {}
        Readiness::Unknown => {
            return Some((HoldCause::NotReady, "it is not known whether the candidate is ready".into()));
        }
        Readiness::Loading(why) | Readiness::Failed(why) => {
            return Some((HoldCause::NotReady, format!("{} is not ready: {why}", draft.candidate())));
        }
    }
    if draft.now.micros() - facts.complete_until.micros() > NEWS {
        let age = words::span(facts.complete_until, draft.now);
        return Some((HoldCause::NoNews, format!("the journal has said nothing for {age}")));
    }
    let failed: Vec<String> = report
        .metrics
        .iter()
        .filter(|m| m.role == Role::Quality && m.finding == Finding::Worse)
        .map(|m| m.name.clone())
        .collect();
    if let Some(first) = failed.first() {
        let what = match first.as_str() {
            "srm" => {
                let units = report.metric("srm").map_or([0; 2], |m| m.units);
                format!(
                    "{} units of stable and {} of {} are not what the weights promise",
                    units[0],
                    units[1],
                    draft.candidate()
                )
            }
            _ => "too many units saw two variants while the weights stood still".to_owned(),
        };
        return Some((HoldCause::Untrusted, format!("the comparison cannot be trusted: {what}")));
    }
    let warm =
        draft.state.step_since.plus_micros(i64::try_from(draft.machine.spec.warmup_exclude.0.as_micros()).unwrap_or(0));
    let last = report.last_at.get(1).copied().flatten().map_or(warm, |at| at.max(warm));
    let after = draft.machine.spec.metrics.quality.no_data.after;
    if over(draft.now, last, after) {
        return Some((
            HoldCause::NoData,
            format!("nobody asked {} for {}", draft.candidate(), words::span(last, draft.now)),
        ));
    }
    None
}

/// Whether it is a silence of others, which may last.
fn silent(cause: HoldCause) -> bool {
    matches!(cause, HoldCause::NotReady | HoldCause::NoNews)
}

fn stuck(draft: &Draft<'_>, cause: HoldCause, reason: String) -> Result<Option<Transition>, RowFailed> {
    let held = draft.state.hold.as_ref().filter(|h| silent(h.cause) && silent(cause));
    let rule = &draft.machine.spec.decision.on_no_news;
    if let Some(held) = held
        && rule.then == NoNewsThen::Rollback
        && over(draft.now, held.since, rule.hold)
    {
        return roll_back(draft, format!("{reason}, for longer than {}", rule.hold), vec!["noNews".to_owned()])
            .map(Some);
    }
    Ok(draft.hold(cause, reason))
}

/// The step has seen enough: on to the next, or the verdict.
fn proceed(draft: &Draft<'_>, report: &Report) -> Result<Option<Transition>, RowFailed> {
    let spec = draft.machine.spec;
    let next = draft.state.step + 1;
    let last = usize::from(next) >= spec.steps.len();
    let test = spec.steps.get(usize::from(draft.state.step)).is_some_and(|s| s.ab_test.is_some());
    if !last && !test {
        let units = exposed(report).max(report.shadow_units);
        let time = words::span(draft.state.step_since, draft.now);
        let sentence = format!("{units} units got {} in {time}, and nothing is worse", draft.candidate());
        return enter(draft, next, sentence, Vec::new()).map(Some);
    }
    let Some(because) = verdict(spec.ship(), report, test) else { return Ok(None) };
    let numbers = words::metrics(report, &because);
    let sentence = if numbers.is_empty() { "nothing is worse".to_owned() } else { numbers };
    if last { promote(draft, sentence, because).map(Some) } else { enter(draft, next, sentence, because).map(Some) }
}

/// The metrics that say that the candidate may be promoted. `test`: in an A/B test, which goes on until its end when
/// nothing but the absence of harm is asked for.
fn verdict(ship: Ship, report: &Report, test: bool) -> Option<Vec<String>> {
    let metrics = judged(report, false);
    let decided = decision::decide(&metrics);
    let names = |role: Role| metrics.iter().filter(|m| m.role == role).map(|m| m.name.clone()).collect::<Vec<_>>();
    match (ship, decided.verdict) {
        (Ship::Better, Verdict::Ship) => {
            let mut because = decided.because;
            because.extend(names(Role::Guardrail));
            Some(because)
        }
        (Ship::NotWorse, Verdict::Ship | Verdict::Continue) => {
            let holds = |m: &Metric| matches!(m.finding, Finding::NonInferior | Finding::Better);
            let all = metrics.iter().filter(|m| m.role == Role::Guardrail).all(holds);
            all.then(|| names(Role::Guardrail))
        }
        (Ship::NoHarm, Verdict::Ship | Verdict::Continue) if !test => Some(names(Role::Guardrail)),
        _ => None,
    }
}

fn time_is_up(draft: &Draft<'_>, report: &Report) -> Result<Option<Transition>, RowFailed> {
    let spec = draft.machine.spec;
    let test = spec.steps.get(usize::from(draft.state.step)).and_then(|s| s.ab_test.as_ref());
    let step_over = test.is_some_and(|t| since(draft, t.max_duration));
    let all_over = draft.state.started.is_some_and(|s| over(draft.now, s, spec.max_duration));
    if !step_over && !all_over {
        return Ok(None);
    }
    let calm = matches!(decision::decide(&judged(report, false)).verdict, Verdict::Ship | Verdict::Continue);
    let enough = test.is_some_and(|t| exposed(report) >= t.min_exposures);
    if step_over && spec.ship() == Ship::NoHarm && calm && enough {
        let last = usize::from(draft.state.step) + 1 >= spec.steps.len();
        let sentence = "the test is over and nothing is worse".to_owned();
        return if last {
            promote(draft, sentence, Vec::new())
        } else {
            enter(draft, draft.state.step + 1, sentence, Vec::new())
        }
        .map(Some);
    }
    let unclear: Vec<String> = judged(report, false)
        .into_iter()
        .filter(|m| matches!(m.role, Role::Success | Role::Guardrail))
        .map(|m| m.name)
        .collect();
    let sentence = format!("time is up without a verdict: {}", words::metrics(report, &unclear));
    match spec.decision.at_max_duration {
        AtMaxDuration::Rollback => roll_back(draft, sentence, unclear).map(Some),
        AtMaxDuration::Review => {
            let mut done =
                draft.stay(Phase::Review, DecisionKind::ReviewAsked, format!("{sentence}; promote or abort it"));
            done.decision.because = unclear;
            Ok(Some(done))
        }
    }
}

fn calm(draft: &Draft<'_>, report: &Report) -> Option<Transition> {
    let quiet = alarms(report).is_empty();
    quiet.then(|| draft.stay(Phase::Step, DecisionKind::Resumed, "the signals are calm again".to_owned()))
}

fn promoting(draft: &Draft<'_>, facts: &Facts) -> Option<Transition> {
    if !facts.settled {
        return None;
    }
    let window = draft.machine.spec.rollback.window;
    let sentence =
        format!("the deployment itself declares {} now; labels can reverse that for {window}", draft.candidate());
    if window.0.is_zero() {
        return Some(remove(
            draft,
            Phase::Succeeded,
            DecisionKind::Succeeded,
            format!("{} is what the deployment serves", draft.candidate()),
        ));
    }
    Some(draft.stay(Phase::Watching, DecisionKind::Settled, sentence))
}

fn watching(draft: &Draft<'_>) -> Option<Transition> {
    let promoted = draft.state.promoted.unwrap_or(draft.state.since);
    let window = draft.machine.spec.rollback.window;
    let sentence = format!("nothing spoke against {} within {window}", draft.candidate());
    over(draft.now, promoted, window).then(|| remove(draft, Phase::Succeeded, DecisionKind::Succeeded, sentence))
}

/// After a rollback the candidate stays warm for a while, unless another rollout waits for the deployment. If it had been
/// promoted, the row stays until the deployment itself declares stable again.
fn ended(draft: &Draft<'_>, facts: &Facts) -> Option<Transition> {
    let state = draft.state;
    let settled = state.promoted.is_none() || facts.settled;
    if state.row.is_none() || !settled {
        return None;
    }
    let unloaded = format!("{} is unloaded", draft.candidate());
    let sentence = if over(draft.now, state.since, draft.machine.spec.rollback.keep_warm) {
        unloaded
    } else {
        format!("{unloaded}: rollout {:?} waits for the deployment", facts.wanted.as_ref()?)
    };
    let mut done = remove(draft, state.phase, DecisionKind::Closed, sentence);
    // Time decides here, and not what was seen.
    done.decision.evidence = None;
    Some(done)
}

fn remove(draft: &Draft<'_>, phase: Phase, kind: DecisionKind, sentence: String) -> Transition {
    let state = draft.state;
    let gone = State {
        phase,
        since: if phase == state.phase { state.since } else { draft.now },
        hold: None,
        row: None,
        generation: state.generation + 1,
        ..state.clone()
    };
    draft.done(gone, RowChange::Remove, kind, sentence)
}
