//! Simulated traffic: what a replica would have journaled.

use crate::event::{Event, Exposure, Label, ShadowAnswer};
use mainspring_core::{ErrorKind, EventId, IdGen, SeededIds, Timestamp};
use mainspring_traffic::{Choice, Row, unit_id};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// By how much an output in the shadow differs from the caller's where both variants have the same mean, in standard
/// deviations of the output.
pub const SHADOW_NOISE: f64 = 1e-3;

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

/// Which answers get a label, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Labelling {
    /// The part of the answers that get it, 0 to 1; chance decides which.
    pub coverage: f64,
    /// How long after an answer it comes, microseconds: one of these, each as likely as any other; at once without any.
    pub delays: Vec<i64>,
}

impl Default for Labelling {
    /// Every answer, at once.
    fn default() -> Self {
        Self { coverage: 1.0, delays: Vec::new() }
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
    /// How long after an answer its labels come, microseconds, where `labelling` does not say.
    pub label_delay: i64,
    /// Which answers get each label, and when; every answer gets those that are not named.
    pub labelling: HashMap<String, Labelling>,
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
            labelling: HashMap::new(),
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
    /// Labels that are still to come, by when they do and in the order in which they were drawn.
    later: BTreeMap<(Timestamp, u64), Event>,
    drawn: u64,
    start: Timestamp,
}

impl Generator {
    /// Traffic from `start` on.
    pub fn new(world: World, seed: u64, start: Timestamp) -> Self {
        // Not a multiple of the step that the generator itself takes: all seeds would be one sequence, each begun one later, and
        // many simulated rollouts would be little more than one.
        let ids = SeededIds::new(seed.wrapping_mul(0xD1B5_4A32_D192_ED03));
        Self { world, ids, next: start, count: 0, later: BTreeMap::new(), drawn: 0, start }
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
        // Labels may take weeks, and there are then too many of them to be looked through each time.
        let later = self.later.split_off(&(until.plus_micros(1), 0));
        events.extend(std::mem::replace(&mut self.later, later).into_values());
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
            let output = |v: usize| behaviour.get(v).and_then(|b| b.outputs.get(name)).copied().unwrap_or_default();
            let ((mean, deviation), (stable, _)) = (output(usize::from(shadow.variant)), output(0));
            // What never varies has no scale of its own.
            mean - stable + SHADOW_NOISE * if deviation > 0.0 { deviation } else { 1.0 } * self.normal()
        };
        let outputs = answer.outputs.iter().map(|(name, v)| (Arc::clone(name), v + moved(name)));
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
        let labels = names.into_iter().filter_map(|(name, (mean, deviation))| {
            let delay = self.delay(name)?;
            let truth = *deviation == 0.0;
            let value = if truth {
                f64::from(u8::from(self.uniform() < mean * level))
            } else {
                mean * level + deviation * (habit + self.normal())
            };
            let at = at.plus_micros(delay.max(1));
            Some(Event::Label(Label { at, about, row: 0, name: name.as_str().into(), value, truth }))
        });
        let labels: Vec<Event> = labels.collect();
        for label in labels {
            self.drawn += 1;
            self.later.insert((label.at(), self.drawn), label);
        }
    }

    /// How long after an answer its label of this name comes, microseconds; `None` where it never does.
    fn delay(&self, name: &str) -> Option<i64> {
        let Some(labelling) = self.world.labelling.get(name) else { return Some(self.world.label_delay) };
        if self.uniform() >= labelling.coverage {
            return None;
        }
        let which = (self.uniform() * labelling.delays.len() as f64) as usize;
        Some(labelling.delays.get(which).copied().unwrap_or_default())
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
