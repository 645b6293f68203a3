//! What the controller does by itself.

use super::row::{self, Traffic};
use super::webhook::Said;
use super::{
    Decision, DecisionKind, Facts, Follow, Freeze, Hold, HoldCause, Input, Machine, Order, Phase, Readiness, RowChange,
    RowFailed, State, Transition,
};
use super::{approval, running, signals, webhook, words};
use crate::ledger::Report;
use crate::spec::{ApprovalPoint, ApprovalSpec};
use mainspring_core::Timestamp;
use mainspring_resource::HumanDuration;
use mainspring_stats::decision::{self, Finding, Metric, Role, Verdict};
use mainspring_traffic::Share;

/// A transition in the making.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draft<'a> {
    pub machine: &'a Machine<'a>,
    pub state: &'a State,
    pub now: Timestamp,
    pub by: &'a str,
    pub groups: &'a [String],
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
    pub fn done(&self, mut state: State, row: RowChange, kind: DecisionKind, sentence: String) -> Transition {
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
            weights: if self.machine.spec.candidates.len() > 1 { state.weights() } else { Vec::new() },
            order: self.order,
            groups: self.groups.to_vec(),
            reason: None,
            evidence: self.evidence.cloned(),
            facts: self.facts.cloned(),
        };
        Transition { state, row, follow: None, freeze: Vec::new(), decision }
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

    pub fn hold(&self, cause: HoldCause, reason: String) -> Option<Transition> {
        if self.state.hold.as_ref().is_some_and(|h| h.cause == cause) {
            return None;
        }
        // One silence, whatever is silent.
        let silence = self.state.hold.as_ref().filter(|h| running::silent(h.cause) && running::silent(cause));
        Some(self.held(Hold { cause, reason, since: silence.map_or(self.now, |h| h.since) }))
    }

    /// As [`Draft::hold`], and says another reason of the same cause, too. Numbers alone make no other one: what counts
    /// something would be said at each look.
    pub fn hold_anew(&self, cause: HoldCause, reason: String) -> Option<Transition> {
        let Some(hold) = self.state.hold.as_ref().filter(|h| h.cause == cause) else { return self.hold(cause, reason) };
        let words = |text: &str| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
        (words(&hold.reason) != words(&reason)).then(|| self.held(Hold { reason, ..hold.clone() }))
    }

    fn held(&self, hold: Hold) -> Transition {
        let sentence = format!("held: {}", hold.reason);
        let state = State { hold: Some(hold), ..self.state.clone() };
        self.done(state, RowChange::Keep, DecisionKind::Held, sentence)
    }

    /// The candidates that are left, in words.
    pub fn candidate(&self) -> String {
        let live = self.machine.live(self.state);
        let names: Vec<&str> = live.iter().map(|at| self.machine.name_of(*at)).collect();
        match names.split_last() {
            Some((last, [])) => (*last).to_owned(),
            Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
            None => "the candidate".to_owned(),
        }
    }

    /// The verb of a sentence about [`Draft::candidate`].
    fn is(&self) -> &'static str {
        if self.machine.live(self.state).len() > 1 { "are" } else { "is" }
    }
}

pub(super) fn over(now: Timestamp, since: Timestamp, duration: HumanDuration) -> bool {
    let micros = i64::try_from(duration.0.as_micros()).unwrap_or(i64::MAX);
    now.micros().saturating_sub(since.micros()) >= micros
}

pub(super) fn step(machine: &Machine<'_>, state: &State, input: Input<'_>) -> Result<Option<Transition>, RowFailed> {
    let (evidence, facts) = (Some(input.report), Some(input.facts));
    let draft = Draft { machine, state, now: input.now, by: "controller", groups: &[], order: None, evidence, facts };
    if let Some(stopped) = frozen(&draft, input.facts)? {
        return Ok(Some(stopped));
    }
    let compared = !matches!(state.phase, Phase::Pending | Phase::Preflight) && !state.phase.ended();
    if compared && let Some(stopped) = harmed(&draft, input)? {
        return Ok(Some(stopped));
    }
    match state.phase {
        Phase::Pending => pending(&draft, input.facts),
        Phase::Preflight => preflight(&draft, input.facts),
        Phase::Step => running::running(&draft, input),
        Phase::Alarmed => Ok(signals::calm(&draft, input.report)),
        Phase::Promoting => Ok(promoting(&draft, input.facts)),
        Phase::Watching => Ok(watching(&draft, input.facts)),
        Phase::Succeeded | Phase::RolledBack => Ok(ended(&draft, input.facts)),
        Phase::Approval(point) => approval::waiting(&draft, input, point),
        Phase::Paused | Phase::Review => Ok(None),
    }
}

/// A candidate whose version was frozen meanwhile is out: a rollout is there to bring it in, and that is what nobody wants any
/// more. Once the deployment itself declares it, it serves, and what serves goes on.
fn frozen(draft: &Draft<'_>, facts: &Facts) -> Result<Option<Transition>, RowFailed> {
    let phase = draft.state.phase;
    if phase.ended() || matches!(phase, Phase::Pending | Phase::Watching) {
        return Ok(None);
    }
    for at in draft.machine.live(draft.state) {
        let name = draft.machine.name_of(at);
        if let Some(frozen) = facts.frozen.iter().find(|f| f.variant == name) {
            let why = format!("the version of {name} may not be taken: {}", frozen.why);
            return take_out(draft, at, why, vec!["frozen".to_owned()]).map(Some);
        }
    }
    Ok(None)
}

/// What spoke against a candidate keeps its version from being tried again, where the file says so.
fn freezing(draft: &Draft<'_>, mut done: Transition, of: &[u16]) -> Transition {
    if !draft.machine.spec.rollback.freeze_version {
        return done;
    }
    let pins = draft.state.pins.as_ref().map(|pins| pins.candidates.as_slice()).unwrap_or_default();
    let reason = format!("rollout {}: {}", draft.machine.name, done.decision.sentence);
    // A reason is a line, and numbers of many metrics are more; the decision has them all.
    let reason: String = reason.chars().take(900).collect();
    let model = |at: &u16| pins.get(usize::from(*at).checked_sub(1)?).cloned();
    let freeze = |model: String| Freeze { model, reason: reason.clone() };
    done.freeze = of.iter().filter_map(model).map(freeze).collect();
    if !done.freeze.is_empty() {
        let models: Vec<&str> = done.freeze.iter().map(|f| f.model.as_str()).collect();
        done.decision.sentence.push_str(&format!("; frozen until a person ends that: {}", models.join(", ")));
    }
    done
}

/// A hard limit or a metric that is worse: the candidate is out, wherever it is.
fn harmed(draft: &Draft<'_>, input: Input<'_>) -> Result<Option<Transition>, RowFailed> {
    let live = draft.machine.live(draft.state);
    if let Some(limit) = &input.facts.tripped {
        let named = |at: &&u16| input.facts.tripped_variant.as_deref() == Some(draft.machine.name_of(**at));
        let by = live.iter().find(named).or(live.first().filter(|_| input.facts.tripped_variant.is_none()));
        if let Some(by) = by {
            let sentence = format!("{} broke a hard limit: {limit}", draft.machine.name_of(*by));
            let done = take_out(draft, *by, sentence, vec!["hardLimits".to_owned()])?;
            return Ok(Some(freezing(draft, done, &[*by])));
        }
    }
    for at in live {
        let name = draft.machine.name_of(at);
        let decided = decision::decide(&judged(input.report, name, true));
        if decided.verdict == Verdict::RollBack {
            let numbers = words::metrics(input.report, name, &decided.because);
            let late = if draft.state.promoted.is_some() { "after the promotion, " } else { "" };
            let done = take_out(draft, at, format!("{late}{numbers}"), decided.because)?;
            return Ok(Some(freezing(draft, done, &[at])));
        }
    }
    Ok(None)
}

/// One candidate is out: with the last one everything goes back to stable, else only its part.
pub(super) fn take_out(draft: &Draft<'_>, at: u16, why: String, because: Vec<String>) -> Result<Transition, RowFailed> {
    let alone = draft.machine.live(draft.state) == [at];
    let (false, Some(row)) = (alone, draft.state.row.as_ref()) else { return roll_back(draft, why, because) };
    let mut weights = row.route.split().weights();
    if let Some(weight) = weights.get_mut(usize::from(at)) {
        *weight = Share::NONE;
    }
    weights[0] = Share::rest(&weights[1..]).unwrap_or_default();
    let (mut state, gone) = (draft.state.clone(), draft.state.chosen);
    state.dropped.push(at);
    state.chosen = state.chosen.filter(|chosen| *chosen != at);
    let draft = Draft { state: &state, ..*draft };
    let sentence = format!("{} is taken out: {why}; {} left", draft.machine.name_of(at), draft.candidate());
    // Whoever was to be promoted, or led, is gone: the others go on.
    let phase = if state.chosen == gone { state.phase } else { Phase::Step };
    let step = state.step;
    let going = Going { phase, step, traffic: Traffic::Weights(&weights), kind: DecisionKind::Dropped };
    draft.go(going, sentence, because)
}

/// The metrics of a candidate that a decision looks at. A metric whose labels come late speaks only when it is worse; so do
/// those of the shadow once callers get answers. `early`: what has no data yet is no reason either.
pub(super) fn judged(report: &Report, candidate: &str, early: bool) -> Vec<Metric> {
    let shadow = |name: &str| name == "shadowErrors" || name == "shadowDiff";
    let speaks = |finding: Finding, silent: bool| finding == Finding::Worse || !silent;
    let its = report.metrics.iter().filter(|m| m.is_of(candidate) && m.role != Role::Reported);
    let counted = its.filter(|m| speaks(m.finding, !m.required || shadow(&m.name)));
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
    if facts.starter.is_none() && draft.machine.spec.approvals.iter().any(ApprovalSpec::strict) {
        return Ok(
            draft.hold(HoldCause::Unresolved, "it is not known yet who began it, who may not approve it".to_owned())
        );
    }
    let (pinned, starter) = (Some(pins.clone()), facts.starter.clone());
    let begun = State { pins: pinned, starter, started: Some(draft.now), ..draft.state.clone() };
    let (candidate, is) = (draft.candidate(), draft.is());
    let sentence = format!("{candidate} ({}) {is} loaded beside {}", pins.candidates.join(", "), pins.stable);
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
        let others = failed[1..].iter().map(|c| format!("{}: {}", c.name, c.detail));
        let all: Vec<String> = std::iter::once(first.detail.clone()).chain(others).collect();
        let sentence = format!("the check {} failed: {}", first.name, all.join("; and "));
        let done = roll_back(draft, sentence, because)?;
        // Of several candidates a check names its own.
        let mut its = draft.machine.live(draft.state);
        let names = |at: &u16| format!(" of {}", draft.machine.name_of(*at));
        its.retain(|at| {
            draft.machine.spec.candidates.len() == 1 || failed.iter().any(|c| c.name.ends_with(&names(at)))
        });
        return Ok(Some(freezing(draft, done, &its)));
    }
    let waits: Vec<&str> = facts.checks.iter().filter(|c| c.passed.is_none()).map(|c| c.name.as_str()).collect();
    let gate = webhook::gate(draft.machine.spec, draft.state, facts);
    let said = gate.map_or(Said::Yes(Vec::new()), |gate| gate.said(facts));
    if webhook::held(facts)
        && let Said::Yes(agreed) = &said
    {
        let passed: Vec<String> = facts.checks.iter().map(|c| c.name.clone()).chain(agreed.iter().cloned()).collect();
        let replayed =
            facts.checks.iter().filter(|c| c.replay.is_some()).map(|c| format!("; {}: {}", c.name, c.detail));
        let replayed: String = replayed.collect();
        let (candidate, is) = (draft.candidate(), draft.is());
        let sentence = format!("{candidate} {is} ready and warm; {} checks passed{replayed}", passed.len());
        return enter(draft, 0, sentence, passed).map(Some);
    }
    if over(draft.now, draft.state.since, draft.machine.spec.preflight.timeout) {
        let what = match (&facts.candidate, &said) {
            _ if !waits.is_empty() => waits.join(", "),
            (Readiness::Loading(why), _) | (_, Said::No(why)) => why.clone(),
            (Readiness::Ready, Said::Nothing) => "a webhook has not answered".to_owned(),
            (Readiness::Unknown | Readiness::Ready | Readiness::Failed(_), _) => "ready".to_owned(),
        };
        let sentence =
            format!("{} did not pass within {}: {what}", draft.candidate(), draft.machine.spec.preflight.timeout);
        return roll_back(draft, sentence, vec!["timeout".to_owned()]).map(Some);
    }
    Ok(match said {
        Said::No(why) => draft.hold_anew(HoldCause::Webhook, why),
        Said::Yes(_) | Said::Nothing => None,
    })
}

/// Into a step, or before it where a person must agree.
pub(super) fn enter(draft: &Draft<'_>, next: u16, why: String, because: Vec<String>) -> Result<Transition, RowFailed> {
    let spec = draft.machine.spec;
    let step = spec.steps.get(usize::from(next)).ok_or(RowFailed::Missing("step"))?;
    let point = step.point();
    if approval::entries(spec, draft.state, point).next().is_some() {
        let ahead = State { step: next, ..approval::asked(draft.state, point) };
        let missing = approval::missing(spec, &ahead, point);
        let sentence = format!("{why}; {} waits for {missing}", step.title());
        let draft = Draft { state: &ahead, ..*draft };
        return Ok(draft.stay(Phase::Approval(point), approval::asks(spec, &ahead, point), sentence));
    }
    let going = Going { phase: Phase::Step, step: next, traffic: Traffic::Step(step), kind: DecisionKind::Advanced };
    draft.go(going, format!("{}: {why}", step.title()), because)
}

/// All traffic to one candidate, from 1.
pub(super) fn promote(draft: &Draft<'_>, at: u16, why: String, because: Vec<String>) -> Result<Transition, RowFailed> {
    let point = ApprovalPoint::Promotion;
    let chosen = State { chosen: Some(at), ..draft.state.clone() };
    let draft = Draft { state: &chosen, ..*draft };
    let ordered = draft.order.is_some_and(Order::promotes) && !approval::binding(draft.machine.spec, &chosen, point);
    if approval::entries(draft.machine.spec, &chosen, point).next().is_some() && !ordered {
        let asked = approval::asked(&chosen, point);
        let missing = approval::missing(draft.machine.spec, &asked, point);
        let sentence = format!("{why}; the promotion waits for {missing}");
        return Ok(Draft { state: &asked, ..draft }.stay(
            Phase::Approval(point),
            approval::asks(draft.machine.spec, &asked, point),
            sentence,
        ));
    }
    let promoted = State { promoted: Some(draft.now), ..chosen.clone() };
    let draft = Draft { state: &promoted, ..draft };
    let step = promoted.step;
    let traffic = Traffic::Candidate(at);
    let which =
        if draft.machine.spec.candidates.len() > 1 { format!(" {}", draft.machine.name_of(at)) } else { String::new() };
    let going = Going { phase: Phase::Promoting, step, traffic, kind: DecisionKind::Promoted };
    let mut done = draft.go(going, format!("promoted{which}: {why}"), because)?;
    done.follow = follow(&draft, true);
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
    let chosen = draft.state.chosen.map_or(0, |at| usize::from(at).saturating_sub(1));
    let candidate = pins.candidates.get(chosen)?;
    let (from, to) = if forward { (&pins.stable, candidate) } else { (candidate, &pins.stable) };
    Some(Follow {
        deployment: draft.machine.spec.deployment.to_string(),
        rollout: draft.machine.name.to_owned(),
        from: from.clone(),
        to: to.clone(),
        back: !forward,
    })
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

/// The window ends once all that came within it is known: what nobody could read has not spoken for the candidate. Silence
/// holds it open, and takes nothing back that the deployment itself declares by now.
fn watching(draft: &Draft<'_>, facts: &Facts) -> Option<Transition> {
    if let Some(reason) = running::silence(draft, facts) {
        return draft.hold(HoldCause::NoNews, reason);
    }
    if draft.state.hold.is_some() {
        let state = State { hold: None, ..draft.state.clone() };
        let sentence = "released: the journal tells of the traffic again".to_owned();
        return Some(draft.done(state, RowChange::Keep, DecisionKind::Released, sentence));
    }
    let promoted = draft.state.promoted.unwrap_or(draft.state.since);
    let window = draft.machine.spec.rollback.window;
    let known = draft.now.min(facts.complete_until);
    let sentence = format!("nothing spoke against {} within {window}", draft.candidate());
    over(known, promoted, window).then(|| remove(draft, Phase::Succeeded, DecisionKind::Succeeded, sentence))
}

/// After a rollback the candidate stays warm for a while, unless another rollout waits for the deployment. If it had been
/// promoted, the row stays until the deployment itself declares stable again.
fn ended(draft: &Draft<'_>, facts: &Facts) -> Option<Transition> {
    let state = draft.state;
    let settled = state.promoted.is_none() || facts.settled;
    if state.row.is_none() || !settled {
        return None;
    }
    let unloaded = format!("{} {} unloaded", draft.candidate(), draft.is());
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

pub(super) fn remove(draft: &Draft<'_>, phase: Phase, kind: DecisionKind, sentence: String) -> Transition {
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
