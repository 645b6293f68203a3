//! What a bandit knows of its arms.

use super::metric::{State, present};
use super::plan::{Plan, Test};
use super::report::{Arm, ContextReport, Estimate, Gain};
use super::{Ledger, Stratum, Unit};
use mainspring_stats::bandit::{Posterior, best_probabilities};
use mainspring_stats::decision::Direction;
use mainspring_stats::offpolicy::{Logged, OffPolicy};
use mainspring_stats::sequential::{Effect, Measure, NoEffect, Strata, Visit};

/// What is known of the arms.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Arms {
    pub alone: Vec<Arm>,
    /// Of a contextual bandit.
    pub contexts: Vec<ContextReport>,
    pub gains: Vec<Gain>,
}

/// The visits of each unit with more than one, for one mean.
pub(super) fn returning<'a>(
    units: &'a [Unit],
    returning: &'a [u32],
    slot: usize,
) -> impl Iterator<Item = impl Iterator<Item = Visit> + 'a> + Clone + 'a {
    returning.iter().map(move |unit| {
        let visited = units[*unit as usize].cells.iter().filter(move |c| present(&c.totals[slot]));
        visited.map(move |c| Visit {
            step: c.stratum as usize,
            variant: usize::from(c.variant),
            totals: c.totals[slot],
        })
    })
}

/// The variants that share the traffic now; none before the bandit begins.
fn live(plan: &Plan, strata: &[Stratum]) -> Vec<usize> {
    let now = strata.last().filter(|s| plan.bandit.as_ref().is_some_and(|b| b.step == s.step) && s.compared());
    let weights = now.map_or(&[][..], |s| s.weights.as_slice());
    (0..weights.len()).filter(|v| weights[*v] > 0.0).collect()
}

impl Ledger {
    /// Whether it is time to look at the arms: every unit is looked at for that, so it is done ever more rarely, at a hundredth
    /// of the bandit's age, and at looks alone, as everything that a replay has to find again.
    pub(super) fn arms_are_due(&self) -> bool {
        let Some(bandit) = &self.plan.bandit else { return false };
        let begun = self.strata.iter().find(|s| s.step == bandit.step && s.compared()).map(|s| s.start);
        begun.is_some_and(|begun| {
            let age = self.cut.micros().saturating_sub(begun.micros());
            self.cut.micros().saturating_sub(self.arms.1.micros()) >= age / 100
        })
    }

    /// What is known of each arm that has a share, stable first; nothing before all of them have values that vary.
    pub(super) fn look_at_arms(&self) -> Arms {
        let Some(bandit) = &self.plan.bandit else { return Arms::default() };
        let variants = live(&self.plan, &self.strata);
        let (Some(State::Mean(mean)), Some(planned)) =
            (self.metrics.get(bandit.metric), self.plan.metrics.get(bandit.metric))
        else {
            return Arms::default();
        };
        let measure = if let Test::Mean { measure, .. } = planned.test { measure } else { Measure::Ratio };
        if variants.len() < 2 {
            return Arms::default();
        }
        let sign = if planned.direction == Direction::Up { 1.0 } else { -1.0 };
        let look = Look { slot: mean.slot, measure, step: bandit.step, sign, variants: &variants };
        if let Some(contexts) = &bandit.contexts {
            return self.look_at_contexts(&look, contexts).unwrap_or_default();
        }
        Arms { alone: self.levelled(&mean.strata, &look), ..Arms::default() }
    }

    /// The arms, compared within each time of constant weights.
    fn levelled(&self, strata: &Strata, look: &Look<'_>) -> Vec<Arm> {
        let Look { slot, measure, step, sign, variants } = *look;
        let visits = returning(&self.units, &self.returning, slot);
        let levels: Result<Vec<Effect>, NoEffect> = strata.levels(variants, measure, visits);
        let Ok(levels) = levels else { return Vec::new() };
        let beliefs: Vec<Posterior> = levels
            .iter()
            .map(|l| Posterior::Normal { mean: sign * l.value, standard_error: l.standard_error })
            .collect();
        let Ok(best) = best_probabilities(&beliefs) else { return Vec::new() };
        let values = self.values(slot, (measure, step), (variants, &levels));
        let arms = variants.iter().zip(levels).zip(best).zip(values);
        arms.map(|(((variant, level), best), value)| Arm {
            variant: self.plan.variants[*variant].clone(),
            units: level.units as u64,
            mean: level.value,
            standard_error: level.standard_error,
            best,
            ips: estimate(value.ips()),
            snips: estimate(value.snips()),
            dr: estimate(value.doubly_robust()),
            effective: value.effective(),
            over_stable: None,
        })
        .collect()
    }

    /// For each arm what it alone would have brought, from what the bandit chose and with which probability.
    fn values(
        &self,
        slot: usize,
        (measure, step): (Measure, u16),
        (variants, levels): (&[usize], &[Effect]),
    ) -> Vec<OffPolicy> {
        let mut values = vec![OffPolicy::default(); variants.len()];
        for cell in self.units.iter().flat_map(|unit| &unit.cells) {
            let (stratum, totals) = (&self.strata[cell.stratum as usize], &cell.totals[slot]);
            let taken = variants.iter().position(|v| *v == usize::from(cell.variant));
            let (Some(taken), true) = (taken, stratum.step == step && present(totals)) else { continue };
            let reward = match measure {
                Measure::Mean => totals.value,
                Measure::Ratio => totals.value / totals.denominator,
            };
            for (arm, value) in values.iter_mut().enumerate() {
                let answer = Logged {
                    reward,
                    propensity: stratum.weights[variants[taken]],
                    target: f64::from(u8::from(arm == taken)),
                    predicted: levels[taken].value,
                    baseline: levels[arm].value,
                };
                // A share of nothing brought an answer: the sample ratio says so.
                let _ = value.push(&answer);
            }
        }
        values
    }
}

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look<'a> {
    /// The reward's place in the units' totals.
    pub slot: usize,
    pub measure: Measure,
    /// The bandit's step.
    pub step: u16,
    /// 1 where more is better, −1 where less is.
    pub sign: f64,
    /// The arms.
    pub variants: &'a [usize],
}

pub(super) fn estimate(effect: Result<Effect, NoEffect>) -> Option<Estimate> {
    effect.ok().map(|e| Estimate { value: e.value, standard_error: e.standard_error })
}
