//! A contextual bandit: in each context weights that follow what is learned there, and the end.

use super::row::{Policy, Traffic};
use super::running::{since, verdict};
use super::step::{Draft, Going, over, promote, roll_back};
use super::{DecisionKind, Phase, RowFailed, Transition, bandit, words};
use crate::ledger::{ContextArm, ContextReport, Report};
use crate::spec::{ContextualBanditStep, STABLE, Ship};
use mainspring_stats::bandit::{Posterior, TopTwo};
use mainspring_traffic::Share;

/// Contexts that a sentence names.
const NAMED: usize = 6;

/// What a contextual bandit does now, if anything.
pub(super) fn step(
    draft: &Draft<'_>,
    report: &Report,
    step: &ContextualBanditStep,
) -> Result<Option<Transition>, RowFailed> {
    let live = draft.machine.live(draft.state);
    let arms = live.len() + 1;
    let enough = report.arms.len() == arms && report.arms.iter().all(|arm| arm.units >= step.min_exposures);
    if !enough || report.contexts.iter().any(|c| c.arms.len() != arms) {
        return Ok(None);
    }
    if let Some(ended) = same_everywhere(draft, report, step)? {
        return Ok(Some(ended));
    }
    if let Some(most) = step.max_duration
        && since(draft, most)
    {
        return best_alone(draft, report);
    }
    let last = draft.state.strata.last().map_or(draft.state.step_since, |s| s.start);
    if !over(draft.now, last, step.period) {
        return Ok(None);
    }
    reweight(draft, (report, step), &live)
}

/// Whether one is the best for all but certain in every context that was seen, and what follows.
fn same_everywhere(
    draft: &Draft<'_>,
    report: &Report,
    step: &ContextualBanditStep,
) -> Result<Option<Transition>, RowFailed> {
    let likeliest = |c: &ContextReport| c.arms.iter().max_by(|a, b| a.best.total_cmp(&b.best)).cloned();
    let best: Vec<ContextArm> = report.contexts.iter().filter(|c| c.share > 0.0).filter_map(likeliest).collect();
    let (Some(first), Some(least)) = (best.first(), best.iter().map(|a| a.best).reduce(f64::min)) else {
        return Ok(None);
    };
    let same = best.iter().all(|arm| arm.variant == first.variant);
    if !same || least * 100.0 < step.best_at || !since(draft, step.min_duration) {
        return Ok(None);
    }
    let sentence = format!("{} is the best in every context with a probability of {least:.4} at least", first.variant);
    let Some(at) = draft.machine.names().position(|name| name == first.variant) else {
        return roll_back(draft, sentence, vec!["contextualBandit".to_owned()]).map(Some);
    };
    ship(draft, report, (at as u16 + 1, sentence))
}

/// Time is over: the best single variant, if it may be promoted.
fn best_alone(draft: &Draft<'_>, report: &Report) -> Result<Option<Transition>, RowFailed> {
    let Some(best) = report.arms.iter().max_by(|a, b| a.best.total_cmp(&b.best)) else { return Ok(None) };
    let Some(at) = draft.machine.names().position(|name| name == best.variant) else { return Ok(None) };
    let gain = report.gains.iter().find(|g| g.over == best.variant);
    let gain = gain.map(|g| format!("; choosing by context brought more by {}", words::effect(&g.gain)));
    let gain = gain.unwrap_or_default();
    let sentence = format!(
        "time is over, and {} is the best single variant with a probability of {:.4}{gain}",
        best.variant, best.best
    );
    ship(draft, report, (at as u16 + 1, sentence))
}

fn ship(draft: &Draft<'_>, report: &Report, (at, sentence): (u16, String)) -> Result<Option<Transition>, RowFailed> {
    let ship = draft.machine.spec.ship();
    // The metrics compare where both were seen alike, and that is where each is good: for all it has to be better as well.
    let alone = report.arm(draft.machine.name_of(at)).and_then(|arm| arm.over_stable?.low);
    if ship == Ship::Better && alone.is_none_or(|low| low <= 0.0) {
        return Ok(None);
    }
    let Some(mut because) = verdict(ship, report, draft.machine.name_of(at), false) else { return Ok(None) };
    because.insert(0, "contextualBandit".to_owned());
    promote(draft, at, sentence, because).map(Some)
}

/// The weights of all variants in a context, stable first; those that are out get nothing.
fn weights(draft: &Draft<'_>, context: &ContextReport, (rule, sign): (TopTwo, f64)) -> Option<Vec<Share>> {
    let belief = |a: &ContextArm| Posterior::Normal { mean: sign * a.mean, standard_error: a.standard_error };
    let beliefs: Vec<Posterior> = context.arms.iter().map(belief).collect();
    let shares = Share::apportion(&rule.weights(&beliefs).ok()?)?;
    let mut weights = vec![Share::NONE; draft.machine.spec.candidates.len() + 1];
    for (arm, share) in context.arms.iter().zip(shares) {
        let at = draft.machine.names().position(|name| name == arm.variant).map(|at| at + 1);
        *weights.get_mut(at.unwrap_or_default()).filter(|_| at.is_some() || arm.variant == STABLE)? = share;
    }
    Some(weights)
}

fn reweight(
    draft: &Draft<'_>,
    (report, step): (&Report, &ContextualBanditStep),
    live: &[u16],
) -> Result<Option<Transition>, RowFailed> {
    // Thompson's own rule: what is learned here is used here, rather than which arm is the best of all.
    let rule = TopTwo { first: 1.0, floor: step.min_weight / 100.0, even: step.even / 100.0 };
    let sign = bandit::sign(draft);
    let contexts: Option<Vec<Vec<Share>>> =
        report.contexts.iter().map(|context| weights(draft, context, (rule, sign))).collect();
    // What no weights can be made of was learned from too little.
    let Some(contexts) = contexts else { return Ok(None) };
    let variants = draft.machine.spec.candidates.len() + 1;
    let mut whole = vec![0.0; variants];
    for (context, weights) in report.contexts.iter().zip(&contexts) {
        whole.iter_mut().zip(weights).for_each(|(sum, w)| *sum += context.share * w.fraction());
    }
    let Some(whole) = Share::apportion(&whole) else { return Ok(None) };
    let now = draft.state.row.as_ref().and_then(|row| row.policy.as_ref());
    let moved = |(context, weights): (usize, &Vec<Share>)| {
        let now = now.and_then(|policy| policy.split(context as u16));
        let gap = |(at, w): (usize, &Share)| (w.fraction() - now.map_or(0.0, |s| s.weight(at as u16).fraction())).abs();
        weights.iter().enumerate().map(gap).fold(0.0, f64::max)
    };
    if contexts.iter().enumerate().map(moved).fold(0.0, f64::max) < bandit::STILL {
        return Ok(None);
    }
    let sentence = sentence(draft, report, (&contexts, live));
    let traffic = Traffic::Policy(Policy { whole: &whole, contexts: &contexts });
    let going = Going { phase: Phase::Step, step: draft.state.step, traffic, kind: DecisionKind::Reweighted };
    draft.go(going, sentence, vec!["contextualBandit".to_owned()]).map(Some)
}

/// Who gets most in the largest contexts.
fn sentence(draft: &Draft<'_>, report: &Report, (contexts, live): (&[Vec<Share>], &[u16])) -> String {
    let mut largest: Vec<(&ContextReport, &Vec<Share>)> =
        report.contexts.iter().zip(contexts).filter(|(c, _)| c.share > 0.0).collect();
    largest.sort_by(|(a, _), (b, _)| b.share.total_cmp(&a.share).then(a.context.cmp(&b.context)));
    let left = largest.len().saturating_sub(NAMED);
    let part = |(context, weights): &(&ContextReport, &Vec<Share>)| {
        let weight = |at: u16| weights.get(usize::from(at)).copied().unwrap_or_default();
        let most = std::iter::once(0).chain(live.iter().copied()).max_by_key(|at| weight(*at)).unwrap_or_default();
        format!("{}: {} {:.1} %", context.title, draft.machine.name_of(most), 100.0 * weight(most).fraction())
    };
    let parts: Vec<String> = largest.iter().take(NAMED).map(part).collect();
    let more = if left > 0 { format!("; {left} contexts more") } else { String::new() };
    format!("who gets most by context is {}{more}", parts.join("; "))
}
