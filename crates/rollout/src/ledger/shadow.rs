//! Pairs of answers: what a caller got, and what the candidate said to the same request.

use super::plan::{BURN_IN, Plan};
use super::report::{LogE, MetricReport, Scale};
use crate::event::{Exposure, ShadowAnswer, blamed};
use mainspring_core::EventId;
use mainspring_stats::decision::{Finding, Role};
use mainspring_stats::sequential::{AsymptoticCs, Evidence, RateRatio, Side, UnitMoments, UnitTotals};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Answers that wait for their partner, at most.
const WAITING: usize = 100_000;
/// Units that are remembered, at most.
const UNITS: usize = 1_000_000;

/// Half of a pair.
#[derive(Debug)]
enum Half {
    Caller { unit: u64, failed: bool, outputs: Vec<(Arc<str>, f64)> },
    Shadow { failed: bool, outputs: Vec<(Arc<str>, f64)> },
}

/// What one unit's pairs have shown.
#[derive(Debug, Default)]
struct Paired {
    /// Whether it had a pair of which one failed alone.
    discordant: bool,
    differences: UnitTotals,
}

/// The comparison in the shadow.
#[derive(Debug, Default)]
pub(crate) struct Shadows {
    waiting: HashMap<EventId, Half>,
    order: VecDeque<EventId>,
    units: HashMap<u64, Paired>,
    /// Units of which stable's answer failed alone first, and the candidate's.
    failed: [u64; 2],
    differences: UnitMoments,
    harm_errors: Evidence,
    harm_difference: Evidence,
    holds_difference: Evidence,
}

impl Shadows {
    /// A caller's answer in a step with a shadow.
    pub fn caller(&mut self, plan: &Plan, e: &Exposure) {
        let failed = e.failed.is_some_and(blamed);
        match self.waiting.remove(&e.id) {
            Some(Half::Shadow { failed: other, outputs }) => {
                self.pair(plan, e.unit, [failed, other], [&e.outputs, &outputs]);
            }
            _ => self.wait(e.id, Half::Caller { unit: e.unit, failed, outputs: e.outputs.clone() }),
        }
    }

    /// The candidate's answer.
    pub fn shadow(&mut self, plan: &Plan, s: &ShadowAnswer) {
        let other = s.failed.is_some_and(blamed);
        match self.waiting.remove(&s.of) {
            Some(Half::Caller { unit, failed, outputs }) => {
                self.pair(plan, unit, [failed, other], [&outputs, &s.outputs]);
            }
            _ => self.wait(s.of, Half::Shadow { failed: other, outputs: s.outputs.clone() }),
        }
    }

    fn wait(&mut self, id: EventId, half: Half) {
        self.waiting.insert(id, half);
        self.order.push_back(id);
        while self.order.len() > WAITING {
            if let Some(old) = self.order.pop_front() {
                self.waiting.remove(&old);
            }
        }
    }

    fn pair(&mut self, plan: &Plan, unit: u64, failed: [bool; 2], outputs: [&Vec<(Arc<str>, f64)>; 2]) {
        // Who comes later is left out: that does not depend on the candidate.
        if self.units.len() >= UNITS && !self.units.contains_key(&unit) {
            return;
        }
        let paired = self.units.entry(unit).or_default();
        if failed[0] != failed[1] && !paired.discordant {
            paired.discordant = true;
            self.failed[usize::from(failed[1])] += 1;
        }
        let Some((name, _)) = plan.compare.as_ref().filter(|_| failed == [false, false]) else { return };
        let of = |side: usize| outputs[side].iter().filter(|(n, _)| **n == **name).map(|(_, v)| *v);
        let old = paired.differences;
        for (a, b) in of(0).zip(of(1)) {
            paired.differences.value += (a - b).abs();
            paired.differences.denominator += 1.0;
        }
        let new = paired.differences;
        if !new.value.is_finite() || new == old {
            paired.differences = old;
        } else if old.denominator == 0.0 {
            self.differences.add(&new);
        } else {
            self.differences.replace(&old, &new);
        }
    }

    /// Units with a pair.
    pub fn units(&self) -> u64 {
        self.units.len() as u64
    }

    /// Whether anything was paired.
    fn seen(&self) -> bool {
        !self.units.is_empty()
    }

    fn ratio(&self) -> RateRatio {
        // If both fail alike, each is as likely to be the one that failed alone, whatever the load.
        let mut ratio = RateRatio::default();
        let _ = ratio.observe(self.failed[0], self.failed[1], 0.5);
        ratio
    }

    /// Takes the evidence as it is now.
    pub fn look(&mut self, plan: &Plan) {
        self.harm_errors.observe(self.ratio().log_e(plan.shadow_margin, Side::Above));
        let Some((_, most)) = &plan.compare else { return };
        let Ok(effect) = self.differences.ratio_effect() else { return };
        if effect.units < BURN_IN / 2.0 {
            return;
        }
        let log_e = |alpha: f64, side: Side| {
            AsymptoticCs::one_sided(alpha, plan.expected_units).map_or(0.0, |t| t.log_e_one_sided(&effect, *most, side))
        };
        self.harm_difference.observe(log_e(plan.shadow_harm, Side::Above));
        self.holds_difference.observe(log_e(plan.alpha, Side::Below));
    }

    /// What is known.
    pub fn report(&self, plan: &Plan) -> Vec<MetricReport> {
        if !self.seen() {
            return Vec::new();
        }
        let ratio = self.ratio();
        let mut all = vec![MetricReport {
            name: "shadowErrors".to_owned(),
            variant: None,
            role: Role::Guardrail,
            finding: Finding::of_harm(&self.harm_errors, plan.shadow_harm),
            required: false,
            stable: None,
            candidate: None,
            effect: ratio.interval(plan.alpha).ok().map(Into::into),
            scale: Scale::Ratio,
            log_e: LogE { harm: Some(self.harm_errors.log_max()), ..LogE::default() },
            units: self.failed,
            cuped: None,
            tested: None,
            why: None,
        }];
        all.extend(plan.compare.as_ref().map(|(_, most)| self.difference(plan, *most)));
        all
    }

    fn difference(&self, plan: &Plan, most: f64) -> MetricReport {
        let effect = self.differences.ratio_effect();
        let same = self.differences.units() >= 2 && self.differences.means().value == 0.0;
        let finding = if self.harm_difference.rejects(plan.shadow_harm) {
            Finding::Worse
        } else if self.holds_difference.rejects(plan.alpha)
            || (same && self.differences.units() as f64 >= BURN_IN / 2.0)
        {
            Finding::NonInferior
        } else if self.differences.units() == 0 {
            Finding::NoData
        } else {
            Finding::Unclear
        };
        let range = effect.ok().and_then(|e| {
            let test = AsymptoticCs::two_sided(plan.alpha, plan.expected_units).ok()?;
            Some(test.interval(&e).into())
        });
        let why = match (&finding, effect) {
            (Finding::NoData, _) => Some("no pair of answers has numbers of this output".to_owned()),
            (Finding::Unclear, Err(why)) if !same => Some(why.to_string()),
            _ => None,
        };
        MetricReport {
            name: "shadowDiff".to_owned(),
            variant: None,
            role: Role::Guardrail,
            finding,
            required: true,
            stable: Some(most),
            candidate: effect.ok().map(|e| e.value).or(same.then_some(0.0)),
            effect: range,
            scale: Scale::Mean,
            log_e: LogE {
                harm: Some(self.harm_difference.log_max()),
                holds: Some(self.holds_difference.log_max()),
                better: None,
            },
            units: [self.differences.units(); 2],
            cuped: None,
            tested: None,
            why,
        }
    }
}
