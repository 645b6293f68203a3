//! In a step: what is waited for, and what follows when it has come.

use super::step::{Draft, enter, judged, over, promote, roll_back};
use super::{
    DecisionKind, Facts, Full, HoldCause, Input, Phase, Readiness, RowChange, RowFailed, State, Transition, bandit,
    contextual, signals, words,
};
use crate::ledger::Report;
use crate::spec::{AtMaxDuration, NoNewsThen, OnFail, Ship, StepKind, StepSpec};
use mainspring_resource::HumanDuration;
use mainspring_stats::decision::{self, Direction, Finding, Metric, Role, Verdict};

/// Events this old are no news, microseconds.
const NEWS: i64 = 60_000_000;

/// In a step: first whether anything can be said at all, then what.
pub(super) fn running(draft: &Draft<'_>, input: Input<'_>) -> Result<Option<Transition>, RowFailed> {
    if let Some((cause, reason)) = obstacle(draft, input) {
        return stuck(draft, input.report, cause, reason);
    }
    let (warns, fails): (Vec<_>, Vec<_>) = failing(draft, input).into_iter().partition(|f| f.on_fail == OnFail::Warn);
    if let Some(back) = fails.iter().find(|f| f.on_fail == OnFail::Rollback) {
        return roll_back(draft, back.reason.clone(), vec![back.name.to_owned()]).map(Some);
    }
    if let Some(first) = fails.into_iter().next() {
        return stuck(draft, input.report, first.cause, first.reason);
    }
    if draft.state.hold.is_some() {
        let state = State { hold: None, ..draft.state.clone() };
        let sentence = "released: what held it is gone".to_owned();
        return Ok(Some(draft.done(state, RowChange::Keep, DecisionKind::Released, sentence)));
    }
    if let Some(said) = full(draft, input.report).or_else(|| warned(draft, &warns)) {
        return Ok(Some(said));
    }
    let stopped = signals::calmed(draft, input.report).or_else(|| signals::alarmed(draft, input.report));
    if stopped.is_some() {
        return Ok(stopped);
    }
    let ready = match draft.machine.spec.steps.get(usize::from(draft.state.step)).and_then(StepSpec::kind) {
        Some(StepKind::Shadow(shadow)) => {
            let compared = input.report.metric("shadowDiff").map(|m| m.finding);
            let same = shadow.compare.is_none() || compared == Some(Finding::NonInferior);
            same && input.report.shadow_units >= shadow.min_exposures && since(draft, shadow.duration)
        }
        Some(StepKind::Canary(canary)) => {
            exposed(draft, input.report) >= canary.min_exposures && since(draft, canary.min_duration)
        }
        Some(StepKind::AbTest(test)) => {
            exposed(draft, input.report) >= test.min_exposures && since(draft, test.min_duration)
        }
        Some(StepKind::Bandit(step)) => {
            let next = bandit::step(draft, input.report, step)?;
            return if next.is_some() { Ok(next) } else { time_is_up(draft, input.report) };
        }
        Some(StepKind::ContextualBandit(step)) => {
            let next = contextual::step(draft, input.report, step)?;
            return if next.is_some() { Ok(next) } else { time_is_up(draft, input.report) };
        }
        None => false,
    };
    let next = if ready { proceed(draft, input.report)? } else { None };
    match next {
        Some(next) => Ok(Some(next)),
        None => time_is_up(draft, input.report),
    }
}

/// Says once that the evidence has no more room. What it has stays valid: who comes later is left out whatever they get.
fn full(draft: &Draft<'_>, report: &Report) -> Option<Transition> {
    let (known, units) = (draft.state.full, report.units.iter().sum::<u64>());
    let full = Full { units: known.units || report.crowded_out > 0, answers: known.answers || report.forgotten > 0 };
    if full == known {
        return None;
    }
    let mut said = Vec::new();
    if full.units && !known.units {
        said.push(format!("units that come after the first {units} get their variant and are not counted"));
    }
    if full.answers && !known.answers {
        said.push("the oldest answers are forgotten, and labels that still come for them are not counted".to_owned());
    }
    let state = State { full, ..draft.state.clone() };
    let sentence = format!("the evidence is as large as it may be: {}", said.join("; "));
    Some(draft.done(state, RowChange::Keep, DecisionKind::Full, sentence))
}

/// Units that got each candidate in this step, at least.
fn exposed(draft: &Draft<'_>, report: &Report) -> u64 {
    let units = |at: u16| report.step_units.get(usize::from(at)).copied().unwrap_or_default();
    draft.machine.live(draft.state).into_iter().map(units).min().unwrap_or_default()
}

pub(super) fn since(draft: &Draft<'_>, duration: HumanDuration) -> bool {
    over(draft.now, draft.state.step_since, duration)
}

/// Why nothing can be said now.
fn obstacle(draft: &Draft<'_>, input: Input<'_>) -> Option<(HoldCause, String)> {
    let facts = input.facts;
    match &facts.candidate {
        Readiness::Ready => {}
        Readiness::Unknown => {
            return Some((HoldCause::NotReady, "it is not known whether the candidate is ready".into()));
        }
        Readiness::Loading(why) | Readiness::Failed(why) => {
            return Some((HoldCause::NotReady, format!("not everything is ready: {why}")));
        }
    }
    if let Some(reason) = silence(draft, facts) {
        return Some((HoldCause::NoNews, reason));
    }
    None
}

/// A check of the comparison that fails: its name, what follows, and in words.
struct Failing {
    name: &'static str,
    on_fail: OnFail,
    cause: HoldCause,
    reason: String,
}

/// The checks of the comparison that fail.
fn failing(draft: &Draft<'_>, input: Input<'_>) -> Vec<Failing> {
    let (report, quality) = (input.report, &draft.machine.spec.metrics.quality);
    let fails = |name: &str| report.metrics.iter().any(|m| m.name == name && m.finding == Finding::Worse);
    let untrusted = |name, on_fail, what: &str| {
        let reason = format!("the comparison cannot be trusted: {what}");
        Failing { name, on_fail, cause: HoldCause::Untrusted, reason }
    };
    let mut all = Vec::new();
    if fails("srm") {
        let units = report.metric("srm").map_or([0; 2], |m| m.units);
        let names = draft.machine.names().collect::<Vec<_>>().join(", ");
        let what = format!("{} units of stable and {} of {names} are not what the weights promise", units[0], units[1]);
        all.push(untrusted("srm", quality.srm.on_fail, &what));
    }
    if fails("multipleExposure") {
        let what = "too many units saw two variants while the weights stood still";
        all.push(untrusted("multipleExposure", quality.multiple_exposure.on_fail, what));
    }
    if let Some(reason) = unasked(draft, input) {
        all.push(Failing { name: "noData", on_fail: quality.no_data.on_fail, cause: HoldCause::NoData, reason });
    }
    all
}

/// That nobody asks a candidate, or stable where a shadow follows it.
fn unasked(draft: &Draft<'_>, input: Input<'_>) -> Option<String> {
    let report = input.report;
    let warm =
        draft.state.step_since.plus_micros(i64::try_from(draft.machine.spec.warmup_exclude.0.as_micros()).unwrap_or(0));
    let after = draft.machine.spec.metrics.quality.no_data.after;
    // Whom the shadow follows must be known, too.
    let shadow = draft.state.strata.last().is_some_and(|stratum| stratum.shadow);
    for at in draft.machine.live(draft.state).into_iter().chain(shadow.then_some(0)) {
        let last = report.last_at.get(usize::from(at)).copied().flatten().map_or(warm, |at| at.max(warm));
        if over(draft.now, last, after) {
            let (name, age) = (draft.machine.name_of(at), words::span(last, draft.now));
            return Some(match unitless(draft, report) {
                Some(why) => format!("no unit asked {name} for {age}: {why}"),
                None => format!("nobody asked {name} for {age}"),
            });
        }
    }
    None
}

/// Says once in a run of each check that fails that it does, where the file wants no more.
fn warned(draft: &Draft<'_>, failing: &[Failing]) -> Option<Transition> {
    let known = &draft.state.warned;
    let new: Vec<&Failing> = failing.iter().filter(|f| !known.iter().any(|name| name == f.name)).collect();
    if new.is_empty() {
        return None;
    }
    let warned = known.iter().cloned().chain(new.iter().map(|f| f.name.to_owned())).collect();
    let state = State { warned, ..draft.state.clone() };
    let reasons: Vec<&str> = new.iter().map(|f| f.reason.as_str()).collect();
    let sentence = format!("warned, and goes on as the file says: {}", reasons.join("; "));
    let mut done = draft.done(state, RowChange::Keep, DecisionKind::Warned, sentence);
    done.decision.because = new.iter().map(|f| f.name.to_owned()).collect();
    Some(done)
}

/// Why the journal says nothing new, when it does not.
pub(super) fn silence(draft: &Draft<'_>, facts: &Facts) -> Option<String> {
    if draft.now.micros().saturating_sub(facts.complete_until.micros()) <= NEWS {
        return None;
    }
    let age = words::span(facts.complete_until, draft.now);
    let why = facts.silence.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    Some(format!("the journal has said nothing for {age}{why}"))
}

/// That requests lack what the unit is taken from, where some do.
fn unitless(draft: &Draft<'_>, report: &Report) -> Option<String> {
    let carrier = draft.machine.spec.assignment.carrier().filter(|_| report.unitless > 0)?;
    Some(format!("{} answers had no {carrier}, which is the unit", report.unitless))
}

/// Whether it is a silence of others, which may last.
pub(super) fn silent(cause: HoldCause) -> bool {
    matches!(cause, HoldCause::NotReady | HoldCause::NoNews)
}

/// It does not go on, and its time passes all the same.
fn stuck(
    draft: &Draft<'_>,
    report: &Report,
    cause: HoldCause,
    reason: String,
) -> Result<Option<Transition>, RowFailed> {
    let held = draft.state.hold.as_ref().filter(|h| silent(h.cause) && silent(cause));
    let rule = &draft.machine.spec.decision.on_no_news;
    if let Some(held) = held
        && rule.then == NoNewsThen::Rollback
        && over(draft.now, held.since, rule.hold)
    {
        return roll_back(draft, format!("{reason}, for longer than {}", rule.hold), vec!["noNews".to_owned()])
            .map(Some);
    }
    if is_up(draft) != (false, false) {
        return unclear(draft, report, Some(&reason)).map(Some);
    }
    Ok(draft.hold(cause, reason))
}

/// Why what a rollout waits for cannot follow now, whoever agrees: the candidate is not ready, the journal is silent, or the
/// comparison cannot be trusted. One whose file says so goes back to stable.
pub(super) fn barred(draft: &Draft<'_>, input: Input<'_>) -> Result<Option<Barred>, RowFailed> {
    if let Some((cause, reason)) = obstacle(draft, input) {
        return Ok(Some(Barred::Holds(cause, reason)));
    }
    // Whom a candidate has not reached yet cannot ask it.
    let mut failing: Vec<_> = failing(draft, input).into_iter().filter(|f| f.cause == HoldCause::Untrusted).collect();
    failing.retain(|f| f.on_fail != OnFail::Warn);
    if let Some(back) = failing.iter().find(|f| f.on_fail == OnFail::Rollback) {
        let done = roll_back(draft, back.reason.clone(), vec![back.name.to_owned()])?;
        return Ok(Some(Barred::Back(Box::new(done))));
    }
    Ok(failing.into_iter().next().map(|first| Barred::Holds(first.cause, first.reason)))
}

/// What bars it.
pub(super) enum Barred {
    /// It waits until that is gone.
    Holds(HoldCause, String),
    /// It ends.
    Back(Box<Transition>),
}

/// The step has seen enough: on to the next, or the verdict.
fn proceed(draft: &Draft<'_>, report: &Report) -> Result<Option<Transition>, RowFailed> {
    let spec = draft.machine.spec;
    let next = draft.state.step + 1;
    let last = usize::from(next) >= spec.steps.len();
    let test = spec.steps.get(usize::from(draft.state.step)).is_some_and(|s| s.ab_test.is_some());
    if !last && !test {
        let units = exposed(draft, report).max(report.shadow_units);
        let time = words::span(draft.state.step_since, draft.now);
        let sentence = format!("{units} units got {} in {time}, and nothing is worse", draft.candidate());
        return enter(draft, next, sentence, Vec::new()).map(Some);
    }
    let Some((at, because)) = winner(draft, report, test) else { return Ok(None) };
    let numbers = words::metrics(report, draft.machine.name_of(at), &because);
    let sentence = if numbers.is_empty() { "nothing is worse".to_owned() } else { numbers };
    if last { promote(draft, at, sentence, because).map(Some) } else { enter(draft, next, sentence, because).map(Some) }
}

/// The candidate that may be promoted and the metrics that say so: of several the one that leads.
fn winner(draft: &Draft<'_>, report: &Report, test: bool) -> Option<(u16, Vec<String>)> {
    let ship = draft.machine.spec.ship();
    let able = |at: u16| Some((at, verdict(ship, report, draft.machine.name_of(at), test)?));
    let able: Vec<(u16, Vec<String>)> = draft.machine.live(draft.state).into_iter().filter_map(able).collect();
    let which: Vec<u16> = able.iter().map(|(at, _)| *at).collect();
    let first = leader(draft, report, &which)?;
    able.into_iter().find(|(at, _)| *at == first)
}

/// Of these candidates the one that is likeliest to be the best arm of a bandit; else the one with the best estimate of the
/// first success metric; the first one where there is none.
pub(super) fn leader(draft: &Draft<'_>, report: &Report, of: &[u16]) -> Option<u16> {
    let metric = draft.machine.spec.metrics.success.first();
    let value = |at: u16| {
        if let Some(arm) = report.arm(draft.machine.name_of(at)) {
            return Some(arm.best);
        }
        let found = report.metric_of(&metric?.name, draft.machine.name_of(at))?.candidate?;
        Some(if metric?.direction() == Direction::Up { found } else { -found })
    };
    let worst = f64::NEG_INFINITY;
    // The first of equal ones.
    of.iter().rev().copied().max_by(|a, b| value(*a).unwrap_or(worst).total_cmp(&value(*b).unwrap_or(worst)))
}

/// The metrics that say that a candidate may be promoted. `test`: in an A/B test, which goes on until its end when nothing
/// but the absence of harm is asked for.
pub(super) fn verdict(ship: Ship, report: &Report, candidate: &str, test: bool) -> Option<Vec<String>> {
    let mut metrics = judged(report, candidate, false);
    // A signal or a check that stops the step did so before; what is loud by now was let pass by a person, or by the file.
    metrics.retain(|m| !matches!(m.role, Role::Signal | Role::Quality));
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

/// How long a step may last, and how many units of each candidate it wants.
fn limits(kind: Option<StepKind<'_>>) -> Option<(HumanDuration, u64)> {
    match kind {
        Some(StepKind::AbTest(test)) => Some((test.max_duration, test.min_exposures)),
        Some(StepKind::Bandit(step)) => Some((step.max_duration, step.min_exposures)),
        Some(StepKind::ContextualBandit(step)) => step.max_duration.map(|most| (most, step.min_exposures)),
        Some(StepKind::Shadow(_) | StepKind::Canary(_)) | None => None,
    }
}

fn time_is_up(draft: &Draft<'_>, report: &Report) -> Result<Option<Transition>, RowFailed> {
    let spec = draft.machine.spec;
    let limits = limits(spec.steps.get(usize::from(draft.state.step)).and_then(StepSpec::kind));
    let (step_over, all_over) = is_up(draft);
    if !step_over && !all_over {
        return Ok(None);
    }
    let live = draft.machine.live(draft.state);
    let enough = limits.is_some_and(|(_, least)| exposed(draft, report) >= least);
    if step_over && spec.ship() == Ship::NoHarm && enough {
        let calm = |at: &u16| verdict(Ship::NoHarm, report, draft.machine.name_of(*at), false).is_some();
        let calm: Vec<u16> = live.iter().copied().filter(calm).collect();
        if let Some(at) = leader(draft, report, &calm) {
            let last = usize::from(draft.state.step) + 1 >= spec.steps.len();
            let sentence = "the test is over and nothing is worse".to_owned();
            let done = if last {
                promote(draft, at, sentence, Vec::new())
            } else {
                enter(draft, draft.state.step + 1, sentence, Vec::new())
            };
            return done.map(Some);
        }
    }
    unclear(draft, report, None).map(Some)
}

/// Whether the step's time is up, and the rollout's.
fn is_up(draft: &Draft<'_>) -> (bool, bool) {
    let spec = draft.machine.spec;
    let limits = limits(spec.steps.get(usize::from(draft.state.step)).and_then(StepSpec::kind));
    let all = draft.state.started.is_some_and(|s| over(draft.now, s, spec.max_duration));
    (limits.is_some_and(|(most, _)| since(draft, most)), all)
}

/// Nothing was shown, or `held` was in the way of showing it: a person decides, or stable takes everything back.
fn unclear(draft: &Draft<'_>, report: &Report, held: Option<&str>) -> Result<Transition, RowFailed> {
    let live = &draft.machine.live(draft.state)[..];
    let mut names: Vec<String> = Vec::new();
    let mut numbers = Vec::new();
    for at in live {
        let candidate = draft.machine.name_of(*at);
        let metrics = judged(report, candidate, false).into_iter();
        let its: Vec<String> =
            metrics.filter(|m| matches!(m.role, Role::Success | Role::Guardrail)).map(|m| m.name).collect();
        numbers.push(words::metrics(report, candidate, &its));
        names.extend(its);
    }
    names.dedup();
    let why = held.map_or_else(|| numbers.join("; "), str::to_owned);
    let sentence = format!("time is up without a verdict: {why}");
    match draft.machine.spec.decision.at_max_duration {
        AtMaxDuration::Rollback => roll_back(draft, sentence, names),
        AtMaxDuration::Review => {
            // Of several, whoever leads now is what a person would promote.
            let leads = leader(draft, report, live).filter(|_| live.len() > 1);
            let state = State { chosen: leads, ..draft.state.clone() };
            let leading = leads.map(|at| format!("; {} leads", draft.machine.name_of(at))).unwrap_or_default();
            let sentence = format!("{sentence}{leading}; promote or abort it");
            let mut done = Draft { state: &state, ..*draft }.stay(Phase::Review, DecisionKind::ReviewAsked, sentence);
            done.decision.because = names;
            Ok(done)
        }
    }
}
