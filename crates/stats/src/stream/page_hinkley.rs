//! The cumulative sum of deviations from the mean (Page 1954, Hinkley 1971).

use super::{Change, Mean};
use serde::{Deserialize, Serialize};

/// Which change of the mean counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// A rise.
    Up,
    /// A fall.
    Down,
    /// Either.
    Both,
}

/// What [`PageHinkley`] goes by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PageHinkleyLimits {
    /// Values before the first verdict.
    pub least: u64,
    /// Change that is tolerated, in the column's unit.
    pub delta: f64,
    /// Height of the sum at which a change is called, in the column's unit.
    pub threshold: f64,
    /// What is left of the sum at each value.
    pub forget: f64,
    /// Which change counts.
    pub direction: Direction,
}

impl Default for PageHinkleyLimits {
    fn default() -> Self {
        Self { least: 30, delta: 0.005, threshold: 50.0, forget: 0.9999, direction: Direction::Both }
    }
}

/// Page and Hinkley's test.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PageHinkley {
    limits: PageHinkleyLimits,
    sums: Sums,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sums {
    mean: Mean,
    rise: f64,
    fall: f64,
    /// The lowest of `rise`, and the mean up to there.
    lowest: Option<(f64, Mean)>,
    highest: (f64, Mean),
}

impl Default for Sums {
    fn default() -> Self {
        Self { mean: Mean::default(), rise: 0.0, fall: 0.0, lowest: None, highest: (-1.0, Mean::default()) }
    }
}

impl PageHinkley {
    /// With these limits.
    pub fn new(limits: PageHinkleyLimits) -> Self {
        Self { limits, sums: Sums::default() }
    }

    /// Sees a number; says whether the mean has changed, after which it begins anew.
    pub fn push(&mut self, value: f64) -> Option<Change> {
        let (limits, sums) = (&self.limits, &mut self.sums);
        sums.mean.push(value);
        let apart = value - sums.mean.mean;
        sums.rise = limits.forget * sums.rise + apart - limits.delta;
        sums.fall = limits.forget * sums.fall + apart + limits.delta;
        let now = sums.mean;
        let lowest = sums.lowest.filter(|(lowest, _)| *lowest <= sums.rise).unwrap_or((sums.rise, now));
        sums.lowest = Some(lowest);
        if sums.fall > sums.highest.0 {
            sums.highest = (sums.fall, now);
        }
        if now.n < limits.least as f64 {
            return None;
        }
        let up = limits.direction != Direction::Down && sums.rise - lowest.0 > limits.threshold;
        let down = limits.direction != Direction::Up && sums.highest.0 - sums.fall > limits.threshold;
        let before = if up { lowest.1 } else { sums.highest.1 };
        if up || down {
            self.sums = Sums::default();
        }
        (up || down).then(|| now.since(before))
    }
}
