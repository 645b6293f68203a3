//! One metric's accumulators and evidence: of each candidate beside stable.

use super::Stratum;
use super::grouped::{Grouped, Question};
use super::plan::{BURN_IN, By, Plan, Planned, RARE, Rates, Test};
use super::report::{LogE, MetricReport, Narrowed, Scale, Tested};
use super::shape::Shape;
use crate::spec::{Covariate, Source};
use mainspring_stats::decision::{Direction, Finding, Role};
use mainspring_stats::sequential::{
    AsymptoticCs, BettingAb, Contrast, Effect, Evidence, Exceedance, Exposure as Bet, Interval, LogHistogram, Measure,
    Msprt, NoEffect, RateRatio, Scale as EffectScale, Side, Skewness, Strata, UnitTotals, Visit,
};

const SECONDS: (f64, f64) = (1e-6, 1e4);

/// The three questions that are asked of a metric.
#[derive(Debug, Clone, Copy, Default)]
struct Answers {
    harm: Evidence,
    holds: Evidence,
    better: Evidence,
    /// Which of them the looks of a group-sequential test have answered, in that order.
    crossed: [bool; 3],
}

/// Accumulators of one metric.
#[derive(Debug)]
pub(crate) enum State {
    Errors(Box<Errors>),
    Slow(Box<Slow>),
    Mean(Box<Mean>),
    Shape(Box<Shape>),
}

/// Units with an event, of each variant in each stratum, and what they say of each candidate.
#[derive(Debug)]
struct Events {
    /// Of each stratum, of each variant.
    counts: Vec<Vec<u64>>,
    /// Of each candidate, from the counts at the last look.
    ratios: Vec<RateRatio>,
    /// Whether there was an event since.
    changed: bool,
}

/// Units with a failed answer: the first one of each, under the weights of its moment.
#[derive(Debug)]
pub(crate) struct Errors {
    events: Events,
    /// First answers that failed, of each unit in each stratum where chance gave it its variant, against "the candidate
    /// fails more often by more than is tolerable"; of each candidate.
    first: Vec<Option<BettingAb>>,
    /// The same against "by no more than is tolerable"; none where the ratio is tested.
    beyond: Vec<Option<BettingAb>>,
    /// Units of each variant.
    seen: Vec<u64>,
    answers: Vec<Answers>,
}

/// Units with a slow answer: the first one of each.
#[derive(Debug)]
pub(crate) struct Slow {
    /// Seconds beyond which stable is slow; from answers before the last look.
    test: Option<Exceedance>,
    events: Events,
    /// Of each variant; none where a histogram cannot be made.
    times: Vec<LogHistogram>,
    answers: Vec<Answers>,
}

/// A mean, with the totals of each unit in each stratum.
#[derive(Debug)]
pub(crate) struct Mean {
    /// Its place in the units' totals.
    pub slot: usize,
    pub strata: Strata,
    skewness: Skewness,
    /// Values that were counted, that are not 0, and that are 1: of each variant.
    values: Vec<[u64; 3]>,
    /// Units with a value, of each variant.
    units: Vec<u64>,
    /// Whether its values are declared to be 0 and 1.
    binary: bool,
    /// Whether a value came that is not true or false, nor declared to be: there may be one of any size.
    amounts: bool,
    /// Whether a unit had more than one value.
    several: bool,
    effects: Vec<Option<Result<Effect, NoEffect>>>,
    /// Of each candidate, the part of the variance that a covariate takes out.
    narrowed: Vec<Option<f64>>,
    /// Units that were known from before the rollout.
    pub known: u64,
    answers: Vec<Answers>,
    /// Of a signal: the evidence of a shift as it is now.
    shifted: Vec<f64>,
    /// Of a group-sequential test, of each candidate.
    grouped: Vec<Grouped>,
}

/// A value of what is measured, and the one whose place it takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value {
    pub old: Option<f64>,
    pub new: f64,
    /// Whether it is true or false.
    pub truth: bool,
}

impl Value {
    /// A number that takes nobody's place.
    pub fn first(new: f64) -> Self {
        Self { old: None, new, truth: false }
    }
}

impl State {
    /// Accumulators for `variants` variants; `slot` counts the means.
    pub fn new(test: &Test, slot: &mut usize, variants: usize) -> Self {
        let candidates = variants.saturating_sub(1);
        let answers = vec![Answers::default(); candidates];
        match test {
            Test::Errors { tolerable, difference, .. } => Self::Errors(Box::new(Errors {
                events: Events::new(candidates),
                first: (0..candidates).map(|_| BettingAb::new(*tolerable, Side::Below).ok()).collect(),
                beyond: (0..if *difference { candidates } else { 0 })
                    .map(|_| BettingAb::new(*tolerable, Side::Above).ok())
                    .collect(),
                seen: vec![0; variants],
                answers,
            })),
            Test::Slow { .. } => Self::Slow(Box::new(Slow {
                test: None,
                events: Events::new(candidates),
                times: LogHistogram::new(SECONDS.0, SECONDS.1).map_or_else(|_| Vec::new(), |h| vec![h; variants]),
                answers,
            })),
            Test::Psi { .. } => Self::Shape(Box::new(Shape::new(variants))),
            Test::Mean { .. } | Test::Shift { .. } => {
                *slot += 1;
                Self::Mean(Box::new(Mean {
                    slot: *slot - 1,
                    strata: Strata::new(variants),
                    skewness: Skewness::default(),
                    values: vec![[0; 3]; variants],
                    units: vec![0; variants],
                    binary: matches!(test, Test::Mean { binary: true, .. }),
                    amounts: false,
                    several: false,
                    effects: vec![None; candidates],
                    narrowed: vec![None; candidates],
                    known: 0,
                    answers,
                    shifted: vec![0.0; candidates],
                    grouped: vec![Grouped::default(); candidates],
                }))
            }
        }
    }
}

/// A candidate's part of the units of itself and stable; `None` where only one of them has any.
pub(super) fn share(stratum: &Stratum, candidate: usize) -> Option<f64> {
    part(*stratum.weights.first()?, *stratum.weights.get(candidate)?)
}

/// A candidate's part of the units that it and stable have, of those that were stable's in the stratum `before`: what a
/// candidate gained since came from stable, and the rest stayed. `None` where chance decided nothing.
fn share_of_rest(before: &Stratum, now: &Stratum, candidate: usize) -> Option<f64> {
    part(*now.weights.first()?, now.weights.get(candidate)? - before.weights.get(candidate)?)
}

fn part(stable: f64, candidate: f64) -> Option<f64> {
    (stable > 0.0 && candidate > 0.0).then(|| candidate / (stable + candidate))
}

/// ln of the mean of two e-values.
fn both(a: f64, b: f64) -> f64 {
    let top = a.max(b);
    top + (f64::midpoint((a - top).exp(), (b - top).exp())).ln()
}

impl Events {
    fn new(candidates: usize) -> Self {
        Self { counts: Vec::new(), ratios: vec![RateRatio::default(); candidates], changed: false }
    }

    fn count(&mut self, stratum: usize, variant: usize) {
        if self.counts.len() <= stratum {
            self.counts.resize(stratum + 1, vec![0; self.ratios.len() + 1]);
        }
        if let Some(n) = self.counts[stratum].get_mut(variant) {
            *n += 1;
            self.changed = true;
        }
    }

    fn look(&mut self, strata: &[Stratum]) {
        if !std::mem::take(&mut self.changed) {
            return;
        }
        for (at, ratio) in self.ratios.iter_mut().enumerate() {
            *ratio = RateRatio::default();
            for (stratum, counts) in strata.iter().zip(&self.counts) {
                if let Some(share) = share(stratum, at + 1) {
                    // The share lies between 0 and 1, which is all that could be refused.
                    let _ = ratio.observe(counts[0], counts[at + 1], share);
                }
            }
        }
    }

    fn total(&self, variant: usize) -> u64 {
        self.counts.iter().filter_map(|counts| counts.get(variant)).sum()
    }

    /// What a report says of a candidate.
    fn report(&self, rates: &Rates, candidate: usize, report: &mut MetricReport) {
        report.scale = Scale::Ratio;
        report.effect = self.ratios[candidate - 1].interval(rates.interval).ok().map(Into::into);
        report.units = [self.total(0), self.total(candidate)];
    }
}

impl Errors {
    /// A unit's first answer in the rollout.
    pub fn first(&mut self, stratum: &Stratum, variant: usize, failed: bool) {
        if let Some(n) = self.seen.get_mut(variant) {
            *n += 1;
        }
        self.bet(|candidate| share(stratum, candidate), variant, failed);
    }

    /// The first answer in a stratum of a unit that was stable's so far, since the stratum `before` at the latest, while no
    /// candidate's weight fell: whether a candidate got it by now was chance again. Without these a rollout whose units
    /// were all seen at a small weight would never learn enough.
    pub fn again(&mut self, (before, now): (&Stratum, &Stratum), variant: usize, failed: bool) {
        self.bet(|candidate| share_of_rest(before, now, candidate), variant, failed);
    }

    fn bet(&mut self, share: impl Fn(usize) -> Option<f64>, variant: usize, failed: bool) {
        let tests = self.first.iter_mut().enumerate().chain(self.beyond.iter_mut().enumerate());
        for (at, test) in tests {
            let concerned = variant == 0 || variant == at + 1;
            if let (true, Some(test), Some(propensity)) = (concerned, test, share(at + 1)) {
                let unit = Bet { candidate: variant > 0, propensity, value: f64::from(u8::from(failed)) };
                let _ = test.push(unit);
            }
        }
    }

    /// A unit's first failed answer.
    pub fn failed(&mut self, stratum: usize, variant: usize) {
        self.events.count(stratum, variant);
    }

    fn look(&mut self, strata: &[Stratum], margin: f64) {
        self.events.look(strata);
        let log_e = |bet: &Option<BettingAb>| bet.as_ref().map_or(0.0, BettingAb::log_e);
        for (at, (answers, first)) in self.answers.iter_mut().zip(&self.first).enumerate() {
            if let Some(beyond) = self.beyond.get(at) {
                answers.harm.observe(log_e(beyond));
                answers.holds.observe(log_e(first));
                continue;
            }
            let ratio = &self.events.ratios[at];
            answers.harm.observe(ratio.log_e(margin, Side::Above));
            answers.holds.observe(both(ratio.log_e(margin, Side::Below), log_e(first)));
        }
    }

    fn report(&self, metric: &Planned, candidate: usize, report: &mut MetricReport) {
        self.events.report(&metric.rates, candidate, report);
        let rate = |variant: usize| {
            let seen = self.seen[variant];
            (seen > 0).then(|| self.events.total(variant) as f64 / seen as f64)
        };
        (report.stable, report.candidate) = (rate(0), rate(candidate));
        let silent = self.seen[0] == 0 || self.seen[candidate] == 0;
        report.finding = if silent { Finding::NoData } else { found(metric, report, &self.answers[candidate - 1]) };
    }
}

impl Slow {
    /// A unit's answer and whether it is the unit's first slow one; the caller remembers.
    pub fn answered(&mut self, stratum: usize, variant: usize, seconds: f64, first: bool) -> bool {
        if let Some(times) = self.times.get_mut(variant) {
            times.push(seconds);
        }
        let slow = first && self.test.as_ref().is_some_and(|test| test.is_slow(seconds, variant > 0));
        if slow {
            self.events.count(stratum, variant);
        }
        slow
    }

    fn look(&mut self, strata: &[Stratum], q: f64, margin: f64) {
        self.events.look(strata);
        for (answers, ratio) in self.answers.iter_mut().zip(&self.events.ratios) {
            answers.harm.observe(ratio.log_e(1.0, Side::Above));
            answers.holds.observe(ratio.log_e(1.0, Side::Below));
        }
        // For the answers after this look: what is slow is decided by what came before.
        let Some(stable) = self.times.first() else { return };
        if stable.total() as f64 * (1.0 - q) < 5.0 {
            return;
        }
        let threshold = stable.at_rank((q * stable.total() as f64).ceil() as u64);
        match &mut self.test {
            Some(test) => drop(test.set_threshold(threshold)),
            None => self.test = Exceedance::new(margin, threshold).ok(),
        }
    }

    fn report(&self, metric: &Planned, (q, margin): (f64, f64), candidate: usize, report: &mut MetricReport) {
        self.events.report(&metric.rates, candidate, report);
        let total = |variant: usize| self.times.get(variant).map_or(0, LogHistogram::total);
        let quantile = |variant: usize| {
            let times = self.times.get(variant)?;
            let value = times.at_rank((q * times.total() as f64).ceil() as u64);
            (times.total() > 0).then_some(value)
        };
        (report.stable, report.candidate) = (quantile(0), quantile(candidate));
        let silent = total(0) == 0 || total(candidate) == 0;
        report.finding = if silent { Finding::NoData } else { found(metric, report, &self.answers[candidate - 1]) };
        report.why = if self.test.is_none() {
            Some("stable has too few answers to say what is slow".to_owned())
        } else {
            // With room in the margin two variants that are alike are below 1.
            (margin > 1.0 && !silent)
                .then(|| format!("how often it is beyond {margin} times what is slow of stable; 1 is the margin"))
        };
    }
}

/// Whether a unit's totals show it to be one: without a value, or an exposure that counts, it is none.
pub(crate) fn present(totals: &UnitTotals) -> bool {
    totals.value != 0.0 || totals.denominator != 0.0
}

impl Mean {
    /// A value of what is measured came; `first` of its unit in the variant.
    pub fn value(&mut self, variant: usize, value: Value, first: bool) {
        let Some(values) = self.values.get_mut(variant) else { return };
        let truth = value.truth || (self.binary && (value.new == 0.0 || value.new == 1.0));
        if !truth && !std::mem::replace(&mut self.amounts, true) {
            // What silence has shown so far it has shown of a label that this is not.
            self.answers.iter_mut().for_each(|answers| answers.holds = Evidence::default());
        }
        self.several |= !first && value.old.is_none();
        if let Some(old) = value.old {
            values[0] -= 1;
            values[1] -= u64::from(old != 0.0);
            values[2] -= u64::from(old == 1.0);
        }
        values[0] += 1;
        values[1] += u64::from(value.new != 0.0);
        values[2] += u64::from(value.new == 1.0);
        self.units[variant] += u64::from(first);
    }

    /// A unit's totals in a stratum were `old` and are `new`.
    pub fn update(&mut self, stratum: usize, variant: usize, old: &UnitTotals, new: &UnitTotals) {
        let Some(cell) = self.strata.cell(stratum, variant) else { return };
        if present(old) {
            self.skewness.remove(old);
            cell.remove(old);
        }
        if present(new) {
            self.skewness.add(new);
            cell.add(new);
        }
    }

    /// Whether enough was seen of a candidate for what holds in the limit.
    fn settled(&self, effect: &Effect, candidate: usize) -> bool {
        let even = self.even(effect, candidate);
        let (stable, candidate) = (self.values[0], self.values[candidate]);
        let all = (stable[0] + candidate[0]) as f64;
        let least = stable[0].min(candidate[0]) as f64;
        let part = |k: usize| (stable[k] + candidate[k]) as f64 / all;
        let binary = stable[1] + candidate[1] == stable[2] + candidate[2];
        let often = part(1) * least >= RARE && (!binary || (1.0 - part(1)) * least >= RARE);
        effect.units >= BURN_IN && (often || all == 0.0) && even
    }

    /// Whether what few units bring lets the variants be compared at their shares.
    fn even(&self, effect: &Effect, candidate: usize) -> bool {
        self.skewness.allows(effect, [self.units[0], self.units[candidate]])
    }

    fn look<V: IntoIterator<Item = Visit>, R: Iterator<Item = V> + Clone>(
        &mut self,
        plan: &Plan,
        metric: &Planned,
        returning: R,
    ) {
        let (measure, cuped) = match &metric.test {
            Test::Mean { measure, covariate, .. } => (*measure, covariate.is_some()),
            _ => (Measure::Ratio, false),
        };
        let contrast = Contrast { measure, scale: EffectScale::Absolute, cuped };
        for candidate in 1..self.values.len() {
            let found = self.strata.compare_returning((0, candidate), contrast, returning.clone());
            self.effects[candidate - 1] = Some(found);
            self.narrowed[candidate - 1] = None;
            if let (true, Ok(effect)) = (cuped, &found) {
                let plain = Contrast { cuped: false, ..contrast };
                let plain = self.strata.compare_returning((0, candidate), plain, returning.clone());
                let part = |plain: Effect| 1.0 - (effect.standard_error / plain.standard_error).powi(2);
                self.narrowed[candidate - 1] = plain.ok().map(part).filter(|part| part.is_finite());
            }
            self.shifted[candidate - 1] = 0.0;
            match found {
                Ok(effect) if self.settled(&effect, candidate) => self.observe(plan, metric, candidate, &effect),
                Ok(_) => {}
                Err(_) => self.nothing_varies(metric, candidate),
            }
        }
    }

    fn observe(&mut self, plan: &Plan, metric: &Planned, candidate: usize, effect: &Effect) {
        let asymptotic = |alpha: f64, null: f64, side: Side| {
            AsymptoticCs::one_sided(alpha, plan.expected_units).map_or(0.0, |t| t.log_e_one_sided(effect, null, side))
        };
        let rates = &metric.rates;
        let (margin, by, good, bad) = match (&metric.test, metric.direction) {
            (Test::Shift { most, .. }, _) => {
                let half = rates.interval / 2.0;
                self.shifted[candidate - 1] =
                    asymptotic(half, *most, Side::Above).max(asymptotic(half, -most, Side::Below));
                return;
            }
            (Test::Mean { margin, by, .. }, Direction::Up) => (-margin, by, Side::Above, Side::Below),
            (Test::Mean { margin, by, .. }, Direction::Down) => (*margin, by, Side::Below, Side::Above),
            (Test::Errors { .. } | Test::Slow { .. } | Test::Psi { .. }, _) => return,
        };
        let answers = &mut self.answers[candidate - 1];
        let msprt = if let By::Msprt { tau } = by { Msprt::new(*tau).ok() } else { None };
        if let By::Group(group) = by {
            let z = |null: f64, side: Side| {
                let distance = (effect.value - null) / effect.standard_error;
                if side == Side::Above { distance } else { -distance }
            };
            let asked = [
                Question { z: z(margin, bad), alpha: rates.harm },
                Question { z: z(margin, good), alpha: rates.holds },
                Question { z: z(0.0, good), alpha: rates.better },
            ];
            let grouped = &mut self.grouped[candidate - 1];
            grouped.look(group, effect, asked, rates.interval);
            answers.crossed = grouped.crossed;
            return;
        }
        let log_e = |alpha: f64, null: f64, side: Side| match &msprt {
            Some(msprt) => msprt.log_e_one_sided(effect, null, side),
            None => asymptotic(alpha, null, side),
        };
        answers.harm.observe(log_e(rates.harm, margin, bad));
        answers.holds.observe(log_e(rates.holds, margin, good));
        answers.better.observe(log_e(rates.better, 0.0, good));
    }

    /// The effect with its interval, by the metric's own test.
    fn interval(&self, plan: &Plan, metric: &Planned, (candidate, effect): (usize, &Effect)) -> Option<Interval> {
        let alpha = metric.rates.interval;
        match metric.test {
            Test::Mean { by: By::Msprt { tau }, .. } => Some(Msprt::new(tau).ok()?.interval(effect, alpha)),
            Test::Mean { by: By::Group(_), .. } => self.grouped[candidate - 1].interval(),
            _ => Some(AsymptoticCs::two_sided(alpha, plan.expected_units).ok()?.interval(effect)),
        }
    }

    /// Whether no value was other than 0.
    fn nothing(&self, candidate: usize) -> bool {
        self.values[0][1] + self.values[candidate][1] == 0
    }

    /// Whether what a unit brings is at most 1: a mean of what is true or false, or a total of one of them. An amount that is
    /// never seen may be of any size.
    fn bounded(&self, test: &Test) -> bool {
        match test {
            Test::Mean { over: None, measure: Measure::Ratio, .. } => !self.amounts,
            Test::Mean { over: None, measure: Measure::Mean, .. } => !self.amounts && !self.several,
            _ => false,
        }
    }

    /// Whether no value was other than 1, and no unit had several, which may add up to more.
    fn all(&self, candidate: usize) -> bool {
        let ones = |of: [u64; 3]| of[0] == of[2];
        !self.several && ones(self.values[0]) && ones(self.values[candidate])
    }

    /// All values are 0 in both variants, or all are 1. If more than a part `margin` of the units had another one, so many units
    /// in a row without any would be rarer than the error rate. Where a value is at most 1 that is the margin itself.
    fn nothing_varies(&mut self, metric: &Planned, candidate: usize) {
        let Test::Mean { margin, .. } = metric.test else { return };
        if (self.nothing(candidate) || self.all(candidate))
            && self.bounded(&metric.test)
            && margin > 0.0
            && margin < 1.0
        {
            let least = self.units[0].min(self.units[candidate]) as f64;
            self.answers[candidate - 1].holds.observe(-least * (-margin).ln_1p());
        }
    }

    fn report(&mut self, plan: &Plan, metric: &Planned, candidate: usize, report: &mut MetricReport) {
        report.scale = Scale::Difference;
        let mut sums = [UnitTotals::default(); 2];
        for step in 0..self.strata.steps() {
            for ((variant, sum), units) in [0, candidate].into_iter().zip(&mut sums).zip(&mut report.units) {
                let Some(cell) = self.strata.cell(step, variant) else { continue };
                let (n, means) = (cell.units() as f64, cell.means());
                *units += cell.units();
                sum.value += n * means.value;
                sum.denominator += n * means.denominator;
            }
        }
        let value = |i: usize| (sums[i].denominator != 0.0).then(|| sums[i].value / sums[i].denominator);
        (report.stable, report.candidate) = (value(0), value(1));
        let effect = self.effects[candidate - 1];
        if let Some(Ok(effect)) = &effect {
            report.effect = self.interval(plan, metric, (candidate, effect)).map(Into::into);
        }
        if let Some(variance) = self.narrowed[candidate - 1] {
            let before = matches!(&metric.test, Test::Mean { covariate: Some(Covariate::Before(_)), .. });
            report.cuped = Some(Narrowed { variance, units: before.then_some(self.known) });
        }
        let settled = matches!(&effect, Some(Ok(effect)) if self.settled(effect, candidate));
        report.finding = if report.units.contains(&0) {
            Finding::NoData
        } else if metric.role == Role::Signal {
            let shifted = self.shifted[candidate - 1] >= (2.0 / metric.rates.interval).ln();
            if shifted { Finding::Worse } else { Finding::Unclear }
        } else if metric.role == Role::Reported && !settled {
            Finding::Unclear
        } else {
            found(metric, report, &self.answers[candidate - 1])
        };
        report.why = match &effect {
            _ if report.finding == Finding::NoData => Some("a variant has no values".to_owned()),
            _ if self.binary && self.amounts => {
                Some("a value came that is neither 0 nor 1, though it is declared binary".to_owned())
            }
            Some(Err(_)) if self.nothing(candidate) && !self.bounded(&metric.test) => {
                let why =
                    "all values are 0, which does not show how large one may be; if they are 0 and 1, say binary: true";
                Some(why.to_owned())
            }
            Some(Err(_)) if report.finding == Finding::NonInferior => {
                Some("all values are the same, of so many units that it holds".to_owned())
            }
            Some(Err(why)) => Some(why.to_string()),
            Some(Ok(effect)) if !settled && effect.units >= BURN_IN && !self.even(effect, candidate) => Some(
                "few units make up most of it, so that the variant with the smaller share has not shown what it brings; it \
                 takes more units, or a more even split"
                    .to_owned(),
            ),
            Some(Ok(_)) if !settled => Some("too few units, or too few values that are not 0".to_owned()),
            Some(Ok(_)) => self.looks(metric, candidate, report.finding),
            _ => None,
        };
    }

    /// What a group-sequential test waits for, or that it is over.
    fn looks(&self, metric: &Planned, candidate: usize, finding: Finding) -> Option<String> {
        let Test::Mean { by: By::Group(plan), .. } = &metric.test else { return None };
        let looks = &self.grouped[candidate - 1];
        let known = looks.report(plan);
        if finding != Finding::Unclear {
            None
        } else if looks.over(plan) {
            Some(format!("its last look was at {} units, as planned", known.max_units))
        } else {
            let next = u64::from(known.due + 1) * known.max_units / u64::from(known.of);
            Some(format!("look {} of {} comes at {next} units, split evenly", known.due + 1, known.of))
        }
    }
}

/// What the interval of a metric says that is only reported.
fn told(report: &MetricReport, direction: Direction) -> Finding {
    let Some(effect) = &report.effect else { return Finding::Unclear };
    let same = if report.scale == Scale::Ratio { 1.0 } else { 0.0 };
    let end = |end: Option<f64>, open: f64| end.map_or(open, |end| end - same);
    let (low, high) = (end(effect.low, f64::NEG_INFINITY), end(effect.high, f64::INFINITY));
    Finding::of_interval(&Interval { low, estimate: effect.estimate - same, high }, direction, 0.0)
}

/// What the tests of a metric found, or its interval where it is only reported. Harm first, since rolling back is the safe side.
fn found(metric: &Planned, report: &MetricReport, answers: &Answers) -> Finding {
    if metric.role == Role::Reported {
        return told(report, metric.direction);
    }
    let rates = &metric.rates;
    let [harm, holds, better] = answers.crossed;
    if harm || answers.harm.rejects(rates.harm) {
        Finding::Worse
    } else if better || answers.better.rejects(rates.better) {
        Finding::Better
    } else if holds || answers.holds.rejects(rates.holds) {
        Finding::NonInferior
    } else {
        Finding::Unclear
    }
}

/// Takes the evidence of one metric as it is now.
pub(crate) fn look<V: IntoIterator<Item = Visit>, R: Iterator<Item = V> + Clone>(
    state: &mut State,
    plan: &Plan,
    metric: &Planned,
    strata: &[Stratum],
    returning: R,
) {
    match (state, &metric.test) {
        (State::Errors(errors), Test::Errors { margin, .. }) => errors.look(strata, *margin),
        (State::Slow(slow), Test::Slow { q, margin }) => slow.look(strata, *q, *margin),
        (State::Mean(mean), _) => mean.look(plan, metric, returning),
        (State::Shape(shape), _) => shape.look(metric.rates.interval, strata),
        (State::Errors(_) | State::Slow(_), _) => {}
    }
}

/// What is known of one metric of a candidate, counted from 1.
pub(crate) fn report(state: &mut State, plan: &Plan, metric: &Planned, candidate: usize) -> MetricReport {
    let several = plan.variants.len() > 2;
    let mut report = MetricReport {
        name: metric.name.clone(),
        variant: several.then(|| plan.variants[candidate].clone()),
        role: metric.role,
        finding: Finding::NoData,
        required: metric.required,
        stable: None,
        candidate: None,
        effect: None,
        scale: Scale::Difference,
        log_e: LogE::default(),
        units: [0; 2],
        cuped: None,
        tested: None,
        why: None,
    };
    let answers = match state {
        State::Errors(errors) => {
            errors.report(metric, candidate, &mut report);
            errors.answers[candidate - 1]
        }
        State::Slow(slow) => {
            if let Test::Slow { q, margin } = metric.test {
                slow.report(metric, (q, margin), candidate, &mut report);
            }
            slow.answers[candidate - 1]
        }
        State::Mean(mean) => {
            mean.report(plan, metric, candidate, &mut report);
            mean.answers[candidate - 1]
        }
        State::Shape(shape) => {
            let most = if let Test::Psi { most, .. } = metric.test { most } else { f64::INFINITY };
            shape.report(most, candidate, &mut report);
            return report;
        }
    };
    let by = if let Test::Mean { by, .. } = &metric.test { Some(*by) } else { None };
    let looks = match (&*state, by) {
        (State::Mean(mean), Some(By::Group(group))) => Some(mean.grouped[candidate - 1].report(&group)),
        _ => None,
    };
    report.tested = metric.said.map(|(test, own)| Tested { test, alpha: own.then_some(metric.rates.harm), looks });
    report.log_e = LogE {
        harm: looks.is_none().then(|| answers.harm.log_max()),
        // What silence shows is evidence whatever the test.
        holds: Some(answers.holds.log_max()),
        better: by.filter(|_| looks.is_none()).map(|_| answers.better.log_max()),
    };
    if let (State::Mean(mean), Role::Signal) = (state, metric.role) {
        report.log_e = LogE { harm: Some(mean.shifted[candidate - 1]), ..LogE::default() };
    }
    report
}

/// What one value of a source adds to a unit's totals, and whether it is of what is measured, rather than of what that is
/// divided by.
pub(crate) fn parts(test: &Test, of: &Source, value: f64) -> Option<(f64, f64, bool)> {
    match test {
        Test::Mean { source, over: Some(over), .. } => {
            let (top, bottom) = (source == of, over == of);
            (top || bottom).then_some((if top { value } else { 0.0 }, if bottom { value } else { 0.0 }, top))
        }
        Test::Mean { source, over: None, measure, .. } if source == of => {
            Some((value, if *measure == Measure::Ratio { 1.0 } else { 0.0 }, true))
        }
        Test::Shift { source, .. } if source == of => Some((value, 1.0, true)),
        _ => None,
    }
}
