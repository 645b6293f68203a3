//! Kolmogorov and Smirnov's test of the newest values against older ones (Raab, Heusinger and Schleif 2020).

use super::{Change, Coin};
use crate::sequential::{InvalidSetting, rate_of_error};
use crate::twosample::{Sample, kolmogorov_smirnov};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The least distance that counts, whatever its p-value.
const LEAST: f64 = 0.1;

/// Compares the newest `recent` values of a window with as many, drawn at random, of those before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kswin {
    alpha: f64,
    size: usize,
    recent: usize,
    window: VecDeque<f64>,
    coin: Coin,
    p_value: f64,
}

impl Default for Kswin {
    fn default() -> Self {
        Self { alpha: 0.005, size: 100, recent: 30, window: VecDeque::new(), coin: Coin::new(0), p_value: 1.0 }
    }
}

impl Kswin {
    /// With another α than 0.005, window than 100 and newest part than 30; the seed decides which older values are
    /// drawn.
    ///
    /// # Errors
    /// [`InvalidSetting`] when α is not between 0 and 1, or the newest part is more than half of the window.
    pub fn new(alpha: f64, size: usize, recent: usize, seed: u64) -> Result<Self, InvalidSetting> {
        if recent == 0 || size < 2 * recent {
            let must = "at least 1 and at most half of the window";
            return Err(InvalidSetting { what: "newest part of the window", given: recent as f64, must });
        }
        Ok(Self { alpha: rate_of_error(alpha)?, size, recent, coin: Coin::new(seed), ..Self::default() })
    }

    /// Sees a finite number; says whether the newest values are of another distribution, in which case only they are
    /// kept.
    pub fn push(&mut self, value: f64) -> Option<Change> {
        if self.window.len() == self.size {
            self.window.pop_front();
        }
        self.window.push_back(value);
        if self.window.len() < self.size {
            return None;
        }
        let older = self.size - self.recent;
        let newest: Vec<f64> = self.window.iter().skip(older).copied().collect();
        let mut pool: Vec<f64> = self.window.iter().take(older).copied().collect();
        for i in 0..self.recent {
            let at = i + self.coin.below((older - i) as u64) as usize;
            pool.swap(i, at);
        }
        pool.truncate(self.recent);
        let since = mean(newest.iter().copied());
        let test = kolmogorov_smirnov(&Sample::new(pool), &Sample::new(newest)).ok()?;
        self.p_value = test.p_value;
        if test.p_value > self.alpha || test.statistic <= LEAST {
            return None;
        }
        Some(Change { values: self.recent as u64, before: mean(self.window.drain(..older)), since })
    }

    /// p-value of the last comparison; 1 before the first.
    pub fn p_value(&self) -> f64 {
        self.p_value
    }
}

/// Of at least one value.
fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len() as f64;
    values.sum::<f64>() / n
}
