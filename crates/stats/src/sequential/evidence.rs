//! What a test has seen: an e-process and its running maximum.

use serde::{Deserialize, Serialize};

/// The evidence of one e-process so far. Once it rejects, it rejects for good: the level comes from the running
/// maximum, by Ville's inequality.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Evidence {
    log_e: f64,
    log_max: f64,
}

impl Evidence {
    /// Takes the e-process's value now, as its natural logarithm. What is not a number is no evidence.
    pub fn observe(&mut self, log_e: f64) {
        if !log_e.is_nan() {
            self.log_e = log_e;
            self.log_max = self.log_max.max(log_e);
        }
    }

    /// ln of the e-value now.
    pub fn log_e(&self) -> f64 {
        self.log_e
    }

    /// ln of the largest e-value at any look.
    pub fn log_max(&self) -> f64 {
        self.log_max
    }

    /// The always-valid p-value: 1 over the largest e-value, at most 1. It never rises.
    pub fn p_value(&self) -> f64 {
        (-self.log_max).exp().min(1.0)
    }

    /// Whether the null hypothesis is rejected at `alpha`.
    pub fn rejects(&self, alpha: f64) -> bool {
        self.log_max >= -alpha.ln()
    }
}
