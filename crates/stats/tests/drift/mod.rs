//! Simulated streams beside their references: how often each watcher calls a drift that is not there, and how soon one
//! that is. `tests/drift_alarms.rs` runs some, `examples/drift_alarms.rs` many.

#![expect(clippy::expect_used, reason = "a simulation whose settings are wrong must stop")]

use mainspring_stats::presets::{Calibration, Values};
use mainspring_stats::stream::Conformal;
use mainspring_stats::twosample::{Sample, kolmogorov_smirnov};

pub mod detectors;

pub const ALPHA: f64 = 0.05;
/// Values between two looks of the tests that look at windows.
pub const WINDOW: usize = 500;

/// SplitMix64, so that each run of a seed is the same on every machine.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x6A09_E667_F3BC_C908)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// What the column holds.
#[derive(Debug, Clone, Copy)]
pub enum Column {
    /// Normal numbers.
    Normal,
    /// Mostly zeros, else exponential in whole numbers: many ties.
    Ties,
    /// 1,000 categories, nearly all of them rare.
    Rare,
    /// Two categories, one of them a tenth.
    Binary,
}

pub const COLUMNS: [(&str, Column); 4] =
    [("normal", Column::Normal), ("ties", Column::Ties), ("rare categories", Column::Rare), ("binary", Column::Binary)];

/// How the stream changes.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    None,
    /// The mean moves by so many standard deviations; for categories so much of the weight moves.
    Shift(f64),
    /// The spread grows by this factor.
    Spread(f64),
}

impl Column {
    pub fn values(self, rng: &mut Rng, n: usize, change: Change) -> Values {
        let (shift, spread) = match change {
            Change::None => (0.0, 1.0),
            Change::Shift(by) => (by, 1.0),
            Change::Spread(by) => (0.0, by),
        };
        match self {
            Self::Normal => {
                Values::Numbers { values: (0..n).map(|_| rng.normal() * spread + shift).collect(), whole: false }
            }
            Self::Ties => {
                let one = |rng: &mut Rng| {
                    if rng.uniform() < 0.8 - shift { 0.0 } else { (-3.0 * spread * rng.uniform().ln()).floor() }
                };
                Values::Numbers { values: (0..n).map(|_| one(rng)).collect(), whole: true }
            }
            Self::Rare => {
                let one = |rng: &mut Rng| (1_000.0 * rng.uniform().powf(3.0 - shift)) as u32;
                Values::Categories { values: (0..n).map(|_| one(rng)).collect(), text: true }
            }
            Self::Binary => Values::Categories {
                values: (0..n).map(|_| u32::from(rng.uniform() < 0.1 + shift)).collect(),
                text: true,
            },
        }
    }
}

fn joined(a: Values, b: Values) -> Values {
    match (a, b) {
        (Values::Numbers { mut values, whole }, Values::Numbers { values: more, .. }) => {
            values.extend(more);
            Values::Numbers { values, whole }
        }
        (Values::Categories { mut values, text }, Values::Categories { values: more, .. }) => {
            values.extend(more);
            Values::Categories { values, text }
        }
        (a, _) => a,
    }
}

/// A reference and a stream that changes after `quiet` values.
#[derive(Debug, Clone, Copy)]
pub struct Scene {
    pub column: Column,
    pub reference: usize,
    pub quiet: usize,
    pub after: usize,
    pub change: Change,
}

impl Scene {
    pub fn still(column: Column, reference: usize, length: usize) -> Self {
        Self { column, reference, quiet: length, after: 0, change: Change::None }
    }

    fn play(&self, seed: u64) -> (Values, Values) {
        let mut rng = Rng::new(seed);
        let reference = self.column.values(&mut rng, self.reference, Change::None);
        let quiet = self.column.values(&mut rng, self.quiet, Change::None);
        (reference, joined(quiet, self.column.values(&mut rng, self.after, self.change)))
    }
}

/// Our own test: the value at which it first alarms.
pub fn conformal(scene: &Scene, seed: u64) -> Option<usize> {
    let (reference, stream) = scene.play(seed);
    let calibration = Calibration::new(&reference).expect("a reference");
    let mut test = Conformal::new(&calibration.counts, seed).expect("bins");
    calibration.bins(&stream).into_iter().position(|bin| {
        test.push(bin);
        test.peak() >= -ALPHA.ln()
    })
}

/// Kolmogorov and Smirnov's test of each window against the reference, each at `level`: the end of the first window
/// that alarms.
pub fn windows(scene: &Scene, seed: u64, level: f64) -> Option<usize> {
    let (Values::Numbers { values: reference, .. }, Values::Numbers { values: stream, .. }) = scene.play(seed) else {
        return None;
    };
    let reference = Sample::new(reference);
    let alarms = |window: &[f64]| {
        kolmogorov_smirnov(&reference, &Sample::new(window.to_vec())).expect("values").p_value <= level
    };
    stream.chunks_exact(WINDOW).position(alarms).map(|at| (at + 1) * WINDOW - 1)
}

/// The share of runs in which the watcher alarms.
pub fn rate(runs: u64, watch: impl Fn(u64) -> Option<usize>) -> f64 {
    (0..runs).filter(|run| watch(*run).is_some()).count() as f64 / runs as f64
}

/// α and three standard deviations.
pub fn allowance(runs: u64) -> f64 {
    ALPHA + 3.0 * (ALPHA * (1.0 - ALPHA) / runs as f64).sqrt()
}

/// Early alarms, the median delay after the change, and misses, as shares.
pub struct Delay {
    pub early: f64,
    pub median: Option<usize>,
    pub missed: f64,
}

pub fn delay(scene: &Scene, runs: u64, watch: impl Fn(u64) -> Option<usize>) -> Delay {
    let found: Vec<Option<usize>> = (0..runs).map(watch).collect();
    let early = found.iter().filter(|f| f.is_some_and(|at| at < scene.quiet)).count();
    let mut late: Vec<usize> =
        found.iter().flatten().filter(|at| **at >= scene.quiet).map(|at| at + 1 - scene.quiet).collect();
    let missed = found.iter().filter(|f| f.is_none()).count();
    // What was missed comes after all others.
    late.sort_unstable();
    let median = late.get(usize::midpoint(late.len(), missed)).copied();
    Delay { early: early as f64 / runs as f64, median, missed: missed as f64 / runs as f64 }
}
