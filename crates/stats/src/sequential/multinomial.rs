//! Counts that should follow known shares: sample ratios, errors by variant.

use crate::InvalidSketch;
use crate::special::{chi_square_sf, ln_gamma};
use serde::{Deserialize, Serialize};

/// The Dirichlet-multinomial e-process of Lindon and Malek ("Anytime-Valid Inference for Multinomial Count Data",
/// NeurIPS 2022, arXiv:2011.03567), under shares that change on the way:
/// E = Γ(Σa)/Γ(Σa+n) · Π Γ(aᵢ+xᵢ)/Γ(aᵢ) ÷ Π θᵢ^xᵢ.
///
/// Null hypothesis: each event falls to variant i with probability θᵢ, whatever came before. For exposures θ is
/// the planned split: a rejection is a sample-ratio mismatch. For errors θ is the split too: given that an error
/// happened, it came from variant i with probability θᵢ if all variants err alike, however the error rate drifts.
/// Exact: no condition on the counts, no burn-in. Count *units* with an error, not errors: a client that retries
/// is one event.
///
/// While θ is constant, the counts alone decide, in any order, and replicas add theirs. When θ changes
/// ([`Multinomial::change`]), the evidence so far stays as a factor, and the next Dirichlet prior is centred on
/// the new shares tilted by what was learned: θ'ᵢ·(aᵢ+xᵢ)/(aᵢ+Eᵢ), E being the counts expected so far. Its
/// concentration goes on growing, so that with θ' = θ the change makes no difference at all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Multinomial {
    concentration: f64,
    /// Shares now.
    theta: Vec<f64>,
    /// Dirichlet parameters at the beginning of the present shares.
    prior: Vec<f64>,
    /// Counts since then.
    counts: Vec<u64>,
    /// ln e of what came before.
    closed: f64,
    /// Counts and expectations before.
    seen: Vec<f64>,
    expected: Vec<f64>,
    /// Prior weight of each variant in the tilt: the concentration times its first positive share.
    weight: Vec<f64>,
}

/// The stored form, checked before it becomes a [`Multinomial`].
#[derive(Deserialize)]
struct Stored {
    concentration: f64,
    theta: Vec<f64>,
    prior: Vec<f64>,
    counts: Vec<u64>,
    closed: f64,
    seen: Vec<f64>,
    expected: Vec<f64>,
    weight: Vec<f64>,
}

impl TryFrom<Stored> for Multinomial {
    type Error = InvalidSketch;

    fn try_from(stored: Stored) -> Result<Self, InvalidSketch> {
        let Stored { concentration, theta, prior, counts, closed, seen, expected, weight } = stored;
        let variants = theta.len();
        if [prior.len(), counts.len(), seen.len(), expected.len(), weight.len()].iter().any(|n| *n != variants) {
            let why = format!("its parts are not all of {variants} variants");
            return Err(InvalidSketch { sketch: "multinomial", why });
        }
        check(&theta).map_err(|e| InvalidSketch { sketch: "multinomial", why: e.to_string() })?;
        Ok(Self { concentration, theta, prior, counts, closed, seen, expected, weight })
    }
}

/// Counts or shares that make no sense for the test.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CountsError {
    /// Shares must be 0 or more and add up to 1.
    #[error("the shares {given:?} are no split: they must not be negative and must add up to 1")]
    Shares {
        /// What was given.
        given: Vec<f64>,
    },
    /// Another number of variants than at the start.
    #[error("{given} numbers were given for {have} variants")]
    Variants {
        /// What was given.
        given: usize,
        /// Variants of the test.
        have: usize,
    },
    /// Events in a variant that has no share: the assignment does not follow the plan at all.
    #[error("variant {variant} had {count} events while its share was 0: close the step only after its last event")]
    Impossible {
        /// Its index.
        variant: usize,
        /// Its events.
        count: u64,
    },
    /// The concentration must be positive.
    #[error("the concentration is {0}; it must be positive and finite")]
    Concentration(f64),
}

impl Multinomial {
    /// With the shares `theta` of the variants and the concentration of the prior: 100 looks for moderate
    /// deviations and is the value of the paper's examples; larger ones look for smaller deviations in more data.
    pub fn new(theta: &[f64], concentration: f64) -> Result<Self, CountsError> {
        check(theta)?;
        if !(concentration > 0.0 && concentration.is_finite()) {
            return Err(CountsError::Concentration(concentration));
        }
        let prior: Vec<f64> = theta.iter().map(|t| concentration * t).collect();
        Ok(Self {
            concentration,
            theta: theta.to_vec(),
            weight: prior.clone(),
            prior,
            counts: vec![0; theta.len()],
            closed: 0.0,
            seen: vec![0.0; theta.len()],
            expected: vec![0.0; theta.len()],
        })
    }

    /// More events of each variant, under the present shares. Nothing is taken when one is impossible.
    pub fn observe(&mut self, counts: &[u64]) -> Result<(), CountsError> {
        self.same_variants(counts.len())?;
        if let Some((variant, (count, _))) =
            counts.iter().zip(&self.theta).enumerate().find(|(_, (c, t))| **c > 0 && **t <= 0.0)
        {
            return Err(CountsError::Impossible { variant, count: *count });
        }
        for (have, more) in self.counts.iter_mut().zip(counts) {
            *have += more;
        }
        Ok(())
    }

    /// From now on other shares. Call it after the last event of the present ones.
    pub fn change(&mut self, theta: &[f64]) -> Result<(), CountsError> {
        self.same_variants(theta.len())?;
        check(theta)?;
        self.closed = self.log_e();
        let n: f64 = self.counts.iter().map(|c| *c as f64).sum();
        for (i, share) in theta.iter().enumerate() {
            self.seen[i] += self.counts[i] as f64;
            self.expected[i] += n * self.theta[i];
            self.counts[i] = 0;
            if self.weight[i] == 0.0 {
                self.weight[i] = self.concentration * share;
            }
        }
        let tilted: Vec<f64> = (0..theta.len())
            .map(|i| {
                let base = self.weight[i] + self.expected[i];
                if theta[i] > 0.0 && base > 0.0 { theta[i] * (self.weight[i] + self.seen[i]) / base } else { 0.0 }
            })
            .collect();
        let sum: f64 = tilted.iter().sum();
        let total = self.concentration + self.seen.iter().sum::<f64>();
        self.prior = tilted.iter().map(|t| total * t / sum).collect();
        self.theta = theta.to_vec();
        Ok(())
    }

    /// ln of the e-value now: reject at α once it reaches ln(1/α).
    pub fn log_e(&self) -> f64 {
        let n: f64 = self.counts.iter().map(|c| *c as f64).sum();
        let total: f64 = self.prior.iter().sum();
        let mut sum = self.closed + ln_gamma(total) - ln_gamma(total + n);
        for ((count, prior), theta) in self.counts.iter().zip(&self.prior).zip(&self.theta) {
            if *count > 0 {
                let x = *count as f64;
                sum += ln_gamma(prior + x) - ln_gamma(*prior) - x * theta.ln();
            }
        }
        sum
    }

    /// All counts so far.
    pub fn counts(&self) -> Vec<u64> {
        self.counts.iter().zip(&self.seen).map(|(now, before)| now + *before as u64).collect()
    }

    fn same_variants(&self, given: usize) -> Result<(), CountsError> {
        let have = self.theta.len();
        if given == have { Ok(()) } else { Err(CountsError::Variants { given, have }) }
    }
}

fn check(theta: &[f64]) -> Result<(), CountsError> {
    let sum: f64 = theta.iter().sum();
    if theta.iter().any(|t| t.is_nan() || *t < 0.0) || (sum - 1.0).abs() > 1e-9 {
        return Err(CountsError::Shares { given: theta.to_vec() });
    }
    Ok(())
}

/// Pearson's chi-square p-value for counts under `theta`, for one look at the end of an experiment. It must not be
/// looked at again and again: that is what [`Multinomial`] is for.
pub fn chi_square_p(counts: &[u64], theta: &[f64]) -> f64 {
    let n: f64 = counts.iter().map(|c| *c as f64).sum();
    let total: f64 = theta.iter().sum();
    if n == 0.0 || total <= 0.0 {
        return 1.0;
    }
    let statistic: f64 = counts
        .iter()
        .zip(theta)
        .filter(|(_, t)| **t > 0.0)
        .map(|(c, t)| {
            let expected = n * t / total;
            (*c as f64 - expected).powi(2) / expected
        })
        .sum();
    chi_square_sf(statistic, counts.len() as f64 - 1.0)
}
