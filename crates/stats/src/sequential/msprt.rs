//! The mixture sequential probability ratio test.

use super::effect::{Effect, Interval};
use super::{InvalidSetting, Side, positive};
use crate::special::ln_normal_cdf;
use serde::{Deserialize, Serialize};
use std::f64::consts::LN_2;

/// The mSPRT with a normal mixture (Robbins 1970; Johari, Pekelis and Walsh, "Always Valid Inference",
/// Operations Research 2022, arXiv:1512.04922), for the difference of two means with the
/// squared standard error v: Λ = √(v/(v+τ²))·exp(τ²(θ̂−θ₀)²/(2v(v+τ²))). With v = σ²/n it is the paper's formula for
/// one mean.
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

    /// ln of the e-process against "the effect is at most (for [`Side::Above`]) `null`": the mixture over effects on one side
    /// only, as [`super::AsymptoticCs::log_e_one_sided`]. Each of them is likelier than one beyond `null` the more, the
    /// further that is from it, so that this holds for every effect that the null hypothesis allows.
    pub fn log_e_one_sided(&self, effect: &Effect, null: f64, side: Side) -> f64 {
        let v = effect.standard_error.powi(2);
        let total = v + self.tau_squared;
        let distance = match side {
            Side::Above => effect.value - null,
            Side::Below => null - effect.value,
        };
        let x = distance * (self.tau_squared / (v * total)).sqrt();
        LN_2 + 0.5 * (v / total).ln() + 0.5 * x * x + ln_normal_cdf(x)
    }

    /// The values that are not rejected at `alpha`: holds the true effect at all looks at once.
    pub fn interval(&self, effect: &Effect, alpha: f64) -> Interval {
        let v = effect.standard_error.powi(2);
        let total = v + self.tau_squared;
        let half = (v * total / self.tau_squared * ((total / v).ln() - 2.0 * alpha.ln())).sqrt();
        Interval { low: effect.value - half, estimate: effect.value, high: effect.value + half }
    }
}
