//! Simulated rollouts: how often each test rejects. `tests/error_rates.rs` runs some of each, and
//! `examples/error_rates.rs` 10,000.

#![expect(clippy::expect_used, reason = "a simulation whose settings are wrong must stop")]

pub mod power;

use mainspring_stats::sequential::{
    AsymptoticCs, BettingAb, BettingCs, Contrast, Effect, Exceedance, Exposure, GroupLook, GroupSequential,
    HedgedCapital, LogHistogram, Measure, Msprt, Multinomial, QuantileCs, RateRatio, Scale, Side, Sides, Skewness,
    SlowerTest, Spending, Strata, UnitMoments, UnitTotals, Visit, compare,
};

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

    /// Strictly between 0 and 1.
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    fn exponential(&mut self) -> f64 {
        -self.uniform().ln()
    }
}

/// How the traffic goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// Half and half, nothing changes.
    Flat,
    /// Half and half; the baseline doubles and has waves.
    Drift,
    /// The same baseline, while the candidate goes from 5 over 20 to 50 %.
    Ramp,
}

pub const UNITS: usize = 3_000;
/// Units between two looks.
const BATCH: usize = 50;
const ALPHA: f64 = 0.05;
/// The burn-in of the asymptotic tests: the effect must rest on as much as so many units, split evenly.
pub const BURN_IN: f64 = 200.0;

/// One unit as it arrives.
struct Arrival {
    step: usize,
    /// The candidate's share at this step.
    share: f64,
    /// Where the unit's hash falls; it is in the candidate while this is below the share.
    place: f64,
    candidate: bool,
    /// Factor on the baseline.
    level: f64,
    /// It is the last one before a look.
    look: bool,
}

impl Traffic {
    fn share(self, step: usize) -> f64 {
        if self == Self::Ramp { [0.05, 0.2, 0.5][step] } else { 0.5 }
    }

    fn arrival(self, i: usize, rng: &mut Rng) -> Arrival {
        self.arrival_of(i, UNITS, rng)
    }

    /// The same in a rollout of so many units, with as many looks.
    fn arrival_of(self, i: usize, units: usize, rng: &mut Rng) -> Arrival {
        let step = if self == Self::Ramp { i * 3 / units } else { 0 };
        let t = i as f64 / units as f64;
        let level = if self == Self::Flat { 1.0 } else { 1.0 + t + 0.5 * (20.0 * t).sin() };
        let (share, place) = (self.share(step), rng.uniform());
        Arrival {
            step,
            share,
            place,
            candidate: place < share,
            level,
            look: (i + 1).is_multiple_of(BATCH * units / UNITS),
        }
    }
}

/// One test under one kind of rollout.
pub struct Trial {
    pub name: &'static str,
    /// Exact without a burn-in, or asymptotic.
    pub exact: bool,
    /// Where its guarantee holds.
    pub traffic: &'static [Traffic],
    /// Whether a rollout with this effect is rejected at some look.
    pub run: fn(Traffic, f64, &mut Rng) -> bool,
    /// An effect to show power with.
    pub effect: f64,
}

const ALL: &[Traffic] = &[Traffic::Flat, Traffic::Drift, Traffic::Ramp];
const STEADY: &[Traffic] = &[Traffic::Flat];

pub const TRIALS: &[Trial] = &[
    Trial { name: "asymptotic CS, skewed mean, strata", exact: false, traffic: ALL, run: mean_in_strata, effect: 0.3 },
    Trial { name: "asymptotic CS, one side", exact: false, traffic: ALL, run: mean_one_sided, effect: 0.3 },
    Trial { name: "asymptotic CS, CUPED", exact: false, traffic: ALL, run: cuped, effect: 0.15 },
    Trial { name: "asymptotic CS, ratio of returning users", exact: false, traffic: ALL, run: returning, effect: 0.25 },
    Trial {
        name: "asymptotic CS, the same users in every step",
        exact: false,
        traffic: ALL,
        run: regulars,
        effect: 0.8,
    },
    Trial { name: "asymptotic CS, one unit in a hundred", exact: false, traffic: ALL, run: rare, effect: 0.008 },
    Trial { name: "asymptotic CS, revenue of one in ten", exact: false, traffic: ALL, run: revenue, effect: 1.5 },
    Trial { name: "mSPRT", exact: false, traffic: ALL, run: msprt, effect: 0.3 },
    Trial { name: "mSPRT, one side", exact: false, traffic: ALL, run: msprt_one_sided, effect: 0.3 },
    Trial {
        name: "group sequential by information, skewed mean, strata",
        exact: false,
        traffic: ALL,
        run: grouped_by_information,
        effect: 0.3,
    },
    Trial {
        name: "group sequential, O'Brien-Fleming",
        exact: false,
        traffic: STEADY,
        run: o_brien_fleming,
        effect: 0.12,
    },
    Trial { name: "group sequential, Pocock", exact: false, traffic: STEADY, run: pocock, effect: 0.12 },
    Trial { name: "betting, one mean", exact: true, traffic: STEADY, run: betting, effect: 0.05 },
    Trial { name: "betting CS, one mean", exact: true, traffic: STEADY, run: betting_cs, effect: 0.1 },
    Trial { name: "betting, two variants", exact: true, traffic: ALL, run: betting_ab, effect: 0.15 },
    Trial { name: "multinomial, sample ratio", exact: true, traffic: ALL, run: sample_ratio, effect: 0.05 },
    Trial { name: "rate ratio, errors", exact: true, traffic: ALL, run: errors, effect: 1.0 },
    Trial { name: "quantile CS, p95", exact: true, traffic: STEADY, run: quantile, effect: 0.2 },
    Trial { name: "slower at the p95", exact: true, traffic: STEADY, run: slower, effect: 0.7 },
    Trial { name: "exceedance of the p95", exact: true, traffic: ALL, run: exceedance, effect: 0.5 },
];

/// How often `runs` rollouts are rejected.
pub fn rate(trial: &Trial, traffic: Traffic, effect: f64, runs: u64) -> f64 {
    let rejected = (0..runs).filter(|seed| (trial.run)(traffic, effect, &mut Rng::new(*seed))).count();
    rejected as f64 / runs as f64
}

/// What a rate of at most α may come to in `runs` rollouts: three standard deviations above.
pub fn allowance(runs: u64) -> f64 {
    ALPHA + 3.0 * (ALPHA * (1.0 - ALPHA) / runs as f64).sqrt()
}

const PLAIN: Contrast = Contrast { measure: Measure::Mean, scale: Scale::Absolute, cuped: false };

/// Feeds a mean and asks `reject` at each look after the burn-in.
fn means(
    traffic: Traffic,
    contrast: Contrast,
    rng: &mut Rng,
    mut value: impl FnMut(&Arrival, &mut Rng) -> UnitTotals,
    reject: impl Fn(&Effect) -> bool,
) -> bool {
    let mut strata = Strata::new(2);
    for i in 0..UNITS {
        let arrival = traffic.arrival(i, rng);
        let totals = value(&arrival, rng);
        if let Some(cell) = strata.cell(arrival.step, usize::from(arrival.candidate)) {
            cell.add(&totals);
        }
        if arrival.look
            && let Ok(effect) = strata.compare(0, 1, contrast)
            && effect.units >= BURN_IN
            && reject(&effect)
        {
            return true;
        }
    }
    false
}

/// An exponential value around a level that drifts.
fn skewed(effect: f64) -> impl FnMut(&Arrival, &mut Rng) -> UnitTotals {
    move |arrival, rng| {
        let value = arrival.level * rng.exponential() + if arrival.candidate { effect } else { 0.0 };
        UnitTotals { value, ..UnitTotals::default() }
    }
}

fn cs() -> AsymptoticCs {
    AsymptoticCs::two_sided(ALPHA, 1_000.0).expect("settings")
}

fn mean_in_strata(traffic: Traffic, effect: f64, rng: &mut Rng) -> bool {
    means(traffic, PLAIN, rng, skewed(effect), |e| !cs().interval(e).contains(0.0))
}

fn mean_one_sided(traffic: Traffic, effect: f64, rng: &mut Rng) -> bool {
    let cs = AsymptoticCs::one_sided(ALPHA, 1_000.0).expect("settings");
    means(traffic, PLAIN, rng, skewed(effect), |e| cs.log_e_one_sided(e, 0.0, Side::Above) >= -ALPHA.ln())
}

fn msprt(traffic: Traffic, effect: f64, rng: &mut Rng) -> bool {
    let test = Msprt::new(0.2).expect("settings");
    means(traffic, PLAIN, rng, skewed(effect), |e| test.log_e(e, 0.0) >= -ALPHA.ln())
}

fn msprt_one_sided(traffic: Traffic, effect: f64, rng: &mut Rng) -> bool {
    let test = Msprt::new(0.2).expect("settings");
    means(traffic, PLAIN, rng, skewed(effect), |e| test.log_e_one_sided(e, 0.0, Side::Above) >= -ALPHA.ln())
}

/// Five looks, each when its units are there, until 1,800 that are split evenly: with weights that rise there are no more.
fn grouped_by_information(traffic: Traffic, effect: f64, rng: &mut Rng) -> bool {
    const MOST: f64 = 1_800.0;
    let design = GroupSequential::new(ALPHA, Sides::One, Spending::Pocock).expect("settings");
    let looks = std::cell::RefCell::new(Vec::new());
    means(traffic, PLAIN, rng, skewed(effect), |e| {
        let mut looks = looks.borrow_mut();
        let fraction = (e.units / MOST).min(1.0);
        if fraction < (looks.len() + 1) as f64 / 5.0 {
            return false;
        }
        looks.push(GroupLook { fraction, information: (e.units * e.standard_error).powi(2) });
        let bounds = design.boundaries_at(&looks).expect("looks");
        e.value / e.standard_error >= bounds[bounds.len() - 1]
    })
}

fn cuped(traffic: Traffic, effect: f64, rng: &mut Rng) -> bool {
    let value = |arrival: &Arrival, rng: &mut Rng| {
        let covariate = rng.normal();
        let lift = if arrival.candidate { effect } else { 0.0 };
        UnitTotals { value: arrival.level * (covariate + 0.5 * rng.normal()) + lift, denominator: 1.0, covariate }
    };
    means(traffic, Contrast { cuped: true, ..PLAIN }, rng, value, |e| !cs().interval(e).contains(0.0))
}

/// How often what is seldom must be expected in each variant before an asymptotic test looks, as rollouts have it.
const SELDOM: f64 = 10.0;

/// Feeds what few of many units bring, `of(candidate, level)`, and looks once it was seen often enough.
fn seldom(traffic: Traffic, units: usize, rng: &mut Rng, of: impl Fn(bool, f64, &mut Rng) -> f64) -> bool {
    let (mut strata, mut skewness) = (Strata::new(2), Skewness::default());
    let (mut came, mut seen) = ([0_u64; 2], 0.0);
    for i in 0..units {
        let arrival = traffic.arrival_of(i, units, rng);
        let value = of(arrival.candidate, arrival.level, rng);
        came[usize::from(arrival.candidate)] += 1;
        seen += if value > 0.0 { 1.0 } else { 0.0 };
        let totals = UnitTotals { value, denominator: 1.0, covariate: 0.0 };
        skewness.add(&totals);
        strata.cell(arrival.step, usize::from(arrival.candidate)).expect("there").add(&totals);
        let least = came[0].min(came[1]) as f64;
        if arrival.look
            && let Ok(effect) = strata.compare(0, 1, PLAIN)
            && effect.units >= BURN_IN
            && seen / (i + 1) as f64 * least >= SELDOM
            && skewness.allows(&effect, came)
            && !cs().interval(&effect).contains(0.0)
        {
            return true;
        }
    }
    false
}

/// One unit in a hundred converts.
fn rare(traffic: Traffic, effect: f64, rng: &mut Rng) -> bool {
    let converts = |candidate: bool, level: f64, rng: &mut Rng| {
        f64::from(u8::from(rng.chance(0.01 * level + if candidate { effect } else { 0.0 })))
    };
    seldom(traffic, 10 * UNITS, rng, converts)
}

/// One unit in ten pays, and a few of those pay nearly all: the logarithm has a standard deviation of 1.5.
fn revenue(traffic: Traffic, effect: f64, rng: &mut Rng) -> bool {
    let pays = |candidate: bool, level: f64, rng: &mut Rng| {
        let amount = level * if candidate { 1.0 + effect } else { 1.0 } * (1.5 * rng.normal()).exp();
        if rng.chance(0.1) { amount } else { 0.0 }
    };
    seldom(traffic, 10 * UNITS, rng, pays)
}

/// Users with habits of their own who come back; some control users move when the weight rises and leave.
fn returning(traffic: Traffic, effect: f64, rng: &mut Rng) -> bool {
    let contrast = Contrast { measure: Measure::Ratio, ..PLAIN };
    let mut strata = Strata::new(2);
    let mut users: Vec<(Arrival, f64, UnitTotals)> = Vec::new();
    for i in 0..UNITS {
        let arrival = traffic.arrival(i, rng);
        let entering = users.last().is_some_and(|(last, _, _)| last.step != arrival.step);
        if entering {
            let moves = |u: &(Arrival, f64, UnitTotals)| !u.0.candidate && u.0.place < arrival.share;
            for (who, _, totals) in users.iter().filter(|u| moves(u)) {
                strata.cell(who.step, 0).expect("there").remove(totals);
            }
            users.retain(|u| !moves(u));
        }
        let level = arrival.level;
        let (look, cell) = (arrival.look, (arrival.step, usize::from(arrival.candidate)));
        let habit = rng.normal() + if arrival.candidate { effect } else { 0.0 };
        let first = UnitTotals { value: level + habit + rng.normal(), denominator: 1.0, covariate: 0.0 };
        strata.cell(cell.0, cell.1).expect("there").add(&first);
        users.push((arrival, habit, first));
        // Three visits of users who have been here before.
        for _ in 0..3 {
            let who = (rng.next() % users.len() as u64) as usize;
            let (was, habit, old) = &mut users[who];
            let value = old.value + level + *habit + rng.normal();
            let new = UnitTotals { value, denominator: old.denominator + 1.0, covariate: 0.0 };
            strata.cell(was.step, usize::from(was.candidate)).expect("there").replace(old, &new);
            *old = new;
        }
        if look
            && let Ok(effect) = strata.compare(0, 1, contrast)
            && effect.units >= BURN_IN
            && !cs().interval(&effect).contains(0.0)
        {
            return true;
        }
    }
    false
}

/// A fixed population that comes in every step; who is in the candidate follows the weight, and each visit counts in the
/// step in which it happens.
fn regulars(traffic: Traffic, effect: f64, rng: &mut Rng) -> bool {
    let contrast = Contrast { measure: Measure::Ratio, ..PLAIN };
    let mut strata = Strata::new(2);
    let mut users: Vec<(f64, f64, Vec<Visit>)> =
        (0..UNITS / 3).map(|_| (rng.uniform(), 2.0 * rng.normal(), Vec::new())).collect();
    for i in 0..UNITS {
        let arrival = traffic.arrival(i, rng);
        let who = (rng.next() % users.len() as u64) as usize;
        let (place, habit, visits) = &mut users[who];
        let variant = usize::from(*place < arrival.share);
        let value = arrival.level + *habit + rng.normal() + if variant == 1 { effect } else { 0.0 };
        let cell = strata.cell(arrival.step, variant).expect("there");
        match visits.last_mut().filter(|v| v.step == arrival.step) {
            Some(visit) => {
                let old = visit.totals;
                visit.totals =
                    UnitTotals { value: old.value + value, denominator: old.denominator + 1.0, covariate: 0.0 };
                cell.replace(&old, &visit.totals);
            }
            None => {
                let totals = UnitTotals { value, denominator: 1.0, covariate: 0.0 };
                cell.add(&totals);
                visits.push(Visit { step: arrival.step, variant, totals });
            }
        }
        if arrival.look {
            let returning = users.iter().filter(|u| u.2.len() > 1).map(|u| u.2.iter().copied());
            if let Ok(effect) = strata.compare_returning((0, 1), contrast, returning)
                && effect.units >= BURN_IN
                && !cs().interval(&effect).contains(0.0)
            {
                return true;
            }
        }
    }
    false
}

fn grouped(spending: Spending, effect: f64, rng: &mut Rng) -> bool {
    const LOOKS: [f64; 5] = [0.2, 0.4, 0.6, 0.8, 1.0];
    let design = GroupSequential::new(ALPHA, Sides::Two, spending).expect("settings");
    let bounds = design.boundaries(&LOOKS).expect("fractions");
    crossed(&LOOKS, &bounds, Sides::Two, effect, rng)
}

/// Whether normal values of variance 1 cross one of these boundaries; `effect` is in standard deviations.
pub fn crossed(looks: &[f64], bounds: &[f64], sides: Sides, effect: f64, rng: &mut Rng) -> bool {
    let mut arms = [UnitMoments::default(); 2];
    let mut look = 0;
    for i in 0..UNITS {
        let candidate = i % 2;
        let value = rng.normal() + if candidate == 1 { effect } else { 0.0 };
        arms[candidate].add(&UnitTotals { value, ..UnitTotals::default() });
        if (i + 1) as f64 >= looks[look] * UNITS as f64 - 1e-9 {
            let effect = compare(&arms[0], &arms[1], PLAIN).expect("units");
            let z = effect.value / effect.standard_error;
            if z > bounds[look] || (sides == Sides::Two && z < -bounds[look]) {
                return true;
            }
            look += 1;
        }
    }
    false
}

fn o_brien_fleming(_: Traffic, effect: f64, rng: &mut Rng) -> bool {
    grouped(Spending::OBrienFleming, effect, rng)
}

fn pocock(_: Traffic, effect: f64, rng: &mut Rng) -> bool {
    grouped(Spending::Pocock, effect, rng)
}

fn betting(_: Traffic, effect: f64, rng: &mut Rng) -> bool {
    let mut test = HedgedCapital::new(0.3, ALPHA).expect("settings");
    (0..UNITS).any(|_| {
        // Mostly small, rarely 1, with the mean 0.3.
        let value = if rng.chance(0.2 + effect) { 1.0 } else { 0.25 * rng.uniform() };
        test.push(value).expect("bounded");
        test.log_e() >= -ALPHA.ln()
    })
}

fn betting_cs(_: Traffic, effect: f64, rng: &mut Rng) -> bool {
    let mut cs = BettingCs::new(ALPHA).expect("settings");
    (0..UNITS / 4).any(|_| {
        cs.push(f64::from(rng.chance(0.3 + effect))).expect("bounded");
        !cs.interval().contains(0.3)
    })
}

fn betting_ab(traffic: Traffic, effect: f64, rng: &mut Rng) -> bool {
    let mut test = BettingAb::new(0.0, Side::Above).expect("settings");
    (0..UNITS).any(|i| {
        let arrival = traffic.arrival(i, rng);
        let chance = 0.2 * arrival.level + if arrival.candidate { effect } else { 0.0 };
        let value = f64::from(rng.chance(chance));
        test.push(Exposure { candidate: arrival.candidate, propensity: arrival.share, value }).expect("bounded");
        test.log_e() >= -ALPHA.ln()
    })
}

fn sample_ratio(traffic: Traffic, effect: f64, rng: &mut Rng) -> bool {
    let shares = |step| [1.0 - traffic.share(step), traffic.share(step)];
    let mut test = Multinomial::new(&shares(0), 100.0).expect("settings");
    let mut step = 0;
    (0..UNITS).any(|i| {
        let arrival = traffic.arrival(i, rng);
        if arrival.step != step {
            step = arrival.step;
            test.change(&shares(step)).expect("shares");
        }
        let candidate = arrival.candidate || rng.chance(effect);
        test.observe(&[u64::from(!candidate), u64::from(candidate)]).expect("possible");
        test.log_e() >= -ALPHA.ln()
    })
}

/// Units with an event, counted by batch, and looked at after each.
fn counted(traffic: Traffic, rng: &mut Rng, mut event: impl FnMut(&Arrival, &mut Rng) -> bool) -> bool {
    let mut test = RateRatio::default();
    let mut counts = [0; 2];
    (0..UNITS).any(|i| {
        let arrival = traffic.arrival(i, rng);
        counts[usize::from(arrival.candidate)] += u64::from(event(&arrival, rng));
        if !arrival.look {
            return false;
        }
        test.observe(counts[0], counts[1], arrival.share).expect("share");
        counts = [0; 2];
        test.log_e(1.0, Side::Above) >= -ALPHA.ln()
    })
}

fn errors(traffic: Traffic, more: f64, rng: &mut Rng) -> bool {
    counted(traffic, rng, |arrival, rng| {
        rng.chance(0.05 * arrival.level * if arrival.candidate { 1.0 + more } else { 1.0 })
    })
}

fn latency(rng: &mut Rng) -> f64 {
    (0.5 * rng.normal()).exp()
}

fn quantile(_: Traffic, effect: f64, rng: &mut Rng) -> bool {
    let cs = QuantileCs::new(0.95, ALPHA, 1_000.0).expect("settings");
    let mut values = LogHistogram::new(0.01, 100.0).expect("limits");
    let truth = (0.5_f64 * 1.644_853_626_951_472_2).exp();
    (0..UNITS).any(|i| {
        values.push(latency(rng) * (1.0 + effect));
        (i + 1).is_multiple_of(BATCH) && !cs.interval(&values).contains(truth)
    })
}

fn slower(traffic: Traffic, effect: f64, rng: &mut Rng) -> bool {
    let test = SlowerTest::new(0.95, 1.1, 1_500.0).expect("settings");
    let mut values = [0, 1].map(|_| LogHistogram::new(0.1, 20.0).expect("limits"));
    (0..UNITS).any(|i| {
        let arrival = traffic.arrival(i, rng);
        // Just as slow as the margin allows, and then some.
        let scale = if arrival.candidate { 1.1 * (1.0 + effect) } else { 1.0 };
        values[usize::from(arrival.candidate)].push(latency(rng) * scale);
        (i + 1).is_multiple_of(10 * BATCH) && test.log_e(&values[0], &values[1]) >= -ALPHA.ln()
    })
}

fn exceedance(traffic: Traffic, effect: f64, rng: &mut Rng) -> bool {
    let mut test = Exceedance::new(1.1, 2.3).expect("settings");
    let mut seen = LogHistogram::new(0.1, 50.0).expect("limits");
    let mut counts = [0; 2];
    (0..UNITS).any(|i| {
        let arrival = traffic.arrival(i, rng);
        let scale = arrival.level * if arrival.candidate { 1.1 * (1.0 + effect) } else { 1.0 };
        let value = latency(rng) * scale;
        counts[usize::from(arrival.candidate)] += u64::from(test.is_slow(value, arrival.candidate));
        if !arrival.candidate {
            seen.push(value);
        }
        if !arrival.look {
            return false;
        }
        test.observe(counts[0], counts[1], arrival.share).expect("share");
        counts = [0; 2];
        // For the next batch, from what was seen until now.
        test.set_threshold(seen.at_rank(seen.total() * 95 / 100)).expect("positive");
        test.log_e() >= -ALPHA.ln()
    })
}
