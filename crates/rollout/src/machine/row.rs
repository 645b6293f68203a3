//! Routing rows.

use super::{Machine, State};
use crate::ledger::Stratum;
use crate::spec::{STABLE, StepKind, StepSpec, check};
use mainspring_core::Timestamp;
use mainspring_traffic::{
    self as traffic, BUCKETS, HardLimits, Holdout, Layer, LayerPlace, Route, RouteError, RouteSpec, Row, RowError,
    RowVariant, Shadow, Share, Split, SplitError, UnitError, Variant,
};

/// A spec that was checked makes no routing row: a bug, said instead of a panic.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RowFailed {
    /// The route.
    #[error("the weights make no route: {0}")]
    Route(#[from] RouteError),
    /// The layer.
    #[error("the places make no layer: {0}")]
    Layer(#[from] SplitError),
    /// The contexts.
    #[error("the features make no contexts: {0}")]
    Policy(#[from] traffic::PolicyError),
    /// The row.
    #[error("the row contradicts itself: {0}")]
    Row(#[from] RowError),
    /// The unit.
    #[error("the unit is none: {0}")]
    Unit(#[from] UnitError),
    /// The state has no models or no row where it needs them.
    #[error("the rollout has no {0} yet")]
    Missing(&'static str),
}

/// The weights of the variants, and who answers in the shadow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Traffic<'a> {
    /// Everything to stable.
    Stable,
    /// Everything to one candidate, from 1.
    Candidate(u16),
    /// As a step says.
    Step(&'a StepSpec),
    /// As given, stable first; the shadow stays as it is, and what has no weight any more loses it in every context.
    Weights(&'a [Share]),
    /// As given for each context.
    Policy(Policy<'a>),
}

/// Weights that depend on what a request carries, stable first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Policy<'a> {
    /// Of the traffic as a whole.
    pub whole: &'a [Share],
    /// Of each context.
    pub contexts: &'a [Vec<Share>],
}

impl Traffic<'_> {
    /// The weights of all variants, stable first, adding up to everything.
    fn weights(self, machine: &Machine<'_>, state: &State) -> Vec<Share> {
        let mut weights = vec![Share::NONE; machine.spec.candidates.len() + 1];
        match self {
            Self::Weights(given) => return given.to_vec(),
            Self::Policy(policy) => return policy.whole.to_vec(),
            Self::Stable => {}
            Self::Candidate(at) => {
                if let Some(weight) = weights.get_mut(usize::from(at)) {
                    *weight = Share::ALL;
                }
            }
            Self::Step(step) => match step.kind() {
                Some(StepKind::Canary(canary)) => among(&mut weights, canary.weight),
                Some(StepKind::AbTest(test)) => among(&mut weights, test.weight),
                Some(StepKind::Bandit(_) | StepKind::ContextualBandit(_)) => {
                    // Each variant as much as any other, also stable.
                    let arms = machine.live(state).len() + 1;
                    let part = Share::from_ppm(BUCKETS / arms as u32).unwrap_or_default();
                    weights[1..].fill(part);
                }
                Some(StepKind::Shadow(_)) | None => {}
            },
        }
        for at in &state.dropped {
            if let Some(weight) = weights.get_mut(usize::from(*at)) {
                *weight = Share::NONE;
            }
        }
        weights[0] = Share::rest(&weights[1..]).unwrap_or_default();
        weights
    }

    /// The policy of a contextual bandit, if this is one; `weights` are those of the traffic as a whole.
    fn policy(self, now: Option<&Row>, weights: &[Share]) -> Result<Option<traffic::Policy>, RowFailed> {
        let known = now.and_then(|row| row.policy.as_ref());
        let (contexts, splits): (_, Result<Vec<Split>, SplitError>) = match self {
            Self::Stable | Self::Candidate(_) => return Ok(None),
            Self::Step(step) => {
                let Some(StepKind::ContextualBandit(bandit)) = step.kind() else { return Ok(None) };
                let contexts = bandit.contexts()?;
                let splits = (0..contexts.count()).map(|_| Split::new(weights)).collect();
                (contexts, splits)
            }
            Self::Weights(_) => {
                let Some(known) = known else { return Ok(None) };
                let left = |split: &Split| {
                    let mut left = split.weights();
                    left.iter_mut()
                        .zip(weights)
                        .filter(|(_, w)| **w == Share::NONE)
                        .for_each(|(l, _)| *l = Share::NONE);
                    left[0] = Share::rest(&left[1..]).unwrap_or_default();
                    split.reweighted(&left)
                };
                (known.contexts.clone(), known.splits.iter().map(left).collect())
            }
            Self::Policy(policy) => {
                let known = known.ok_or(RowFailed::Missing("policy"))?;
                let next = known.splits.iter().zip(policy.contexts).map(|(split, weights)| split.reweighted(weights));
                (known.contexts.clone(), next.collect())
            }
        };
        Ok(Some(traffic::Policy { contexts, splits: splits? }))
    }

    fn shadow(self, now: Option<&Row>) -> Option<Shadow> {
        let step = match self {
            Self::Stable | Self::Candidate(_) => return None,
            Self::Weights(_) | Self::Policy(_) => return now?.shadow.clone(),
            Self::Step(step) => step,
        };
        let shadow = step.shadow.as_ref()?;
        Some(Shadow { variant: 1, share: check::percent(shadow.percent)?, max_in_flight: shadow.max_in_flight })
    }
}

/// Each candidate gets an even part of so many percent, those that were taken out too: what they leave is stable's.
fn among(weights: &mut [Share], percent: f64) {
    let all = check::percent(percent).unwrap_or_default().ppm();
    let candidates = weights.len().saturating_sub(1).max(1) as u32;
    let part = Share::from_ppm(all / candidates).unwrap_or_default();
    weights[1..].fill(part);
}

/// Gives the state its next row; a stratum begins with it.
pub(super) fn put(
    machine: &Machine<'_>,
    state: &mut State,
    traffic: Traffic<'_>,
    now: Timestamp,
) -> Result<(), RowFailed> {
    let weights = traffic.weights(machine, state);
    let shadow = traffic.shadow(state.row.as_ref());
    let policy = traffic.policy(state.row.as_ref(), &weights)?;
    let row = match &state.row {
        Some(row) => Row { route: row.route.reweighted(&weights)?, policy, shadow, ..row.clone() },
        None => Row { policy, ..first(machine, state, &weights, shadow)? },
    };
    row.check()?;
    state.generation = row.generation();
    state.strata.push(Stratum {
        generation: row.generation(),
        step: state.step,
        start: now,
        weights: weights.iter().map(|w| w.fraction()).collect(),
        contexts: row.policy.iter().flat_map(|p| &p.splits).map(Split::weights).collect(),
        shadow: row.shadow.is_some(),
    });
    state.row = Some(row);
    Ok(())
}

fn first(machine: &Machine<'_>, state: &State, weights: &[Share], shadow: Option<Shadow>) -> Result<Row, RowFailed> {
    let spec = machine.spec;
    let pins = state.pins.as_ref().filter(|p| p.candidates.len() == spec.candidates.len());
    let pins = pins.ok_or(RowFailed::Missing("models"))?;
    let names: Vec<&str> = std::iter::once(STABLE).chain(machine.names()).collect();
    let variants =
        names.iter().zip(weights).map(|(name, weight)| Variant { name: (*name).to_owned(), weight: *weight });
    let assignment = &spec.assignment;
    let holdout = assignment
        .holdout
        .as_ref()
        .map(|h| Holdout { salt: h.name.clone(), share: check::percent(h.percent).unwrap_or_default() });
    let layer = assignment.layer.as_ref().map(|layer| {
        let places: Vec<Share> = layer.places.iter().map(|p| check::percent(*p).unwrap_or_default()).collect();
        let rest = Share::rest(&places).unwrap_or_default();
        let split = Split::new(&std::iter::once(rest).chain(places).collect::<Vec<_>>())?;
        Ok::<_, SplitError>(LayerPlace { layer: Layer { salt: layer.name.clone(), split }, place: layer.place })
    });
    let route = Route::new(RouteSpec {
        salt: assignment.salt.clone().unwrap_or_else(|| state.run.clone()),
        variants: variants.collect(),
        holdout,
        layer: layer.transpose()?,
    })?;
    let limits = spec.hard_limits.as_ref().map(|l| HardLimits {
        error_rate: l.error_rate.and_then(|r| Share::from_fraction(r).ok()),
        p99: l.p99.map(|p| p.0),
        window: l.window.0,
        min_requests: l.min_requests,
    });
    let models = std::iter::once(&pins.stable).chain(&pins.candidates);
    let named = names.into_iter().zip(models);
    Ok(Row {
        rollout: machine.name.to_owned(),
        unit: assignment.unit.parse()?,
        variants: named.map(|(name, model)| RowVariant { name: name.to_owned(), model: model.clone() }).collect(),
        route: route.after(state.generation),
        policy: None,
        shadow,
        limits,
    })
}
