//! Histories of metrics.

use super::MlflowState;
use super::error::Failed;
use super::json::{Num, answer};
use super::request::Fields;
use axum::extract::State;
use axum::response::Response;
use mainspring_http::Caller;
use mainspring_registry::actions::ReadRun;
use mainspring_registry::points::Point;
use mainspring_registry::{MAX_POINTS, Sample};
use serde::Serialize;

/// Most runs of one request for histories.
const MAX_RUNS: usize = 100;
/// Most points a run in a plot.
const MAX_PLOT: i64 = 2500;

#[derive(Serialize)]
struct PointJson<'a> {
    key: &'a str,
    value: Num,
    timestamp: i64,
    step: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<&'a str>,
}

#[derive(Serialize)]
struct HistoryJson<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<PointJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

fn point<'a>(key: &'a str, p: &Point, run_id: Option<&'a str>) -> PointJson<'a> {
    PointJson { key, value: Num(p.value), timestamp: p.timestamp, step: p.step, run_id }
}

pub(super) async fn history(State(s): State<MlflowState>, Caller(who): Caller, f: Fields) -> Result<Response, Failed> {
    let (id, key) = (f.run_id()?, f.required("metric_key")?);
    let limit = match f.int("max_results")? {
        Some(n) if n <= 0 => {
            return Err(Failed::invalid(format!(
                "Invalid value {n} for parameter 'max_results' supplied. It must be a positive integer."
            )));
        }
        other => other.map(|n| n as u64),
    };
    let token = f.text("page_token")?;
    let auth = s.may(&who, ReadRun::on(&id))?;
    let page = s.registry.metric_history(&auth, &id, &key, (limit, token.as_deref())).await?;
    let metrics = page.items.iter().map(|p| point(&key, p, None)).collect();
    Ok(answer(&HistoryJson { metrics, next_page_token: page.next }))
}

/// The form that only MLflow's web page asks for.
pub(super) async fn history_bulk(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    f: Fields,
) -> Result<Response, Failed> {
    let runs = f.texts("run_id")?;
    if runs.is_empty() {
        return Err(Failed::invalid("GetMetricHistoryBulk request must specify at least one run_id."));
    }
    if runs.len() > MAX_RUNS {
        return Err(Failed::invalid(format!(
            "GetMetricHistoryBulk request cannot specify more than {MAX_RUNS} run_ids. Received {} run_ids.",
            runs.len()
        )));
    }
    let key = f
        .text("metric_key")?
        .ok_or_else(|| Failed::invalid("GetMetricHistoryBulk request must specify a metric_key."))?;
    let max = f.int("max_results")?.and_then(|n| usize::try_from(n).ok()).unwrap_or(MAX_POINTS).min(MAX_POINTS);
    let auth = s.may(&who, ReadRun::any())?;
    let found = s.registry.metric_history_bulk(&auth, &runs, &key, max).await?;
    let metrics: Vec<_> = found.iter().map(|(run, p)| point(&key, p, Some(run))).collect();
    // This one always has its list, also an empty one.
    Ok(answer(&serde_json::json!({"metrics": metrics})))
}

pub(super) async fn history_interval(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    f: Fields,
) -> Result<Response, Failed> {
    let runs = f.texts("run_ids")?;
    if runs.is_empty() {
        return Err(Fields::missing("run_ids"));
    }
    if runs.len() > MAX_RUNS {
        return Err(Failed::invalid(format!(
            "GetMetricHistoryBulkInterval request must specify at most {MAX_RUNS} run_ids. Received {} run_ids.",
            runs.len()
        )));
    }
    let key = f.required("metric_key")?;
    let max = f.int("max_results")?.unwrap_or(MAX_PLOT);
    if !(1..=MAX_PLOT).contains(&max) {
        return Err(Failed::invalid(format!("max_results must be between 1 and {MAX_PLOT}.")));
    }
    let within = match (f.int("start_step")?, f.int("end_step")?) {
        (Some(a), Some(b)) if a > b => {
            return Err(Failed::invalid(format!(
                "end_step must be greater than start_step. Found start_step={a} and end_step={b}."
            )));
        }
        (Some(a), Some(b)) => Some((a, b)),
        (None, None) => None,
        _ => {
            return Err(Failed::invalid("If either start step or end step are specified, both must be specified."));
        }
    };
    let auth = s.may(&who, ReadRun::any())?;
    let sample = Sample { max: usize::try_from(max).unwrap_or(1), within };
    let found = s.registry.metric_history_sampled(&auth, &runs, &key, sample).await?;
    let metrics = found.iter().map(|(run, p)| point(&key, p, Some(run))).collect();
    Ok(answer(&HistoryJson { metrics, next_page_token: None }))
}
