//! What one personalizer believes, and what it waits for: pure, without a clock.

use crate::features::{self, FeatureError};
use crate::spec::{PersonalizerSpec, Repeated};
use mainspring_core::{EventId, Timestamp};
use mainspring_stats::contextual::{ContextualError, Feature, InverseGap, RewardModel, pick};
use serde_json::Value;
use std::collections::{HashMap, VecDeque};

/// An action to choose from.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Its name, unique in the request.
    pub id: String,
    /// What is known about it.
    pub features: Value,
}

/// Events that may wait for their rewards; the oldest then count as unrewarded.
const WAITING: usize = 200_000;

/// An action that was chosen.
#[derive(Debug)]
struct Waiting {
    features: Vec<Feature>,
    /// When the default reward counts; `None` until it is activated.
    due: Option<Timestamp>,
    /// What was sent so far.
    reward: Option<f64>,
}

/// What was chosen.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chosen {
    /// The place of the action among the candidates.
    pub action: usize,
    /// The probability of each.
    pub probabilities: Vec<f64>,
}

/// What one personalizer believes and waits for.
#[derive(Debug)]
pub(crate) struct Learner {
    model: RewardModel,
    policy: InverseGap,
    reward: crate::spec::RewardSpec,
    waiting: HashMap<EventId, Waiting>,
    order: VecDeque<EventId>,
    /// Rewards that came in time, and those that did not come.
    pub rewarded: u64,
    pub unrewarded: u64,
}

impl Learner {
    pub fn new(spec: &PersonalizerSpec, model: Option<RewardModel>) -> Result<Self, ContextualError> {
        let model = match model {
            Some(model) => model,
            None => RewardModel::new(spec.model.bits)?,
        };
        Ok(Self {
            model,
            policy: spec.exploration.policy(),
            reward: spec.reward.clone(),
            waiting: HashMap::new(),
            order: VecDeque::new(),
            rewarded: 0,
            unrewarded: 0,
        })
    }

    /// Takes other settings; what was learnt stays.
    pub fn change(&mut self, spec: &PersonalizerSpec) {
        (self.policy, self.reward) = (spec.exploration.policy(), spec.reward.clone());
    }

    pub fn model(&self) -> &RewardModel {
        &self.model
    }

    /// Chooses by a number from 0 to below 1.
    pub fn choose(&self, context: &[Feature], actions: &[Vec<Feature>], draw: f64) -> Result<Chosen, ContextualError> {
        let estimates: Vec<f64> = actions.iter().map(|a| self.model.estimate(&features::crossed(context, a))).collect();
        let probabilities = self.policy.probabilities(&estimates, self.model.learnt())?;
        Ok(Chosen { action: pick(&probabilities, draw), probabilities })
    }

    /// Waits for what an action brings.
    pub fn wait(&mut self, id: EventId, features: Vec<Feature>, due: Option<Timestamp>) {
        self.waiting.insert(id, Waiting { features, due, reward: None });
        self.order.push_back(id);
        while self.waiting.len() > WAITING {
            let Some(oldest) = self.order.pop_front() else { break };
            self.settle(oldest);
        }
    }

    /// A choice that was held back is shown now.
    pub fn activate(&mut self, id: EventId, due: Timestamp) -> bool {
        let Some(waiting) = self.waiting.get_mut(&id) else { return false };
        waiting.due.get_or_insert(due);
        true
    }

    /// What an action brought. Returns whether it was waited for.
    pub fn reward(&mut self, id: EventId, value: f64) -> bool {
        let repeated = self.reward.repeated;
        let Some(waiting) = self.waiting.get_mut(&id) else { return false };
        waiting.reward = Some(match (waiting.reward, repeated) {
            (Some(first), Repeated::Earliest) => first,
            (Some(sum), Repeated::Sum) => sum + value,
            (None, _) => value,
        });
        // With the earliest there is nothing more to wait for.
        if repeated == Repeated::Earliest {
            self.settle(id);
        }
        true
    }

    /// Learns from what has waited long enough. Returns how much that was.
    pub fn tick(&mut self, now: Timestamp) -> usize {
        let due: Vec<EventId> =
            self.waiting.iter().filter(|(_, w)| w.due.is_some_and(|due| due <= now)).map(|(id, _)| *id).collect();
        for id in &due {
            self.settle(*id);
        }
        // What was settled before its turn leaves its place here.
        while self.order.front().is_some_and(|id| !self.waiting.contains_key(id)) {
            self.order.pop_front();
        }
        due.len()
    }

    fn settle(&mut self, id: EventId) {
        let Some(waiting) = self.waiting.remove(&id) else { return };
        if waiting.due.is_none() && waiting.reward.is_none() {
            // Never shown: it says nothing about the action.
            return;
        }
        *(if waiting.reward.is_some() { &mut self.rewarded } else { &mut self.unrewarded }) += 1;
        let reward = waiting.reward.unwrap_or(self.reward.default);
        // Each counts once, however unlikely it was: that is the regression which inverse gap weighting asks for.
        if let Err(error) = self.model.learn(&waiting.features, reward, 1.0) {
            tracing::warn!(%id, %error, "nothing is learnt from this reward");
        }
    }

    pub fn waits(&self, id: EventId) -> bool {
        self.waiting.contains_key(&id)
    }

    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

/// A request's features.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    pub context: Vec<Feature>,
    pub actions: Vec<Vec<Feature>>,
}

pub(crate) fn read(context: &Value, actions: &[&Candidate]) -> Result<Read, FeatureError> {
    let actions: Result<_, _> = actions.iter().map(|a| features::of_action(&a.id, &a.features)).collect();
    Ok(Read { context: features::features("context", context)?, actions: actions? })
}
