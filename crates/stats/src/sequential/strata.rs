//! A comparison over steps with different weights.

use super::effect::{Contrast, Effect, Measure, NoEffect, Scale, compare};
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

/// How far one unit of a variant pulls the averaged difference, for each unit by which it is away from the variant's value.
#[derive(Debug, Clone, Copy, Default)]
struct Pull {
    factor: f64,
    value: f64,
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
    /// (Liang and Zeger, Biometrika 1986). CUPED is left out.
    pub fn compare_returning<V: IntoIterator<Item = Visit>>(
        &self,
        (control, treatment): (usize, usize),
        contrast: Contrast,
        returning: impl IntoIterator<Item = V>,
    ) -> Result<Effect, NoEffect> {
        let contrast = Contrast { cuped: false, ..contrast };
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
                let size = match contrast.measure {
                    Measure::Mean => 1.0,
                    Measure::Ratio => visit.totals.denominator,
                };
                let psi = pull.factor * (visit.totals.value - pull.value * size);
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
    std::array::from_fn(|i| {
        let (value, size) = values[i];
        Pull { factor: weight * scales[i] / (units[i] * size), value }
    })
}
