//! Places for versions in a deployment's route: its own, and those of a row's variants.

use crate::deployment::{Deployment, Route, STABLE};
use crate::run::Loaded;
use crate::spec::DeploymentSpec;
use crate::traffic::{Candidate, Guard, Shade, Traffic};
use crate::view::State;
use mainspring_traffic::Row;
use std::sync::Arc;

/// What a version is loaded for.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    pub variant: Arc<str>,
    pub uri: Arc<str>,
    /// The rollout, and the variant's place in its row; `None` is what the deployment itself declares.
    at: Option<(String, usize)>,
}

impl Seat {
    pub fn own(spec: &DeploymentSpec) -> Self {
        Self { variant: STABLE.into(), uri: spec.model.as_str().into(), at: None }
    }

    pub fn variant(row: &Row, at: usize) -> Self {
        let variant = &row.variants[at];
        let (name, uri) = (variant.name.as_str().into(), variant.model.as_str().into());
        Self { variant: name, uri, at: Some((row.rollout.clone(), at)) }
    }

    /// Whether it is what the deployment itself declares.
    pub fn is_own(&self) -> bool {
        self.at.is_none()
    }

    /// Its variant, and the URI that this one's version is found under.
    pub fn name(&self) -> (&str, &str) {
        (&self.variant, &self.uri)
    }

    /// Whether the route still has it.
    fn stands(&self, deployment: &Deployment, route: &Route) -> bool {
        let row = route.traffic.as_ref().map(|t| &t.row);
        match &self.at {
            None => deployment.row.load().is_none(),
            Some((_, at)) => row.is_some_and(|row| {
                row.variants.get(*at).is_some_and(|v| v.name == *self.variant && v.model == *self.uri)
            }),
        }
    }

    /// Changes its candidate, if it is one and still there.
    pub fn change(&self, route: &mut Route, change: impl FnOnce(&mut Candidate)) {
        let Some((_, at)) = &self.at else { return };
        let mine = |row: &Row| row.variants.get(*at).is_some_and(|v| v.name == *self.variant && v.model == *self.uri);
        route.change_traffic(|traffic| {
            if mine(&traffic.row)
                && let Some(candidate) = at.checked_sub(1).and_then(|i| traffic.candidates.get_mut(i))
            {
                change(candidate);
            }
        });
    }

    /// Shows what its load is doing.
    pub fn say(&self, route: &mut Route, what: String) {
        if matches!(self.at, Some((_, at)) if at > 0) {
            self.change(route, |candidate| candidate.reason = Some(what));
            return;
        }
        if route.current.is_none() {
            route.state = State::Loading;
        }
        route.reason = Some(what);
    }

    /// Puts a version into it, if the route still has it. `why` says which version it is when that was open.
    pub fn put(&self, deployment: &Deployment, route: &mut Route, (loaded, why): (&Arc<Loaded>, Option<String>)) {
        if !self.stands(deployment, route) {
            return;
        }
        let loaded = standing(deployment, loaded, &self.variant, &self.uri);
        match &self.at {
            Some((_, at)) if *at > 0 => {
                let stable = route.current.clone();
                self.change(route, |candidate| candidate.ready(loaded, stable.as_ref()));
                return;
            }
            Some((rollout, _)) => {
                let waits = format!(
                    "rollout {rollout:?} decides which version serves; {} is looked at again when it ends",
                    deployment.spec.load().model
                );
                route.choice = Some(why.map_or_else(|| waits.clone(), |why| format!("{why}; {waits}")));
            }
            None => {
                route.traffic = None;
                route.choice = why;
            }
        }
        route.current = Some(loaded);
        route.state = State::Ready;
        route.reason = None;
        let stable = route.current.clone();
        route.change_traffic(|traffic| traffic.fit(stable.as_ref()));
    }
}

/// `loaded` as this variant.
fn standing(deployment: &Deployment, loaded: &Arc<Loaded>, variant: &str, uri: &str) -> Arc<Loaded> {
    if loaded.stands_for((variant, uri)) {
        return Arc::clone(loaded);
    }
    loaded.standing_for(variant, uri, |target| deployment.recorder(target))
}

/// Puts a row into the route with all that is loaded for it already: as one of its variants, or as what
/// answers now. Until its own stable version is there, what answers now stands for it.
pub(super) fn install(deployment: &Deployment, route: &mut Route, row: &Arc<Row>) {
    let held = |uri: &str| route.answering().find(|l| *l.facts.uri == *uri);
    let first = &row.variants[0];
    let stable = held(&first.model).or(route.current.as_ref());
    let stable = stable.map(|l| standing(deployment, l, &first.name, &l.facts.uri));
    // What one rollout found out is no judgement on the candidates of another.
    let goes_on = route.traffic.as_ref().is_some_and(|t| t.row.rollout == row.rollout);
    let known = |name: &str, uri: &str| {
        let traffic = route.traffic.as_ref()?;
        let mut all = traffic.row.variants.iter().skip(1).zip(&traffic.candidates);
        all.find(|(v, _)| v.name == name && v.model == uri).map(|(_, candidate)| candidate.clone())
    };
    let candidate = |(at, v): (usize, &mainspring_traffic::RowVariant)| {
        let mut candidate = known(&v.name, &v.model).unwrap_or_else(|| {
            let mut new = Candidate::default();
            if let Some(l) = held(&v.model) {
                new.ready(standing(deployment, l, &v.name, &v.model), None);
            }
            new
        });
        // Who gets nothing any more has ended; with its next request the candidate begins anew.
        let asked = row.route.split().weight(at as u16).ppm() > 0;
        candidate.guard = row.limits.as_ref().map(|limits| {
            let known = candidate.guard.filter(|guard| goes_on && asked && guard.limits() == limits);
            known.unwrap_or_else(|| Arc::new(Guard::new(limits.clone())))
        });
        candidate
    };
    let candidates = row.variants.iter().enumerate().skip(1).map(candidate).collect();
    let shade = Shade::of(row, route.traffic.as_ref());
    let traffic = Traffic::new(row, candidates, shade, stable.as_ref());
    route.current = stable;
    route.traffic = Some(traffic);
}
