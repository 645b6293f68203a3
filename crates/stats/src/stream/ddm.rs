//! A rate of errors that rises above its best (Gama, Medas, Castillo and Rodrigues 2004).

use super::{Change, Mean};
use serde::{Deserialize, Serialize};

/// What a detector says of a stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Level {
    /// As before.
    Steady,
    /// Perhaps.
    Warning,
    /// Changed.
    Drift(Change),
}

/// The drift detection method. It sees 1 for an error and 0 for none, and only a rise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ddm {
    least: u64,
    warning: f64,
    drift: f64,
    errors: Mean,
    /// The rate and its standard deviation where their sum was least.
    best: Option<(Mean, f64)>,
}

impl Default for Ddm {
    fn default() -> Self {
        Self { least: 30, warning: 2.0, drift: 3.0, errors: Mean::default(), best: None }
    }
}

impl Ddm {
    /// With other values than 30 before the first verdict, and other standard deviations above the best at which it
    /// warns and calls a change than 2 and 3.
    pub fn new(least: u64, (warning, drift): (f64, f64)) -> Self {
        Self { least, warning, drift, ..Self::default() }
    }

    /// Sees whether a prediction was wrong. After a change it begins anew.
    pub fn push(&mut self, error: bool) -> Level {
        self.errors.push(f64::from(u8::from(error)));
        let (rate, n) = (self.errors.mean, self.errors.n);
        let deviation = (rate * (1.0 - rate) / n).sqrt();
        if n <= self.least as f64 {
            return Level::Steady;
        }
        let best = match self.best {
            Some(best) if rate + deviation > best.0.mean + best.1 => best,
            _ => (self.errors, deviation),
        };
        self.best = Some(best);
        if rate + deviation > best.0.mean + self.drift * best.1 {
            let change = self.errors.since(best.0);
            (self.errors, self.best) = (Mean::default(), None);
            return Level::Drift(change);
        }
        if rate + deviation > best.0.mean + self.warning * best.1 { Level::Warning } else { Level::Steady }
    }
}
