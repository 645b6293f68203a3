//! Whether of the rows with probability p a share of p is true.

use super::interval::{Level, Measure, Method, wilson};
use super::scored::Scored;
use crate::moments::Moments;
use crate::special::normal_quantile;
use crate::stream::Coin;
use serde::Serialize;

/// Draws of the noise of bins.
const DRAWS: usize = 2_000;
const SEED: u64 = 0x0063_616c_6962_7261;
const STEPS: usize = 50;

/// Sums over bins of probabilities, each as wide as the others.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// Probabilities of the rows that were true and that were not.
    bins: Vec<[Moments; 2]>,
    /// Σp(1 − p) of each bin: the variance of its true rows, if p is right.
    chance: Vec<f64>,
}

/// A point of the calibration curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// Rows.
    pub rows: u64,
    /// Their mean probability.
    pub predicted: f64,
    /// The share of them that was true.
    pub observed: Measure,
}

impl Calibration {
    /// So many bins from 0 to 1.
    pub fn new(bins: usize) -> Self {
        let bins = bins.max(1);
        Self { bins: vec![[Moments::default(); 2]; bins], chance: vec![0.0; bins] }
    }

    /// The curve of scores that are probabilities; `None` where they are not.
    pub fn of(scored: &Scored, bins: usize) -> Option<Self> {
        if !scored.are_probabilities() {
            return None;
        }
        let mut all = Self::new(bins);
        scored.rows().for_each(|(p, truth)| all.push(p, truth));
        Some(all)
    }

    /// Adds a row with a probability from 0 to 1; each bin but the first begins above its lower end, as in
    /// scikit-learn.
    pub fn push(&mut self, p: f64, truth: bool) {
        let n = self.bins.len();
        let at = ((p * n as f64).ceil() as usize).saturating_sub(1).min(n - 1);
        self.bins[at][usize::from(truth)].push(p);
        self.chance[at] += p * (1.0 - p);
    }

    /// Adds what `other` has seen in as many bins.
    pub fn merge(&mut self, other: &Self) {
        debug_assert_eq!(self.bins.len(), other.bins.len());
        for (mine, theirs) in self.bins.iter_mut().zip(&other.bins) {
            mine[0].merge(&theirs[0]);
            mine[1].merge(&theirs[1]);
        }
        self.chance.iter_mut().zip(&other.chance).for_each(|(a, b)| *a += b);
    }

    fn rows(&self) -> f64 {
        self.bins.iter().map(|b| (b[0].count() + b[1].count()) as f64).sum()
    }

    /// The bins that have rows.
    pub fn curve(&self, level: Level) -> Vec<Bin> {
        let point = |bin: &[Moments; 2]| {
            let mut both = bin[0];
            both.merge(&bin[1]);
            Some(Bin {
                rows: both.count(),
                predicted: both.mean()?,
                observed: wilson(bin[1].count(), both.count(), level)?,
            })
        };
        self.bins.iter().filter_map(point).collect()
    }

    /// Expected calibration error: the mean over rows of how far their bin's share is from its mean probability; and
    /// the greatest of a bin, the maximum calibration error. `None` without a row. Neither is unbiased, and no
    /// resampling is right where the truth is zero; but neither is further from the truth than the noise of the bins is
    /// together, of which the intervals take the quantile. They hold at least as often as they say.
    pub fn errors(&self, level: Level) -> Option<[Measure; 2]> {
        if self.rows() == 0.0 {
            return None;
        }
        let bins: Vec<(f64, f64, f64)> = self.bins.iter().filter_map(apart).collect();
        let rows = self.rows();
        let sums = |apart: &mut dyn FnMut(&(f64, f64, f64)) -> f64| {
            bins.iter().fold([0.0, 0.0_f64], |[sum, most], bin| {
                let apart = apart(bin).abs();
                [sum + bin.0 / rows * apart, most.max(apart)]
            })
        };
        let found = sums(&mut |bin| bin.1);
        let mut coin = Coin::new(SEED);
        let mut noise = [Vec::with_capacity(DRAWS), Vec::with_capacity(DRAWS)];
        for _ in 0..DRAWS {
            let drawn = sums(&mut |bin| bin.2 * normal_quantile(coin.unit().max(1e-16)));
            noise[0].push(drawn[0]);
            noise[1].push(drawn[1]);
        }
        Some([0, 1].map(|i| {
            noise[i].sort_unstable_by(f64::total_cmp);
            let reach = noise[i][((level.confidence() * DRAWS as f64) as usize).min(DRAWS - 1)];
            let ends = ((found[i] - reach).max(0.0), (found[i] + reach).min(1.0));
            Measure::between(found[i], ends, Method::Triangle)
        }))
    }

    /// The expected calibration error that so many rows would have by chance alone, if each probability were right.
    pub fn by_chance(&self) -> Option<f64> {
        let rows = self.rows();
        let mean = (2.0 / std::f64::consts::PI).sqrt();
        (rows > 0.0).then(|| mean * self.chance.iter().map(|v| v.sqrt()).sum::<f64>() / rows)
    }
}

/// Of a bin: rows, how far its share is from its mean probability, and the standard error of that share. Two more rows of
/// either kind keep the error from being zero (Agresti and Coull 1998).
fn apart(bin: &[Moments; 2]) -> Option<(f64, f64, f64)> {
    let [no, yes] = bin.each_ref().map(|m| m.count() as f64);
    let rows = no + yes;
    if rows == 0.0 {
        return None;
    }
    let sum: f64 = bin.iter().map(|m| m.count() as f64 * m.mean().unwrap_or(0.0)).sum();
    let share = (yes + 2.0) / (rows + 4.0);
    Some((rows, (yes - sum) / rows, (share * (1.0 - share) / rows).sqrt()))
}

/// The straight line through the logits (Cox 1958): 0 and 1 where probabilities are right; a slope below 1, too sure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Recalibration {
    /// Where the line is at a probability of one half.
    pub intercept: Measure,
    /// How steep it is.
    pub slope: Measure,
    /// The intercept with a slope of one: calibration in the large.
    pub in_the_large: Measure,
}

/// Fits the logistic regression of the truth on the logit of the probability. `None` where scores are no
/// probabilities, there is one class only, or no line is best since the probabilities part the classes.
pub fn recalibration(scored: &Scored, level: Level) -> Option<Recalibration> {
    let (yes, no) = scored.counts();
    if !scored.are_probabilities() || yes == 0 || no == 0 {
        return None;
    }
    let logit = |p: f64| {
        let p = p.clamp(1e-12, 1.0 - 1e-12);
        (p / (1.0 - p)).ln()
    };
    let rows = scored.rows().map(|(p, truth)| (logit(p), if truth { 1.0 } else { 0.0 }));
    let (line, errors) = newton([0.0, 1.0], |[a, b]| {
        let mut sums = Sums::default();
        rows.clone().for_each(|(x, y)| sums.add(x, y, a + b * x));
        sums.step()
    })?;
    let (large, error) = newton([0.0, 1.0], |[a, _]| {
        let mut sums = Sums::default();
        rows.clone().for_each(|(x, y)| sums.add(x, y, a + x));
        (sums.weight > 0.0).then(|| ([sums.left / sums.weight, 0.0], [1.0 / sums.weight, 0.0]))
    })?;
    let wald = |value: f64, variance: f64| {
        let reach = level.z() * variance.sqrt();
        Measure::between(value, (value - reach, value + reach), Method::Wald)
    };
    Some(Recalibration {
        intercept: wald(line[0], errors[0]),
        slope: wald(line[1], errors[1]),
        in_the_large: wald(large[0], error[0]),
    })
}

/// The step to take, and the variances there.
type Step = ([f64; 2], [f64; 2]);

fn newton(start: [f64; 2], step: impl Fn([f64; 2]) -> Option<Step>) -> Option<Step> {
    let mut at = start;
    for _ in 0..STEPS {
        let (by, variances) = step(at)?;
        // A step too far would not come back.
        let longest = by[0].abs().max(by[1].abs());
        let shorter = if longest > 2.0 { 2.0 / longest } else { 1.0 };
        at = [at[0] + shorter * by[0], at[1] + shorter * by[1]];
        if longest < 1e-12 * (1.0 + at[0].abs().max(at[1].abs())) {
            return Some((at, variances));
        }
    }
    None
}

/// Score and information of a logistic line.
#[derive(Default)]
struct Sums {
    left: f64,
    left_x: f64,
    weight: f64,
    weight_x: f64,
    weight_xx: f64,
}

impl Sums {
    fn add(&mut self, x: f64, y: f64, line: f64) {
        let p = 1.0 / (1.0 + (-line).exp());
        let weight = p * (1.0 - p);
        self.left += y - p;
        self.left_x += (y - p) * x;
        self.weight += weight;
        self.weight_x += weight * x;
        self.weight_xx += weight * x * x;
    }

    fn step(&self) -> Option<Step> {
        let determinant = self.weight * self.weight_xx - self.weight_x * self.weight_x;
        if determinant <= 1e-12 * self.weight * self.weight_xx {
            return None;
        }
        let a = (self.weight_xx * self.left - self.weight_x * self.left_x) / determinant;
        let b = (self.weight * self.left_x - self.weight_x * self.left) / determinant;
        Some(([a, b], [self.weight_xx / determinant, self.weight / determinant]))
    }
}
