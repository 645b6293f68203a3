//! Routing rows.

use super::{Machine, State};
use crate::ledger::Stratum;
use crate::spec::{STABLE, StepKind, StepSpec, check};
use mainspring_core::Timestamp;
use mainspring_traffic::{
    HardLimits, Holdout, Layer, LayerPlace, Route, RouteError, RouteSpec, Row, RowError, RowVariant, Shadow, Share,
    Split, SplitError, UnitError, Variant,
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

/// The candidate's weight, and its part in the shadow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Traffic<'a> {
    /// Everything to stable.
    Stable,
    /// Everything to the candidate.
    Candidate,
    /// As a step says.
    Step(&'a StepSpec),
}

impl Traffic<'_> {
    fn weight(self) -> Share {
        let percent = |p: f64| check::percent(p).unwrap_or_default();
        match self {
            Self::Stable => Share::NONE,
            Self::Candidate => Share::ALL,
            Self::Step(step) => match step.kind() {
                Some(StepKind::Canary(canary)) => percent(canary.weight),
                Some(StepKind::AbTest(test)) => percent(test.weight),
                Some(StepKind::Shadow(_)) | None => Share::NONE,
            },
        }
    }

    fn shadow(self) -> Option<Shadow> {
        let Self::Step(step) = self else { return None };
        let shadow = step.shadow.as_ref()?;
        Some(Shadow { variant: 1, share: check::percent(shadow.percent)?, max_in_flight: shadow.max_in_flight })
    }
}

/// Gives the state its next row; a stratum begins with it.
pub(super) fn put(
    machine: &Machine<'_>,
    state: &mut State,
    traffic: Traffic<'_>,
    now: Timestamp,
) -> Result<(), RowFailed> {
    let weight = traffic.weight();
    let weights = [Share::rest(&[weight]).unwrap_or_default(), weight];
    let row = match &state.row {
        Some(row) => Row { route: row.route.reweighted(&weights)?, shadow: traffic.shadow(), ..row.clone() },
        None => first(machine, state, weights, traffic.shadow())?,
    };
    row.check()?;
    state.generation = row.generation();
    state.strata.push(Stratum {
        generation: row.generation(),
        step: state.step,
        start: now,
        weights: weights.iter().map(|w| w.fraction()).collect(),
        shadow: row.shadow.is_some(),
    });
    state.row = Some(row);
    Ok(())
}

fn first(machine: &Machine<'_>, state: &State, weights: [Share; 2], shadow: Option<Shadow>) -> Result<Row, RowFailed> {
    let spec = machine.spec;
    let candidate = spec.candidate().ok_or(RowFailed::Missing("candidate"))?.name.to_string();
    let pins = state.pins.as_ref().ok_or(RowFailed::Missing("models"))?;
    let names = [STABLE.to_owned(), candidate];
    let variants = names.iter().zip(weights).map(|(name, weight)| Variant { name: name.clone(), weight });
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
    let models = [pins.stable.clone(), pins.candidate.clone()];
    Ok(Row {
        rollout: machine.name.to_owned(),
        unit: assignment.unit.parse()?,
        variants: names.into_iter().zip(models).map(|(name, model)| RowVariant { name, model }).collect(),
        route: route.after(state.generation),
        shadow,
        limits,
    })
}
