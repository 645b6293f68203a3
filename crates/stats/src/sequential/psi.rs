//! How differently a candidate's values are distributed than its control's, under changing weights.

use super::rate::ratios;
use super::{Interval, InvalidSetting, between, rate_of_error};
use crate::special::ln_mean_exp;

/// Where the search for one bin's ratio ends, beyond the grid: ln of it.
const FAR: f64 = 12.0;
/// Steps of the searches by the golden section: 12 narrow a bracket to a 300th, where a valley is flat enough, and 24 find the
/// multiplier to 3 in 10,000. A bandit has a share for each of its times, and all are gone through at each step.
const FINE: usize = 12;
const MULTIPLIER: usize = 24;
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// The population stability index Σ (q − p) ln(q/p) of the shares q of a candidate's units in some bins beside those of
/// its control, p.
///
/// With r = q/p it is Σ p (r − 1) ln r. A unit in a bin is the candidate's with probability θr/(θr + 1 − θ) where θ is the
/// candidate's share of the units: as in [`super::RateRatio`], a mix of values that drifts while weights change is common
/// to both and cancels, and times with other weights add. Each unit is in one bin, so that the product over the bins of a
/// mixture of likelihood ratios is an e-process for all ratios together. The ratios that it does not reject at α are a
/// confidence set at all looks at once, and the least index in that set is the lower end. It is found by its Lagrange dual,
/// whose every value is below it: the end is never too high. Count each unit once, with bins that were fixed before.
///
/// The mixture is over a grid, whose coarseness far from 1 costs up to a tenth of the end where units are very many.
/// p is taken as the control's units have it so far; that all ratios are 1 does not depend on it. There is no upper end: the
/// index is unbounded while a bin may be empty. Memory: two counts a bin and share.
#[derive(Debug, Clone)]
pub struct StabilityIndex {
    bins: usize,
    times: Vec<Times>,
}

/// Times in which the candidate had the same share.
#[derive(Debug, Clone)]
struct Times {
    share: f64,
    /// Of each bin, units of the control and of the candidate.
    counts: Vec<[u64; 2]>,
}

/// One bin: its share of the control's units, what was seen in it, and the logarithm of its mixture.
struct Bin<'a> {
    at: usize,
    times: &'a [Times],
    part: f64,
    mixture: f64,
    /// The log-likelihood at each ratio of the grid.
    grid: Vec<f64>,
}

impl StabilityIndex {
    /// Of values in `bins` bins.
    pub fn new(bins: usize) -> Self {
        Self { bins, times: Vec::new() }
    }

    /// Units of each bin, of the control and of the candidate, while the candidate's share of the units of both was `share`,
    /// strictly between 0 and 1. Bins that are not there are empty.
    ///
    /// # Errors
    /// [`InvalidSetting`] for such a share.
    pub fn observe(&mut self, units: impl Iterator<Item = [u64; 2]>, share: f64) -> Result<(), InvalidSetting> {
        let share = between("share", share, (0.0, 1.0), "strictly between 0 and 1")?;
        let known = self.times.iter().position(|t| t.share.to_bits() == share.to_bits());
        let known = known.unwrap_or_else(|| {
            self.times.push(Times { share, counts: vec![[0; 2]; self.bins] });
            self.times.len() - 1
        });
        for (sum, new) in self.times[known].counts.iter_mut().zip(units) {
            sum[0] += new[0];
            sum[1] += new[1];
        }
        Ok(())
    }

    /// The index, and its lower end at 1 − α at all looks at once; nothing is above the upper one.
    ///
    /// # Errors
    /// [`InvalidSetting`] for an α that is not strictly between 0 and 1.
    pub fn interval(&self, alpha: f64) -> Result<Interval, InvalidSetting> {
        let threshold = -rate_of_error(alpha)?.ln();
        let bins = self.bins();
        let estimate: f64 = bins.iter().map(|bin| bin.part * index(bin.most_likely())).sum();
        let same: f64 = bins.iter().map(|bin| bin.mixture).sum();
        let mut low = 0.0;
        // All ratios are 1 at no cost in likelihood, which is relative to them.
        if same > threshold {
            let dual = |log_multiplier: f64| {
                let multiplier = log_multiplier.exp();
                bins.iter().map(|bin| bin.least(multiplier)).sum::<f64>() - multiplier * threshold
            };
            // A multiplier is a rate of exchange of index for evidence: one over the units, within some powers.
            low = (-golden(|x| -dual(x), (-30.0, 5.0), MULTIPLIER).1).max(0.0);
        }
        Ok(Interval { low, estimate: estimate.max(low), high: f64::INFINITY })
    }

    fn bins(&self) -> Vec<Bin<'_>> {
        let of = |at: usize| self.times.iter().map(move |t| t.counts[at][0]).sum::<u64>() as f64;
        let all: f64 = (0..self.bins).map(of).sum();
        let bin = |at: usize| {
            let mut bin = Bin {
                at,
                times: &self.times,
                // Half a unit more in each: what the control never had so far is rare and not impossible.
                part: (of(at) + 0.5) / (all + 0.5 * self.bins as f64),
                mixture: 0.0,
                grid: Vec::new(),
            };
            bin.grid = ratios().map(|x| bin.log_likelihood(x)).collect();
            bin.mixture = ln_mean_exp(bin.grid.iter().copied());
            bin
        };
        (0..self.bins).map(bin).collect()
    }
}

/// (r − 1) ln r, of x = ln r.
fn index(x: f64) -> f64 {
    x * x.exp_m1()
}

impl Bin<'_> {
    /// ln of the likelihood of the ratio eˣ over that of 1.
    fn log_likelihood(&self, x: f64) -> f64 {
        let less_one = x.exp_m1();
        let of = |t: &Times| {
            let [control, candidate] = t.counts[self.at].map(|n| n as f64);
            candidate * x - (control + candidate) * (t.share * less_one).ln_1p()
        };
        self.times.iter().map(of).sum()
    }

    /// The least of `part`·(r − 1) ln r and `multiplier` times the evidence against r, over all r.
    fn least(&self, multiplier: f64) -> f64 {
        let cost = |x: f64, log_likelihood: f64| self.part * index(x) + multiplier * (self.mixture - log_likelihood);
        self.search(|x| cost(x, self.log_likelihood(x)), cost).1
    }

    /// ln of the most likely ratio; where only one of the two was seen, half a unit of the other is thought to be there.
    fn most_likely(&self) -> f64 {
        let Some(first) = self.times.first() else { return 0.0 };
        let half = |x: f64| 0.5 * x - (first.share * x.exp_m1()).ln_1p();
        self.search(|x| -(self.log_likelihood(x) + half(x)), |x, known| -(known + half(x))).0
    }

    /// Where a function of ln r is least, and how much it is there: on the grid, then between its neighbours.
    fn search(&self, exact: impl Fn(f64) -> f64, known: impl Fn(f64, f64) -> f64) -> (f64, f64) {
        let places: Vec<f64> = ratios().collect();
        let costs = places.iter().zip(&self.grid).map(|(x, log_likelihood)| known(*x, *log_likelihood));
        let best = costs.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(at, _)| at);
        let left = if best == 0 { -FAR } else { places[best - 1] };
        let right = places.get(best + 1).copied().unwrap_or(FAR);
        golden(exact, (left, right), FINE)
    }
}

/// The least of a function with one valley between two ends, by the golden section: where it is, and how much.
fn golden(f: impl Fn(f64) -> f64, (mut low, mut high): (f64, f64), steps: usize) -> (f64, f64) {
    let (mut a, mut b) = (high - GOLDEN * (high - low), low + GOLDEN * (high - low));
    let (mut at_a, mut at_b) = (f(a), f(b));
    for _ in 0..steps {
        if at_a <= at_b {
            (high, b, at_b) = (b, a, at_a);
            a = high - GOLDEN * (high - low);
            at_a = f(a);
        } else {
            (low, a, at_a) = (a, b, at_b);
            b = low + GOLDEN * (high - low);
            at_b = f(b);
        }
    }
    if at_a <= at_b { (a, at_a) } else { (b, at_b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Coin;

    /// Looks at units that come one by one while the candidate's share grows; in how many runs the lower end was ever
    /// above `most`. With `nights`, what comes changes with the time, for both alike.
    fn alarms((runs, units): (u64, usize), most: f64, (p, q): (&[f64], &[f64]), nights: bool) -> usize {
        let draw = |coin: &mut Coin, parts: &[f64]| {
            let mut left = coin.unit();
            let below = |part: &f64| {
                left -= part;
                left < 0.0
            };
            parts.iter().position(below).unwrap_or(parts.len() - 1)
        };
        let run = |seed: &u64| {
            let mut coin = Coin::new(*seed);
            let mut index = StabilityIndex::new(p.len());
            (0..units).any(|at| {
                let share = [0.05, 0.2, 0.5][(at / 500).min(2)];
                let candidate = coin.unit() < share;
                let mut bin = draw(&mut coin, if candidate { q } else { p });
                if nights && (at / 100) % 2 == 1 {
                    bin = bin.min(p.len() / 2);
                }
                let unit = [u64::from(!candidate), u64::from(candidate)];
                index.observe((0..p.len()).map(|b| if b == bin { unit } else { [0; 2] }), share).unwrap();
                at % 50 == 49 && index.interval(0.05).unwrap().low > most
            })
        };
        (0..runs).filter(run).count()
    }

    #[test]
    fn what_is_the_same_is_seldom_called_different() {
        let p = [0.1; 10];
        // 5 % of 300 and three standard deviations.
        let found = alarms((300, 3000), 0.0, (&p, &p), true);
        assert!(found <= 26, "{found} of 300");
    }

    #[test]
    fn a_shift_is_found_and_not_exaggerated() {
        let (p, q) = ([0.25; 4], [0.1, 0.2, 0.3, 0.4]);
        let truth: f64 = p.iter().zip(&q).map(|(p, q): (&f64, &f64)| (q - p) * (q / p).ln()).sum();
        let found = alarms((20, 3000), 0.05, (&p, &q), false);
        assert!(found >= 19, "{found} of 20");
        let above = alarms((100, 3000), truth, (&p, &q), false);
        assert!(above <= 11, "{above} of 100");
    }

    #[test]
    fn with_very_many_units_it_is_the_index() {
        let mut index = StabilityIndex::new(3);
        let (p, q) = ([500_000_u64, 300_000, 200_000], [200_000_u64, 300_000, 500_000]);
        index.observe(p.into_iter().zip(q).map(|(p, q)| [p, q]), 0.5).unwrap();
        let truth = 0.6 * f64::ln(2.5);
        let found = index.interval(0.05).unwrap();
        assert!((found.estimate / truth - 1.0).abs() < 1e-3, "{found:?} {truth}");
        assert!(found.low < truth && found.low > 0.9 * truth, "{found:?} {truth}");
    }

    #[test]
    fn a_bin_that_one_of_them_lacks_is_no_infinity() {
        let mut index = StabilityIndex::new(2);
        index.observe([[1000, 0], [0, 1000]].into_iter(), 0.5).unwrap();
        let found = index.interval(0.05).unwrap();
        assert!(found.estimate.is_finite() && found.low > 1.0 && found.low <= found.estimate, "{found:?}");
        assert!(StabilityIndex::new(2).interval(0.05).unwrap().low == 0.0);
        assert!(index.observe(std::iter::empty(), 1.0).is_err());
    }
}
