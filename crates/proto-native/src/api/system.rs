//! The server itself.

use super::{Failures, Reply};
use crate::dto::deployments::{DeploymentState, DeploymentSummary};
use crate::dto::system::{Config, Counts, Health, Info, Overview};
use crate::dto::tracking::RunSummary;
use crate::state::NativeState;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use mainspring_core::{Action, Effect, Principal, Resource};
use mainspring_http::{ApiError, Caller};
use mainspring_registry::actions::{ReadExperiment, ReadModel, ReadRun};
use mainspring_registry::{ExperimentSearch, ModelSearch, RunSearch};
use std::sync::Arc;

/// Look at the server's settings.
#[derive(Debug, Clone, Copy)]
struct ReadConfig;

impl Action for ReadConfig {
    const NAME: &'static str = "config.read";
    const EFFECT: Effect = Effect::Admin;

    fn resource(&self) -> Resource {
        Resource { kind: "server", name: "config".to_owned() }
    }
}

/// Look at what the server is.
#[derive(Debug, Clone, Copy)]
struct ReadInfo;

impl Action for ReadInfo {
    const NAME: &'static str = "server.info";
    const EFFECT: Effect = Effect::Infer;

    fn resource(&self) -> Resource {
        Resource { kind: "server", name: "info".to_owned() }
    }
}

#[utoipa::path(get, path = "/livez", operation_id = "getLive", tag = "system",
    responses((status = 200, description = "The process is up", body = String, content_type = "text/plain"), Failures))]
pub(crate) async fn get_live() -> &'static str {
    "live\n"
}

#[utoipa::path(get, path = "/readyz", operation_id = "getReady", tag = "system",
    responses((status = 200, description = "Whether the server takes requests", body = Health), Failures))]
pub(crate) async fn get_ready(State(s): State<NativeState>) -> Response {
    let health: Health = s.views.health();
    let status = if health.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health)).into_response()
}

#[utoipa::path(get, path = "/api/v1/info", operation_id = "getInfo", tag = "system",
    responses((status = 200, description = "What this server is", body = Info), Failures))]
pub(crate) async fn get_info(State(s): State<NativeState>, Caller(who): Caller) -> Reply<Info> {
    s.may(&who, ReadInfo)?;
    Ok(Json(s.views.info()))
}

#[utoipa::path(get, path = "/api/v1/overview", operation_id = "getOverview", tag = "system",
    responses((status = 200, description = "What runs, what is new, what needs a look", body = Overview), Failures))]
pub(crate) async fn get_overview(State(s): State<NativeState>, Caller(who): Caller) -> Reply<Overview> {
    let deployments = super::deployments::summaries(&s, &who)?;
    let counts = Counts { deployments: deployments.len() as u64, ..count(&s, &who).await? };
    let recent_runs = recent_runs(&s, &who).await?;
    let journal = super::journal::view(&s);
    let headline = headline(&counts, &deployments);
    Ok(Json(Overview { headline, counts, deployments, recent_runs, journal: Some(journal) }))
}

#[utoipa::path(get, path = "/api/v1/config", operation_id = "getConfig", tag = "system",
    responses((status = 200, description = "Every setting and where its value comes from", body = Config), Failures))]
pub(crate) async fn get_config(State(s): State<NativeState>, Caller(who): Caller) -> Reply<Config> {
    s.may(&who, ReadConfig)?;
    Ok(Json(s.views.config()))
}

/// The most pages that are counted, of 1000 each.
const PAGES: usize = 20;

async fn count(s: &NativeState, who: &Arc<Principal>) -> Result<Counts, ApiError> {
    let mut counts = Counts::default();
    let auth = s.may(who, ReadExperiment::any())?;
    let mut search = ExperimentSearch::default();
    for _ in 0..PAGES {
        let page = s.registry.experiments_with_counts(&auth, &search).await?;
        counts.experiments += page.items.len() as u64;
        counts.runs += page.items.iter().map(|e| e.runs).sum::<u64>();
        search.page_token = page.next;
        if search.page_token.is_none() {
            break;
        }
    }
    let auth = s.may(who, ReadModel::any())?;
    let mut search = ModelSearch { max_results: 1000, ..ModelSearch::default() };
    for _ in 0..PAGES {
        let page = s.registry.search_models(&auth, &search).await?;
        counts.models += page.items.len() as u64;
        search.page_token = page.next;
        if search.page_token.is_none() {
            break;
        }
    }
    search.page_token = None;
    for _ in 0..PAGES {
        let page = s.registry.search_versions(&auth, &search).await?;
        counts.model_versions += page.items.len() as u64;
        search.page_token = page.next;
        if search.page_token.is_none() {
            break;
        }
    }
    Ok(counts)
}

async fn recent_runs(s: &NativeState, who: &Arc<Principal>) -> Result<Vec<RunSummary>, ApiError> {
    let experiments = super::tracking::active_experiments(s, who).await?;
    let search = RunSearch { experiments, max_results: 10, ..RunSearch::default() };
    let page = s.registry.search_runs(&s.may(who, ReadRun::any())?, &search).await?;
    Ok(page.items.into_iter().map(Into::into).collect())
}

/// The state in one sentence with figures.
fn headline(counts: &Counts, deployments: &[DeploymentSummary]) -> String {
    let plural = |n: u64, one: &str| format!("{} {one}{}", grouped(n), if n == 1 { "" } else { "s" });
    let waits: Vec<&str> = deployments
        .iter()
        .filter(|d| d.state != DeploymentState::Ready || d.reason.is_some())
        .map(|d| d.name.as_str())
        .collect();
    let served: u64 = deployments.iter().map(|d| d.traffic.answered).sum();
    let failed: u64 = deployments.iter().map(|d| d.traffic.failed).sum();
    let figures = format!("{}, {}", plural(counts.runs, "run"), plural(counts.model_versions, "model version"));
    if deployments.is_empty() {
        return format!("Nothing is deployed yet; {figures} are registered.");
    }
    let deployed = plural(deployments.len() as u64, "deployment");
    let attention = if waits.is_empty() {
        "all ready".to_owned()
    } else {
        format!("{} not as declared ({})", waits.len(), waits.join(", "))
    };
    let traffic = format!("{} answered and {} failed since the start", plural(served, "request"), grouped(failed));
    format!("{deployed}, {attention}; {traffic}; {figures}.")
}

/// A number with a comma between its thousands.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_parted() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (12_345, "12,345"), (1_234_567, "1,234,567")];
        for (n, text) in cases {
            assert_eq!(grouped(n), text);
        }
    }
}
