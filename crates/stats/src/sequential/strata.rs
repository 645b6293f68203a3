//! A comparison over steps with different weights.

use super::effect::{Contrast, Effect, Measure, NoEffect, Scale, compare, level, slope};
use super::moments::{UnitMoments, UnitTotals};
use serde::{Deserialize, Serialize};

/// Moments of each variant in each step of a rollout.
///
/// While the weights rise, the mix of early and late units differs between the variants; pooled over steps, a
/// baseline that drifts would look like an effect (Simpson's paradox). So the variants are compared within each
/// step, where the weights are constant, and the differences are averaged with the weights h = n₀·n₁/(n₀+n₁) of
/// Cochran, Mantel and Haenszel, which depend on the assignment alone.
///
/// Units that come back in later steps are counted in one of two ways. [`Strata::compare`] wants each unit in the step in
/// which it was first exposed. When a later step moves it to another variant, take it out ([`UnitMoments::remove`]) and do
/// not add it again: who moves is decided by the hash of the unit alone, so what remains is unbiased, while a control that
/// lost half of its visits would not be. [`Strata::compare_returning`] wants what a unit brought in each step in that step,
/// whatever variant it had in others, and is told of the units that were there more than once: no visit is lost, which
/// matters where the same users come every day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Strata {
    variants: usize,
    /// `cells[step * variants + variant]`
    cells: Vec<UnitMoments>,
}

/// What one unit brought in one step, as it was added to the step's cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Visit {
    /// The step.
    pub step: usize,
    /// Its variant there.
    pub variant: usize,
    /// Its totals there.
    pub totals: UnitTotals,
}

/// How far one unit of a variant pulls an averaged value or difference: `factor` times what it is away from the variant's
/// own value and from what its covariate explains.
#[derive(Debug, Clone, Copy, Default)]
struct Pull {
    factor: f64,
    value: f64,
    /// What the covariate explains for each unit by which it is away from its mean, in the variant's totals.
    slope: f64,
    covariate: f64,
}

impl Pull {
    fn of(&self, unit: &UnitTotals, measure: Measure) -> f64 {
        let size = match measure {
            Measure::Mean => 1.0,
            Measure::Ratio => unit.denominator,
        };
        self.factor * (unit.value - self.value * size - self.slope * (unit.covariate - self.covariate))
    }
}

impl Strata {
    /// No step yet, with this many variants.
    pub fn new(variants: usize) -> Self {
        Self { variants, cells: Vec::new() }
    }

    /// Steps there are.
    pub fn steps(&self) -> usize {
        self.cells.len().checked_div(self.variants).unwrap_or_default()
    }

    /// The moments of a variant in a step, which begins if it is new. `None` for a variant that is not there.
    pub fn cell(&mut self, step: usize, variant: usize) -> Option<&mut UnitMoments> {
        if variant >= self.variants {
            return None;
        }
        let needed = (step + 1) * self.variants;
        if self.cells.len() < needed {
            self.cells.resize(needed, UnitMoments::default());
        }
        self.cells.get_mut(step * self.variants + variant)
    }

    /// Adds everything that `other`, a replica of the same rollout with other units, has seen. Nothing happens
    /// when it has another number of variants.
    pub fn merge(&mut self, other: &Self) {
        if self.variants != other.variants {
            return;
        }
        let longer = self.cells.len().max(other.cells.len());
        self.cells.resize(longer, UnitMoments::default());
        for (ours, theirs) in self.cells.iter_mut().zip(&other.cells) {
            ours.merge(theirs);
        }
    }

    /// The difference between two variants over all steps in which both have two units and some variance.
    /// [`Effect::units`] is 4·Σh: the number of units that, split evenly, would tell as much.
    pub fn compare(&self, control: usize, treatment: usize, contrast: Contrast) -> Result<Effect, NoEffect> {
        let (mut weight, mut sum, mut variance) = (0.0, 0.0, 0.0);
        let mut why = NoEffect::TooFew;
        for step in self.cells.chunks_exact(self.variants.max(1)) {
            let (Some(base), Some(other)) = (step.get(control), step.get(treatment)) else { break };
            match compare(base, other, contrast) {
                Ok(effect) => {
                    let (n, m) = (base.units() as f64, other.units() as f64);
                    let h = n * m / (n + m);
                    weight += h;
                    sum += h * effect.value;
                    variance += (h * effect.standard_error).powi(2);
                }
                Err(reason) => why = reason,
            }
        }
        if weight == 0.0 {
            return Err(why);
        }
        Ok(Effect { value: sum / weight, standard_error: variance.sqrt() / weight, units: 4.0 * weight })
    }

    /// As [`Strata::compare`] when units were counted in each step that they came in. `returning` are the visits of each
    /// unit with more than one. What a unit brings in one step is not independent of what it brings in another, so the
    /// products of its pulls on the estimate go into the variance, which is then robust against clusters over all steps
    /// (Liang and Zeger, Biometrika 1986).
    pub fn compare_returning<V: IntoIterator<Item = Visit>>(
        &self,
        (control, treatment): (usize, usize),
        contrast: Contrast,
        returning: impl IntoIterator<Item = V>,
    ) -> Result<Effect, NoEffect> {
        let alone = self.compare(control, treatment, contrast)?;
        let pulls: Vec<[Pull; 2]> =
            self.cells.chunks_exact(self.variants).map(|step| pulls(step, control, treatment, contrast)).collect();
        let mut twice = 0.0;
        for visits in returning {
            // (Σψ)² − Σψ² is twice the sum of the products of different steps.
            let (mut sum, mut squares) = (0.0, 0.0);
            for visit in visits {
                let side = if visit.variant == control { 0 } else { usize::from(visit.variant == treatment) };
                if side == 0 && visit.variant != control {
                    continue;
                }
                let Some(pull) = pulls.get(visit.step).map(|p| p[side]) else { continue };
                let psi = pull.of(&visit.totals, contrast.measure);
                sum += psi;
                squares += psi * psi;
            }
            twice += sum * sum - squares;
        }
        let weight = alone.units / 4.0;
        let variance = alone.standard_error.powi(2) + twice / (weight * weight);
        if variance.is_nan() || variance <= 0.0 {
            return Err(NoEffect::NoVariance);
        }
        Ok(Effect { standard_error: variance.sqrt(), ..alone })
    }

    /// The value of each of `variants`, standardised to one mix of steps: each step in which all of them have two units
    /// counts in every value by its part of the units. So a baseline that drifts while a bandit moves its weights lifts all
    /// of them alike. Units are counted in each step that they came in, as for [`Strata::compare_returning`], and
    /// [`Effect::units`] are the variant's own.
    ///
    /// The variance of a variant in a step is that of its units and one more that varies as much as those of all variants,
    /// so that few units that happen to be alike are not taken to be certain.
    pub fn levels<V: IntoIterator<Item = Visit>>(
        &self,
        variants: &[usize],
        measure: Measure,
        returning: impl IntoIterator<Item = V>,
    ) -> Result<Vec<Effect>, NoEffect> {
        let none = Effect { value: 0.0, standard_error: 0.0, units: 0.0 };
        let (mut levels, mut variances, mut all) = (vec![none; variants.len()], vec![0.0; variants.len()], 0.0);
        // For each step the pull of each variant, before it is known how many units there are in all.
        let mut pulls = vec![Vec::new(); self.steps()];
        let mut why = NoEffect::TooFew;
        for (step, pulls) in self.cells.chunks_exact(self.variants.max(1)).zip(&mut pulls) {
            let cells: Option<Vec<&UnitMoments>> = variants.iter().map(|v| step.get(*v)).collect();
            let cells = cells.ok_or(NoEffect::TooFew)?;
            let found: Result<Vec<(f64, f64)>, NoEffect> = cells.iter().map(|cell| level(cell, measure)).collect();
            let found = match found {
                Ok(found) => found,
                Err(reason) => {
                    why = reason;
                    continue;
                }
            };
            let units: f64 = cells.iter().map(|cell| cell.units() as f64).sum();
            let freedom = units - cells.len() as f64;
            let squares = found.iter().zip(&cells).map(|((_, variance), cell)| variance * (cell.units() - 1) as f64);
            let pooled = squares.sum::<f64>() / freedom;
            for (i, ((value, variance), cell)) in found.iter().zip(&cells).enumerate() {
                let n = cell.units() as f64;
                levels[i].value += units * value;
                levels[i].units += n;
                variances[i] += (units / n).powi(2) * (variance * (n - 1.0) + pooled);
                let size = if measure == Measure::Ratio { cell.means().denominator } else { 1.0 };
                pulls.push(Pull { factor: units / (n * size), value: *value, slope: 0.0, covariate: 0.0 });
            }
            all += units;
        }
        if all == 0.0 {
            return Err(why);
        }
        for (variance, more) in variances.iter_mut().zip(crossed(&pulls, (variants, measure), returning)) {
            *variance += more;
        }
        for (level, variance) in levels.iter_mut().zip(variances) {
            if variance.is_nan() || variance <= 0.0 {
                return Err(NoEffect::NoVariance);
            }
            level.value /= all;
            level.standard_error = variance.sqrt() / all;
        }
        Ok(levels)
    }
}

/// For each variant twice the sum of the products of one unit's pulls in different steps, over all units.
fn crossed<V: IntoIterator<Item = Visit>>(
    pulls: &[Vec<Pull>],
    (variants, measure): (&[usize], Measure),
    returning: impl IntoIterator<Item = V>,
) -> Vec<f64> {
    let mut twice = vec![0.0; variants.len()];
    let mut sums = vec![(0.0, 0.0); variants.len()];
    for visits in returning {
        sums.fill((0.0, 0.0));
        for visit in visits {
            let Some(i) = variants.iter().position(|v| *v == visit.variant) else { continue };
            let Some(pull) = pulls.get(visit.step).and_then(|p| p.get(i)) else { continue };
            let psi = pull.of(&visit.totals, measure);
            sums[i].0 += psi;
            sums[i].1 += psi * psi;
        }
        for (twice, (sum, squares)) in twice.iter_mut().zip(&sums) {
            *twice += sum * sum - squares;
        }
    }
    twice
}

/// The pulls of both variants in one step, times its weight; nothing where the step has nothing to compare.
fn pulls(step: &[UnitMoments], control: usize, treatment: usize, contrast: Contrast) -> [Pull; 2] {
    let (Some(base), Some(other)) = (step.get(control), step.get(treatment)) else { return [Pull::default(); 2] };
    if compare(base, other, contrast).is_err() {
        return [Pull::default(); 2];
    }
    let units = [base.units() as f64, other.units() as f64];
    let weight = units[0] * units[1] / (units[0] + units[1]);
    let value = |cell: &UnitMoments| {
        let means = cell.means();
        match contrast.measure {
            Measure::Mean => (means.value, 1.0),
            Measure::Ratio => (means.value / means.denominator, means.denominator),
        }
    };
    let values = [value(base), value(other)];
    let scales = match contrast.scale {
        Scale::Absolute => [-1.0, 1.0],
        Scale::Relative => [-values[1].0 / values[0].0.powi(2), 1.0 / values[0].0],
    };
    let slope = if contrast.cuped { slope(base, other, contrast.measure).unwrap_or_default() } else { 0.0 };
    std::array::from_fn(|i| {
        let (value, size) = values[i];
        let covariate = [base, other][i].means().covariate;
        Pull { factor: weight * scales[i] / (units[i] * size), value, slope: slope * size, covariate }
    })
}

#[cfg(test)]
mod tests;
