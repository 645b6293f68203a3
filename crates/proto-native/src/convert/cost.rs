//! Cost as the API shows it.

use super::span::{span, wrong};
use crate::dto::cost::{
    BudgetView, CostAmounts, CostHint, CostHints, CostHost, CostLine, CostReport, CostSaved, CostStorage, RoiGroup,
    RoiPart, RoiReport,
};
use crate::dto::performance::MeasureDto;
use mainspring_core::Timestamp;
use mainspring_cost::roi::{Group, Part};
use mainspring_cost::{By, Hints, Line, Report, Request, Roi, RoiRequest, Standing};
use mainspring_http::ApiError;

const WEEK: u64 = 7 * 86_400;

/// From when until when: the last so many seconds, a week when nothing is said, or from a time on.
pub(crate) fn window(
    last: Option<u64>,
    (from, until): (Option<&str>, Option<&str>),
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), ApiError> {
    let (from, until) = span((from, until, last), (now, WEEK))?;
    // Nothing was before the epoch.
    Ok((from.max(Timestamp(0).min(until.plus_micros(-1))), until))
}

/// `deployment,day` as what lines are told apart by.
pub(crate) fn by(text: Option<&str>) -> Result<Vec<By>, ApiError> {
    let parts = text.unwrap_or("deployment").split(',').map(str::trim).filter(|part| !part.is_empty());
    let mut found: Vec<By> = Vec::new();
    for part in parts {
        let one: By = part.parse().map_err(|e: String| wrong(e))?;
        if !found.contains(&one) {
            found.push(one);
        }
    }
    Ok(found)
}

pub(crate) fn nanos(ns: u128) -> u64 {
    u64::try_from(ns).unwrap_or(u64::MAX)
}

pub(crate) fn seconds(ns: u128) -> f64 {
    ns as f64 / 1e9
}

fn line(of: &Line, asked: &Request, priced: bool) -> CostLine {
    let usage = &of.usage;
    let cost = priced.then(|| CostAmounts {
        total: of.spent.total().to_string(),
        compute: of.spent.compute.to_string(),
        requests: of.spent.requests.to_string(),
        tokens: of.spent.tokens.to_string(),
    });
    CostLine {
        by: asked.by.iter().map(|by| by.as_str().to_owned()).zip(of.of.iter().cloned()).collect(),
        answers: usage.answers,
        requests: usage.requests,
        rows: usage.rows,
        compute_nanos: nanos(usage.compute_ns),
        compute_seconds: seconds(usage.compute_ns),
        queue_seconds: seconds(usage.queue_ns),
        tokens_in: usage.tokens.input,
        tokens_out: usage.tokens.output,
        saved: (usage.cached > 0).then(|| CostSaved {
            answers: usage.cached,
            compute_seconds: seconds(usage.saved.compute_ns),
            tokens_in: usage.saved.tokens.input,
            tokens_out: usage.saved.tokens.output,
            cost: priced.then(|| of.saved.to_string()),
        }),
        cost,
    }
}

/// The report of what was asked.
pub(crate) fn report(asked: &Request, of: Report) -> CostReport {
    let priced = of.prices.is_some();
    let host = of.host.map(|h| CostHost {
        cpu_seconds: seconds(h.cpu_ns),
        used_seconds: seconds(h.used_ns),
        paid: h.paid.to_string(),
        used: h.used.to_string(),
        unallocated: h.unallocated().to_string(),
    });
    let kept = of.kept.into_iter().map(|k| CostStorage {
        what: k.stored.what.to_owned(),
        of: k.stored.of,
        bytes: k.stored.bytes,
        cost: k.cost.map(|c| c.to_string()),
    });
    CostReport {
        from: asked.from.into(),
        until: asked.until.into(),
        by: asked.by.iter().map(|by| by.as_str().to_owned()).collect(),
        storage: kept.collect(),
        lines: of.lines.iter().map(|l| line(l, asked, priced)).collect(),
        total: CostLine { by: std::collections::BTreeMap::new(), ..line(&of.total, asked, priced) },
        prices: of.prices.as_ref().map(|(name, _)| name.to_string()),
        currency: of.prices.map(|(_, currency)| currency),
        host,
        notes: of.notes,
    }
}

/// Where a budget stands.
pub(crate) fn budget(of: Standing) -> BudgetView {
    let (spent, currency) = of.spent.map(|(money, currency)| (money.to_string(), currency)).unzip();
    BudgetView {
        name: of.name.to_string(),
        deployment: of.spec.deployment,
        key: of.spec.key,
        per: of.spec.per.as_str().to_owned(),
        from: of.from.into(),
        until: of.until.into(),
        amount: of.spec.amount.map(|a| a.to_string()),
        may_compute_seconds: of.spec.compute_seconds,
        spent,
        currency,
        compute_seconds: seconds(of.compute_ns),
        percent: of.share.map(|s| s * 100.0),
        forecast_percent: of.forecast.map(|f| f * 100.0),
        thresholds: of.spec.thresholds,
        problem: of.problem,
    }
}

/// Hints of a time.
pub(crate) fn hints((from, until): (Timestamp, Timestamp), of: Hints) -> CostHints {
    let hint = |h: mainspring_cost::Hint| CostHint {
        kind: h.kind.as_str().to_owned(),
        deployment: h.deployment,
        sentence: h.sentence,
        numbers: h.numbers,
    };
    CostHints {
        from: from.into(),
        until: until.into(),
        hints: of.hints.into_iter().map(hint).collect(),
        notes: of.notes,
    }
}

fn group(of: &Group, priced: bool) -> RoiGroup {
    let part = |p: &Part| RoiPart {
        answers: p.answers,
        compute_seconds: seconds(p.compute_ns),
        cost: priced.then(|| p.spent.total().to_string()),
    };
    let mean = of.mean.map(|m| MeasureDto {
        value: m.value,
        low: m.interval.map(|(low, _)| low),
        high: m.interval.map(|(_, high)| high),
        method: m.interval.map(|_| "asymptotic confidence sequence".to_owned()),
    });
    RoiGroup {
        variant: Some(of.variant.clone()).filter(|v| !v.is_empty()),
        version: Some(of.version.clone()).filter(|v| !v.is_empty()),
        predictions: of.predictions,
        known: of.known,
        successes: of.successes,
        value: of.value.to_string(),
        mean,
        cost: priced.then(|| of.cost().to_string()),
        cost_per_success: of.cost_per_success().filter(|_| priced).map(|c| c.to_string()),
        net: priced.then(|| (of.value - of.cost()).to_string()),
        parts: of.parts.iter().map(|(name, p)| ((*name).to_owned(), part(p))).collect(),
    }
}

/// What was brought, of what was asked.
pub(crate) fn roi(asked: &RoiRequest, of: &Roi) -> RoiReport {
    let priced = of.prices.is_some();
    RoiReport {
        deployment: asked.deployment.to_string(),
        from: asked.from.into(),
        until: asked.until.into(),
        currency: of.currency.clone(),
        prices: of.prices.as_ref().map(ToString::to_string),
        overall: group(&of.whole, priced),
        groups: of.groups.iter().map(|g| group(g, priced)).collect(),
        notes: of.notes.clone(),
    }
}
