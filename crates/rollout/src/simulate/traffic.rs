//! Simulated traffic: what a replica would have journaled.

use crate::event::{Event, Exposure, Label, ShadowAnswer};
use mainspring_core::{ErrorKind, EventId, IdGen, SeededIds, Timestamp};
use mainspring_traffic::{Choice, Row, unit_id};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// How one variant behaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Behaviour {
    /// The part of its answers that fail.
    pub error_rate: f64,
    /// The median of the time to answer, seconds.
    pub latency: f64,
    /// The standard deviation of the logarithm of that time.
    pub spread: f64,
    /// Mean and standard deviation of each label; one without a deviation is 1 with the probability of its mean.
    pub labels: HashMap<String, (f64, f64)>,
    /// Mean and standard deviation of each output.
    pub outputs: HashMap<String, (f64, f64)>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self { error_rate: 0.001, latency: 0.02, spread: 0.4, labels: HashMap::new(), outputs: HashMap::new() }
    }
}

/// The world that a rollout is simulated in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct World {
    /// Requests an hour.
    pub per_hour: f64,
    /// How many different units there are; each request is a new one when not set.
    pub population: Option<u64>,
    /// How much units differ from one another, in standard deviations of a value.
    pub habits: f64,
    /// How much everything gets better or worse over a day, as a part of it; the same for both variants.
    pub drift: f64,
    /// How long after an answer its labels come, microseconds.
    pub label_delay: i64,
    /// A part of the candidate's requests that never reach it nor are journaled: a biased assignment.
    pub lost: f64,
    /// The name of an input that shows a unit's habit, and a little beside it.
    pub shown: Option<String>,
    /// Stable, then the candidates.
    pub variants: Vec<Behaviour>,
    /// The same in each context, where a bandit chooses by it and they differ there; units fall to all contexts alike.
    pub contexts: Vec<Vec<Behaviour>>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            per_hour: 3600.0,
            population: None,
            habits: 0.0,
            drift: 0.0,
            label_delay: 0,
            lost: 0.0,
            shown: None,
            variants: vec![Behaviour::default(); 2],
            contexts: Vec::new(),
        }
    }
}

/// A variant in a context.
#[derive(Debug, Clone, Copy)]
struct Who {
    variant: usize,
    context: Option<u16>,
}

impl World {
    fn behaviour(&self, who: Who) -> Option<&Behaviour> {
        let here = who.context.and_then(|context| self.contexts.get(usize::from(context)));
        here.unwrap_or(&self.variants).get(who.variant)
    }
}

/// Makes the events of a [`World`], the same for each seed.
#[derive(Debug)]
pub struct Generator {
    world: World,
    ids: SeededIds,
    next: Timestamp,
    count: u64,
    /// What is still to come: labels.
    later: Vec<Event>,
    start: Timestamp,
}

impl Generator {
    /// Traffic from `start` on.
    pub fn new(world: World, seed: u64, start: Timestamp) -> Self {
        // Not a multiple of the step that the generator itself takes: all seeds would be one sequence, each begun one later, and
        // many simulated rollouts would be little more than one.
        let ids = SeededIds::new(seed.wrapping_mul(0xD1B5_4A32_D192_ED03));
        Self { world, ids, next: start, count: 0, later: Vec::new(), start }
    }

    /// Strictly between 0 and 1.
    fn uniform(&self) -> f64 {
        ((self.ids.random() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn normal(&self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Requests up to `until` under a row, and the labels that have come by then.
    pub fn until(&mut self, until: Timestamp, row: Option<&Row>) -> Vec<Event> {
        let mut events = Vec::new();
        let mean = 3.6e9 / self.world.per_hour.max(1e-9);
        while self.next <= until {
            let at = self.next;
            if let Some(row) = row {
                self.request(at, row, &mut events);
            }
            self.next = at.plus_micros((-self.uniform().ln() * mean).max(1.0) as i64);
        }
        let later = std::mem::take(&mut self.later);
        let (now, later) = later.into_iter().partition(|e| e.at() <= until);
        self.later = later;
        events.extend(now);
        events
    }

    fn request(&mut self, at: Timestamp, row: &Row, events: &mut Vec<Event>) {
        self.count += 1;
        let number = match self.world.population {
            Some(population) => self.ids.random() % population.max(1),
            None => self.count,
        };
        let unit = format!("user-{number}-{}", self.world.population.is_some());
        // A unit's context is its own, too; which variant it gets has nothing to do with it.
        let contexts = row.policy.as_ref().map(|policy| policy.contexts.count() as u64);
        let context = contexts.map(|n| (unit_id(unit.as_bytes()).rotate_left(17) % n.max(1)) as u16);
        let choice: Choice = row.choose(unit.as_bytes(), context);
        if choice.variant == 1 && self.uniform() < self.world.lost {
            return;
        }
        // A habit is the unit's own, whatever it is asked for and whichever variant it has.
        let habit = self.world.habits * normal_of(unit_id(unit.as_bytes()));
        let id = self.ids.event(at);
        let who = Who { variant: usize::from(choice.variant), context };
        let answer = self.answer(who, at, habit);
        let generation = row.generation();
        if choice.counts() {
            let variant: Arc<str> = row.route.variant(choice.variant).into();
            let (failed, latency_ns) = (answer.failed, answer.latency_ns);
            let outputs = answer.outputs.clone();
            let unit = unit_id(unit.as_bytes());
            // Another number of the unit, so that the input is no perfect copy.
            let shown = |name: &String| (Arc::from(name.as_str()), habit + 0.5 * self.world.habits * normal_of(!unit));
            let inputs = self.world.shown.iter().map(shown).collect();
            events.push(Event::Exposure(Exposure {
                at,
                id,
                unit,
                variant,
                generation,
                context,
                failed,
                latency_ns,
                outputs,
                inputs,
            }));
            self.labels(who, id, at, habit);
        }
        let Some(shadow) = row.shadow.as_ref().filter(|s| self.uniform() < s.share.fraction()) else { return };
        let other = self.answer(Who { variant: usize::from(shadow.variant), context }, at, habit);
        // Both see one request: an output differs by the variants' means, and a little noise.
        let behaviour = &self.world.variants;
        let moved = |name: &str| {
            let mean = |v: usize| behaviour.get(v).and_then(|b| b.outputs.get(name)).map_or(0.0, |o| o.0);
            mean(usize::from(shadow.variant)) - mean(0)
        };
        let outputs = answer.outputs.iter().map(|(name, v)| (Arc::clone(name), v + moved(name) + 1e-3 * self.normal()));
        let variant = row.route.variant(shadow.variant).into();
        let outputs = outputs.collect();
        let (id, of) = (self.ids.event(at), id);
        let (failed, latency_ns) = (other.failed, other.latency_ns);
        events.push(Event::Shadow(ShadowAnswer { at, id, of, variant, failed, latency_ns, outputs }));
    }

    fn answer(&self, who: Who, at: Timestamp, habit: f64) -> Answered {
        let Some(behaviour) = self.world.behaviour(who) else { return Answered::default() };
        let level = self.level(at);
        let failed = (self.uniform() < behaviour.error_rate * level).then_some(ErrorKind::Internal);
        let latency = behaviour.latency * level * (behaviour.spread * self.normal()).exp();
        let mut names: Vec<&String> = behaviour.outputs.keys().collect();
        names.sort_unstable();
        let value = |name: &String| {
            let (mean, deviation) = behaviour.outputs.get(name).copied().unwrap_or_default();
            (Arc::from(name.as_str()), level * mean + deviation * (habit + self.normal()))
        };
        let outputs = if failed.is_none() { names.into_iter().map(value).collect() } else { Vec::new() };
        Answered { failed, latency_ns: (latency * 1e9) as u64, outputs }
    }

    fn labels(&mut self, who: Who, about: EventId, at: Timestamp, habit: f64) {
        let Some(behaviour) = self.world.behaviour(who) else { return };
        let level = self.level(at);
        let mut names: Vec<(&String, &(f64, f64))> = behaviour.labels.iter().collect();
        names.sort_unstable_by_key(|(name, _)| *name);
        let labels = names.into_iter().map(|(name, (mean, deviation))| {
            let truth = *deviation == 0.0;
            let value = if truth {
                f64::from(u8::from(self.uniform() < mean * level))
            } else {
                mean * level + deviation * (habit + self.normal())
            };
            let at = at.plus_micros(self.world.label_delay.max(1));
            Event::Label(Label { at, about, row: 0, name: name.as_str().into(), value, truth })
        });
        let labels: Vec<Event> = labels.collect();
        self.later.extend(labels);
    }

    /// How things stand at this hour, for both variants alike.
    fn level(&self, at: Timestamp) -> f64 {
        let days = (at.micros() - self.start.micros()) as f64 / 86.4e9;
        1.0 + self.world.drift * (days + 0.5 * (std::f64::consts::TAU * days).sin())
    }
}

#[derive(Debug, Default)]
struct Answered {
    failed: Option<ErrorKind>,
    latency_ns: u64,
    outputs: Vec<(Arc<str>, f64)>,
}

/// A normal number that belongs to a unit.
fn normal_of(unit: u64) -> f64 {
    let ids = SeededIds::new(unit);
    let uniform = || ((ids.random() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()
}
