//! Confidence sequences for means of anything with a variance.

use super::effect::{Effect, Interval};
use super::{InvalidSetting, Side, positive, rate_of_error};
use crate::special::ln_normal_cdf;
use serde::{Deserialize, Serialize};
use std::f64::consts::LN_2;

/// The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas ("Time-uniform central
/// limit theory and asymptotic confidence sequences", Annals of Statistics 2024, arXiv:2103.06476v7).
///
/// Asymptotic: the error rate holds in the limit of a late first look, as the normal interval's does for one look
/// at many units. Start to look when each variant has some hundred units (and a rare event some tens of events);
/// the simulations behind `examples/error_rates.rs` say with which burn-in the rate was kept.
///
/// `tuned_for` is the number of units at which the interval is narrowest. It must be fixed before the first look:
/// chosen from the data, it breaks the guarantee.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AsymptoticCs {
    alpha: f64,
    rho: f64,
}

impl AsymptoticCs {
    /// For two-sided intervals and [`AsymptoticCs::log_e`]; ρ after equation 161.
    pub fn two_sided(alpha: f64, tuned_for: f64) -> Result<Self, InvalidSetting> {
        let (alpha, tuned_for) = (rate_of_error(alpha)?, positive("tuned_for", tuned_for)?);
        let twice = -2.0 * alpha.ln();
        Ok(Self { alpha, rho: ((twice + (twice + 1.0).ln()) / tuned_for).sqrt() })
    }

    /// For one-sided bounds and [`AsymptoticCs::log_e_one_sided`]; ρ from 2·α, as below equation 134. α is at
    /// most ½.
    pub fn one_sided(alpha: f64, tuned_for: f64) -> Result<Self, InvalidSetting> {
        let doubled = Self::two_sided((2.0 * alpha).min(0.999), tuned_for)?;
        Ok(Self { alpha: rate_of_error(alpha)?, ..doubled })
    }

    /// n·ρ² + 1.
    fn time(&self, effect: &Effect) -> f64 {
        effect.units * self.rho * self.rho + 1.0
    }

    /// Equation 9: holds the true effect at all looks at once with probability 1 − α.
    pub fn interval(&self, effect: &Effect) -> Interval {
        let time = self.time(effect);
        let width = 2.0 * time / (time - 1.0) * (time.sqrt() / self.alpha).ln();
        let half = effect.standard_error * width.sqrt();
        Interval { low: effect.value - half, estimate: effect.value, high: effect.value + half }
    }

    /// Equation 134: the effect is above (or below) the finite end at all looks with probability 1 − α.
    pub fn bound(&self, effect: &Effect, side: Side) -> Interval {
        let time = self.time(effect);
        let width = 2.0 * time / (time - 1.0) * (time.sqrt() / (2.0 * self.alpha)).ln_1p();
        let half = effect.standard_error * width.sqrt();
        let (low, high) = match side {
            Side::Above => (effect.value - half, f64::INFINITY),
            Side::Below => (f64::NEG_INFINITY, effect.value + half),
        };
        Interval { low, estimate: effect.value, high }
    }

    /// ln of the e-process against "the effect is `null`" (equation 155): at least 1/α exactly when the interval
    /// excludes `null`.
    pub fn log_e(&self, effect: &Effect, null: f64) -> f64 {
        let time = self.time(effect);
        let z = (effect.value - null) / effect.standard_error;
        (time - 1.0) * z * z / (2.0 * time) - 0.5 * time.ln()
    }

    /// ln of the e-process against "the effect is at most (for [`Side::Above`]) `null`": the mixture of
    /// [`AsymptoticCs::log_e`] over effects on one side only. Where [`AsymptoticCs::bound`] excludes `null`, it is
    /// at least 1/α.
    pub fn log_e_one_sided(&self, effect: &Effect, null: f64, side: Side) -> f64 {
        let time = self.time(effect);
        let z = match side {
            Side::Above => (effect.value - null) / effect.standard_error,
            Side::Below => (null - effect.value) / effect.standard_error,
        };
        let x = z * ((time - 1.0) / time).sqrt();
        LN_2 - 0.5 * time.ln() + 0.5 * x * x + ln_normal_cdf(x)
    }
}
