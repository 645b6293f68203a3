//! A routing row at work in a deployment: its variants, and the one that answers a request.

use crate::contract::Contract;
use crate::deployment;
use crate::event::{Place, place};
use crate::run::Loaded;
use crate::view::{State, VariantState, VariantView};
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{Assignment, DType, EventId, Tensor};
use mainspring_traffic::{Row, RowVariant, UnitFrom, unit_id};
use std::sync::Arc;

mod guard;
mod shade;

pub(crate) use guard::{Ended, Guard};
pub use guard::{Over, Trip};
pub(crate) use shade::{Aside, Shade, Turn};

/// A row and its candidates. Stable is what the deployment's route has as current.
#[derive(Debug, Clone)]
pub(crate) struct Traffic {
    pub row: Row,
    /// Those of the row from index 1 on.
    pub candidates: Vec<Candidate>,
    /// What runs in the shadow of the answers, if something does.
    pub shade: Option<Arc<Shade>>,
    /// Whether stable is the model that the row names, and not what answered before it.
    stands: bool,
    known: Known,
}

/// What every request asks of all candidates, so that it looks at none of them.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    /// Whether all that have a part of the traffic are loaded.
    loaded: bool,
    /// Whether they take what stable takes, too.
    fit: bool,
    /// Whether any of them has a limit, which may trip.
    limited: bool,
}

/// A variant beside stable.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub loaded: Option<Arc<Loaded>>,
    pub failed: bool,
    /// What it does, or why it does not answer.
    pub reason: Option<String>,
    /// Whether it takes exactly what stable takes, so that inputs made for one are good for the other.
    pub fits: bool,
    /// Its hard limits, if the row has some.
    pub guard: Option<Arc<Guard>>,
}

impl Default for Candidate {
    fn default() -> Self {
        Self { loaded: None, failed: false, reason: Some("waiting to be loaded".into()), fits: false, guard: None }
    }
}

impl Candidate {
    /// It is ready now; `stable` is what answers beside it.
    pub fn ready(&mut self, loaded: Arc<Loaded>, stable: Option<&Arc<Loaded>>) {
        (self.loaded, self.failed, self.reason) = (Some(loaded), false, None);
        self.fit(stable);
    }

    /// Whether it answers; what was `made` for stable, only where it takes the same.
    fn able(&self, made: bool) -> bool {
        self.loaded.is_some() && (!made || self.fits) && self.trip().is_none()
    }

    fn trip(&self) -> Option<&Trip> {
        self.guard.as_ref()?.trip()
    }

    fn fit(&mut self, stable: Option<&Arc<Loaded>>) {
        let inputs = |l: &Arc<Loaded>| Arc::clone(&l.facts.contract);
        self.fits = match (stable.map(inputs), self.loaded.as_ref().map(inputs)) {
            (Some(stable), Some(mine)) => same_inputs(&stable, &mine),
            _ => false,
        };
    }

    fn state(&self) -> VariantState {
        match (&self.loaded, self.failed) {
            _ if self.trip().is_some() => VariantState::Tripped,
            (Some(_), _) => VariantState::Ready,
            (None, true) => VariantState::Failed,
            (None, false) => VariantState::Loading,
        }
    }
}

impl Traffic {
    /// What answers as a variant of the row; `None` while it cannot.
    pub fn loaded<'a>(&'a self, stable: &'a Arc<Loaded>, variant: u16) -> Option<&'a Arc<Loaded>> {
        match usize::from(variant).checked_sub(1) {
            None => Some(stable),
            Some(at) => self.candidates.get(at)?.loaded.as_ref(),
        }
    }

    /// A row and what is known of its candidates, beside what answers.
    pub fn new(row: &Row, candidates: Vec<Candidate>, shade: Option<Arc<Shade>>, stable: Option<&Arc<Loaded>>) -> Self {
        let mut traffic = Self { row: row.clone(), candidates, shade, stands: false, known: Known::default() };
        traffic.fit(stable);
        traffic.settle();
        traffic
    }

    /// Another version is stable now.
    pub fn fit(&mut self, stable: Option<&Arc<Loaded>>) {
        self.stands = stable.is_some_and(|l| *l.facts.uri == *self.row.variants[0].model);
        self.candidates.iter_mut().for_each(|c| c.fit(stable));
    }

    /// Takes what [`Known`] says from what the candidates are now.
    pub fn settle(&mut self) {
        let loaded = self.stands && self.asked().all(|c| c.loaded.is_some());
        let fit = loaded && self.asked().all(|c| c.fits);
        let limited = self.asked().any(|c| c.guard.is_some());
        self.known = Known { loaded, fit, limited };
    }

    /// The candidates that have a part of the traffic.
    fn asked(&self) -> impl Iterator<Item = &Candidate> {
        let split = self.row.route.split();
        self.candidates.iter().zip(1..).filter(|(_, at)| split.weight(*at).ppm() > 0).map(|(c, _)| c)
    }

    /// Why a variant cannot answer.
    pub fn reason(&self, variant: u16) -> Option<String> {
        self.candidates.get(usize::from(variant).checked_sub(1)?)?.reason.clone()
    }

    /// The variant of a unit, or of the request itself when it lacks the unit that the row asks for; such
    /// a request is not counted. `made` says that its inputs were made for what stable takes.
    pub fn choose<'a>(&'a self, stable: &'a Arc<Loaded>, by: By<'_>, made: bool) -> Way<'a> {
        let route = &self.row.route;
        let bytes = by.unit.unwrap_or(by.id.as_bytes());
        let mut choice = self.row.choose(bytes, by.context);
        let (loaded, guard) = self.able(stable, choice.variant, made).unwrap_or_else(|| {
            choice = route.fallback();
            (stable, None)
        });
        let generation = (by.unit.is_some() && choice.counts() && self.whole(made)).then(|| route.generation());
        let assignment = Assignment {
            forced: false,
            propensity: choice.propensity as f32,
            unit: by.unit.map(unit_id),
            generation,
            context: by.context.filter(|_| generation.is_some()),
            shadow_of: None,
        };
        Way { loaded, assignment, guard }
    }

    /// Whether the choice waits for the inputs: one of them is the unit, or what a policy looks at.
    pub fn waits(&self) -> bool {
        self.row.policy.is_some() || matches!(self.row.unit, UnitFrom::Field(_))
    }

    /// The context of a request, where a policy decides.
    pub fn context(&self, inputs: &[NamedTensor], contract: &Contract) -> Option<u16> {
        let policy = self.row.policy.as_ref()?;
        Some(policy.contexts.of(|name| field(inputs, name, contract)))
    }

    /// Whether every variant that has a part of the traffic can answer. While one cannot, the units of the others
    /// would be counted without its own, and the sample would be no split of the traffic any more.
    fn whole(&self, made: bool) -> bool {
        let Known { loaded, fit, limited } = self.known;
        (if made { fit } else { loaded }) && (!limited || self.asked().all(|c| c.trip().is_none()))
    }

    /// What answers as a variant, if it can answer what was not asked of it by name.
    pub fn able<'a>(
        &'a self,
        stable: &'a Arc<Loaded>,
        variant: u16,
        made: bool,
    ) -> Option<(&'a Arc<Loaded>, Option<&'a Arc<Guard>>)> {
        let Some(at) = usize::from(variant).checked_sub(1) else { return Some((stable, None)) };
        let candidate = self.candidates.get(at)?;
        let loaded = candidate.loaded.as_ref().filter(|_| candidate.able(made))?;
        Some((loaded, candidate.guard.as_ref()))
    }

    /// The variants as others see them, stable first.
    pub fn views<'a>(&'a self, at: &'a deployment::Route) -> Vec<VariantView> {
        let row = &self.row;
        let stable = match (&at.current, at.state) {
            (Some(_), _) => VariantState::Ready,
            (None, State::Failed) => VariantState::Failed,
            (None, _) => VariantState::Loading,
        };
        let stable = (stable, at.reason.clone(), at.current.as_ref(), None);
        let seen = |c: &'a Candidate| (c.state(), self.explained(c), c.loaded.as_ref(), c.trip());
        let states = std::iter::once(stable).chain(self.candidates.iter().map(seen));
        let view = |(at, ((state, reason, loaded, trip), variant)): (usize, (Seen<'_>, &RowVariant))| VariantView {
            name: variant.name.clone(),
            model: variant.model.clone(),
            version: loaded.map(|l| Arc::clone(&l.facts.contract.target.version)),
            state: self.seen(at, state),
            reason,
            trip: trip.cloned(),
            shadow: self.shade.as_ref().filter(|s| s.place() + 1 == at).map(|s| s.view()),
            weight: row.route.split().weight(at as u16),
            generation: row.generation(),
        };
        states.zip(&row.variants).enumerate().map(view).collect()
    }

    /// A candidate that nobody is sent to is ready for its shadow only.
    fn seen(&self, at: usize, state: VariantState) -> VariantState {
        let shadow = self.shade.as_ref().is_some_and(|s| s.place() + 1 == at);
        let alone = shadow && self.row.route.split().weight(at as u16).ppm() == 0;
        if alone && state == VariantState::Ready { VariantState::ShadowOnly } else { state }
    }

    fn explained(&self, candidate: &Candidate) -> Option<String> {
        if let Some(trip) = candidate.trip() {
            return Some(trip.to_string());
        }
        let other = candidate.loaded.is_some() && !candidate.fits;
        let shadow = self.shade.as_ref().and_then(|s| self.candidates.get(s.place()));
        if other && shadow.is_some_and(|s| std::ptr::eq(s, candidate)) {
            let stable = self.row.route.variant(0);
            return Some(format!("it takes other inputs than {stable}, so it cannot run in its shadow"));
        }
        let apart = other && self.waits();
        if !apart {
            return candidate.reason.clone();
        }
        Some(format!(
            "it takes other inputs than {}, and one of them decides who answers, so it answers only who names it; take the \
             unit from a header, and use no contextual bandit",
            self.row.route.variant(0)
        ))
    }
}

/// What is seen of a variant.
type Seen<'a> = (VariantState, Option<String>, Option<&'a Arc<Loaded>>, Option<&'a Trip>);

/// What answers a request, and how it was chosen.
#[derive(Debug)]
pub(crate) struct Way<'a> {
    pub loaded: &'a Arc<Loaded>,
    pub assignment: Assignment,
    /// What watches the candidate that answers.
    pub guard: Option<&'a Arc<Guard>>,
}

/// What a choice depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct By<'a> {
    /// The unit, if the request has what the row asks for.
    pub unit: Option<&'a [u8]>,
    /// The request's own id.
    pub id: &'a EventId,
    /// The context of the request, where the row has a policy.
    pub context: Option<u16>,
}

/// Whether inputs made for one are good for the other.
fn same_inputs(a: &Contract, b: &Contract) -> bool {
    let columns = |c: &Contract| c.mlflow().and_then(|m| m.inputs.clone());
    a.signature.inputs == b.signature.inputs && columns(a) == columns(b)
}

/// The first row of an input or a column, as text: `42` is the same unit whatever its type. `None` when it
/// is not there, or empty.
pub(crate) fn field(inputs: &[NamedTensor], name: &str, contract: &Contract) -> Option<Vec<u8>> {
    let named = inputs.iter().find(|i| *i.name == *name);
    let text = match (named, place(name, contract)) {
        (Some(input), _) => text(&input.tensor, 0),
        (None, Some(Place::Column(column))) => inputs.first().and_then(|input| text(&input.tensor, column)),
        (None, _) => None,
    };
    text.filter(|t| !t.is_empty())
}

/// The element at `place` of the first row.
fn text(tensor: &Tensor, place: usize) -> Option<Vec<u8>> {
    let rows = tensor.rows().max(1);
    if place >= tensor.len() / rows {
        return None;
    }
    let first = tensor.slice_rows(0, 1);
    macro_rules! number {
        ($type:ty) => {
            first.to_vec::<$type>()?.get(place).map(|v| v.to_string().into_bytes())
        };
    }
    macro_rules! float {
        ($value:expr) => {
            Some($value).filter(|v| !v.is_nan()).map(|v| v.to_string().into_bytes())
        };
    }
    match tensor.dtype() {
        DType::Bytes => first.strings()?.get(place).map(|b| b.to_vec()),
        DType::Bool => first.to_vec::<u8>()?.get(place).map(|v| if *v == 0 { "false" } else { "true" }.into()),
        DType::Uint8 => number!(u8),
        DType::Uint16 => number!(u16),
        DType::Uint32 => number!(u32),
        DType::Uint64 => number!(u64),
        DType::Int8 => number!(i8),
        DType::Int16 => number!(i16),
        DType::Int32 => number!(i32),
        DType::Int64 => number!(i64),
        DType::Fp16 => float!(first.to_vec::<half::f16>()?.get(place)?.to_f32()),
        DType::Bf16 => float!(first.to_vec::<half::bf16>()?.get(place)?.to_f32()),
        DType::Fp32 => float!(first.to_vec::<f32>()?.get(place).copied()?),
        DType::Fp64 => float!(first.to_vec::<f64>()?.get(place).copied()?),
    }
}

#[cfg(test)]
mod tests;
