//! How far two variants are apart: estimate, standard error, and how much was seen.

use super::moments::UnitMoments;
use serde::{Deserialize, Serialize};

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// The mean of value over units.
    Mean,
    /// The sum of value over the sum of denominator; its variance by the delta method on units
    /// (Deng, Knoblich and Lu, KDD 2018, arXiv:1803.06336): (σ²ᵥ − 2R·σᵥ_d + R²·σ²_d) ÷ d̄² for one unit.
    Ratio,
}

/// Difference in the metric's own unit, or as a part of the control's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Treatment − control.
    Absolute,
    /// (Treatment − control) ÷ control, by the delta method.
    Relative,
}

/// What to compare and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Contrast {
    /// Mean or ratio.
    pub measure: Measure,
    /// Absolute or relative.
    pub scale: Scale,
    /// Takes out what the covariate explains (CUPED: Deng, Xu, Kohavi and Walker, WSDM 2013), with one slope
    /// for both variants.
    pub cuped: bool,
}

/// An estimated difference. Its distribution is normal in the limit of many units.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// The estimate.
    pub value: f64,
    /// Its standard error, positive.
    pub standard_error: f64,
    /// How much was seen, in units split evenly: the time of the sequential tests. For one stage it is the number
    /// of units; see [`super::Strata`] for several.
    pub units: f64,
}

/// Values that belong together with a given confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end; −∞ for a one-sided upper bound.
    pub low: f64,
    /// The estimate itself.
    pub estimate: f64,
    /// Upper end; ∞ for a one-sided lower bound.
    pub high: f64,
}

impl Interval {
    /// Whether `value` is in it.
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// What both allow. Two confidence sequences of one value at two times may be cut with each other.
    pub fn and(&self, earlier: &Self) -> Self {
        Self { low: self.low.max(earlier.low), estimate: self.estimate, high: self.high.min(earlier.high) }
    }
}

/// There is nothing to say about a difference yet: hold, neither pass nor fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoEffect {
    /// Fewer than two units in a variant.
    #[error("a variant has fewer than two units")]
    TooFew,
    /// All units alike: no standard error.
    #[error("all units have the same value, so there is no standard error")]
    NoVariance,
    /// A relative difference from a control at zero, or a ratio whose denominator is zero.
    #[error("the control's value or a ratio's denominator is zero")]
    NoBaseline,
}

/// A variant's value and the variance of one unit's influence on it.
struct Estimate {
    n: f64,
    /// Adjusted for the covariate.
    value: f64,
    raw: f64,
    variance: f64,
}

/// The variant's value before adjustment, with what the adjustment needs.
struct Linear {
    n: f64,
    value: f64,
    variance: f64,
    with_covariate: f64,
    covariate_variance: f64,
    covariate: f64,
}

impl Linear {
    fn new(m: &UnitMoments, measure: Measure) -> Result<Self, NoEffect> {
        if m.units() < 2 {
            return Err(NoEffect::TooFew);
        }
        let means = m.means();
        let (value, variance, with_covariate) = match measure {
            Measure::Mean => (means.value, m.covariance(0, 0), m.covariance(0, 2)),
            Measure::Ratio => {
                let d = means.denominator;
                if d == 0.0 {
                    return Err(NoEffect::NoBaseline);
                }
                let r = means.value / d;
                let variance = m.covariance(0, 0) - 2.0 * r * m.covariance(0, 1) + r * r * m.covariance(1, 1);
                (r, variance / (d * d), (m.covariance(0, 2) - r * m.covariance(1, 2)) / d)
            }
        };
        let (covariate, covariate_variance) = (means.covariate, m.covariance(2, 2));
        Ok(Self { n: m.units() as f64, value, variance, with_covariate, covariate_variance, covariate })
    }

    fn adjusted(&self, slope: f64) -> Estimate {
        Estimate {
            n: self.n,
            value: self.value - slope * self.covariate,
            raw: self.value,
            variance: self.variance + slope * slope * self.covariate_variance - 2.0 * slope * self.with_covariate,
        }
    }
}

/// A variant's value, and the variance of one unit's influence on it.
pub(super) fn level(m: &UnitMoments, measure: Measure) -> Result<(f64, f64), NoEffect> {
    Linear::new(m, measure).map(|l| (l.value, l.variance))
}

/// The slope of the metric on the covariate. For means over all units of both variants together; for ratios
/// within each variant, since the linearised value is only defined there.
pub(super) fn slope(control: &UnitMoments, treatment: &UnitMoments, measure: Measure) -> Result<f64, NoEffect> {
    let (covariance, variance) = match measure {
        Measure::Mean => {
            let mut both = *control;
            both.merge(treatment);
            (both.covariance(0, 2), both.covariance(2, 2))
        }
        Measure::Ratio => {
            let (c, t) = (Linear::new(control, measure)?, Linear::new(treatment, measure)?);
            let weighted = |of: fn(&Linear) -> f64| (c.n - 1.0) * of(&c) + (t.n - 1.0) * of(&t);
            (weighted(|l| l.with_covariate), weighted(|l| l.covariate_variance))
        }
    };
    Ok(if variance > 0.0 { covariance / variance } else { 0.0 })
}

/// Compares a treatment with its control. Randomised assignment with constant weights is assumed; when the
/// weights changed on the way, keep [`super::Strata`].
pub fn compare(control: &UnitMoments, treatment: &UnitMoments, contrast: Contrast) -> Result<Effect, NoEffect> {
    let slope = if contrast.cuped { slope(control, treatment, contrast.measure)? } else { 0.0 };
    let c = Linear::new(control, contrast.measure)?.adjusted(slope);
    let t = Linear::new(treatment, contrast.measure)?.adjusted(slope);
    let (value, variance) = match contrast.scale {
        Scale::Absolute => (t.value - c.value, c.variance / c.n + t.variance / t.n),
        Scale::Relative => {
            if c.raw == 0.0 {
                return Err(NoEffect::NoBaseline);
            }
            let (base, other) = (c.raw.powi(2), t.raw.powi(2));
            ((t.value - c.value) / c.raw, t.variance / (base * t.n) + c.variance * other / (base * base * c.n))
        }
    };
    if variance.is_nan() || variance <= 0.0 {
        return Err(NoEffect::NoVariance);
    }
    Ok(Effect { value, standard_error: variance.sqrt(), units: c.n + t.n })
}

impl UnitMoments {
    /// The mean of value over the units of one variant, with its standard error.
    pub fn mean_effect(&self) -> Result<Effect, NoEffect> {
        self.one(Measure::Mean)
    }

    /// The sum of value over the sum of denominator, with its standard error by the delta method.
    pub fn ratio_effect(&self) -> Result<Effect, NoEffect> {
        self.one(Measure::Ratio)
    }

    fn one(&self, measure: Measure) -> Result<Effect, NoEffect> {
        let one = Linear::new(self, measure)?;
        if one.variance.is_nan() || one.variance <= 0.0 {
            return Err(NoEffect::NoVariance);
        }
        Ok(Effect { value: one.value, standard_error: (one.variance / one.n).sqrt(), units: one.n })
    }
}
