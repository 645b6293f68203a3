//! Which path goes where.

use crate::api::{
    alerts, batches, conversions, cost, deployments, journal, lineage, models, monitors, performance, resources,
    rollouts, security, system, tracking, windows,
};
use crate::state::NativeState;
use axum::Router;
use axum::response::IntoResponse;
use axum::routing::{get, post, put};
use http::header::CONTENT_TYPE;
use std::sync::LazyLock;

/// Routes that need a caller; the server puts its guard in front of them.
pub fn routes(state: NativeState) -> Router {
    declared().merge(measured()).merge(alerted()).merge(tracked()).merge(administered()).with_state(state)
}

/// Routes that answer everybody: health, login, and the OpenAPI document.
pub fn open_routes(state: NativeState) -> Router {
    Router::new()
        .route("/livez", get(system::get_live))
        // What probes ask that were not set up for this server.
        .route("/healthz", get(system::get_live))
        .route("/readyz", get(system::get_ready))
        .route("/api/v1/session", post(security::login))
        .route("/api/v1/openapi.json", get(document))
        .with_state(state)
}

async fn document() -> impl IntoResponse {
    static TEXT: LazyLock<String> = LazyLock::new(|| crate::openapi().to_json().unwrap_or_default());
    ([(CONTENT_TYPE, "application/json")], TEXT.as_str())
}

fn declared() -> Router<NativeState> {
    Router::new()
        .route("/api/v1/apply", post(resources::apply_resources))
        .route("/api/v1/diff", post(resources::diff_resources))
        .route("/api/v1/resources", get(resources::list_resources))
        .route("/api/v1/resources/{kind}/{name}", get(resources::get_resource).delete(resources::delete_resource))
        .route("/api/v1/resources/{kind}/{name}/history", get(resources::get_resource_history))
        .route("/api/v1/resources/{kind}/{name}/rollback", post(resources::rollback_resource))
        .route("/api/v1/schemas", get(resources::list_kinds))
        .route("/api/v1/schemas/{kind}", get(resources::get_schema))
}

fn measured() -> Router<NativeState> {
    Router::new()
        .route("/api/v1/deployments", get(deployments::list_deployments))
        .route("/api/v1/deployments/{name}", get(deployments::get_deployment))
        .route("/api/v1/deployments/{name}/stats", get(deployments::get_deployment_stats))
        .route("/api/v1/deployments/{name}/batches", get(deployments::get_deployment_batches))
        .route("/api/v1/deployments/{name}/rules", get(deployments::get_deployment_rules))
        .route("/api/v1/deployments/{name}/live", get(deployments::watch_deployment))
        .route("/api/v1/deployments/{name}/predict", post(deployments::predict))
        .route("/api/v1/deployments/{name}/performance", post(performance::measure_performance))
        .route("/api/v1/deployments/{name}/estimate", post(windows::estimate_performance))
        .route("/api/v1/live", get(deployments::watch_deployments))
        .route("/api/v1/rollouts", get(rollouts::list_rollouts))
        .route("/api/v1/rollouts/{name}", get(rollouts::get_rollout))
        .route("/api/v1/rollouts/{name}/decisions", get(rollouts::list_rollout_decisions))
        .route("/api/v1/rollouts/{name}/start", post(rollouts::start_rollout))
        .route("/api/v1/rollouts/{name}/orders/{order}", post(rollouts::order_rollout))
        .route("/api/v1/rollouts/{name}/course", get(rollouts::get_rollout_course))
        .route("/api/v1/rollouts/{name}/replay", post(rollouts::replay_rollout))
        .route("/api/v1/monitors", get(monitors::list_monitors))
        .route("/api/v1/monitors/{name}", get(monitors::get_monitor))
        .route("/api/v1/monitors/{name}/distribution", get(monitors::get_monitor_distribution))
        .route("/api/v1/monitors/{name}/why", get(monitors::get_monitor_why))
        .route("/api/v1/monitors/{name}/history", get(monitors::get_monitor_history))
        .route("/api/v1/monitors/{name}/events", get(monitors::list_monitor_events))
        .route("/api/v1/deployments/{name}/profile", get(monitors::get_deployment_profile))
        .route("/api/v1/deployments/{name}/rows", get(windows::get_deployment_rows))
        .route("/api/v1/profiles", get(monitors::get_profile).post(monitors::save_profile))
        .route("/api/v1/profiles/state", get(monitors::get_profile_state))
        .route("/api/v1/batches", post(batches::tell_batch))
        .route("/api/v1/feedback", post(journal::send_feedback))
        .route("/api/v1/query", post(journal::query_journal))
        .route("/api/v1/journal", get(journal::get_journal))
}

fn alerted() -> Router<NativeState> {
    Router::new()
        .route("/api/v1/alerts", get(alerts::list_alerts))
        .route("/api/v1/alerts/silences", get(alerts::list_silences).post(alerts::silence_alerts))
        .route("/api/v1/alerts/silences/{id}", axum::routing::delete(alerts::end_silence))
        .route("/api/v1/alerts/channels", get(alerts::list_channels))
        .route("/api/v1/alerts/channels/{name}/test", post(alerts::test_channel))
        .route("/api/v1/alerts/rules", get(alerts::get_rules))
        .route("/api/v1/slos", get(alerts::list_slos))
        .route("/api/v1/cost", get(cost::get_cost))
        .route("/api/v1/cost/budgets", get(cost::list_budgets))
        .route("/api/v1/cost/hints", get(cost::get_cost_hints))
        .route("/api/v1/cost/roi/{deployment}", get(cost::get_roi))
}

fn tracked() -> Router<NativeState> {
    Router::new()
        .route("/api/v1/experiments", get(tracking::list_experiments))
        .route("/api/v1/runs/search", post(tracking::search_runs))
        .route("/api/v1/runs/compare", post(tracking::compare_runs))
        .route("/api/v1/runs/{id}", get(tracking::get_run))
        .route("/api/v1/runs/{id}/metric", get(tracking::get_metric_history))
        .route("/api/v1/runs/{id}/artifacts", get(tracking::list_run_artifacts))
        .route("/api/v1/models", get(models::list_models))
        .route("/api/v1/models/{name}", get(models::get_model))
        .route("/api/v1/models/{name}/lineage", get(models::get_lineage))
        .route("/api/v1/lineage/graph", get(lineage::get_graph))
        .route("/api/v1/models/{name}/aliases/{alias}", put(models::set_alias).delete(models::delete_alias))
        .route(
            "/api/v1/models/{name}/versions/{version}/freeze",
            post(models::freeze_version).delete(models::unfreeze_version),
        )
        .route("/api/v1/conversions", get(conversions::list_conversions).post(conversions::start_conversion))
        .route("/api/v1/conversions/{id}", get(conversions::get_conversion).delete(conversions::cancel_conversion))
        .route("/api/v1/purge", post(models::purge))
}

fn administered() -> Router<NativeState> {
    Router::new()
        .route("/api/v1/info", get(system::get_info))
        .route("/api/v1/overview", get(system::get_overview))
        .route("/api/v1/config", get(system::get_config))
        .route("/api/v1/session", get(security::get_session).delete(security::logout))
        .route("/api/v1/keys", get(security::list_keys).post(security::create_key))
        .route("/api/v1/keys/{id}", axum::routing::delete(security::revoke_key))
        .route("/api/v1/keys/{id}/rotate", post(security::rotate_key))
        .route("/api/v1/audit", get(security::list_audit))
}
