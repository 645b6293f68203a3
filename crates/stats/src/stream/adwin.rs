//! A window that shrinks where its mean has changed (Bifet and Gavaldà 2007).

use super::Change;
use crate::sequential::{InvalidSetting, rate_of_error};
use serde::{Deserialize, Serialize};

/// What [`Adwin`] goes by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AdwinLimits {
    /// The chance that one cut is wrong, between 0 and 1.
    pub delta: f64,
    /// Values from one look for a cut to the next, at least 1.
    pub clock: u32,
    /// Buckets of one size before two of them become one, at least 1.
    pub max_buckets: usize,
    /// The least values on each side of a cut, at least 1.
    pub min_window_length: u32,
    /// The window is longer than this before the first look, in values.
    pub grace_period: u32,
}

impl Default for AdwinLimits {
    fn default() -> Self {
        Self { delta: 0.002, clock: 32, max_buckets: 5, min_window_length: 5, grace_period: 10 }
    }
}

/// Keeps as much of the stream as has one mean, in a number of buckets that grows with its logarithm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adwin {
    limits: AdwinLimits,
    tick: u32,
    width: f64,
    total: f64,
    /// Sum of squared deviations.
    squares: f64,
    /// Slot i holds sums and squared deviations of 2^i values each, oldest first.
    slots: Vec<Vec<(f64, f64)>>,
}

impl Default for Adwin {
    fn default() -> Self {
        let slots = vec![Vec::new()];
        Self { limits: AdwinLimits::default(), tick: 0, width: 0.0, total: 0.0, squares: 0.0, slots }
    }
}

impl Adwin {
    /// With these limits.
    ///
    /// # Errors
    /// [`InvalidSetting`] when δ is not between 0 and 1, or what must be at least 1 is 0.
    pub fn new(limits: AdwinLimits) -> Result<Self, InvalidSetting> {
        rate_of_error(limits.delta)?;
        let AdwinLimits { clock, max_buckets, min_window_length, .. } = limits;
        for (what, given) in [
            ("number of values between looks", clock),
            ("number of buckets of a size", u32::try_from(max_buckets).unwrap_or(u32::MAX)),
            ("least length of a side", min_window_length),
        ] {
            if given == 0 {
                return Err(InvalidSetting { what, given: 0.0, must: "at least 1" });
            }
        }
        Ok(Self { limits, ..Self::default() })
    }

    /// Sees a finite number; says whether the mean has changed, in which case the window has lost its old part.
    pub fn push(&mut self, value: f64) -> Option<Change> {
        self.insert(value);
        self.tick = self.tick.wrapping_add(1);
        if !self.tick.is_multiple_of(self.limits.clock) || self.width <= f64::from(self.limits.grace_period) {
            return None;
        }
        let (width, total) = (self.width, self.total);
        while self.cut() {
            self.forget();
        }
        let lost = width - self.width;
        (lost > 0.0).then(|| Change {
            values: self.width as u64,
            before: (total - self.total) / lost,
            since: self.total / self.width,
        })
    }

    /// Mean of the window.
    pub fn mean(&self) -> Option<f64> {
        (self.width > 0.0).then(|| self.total / self.width)
    }

    /// Values in the window.
    pub fn width(&self) -> u64 {
        self.width as u64
    }

    fn insert(&mut self, value: f64) {
        self.width += 1.0;
        if self.width > 1.0 {
            let apart = value - self.total / (self.width - 1.0);
            self.squares += (self.width - 1.0) * apart * apart / self.width;
        }
        self.total += value;
        self.slots[0].push((value, 0.0));
        let mut slot = 0;
        while self.slots[slot].len() > self.limits.max_buckets {
            let size = (1_u64 << slot) as f64;
            let (first, second) = (self.slots[slot].remove(0), self.slots[slot].remove(0));
            let apart = first.0 / size - second.0 / size;
            let one = (first.0 + second.0, first.1 + second.1 + size * 0.5 * apart * apart);
            slot += 1;
            if slot == self.slots.len() {
                self.slots.push(Vec::new());
            }
            self.slots[slot].push(one);
        }
    }

    /// Whether the means before and after some place differ by too much.
    fn cut(&self) -> bool {
        let (mut n0, mut n1, mut u0, mut u1) = (0.0, self.width, 0.0, self.total);
        let (least, log) = (f64::from(self.limits.min_window_length), (2.0 * self.width.ln() / self.limits.delta).ln());
        for (i, slot) in self.slots.iter().enumerate().rev() {
            let size = (1_u64 << i) as f64;
            for (k, (sum, _)) in slot.iter().enumerate() {
                (n0, n1, u0, u1) = (n0 + size, n1 - size, u0 + sum, u1 - sum);
                if i == 0 && k + 1 == slot.len() {
                    return false;
                }
                if n0 < least || n1 < least {
                    continue;
                }
                let weight = 1.0 / (n0 - least + 1.0) + 1.0 / (n1 - least + 1.0);
                let bound = (2.0 * weight * (self.squares / self.width) * log).sqrt() + 2.0 / 3.0 * log * weight;
                if (u0 / n0 - u1 / n1).abs() > bound {
                    return true;
                }
            }
        }
        false
    }

    /// Drops the oldest bucket.
    fn forget(&mut self) {
        let top = self.slots.len() - 1;
        let size = (1_u64 << top) as f64;
        let (sum, squares) = self.slots[top].remove(0);
        self.width -= size;
        self.total -= sum;
        let apart = sum / size - self.total / self.width;
        self.squares -= squares + size * self.width * apart * apart / (size + self.width);
        if self.slots[top].is_empty() && top > 0 {
            self.slots.pop();
        }
    }
}
