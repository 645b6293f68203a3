//! The ledger: folds events into evidence, unit by unit.
//!
//! The unit of analysis is the unit of assignment. Each *stratum*, a time of constant weights, is compared within itself,
//! so that a baseline that drifts while weights rise is no effect ([`mainspring_stats::sequential::Strata`]); what one
//! unit brings in several strata stays one unit's. Units with an error, and with a slow answer, are counted at the first
//! one of each unit in the whole rollout: then each event falls to the candidate with the probability of its weights at
//! that moment, whatever happened before. That few fail shows in the first answer of a unit, and once more in each stratum
//! that could have taken it from stable.
//!
//! Where weights depend on the context of a request, each context in each time is a stratum of its own: within it the weights
//! are constant again, and everything above holds.
//!
//! Folding is deterministic: the same events in the order of [`Event::order`], cut at the looks of [`looks`], give the same
//! numbers whatever their batches. Nothing here knows the clock.

mod arms;
mod contexts;
mod grouped;
mod looks;
mod metric;
mod plan;
mod report;
mod shadow;
mod shape;
#[cfg(test)]
mod tests;

pub use plan::Plan;
pub use report::{
    Arm, ContextArm, ContextReport, Estimate, Gain, LogE, Looks, MetricReport, Narrowed, Range, Reached, Report, Scale,
    Tested,
};

use crate::event::{Event, Exposure, Label, blamed};
use crate::ports::Earlier;
use crate::spec::Source;
use mainspring_core::{EventId, Timestamp};
use mainspring_stats::decision::{Finding, Role};
use mainspring_stats::sequential::{CountsError, Evidence, Measure, Multinomial, UnitTotals};
use mainspring_traffic::Share;
use metric::{State, Value};
use plan::Test;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// A time of constant weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stratum {
    /// The generation of the routing row.
    pub generation: u64,
    /// The step of the spec that it belongs to.
    pub step: u16,
    /// When the row was written.
    pub start: Timestamp,
    /// The weight of each variant, stable first, 0 to 1.
    pub weights: Vec<f64>,
    /// The same in each context, where they depend on it; [`Stratum::weights`] are then those of the traffic as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contexts: Vec<Vec<Share>>,
    /// Whether the candidate answers in the shadow.
    pub shadow: bool,
}

impl Stratum {
    /// Whether both variants have a share, so that there is something to compare.
    pub(crate) fn compared(&self) -> bool {
        self.weights.iter().filter(|w| **w > 0.0).count() > 1
    }
}

/// How much a ledger may remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Units; those that come later are left out, and counted.
    pub units: usize,
    /// Answers that labels may still come for; the oldest are forgotten first.
    pub answers: usize,
}

impl Default for Limits {
    /// A million units, and two million answers: about 500 MB when both are full.
    fn default() -> Self {
        Self { units: 1_000_000, answers: 2_000_000 }
    }
}

#[derive(Debug)]
struct Unit {
    /// What it brought in each stratum.
    cells: Vec<Cell>,
    failed: bool,
    conflict: bool,
    /// One bit for each metric of slow answers.
    slow: u64,
    /// One bit for each mean that it had a value of.
    said: u64,
}

#[derive(Debug)]
struct Cell {
    stratum: u32,
    variant: u16,
    /// What a contextual bandit expected before this came, as a place in [`arms::Known::models`].
    expected: u32,
    /// Of each mean.
    totals: Box<[UnitTotals]>,
    /// Of each mean, what was known of the unit before; nothing where no metric asks.
    covariates: Box<[f64]>,
}

/// An answer that labels may come for.
#[derive(Debug)]
struct Answer {
    unit: u32,
    stratum: u32,
    labels: Vec<Said>,
}

/// The latest label of one name about one row.
#[derive(Debug)]
struct Said {
    row: u32,
    name: std::sync::Arc<str>,
    value: f64,
    at: Timestamp,
}

/// What units did before the rollout, of one mean.
#[derive(Debug)]
struct Known {
    /// The mean's place in the units' totals.
    slot: usize,
    means: HashMap<u64, f64>,
    /// For units that are not known.
    mean: f64,
}

/// Evidence of one rollout.
#[derive(Debug)]
pub struct Ledger {
    plan: Plan,
    limits: Limits,
    /// Times of constant weights that are known.
    times: usize,
    /// Each context of each time; a time without contexts is one.
    strata: Vec<Stratum>,
    /// Of each stratum, its context.
    contexts: Vec<Option<u16>>,
    /// Of each stratum, the one since which no candidate's weight fell.
    rising: Vec<usize>,
    cut: Timestamp,
    /// Whether anything came since the last look.
    dirty: bool,
    units: Vec<Unit>,
    index: HashMap<u64, u32>,
    /// Units with more than one cell.
    returning: Vec<u32>,
    conflicts: u64,
    answers: HashMap<EventId, Answer>,
    order: VecDeque<EventId>,
    labelled: bool,
    /// Units of each stratum and variant: in the stratum of their first exposure, and in each.
    first: Vec<Vec<u64>>,
    present: Vec<Vec<u64>>,
    metrics: Vec<State>,
    means: usize,
    /// What units did before the rollout, of the means that ask.
    earlier: Vec<Known>,
    srm: Evidence,
    /// Answers of a variant without a share.
    impossible: u64,
    shadows: shadow::Shadows,
    /// What a bandit knows of its arms.
    arms: arms::Known,
    /// What is counted one by one; the rest is made when it is asked for.
    report: Report,
    known: Option<Arc<Report>>,
    /// Whether there was a look since `known` was last asked for.
    news: bool,
}

impl Ledger {
    /// An empty ledger.
    pub fn new(plan: Plan, limits: Limits) -> Self {
        let (mut means, variants) = (0, plan.variants.len());
        let metrics = plan.metrics.iter().map(|m| State::new(&m.test, &mut means, variants)).collect();
        let report = Report {
            units: vec![0; variants],
            step_units: vec![0; variants],
            answers: vec![0; variants],
            last_at: vec![None; variants],
            ..Report::default()
        };
        Self {
            labelled: !plan.labels().is_empty(),
            plan,
            limits,
            times: 0,
            strata: Vec::new(),
            contexts: Vec::new(),
            rising: Vec::new(),
            cut: Timestamp(i64::MIN),
            dirty: true,
            units: Vec::new(),
            index: HashMap::new(),
            returning: Vec::new(),
            conflicts: 0,
            answers: HashMap::new(),
            order: VecDeque::new(),
            first: Vec::new(),
            present: Vec::new(),
            metrics,
            means,
            earlier: Vec::new(),
            srm: Evidence::default(),
            impossible: 0,
            shadows: shadow::Shadows::default(),
            arms: arms::Known::default(),
            report,
            known: None,
            news: true,
        }
    }

    /// What units did before the rollout; to be told before anything is folded. A unit that is not known has the mean of those
    /// that are, which no variant can have moved either.
    pub fn earlier(&mut self, earlier: &[Earlier]) {
        self.earlier.clear();
        for (planned, state) in self.plan.metrics.iter().zip(&self.metrics) {
            let (State::Mean(mean), Some(told)) = (state, earlier.iter().find(|e| e.metric == planned.name)) else {
                continue;
            };
            let means: HashMap<u64, f64> =
                told.means.iter().copied().filter(|(_, mean)| mean.is_finite()).take(self.limits.units).collect();
            let (mut units, mut sum) = (0.0, 0.0);
            // In their order: a sum of floating-point numbers depends on it.
            for (_, mean) in told.means.iter().filter(|(unit, _)| means.contains_key(unit)) {
                units += 1.0;
                sum += mean;
            }
            let mean_of_all = if units > 0.0 { sum / units } else { 0.0 };
            self.earlier.push(Known { slot: mean.slot, means, mean: mean_of_all });
        }
    }

    /// Takes strata that are not known yet, in the order of their generations.
    pub fn strata(&mut self, strata: &[Stratum]) {
        let known = self.times;
        self.times = known.max(strata.len());
        for (context, stratum) in strata.iter().skip(known).flat_map(contexts::apart) {
            let fell = |last: &Stratum| last.weights.iter().zip(&stratum.weights).skip(1).any(|(was, is)| is < was);
            let since = match (self.strata.last(), self.rising.last()) {
                // Whose context changes is not moved by a weight that rises.
                (Some(last), Some(since)) if context.is_none() && !fell(last) => *since,
                _ => self.strata.len(),
            };
            self.rising.push(since);
            self.contexts.push(context);
            self.strata.push(stratum);
            self.first.push(vec![0; self.plan.variants.len()]);
            self.present.push(vec![0; self.plan.variants.len()]);
            self.dirty = true;
            self.known = None;
            self.news = true;
        }
    }

    /// Where the next look is.
    pub fn next_look(&self) -> Option<Timestamp> {
        looks::next(&self.strata, self.cut)
    }

    /// Events up to here were looked at.
    pub fn cut(&self) -> Timestamp {
        self.cut
    }

    /// Folds one event.
    pub fn fold(&mut self, event: &Event) {
        if let Event::Unitless(answer) = event {
            return self.unitless(answer.at);
        }
        self.report.late += u64::from(event.at() <= self.cut);
        self.dirty = true;
        self.arms.stale = true;
        self.known = None;
        match event {
            Event::Exposure(exposure) => self.exposure(exposure),
            Event::Shadow(answer) => {
                let variant = self.plan.variants.iter().position(|v| **v == *answer.variant);
                if let Some(variant) = variant.filter(|v| *v > 0) {
                    self.report.last_at[variant] = self.report.last_at[variant].max(Some(answer.at));
                    self.shadows.shadow(&self.plan, answer);
                }
            }
            Event::Label(label) => self.label(label),
            Event::Unitless(_) => {}
        }
    }

    /// An answer without a unit. Before the first step not every server may look for one yet.
    fn unitless(&mut self, at: Timestamp) {
        let preflight = self.strata.first().map(|s| s.generation);
        let stepped = self.strata.iter().find(|s| Some(s.generation) != preflight);
        if stepped.is_some_and(|s| s.start <= at) {
            self.report.unitless += 1;
            self.known = None;
        }
    }

    fn exposure(&mut self, e: &Exposure) {
        let stratum = self.stratum(e);
        let variant = self.plan.variants.iter().position(|v| **v == *e.variant);
        let (Some(stratum), Some(variant)) = (stratum, variant) else {
            self.report.strangers += 1;
            return;
        };
        self.report.last_at[variant] = self.report.last_at[variant].max(Some(e.at));
        if self.plan.warmup > 0 && e.at < self.strata[stratum].start.plus_micros(self.plan.warmup) {
            self.report.excluded += 1;
            return;
        }
        if self.strata[stratum].shadow {
            self.shadows.caller(&self.plan, e);
        }
        if !self.strata[stratum].compared() {
            self.alone(e, stratum, variant);
            return;
        }
        let failed = e.failed.is_some_and(blamed);
        let Some(unit) = self.unit(e.unit, stratum, variant, failed) else { return };
        self.again(unit, (stratum, variant), failed);
        let Some(cell) = self.cell(unit, (stratum, variant), e) else { return };
        self.report.answers[variant] += 1;
        self.count(e, (unit, stratum, variant), failed);
        if e.failed.is_none() {
            self.add(unit, cell, &Source::Latency, Value::first(e.latency_ns as f64 / 1e9));
            for (name, value) in &e.outputs {
                self.add(unit, cell, &Source::Output(name.to_string()), Value::first(*value));
            }
        }
        if self.labelled {
            self.remember(e.id, Answer { unit, stratum: stratum as u32, labels: Vec::new() });
        }
    }

    /// The stratum of an answer: of its generation and, where that has contexts, of its context.
    fn stratum(&self, e: &Exposure) -> Option<usize> {
        let last = self.strata.iter().rposition(|s| s.generation == e.generation)?;
        let Some(greatest) = self.contexts[last] else { return Some(last) };
        last.checked_sub(usize::from(greatest.checked_sub(e.context?)?))
    }

    /// An answer while one variant had all the traffic. There was no chance in it, so the unit is as new as before when
    /// the comparison begins; but what is slow is learned from it.
    fn alone(&mut self, e: &Exposure, stratum: usize, variant: usize) {
        self.report.answers[variant] += 1;
        self.impossible += u64::from(self.strata[stratum].weights.get(variant).is_none_or(|w| *w <= 0.0));
        for state in &mut self.metrics {
            if let State::Slow(slow) = state
                && e.failed.is_none()
            {
                slow.answered(stratum, variant, e.latency_ns as f64 / 1e9, false);
            }
        }
    }

    /// The unit's place; counted when it is new, `None` when there is no place left.
    fn unit(&mut self, unit: u64, stratum: usize, variant: usize, failed: bool) -> Option<u32> {
        if let Some(known) = self.index.get(&unit) {
            return Some(*known);
        }
        if self.units.len() >= self.limits.units {
            self.report.crowded_out += 1;
            return None;
        }
        let place = self.units.len() as u32;
        self.index.insert(unit, place);
        self.units.push(Unit { cells: Vec::new(), failed: false, conflict: false, slow: 0, said: 0 });
        self.first[stratum][variant] += 1;
        self.report.units[variant] += 1;
        for state in &mut self.metrics {
            if let State::Errors(errors) = state {
                errors.first(&self.strata[stratum], variant, failed);
            }
        }
        Some(place)
    }

    /// A known unit's first answer in a later stratum, where its past says nothing of its variant but that it was stable's.
    fn again(&mut self, unit: u32, (stratum, variant): (usize, usize), failed: bool) {
        let cells = &self.units[unit as usize].cells;
        let since = self.rising[stratum];
        let stables = cells.iter().all(|c| c.variant == 0 && (since..stratum).contains(&(c.stratum as usize)));
        let Some(last) = cells.iter().map(|c| c.stratum as usize).max().filter(|_| stables) else { return };
        for state in &mut self.metrics {
            if let State::Errors(errors) = state {
                errors.again((&self.strata[last], &self.strata[stratum]), variant, failed);
            }
        }
    }

    /// The unit's cell in the stratum; `None` when it saw another variant there.
    fn cell(&mut self, unit: u32, (stratum, variant): (usize, usize), e: &Exposure) -> Option<usize> {
        let seen = &mut self.units[unit as usize];
        if let Some(at) = seen.cells.iter().position(|c| c.stratum as usize == stratum) {
            if usize::from(seen.cells[at].variant) == variant {
                return Some(at);
            }
            if !std::mem::replace(&mut seen.conflict, true) {
                self.conflicts += 1;
            }
            return None;
        }
        self.present[stratum][variant] += 1;
        let mut covariates = self.plan.covariates(e);
        for known in &self.earlier {
            let earlier = known.means.get(&e.unit).copied();
            if let Some(covariate) = covariates.get_mut(known.slot) {
                *covariate = earlier.unwrap_or(known.mean);
            }
            let new = self.units[unit as usize].cells.is_empty();
            if let Some(State::Mean(mean)) =
                self.metrics.iter_mut().find(|m| matches!(m, State::Mean(mean) if mean.slot == known.slot))
            {
                mean.known += u64::from(new && earlier.is_some());
            }
        }
        let mut totals = vec![UnitTotals::default(); self.means].into_boxed_slice();
        for (planned, state) in self.plan.metrics.iter().zip(&mut self.metrics) {
            // Whoever was exposed counts in a total over units, also with nothing.
            if let (State::Mean(mean), Test::Mean { measure: Measure::Mean, .. }) = (state, &planned.test) {
                let covariate = covariates.get(mean.slot).copied().unwrap_or_default();
                let new = UnitTotals { denominator: 1.0, covariate, ..UnitTotals::default() };
                mean.update(stratum, variant, &totals[mean.slot], &new);
                totals[mean.slot] = new;
            }
        }
        let cells = &mut self.units[unit as usize].cells;
        let expected = self.arms.models.len() as u32;
        cells.push(Cell { stratum: stratum as u32, variant: variant as u16, expected, totals, covariates });
        if cells.len() == 2 {
            self.returning.push(unit);
        }
        Some(cells.len() - 1)
    }

    /// The events that are counted once for each unit.
    fn count(&mut self, e: &Exposure, (unit, stratum, variant): (u32, usize, usize), failed: bool) {
        let known = &mut self.units[unit as usize];
        let first_failure = failed && !known.failed;
        known.failed |= failed;
        for (i, state) in self.metrics.iter_mut().enumerate() {
            match state {
                State::Errors(errors) if first_failure => errors.failed(stratum, variant),
                State::Slow(slow) if e.failed.is_none() => {
                    let bit = 1_u64 << (i % 64);
                    let first = known.slow & bit == 0;
                    if slow.answered(stratum, variant, e.latency_ns as f64 / 1e9, first) {
                        known.slow |= bit;
                    }
                }
                State::Errors(_) | State::Slow(_) | State::Mean(_) | State::Shape(_) => {}
            }
        }
    }

    /// A value of a source came for a unit, or took the place of `old`.
    fn add(&mut self, unit: u32, cell: usize, source: &Source, value: Value) {
        let Value { old, new, .. } = value;
        if !new.is_finite() {
            return;
        }
        let Unit { cells, said, .. } = &mut self.units[unit as usize];
        let cell = &mut cells[cell];
        let (stratum, variant) = (cell.stratum as usize, usize::from(cell.variant));
        for (i, (planned, state)) in self.plan.metrics.iter().zip(&mut self.metrics).enumerate() {
            let bit = 1_u64 << (i % 64);
            let mean = match (state, &planned.test) {
                (State::Mean(mean), _) => mean,
                (State::Shape(shape), Test::Psi { source: of, .. }) if of == source && *said & bit == 0 => {
                    *said |= bit;
                    shape.first(stratum, variant, new);
                    continue;
                }
                _ => continue,
            };
            let Some((top, bottom, measured)) = metric::parts(&planned.test, source, new) else { continue };
            let before = old.and_then(|old| metric::parts(&planned.test, source, old));
            let (top_before, bottom_before) = before.map(|(top, bottom, _)| (top, bottom)).unwrap_or_default();
            if measured {
                mean.value(variant, value, *said & bit == 0);
                *said |= bit;
            }
            let totals = &mut cell.totals[mean.slot];
            let was = *totals;
            totals.value += top - top_before;
            totals.denominator += bottom - bottom_before;
            totals.covariate = cell.covariates.get(mean.slot).copied().unwrap_or_default();
            mean.update(stratum, variant, &was, &*totals);
        }
    }

    fn remember(&mut self, id: EventId, answer: Answer) {
        if self.answers.insert(id, answer).is_none() {
            self.order.push_back(id);
        }
        while self.order.len() > self.limits.answers {
            if let Some(oldest) = self.order.pop_front() {
                self.answers.remove(&oldest);
                self.report.forgotten += 1;
            }
        }
    }

    fn label(&mut self, label: &Label) {
        if !label.value.is_finite() {
            return;
        }
        let Some(answer) = self.answers.get_mut(&label.about) else {
            self.report.unmatched += 1;
            return;
        };
        let known = answer.labels.iter_mut().find(|s| s.row == label.row && s.name == label.name);
        let old = match known {
            // The latest wins, in whatever order they come.
            Some(said) if said.at > label.at => return,
            Some(said) => {
                said.at = label.at;
                Some(std::mem::replace(&mut said.value, label.value))
            }
            None => {
                let said = Said { row: label.row, name: label.name.clone(), value: label.value, at: label.at };
                answer.labels.push(said);
                None
            }
        };
        let (unit, stratum) = (answer.unit, answer.stratum);
        let cell = self.units[unit as usize].cells.iter().position(|c| c.stratum == stratum);
        if let Some(cell) = cell {
            let value = Value { old, new: label.value, truth: label.truth };
            self.add(unit, cell, &Source::Label(label.name.to_string()), value);
        }
    }

    /// Looks at the evidence: everything up to `cut` was folded.
    pub fn look(&mut self, cut: Timestamp) {
        self.cut = self.cut.max(cut);
        self.news = true;
        let arms = self.look_at_arms();
        if !std::mem::take(&mut self.dirty) && !arms {
            if let Some(known) = &mut self.known {
                Arc::make_mut(known).cut = self.cut;
            }
            return;
        }
        self.known = None;
        let Self { metrics, plan, strata, units, returning, .. } = self;
        for (state, planned) in metrics.iter_mut().zip(&plan.metrics) {
            let slot = if let State::Mean(mean) = &*state { mean.slot } else { 0 };
            metric::look(state, plan, planned, strata, arms::returning(units, returning, slot));
        }
        match self.sample_ratio() {
            Ok(log_e) if self.impossible == 0 => self.srm.observe(log_e),
            // Units in a variant without a share: no chance brings that about.
            Ok(_) | Err(_) => self.srm.observe(f64::INFINITY),
        }
        self.shadows.look(&self.plan);
    }

    /// How many strata have begun: one that begins later has nothing to say, and a ledger that is rebuilt knows of it.
    fn begun(&self) -> usize {
        self.strata.iter().take_while(|s| s.start < self.cut).count()
    }

    /// ln of the e-value against "each new unit falls to a variant with the probability of its weight".
    fn sample_ratio(&self) -> Result<f64, CountsError> {
        // Not even by its rounding.
        let strata: Vec<(&Stratum, &Vec<u64>)> = self.strata[..self.begun()].iter().zip(&self.first).collect();
        let Some((first, _)) = strata.first() else { return Ok(0.0) };
        let mut test = Multinomial::new(&first.weights, 100.0)?;
        let mut beside = 0.0;
        for (at, time) in strata.chunk_by(|(a, _), (b, _)| a.generation == b.generation).enumerate() {
            let before = test.clone();
            for (place, (stratum, counts)) in time.iter().enumerate() {
                if at + place > 0 {
                    test.change(&stratum.weights)?;
                }
                test.observe(counts)?;
            }
            if time.len() > 1 {
                // Contexts fill up side by side: what is expected of one may rest on the times before, and on none of the others.
                beside += contexts::apart_log_e(&before, time)? - (test.log_e() - before.log_e());
            }
        }
        Ok(test.log_e() + beside)
    }

    /// Everything that is known since the last look.
    pub fn report(&mut self) -> Arc<Report> {
        self.news = false;
        if let Some(known) = &self.known {
            return Arc::clone(known);
        }
        let report = Arc::new(self.assemble());
        self.known = Some(Arc::clone(&report));
        report
    }

    /// Whether there was a look since the report was last asked for.
    pub(crate) fn news(&self) -> bool {
        self.news
    }

    fn assemble(&mut self) -> Report {
        let mut report = self.report.clone();
        report.cut = self.cut;
        report.shadow_units = self.shadows.units();
        let step = self.strata.last().map(|s| s.step);
        for (_, present) in self.strata.iter().zip(&self.present).filter(|(s, _)| Some(s.step) == step) {
            report.step_units.iter_mut().zip(present).for_each(|(sum, n)| *sum += n);
        }
        report.arms.clone_from(&self.arms.now.alone);
        report.contexts.clone_from(&self.arms.now.contexts);
        report.gains.clone_from(&self.arms.now.gains);
        let Self { metrics, plan, .. } = self;
        for (state, planned) in metrics.iter_mut().zip(&plan.metrics) {
            report.metrics.extend((1..plan.variants.len()).map(|at| metric::report(state, plan, planned, at)));
        }
        report.metrics.extend(self.shadows.report(&self.plan));
        report.metrics.extend([self.srm_report(), self.conflict_report()]);
        report
    }

    fn srm_report(&self) -> MetricReport {
        let mut counts = [0; 2];
        for (variant, n) in self.first.iter().flat_map(|c| c.iter().enumerate()) {
            counts[variant.min(1)] += n;
        }
        let log_max = Some(self.srm.log_max()).filter(|e| e.is_finite());
        MetricReport { units: counts, ..quality("srm", Finding::of_harm(&self.srm, self.plan.srm_alpha), log_max) }
    }

    fn conflict_report(&self) -> MetricReport {
        let part = self.conflicts as f64 / (self.units.len().max(1)) as f64;
        let finding = if part > self.plan.most_conflicts { Finding::Worse } else { Finding::Unclear };
        let all = self.units.len() as u64;
        let report = quality("multipleExposure", finding, None);
        MetricReport { candidate: Some(part), units: [all - self.conflicts, self.conflicts], ..report }
    }
}

fn quality(name: &str, finding: Finding, harm: Option<f64>) -> MetricReport {
    MetricReport {
        name: name.to_owned(),
        variant: None,
        role: Role::Quality,
        finding,
        required: true,
        stable: None,
        candidate: None,
        effect: None,
        scale: Scale::Ratio,
        log_e: LogE { harm, ..LogE::default() },
        units: [0; 2],
        cuped: None,
        tested: None,
        why: None,
    }
}
