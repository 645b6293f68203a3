//! Monitors as the API shows them.

use super::performance;
use crate::dto::monitors::{
    MonitorCause, MonitorColumn, MonitorDetection, MonitorDetector, MonitorDistribution, MonitorEffect, MonitorError,
    MonitorEstimate, MonitorEstimateWindow, MonitorEvent, MonitorLabel, MonitorPoint, MonitorProspect, MonitorSummary,
    MonitorView, MonitorWhy, WindowColumn,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mainspring_journal::Column;
use mainspring_monitor::live::detectors::Detector;
use mainspring_monitor::live::outlook::spec::Limit;
use mainspring_monitor::live::outlook::{Look, Prospect};
use mainspring_monitor::live::track::Track;
use mainspring_monitor::live::{Cause, Effect, MonitorSpec, Point, Transition, View, Wrong, side, why};

/// `in.plan = gold`.
fn segment(of: Option<(&str, &str)>) -> Option<String> {
    of.map(|(column, value)| format!("{column} = {value}"))
}

fn column(spec: &MonitorSpec, (name, of, track): (&str, Option<(&str, &str)>, &Track)) -> MonitorColumn {
    let (log_e, log_sure) = track.evidence();
    MonitorColumn {
        name: name.to_owned(),
        journal_column: spec.journal_column(name).to_owned(),
        segment: segment(of),
        drift: side(name).to_owned(),
        standing: track.standing.as_str().to_owned(),
        since: track.since.into(),
        changed_at: track.changed_at.map(Into::into),
        reference: track.origin.as_str().to_owned(),
        learned: track.learned(),
        tested: track.tested(),
        window_rows: track.moved.rows,
        distance: track.moved.distance,
        chance: track.moved.chance,
        log_e,
        log_sure,
    }
}

fn detector(of: &Detector) -> MonitorDetector {
    MonitorDetector {
        name: of.column.clone(),
        segment: of.part(),
        drift: side(&of.column).to_owned(),
        detector: of.name().to_owned(),
        standing: of.sight.as_str().to_owned(),
        since: of.since.into(),
        seen: of.seen,
        skipped: of.skipped,
        detections: of.detections,
        last: of.last.map(|last| MonitorDetection {
            at: last.at.into(),
            value: last.value,
            begun_at: last.begun.into(),
            before: last.before,
            since: last.since,
        }),
    }
}

/// Where what is estimated stands, also while nothing is known of it yet.
fn prospect(view: &View) -> Option<MonitorProspect> {
    let asked = view.spec.estimate.as_ref()?;
    let found = view.watch.as_ref().and_then(|watch| watch.outlook.as_ref());
    let limits = [("below", asked.below), ("above", asked.above), ("drop", asked.drop)];
    let limit = limits.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value?)));
    Some(MonitorProspect {
        metric: asked.metric.as_str().to_owned(),
        limit: limit.collect(),
        standing: found.map_or(Prospect::Waiting, |outlook| outlook.standing).as_str().to_owned(),
    })
}

fn estimate(view: &View) -> Option<MonitorEstimate> {
    let asked = view.spec.estimate.as_ref()?;
    let found = view.watch.as_ref().and_then(|watch| watch.outlook.as_ref());
    let window = |look: &Look| MonitorEstimateWindow {
        since: look.from.into(),
        until: look.until.into(),
        rows: look.rows,
        enough: look.enough,
        value: look.value,
        low: look.low,
        high: look.high,
        limit: look.limit.map(Limit::value),
        labeled: look.labeled,
        realized: look.realized,
        settled: look.settled,
    };
    Some(MonitorEstimate {
        prospect: prospect(view)?,
        window: asked.window.unwrap_or(view.spec.window).to_string(),
        since: found.map(|outlook| outlook.since.into()),
        problem: found.and_then(|outlook| outlook.problem.clone()),
        windows: found.into_iter().flat_map(|outlook| &outlook.looks).map(window).collect(),
    })
}

fn error(of: Wrong<'_>) -> MonitorError {
    let (metric, measure) = (of.metric.to_owned(), performance::measure(&of.measure));
    MonitorError { segment: segment(of.segment), metric, rows: of.rows, measure }
}

impl From<&View> for MonitorSummary {
    fn from(view: &View) -> Self {
        let watch = view.watch.as_ref();
        let answered = watch.filter(|w| !w.version.is_empty());
        let drifted = watch.into_iter().flat_map(|w| w.drifted()).map(str::to_owned).collect();
        Self {
            name: view.name.to_string(),
            deployment: view.spec.deployment.to_string(),
            variant: view.spec.variant.clone(),
            segment: (!view.spec.segment.is_all()).then(|| view.spec.segment.to_string()),
            compared_with: view.spec.compared(),
            model: answered.map(|w| w.model.clone()),
            version: answered.map(|w| w.version.clone()),
            state: view.state().to_owned(),
            since: watch.map(|w| w.since.into()),
            problem: view.problem.clone(),
            watched: watch.map_or(0, |w| (w.tracks.len() + w.truth.tracks.len()) as u64),
            drifted,
            estimated: prospect(view),
            rows: watch.map_or(0, |w| w.rows[0]),
            seen_until: watch.map(|w| w.position.into()),
        }
    }
}

impl From<&View> for MonitorView {
    fn from(view: &View) -> Self {
        let watch = view.watch.as_ref();
        let columns = watch.into_iter().flat_map(|w| w.tracks());
        Self {
            summary: view.into(),
            level: view.spec.level,
            min_effect: view.spec.min_effect,
            window: view.spec.window.to_string(),
            sampled: watch.map_or(0, |w| w.rows[1]),
            late: view.late,
            left_out: watch.map_or(0, |w| w.left_out),
            unused_dataset: watch.and_then(|w| w.compared.as_ref()?.unused.clone()),
            label: view.spec.label.as_ref().zip(watch).map(|(label, watch)| MonitorLabel {
                name: label.name.clone(),
                wait: label.wait.to_string(),
                rows: watch.truth.rows,
                seen_until: watch.truth.until.into(),
                errors: watch.truth.wrong().map(error).collect(),
            }),
            begun_at: watch.map(|w| w.begun.into()),
            columns: columns.map(|of| column(&view.spec, of)).collect(),
            detectors: watch.into_iter().flat_map(|w| &w.detectors).map(detector).collect(),
            undetected: watch.map_or(0, |w| w.undetected.iter().sum()),
            estimate: estimate(view),
        }
    }
}

impl From<(u64, Transition)> for MonitorEvent {
    fn from((seq, t): (u64, Transition)) -> Self {
        Self {
            seq,
            at: t.at.into(),
            kind: t.kind.as_str().to_owned(),
            drifting: t.drifting,
            sentence: t.sentence,
            numbers: t.numbers,
        }
    }
}

/// Why it drifts, as it was found when it was last looked at.
pub(crate) fn explained(view: &View) -> MonitorWhy {
    let found = view.watch.as_ref().and_then(|watch| watch.why.as_ref());
    let asked = found.filter(|why| why.rows > 0);
    let cause = |cause: &Cause| MonitorCause {
        name: cause.column.clone(),
        moved: cause.moved,
        importance: cause.importance,
        weight: cause.weight(),
        shift: cause.shift,
    };
    MonitorWhy {
        sentences: why(view),
        at: found.map(|why| why.at.into()),
        output: asked.map(|why| why.output.clone()),
        unit: asked.map(|why| why.unit.as_str().to_owned()),
        rows: found.map_or(0, |why| why.rows),
        mean: found.and_then(|why| why.mean),
        causes: found.into_iter().flat_map(|why| &why.causes).map(cause).collect(),
        problem: found.and_then(|why| why.problem.clone()),
    }
}

/// A look, of one column when `only` names it.
pub(crate) fn point(point: Point, only: Option<(&str, Option<&str>)>) -> MonitorPoint {
    let wanted = |e: &Effect| only.is_none_or(|(name, part)| e.column == name && e.segment.as_deref() == part);
    let columns = point.columns.into_iter().filter(wanted).map(|e| MonitorEffect {
        name: e.column,
        segment: e.segment,
        distance: e.distance,
        chance: e.chance,
        standing: e.standing.as_str().to_owned(),
    });
    MonitorPoint { at: point.at.into(), columns: columns.collect() }
}

/// A column's distribution beside its reference's; nothing when the monitor has no such column.
pub(crate) fn distribution(view: &View, name: &str, part: Option<&str>) -> Option<MonitorDistribution> {
    let watch = view.watch.as_ref()?;
    let (name, of, track) = watch.tracks().find(|(n, of, _)| *n == name && segment(*of).as_deref() == part)?;
    let reference = track.reference();
    Some(MonitorDistribution {
        column: column(&view.spec, (name, of, track)),
        edges: reference.and_then(|r| r.edges.clone()),
        reference_counts: reference.map(|r| r.counts.clone()).unwrap_or_default(),
        window_counts: track.window().unwrap_or_default(),
    })
}

/// What a window's tiles keep of a column.
pub(crate) fn window_column(name: String, column: &Column) -> WindowColumn {
    let (numeric, text) = (column.numeric.as_ref(), column.text.as_ref());
    let quantiles = numeric.map(|n| &n.quantiles).filter(|q| q.count() > 0);
    let counted =
        numeric.map_or_else(|| text.map_or((0, 0), |t| (t.present, t.missing)), |n| (n.count() - n.missing, n.missing));
    WindowColumn {
        name,
        present: counted.0,
        missing: counted.1,
        mean: numeric.and_then(|n| n.moments.mean()),
        deviation: numeric.and_then(|n| n.moments.stddev()),
        min: quantiles.and_then(mainspring_stats::Kll::min),
        median: quantiles.and_then(|q| q.quantile(0.5)),
        max: quantiles.and_then(mainspring_stats::Kll::max),
        kll: quantiles.map(|q| STANDARD.encode(q.to_datasketches())),
        distinct: text.map(|t| t.distinct.estimate()),
        frequent_items: text.filter(|t| t.present > 0).map(|t| STANDARD.encode(t.frequent.to_bytes())),
    }
}
