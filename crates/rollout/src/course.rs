//! The confidence sequences of a run as they stood from look to look, from the same journal.

use crate::event::Event;
use crate::ledger::{Limits, Range, Report, Scale};
use crate::pilot::Pilot;
use crate::replay::Record;
use mainspring_core::Timestamp;
use mainspring_stats::decision::Role;

/// A point is kept once the run is older by this part than at the last one. A confidence sequence narrows with the square
/// root of the evidence, so that about as much happens between two points early and late; of thirty days that is 300.
const APART: i64 = 24;

/// An effect at one look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The look: what came up to here is in it.
    pub at: Timestamp,
    /// The effect, at 1 − α at all looks at once.
    pub effect: Range,
    /// Units that it rests on ([`crate::ledger::MetricReport::units`]).
    pub units: [u64; 2],
}

/// What one metric said over time.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricCourse {
    /// Its name.
    pub name: String,
    /// The candidate, where there are several.
    pub variant: Option<String>,
    /// What it is for.
    pub role: Role,
    /// How its effect is to be read.
    pub scale: Scale,
    /// The oldest first; none from before there was an effect.
    pub points: Vec<Point>,
}

/// Folds the events of a run again, which may come in parts, and keeps what each metric said on the way.
#[derive(Debug)]
pub struct Course {
    pilot: Pilot,
    /// When the run took the deployment; nothing where it has not yet.
    begun: Option<Timestamp>,
    /// When it ended.
    ended: Option<Timestamp>,
    kept: Kept,
}

#[derive(Debug, Default)]
struct Kept {
    last: Option<Timestamp>,
    metrics: Vec<MetricCourse>,
}

impl Course {
    /// Nothing was folded yet.
    pub fn new(record: Record) -> Self {
        let Record { name, state, spec, earlier, .. } = record;
        let (begun, ended) = (state.strata.first().map(|s| s.start), state.phase.ended().then_some(state.since));
        // The weights are known from the beginning: no decision is made again.
        let mut pilot = Pilot::new(&name, spec, state, Limits::default());
        pilot.earlier(&earlier);
        Self { pilot, begun, ended, kept: Kept::default() }
    }

    /// Events, in any order, after which none before `until` is missing.
    pub fn push(&mut self, events: Vec<Event>, until: Timestamp) {
        let Self { pilot, begun, ended, kept } = self;
        let Some(begun) = *begun else { return };
        pilot.push(events);
        pilot.advance_seeing(ended.map_or(until, |end| until.min(end)), &mut |ledger| {
            let at = ledger.cut();
            let apart = (at.micros() - begun.micros()) / APART;
            if kept.last.is_none_or(|last| at.micros() - last.micros() >= apart) {
                kept.keep(&ledger.report());
            }
        });
    }

    /// What each metric said, as declared, up to the last look.
    pub fn finish(mut self) -> Vec<MetricCourse> {
        let report = self.pilot.report();
        if self.kept.last.is_some_and(|last| last < report.cut) {
            self.kept.keep(&report);
        }
        self.kept.metrics
    }
}

impl Kept {
    fn keep(&mut self, report: &Report) {
        self.last = Some(report.cut);
        for metric in &report.metrics {
            let Some(effect) = metric.effect else { continue };
            let point = Point { at: report.cut, effect, units: metric.units };
            let same = |known: &&mut MetricCourse| known.name == metric.name && known.variant == metric.variant;
            match self.metrics.iter_mut().find(same) {
                Some(known) => known.points.push(point),
                None => self.metrics.push(MetricCourse {
                    name: metric.name.clone(),
                    variant: metric.variant.clone(),
                    role: metric.role,
                    scale: metric.scale,
                    points: vec![point],
                }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{DecisionKind, Phase, State};
    use crate::replay::tests::recorded;

    fn course(seed: u64) -> (Record, Vec<Event>) {
        let (record, mut events) = recorded(seed);
        events.sort_by_key(Event::at);
        (record, events)
    }

    #[test]
    fn a_course_ends_where_the_decisions_did_and_narrows_on_the_way() {
        let (record, events) = course(1);
        let promoted = record.decisions.iter().find(|d| d.kind == DecisionKind::Promoted).unwrap().clone();
        let evidence = promoted.evidence.unwrap();
        let mut course = Course::new(record);
        course.push(events, evidence.cut);
        let metrics = course.finish();
        let names: Vec<&str> = metrics.iter().map(|m| m.name.as_str()).collect();
        assert!(names.contains(&"liked") && names.contains(&"errors"), "{names:?}");
        for metric in &metrics {
            let last = metric.points.last().unwrap();
            let decided = evidence.metric(&metric.name).unwrap();
            assert_eq!((last.at, Some(last.effect), last.units), (evidence.cut, decided.effect, decided.units));
            assert!(metric.points.is_sorted_by(|a, b| a.at < b.at), "{}", metric.name);
        }
        let liked = &metrics.iter().find(|m| m.name == "liked").unwrap().points;
        let width = |p: &Point| p.effect.high.unwrap() - p.effect.low.unwrap();
        let closed: Vec<&Point> = liked.iter().filter(|p| p.effect.low.is_some() && p.effect.high.is_some()).collect();
        assert!(closed.len() > 10 && width(closed[closed.len() - 1]) < width(closed[0]) / 2.0, "{}", closed.len());
    }

    #[test]
    fn parts_give_the_same_course_and_a_long_run_few_points() {
        let (record, events) = course(2);
        let (end, days) = (events.last().unwrap().at(), 30_i64);
        let mut whole = Course::new(record.clone());
        whole.push(events.clone(), end);
        let mut parts = Course::new(record.clone());
        for part in events.chunks(500) {
            // Events of one moment may be in two parts.
            parts.push(part.to_vec(), part.last().unwrap().at().plus_micros(-1));
        }
        parts.push(Vec::new(), end);
        assert_eq!(parts.finish(), whole.finish());
        let mut going = record;
        going.state.phase = Phase::Watching;
        let mut long = Course::new(going);
        long.push(events, end.plus_micros(days * 86_400_000_000));
        let most = long.finish().iter().map(|m| m.points.len()).max().unwrap();
        assert!((100..400).contains(&most), "{most}");
    }

    #[test]
    fn a_run_that_ended_or_never_began_has_no_more() {
        let (mut record, events) = course(1);
        record.state.phase = Phase::RolledBack;
        let half = events[events.len() / 2].at();
        record.state.since = half;
        let mut ended = Course::new(record.clone());
        ended.push(events.clone(), Timestamp(i64::MAX));
        assert!(ended.finish().iter().flat_map(|m| &m.points).all(|p| p.at <= half));
        record.state = State::new("run".into(), record.created_at, 0);
        let mut waiting = Course::new(record);
        waiting.push(events, Timestamp(i64::MAX));
        assert_eq!(waiting.finish(), []);
    }
}
