//! Who answers a request: the current version, the one that it names, or the variant that its unit gets.

use crate::action::Infer;
use crate::contract::Contract;
use crate::deployment::{Deployment, Route, STABLE};
use crate::error::ServeError;
use crate::run::Loaded;
use crate::traffic::{By, Guard, Traffic, field};
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{Assignment, Authorized, EventId, Principal, Role, Target, Timestamp};
use mainspring_traffic::{RequestHead, UnitFrom, unit_id};
use std::sync::Arc;

/// What a request says about who is to answer it.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// The version asked for; `None` is whichever is due. Naming one is a forced assignment.
    pub version: Option<&'a str>,
    /// Where the request's unit and a variant that it names are found, should they be needed.
    pub head: &'a dyn RequestHead,
}

impl std::fmt::Debug for Ask<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ask").field("version", &self.version).finish_non_exhaustive()
    }
}

/// Who answers a request. It stays loaded meanwhile.
pub struct Picked {
    pub(crate) deployment: Arc<Deployment>,
    pub(crate) chosen: Chosen,
}

impl std::fmt::Debug for Picked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Picked").field("chosen", &self.chosen).finish_non_exhaustive()
    }
}

/// What answers a request, and how it was chosen.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub loaded: Arc<Loaded>,
    pub assignment: Assignment,
    /// What watches the candidate that answers.
    pub guard: Option<Arc<Guard>>,
    /// The request's id and when it got it, where the choice had to know.
    pub made: Option<(EventId, Timestamp)>,
    /// The row that waits for the inputs, which decide.
    undecided: Option<Undecided>,
    /// The route, where what its row decides has a shadow.
    pub shaded: Option<Arc<Route>>,
}

/// A row that waits for the inputs.
#[derive(Debug)]
struct Undecided {
    route: Arc<Route>,
    /// The unit, where it is none of them and was there.
    unit: Option<Box<[u8]>>,
}

/// The name of the variant that answers, which costs nothing where no rollout decides.
#[derive(Debug, Clone, Default)]
pub struct VariantName(Option<Arc<str>>);

impl VariantName {
    /// The variant of an answer.
    pub fn of(target: &Target) -> Self {
        Self(Some(Arc::clone(&target.variant)))
    }

    /// As it is shown.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or(STABLE)
    }
}

impl Picked {
    /// What the version takes and gives.
    pub fn contract(&self) -> &Arc<Contract> {
        &self.chosen.loaded.facts.contract
    }

    /// The variant that answers, or fails to. Where the unit is one of the inputs they decide now.
    pub fn variant(&mut self, inputs: &[NamedTensor]) -> VariantName {
        let Some((id, _)) = self.chosen.made else { return VariantName::default() };
        self.chosen.decide(&id, inputs);
        VariantName::of(&self.chosen.loaded.facts.contract.target)
    }

    /// The variant that was to answer; `None` while only the inputs could tell.
    pub fn named(&self) -> Option<VariantName> {
        self.chosen.undecided.is_none().then(|| VariantName::of(&self.contract().target))
    }

    /// Whether it was picked for what `auth` allows.
    pub(crate) fn is_for(&self, auth: &Authorized<Infer>) -> bool {
        self.deployment.name == auth.action().deployment && self.deployment.tenant == *auth.tenant()
    }
}

impl Chosen {
    /// Lets the inputs decide where they do.
    pub fn decide(&mut self, id: &EventId, inputs: &[NamedTensor]) {
        let Some(Undecided { route, unit }) = self.undecided.take() else { return };
        let Some(traffic) = &route.traffic else { return };
        let contract = &self.loaded.facts.contract;
        let unit = match &traffic.row.unit {
            UnitFrom::Field(name) => field(inputs, name, contract).map(Vec::into_boxed_slice),
            UnitFrom::Header(_) | UnitFrom::Cookie(_) | UnitFrom::Key | UnitFrom::Request => unit,
        };
        let context = traffic.context(inputs, contract);
        let way = traffic.choose(&self.loaded, By { unit: unit.as_deref(), id, context }, true);
        (self.assignment, self.guard) = (way.assignment, way.guard.cloned());
        self.loaded = Arc::clone(way.loaded);
    }
}

/// Picks who answers. `made` gives the request's id, which is asked for only when a row decides.
pub(crate) fn pick(
    deployment: &Deployment,
    ask: Ask<'_>,
    who: &Principal,
    made: impl FnOnce() -> (EventId, Timestamp),
) -> Result<Chosen, ServeError> {
    let route = deployment.route.load();
    let Some(current) = &route.current else { return Err(not_ready(deployment, &route, explains(who))) };
    if let Some(traffic) = &route.traffic {
        return Row { deployment, route: &route, traffic, stable: current }.pick(ask, who, made());
    }
    let loaded = match ask.version {
        Some(asked) if *asked != *current.facts.contract.target.version => {
            return Err(no_version(deployment, asked, &route));
        }
        _ => Arc::clone(current),
    };
    let unit = match &deployment.spec.load().journal.unit {
        Some(UnitFrom::Key) => key(who).map(unit_id),
        Some(from) => from.beside(ask.head).map(unit_id),
        None => None,
    };
    let assignment = Assignment { forced: ask.version.is_some(), unit, ..Assignment::default() };
    Ok(Chosen { loaded, assignment, guard: None, made: None, undecided: None, shaded: None })
}

/// The version that answers what names a version or nothing, whatever its unit. `explains` says whether the
/// caller may know why there is none.
pub(crate) fn version(deployment: &Deployment, asked: Option<&str>, explains: bool) -> Result<Arc<Loaded>, ServeError> {
    answering(deployment, &deployment.route.load(), asked, explains).cloned()
}

/// The same of a route that was read already.
pub(crate) fn answering<'a>(
    deployment: &Deployment,
    route: &'a Route,
    asked: Option<&str>,
    explains: bool,
) -> Result<&'a Arc<Loaded>, ServeError> {
    let Some(current) = &route.current else { return Err(not_ready(deployment, route, explains)) };
    let Some(asked) = asked else { return Ok(current) };
    let found = route.answering().find(|l| *l.facts.contract.target.version == *asked);
    found.ok_or_else(|| no_version(deployment, asked, route))
}

/// The caller as a unit: only who has a key is one.
pub(crate) fn key(who: &Principal) -> Option<&[u8]> {
    Some(who.subject.as_bytes()).filter(|subject| subject.starts_with(b"key:"))
}

/// A routing row that decides who answers a request.
struct Row<'a> {
    deployment: &'a Deployment,
    route: &'a Arc<Route>,
    traffic: &'a Traffic,
    stable: &'a Arc<Loaded>,
}

impl Row<'_> {
    fn pick(&self, ask: Ask<'_>, who: &Principal, made: (EventId, Timestamp)) -> Result<Chosen, ServeError> {
        let row = &self.traffic.row;
        let forced = Assignment { forced: true, ..Assignment::default() };
        let (mut undecided, mut guard) = (None, None);
        let (loaded, assignment) = if let Some(name) = ask.head.variant() {
            let loaded = self.named(&name, explains(who))?;
            if let Some(asked) = ask.version.filter(|v| **v != *loaded.facts.contract.target.version) {
                let serves = format!("{} as variant {name:?}", loaded.facts.contract.target.version);
                let (name, version) = (self.deployment.name.to_string(), asked.to_owned());
                return Err(ServeError::NoVersion { name, version, serves });
            }
            (loaded, forced)
        } else if let Some(asked) = ask.version {
            let found = self.route.answering().find(|l| *l.facts.contract.target.version == *asked);
            (found.ok_or_else(|| no_version(self.deployment, asked, self.route))?, forced)
        } else {
            let id = &made.0;
            let unit = match &row.unit {
                UnitFrom::Key => key(who),
                UnitFrom::Request => Some(&id.as_bytes()[..]),
                from @ (UnitFrom::Header(_) | UnitFrom::Cookie(_) | UnitFrom::Field(_)) => from.beside(ask.head),
            };
            if self.traffic.waits() {
                let unit = unit.map(Box::from);
                undecided = Some(Undecided { route: Arc::clone(self.route), unit });
                (self.stable, Assignment::default())
            } else {
                let way = self.traffic.choose(self.stable, By { unit, id, context: None }, false);
                guard = way.guard.cloned();
                (way.loaded, way.assignment)
            }
        };
        let shaded = (self.traffic.shade.is_some() && !assignment.forced).then(|| Arc::clone(self.route));
        Ok(Chosen { loaded: Arc::clone(loaded), assignment, guard, made: Some(made), undecided, shaded })
    }

    /// The variant that a caller names.
    fn named(&self, name: &str, explains: bool) -> Result<&Arc<Loaded>, ServeError> {
        let route = &self.traffic.row.route;
        let deployment = || self.deployment.name.to_string();
        let choice = route.force(name).map_err(|_| ServeError::NoVariant {
            name: deployment(),
            variant: name.to_owned(),
            have: route.variants().join(", "),
        })?;
        self.traffic.loaded(self.stable, choice.variant).ok_or_else(|| {
            let reason = self.traffic.reason(choice.variant).filter(|_| explains);
            ServeError::VariantNotReady { name: deployment(), variant: name.to_owned(), reason }
        })
    }
}

/// Whether somebody may know why a deployment does not answer, which may hold what a model wrote: who may look
/// at it and not only call it.
pub(crate) fn explains(who: &Principal) -> bool {
    who.role >= Role::Read
}

fn no_version(deployment: &Deployment, asked: &str, route: &Route) -> ServeError {
    let serves: Vec<&str> = route.answering().map(|l| &*l.facts.contract.target.version).collect();
    let (name, version) = (deployment.name.to_string(), asked.to_owned());
    ServeError::NoVersion { name, version, serves: serves.join(", ") }
}

fn not_ready(deployment: &Deployment, route: &Route, explains: bool) -> ServeError {
    let reason = route.reason.clone().unwrap_or_else(|| "no version is loaded".into());
    ServeError::NotReady { name: deployment.name.to_string(), state: route.state, reason: explains.then_some(reason) }
}
