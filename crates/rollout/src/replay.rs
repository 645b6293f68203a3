//! The same decisions from the same journal, offline.

use crate::event::Event;
use crate::ledger::Limits;
use crate::machine::{Decision, DecisionKind, Phase, State, Who};
use crate::pilot::Pilot;
use crate::ports::Earlier;
use crate::spec::RolloutSpec;
use mainspring_core::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// A recorded decision that the replay does not come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// What was decided.
    pub recorded: Decision,
    /// What the same machine decides from the events as they are now; nothing when it would not decide.
    pub replayed: Option<Decision>,
    /// What differs, in words.
    pub what: String,
}

/// What a replay found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Replayed {
    /// Decisions that came out the same, with the same numbers.
    pub same: u64,
    /// Decisions of the same kind whose numbers differ: events came to the journal after they were made.
    pub numbers: Vec<Difference>,
    /// The first decision that comes out otherwise. Nothing after it can be replayed, since the weights would be others.
    pub diverged: Option<Difference>,
}

impl Replayed {
    /// Whether every decision came out the same, number by number.
    pub fn exact(&self) -> bool {
        self.numbers.is_empty() && self.diverged.is_none()
    }
}

/// One recorded run.
#[derive(Debug, Clone)]
pub struct Record {
    /// The rollout's name.
    pub name: String,
    /// How it stands; a replay takes nothing from it but the run's id.
    pub state: State,
    /// When it was declared.
    pub created_at: Timestamp,
    /// What was declared.
    pub spec: Arc<RolloutSpec>,
    /// All of its decisions, the oldest first.
    pub decisions: Vec<Decision>,
    /// What units did before it, where a metric asks ([`crate::Before`]).
    pub earlier: Vec<Earlier>,
}

/// Folds the events of a run again and asks the machine at each recorded decision. People's orders and the facts that
/// were seen are taken from the record.
pub fn replay(record: Record, events: Vec<Event>) -> Replayed {
    let mut replay = Replay::new(record);
    replay.push(events, Timestamp(i64::MIN));
    replay.finish()
}

/// A replay whose events come in parts, so that those of a long run need not be in memory together.
#[derive(Debug)]
pub struct Replay {
    record: Record,
    pilot: Pilot,
    /// Decisions that were replayed.
    done: usize,
    found: Replayed,
}

impl Replay {
    /// Nothing was replayed yet.
    pub fn new(record: Record) -> Self {
        let state = State::new(record.state.run.clone(), record.created_at, 0);
        let mut pilot = Pilot::new(&record.name, Arc::clone(&record.spec), state, Limits::default());
        pilot.earlier(&record.earlier);
        Self { record, pilot, done: 0, found: Replayed { same: 0, numbers: Vec::new(), diverged: None } }
    }

    /// Events, in any order, after which none before `until` is missing. What they decide is compared.
    pub fn push(&mut self, events: Vec<Event>, until: Timestamp) {
        if self.found.diverged.is_some() {
            return;
        }
        self.pilot.push(events);
        while let Some(recorded) = self.record.decisions.get(self.done).cloned() {
            let cut = recorded.evidence.as_ref().map(|evidence| evidence.cut);
            if let Some(cut) = cut
                && cut > until
            {
                self.pilot.advance(until);
                return;
            }
            self.decide(&recorded);
            self.done += 1;
            if self.found.diverged.is_some() {
                return;
            }
        }
    }

    /// All events came.
    pub fn finish(mut self) -> Replayed {
        self.push(Vec::new(), Timestamp(i64::MAX));
        self.found
    }

    fn decide(&mut self, recorded: &Decision) {
        let (pilot, found) = (&mut self.pilot, &mut self.found);
        if pilot.state().phase == Phase::Pending {
            // Until it begins, the deployment's row is another's.
            let generation = recorded.generation.saturating_sub(u64::from(recorded.kind == DecisionKind::Started));
            pilot.adopt(State { generation, ..pilot.state().clone() });
        }
        if let Some(evidence) = &recorded.evidence {
            pilot.advance(evidence.cut);
        }
        let done = match (recorded.order, &recorded.facts) {
            (Some(order), _) => {
                let Decision { by, groups, reason, .. } = recorded;
                let who = Who { by: by.clone(), groups: groups.clone(), reason: reason.clone() };
                let done = pilot.machine().order(pilot.state(), order, &who, recorded.at);
                done.map(Some).map_err(|e| e.to_string())
            }
            (None, Some(facts)) => pilot.ask(recorded.at, facts).map_err(|e| e.to_string()),
            (None, None) => Err("the record has neither an order nor facts".to_owned()),
        };
        let (replayed, what) = match done {
            Ok(Some(done)) => {
                pilot.adopt(done.state);
                let what = differs(recorded, &done.decision);
                (Some(done.decision), what)
            }
            Ok(None) => (None, Some((true, "the replay decides nothing here".to_owned()))),
            Err(why) => (None, Some((true, why))),
        };
        match what {
            None => found.same += 1,
            Some((true, what)) => found.diverged = Some(Difference { recorded: recorded.clone(), replayed, what }),
            Some((false, what)) => {
                found.numbers.push(Difference { recorded: recorded.clone(), replayed, what });
            }
        }
    }
}

/// Whether the course differs, or only the numbers, and in words.
fn differs(recorded: &Decision, replayed: &Decision) -> Option<(bool, String)> {
    let course = |d: &Decision| (d.kind, d.phase, d.step, d.generation, d.weight.to_bits());
    if course(recorded) != course(replayed) {
        return Some((true, format!("{:?} became {:?}: {}", recorded.kind, replayed.kind, replayed.sentence)));
    }
    if recorded == replayed {
        return None;
    }
    let value = |d: &Decision| serde_json::to_value(d).unwrap_or_default();
    let place = first_difference(&value(recorded), &value(replayed), "decision");
    place.map(|place| (false, place))
}

/// The first place where two values differ, with both.
fn first_difference(a: &Value, b: &Value, path: &str) -> Option<String> {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys().filter(|k| !a.contains_key(*k)));
            let of = |map: &serde_json::Map<String, Value>, key: &str| map.get(key).cloned().unwrap_or_default();
            keys.into_iter().find_map(|key| first_difference(&of(a, key), &of(b, key), &format!("{path}.{key}")))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(i, (a, b))| first_difference(a, b, &format!("{path}[{i}]")))
        }
        (a, b) if a == b => None,
        (a, b) => Some(format!("{path} was {a} and is {b}")),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::simulate::{Behaviour, World, drive};

    pub(crate) fn recorded(seed: u64) -> (Record, Vec<Event>) {
        recorded_with(seed, "")
    }

    /// `test` is what the file says of how the success metric is tested.
    fn recorded_with(seed: u64, test: &str) -> (Record, Vec<Event>) {
        let yaml = "{deployment: d, candidates: [{name: b, model: 'models:/m/2'}], warmupExclude: 10s,
            steps: [{canary: {weight: 10, minDuration: 5m}}, {abTest: {weight: 50, maxDuration: 2h}}],
            metrics: {guardrails: [{name: errors, kind: errors, nonInferiority: 0.02}],
                      success: [{name: liked, kind: mean, source: 'label:liked'}]}}"
            .replace("'label:liked'", &format!("'label:liked'{test}"));
        let spec = crate::spec::tests::parse(&yaml).unwrap();
        spec.validate().unwrap();
        let spec = Arc::new(spec);
        let mut variants = vec![Behaviour::default(); 2];
        variants[0].labels.insert("liked".into(), (0.3, 0.0));
        variants[1].labels.insert("liked".into(), (0.5, 0.0));
        let world = World { per_hour: 6_000.0, variants, label_delay: 5_000_000, ..World::default() };
        let mut events = Vec::new();
        let course = drive(&spec, &world, seed, 3.0, &mut |e| events.push(e.clone())).unwrap();
        assert!(course.promoted(), "{:?}", course.decisions.last());
        let created_at = Timestamp(1_767_225_600_000_000);
        let decisions = course.decisions;
        (
            Record { name: "simulated".into(), state: course.state, created_at, spec, decisions, earlier: Vec::new() },
            events,
        )
    }

    #[test]
    fn the_journal_gives_the_same_decisions_to_the_last_digit() {
        let (mut record, mut events) = recorded(1);
        // As they come from files: in another order, and the log from its text.
        events.reverse();
        let text = serde_json::to_string(&record.decisions).unwrap();
        record.decisions = serde_json::from_str(&text).unwrap();
        let found = replay(record.clone(), events);
        assert!(found.exact(), "{:?}", found.diverged.or(found.numbers.first().cloned()).map(|d| d.what));
        assert_eq!(found.same, record.decisions.len() as u64);
    }

    #[test]
    fn each_test_that_a_file_chooses_decides_the_same_again() {
        for test in [
            ", test: msprt, tau: 0.1, alpha: 0.02",
            ", test: groupSequential, maxUnits: 2000, looks: 4, spending: pocock",
        ] {
            let (mut record, mut events) = recorded_with(3, test);
            events.reverse();
            let text = serde_json::to_string(&record.decisions).unwrap();
            record.decisions = serde_json::from_str(&text).unwrap();
            let promoted = record.decisions.iter().find(|d| d.kind == DecisionKind::Promoted).unwrap();
            let tested = promoted.evidence.as_ref().unwrap().metric("liked").unwrap().tested.clone().unwrap();
            match tested.looks {
                Some(looks) => {
                    assert!(looks.better.z >= looks.better.bound.unwrap() && looks.due < 4, "{looks:?}");
                    assert!(
                        promoted.sentence.contains(&format!("at look {} of 4", looks.due)),
                        "{}",
                        promoted.sentence
                    );
                }
                None => assert_eq!((tested.test.as_str(), tested.alpha), ("msprt", Some(0.02))),
            }
            let found = replay(record.clone(), events);
            assert!(found.exact(), "{:?}", found.diverged.or(found.numbers.first().cloned()).map(|d| d.what));
        }
    }

    #[test]
    fn an_order_is_told_with_its_reason_and_replayed_with_it() {
        let (record, _) = recorded(1);
        let state = State::new(record.state.run.clone(), record.created_at, 0);
        let machine = crate::machine::Machine { name: "simulated", spec: &record.spec };
        let who = Who { reason: Some("in.age has drifted".into()), ..Who::new("Monitor/ages") };
        let done = machine.order(&state, crate::Order::Abort, &who, record.created_at.plus_micros(5)).unwrap();
        assert!(
            done.decision.sentence.ends_with("Monitor/ages aborted it; the reason given: in.age has drifted"),
            "{}",
            done.decision.sentence
        );
        let text = serde_json::to_string(&[done.decision]).unwrap();
        let record = Record { decisions: serde_json::from_str(&text).unwrap(), ..record };
        let found = replay(record, Vec::new());
        assert!(found.exact(), "{:?}", found.diverged.or(found.numbers.first().cloned()).map(|d| d.what));
    }

    #[test]
    fn parts_give_what_the_whole_gives() {
        let (record, mut events) = recorded(1);
        events.sort_by_key(Event::at);
        let mut replay = Replay::new(record.clone());
        let mut most = 0;
        for part in events.chunks(700) {
            // Events of one moment may be in two parts.
            let until = part.last().unwrap().at().plus_micros(-1);
            replay.push(part.to_vec(), until);
            most = most.max(replay.pilot.waits());
        }
        let found = replay.finish();
        assert!(found.exact(), "{:?}", found.diverged.or(found.numbers.first().cloned()).map(|d| d.what));
        assert_eq!(found.same, record.decisions.len() as u64);
        // What comes between two looks waits for the second.
        assert!(most < events.len() / 4, "{most} of {} events waited", events.len());
    }

    #[test]
    fn another_journal_or_log_is_noticed() {
        let (record, events) = recorded(2);
        let fewer: Vec<Event> =
            events.iter().enumerate().filter(|(i, _)| i % 50 != 0).map(|(_, e)| e.clone()).collect();
        let found = replay(record.clone(), fewer);
        assert!(!found.exact() && found.same < record.decisions.len() as u64);
        let none = replay(record.clone(), Vec::new());
        assert!(none.diverged.is_some(), "nothing was seen, so nothing would have been promoted");
        let mut forged = record.clone();
        forged.decisions.remove(1);
        assert!(replay(forged, events).diverged.is_some());
    }
}
