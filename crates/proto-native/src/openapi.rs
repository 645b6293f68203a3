//! The OpenAPI document, made from the handlers and the types that they take and give.

use crate::api;
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Mainspring",
        description = "The native API. Errors are application/problem+json (RFC 9457).",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        api::system::get_live,
        api::system::get_ready,
        api::system::get_info,
        api::system::get_overview,
        api::system::get_config,
        api::resources::apply_resources,
        api::resources::diff_resources,
        api::resources::list_resources,
        api::resources::get_resource,
        api::resources::delete_resource,
        api::resources::get_resource_history,
        api::resources::rollback_resource,
        api::resources::list_kinds,
        api::resources::get_schema,
        api::deployments::list_deployments,
        api::deployments::get_deployment,
        api::deployments::get_deployment_stats,
        api::deployments::get_deployment_batches,
        api::deployments::get_deployment_rules,
        api::deployments::watch_deployment,
        api::deployments::watch_deployments,
        api::deployments::predict,
        api::performance::measure_performance,
        api::windows::estimate_performance,
        api::batches::tell_batch,
        api::journal::send_feedback,
        api::journal::query_journal,
        api::journal::get_journal,
        api::tracking::list_experiments,
        api::tracking::search_runs,
        api::tracking::compare_runs,
        api::tracking::get_run,
        api::tracking::get_metric_history,
        api::tracking::list_run_artifacts,
        api::models::list_models,
        api::models::get_model,
        api::models::get_lineage,
        api::lineage::get_graph,
        api::models::freeze_version,
        api::models::unfreeze_version,
        api::models::set_alias,
        api::models::delete_alias,
        api::models::purge,
        api::conversions::start_conversion,
        api::conversions::list_conversions,
        api::conversions::get_conversion,
        api::conversions::cancel_conversion,
        api::alerts::list_alerts,
        api::alerts::list_silences,
        api::alerts::silence_alerts,
        api::alerts::end_silence,
        api::alerts::list_channels,
        api::alerts::test_channel,
        api::alerts::get_rules,
        api::alerts::list_slos,
        api::cost::get_cost,
        api::cost::list_budgets,
        api::cost::get_cost_hints,
        api::cost::get_roi,
        api::rollouts::list_rollouts,
        api::rollouts::get_rollout,
        api::rollouts::list_rollout_decisions,
        api::rollouts::start_rollout,
        api::rollouts::order_rollout,
        api::rollouts::get_rollout_course,
        api::rollouts::replay_rollout,
        api::monitors::list_monitors,
        api::monitors::get_monitor,
        api::monitors::get_monitor_distribution,
        api::monitors::list_monitor_events,
        api::monitors::get_monitor_history,
        api::monitors::get_monitor_why,
        api::monitors::get_deployment_profile,
        api::windows::get_deployment_rows,
        api::monitors::get_profile,
        api::monitors::get_profile_state,
        api::monitors::save_profile,
        api::security::login,
        api::security::get_session,
        api::security::logout,
        api::security::list_keys,
        api::security::create_key,
        api::security::rotate_key,
        api::security::revoke_key,
        api::security::list_audit
    ),
    components(schemas(mainspring_http::Problem, crate::dto::rollouts::RolloutOrder)),
    tags(
        (name = "system", description = "The server itself"),
        (name = "resources", description = "Declared state"),
        (name = "deployments", description = "Deployments, their traffic, and calling one"),
        (name = "rollouts", description = "Candidates that take a deployment's traffic in steps"),
        (name = "monitors", description = "What columns look like beside their reference, and when they drifted"),
        (name = "alerts", description = "What is wrong, who is told, and the budgets of objectives"),
        (name = "cost", description = "What answers cost, what they brought, and what stands idle"),
        (name = "journal", description = "Feedback and queries over what was predicted"),
        (name = "tracking", description = "Experiments and runs"),
        (name = "models", description = "Registered models, versions, aliases, lineage"),
        (name = "lineage", description = "What was made from what"),
        (name = "security", description = "Keys, sessions, audit")
    ),
    security(("bearer" = []), ("apiKey" = []), ("session" = []), ()),
    modifiers(&Schemes)
)]
struct Document;

struct Schemes;

impl utoipa::Modify for Schemes {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_with(Default::default);
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let key = ApiKey::Header(ApiKeyValue::new("x-api-key"));
        components.add_security_scheme("apiKey", SecurityScheme::ApiKey(key));
        let cookie = ApiKey::Cookie(ApiKeyValue::new(mainspring_http::guard::SESSION_COOKIE));
        components.add_security_scheme("session", SecurityScheme::ApiKey(cookie));
    }
}

/// The OpenAPI document of the native API.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}
