//! What a bandit knows of its arms.

use super::metric::{State, present};
use super::plan::{Plan, Test};
use super::report::{Arm, ContextReport, Estimate, Gain};
use super::{Cell, Ledger, Stratum, Unit};
use mainspring_core::Timestamp;
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

/// What is known of the arms, as of which look, and what was expected at earlier ones.
#[derive(Debug)]
pub(super) struct Known {
    pub now: Arms,
    at: Timestamp,
    /// Strata that had begun by then.
    begun: usize,
    /// Whether anything came since.
    pub stale: bool,
    /// What a contextual bandit expected of each variant in each context, since one of its looks until the next. They are as
    /// rare as these looks: about a hundred, and a hundred more each time that the bandit's age is e times what it was.
    pub models: Vec<Model>,
}

impl Default for Known {
    fn default() -> Self {
        let at = Timestamp(i64::MIN);
        Self { now: Arms::default(), at, begun: 0, stale: true, models: Vec::new() }
    }
}

/// The mean of each variant in each context, where one is believed.
pub(super) type Model = Vec<Vec<f64>>;

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

/// The variants that share the traffic in the last of these strata; none before the bandit begins.
fn live(plan: &Plan, strata: &[Stratum]) -> Vec<usize> {
    let now = strata.last().filter(|s| plan.bandit.as_ref().is_some_and(|b| b.step == s.step) && s.compared());
    let weights = now.map_or(&[][..], |s| s.weights.as_slice());
    (0..weights.len()).filter(|v| weights[*v] > 0.0).collect()
}

impl Ledger {
    /// Looks at the arms if it is time to; whether it did. Every unit is looked at for that, so it is done ever more rarely, at a
    /// hundredth of the bandit's age, and where the weights have changed. When it is time follows from the looks and the strata
    /// alone, and not from what came: a ledger that is rebuilt, which knows later strata, has to find the same.
    pub(super) fn look_at_arms(&mut self) -> bool {
        let Some(bandit) = &self.plan.bandit else { return false };
        let first = self.strata.iter().find(|s| s.step == bandit.step && s.compared()).map(|s| s.start);
        let (Some(first), begun) = (first.filter(|start| *start < self.cut), self.begun()) else { return false };
        let age = self.cut.micros().saturating_sub(first.micros());
        let grown = self.cut.micros().saturating_sub(self.arms.at.micros()) >= age / 100;
        let changed = begun != self.arms.begun;
        if !grown && !changed {
            return false;
        }
        let new = changed || self.arms.stale;
        self.arms.begun = begun;
        if grown {
            (self.arms.at, self.arms.stale) = (self.cut, false);
        }
        if new {
            let (now, model) = self.know_arms(begun);
            self.arms.now = now;
            if grown {
                self.arms.models.extend(model);
            }
        }
        new
    }

    /// What is known of each arm that has a share, stable first; nothing before all of them have values that vary. And what a
    /// contextual bandit expects of each variant now.
    fn know_arms(&self, begun: usize) -> (Arms, Option<Model>) {
        let none = (Arms::default(), None);
        let Some(bandit) = &self.plan.bandit else { return none };
        let variants = live(&self.plan, &self.strata[..begun]);
        let (Some(State::Mean(mean)), Some(planned)) =
            (self.metrics.get(bandit.metric), self.plan.metrics.get(bandit.metric))
        else {
            return none;
        };
        let measure = if let Test::Mean { measure, .. } = planned.test { measure } else { Measure::Ratio };
        if variants.len() < 2 {
            return none;
        }
        let sign = if planned.direction == Direction::Up { 1.0 } else { -1.0 };
        let look = Look { slot: mean.slot, measure, step: bandit.step, sign, begun, variants: &variants };
        if let Some(contexts) = &bandit.contexts {
            return self.look_at_contexts(&look, contexts).unwrap_or(none);
        }
        (Arms { alone: self.levelled(&mean.strata, &look), ..Arms::default() }, None)
    }

    /// The arms, compared within each time of constant weights.
    fn levelled(&self, strata: &Strata, look: &Look<'_>) -> Vec<Arm> {
        let Look { slot, measure, sign, variants, .. } = *look;
        let visits = returning(&self.units, &self.returning, slot);
        let levels: Result<Vec<Effect>, NoEffect> = strata.levels(variants, measure, visits);
        let Ok(levels) = levels else { return Vec::new() };
        let beliefs: Vec<Posterior> = levels
            .iter()
            .map(|l| Posterior::Normal { mean: sign * l.value, standard_error: l.standard_error })
            .collect();
        let Ok(best) = best_probabilities(&beliefs) else { return Vec::new() };
        let values = self.values(look, &levels);
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
    fn values(&self, look: &Look<'_>, levels: &[Effect]) -> Vec<OffPolicy> {
        let mut values = vec![OffPolicy::default(); look.variants.len()];
        let mut answers = Vec::new();
        for unit in &self.units {
            for (arm, value) in values.iter_mut().enumerate() {
                answers.clear();
                answers.extend(unit.cells.iter().filter_map(|cell| self.taken(cell, look)).map(|taken| Logged {
                    reward: taken.reward,
                    propensity: taken.propensity(look.variants[taken.arm]),
                    target: f64::from(u8::from(arm == taken.arm)),
                    predicted: levels[taken.arm].value,
                    baseline: levels[arm].value,
                }));
                // A share of nothing brought an answer: the sample ratio says so.
                let _ = value.push_unit(&answers);
            }
        }
        values
    }

    /// What a cell says of the arms that are left: it has a reward in the bandit's step, and of one of them.
    pub(super) fn taken(&self, cell: &Cell, look: &Look<'_>) -> Option<Taken<'_>> {
        let (stratum, totals) = (&self.strata[cell.stratum as usize], &cell.totals[look.slot]);
        let arm = look.variants.iter().position(|v| *v == usize::from(cell.variant))?;
        let reward = match look.measure {
            Measure::Mean => totals.value,
            Measure::Ratio => totals.value / totals.denominator,
        };
        let left: f64 = look.variants.iter().filter_map(|v| stratum.weights.get(*v)).sum();
        let known = stratum.step == look.step && present(totals) && reward.is_finite();
        known.then_some(Taken { arm, reward, stratum, left })
    }
}

/// One of the arms that are left, as it was chosen in one time of constant weights.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken<'a> {
    /// Place among the arms.
    pub arm: usize,
    pub reward: f64,
    /// The weights there.
    pub stratum: &'a Stratum,
    /// The weights of all arms that are left together.
    left: f64,
}

impl Taken<'_> {
    /// The probability with which a variant was chosen among the arms that are left: who got another one says nothing of them,
    /// and is not counted.
    pub fn propensity(&self, variant: usize) -> f64 {
        self.stratum.weights.get(variant).copied().unwrap_or_default() / self.left
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
    /// Strata that have begun.
    pub begun: usize,
    /// The arms.
    pub variants: &'a [usize],
}

pub(super) fn estimate(effect: Result<Effect, NoEffect>) -> Option<Estimate> {
    effect.ok().map(|e| Estimate { value: e.value, standard_error: e.standard_error })
}
