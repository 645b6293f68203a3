//! What a contextual bandit knows: of each arm in each context, and what choosing by context has brought.

use super::arms::{Arms, Look, estimate};
use super::metric::present;
use super::plan::BURN_IN;
use super::report::{Arm, ContextArm, ContextReport, Gain, Range};
use super::{Ledger, Stratum, Unit};
use mainspring_stats::bandit::{Posterior, best_probabilities};
use mainspring_stats::contextual::{Belief, Grid, Weighed, usual};
use mainspring_stats::offpolicy::{Logged, OffPolicy};
use mainspring_stats::sequential::{AsymptoticCs, CountsError, Effect, Measure, Multinomial, UnitMoments, UnitTotals};
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
    /// Place among the arms.
    arm: usize,
    context: usize,
    reward: f64,
    /// The weights there.
    stratum: &'a Stratum,
    /// The weights of all arms that are left together: chance among them is what is left of it.
    left: f64,
}

impl Brought<'_> {
    fn propensity(&self, variant: usize) -> f64 {
        self.stratum.weights.get(variant).copied().unwrap_or_default() / self.left
    }

    /// What this choice says of what an arm would have brought here, doubly robust.
    fn alone(&self, (look, model): (&Look<'_>, &Model), arm: usize) -> f64 {
        let expected = model[arm][self.context];
        let missed = if arm == self.arm { (self.reward - expected) / self.propensity(look.variants[arm]) } else { 0.0 };
        expected + missed
    }
}

/// What is believed of each arm in each context.
type Model = Vec<Vec<f64>>;

impl Ledger {
    /// What a unit brought in the bandit's step.
    fn brought<'a>(&'a self, unit: &'a Unit, look: &'a Look<'_>) -> impl Iterator<Item = Brought<'a>> + 'a {
        unit.cells.iter().filter_map(move |cell| {
            let (at, totals) = (cell.stratum as usize, &cell.totals[look.slot]);
            let (stratum, context) = (&self.strata[at], self.contexts[at]?);
            let arm = look.variants.iter().position(|v| *v == usize::from(cell.variant))?;
            let reward = match look.measure {
                Measure::Mean => totals.value,
                Measure::Ratio => totals.value / totals.denominator,
            };
            let left: f64 = look.variants.iter().filter_map(|v| stratum.weights.get(*v)).sum();
            let known = stratum.step == look.step && present(totals) && reward.is_finite();
            known.then_some(Brought { arm, context: usize::from(context), reward, stratum, left })
        })
    }

    /// What is known of the arms in each context and alone; `None` before rewards vary.
    pub(super) fn look_at_contexts(&self, look: &Look<'_>, contexts: &Contexts) -> Option<Arms> {
        let mut seen = vec![vec![Weighed::default(); contexts.count()]; look.variants.len()];
        for b in self.units.iter().flat_map(|unit| self.brought(unit, look)) {
            // A share of nothing brought an answer: the sample ratio says so.
            let _ = seen.get_mut(b.arm)?.get_mut(b.context)?.push(b.reward, b.propensity(look.variants[b.arm]));
        }
        let (centre, spread) = usual(seen.iter().flatten())?;
        let levels = contexts.levels();
        let grid = Grid { levels: &levels, centre, spread };
        let beliefs: Result<Vec<Vec<Belief>>, _> = seen.iter().map(|seen| grid.beliefs(seen)).collect();
        let beliefs = beliefs.ok()?;
        let model: Model = beliefs.iter().map(|arm| arm.iter().map(|b| b.mean).collect()).collect();
        Some(Arms {
            alone: self.singly(look, &model)?,
            contexts: self.by_context((look, contexts), &seen, &beliefs)?,
            gains: self.gains(look, &model),
        })
    }

    fn by_context(
        &self,
        (look, contexts): (&Look<'_>, &Contexts),
        seen: &[Vec<Weighed>],
        beliefs: &[Vec<Belief>],
    ) -> Option<Vec<ContextReport>> {
        let all: u64 = seen.iter().flatten().map(Weighed::count).sum();
        let now = self.strata.len().checked_sub(contexts.count())?;
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
    fn singly(&self, look: &Look<'_>, model: &Model) -> Option<Vec<Arm>> {
        let mut values = vec![OffPolicy::default(); look.variants.len()];
        let mut units = vec![0; look.variants.len()];
        for b in self.units.iter().flat_map(|unit| self.brought(unit, look)) {
            units[b.arm] += 1;
            for (arm, value) in values.iter_mut().enumerate() {
                let _ = value.push(&Logged {
                    reward: b.reward,
                    propensity: b.propensity(look.variants[b.arm]),
                    target: f64::from(u8::from(arm == b.arm)),
                    predicted: model[b.arm][b.context],
                    baseline: model[arm][b.context],
                });
            }
        }
        let robust: Option<Vec<Effect>> = values.iter().map(|v| v.doubly_robust().ok()).collect();
        let robust = robust?;
        let belief = |e: &Effect| Posterior::Normal { mean: look.sign * e.value, standard_error: e.standard_error };
        let best = best_probabilities(&robust.iter().map(belief).collect::<Vec<_>>()).ok()?;
        let over_stable = self.over_stable(look, model);
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
    fn gains(&self, look: &Look<'_>, model: &Model) -> Vec<Gain> {
        let first = self.strata.iter().find(|s| s.step == look.step && s.compared()).map(|s| s.generation);
        let shown = self.differences(look, |b, arm| {
            let expected = look.variants.iter().enumerate();
            let expected: f64 = expected.map(|(arm, v)| b.propensity(*v) * model[arm][b.context]).sum();
            let policy = expected + b.reward - model[b.arm][b.context];
            (Some(b.stratum.generation) != first).then(|| policy - b.alone((look, model), arm))
        });
        let of = |(variant, shown): (&usize, Option<(u64, Range)>)| {
            let (units, gain) = shown?;
            Some(Gain { over: self.plan.variants[*variant].clone(), units, gain })
        };
        look.variants.iter().zip(shown).filter_map(of).collect()
    }

    /// How much better each arm would be alone than stable.
    fn over_stable(&self, look: &Look<'_>, model: &Model) -> Vec<Option<Range>> {
        let shown = self.differences(look, |b, arm| {
            (look.variants[arm] != 0).then(|| b.alone((look, model), arm) - b.alone((look, model), 0))
        });
        shown.into_iter().map(|shown| shown.map(|(_, range)| range)).collect()
    }

    /// Means, for each arm, of what each choice says of a difference, with their confidence sequences and on how many units
    /// they rest. Each choice had its probabilities from what came before it, so that the differences add up to no effect where
    /// there is none; a unit's are averaged, since they are not independent. Nothing before there are units enough.
    fn differences(
        &self,
        look: &Look<'_>,
        of: impl Fn(&Brought<'_>, usize) -> Option<f64>,
    ) -> Vec<Option<(u64, Range)>> {
        let mut all = vec![UnitMoments::default(); look.variants.len()];
        for unit in &self.units {
            let mut totals = vec![UnitTotals::default(); look.variants.len()];
            for b in self.brought(unit, look) {
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
        let shown = |moments: &UnitMoments| {
            let effect = moments.ratio_effect().ok().filter(|e| e.units >= BURN_IN)?;
            Some((moments.units(), test?.interval(&effect).into()))
        };
        all.iter().map(shown).collect()
    }
}
