//! What a contextual bandit knows: of each arm in each context, and what choosing by context has brought.

use super::arms::{Arms, Look, Model, Taken, estimate};
use super::plan::BURN_IN;
use super::report::{Arm, ContextArm, ContextReport, Gain, Range};
use super::{Ledger, Stratum, Unit};
use mainspring_stats::bandit::{Posterior, best_probabilities};
use mainspring_stats::contextual::{Belief, Grid, Weighed, usual};
use mainspring_stats::offpolicy::{Logged, OffPolicy};
use mainspring_stats::sequential::{AsymptoticCs, CountsError, Effect, Multinomial, UnitMoments, UnitTotals};
use mainspring_traffic::{Contexts, Share};

/// A time of constant weights as its contexts, each a stratum of its own; itself where there are none.
pub(super) fn apart(time: &Stratum) -> Vec<(Option<u16>, Stratum)> {
    if time.contexts.is_empty() {
        return vec![(None, time.clone())];
    }
    let of = |weights: &Vec<Share>| Stratum {
        weights: weights.iter().map(|w| w.fraction()).collect(),
        contexts: Vec::new(),
        ..time.clone()
    };
    (0..).zip(&time.contexts).map(|(context, weights)| (Some(context), of(weights))).collect()
}

/// ln of the factor by which the evidence against the sample ratio grows in one time with contexts: each is tested beside what
/// was known `before` it.
pub(super) fn apart_log_e(before: &Multinomial, time: &[(&Stratum, &Vec<u64>)]) -> Result<f64, CountsError> {
    let mut sum = 0.0;
    for (stratum, counts) in time {
        let mut test = before.clone();
        test.change(&stratum.weights)?;
        test.observe(counts)?;
        sum += test.log_e() - before.log_e();
    }
    Ok(sum)
}

/// What a unit brought in one context in one time.
#[derive(Debug, Clone, Copy)]
struct Brought<'a> {
    taken: Taken<'a>,
    context: usize,
    /// What was expected before the unit came; nothing at first.
    model: Option<&'a Model>,
}

impl Brought<'_> {
    /// What a variant was expected to bring here, before this unit had brought anything here.
    fn expected(&self, variant: usize) -> f64 {
        let known = self.model.and_then(|model| model.get(variant)?.get(self.context));
        known.copied().unwrap_or_default()
    }

    /// What this choice says of what an arm would have brought here, doubly robust.
    fn alone(&self, look: &Look<'_>, arm: usize) -> f64 {
        let variant = look.variants[arm];
        let expected = self.expected(variant);
        let missed =
            if arm == self.taken.arm { (self.taken.reward - expected) / self.taken.propensity(variant) } else { 0.0 };
        expected + missed
    }

    /// What it says of what the bandit's own choice brings here: the reward, less what chance alone has moved.
    fn chosen(&self, look: &Look<'_>) -> f64 {
        let expected: f64 = look.variants.iter().map(|v| self.taken.propensity(*v) * self.expected(*v)).sum();
        expected + self.taken.reward - self.expected(look.variants[self.taken.arm])
    }

    fn logged(&self, look: &Look<'_>, arm: usize) -> Logged {
        let taken = look.variants[self.taken.arm];
        Logged {
            reward: self.taken.reward,
            propensity: self.taken.propensity(taken),
            target: f64::from(u8::from(arm == self.taken.arm)),
            predicted: self.expected(taken),
            baseline: self.expected(look.variants[arm]),
        }
    }
}

impl Ledger {
    /// What a unit brought in the bandit's step.
    fn brought<'a>(&'a self, unit: &'a Unit, look: &'a Look<'_>) -> impl Iterator<Item = Brought<'a>> + 'a {
        unit.cells.iter().filter_map(move |cell| {
            let context = self.contexts[cell.stratum as usize]?;
            let model = (cell.expected as usize).checked_sub(1).and_then(|at| self.arms.models.get(at));
            Some(Brought { taken: self.taken(cell, look)?, context: usize::from(context), model })
        })
    }

    /// What is known of the arms in each context and alone; `None` before rewards vary.
    pub(super) fn look_at_contexts(&self, look: &Look<'_>, contexts: &Contexts) -> Option<(Arms, Option<Model>)> {
        let mut seen = vec![vec![Weighed::default(); contexts.count()]; look.variants.len()];
        for b in self.units.iter().flat_map(|unit| self.brought(unit, look)) {
            // A share of nothing brought an answer: the sample ratio says so.
            let propensity = b.taken.propensity(look.variants[b.taken.arm]);
            let _ = seen.get_mut(b.taken.arm)?.get_mut(b.context)?.push(b.taken.reward, propensity);
        }
        let (centre, spread) = usual(seen.iter().flatten())?;
        let levels = contexts.levels();
        let grid = Grid { levels: &levels, centre, spread };
        let beliefs: Result<Vec<Vec<Belief>>, _> = seen.iter().map(|seen| grid.beliefs(seen)).collect();
        let beliefs = beliefs.ok()?;
        let mut model: Model = vec![Vec::new(); self.plan.variants.len()];
        for (variant, arm) in look.variants.iter().zip(&beliefs) {
            *model.get_mut(*variant)? = arm.iter().map(|b| b.mean).collect();
        }
        let known = |alone| {
            let contexts = self.by_context((look, contexts), &seen, &beliefs)?;
            Some(Arms { alone, contexts, gains: self.gains(look) })
        };
        Some((self.singly(look).and_then(known).unwrap_or_default(), Some(model)))
    }

    fn by_context(
        &self,
        (look, contexts): (&Look<'_>, &Contexts),
        seen: &[Vec<Weighed>],
        beliefs: &[Vec<Belief>],
    ) -> Option<Vec<ContextReport>> {
        let all: u64 = seen.iter().flatten().map(Weighed::count).sum();
        let now = look.begun.checked_sub(contexts.count())?;
        let report = |context: usize| {
            let here: Vec<Posterior> = beliefs.iter().map(|arm| arm[context].posterior(look.sign)).collect();
            let best = best_probabilities(&here).ok()?;
            let weights = &self.strata.get(now + context)?.weights;
            let arm = |(i, best): (usize, f64)| {
                let Belief { mean, standard_error } = beliefs[i][context];
                let variant = look.variants[i];
                let weight = weights.get(variant).copied().unwrap_or_default();
                let units = seen[i][context].count();
                ContextArm { variant: self.plan.variants[variant].clone(), units, mean, standard_error, best, weight }
            };
            let units: u64 = seen.iter().map(|arm| arm[context].count()).sum();
            let context = context as u16;
            Some(ContextReport {
                context,
                title: contexts.title(context),
                share: units as f64 / all.max(1) as f64,
                arms: best.into_iter().enumerate().map(arm).collect(),
            })
        };
        (0..contexts.count()).map(report).collect()
    }

    /// What each arm alone would have brought in the same traffic.
    fn singly(&self, look: &Look<'_>) -> Option<Vec<Arm>> {
        let mut values = vec![OffPolicy::default(); look.variants.len()];
        let mut units = vec![0; look.variants.len()];
        let mut answers = Vec::new();
        for unit in &self.units {
            self.brought(unit, look).for_each(|b| units[b.taken.arm] += 1);
            for (arm, value) in values.iter_mut().enumerate() {
                answers.clear();
                answers.extend(self.brought(unit, look).map(|b| b.logged(look, arm)));
                let _ = value.push_unit(&answers);
            }
        }
        let robust: Option<Vec<Effect>> = values.iter().map(|v| v.doubly_robust().ok()).collect();
        let robust = robust?;
        let belief = |e: &Effect| Posterior::Normal { mean: look.sign * e.value, standard_error: e.standard_error };
        let best = best_probabilities(&robust.iter().map(belief).collect::<Vec<_>>()).ok()?;
        let over_stable = self.over_stable(look);
        let arm = |i: usize| Arm {
            variant: self.plan.variants[look.variants[i]].clone(),
            units: units[i],
            mean: robust[i].value,
            standard_error: robust[i].standard_error,
            best: best[i],
            ips: estimate(values[i].ips()),
            snips: estimate(values[i].snips()),
            dr: estimate(Ok(robust[i])),
            effective: values[i].effective(),
            over_stable: over_stable[i],
        };
        Some((0..values.len()).map(arm).collect())
    }

    /// What choosing by context brought beyond each arm alone, in the times after the first, when nothing was known yet.
    fn gains(&self, look: &Look<'_>) -> Vec<Gain> {
        let first = self.strata.iter().find(|s| s.step == look.step && s.compared()).map(|s| s.generation);
        let shown = self.differences(look, None, |b, arm| {
            (Some(b.taken.stratum.generation) != first).then(|| b.chosen(look) - b.alone(look, arm))
        });
        let of = |(variant, shown): (&usize, Option<(u64, Range)>)| {
            let (units, gain) = shown?;
            Some(Gain { over: self.plan.variants[*variant].clone(), units, gain })
        };
        look.variants.iter().zip(shown).filter_map(of).collect()
    }

    /// How much better each arm would be alone than stable.
    fn over_stable(&self, look: &Look<'_>) -> Vec<Option<Range>> {
        let Some(stable) = look.variants.iter().position(|v| *v == 0) else { return vec![None; look.variants.len()] };
        let shown = self.differences(look, Some(stable), |b, arm| {
            (arm != stable).then(|| b.alone(look, arm) - b.alone(look, stable))
        });
        shown.into_iter().map(|shown| shown.map(|(_, range)| range)).collect()
    }

    /// Means, for each arm, of what each choice says of a difference, with their confidence sequences and on how many units
    /// they rest. Nothing before there are units enough.
    ///
    /// Both the probabilities of a choice and what was expected of it come from what was known before it: each difference is
    /// then an unbiased one given its past, whatever the model, and what is left over is a martingale (Waudby-Smith, Wu, Ramdas,
    /// Karampatziakis and Mineiro, "Anytime-valid off-policy inference for contextual bandits", arXiv:2210.10768). A model that
    /// had learned from the rewards that it is compared with would follow their noise, and the interval would be too narrow.
    /// All differences of one unit are one cluster, since they are not independent.
    ///
    /// The interval holds in the limit. An arm with a small share is seen seldom, and each of its rewards counts for many: until
    /// a few have come the differences hardly vary, whatever they leave out. So each arm that is compared with (`beside` is one
    /// more for all) has to have been seen as often as each variant of an even test would have, weighed as Kish weighs
    /// ([`OffPolicy::effective`]).
    fn differences(
        &self,
        look: &Look<'_>,
        beside: Option<usize>,
        of: impl Fn(&Brought<'_>, usize) -> Option<f64>,
    ) -> Vec<Option<(u64, Range)>> {
        let mut all = vec![UnitMoments::default(); look.variants.len()];
        let mut weights = vec![(0.0, 0.0); look.variants.len()];
        for unit in &self.units {
            let mut totals = vec![UnitTotals::default(); look.variants.len()];
            for b in self.brought(unit, look) {
                if (0..totals.len()).any(|arm| of(&b, arm).is_some()) {
                    let weight = 1.0 / b.taken.propensity(look.variants[b.taken.arm]);
                    weights[b.taken.arm].0 += weight;
                    weights[b.taken.arm].1 += weight * weight;
                }
                for (arm, total) in totals.iter_mut().enumerate() {
                    if let Some(difference) = of(&b, arm) {
                        total.value += look.sign * difference;
                        total.denominator += 1.0;
                    }
                }
            }
            for (moments, totals) in all.iter_mut().zip(&totals).filter(|(_, t)| t.denominator > 0.0) {
                moments.add(totals);
            }
        }
        let test = AsymptoticCs::two_sided(self.plan.alpha, self.plan.expected_units).ok();
        let seen =
            |arm: usize| weights[arm].0 * weights[arm].0 >= BURN_IN / 4.0 * weights[arm].1 && weights[arm].1 > 0.0;
        let shown = |(arm, moments): (usize, &UnitMoments)| {
            let effect = moments.ratio_effect().ok().filter(|e| e.units >= BURN_IN)?;
            (seen(arm) && beside.is_none_or(seen)).then_some(())?;
            Some((moments.units(), test?.interval(&effect).into()))
        };
        all.iter().enumerate().map(shown).collect()
    }
}
