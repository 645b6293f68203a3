//! What a bandit knows of its arms.

use super::metric::{State, present};
use super::plan::{Plan, Test};
use super::report::{Arm, Estimate};
use super::{Ledger, Stratum, Unit};
use mainspring_stats::bandit::{Posterior, best_probabilities};
use mainspring_stats::decision::Direction;
use mainspring_stats::offpolicy::{Logged, OffPolicy};
use mainspring_stats::sequential::{Effect, Measure, NoEffect, Visit};

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
    pub(super) fn look_at_arms(&self) -> Vec<Arm> {
        let Some(bandit) = &self.plan.bandit else { return Vec::new() };
        let variants = live(&self.plan, &self.strata);
        let (Some(State::Mean(mean)), Some(planned)) =
            (self.metrics.get(bandit.metric), self.plan.metrics.get(bandit.metric))
        else {
            return Vec::new();
        };
        let measure = if let Test::Mean { measure, .. } = planned.test { measure } else { Measure::Ratio };
        let visits = returning(&self.units, &self.returning, mean.slot);
        if variants.len() < 2 {
            return Vec::new();
        }
        let levels: Result<Vec<Effect>, NoEffect> = mean.strata.levels(&variants, measure, visits);
        let Ok(levels) = levels else { return Vec::new() };
        let sign = if planned.direction == Direction::Up { 1.0 } else { -1.0 };
        let beliefs: Vec<Posterior> = levels
            .iter()
            .map(|l| Posterior::Normal { mean: sign * l.value, standard_error: l.standard_error })
            .collect();
        let Ok(best) = best_probabilities(&beliefs) else { return Vec::new() };
        let values = self.values(mean.slot, (measure, bandit.step), (&variants, &levels));
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

fn estimate(effect: Result<Effect, NoEffect>) -> Option<Estimate> {
    effect.ok().map(|e| Estimate { value: e.value, standard_error: e.standard_error })
}
