//! A window is estimated beside everything else: it may take long, and other monitors do not wait for it.

use super::spec::{EstimateReferenceSpec, EstimateSpec};
use super::{Due, Seen};
use crate::estimate::{Asked, Reference, Report, Request};
use crate::live::error::WatchError;
use crate::live::ports::{Estimates, Models, PortError};
use crate::live::spec::MonitorSpec;
use crate::segment::Wanted;
use mainspring_core::{ErrorKind, Failure, Tasks, Tenant};
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

/// Parts of the reference, as `mainspring estimate` cuts it.
const CHUNKS: usize = 10;

type Found = Result<Option<Seen>, WatchError>;

/// Which rows, and who finds out.
pub(in crate::live) struct Wants {
    pub tenant: Tenant,
    pub spec: Arc<MonitorSpec>,
    /// What answers.
    pub model: String,
    pub version: String,
    pub models: Arc<dyn Models>,
    pub estimates: Arc<dyn Estimates>,
}

/// A window that is being estimated; dropped, it is given up.
pub(in crate::live) struct Work {
    /// What of.
    pub due: Due,
    /// Of which model and version.
    pub of: (String, String),
    /// As what asks for it.
    pub spec: EstimateSpec,
    coming: oneshot::Receiver<Found>,
    found: Option<Found>,
}

impl Work {
    pub fn begin(tasks: &Tasks, wants: Wants, spec: &EstimateSpec, due: Due) -> Self {
        let (mut done, coming) = oneshot::channel();
        let (of, spec) = ((wants.model.clone(), wants.version.clone()), spec.clone());
        let asked = spec.clone();
        tasks.spawn("estimate", async move {
            let found = tokio::select! {
                () = done.closed() => return,
                found = find(&wants, &asked, due) => found,
            };
            // Who asked may have gone: then the next leader asks again.
            let _nobody_waits = done.send(found);
        });
        Self { due, of, spec, coming, found: None }
    }

    /// Whether something was found out.
    pub fn is_done(&mut self) -> bool {
        if self.found.is_none() {
            self.found = match self.coming.try_recv() {
                Ok(found) => Some(found),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Closed) => {
                    let message = "an estimate broke off".to_owned();
                    Some(Err(PortError { kind: ErrorKind::Unavailable, message }.into()))
                }
            };
        }
        self.found.is_some()
    }

    /// What was found out; nothing while it goes on.
    pub fn take(&mut self) -> Option<Found> {
        self.is_done();
        self.found.take()
    }
}

/// Whether the same may be found out a little later.
pub(in crate::live) fn is_passing(error: &WatchError) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Overloaded | ErrorKind::DeadlineExceeded)
}

/// `NAME=OUTPUT` is OUTPUT of live rows.
fn output(text: &str) -> String {
    text.split_once('=').map_or(text, |(_, output)| output).to_owned()
}

async fn find(wants: &Wants, asked: &EstimateSpec, due: Due) -> Found {
    let Wants { tenant, spec, version, estimates, .. } = wants;
    let (from, until) = due.span();
    let current = Wanted {
        deployment: spec.deployment.clone(),
        from,
        until,
        variant: Some(spec.variant.clone()),
        version: Some(version.clone()),
        segment: spec.segment.clone(),
        others: false,
    };
    let Some(label) = &spec.label else { return Ok(None) };
    let (reference, asked) = match file(wants, &asked.reference).await? {
        Some(file) => (
            file,
            Asked {
                label: label.column.as_ref().unwrap_or(&label.name).clone(),
                prediction: asked.prediction.clone(),
                scores: asked.scores.clone(),
                positive: asked.positive.clone(),
                features: Vec::new(),
                chunks: CHUNKS,
            },
        ),
        None => {
            let before = Wanted { from: from.plus_micros(-asked.before()), until: from, ..current.clone() };
            (
                Reference::Rows(before),
                Asked {
                    label: label.name.clone(),
                    prediction: asked.prediction.as_deref().or(label.prediction.as_deref()).map(output),
                    scores: asked.scores.iter().map(|score| output(score)).collect(),
                    positive: asked.positive.clone(),
                    features: Vec::new(),
                    chunks: CHUNKS,
                },
            )
        }
    };
    let request = Request { current, reference, feedback: label.name.clone(), asked };
    let report = estimates.estimate(tenant, request).await?;
    report.map(|report| seen(&report, wants)).transpose()
}

/// The file that is learnt from; `None` where labelled rows are.
async fn file(wants: &Wants, named: &EstimateReferenceSpec) -> Result<Option<Reference>, WatchError> {
    let Wants { tenant, models, model, version, .. } = wants;
    if named.window.is_some() {
        return Ok(None);
    }
    let (model, version) = match &named.data {
        Some(uri) => models.resolve(tenant, uri).await?,
        None => (model.clone(), version.clone()),
    };
    let found = models.reference(tenant, &model, &version).await?;
    if found.is_none() && named.data.is_some() {
        return Err(WatchError::NoReference { model, version });
    }
    Ok(found.map(Reference::File))
}

/// The metric that is asked for, among those that were estimated.
fn seen(report: &Report, wants: &Wants) -> Result<Seen, WatchError> {
    let (found, whole) = (&report.estimated, &report.estimated.whole);
    let metric = wants.spec.estimate.as_ref().map_or("", |asked| asked.metric.as_str());
    let Some(estimate) = whole.metrics.iter().find(|m| m.metric == metric) else {
        let there: Vec<&str> = whole.metrics.iter().map(|m| m.metric).collect();
        let message = format!("{metric} is not estimated here ({}); there are {}", found.method, there.join(", "));
        return Err(PortError { kind: ErrorKind::InvalidInput, message }.into());
    };
    // JSON has no other numbers: a state with one could not be read again.
    if ![estimate.value, estimate.low, estimate.high].iter().all(|value| value.is_finite()) {
        let message = format!("{metric} has no value in these {} rows", whole.rows);
        return Err(PortError { kind: ErrorKind::InvalidInput, message }.into());
    }
    let of = |known: &[crate::estimate::Realized]| {
        known.iter().find(|r| r.metric == metric).map(|r| r.value).filter(|value| value.is_finite())
    };
    Ok(Seen {
        rows: whole.rows,
        value: estimate.value,
        low: estimate.low,
        high: estimate.high,
        reference: of(&found.reference),
        labeled: whole.labeled,
        realized: of(&whole.realized),
    })
}
