//! A comparison over steps with different weights.

use super::effect::{Contrast, Effect, NoEffect, compare};
use super::moments::UnitMoments;
use serde::{Deserialize, Serialize};

/// Moments of each variant in each step of a rollout.
///
/// While the weights rise, the mix of early and late units differs between the variants; pooled over steps, a
/// baseline that drifts would look like an effect (Simpson's paradox). So the variants are compared within each
/// step, where the weights are constant, and the differences are averaged with the weights h = n₀·n₁/(n₀+n₁) of
/// Cochran, Mantel and Haenszel, which depend on the assignment alone.
///
/// A unit belongs to the step in which it was first exposed. When a later step moves it to another variant, take
/// it out ([`UnitMoments::remove`]) and do not add it again: who moves is decided by the hash of the unit alone,
/// so what remains is unbiased, while a control that lost half of its visits would not be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Strata {
    variants: usize,
    /// `cells[step * variants + variant]`
    cells: Vec<UnitMoments>,
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
}
