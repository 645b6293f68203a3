//! Performance as the API shows it.

use super::span::{span, wrong};
use crate::dto::performance::{
    CalibrationBin, LabelDelay, MeasureDto, PerformanceComparison, PerformanceGroup, PerformanceMetric,
    PerformanceReport, PerformanceRequest, SegmentValue,
};
use mainspring_core::{Name, Timestamp};
use mainspring_http::ApiError;
use mainspring_monitor::performance::{Comparison, Group, Metric, Report, Request, Task};
use mainspring_monitor::segment::Segment;
use mainspring_stats::performance::{Level, Measure};
use std::collections::BTreeMap;

const DAY: u64 = 86_400;
const MOST_K: usize = 1_000;

/// What was asked of a deployment, with what was left out.
pub(crate) fn request(deployment: Name, asked: PerformanceRequest, now: Timestamp) -> Result<Request, ApiError> {
    let (from, until) = span((asked.from.as_deref(), asked.until.as_deref(), asked.last_seconds), (now, DAY))?;
    let task = asked.task.as_deref().map(str::parse::<Task>).transpose().map_err(wrong)?;
    let confidence = asked.confidence.unwrap_or(0.95);
    let level = Level::new(confidence)
        .ok_or_else(|| wrong(format!("confidence is {confidence}; it must be between 0 and 1, e.g. 0.95")))?;
    let k = asked.k.unwrap_or(10);
    if !(1..=MOST_K).contains(&k) {
        return Err(wrong(format!("k is {k}; it must be between 1 and {MOST_K}")));
    }
    Ok(Request {
        deployment,
        from,
        until,
        segment: segment(asked.segment),
        now,
        label: asked.label.unwrap_or_else(|| "label".into()),
        prediction: asked.prediction,
        score: asked.score,
        task,
        by: asked.by,
        positive: asked.positive,
        k,
        worth: asked.worth,
        level,
    })
}

/// Columns with the values of them that people wrote.
pub(crate) fn segment(written: BTreeMap<String, SegmentValue>) -> Segment {
    let shown = |value| match value {
        SegmentValue::Truth(yes) => yes.to_string(),
        SegmentValue::Number(n) => n.to_string(),
        SegmentValue::Text(text) => text,
    };
    written.into_iter().map(|(column, value)| (column, shown(value))).collect()
}

pub(crate) fn measure(of: &Measure) -> MeasureDto {
    let source = of.interval.map(|i| i.method.source().to_owned());
    MeasureDto { value: of.value, low: of.interval.map(|i| i.low), high: of.interval.map(|i| i.high), method: source }
}

fn metric(of: Metric) -> PerformanceMetric {
    PerformanceMetric { name: of.name.to_owned(), class: of.class, measure: measure(&of.measure) }
}

fn group(of: Group) -> PerformanceGroup {
    let bin = |b: &mainspring_stats::performance::Bin| CalibrationBin {
        rows: b.rows,
        predicted: b.predicted,
        observed: measure(&b.observed),
    };
    PerformanceGroup {
        by: of.by.into_iter().collect(),
        rows: of.rows,
        labeled: of.labeled,
        unfit: of.unfit,
        metrics: of.metrics.into_iter().map(metric).collect(),
        confusion: of.confusion,
        calibration: of.calibration.iter().map(bin).collect(),
        calibration_by_chance: of.calibration_by_chance,
    }
}

fn comparison(of: Comparison) -> PerformanceComparison {
    PerformanceComparison {
        group: of.group,
        name: of.name.to_owned(),
        class: of.class,
        difference: measure(&of.difference),
        ratio: of.ratio.as_ref().map(measure),
        differs: of.differs,
    }
}

/// The report of what was asked.
pub(crate) fn report(asked: &Request, of: Report) -> PerformanceReport {
    let delay = of.delay.map(|d| LabelDelay { median_seconds: d.median, p95_seconds: d.most, may_come: d.may_come });
    PerformanceReport {
        deployment: asked.deployment.as_str().to_owned(),
        segment: (!asked.segment.is_all()).then(|| asked.segment.to_string()),
        label: asked.label.clone(),
        task: of.task.as_str().to_owned(),
        prediction: of.prediction,
        score: of.score,
        classes: of.classes,
        positive: of.positive,
        k: (of.task == Task::Ranking).then_some(asked.k),
        from: of.from.into(),
        until: of.until.into(),
        confidence: asked.level.confidence(),
        delay,
        overall: group(of.overall),
        groups: of.groups.into_iter().map(group).collect(),
        comparisons: of.comparisons.into_iter().map(comparison).collect(),
        fairness: of.fairness.into_iter().map(metric).collect(),
        notes: of.notes,
    }
}
