//! A bandit: weights that follow what is learned, and the end when one variant is the best for all but certain.

use super::row::Traffic;
use super::running::{since, verdict};
use super::step::{Draft, Going, over, promote, roll_back};
use super::{DecisionKind, Phase, RowFailed, Transition};
use crate::ledger::{Arm, Report};
use crate::spec::{BanditStep, STABLE};
use mainspring_stats::bandit::{Posterior, TopTwo};
use mainspring_stats::decision::Direction;
use mainspring_traffic::Share;

/// The part of the remaining draws that plays the best variant; the rest plays its rival.
const FIRST: f64 = 0.5;
/// Weights that would move by less than this part of the traffic stay: each move begins a time of its own.
pub(super) const STILL: f64 = 0.005;

/// What a bandit does now, if anything.
pub(super) fn step(draft: &Draft<'_>, report: &Report, step: &BanditStep) -> Result<Option<Transition>, RowFailed> {
    let live = draft.machine.live(draft.state);
    let names: Vec<&str> = std::iter::once(STABLE).chain(live.iter().map(|at| draft.machine.name_of(*at))).collect();
    let arms: Option<Vec<&Arm>> = names.iter().map(|name| report.arm(name)).collect();
    let Some(arms) = arms.filter(|arms| arms.iter().all(|arm| arm.units >= step.min_exposures)) else {
        return Ok(None);
    };
    if let Some(ended) = ended(draft, report, (step, &arms))? {
        return Ok(Some(ended));
    }
    let last = draft.state.strata.last().map_or(draft.state.step_since, |s| s.start);
    if !over(draft.now, last, step.period) {
        return Ok(None);
    }
    reweight(draft, (step, &arms), &live)
}

/// Whether one is the best for all but certain, and what follows.
fn ended(
    draft: &Draft<'_>,
    report: &Report,
    (step, arms): (&BanditStep, &[&Arm]),
) -> Result<Option<Transition>, RowFailed> {
    let Some(best) = arms.iter().max_by(|a, b| a.best.total_cmp(&b.best)) else { return Ok(None) };
    if best.best * 100.0 < step.best_at || !since(draft, step.min_duration) {
        return Ok(None);
    }
    let sentence = format!("{} is the best with a probability of {:.4}", best.variant, best.best);
    let Some(at) = draft.machine.names().position(|name| name == best.variant) else {
        return roll_back(draft, sentence, vec!["bandit".to_owned()]).map(Some);
    };
    let Some(mut because) = verdict(draft.machine.spec.ship(), report, &best.variant, false) else { return Ok(None) };
    because.insert(0, "bandit".to_owned());
    promote(draft, at as u16 + 1, sentence, because).map(Some)
}

/// 1 where more of what the present step learns from is better, −1 where less is.
pub(super) fn sign(draft: &Draft<'_>) -> f64 {
    let spec = draft.machine.spec;
    let reward = spec.steps.get(usize::from(draft.state.step)).and_then(|step| spec.reward(step));
    let metric = reward.and_then(|name| spec.metrics.success.iter().find(|m| m.name == name));
    if metric.is_some_and(|m| m.direction() == Direction::Down) { -1.0 } else { 1.0 }
}

fn reweight(
    draft: &Draft<'_>,
    (step, arms): (&BanditStep, &[&Arm]),
    live: &[u16],
) -> Result<Option<Transition>, RowFailed> {
    let spec = draft.machine.spec;
    let sign = sign(draft);
    let belief = |arm: &&Arm| Posterior::Normal { mean: sign * arm.mean, standard_error: arm.standard_error };
    let beliefs: Vec<Posterior> = arms.iter().map(belief).collect();
    let rule = TopTwo { first: FIRST, floor: step.min_weight / 100.0, even: step.even / 100.0 };
    // What no weights can be made of was learned from too little.
    let Ok(wanted) = rule.weights(&beliefs) else { return Ok(None) };
    let Some(shares) = Share::apportion(&wanted) else { return Ok(None) };
    let mut weights = vec![Share::NONE; spec.candidates.len() + 1];
    for (at, share) in std::iter::once(&0).chain(live).zip(&shares) {
        if let Some(weight) = weights.get_mut(usize::from(*at)) {
            *weight = *share;
        }
    }
    let now = draft.state.weights();
    let moved = weights.iter().zip(&now).map(|(w, now)| (w.fraction() - now).abs()).fold(0.0, f64::max);
    if moved < STILL {
        return Ok(None);
    }
    let parts =
        arms.iter().zip(&shares).map(|(arm, share)| format!("{} {:.1} %", arm.variant, 100.0 * share.fraction()));
    let parts: Vec<String> = parts.collect();
    let best = arms.iter().map(|arm| format!("{} {:.3}", arm.variant, arm.best)).collect::<Vec<_>>().join(", ");
    let sentence = format!("weights are {}; the probability of being the best is {best}", parts.join(", "));
    let (traffic, kind) = (Traffic::Weights(&weights), DecisionKind::Reweighted);
    let going = Going { phase: Phase::Step, step: draft.state.step, traffic, kind };
    draft.go(going, sentence, vec!["bandit".to_owned()]).map(Some)
}
