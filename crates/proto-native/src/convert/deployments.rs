//! Deployments and their counters.

use crate::dto::deployments::{
    BatchSizeView, BatchesOfVersion, ClosedView, ColumnField, DeploymentRule, DeploymentState, DeploymentSummary,
    ExecutionView, FailureView, Parts, Quantiles, RuleActionView, SignatureView, TensorField, Traffic, VersionDetail,
    VersionStatsView,
};
use mainspring_engine::TensorSpec;
use mainspring_serving::{
    Batches, Contract, DeploymentStats, DeploymentView, FailureCount, HistogramView, MlflowInputs, RuleAction,
    RuleView, State, VersionStats, VersionView,
};

/// Columns that are named after a tensor's second dimension, at most.
const MADE_COLUMNS: i64 = 512;
/// The longest duration that the histograms tell apart, nanoseconds (2^37).
const LONGEST_NS: u64 = 1 << 37;

impl From<State> for DeploymentState {
    fn from(state: State) -> Self {
        match state {
            State::Loading => Self::Loading,
            State::Ready => Self::Ready,
            State::Failed => Self::Failed,
            State::Draining => Self::Draining,
        }
    }
}

fn ms(ns: u64) -> f64 {
    ns.min(LONGEST_NS) as f64 / 1e6
}

/// Quantiles of a histogram, `None` while it is empty.
pub(crate) fn quantiles(h: &HistogramView) -> Option<Quantiles> {
    Some(Quantiles {
        p50: ms(h.quantile(0.5)?),
        p90: ms(h.quantile(0.9)?),
        p99: ms(h.quantile(0.99)?),
        mean: ms(h.mean_ns()),
        max: ms(h.quantile(1.0)?),
    })
}

/// The sum of histograms.
pub(crate) fn sum<'a>(all: impl Iterator<Item = &'a HistogramView>) -> HistogramView {
    let mut buckets = std::collections::BTreeMap::<u64, u64>::new();
    let (mut count, mut sum_ns) = (0, 0_u64);
    for h in all {
        for (bound, n) in &h.buckets {
            *buckets.entry(*bound).or_default() += n;
        }
        count += h.count;
        sum_ns = sum_ns.saturating_add(h.sum_ns);
    }
    HistogramView { buckets: buckets.into_iter().collect(), count, sum_ns }
}

/// What was recorded after `before`. A histogram that was started anew counts whole.
pub(crate) fn since(now: &HistogramView, before: &HistogramView) -> HistogramView {
    if now.count < before.count {
        return now.clone();
    }
    let old: std::collections::BTreeMap<u64, u64> = before.buckets.iter().copied().collect();
    let buckets: Vec<(u64, u64)> = now
        .buckets
        .iter()
        .map(|(bound, n)| (*bound, n.saturating_sub(old.get(bound).copied().unwrap_or(0))))
        .filter(|(_, n)| *n > 0)
        .collect();
    let count = buckets.iter().map(|(_, n)| n).sum();
    HistogramView { buckets, count, sum_ns: now.sum_ns.saturating_sub(before.sum_ns) }
}

fn failures(all: &[FailureCount]) -> Vec<FailureView> {
    all.iter().map(|f| FailureView { kind: f.kind.as_str().to_owned(), count: f.count }).collect()
}

fn count(all: &[FailureCount]) -> u64 {
    all.iter().map(|f| f.count).sum()
}

/// Totals over all versions, with what was refused when none could answer.
pub(crate) fn traffic(stats: &DeploymentStats) -> Traffic {
    let versions = &stats.versions;
    Traffic {
        answered: versions.iter().map(|v| v.success.count).sum(),
        failed: versions.iter().map(|v| v.fail.count).sum::<u64>() + count(&stats.unserved),
        rows: versions.iter().map(|v| v.inference_count).sum(),
        latency: quantiles(&sum(versions.iter().map(|v| &v.total))),
    }
}

pub(crate) fn summary(view: &DeploymentView, stats: Option<&DeploymentStats>) -> DeploymentSummary {
    DeploymentSummary {
        name: view.name.to_string(),
        state: view.state.into(),
        reason: view.reason.clone(),
        choice: view.choice.clone(),
        since: view.since.into(),
        model: view.spec.model.clone(),
        version: view.current().map(|v| v.contract.target.version.to_string()),
        default: view.spec.default,
        traffic: stats.map(traffic).unwrap_or_default(),
    }
}

fn tensor(spec: &TensorSpec) -> TensorField {
    TensorField { name: spec.name.to_string(), datatype: spec.dtype.as_str().to_owned(), shape: spec.shape.clone() }
}

/// What a row of `predict` is made of: the columns that the model was logged with, else a column
/// for each input, else one for each place of a single input's second dimension.
pub(crate) fn columns(contract: &Contract) -> Vec<ColumnField> {
    if let Some(MlflowInputs::Columns(columns)) = contract.mlflow().and_then(|s| s.inputs.as_ref()) {
        let field = |(i, c): (usize, &mainspring_serving::ColumnSpec)| ColumnField {
            name: c.name.as_ref().map_or_else(|| i.to_string(), ToString::to_string),
            type_: c.kind.as_str().to_owned(),
            required: c.required,
        };
        return columns.iter().enumerate().map(field).collect();
    }
    let made = |name: String, spec: &TensorSpec| ColumnField {
        name,
        type_: spec.dtype.as_str().to_lowercase(),
        required: true,
    };
    match contract.signature.inputs.as_slice() {
        [only] if only.shape.len() == 2 && (1..=MADE_COLUMNS).contains(&only.shape[1]) => {
            (0..only.shape[1]).map(|i| made(format!("{}[{i}]", only.name), only)).collect()
        }
        inputs if inputs.iter().all(|i| matches!(i.shape.as_slice(), [_] | [_, 1 | -1])) => {
            inputs.iter().map(|i| made(i.name.to_string(), i)).collect()
        }
        _ => Vec::new(),
    }
}

fn signature(contract: &Contract) -> SignatureView {
    SignatureView {
        inputs: contract.signature.inputs.iter().map(tensor).collect(),
        outputs: contract.signature.outputs.iter().map(tensor).collect(),
        columns: columns(contract),
    }
}

impl From<&VersionView> for VersionDetail {
    fn from(v: &VersionView) -> Self {
        let target = &v.contract.target;
        Self {
            variant: target.variant.to_string(),
            model: target.model.to_string(),
            version: target.version.to_string(),
            state: v.state.into(),
            current: v.current,
            engine: v.engine.to_owned(),
            instances: v.instances as u64,
            memory_bytes: v.memory_bytes,
            loaded_at: v.loaded_at.into(),
            load_ms: v.load_ms,
            execution: ExecutionView {
                inline_rows: v.execution.inline_rows as u64,
                batched: v.execution.batched,
                one_row_us: v.execution.one_row_ns as f64 / 1e3,
                per_row_us: v.execution.per_row_ns as f64 / 1e3,
            },
            warnings: v.warnings.clone(),
            signature: signature(&v.contract),
        }
    }
}

impl From<&VersionStats> for VersionStatsView {
    fn from(v: &VersionStats) -> Self {
        Self {
            version: v.target.version.to_string(),
            variant: v.target.variant.to_string(),
            traffic: Traffic {
                answered: v.success.count,
                failed: v.fail.count,
                rows: v.inference_count,
                latency: quantiles(&v.total),
            },
            failures: failures(&v.failures),
            parts: Parts { queue: quantiles(&v.queue), engine: quantiles(&v.engine), encode: quantiles(&v.encode) },
        }
    }
}

/// Each version, and last, under the version `-`, what was refused when none could answer.
pub(crate) fn versions(stats: &DeploymentStats) -> Vec<VersionStatsView> {
    let mut all: Vec<VersionStatsView> = stats.versions.iter().map(Into::into).collect();
    if !stats.unserved.is_empty() {
        all.push(VersionStatsView {
            version: "-".to_owned(),
            variant: "-".to_owned(),
            traffic: Traffic { failed: count(&stats.unserved), ..Traffic::default() },
            failures: failures(&stats.unserved),
            parts: Parts::default(),
        });
    }
    all
}

impl From<Batches> for BatchesOfVersion {
    fn from(b: Batches) -> Self {
        let size = |s: mainspring_serving::BatchStats| BatchSizeView {
            rows: s.rows as u64,
            calls: s.executions,
            mean_us: s.engine_ns as f64 / 1e3 / s.executions.max(1) as f64,
        };
        Self {
            version: b.version.to_string(),
            current: b.current,
            max_rows: b.max_rows,
            max_delay_ms: b.max_delay_ms,
            waiting: b.waiting as u64,
            batches: b.closed.iter().map(|(_, n)| n).sum(),
            closed_by: b
                .closed
                .into_iter()
                .map(|(by, count)| ClosedView { reason: by.as_str().to_owned(), count })
                .collect(),
            sizes: b.rows.into_iter().map(size).collect(),
        }
    }
}

impl From<RuleView> for DeploymentRule {
    fn from(rule: RuleView) -> Self {
        let action = match rule.action {
            RuleAction::Count => RuleActionView::Count,
            RuleAction::Flag => RuleActionView::Flag,
            RuleAction::Reject => RuleActionView::Reject,
        };
        let RuleView { name, kind, looked, broken, requests, .. } = rule;
        Self { name, kind, action, rows: looked, broken, requests }
    }
}
