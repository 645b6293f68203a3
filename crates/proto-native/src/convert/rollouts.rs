//! Rollouts as the API shows them.

use crate::dto::rollouts::{
    ApprovalNeed, ArmValue, CheckReplay, EffectRange, ReplayLeftOut, ReplayRow, RolloutApproval, RolloutArm,
    RolloutCheck, RolloutContext, RolloutContextArm, RolloutCoursePoint, RolloutDecision, RolloutGain, RolloutHold,
    RolloutLeftOut, RolloutLooks, RolloutMetric, RolloutMetricCourse, RolloutOrder, RolloutReached, RolloutReplay,
    RolloutStep, RolloutTested, RolloutVariant, RolloutView, RolloutWeights,
};
use mainspring_rollout::ledger::{
    Arm, ContextArm, ContextReport, Estimate, Gain, MetricReport, Range, Reached, Report, Tested,
};
use mainspring_rollout::machine::Signal;
use mainspring_rollout::machine::{Checked, Need, asked, lapses, needs, strict};
use mainspring_rollout::rehearsal::{LeftOut, Rehearsed, WorstRow};
use mainspring_rollout::{Decision, Machine, MetricCourse, Order, Phase, Point, Replayed, Run, View};
use serde::Serialize;

/// The word that a type has in JSON.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        // `{"approval": "promotion"}`: the word outside.
        Ok(serde_json::Value::Object(map)) => map.keys().next().cloned().unwrap_or_default(),
        _ => String::new(),
    }
}

impl From<RolloutOrder> for Order {
    fn from(order: RolloutOrder) -> Self {
        match order {
            RolloutOrder::Pause => Self::Pause,
            RolloutOrder::Resume => Self::Resume,
            RolloutOrder::Promote => Self::Promote,
            RolloutOrder::Abort => Self::Abort,
            RolloutOrder::Skip => Self::Skip,
            RolloutOrder::Approve => Self::Approve,
        }
    }
}

/// One line each where there are several candidates.
fn of_candidate(metric: &str, variant: Option<&String>) -> String {
    let of = variant.map(|v| format!(" ({v})")).unwrap_or_default();
    format!("{metric}{of}")
}

fn metric(m: &MetricReport) -> RolloutMetric {
    RolloutMetric {
        name: of_candidate(&m.name, m.variant.as_ref()),
        variant: m.variant.clone(),
        role: word(&m.role),
        finding: word(&m.finding),
        required: m.required,
        stable: m.stable,
        candidate: m.candidate,
        effect: m.effect.map(range),
        scale: word(&m.scale),
        units: m.units.to_vec(),
        log_e_harm: m.log_e.harm,
        log_e_better: m.log_e.better,
        variance_explained: m.cuped.map(|c| c.variance),
        known_units: m.cuped.and_then(|c| c.units),
        tested: m.tested.as_ref().map(tested),
        why: m.why.clone(),
    }
}

fn tested(t: &Tested) -> RolloutTested {
    let reached = |r: Reached| RolloutReached { z: r.z, bound: r.bound };
    let looks = t.looks.map(|l| RolloutLooks {
        due: l.due,
        of: l.of,
        units: l.units,
        max_units: l.max_units,
        harm: reached(l.harm),
        holds: reached(l.holds),
        better: reached(l.better),
    });
    RolloutTested { test: t.test.as_str().to_owned(), alpha: t.alpha, looks }
}

fn metrics(report: Option<&Report>) -> Vec<RolloutMetric> {
    report.map(|r| r.metrics.iter().map(metric).collect()).unwrap_or_default()
}

fn arms(report: Option<&Report>) -> Vec<RolloutArm> {
    let value = |e: Option<Estimate>| e.map(|e| ArmValue { value: e.value, standard_error: e.standard_error });
    let arm = |a: &Arm| RolloutArm {
        variant: a.variant.clone(),
        units: a.units,
        best: a.best,
        mean: ArmValue { value: a.mean, standard_error: a.standard_error },
        ips: value(a.ips),
        snips: value(a.snips),
        dr: value(a.dr),
        effective: a.effective,
        over_stable: a.over_stable.map(range),
    };
    report.map(|r| r.arms.iter().map(arm).collect()).unwrap_or_default()
}

fn contexts(report: Option<&Report>) -> Vec<RolloutContext> {
    let arm = |a: &ContextArm| RolloutContextArm {
        variant: a.variant.clone(),
        units: a.units,
        mean: ArmValue { value: a.mean, standard_error: a.standard_error },
        best: a.best,
        weight: a.weight,
    };
    let context = |c: &ContextReport| RolloutContext {
        context: c.context.into(),
        title: c.title.clone(),
        share: c.share,
        arms: c.arms.iter().map(arm).collect(),
    };
    report.map(|r| r.contexts.iter().map(context).collect()).unwrap_or_default()
}

fn gains(report: Option<&Report>) -> Vec<RolloutGain> {
    let gain = |g: &Gain| RolloutGain { over: g.over.clone(), units: g.units, gain: range(g.gain) };
    report.map(|r| r.gains.iter().map(gain).collect()).unwrap_or_default()
}

fn range(r: Range) -> EffectRange {
    EffectRange { low: r.low, estimate: r.estimate, high: r.high }
}

impl From<&Decision> for RolloutDecision {
    fn from(d: &Decision) -> Self {
        Self {
            seq: d.seq,
            at: d.at.into(),
            kind: word(&d.kind),
            by: d.by.clone(),
            sentence: d.sentence.clone(),
            because: d.because.clone(),
            weight: d.weight,
            weights: d.weights.clone(),
            arms: arms(d.evidence.as_ref()),
            phase: d.phase.as_str().to_owned(),
            metrics: metrics(d.evidence.as_ref()),
            checks: d.facts.iter().flat_map(|f| f.checks.iter().chain(&f.webhooks)).map(check).collect(),
        }
    }
}

fn check(c: &Checked) -> RolloutCheck {
    let (name, detail) = (c.name.clone(), c.detail.clone());
    RolloutCheck { name, passed: c.passed, detail, replay: c.replay.as_deref().map(replay) }
}

fn replay(r: &Rehearsed) -> CheckReplay {
    let LeftOut { redacted, sampled, dropped, too_large, unreadable } = r.left_out;
    let row = |w: &WorstRow| ReplayRow {
        request: w.request.clone(),
        row: w.row,
        output: w.output.clone(),
        stable: w.stable.clone(),
        candidate: w.candidate.clone(),
        difference: w.difference,
    };
    CheckReplay {
        from: r.from.clone(),
        requests: r.requests,
        rows: r.rows,
        within: r.within,
        labelled: r.labelled,
        same_label: r.same_label,
        failed: r.failed,
        unanswered: r.unanswered,
        mean_abs_diff: r.mean_abs_diff,
        max_abs_diff: r.max_abs_diff,
        median_us: r.median_us.map(|both| both.to_vec()),
        left_out: ReplayLeftOut { redacted, sampled, dropped, too_large, unreadable },
        worst: r.worst.iter().map(row).collect(),
    }
}

fn variants(run: &Run, report: Option<&Report>) -> Vec<RolloutVariant> {
    let Some(row) = &run.state.row else {
        let Some(pins) = &run.state.pins else { return Vec::new() };
        let won = winner(run);
        let models = std::iter::once(&pins.stable).chain(&pins.candidates);
        let names = std::iter::once("stable").chain(run.spec.candidates.iter().map(|c| c.name.as_str()));
        let named = names.zip(models).enumerate();
        let weight = |at: usize| f64::from(u8::from(at == won));
        let of = |at: usize, name: &str, model| variant(run, at, (name.to_owned(), model, weight(at)), report);
        return named.map(|(at, (name, model))| of(at, name, model)).collect();
    };
    let weight = |at: usize| row.route.split().weight(at as u16).fraction();
    let of = row.variants.iter().enumerate();
    of.map(|(at, v)| variant(run, at, (v.name.clone(), &v.model, weight(at)), report)).collect()
}

/// The variant that has everything once it is over.
fn winner(run: &Run) -> usize {
    let state = &run.state;
    let promoted = state.promoted.is_some() && state.phase == Phase::Succeeded;
    if promoted { state.chosen.map_or(1, usize::from) } else { 0 }
}

fn variant(
    run: &Run,
    at: usize,
    (name, model, weight): (String, &String, f64),
    report: Option<&Report>,
) -> RolloutVariant {
    let count = |of: &dyn Fn(&Report) -> &Vec<u64>| report.and_then(|r| of(r).get(at)).copied().unwrap_or(0);
    RolloutVariant {
        name,
        model: model.clone(),
        frozen: None,
        weight,
        units: count(&|r| &r.units),
        step_units: count(&|r| &r.step_units),
        answers: count(&|r| &r.answers),
        last_at: report.and_then(|r| r.last_at.get(at).copied().flatten()).map(Into::into),
        dropped: run.state.dropped.iter().any(|gone| usize::from(*gone) == at),
    }
}

/// What is not in the evidence; nothing where everything is.
fn left_out(run: &Run, report: &Report) -> Option<RolloutLeftOut> {
    let all = RolloutLeftOut {
        unitless: report.unitless,
        carrier: run.spec.assignment.carrier(),
        warm_up: report.excluded,
        strangers: report.strangers,
        unmatched_labels: report.unmatched,
        late: report.late,
        crowded_out: report.crowded_out,
        forgotten: report.forgotten,
    };
    let RolloutLeftOut { unitless, carrier: _, warm_up, strangers, unmatched_labels, late, crowded_out, forgotten } =
        &all;
    let some = [unitless, warm_up, strangers, unmatched_labels, late, crowded_out, forgotten].iter().any(|n| **n > 0);
    some.then_some(all)
}

/// The candidate that an order to promote takes when it names none.
fn chosen(run: &Run) -> Option<String> {
    let leading = Machine { name: run.name.as_str(), spec: &run.spec }.leading(&run.state)?;
    Some(run.spec.candidates.get(usize::from(leading).checked_sub(1)?)?.name.to_string())
}

/// What makes sense now.
fn orders(run: &Run) -> Vec<String> {
    let state = &run.state;
    let missing = |point| needs(&run.spec, state, point).iter().any(|need| need.missing() > 0);
    let possible: &[Order] = match state.phase {
        Phase::Step => &[Order::Pause, Order::Skip, Order::Promote, Order::Abort],
        Phase::Alarmed | Phase::Paused => &[Order::Resume, Order::Skip, Order::Promote, Order::Abort],
        Phase::Approval(point) if missing(point) => &[Order::Approve, Order::Promote, Order::Abort],
        Phase::Review => &[Order::Promote, Order::Abort],
        // Into whose window nobody can look.
        Phase::Watching if state.hold.is_some() => &[Order::Promote, Order::Abort],
        // No order goes past webhooks.
        Phase::Approval(_) | Phase::Pending | Phase::Preflight | Phase::Promoting | Phase::Watching => &[Order::Abort],
        Phase::Succeeded | Phase::RolledBack => &[],
    };
    let machine = Machine { name: run.name.as_str(), spec: &run.spec };
    let open = possible.iter().filter(|order| machine.is_open(state, **order));
    open.map(|order| order.as_str().to_owned()).collect()
}

impl From<&View> for RolloutView {
    fn from(view: &View) -> Self {
        Self::of(view, None)
    }
}

impl RolloutView {
    /// A rollout as it is; where nothing is measured any more, with the numbers of `last`, the last decision that had some.
    pub(crate) fn of(view: &View, last: Option<&Decision>) -> Self {
        let run = &view.run;
        let last = last.filter(|_| view.report.is_none());
        let report = view.report.as_deref().or_else(|| last?.evidence.as_ref());
        let state = &run.state;
        let step = |(at, step): (usize, &mainspring_rollout::spec::StepSpec)| {
            let under_way = state.started.is_some() && !state.phase.ended() && at == usize::from(state.step);
            let now = under_way && !matches!(state.phase, Phase::Preflight | Phase::Promoting | Phase::Watching);
            let (here, promoted) = (usize::from(state.step), !now && state.promoted.is_some());
            let word = match () {
                () if now => "now",
                () if at < here || (at == here && promoted) => "done",
                // A person promoted it before.
                () if promoted => "skipped",
                () => "next",
            };
            RolloutStep { title: step.title(), state: word.to_owned() }
        };
        let hold = state.hold.as_ref();
        let weights = |s: &mainspring_rollout::ledger::Stratum| RolloutWeights {
            since: s.start.into(),
            weights: s.weights.clone(),
            shadow: s.shadow,
        };
        Self {
            name: run.name.to_string(),
            deployment: run.spec.deployment.to_string(),
            run: run.number,
            phase: state.phase.as_str().to_owned(),
            since: state.since.into(),
            created_at: run.created_at.into(),
            started_at: state.started.map(Into::into),
            hold: hold.map(|h| RolloutHold { cause: word(&h.cause), reason: h.reason.clone(), since: h.since.into() }),
            variants: variants(run, report),
            steps: run.spec.steps.iter().enumerate().map(step).collect(),
            metrics: metrics(report),
            arms: arms(report),
            contexts: contexts(report),
            gains: gains(report),
            weights: state.strata.iter().map(weights).collect(),
            evidence_until: report.filter(|r| r.cut.micros() > 0).map(|r| r.cut.into()),
            evidence_of: last.filter(|d| d.evidence.is_some()).map(|d| d.seq),
            left_out: report.and_then(|r| left_out(run, r)),
            chosen: chosen(run),
            passed_signals: state.let_pass().filter(|_| !state.phase.ended()).map(Signal::title).collect(),
            orders: orders(run),
            approval: approval(run),
            decisions: state.decisions,
        }
    }
}

/// What a rollout waits for people or webhooks to agree to.
fn approval(run: &Run) -> Option<RolloutApproval> {
    let Phase::Approval(point) = run.state.phase else { return None };
    let need = |n: Need| ApprovalNeed { group: n.group, wanted: n.wanted.into(), by: n.by };
    let strict = strict(&run.spec, &run.state, point);
    Some(RolloutApproval {
        before: word(&point),
        needs: needs(&run.spec, &run.state, point).into_iter().map(need).collect(),
        webhooks: asked(&run.spec, &run.state, point).map(|w| w.name.to_string()).collect(),
        not_by: run.state.starter.clone().filter(|_| strict),
        expires_at: lapses(&run.spec, &run.state, point).map(Into::into),
    })
}

impl From<&MetricCourse> for RolloutMetricCourse {
    fn from(m: &MetricCourse) -> Self {
        let point = |p: &Point| RolloutCoursePoint { at: p.at.into(), effect: range(p.effect), units: p.units };
        Self {
            name: of_candidate(&m.name, m.variant.as_ref()),
            variant: m.variant.clone(),
            role: word(&m.role),
            scale: word(&m.scale),
            points: m.points.iter().map(point).collect(),
        }
    }
}

/// What a replay of so many decisions found.
pub(crate) fn replayed(decisions: usize, found: &Replayed) -> RolloutReplay {
    let said = |d: &mainspring_rollout::Difference| {
        format!("decision {} ({}): {}", d.recorded.seq, d.recorded.sentence, d.what)
    };
    RolloutReplay {
        decisions: decisions as u64,
        same: found.same,
        diverged: found.diverged.as_ref().map(said),
        numbers: found.numbers.iter().map(said).collect(),
    }
}

#[cfg(test)]
mod tests;
