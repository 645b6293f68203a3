//! Estimates as the API shows them.

use super::performance::segment;
use super::span::{span, wrong};
use crate::dto::estimates::{EstimateReport, EstimateRequest, EstimateWindow, EstimatedMetric, EstimatedPart};
use mainspring_core::{Name, Timestamp};
use mainspring_http::ApiError;
use mainspring_monitor::estimate::{Asked, Chunk, Report};
use mainspring_monitor::segment::Wanted;
use std::ops::RangeInclusive;

const DAY: u64 = 86_400;
const CHUNKS: RangeInclusive<usize> = 1..=1_000;

/// The rows of `deployment` that are meant, before `now` and of so many days where that is left out.
fn wanted(deployment: &Name, of: EstimateWindow, (now, days): (Timestamp, u64)) -> Result<Wanted, ApiError> {
    let (from, until) = span((of.from.as_deref(), of.until.as_deref(), of.last_seconds), (now, days * DAY))?;
    let segment = segment(of.segment);
    if of.others && segment.is_all() {
        return Err(wrong("others is of a segment, and there is none"));
    }
    let (variant, version, others) = (of.variant, of.version, of.others);
    Ok(Wanted { deployment: deployment.clone(), from, until, variant, version, segment, others })
}

/// What is asked: the window, the rows or the version that is learnt from, the name of the feedback, and the columns.
pub(crate) struct Meant {
    pub current: Wanted,
    pub rows: Wanted,
    pub model: Option<String>,
    pub feedback: String,
    pub asked: Asked,
}

/// With what was left out.
pub(crate) fn request(deployment: &Name, asked: EstimateRequest, now: Timestamp) -> Result<Meant, ApiError> {
    let chunks = asked.chunks.unwrap_or(10);
    if !CHUNKS.contains(&chunks) {
        return Err(wrong(format!("chunks is {chunks}; it must be between {} and {}", CHUNKS.start(), CHUNKS.end())));
    }
    let current = wanted(deployment, asked.window, (now, 1))?;
    let (model, rows) = (asked.reference.model, asked.reference.rows);
    if model.is_some() && rows.is_some() {
        return Err(wrong("a reference is a model or rows, not both"));
    }
    // What is not named is the time before the window, of the same variant and version.
    let before = current.from;
    let rows = match rows {
        Some(rows) => wanted(deployment, rows, (now, 30))?,
        None => {
            let (variant, version) = (current.variant.clone(), current.version.clone());
            wanted(deployment, EstimateWindow { variant, version, ..EstimateWindow::default() }, (before, 30))?
        }
    };
    let feedback = asked.label.unwrap_or_else(|| "label".to_owned());
    let asked = Asked {
        label: feedback.clone(),
        prediction: asked.prediction,
        scores: asked.scores,
        positive: asked.positive,
        features: Vec::new(),
        chunks,
    };
    Ok(Meant { current, rows, model, feedback, asked })
}

fn part(of: Chunk) -> EstimatedPart {
    let realized = of.realized;
    let metric = |m: mainspring_stats::estimate::Estimate| EstimatedMetric {
        name: m.metric.to_owned(),
        value: m.value,
        low: m.low,
        high: m.high,
        lower_threshold: m.lower_threshold,
        upper_threshold: m.upper_threshold,
        alert: m.alert,
        realized: realized.iter().find(|r| r.metric == m.metric).map(|r| r.value),
    };
    EstimatedPart {
        since: of.between.map(|[first, _]| first.into()),
        until: of.between.map(|[_, last]| last.into()),
        rows: of.rows,
        labeled: of.labeled,
        metrics: of.metrics.into_iter().map(metric).collect(),
    }
}

/// The report of a deployment's window.
pub(crate) fn report(deployment: &Name, of: Report) -> EstimateReport {
    let found = of.estimated;
    EstimateReport {
        deployment: deployment.to_string(),
        method: found.method.to_owned(),
        reference: of.source,
        reference_rows: found.rows[0],
        rows: found.rows[1],
        left_out: found.left_out,
        unkept: of.current.unkept,
        partial: of.current.partial,
        classes: found.classes,
        calibrated: found.calibrated,
        explained: found.explained,
        whole: part(found.whole),
        parts: found.chunks.into_iter().map(part).collect(),
        alert: found.alert,
    }
}
