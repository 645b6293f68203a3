//! One metric's accumulators and evidence.

use super::Stratum;
use super::plan::{BURN_IN, Plan, Planned, RARE, Test};
use super::report::{LogE, MetricReport, Scale};
use crate::spec::Source;
use mainspring_stats::decision::{Direction, Finding, Role};
use mainspring_stats::sequential::{
    AsymptoticCs, BettingAb, Contrast, Effect, Evidence, Exceedance, Exposure as Bet, LogHistogram, Measure, NoEffect,
    RateRatio, Scale as EffectScale, Side, Strata, UnitTotals, Visit,
};

const CONTRAST: Contrast = Contrast { measure: Measure::Ratio, scale: EffectScale::Absolute, cuped: false };
const SECONDS: (f64, f64) = (1e-6, 1e4);

/// The three questions that are asked of a metric.
#[derive(Debug, Clone, Copy, Default)]
struct Answers {
    harm: Evidence,
    holds: Evidence,
    better: Evidence,
}

/// Accumulators of one metric.
#[derive(Debug)]
pub(crate) enum State {
    Errors(Box<Errors>),
    Slow(Box<Slow>),
    Mean(Box<Mean>),
}

/// Units with a failed answer: the first one of each, under the weights of its moment.
#[derive(Debug)]
pub(crate) struct Errors {
    counts: Vec<[u64; 2]>,
    /// First answers that failed, against "the candidate fails more often by more than is tolerable".
    first: Option<BettingAb>,
    seen: [u64; 2],
    answers: Answers,
}

/// Units with a slow answer: the first one of each.
#[derive(Debug)]
pub(crate) struct Slow {
    /// Seconds beyond which stable is slow; from answers before the last look.
    test: Option<Exceedance>,
    counts: Vec<[u64; 2]>,
    times: Option<[LogHistogram; 2]>,
    answers: Answers,
}

/// A mean, with the totals of each unit in each stratum.
#[derive(Debug)]
pub(crate) struct Mean {
    /// Its place in the units' totals.
    pub slot: usize,
    pub strata: Strata,
    /// Values that were counted, that are not 0, and that are 1: of each variant.
    values: [[u64; 3]; 2],
    effect: Option<Result<Effect, NoEffect>>,
    answers: Answers,
    /// Of a signal: the evidence of a shift as it is now.
    shifted: f64,
}

impl State {
    pub fn new(test: &Test, slot: &mut usize) -> Self {
        match test {
            Test::Errors { tolerable, .. } => Self::Errors(Box::new(Errors {
                counts: Vec::new(),
                first: BettingAb::new(*tolerable, Side::Below).ok(),
                seen: [0; 2],
                answers: Answers::default(),
            })),
            Test::Slow { .. } => Self::Slow(Box::new(Slow {
                test: None,
                counts: Vec::new(),
                times: LogHistogram::new(SECONDS.0, SECONDS.1).ok().map(|h| [h.clone(), h]),
                answers: Answers::default(),
            })),
            Test::Mean { .. } | Test::Shift { .. } => {
                *slot += 1;
                Self::Mean(Box::new(Mean {
                    slot: *slot - 1,
                    strata: Strata::new(2),
                    values: [[0; 3]; 2],
                    effect: None,
                    answers: Answers::default(),
                    shifted: 0.0,
                }))
            }
        }
    }
}

fn count(counts: &mut Vec<[u64; 2]>, stratum: usize, variant: usize) {
    if counts.len() <= stratum {
        counts.resize(stratum + 1, [0; 2]);
    }
    if let Some(n) = counts[stratum].get_mut(variant) {
        *n += 1;
    }
}

/// The candidate's part of the units of both; `None` where only one of them has any.
fn share(stratum: &Stratum) -> Option<f64> {
    let (stable, candidate) = (*stratum.weights.first()?, *stratum.weights.get(1)?);
    (stable > 0.0 && candidate > 0.0).then(|| candidate / (stable + candidate))
}

/// The counts of all strata in one ratio.
fn ratio(strata: &[Stratum], counts: &[[u64; 2]]) -> RateRatio {
    let mut ratio = RateRatio::default();
    for (stratum, [stable, candidate]) in strata.iter().zip(counts) {
        if let Some(share) = share(stratum) {
            // The share lies between 0 and 1, which is all that could be refused.
            let _ = ratio.observe(*stable, *candidate, share);
        }
    }
    ratio
}

fn total(counts: &[[u64; 2]]) -> [u64; 2] {
    counts.iter().fold([0; 2], |[a, b], [c, d]| [a + c, b + d])
}

/// ln of the mean of two e-values.
fn both(a: f64, b: f64) -> f64 {
    let top = a.max(b);
    top + (f64::midpoint((a - top).exp(), (b - top).exp())).ln()
}

impl Errors {
    /// A unit's first answer in the rollout.
    pub fn first(&mut self, stratum: &Stratum, variant: usize, failed: bool) {
        if let Some(n) = self.seen.get_mut(variant) {
            *n += 1;
        }
        if let (Some(test), Some(propensity)) = (&mut self.first, share(stratum)) {
            let unit = Bet { candidate: variant == 1, propensity, value: f64::from(u8::from(failed)) };
            let _ = test.push(unit);
        }
    }

    /// A unit's first failed answer.
    pub fn failed(&mut self, stratum: usize, variant: usize) {
        count(&mut self.counts, stratum, variant);
    }

    fn look(&mut self, strata: &[Stratum], margin: f64) {
        let ratio = ratio(strata, &self.counts);
        self.answers.harm.observe(ratio.log_e(margin, Side::Above));
        let first = self.first.as_ref().map_or(0.0, BettingAb::log_e);
        self.answers.holds.observe(both(ratio.log_e(margin, Side::Below), first));
    }

    fn report(&self, plan: &Plan, strata: &[Stratum], report: &mut MetricReport) {
        let ratio = ratio(strata, &self.counts);
        let events = total(&self.counts);
        report.scale = Scale::Ratio;
        report.effect = ratio.interval(plan.alpha).ok().map(Into::into);
        report.units = events;
        let rate = |i: usize| (self.seen[i] > 0).then(|| events[i] as f64 / self.seen[i] as f64);
        (report.stable, report.candidate) = (rate(0), rate(1));
        report.finding = if self.seen.contains(&0) { Finding::NoData } else { found(plan, report.role, &self.answers) };
    }
}

impl Slow {
    /// A unit's answer and whether it is the unit's first slow one; the caller remembers.
    pub fn answered(&mut self, stratum: usize, variant: usize, seconds: f64, first: bool) -> bool {
        if let Some(times) = self.times.as_mut().and_then(|t| t.get_mut(variant)) {
            times.push(seconds);
        }
        let slow = first && self.test.as_ref().is_some_and(|test| test.is_slow(seconds, variant == 1));
        if slow {
            count(&mut self.counts, stratum, variant);
        }
        slow
    }

    fn look(&mut self, strata: &[Stratum], q: f64, margin: f64) {
        let ratio = ratio(strata, &self.counts);
        self.answers.harm.observe(ratio.log_e(1.0, Side::Above));
        self.answers.holds.observe(ratio.log_e(1.0, Side::Below));
        // For the answers after this look: what is slow is decided by what came before.
        let Some([stable, _]) = &self.times else { return };
        if stable.total() as f64 * (1.0 - q) < 5.0 {
            return;
        }
        let threshold = stable.at_rank((q * stable.total() as f64).ceil() as u64);
        match &mut self.test {
            Some(test) => drop(test.set_threshold(threshold)),
            None => self.test = Exceedance::new(margin, threshold).ok(),
        }
    }

    fn report(&self, plan: &Plan, strata: &[Stratum], q: f64, report: &mut MetricReport) {
        let ratio = ratio(strata, &self.counts);
        report.scale = Scale::Ratio;
        report.effect = ratio.interval(plan.alpha).ok().map(Into::into);
        report.units = total(&self.counts);
        let totals = self.times.as_ref().map_or([0; 2], |t| [t[0].total(), t[1].total()]);
        let quantile = |i: usize| {
            let times = &self.times.as_ref()?[i];
            let value = times.at_rank((q * times.total() as f64).ceil() as u64);
            (times.total() > 0).then_some(value)
        };
        (report.stable, report.candidate) = (quantile(0), quantile(1));
        report.finding = if totals.contains(&0) { Finding::NoData } else { found(plan, report.role, &self.answers) };
        if self.test.is_none() {
            report.why = Some("stable has too few answers to say what is slow".to_owned());
        }
    }
}

impl Mean {
    /// A value came, or changed from `old`. `totals` are the unit's in the stratum.
    pub fn value(&mut self, variant: usize, old: Option<f64>, new: f64) {
        let Some(values) = self.values.get_mut(variant) else { return };
        if let Some(old) = old {
            values[0] -= 1;
            values[1] -= u64::from(old != 0.0);
            values[2] -= u64::from(old == 1.0);
        }
        values[0] += 1;
        values[1] += u64::from(new != 0.0);
        values[2] += u64::from(new == 1.0);
    }

    /// A unit's totals in a stratum were `old` and are `new`; without any they are no unit.
    pub fn update(&mut self, stratum: usize, variant: usize, old: &UnitTotals, new: &UnitTotals) {
        let none = UnitTotals::default();
        let Some(cell) = self.strata.cell(stratum, variant) else { return };
        match (*old == none, *new == none) {
            (true, true) => {}
            (true, false) => cell.add(new),
            (false, true) => cell.remove(old),
            (false, false) => cell.replace(old, new),
        }
    }

    /// Whether enough was seen for what holds in the limit.
    fn settled(&self, effect: &Effect) -> bool {
        let [stable, candidate] = self.values;
        let all = (stable[0] + candidate[0]) as f64;
        let least = stable[0].min(candidate[0]) as f64;
        let part = |k: usize| (stable[k] + candidate[k]) as f64 / all;
        let binary = stable[1] + candidate[1] == stable[2] + candidate[2];
        let often = part(1) * least >= RARE && (!binary || (1.0 - part(1)) * least >= RARE);
        effect.units >= BURN_IN && (often || all == 0.0)
    }

    fn look<V: IntoIterator<Item = Visit>>(
        &mut self,
        plan: &Plan,
        metric: &Planned,
        returning: impl IntoIterator<Item = V>,
    ) {
        let measure = if let Test::Mean { measure, .. } = &metric.test { *measure } else { Measure::Ratio };
        let found = self.strata.compare_returning((0, 1), Contrast { measure, ..CONTRAST }, returning);
        self.effect = Some(found);
        self.shifted = 0.0;
        let Ok(effect) = found else { return self.nothing_varies(metric) };
        if !self.settled(&effect) {
            return;
        }
        let log_e = |alpha: f64, null: f64, side: Side| {
            AsymptoticCs::one_sided(alpha, plan.expected_units).map_or(0.0, |t| t.log_e_one_sided(&effect, null, side))
        };
        let (margin, good, bad) = match (&metric.test, metric.direction) {
            (Test::Shift { most, .. }, _) => {
                let half = plan.alpha / 2.0;
                self.shifted = log_e(half, *most, Side::Above).max(log_e(half, -most, Side::Below));
                return;
            }
            (Test::Mean { margin, .. }, Direction::Up) => (-margin, Side::Above, Side::Below),
            (Test::Mean { margin, .. }, Direction::Down) => (*margin, Side::Below, Side::Above),
            (Test::Errors { .. } | Test::Slow { .. }, _) => return,
        };
        let better = if metric.role == Role::Success { plan.rates.success } else { plan.rates.guardrail };
        self.answers.harm.observe(log_e(plan.rates.harm, margin, bad));
        self.answers.holds.observe(log_e(plan.rates.guardrail, margin, good));
        self.answers.better.observe(log_e(better, 0.0, good));
    }

    /// All values are 0 in both variants. If they were more than 0 in a part `margin` of the units, that many zeros in a
    /// row would be rarer than the error rate.
    fn nothing_varies(&mut self, metric: &Planned) {
        let Test::Mean { margin, .. } = metric.test else { return };
        let [stable, candidate] = self.values;
        if stable[1] + candidate[1] == 0 && margin > 0.0 && margin < 1.0 {
            let least = stable[0].min(candidate[0]) as f64;
            self.answers.holds.observe(-least * (-margin).ln_1p());
        }
    }

    fn report(&mut self, plan: &Plan, metric: &Planned, steps: usize, report: &mut MetricReport) {
        report.scale = Scale::Difference;
        let mut sums = [UnitTotals::default(); 2];
        for step in 0..steps {
            for (variant, sum) in sums.iter_mut().enumerate() {
                let Some(cell) = self.strata.cell(step, variant) else { continue };
                let (n, means) = (cell.units() as f64, cell.means());
                report.units[variant] += cell.units();
                sum.value += n * means.value;
                sum.denominator += n * means.denominator;
            }
        }
        let value = |i: usize| (sums[i].denominator != 0.0).then(|| sums[i].value / sums[i].denominator);
        (report.stable, report.candidate) = (value(0), value(1));
        if let Some(Ok(effect)) = &self.effect {
            let test = AsymptoticCs::two_sided(plan.alpha, plan.expected_units);
            report.effect = test.ok().map(|t| t.interval(effect).into());
        }
        let settled = matches!(&self.effect, Some(Ok(effect)) if self.settled(effect));
        report.finding = if report.units.contains(&0) {
            Finding::NoData
        } else if metric.role == Role::Signal {
            if self.shifted >= (2.0 / plan.alpha).ln() { Finding::Worse } else { Finding::Unclear }
        } else {
            found(plan, metric.role, &self.answers)
        };
        report.why = match &self.effect {
            _ if report.finding == Finding::NoData => Some("a variant has no values".to_owned()),
            Some(Err(why)) => Some(why.to_string()),
            Some(Ok(_)) if !settled => Some("too few units, or too few values that are not 0".to_owned()),
            _ => None,
        };
    }
}

/// Harm first, since rolling back is the safe side.
fn found(plan: &Plan, role: Role, answers: &Answers) -> Finding {
    let better = if role == Role::Success { plan.rates.success } else { plan.rates.guardrail };
    if answers.harm.rejects(plan.rates.harm) {
        Finding::Worse
    } else if answers.better.rejects(better) {
        Finding::Better
    } else if answers.holds.rejects(plan.rates.guardrail) {
        Finding::NonInferior
    } else {
        Finding::Unclear
    }
}

/// Takes the evidence of one metric as it is now.
pub(crate) fn look<V: IntoIterator<Item = Visit>>(
    state: &mut State,
    plan: &Plan,
    metric: &Planned,
    strata: &[Stratum],
    returning: impl IntoIterator<Item = V>,
) {
    match (state, &metric.test) {
        (State::Errors(errors), Test::Errors { margin, .. }) => errors.look(strata, *margin),
        (State::Slow(slow), Test::Slow { q, margin }) => slow.look(strata, *q, *margin),
        (State::Mean(mean), _) => mean.look(plan, metric, returning),
        (State::Errors(_) | State::Slow(_), _) => {}
    }
}

/// What is known of one metric.
pub(crate) fn report(state: &mut State, plan: &Plan, metric: &Planned, strata: &[Stratum]) -> MetricReport {
    let mut report = MetricReport {
        name: metric.name.clone(),
        role: metric.role,
        finding: Finding::NoData,
        required: metric.required,
        stable: None,
        candidate: None,
        effect: None,
        scale: Scale::Difference,
        log_e: LogE::default(),
        units: [0; 2],
        why: None,
    };
    let answers = match state {
        State::Errors(errors) => {
            errors.report(plan, strata, &mut report);
            &errors.answers
        }
        State::Slow(slow) => {
            let q = if let Test::Slow { q, .. } = metric.test { q } else { 0.99 };
            slow.report(plan, strata, q, &mut report);
            &slow.answers
        }
        State::Mean(mean) => {
            mean.report(plan, metric, strata.len(), &mut report);
            &mean.answers
        }
    };
    report.log_e = LogE {
        harm: Some(answers.harm.log_max()),
        holds: Some(answers.holds.log_max()),
        better: matches!(metric.test, Test::Mean { .. }).then(|| answers.better.log_max()),
    };
    if let (State::Mean(mean), Role::Signal) = (state, metric.role) {
        report.log_e = LogE { harm: Some(mean.shifted), ..LogE::default() };
    }
    report
}

/// What one value of a source adds to a unit's totals.
pub(crate) fn parts(test: &Test, of: &Source, value: f64) -> Option<(f64, f64)> {
    match test {
        Test::Mean { source, over: Some(over), .. } => {
            let (top, bottom) = (source == of, over == of);
            (top || bottom).then_some((if top { value } else { 0.0 }, if bottom { value } else { 0.0 }))
        }
        Test::Mean { source, over: None, measure, .. } if source == of => {
            Some((value, if *measure == Measure::Ratio { 1.0 } else { 0.0 }))
        }
        Test::Shift { source, .. } if source == of => Some((value, 1.0)),
        Test::Mean { .. } | Test::Shift { .. } | Test::Errors { .. } | Test::Slow { .. } => None,
    }
}
