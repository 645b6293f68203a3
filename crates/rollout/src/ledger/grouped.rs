//! A group-sequential test of a mean: a known end, and a few looks on the way.

use super::report::{Looks, Reached};
use mainspring_stats::sequential::{Effect, GroupLook, GroupSequential, Interval, Sides, Spending};

/// What was planned before the first unit came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct GroupPlan {
    /// Units of stable and of the candidate at the last look, as [`Effect::units`] counts them.
    pub max_units: f64,
    /// Looks at most.
    pub looks: u32,
    pub spending: Spending,
}

/// A question: the z statistic that answers it, and the error rate at which it is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    pub z: f64,
    pub alpha: f64,
}

/// The looks at one candidate so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Grouped {
    looks: Vec<GroupLook>,
    /// Of how many planned looks the time has come.
    due: u32,
    /// Whether each question was answered at some look: harm, holds, better.
    pub crossed: [bool; 3],
    /// At the last look.
    reached: [Reached; 3],
    interval: Option<Interval>,
}

impl Grouped {
    /// Takes a look if its time has come, which goes by how many units there are and by nothing that they brought: looks that
    /// were chosen by what was seen would not keep the error rate. `interval_alpha` is that of the interval.
    pub fn look(&mut self, plan: &GroupPlan, effect: &Effect, questions: [Question; 3], interval_alpha: f64) {
        let fraction = (effect.units / plan.max_units).min(1.0);
        let due = (fraction * f64::from(plan.looks)).floor() as u32;
        // The score is the difference times its weight: its variance tells how alike two looks are, also where a unit's own
        // variance changes or units come back.
        let information = (effect.units * effect.standard_error).powi(2);
        let rises = self.looks.last().is_none_or(|last| information > last.information);
        if due <= self.due || !rises {
            return;
        }
        self.due = due;
        self.looks.push(GroupLook { fraction, information });
        for (at, question) in questions.into_iter().enumerate() {
            let Some(bound) = self.bound(plan, question.alpha, Sides::One) else { continue };
            self.crossed[at] |= question.z >= bound;
            self.reached[at] = Reached { z: question.z, bound: Some(bound).filter(|b| b.is_finite()) };
        }
        self.interval = self.bound(plan, interval_alpha, Sides::Two).map(|bound| {
            let half = bound * effect.standard_error;
            Interval { low: effect.value - half, estimate: effect.value, high: effect.value + half }
        });
    }

    /// The boundary of the last look.
    fn bound(&self, plan: &GroupPlan, alpha: f64, sides: Sides) -> Option<f64> {
        let design = GroupSequential::new(alpha, sides, plan.spending).ok()?;
        design.boundaries_at(&self.looks).ok()?.last().copied()
    }

    /// Holds the effect at all looks at once, as of the last look (the repeated confidence interval of Jennison and Turnbull,
    /// JRSS B 1989); nothing before the first.
    pub fn interval(&self) -> Option<Interval> {
        self.interval
    }

    /// Whether the last look is over.
    pub fn over(&self, plan: &GroupPlan) -> bool {
        self.due >= plan.looks
    }

    /// For a report.
    pub fn report(&self, plan: &GroupPlan) -> Looks {
        let [harm, holds, better] = self.reached;
        Looks {
            taken: self.looks.len() as u32,
            due: self.due,
            of: plan.looks,
            units: self.looks.last().map_or(0.0, |last| last.fraction * plan.max_units) as u64,
            max_units: plan.max_units as u64,
            harm,
            holds,
            better,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: GroupPlan = GroupPlan { max_units: 1000.0, looks: 4, spending: Spending::Pocock };

    fn effect(units: f64, z: f64) -> Effect {
        let standard_error = 2.0 / units.sqrt();
        Effect { value: z * standard_error, standard_error, units }
    }

    fn look(grouped: &mut Grouped, units: f64, z: f64) {
        let question = Question { z, alpha: 0.05 };
        grouped.look(&PLAN, &effect(units, z), [question; 3], 0.05);
    }

    #[test]
    fn a_look_comes_when_its_units_do_and_only_then() {
        let mut grouped = Grouped::default();
        look(&mut grouped, 249.0, 9.0);
        assert!(
            grouped.crossed == [false; 3] && grouped.interval().is_none(),
            "before the first look nothing is found"
        );
        look(&mut grouped, 251.0, 0.0);
        look(&mut grouped, 499.0, 9.0);
        assert_eq!(grouped.crossed, [false; 3], "nor between two");
        // Two of them at once are one.
        look(&mut grouped, 760.0, 1.0);
        let said = grouped.report(&PLAN);
        assert_eq!((said.taken, said.due, said.of, said.units, said.max_units), (2, 3, 4, 760, 1000));
        assert!(!grouped.over(&PLAN));
        look(&mut grouped, 1300.0, 5.0);
        assert!(grouped.over(&PLAN) && grouped.crossed == [true; 3]);
        // What comes after the end is not looked at.
        let before = grouped.report(&PLAN);
        look(&mut grouped, 2000.0, -5.0);
        assert_eq!((grouped.report(&PLAN), grouped.crossed), (before, [true; 3]));
    }

    #[test]
    fn the_last_boundary_of_even_looks_is_the_designs() {
        let mut grouped = Grouped::default();
        let design = GroupSequential::new(0.05, Sides::One, Spending::Pocock).unwrap();
        let bounds = design.boundaries(&[0.25, 0.5, 0.75, 1.0]).unwrap();
        for (units, bound) in [250.0, 500.0, 750.0, 1000.0].into_iter().zip(bounds) {
            look(&mut grouped, units, 0.5);
            let found = grouped.report(&PLAN).harm.bound.unwrap();
            assert!((found - bound).abs() < 1e-6, "{found} and {bound} at {units}");
        }
    }
}
