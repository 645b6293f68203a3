//! Quantiles such as the p95 and the p99, looked at all the time.

use super::histogram::LogHistogram;
use super::rate::RateRatio;
use super::{Interval, InvalidSetting, Side, between, positive, rate_of_error};
use crate::special::{ln_beta, ln_beta_cdf};
use serde::{Deserialize, Serialize};

/// The beta-binomial mixture martingale against "the probability of a success is p" (Howard, Ramdas, McAuliffe and
/// Sekhon, arXiv:1810.08240, proposition 7; in Bernoulli trials it is the Bayes factor of a beta prior).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct BetaBinomial {
    p: f64,
    a: f64,
    b: f64,
}

impl BetaBinomial {
    /// Tightest at about `tuned_for` trials for two-sided tests at `alpha`: r by proposition 3, equation 14, less
    /// p(1−p).
    pub(super) fn new(p: f64, tuned_for: f64, alpha: f64) -> Self {
        let spread = p * (1.0 - p);
        let log = -2.0 * alpha.ln();
        let r = (tuned_for * spread / (log + (1.0 + log).ln()) - spread).max(1e-3 * spread);
        Self { p, a: r / (1.0 - p), b: r / p }
    }

    /// ln of the two-sided martingale after `k` successes in `n`.
    pub(super) fn log_e(&self, k: f64, n: f64) -> f64 {
        ln_beta(self.a + k, self.b + n - k) - ln_beta(self.a, self.b) - k * self.p.ln() - (n - k) * (-self.p).ln_1p()
    }

    /// ln of the e-process against "the probability is at most (for [`Side::Above`]) p": the prior lies beyond p
    /// alone.
    pub(super) fn log_e_one_sided(&self, k: f64, n: f64, side: Side) -> f64 {
        let tail = |a: f64, b: f64| match side {
            Side::Above => ln_beta_cdf(1.0 - self.p, b, a),
            Side::Below => ln_beta_cdf(self.p, a, b),
        };
        self.log_e(k, n) + tail(self.a + k, self.b + n - k) - tail(self.a, self.b)
    }
}

/// Confidence sequence of one quantile of one variant (Howard and Ramdas, "Sequential estimation of quantiles with
/// applications to A/B testing and best-arm identification", Bernoulli 2022, arXiv:1906.09712, section 3.1).
///
/// Exact for independent values from one distribution, whatever that is: no burn-in, but the p99 needs some hundred
/// values before the upper end is finite. Under a load that changes over the day there is no one distribution; then
/// compare variants by [`Exceedance`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct QuantileCs {
    alpha: f64,
    mixture: BetaBinomial,
}

impl QuantileCs {
    /// For the quantile `p`, narrowest at about `tuned_for` values.
    pub fn new(p: f64, alpha: f64, tuned_for: f64) -> Result<Self, InvalidSetting> {
        let p = between("p", p, (0.0, 1.0), "strictly between 0 and 1")?;
        let alpha = rate_of_error(alpha)?;
        Ok(Self { alpha, mixture: BetaBinomial::new(p, positive("tuned_for", tuned_for)?, alpha) })
    }

    /// ln of the martingale against "the `p` quantile is q" when `below` of `n` values are at most q.
    pub fn log_e(&self, below: u64, n: u64) -> f64 {
        self.mixture.log_e(below as f64, n as f64)
    }

    /// The least and the most values of `n` that may lie at or below the true quantile.
    pub fn ranks(&self, n: u64) -> (u64, u64) {
        let threshold = -self.alpha.ln();
        let centre = (self.mixture.p * n as f64).round() as u64;
        let kept = |k: u64| self.log_e(k, n) < threshold;
        // The martingale is convex in the number of successes, with its least value near the centre.
        let (mut low, mut inside) = (0, centre);
        while low < inside {
            let middle = u64::midpoint(low, inside);
            if kept(middle) { inside = middle } else { low = middle + 1 }
        }
        let (mut within, mut high) = (centre, n);
        while within < high {
            let middle = within + (high - within).div_ceil(2);
            if kept(middle) { within = middle } else { high = middle - 1 }
        }
        (low, high)
    }

    /// The interval for the quantile, rounded outwards to the histogram's edges; from 0 to ∞ when little was seen.
    pub fn interval(&self, values: &LogHistogram) -> Interval {
        let n = values.total();
        let (least, most) = self.ranks(n);
        let estimate = values.at_rank((self.mixture.p * n as f64).ceil() as u64);
        // With `most` of n values at or below it, the quantile lies under the value of the next rank.
        let high = if most >= n { f64::INFINITY } else { values.at_rank(most + 1) };
        Interval { low: values.below_rank(least), estimate, high }
    }
}

/// Sequential test that a quantile of the candidate is more than `margin` times the control's (Howard and Ramdas,
/// arXiv:1906.09712, section 4, in its one-sided form).
///
/// For each place q, evidence that less than p of the candidate's values lie up to margin·q, times evidence that more
/// than p of the control's lie below q. Under the null hypothesis the control's true quantile is one of these places,
/// so that the least product over all of them is an e-process. Exact under the conditions of [`QuantileCs`]; ranks
/// between the edges of the histogram are taken to the conservative side.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SlowerTest {
    margin: f64,
    mixture: BetaBinomial,
}

impl SlowerTest {
    /// For the quantile `p`; a `margin` of 1.1 allows the candidate to be 10 % slower. `tuned_for` is the number of
    /// values of one variant at which the test should be at its best.
    pub fn new(p: f64, margin: f64, tuned_for: f64) -> Result<Self, InvalidSetting> {
        let p = between("p", p, (0.0, 1.0), "strictly between 0 and 1")?;
        let mixture = BetaBinomial::new(p, positive("tuned_for", tuned_for)?, 0.05);
        Ok(Self { margin: positive("margin", margin)?, mixture })
    }

    /// ln of the e-value now.
    pub fn log_e(&self, control: &LogHistogram, candidate: &LogHistogram) -> f64 {
        let (n, m) = (control.total() as f64, candidate.total() as f64);
        if n == 0.0 || m == 0.0 {
            return 0.0;
        }
        let candidates: Vec<u64> = candidate.cumulative().map(|(_, sum)| sum).collect();
        let mut least = f64::INFINITY;
        let mut below = 0;
        let mut last: Option<(u64, u64, f64)> = None;
        for (edge, up_to) in control.cumulative() {
            // q is somewhere in this bin: at least `below` of the control's values are under it, and at most these
            // of the candidate's up to margin·q.
            let most = candidates[candidate.bin_above(edge * self.margin)];
            let value = match last {
                Some((b, c, value)) if (b, c) == (below, most) => value,
                _ => {
                    self.mixture.log_e_one_sided(below as f64, n, Side::Above)
                        + self.mixture.log_e_one_sided(most as f64, m, Side::Below)
                }
            };
            last = Some((below, most, value));
            least = least.min(value);
            below = up_to;
        }
        least
    }
}

/// Sequential test that the candidate is slow more often than its control, for a load that drifts.
///
/// Before each batch a threshold is set from what was seen so far, such as the control's p99; the test then counts
/// how many units of the control were above it and how many of the candidate above `margin` times it. The null
/// hypothesis is that at no time the second is likelier than the first; it is tested by [`RateRatio`], so that hours,
/// outages common to both and changes of weights cancel. Exact, without a burn-in, as long as each threshold was fixed
/// before its batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exceedance {
    margin: f64,
    threshold: f64,
    ratio: RateRatio,
}

impl Exceedance {
    /// With the first threshold, from before the rollout.
    pub fn new(margin: f64, threshold: f64) -> Result<Self, InvalidSetting> {
        let (margin, threshold) = (positive("margin", margin)?, positive("threshold", threshold)?);
        Ok(Self { margin, threshold, ratio: RateRatio::default() })
    }

    /// Sets the threshold for the batches to come.
    pub fn set_threshold(&mut self, threshold: f64) -> Result<(), InvalidSetting> {
        self.threshold = positive("threshold", threshold)?;
        Ok(())
    }

    /// Whether a value counts as slow.
    pub fn is_slow(&self, value: f64, candidate: bool) -> bool {
        value > self.threshold * if candidate { self.margin } else { 1.0 }
    }

    /// The slow units of a batch during which the candidate had this share of the units of both.
    pub fn observe(&mut self, control: u64, candidate: u64, share: f64) -> Result<(), InvalidSetting> {
        self.ratio.observe(control, candidate, share)
    }

    /// How many times as often the candidate is slow.
    pub fn ratio(&self) -> &RateRatio {
        &self.ratio
    }

    /// ln of the e-value now.
    pub fn log_e(&self) -> f64 {
        self.ratio.log_e(1.0, Side::Above)
    }
}
