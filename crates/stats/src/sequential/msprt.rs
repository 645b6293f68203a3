//! The mixture sequential probability ratio test.

use super::effect::{Effect, Interval};
use super::{InvalidSetting, positive};
use serde::{Deserialize, Serialize};

/// The mSPRT with a normal mixture (Robbins 1970; Johari, Pekelis and Walsh, "Always Valid Inference",
/// Operations Research 2022, arXiv:1512.04922, equations 8 and 14), for the difference of two means.
///
/// Exact for normal data of known variance; with the estimated one it is asymptotic, like
/// [`super::AsymptoticCs`], of which it is the other parametrisation: τ² here is fixed in the metric's unit,
/// ρ there in numbers of units.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Msprt {
    tau_squared: f64,
}

impl Msprt {
    /// `tau` is the standard deviation of the effects that are expected, in the metric's unit.
    pub fn new(tau: f64) -> Result<Self, InvalidSetting> {
        let tau = positive("tau", tau)?;
        Ok(Self { tau_squared: tau * tau })
    }

    /// ln of the likelihood ratio Λ, an e-process against "the effect is `null`".
    pub fn log_e(&self, effect: &Effect, null: f64) -> f64 {
        let v = effect.standard_error.powi(2);
        let total = v + self.tau_squared;
        0.5 * (v / total).ln() + self.tau_squared * (effect.value - null).powi(2) / (2.0 * v * total)
    }

    /// The values that are not rejected at `alpha`: holds the true effect at all looks at once.
    pub fn interval(&self, effect: &Effect, alpha: f64) -> Interval {
        let v = effect.standard_error.powi(2);
        let total = v + self.tau_squared;
        let half = (v * total / self.tau_squared * ((total / v).ln() - 2.0 * alpha.ln())).sqrt();
        Interval { low: effect.value - half, estimate: effect.value, high: effect.value + half }
    }
}
