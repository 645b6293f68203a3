//! Every protocol on one router, each behind the guard with its own shape of refusals.

use crate::config::{Resolved, Settings};
use crate::health::Health;
use crate::metrics::{self, Source};
use crate::ports::Doorman;
use crate::shortcut::Shortcut;
use crate::start::Parts;
use crate::views::Whole;
use crate::{console, trace};
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use mainspring_core::{Ctx, ErrorKind, Principal, Tasks};
use mainspring_http::{ApiError, Caller, Guard, apart, problem};
use mainspring_proto_aws::AwsState;
use mainspring_proto_azure::AzureState;
use mainspring_proto_classic::ClassicState;
use mainspring_proto_flags::FlagsState;
use mainspring_proto_lineage::LineageState;
use mainspring_proto_mlflow::{MlflowState, scoring};
use mainspring_proto_native::NativeState;
use mainspring_proto_oip::{Limits, OipState};
use std::sync::Arc;

/// What the routes are made of, besides the parts.
pub struct Front {
    /// Whether requests are welcome.
    pub health: Health,
    /// The tasks of connections: they end, with the streams on them, before the parts do.
    pub tasks: Tasks,
    /// What is measured.
    pub source: Source,
    /// Settings with their origins.
    pub resolved: Option<Resolved>,
}

/// All routes.
pub fn app(settings: &Settings, parts: &Parts, front: Front) -> Shortcut {
    let doorman = Doorman {
        security: parts.security.clone(),
        loopback: settings.open_on_loopback().then(|| Arc::new(Principal::loopback())),
        hosts: settings.hostnames.clone(),
    };
    let guard = Guard::new(Arc::new(doorman));
    // Live streams and sockets watch these tasks' token, so that draining does not wait for them.
    let ctx = Ctx { tasks: front.tasks, ..parts.ctx.clone() };
    let limits = Limits { max_body: settings.body_limit, ..Limits::default() };
    let ready = front.health.clone();
    let oip = OipState::new(parts.serving.clone(), parts.gate.clone(), ctx.clone(), limits, move || ready.ready());
    let scoring_state = scoring::ScoringState::new(parts.serving.clone(), parts.gate.clone(), settings.body_limit);
    let mlflow = MlflowState { registry: parts.registry.clone(), gate: parts.gate.clone() };
    let native = native(settings, parts, &ctx, (front.health.clone(), front.resolved));
    let classic =
        ClassicState { serving: parts.serving.clone(), gate: parts.gate.clone(), scoring: scoring_state.clone() };
    let aws = AwsState {
        serving: parts.serving.clone(),
        resources: parts.resources.clone(),
        gate: parts.gate.clone(),
        scoring: scoring_state.clone(),
    };
    let flags = FlagsState { serving: parts.serving.clone(), gate: parts.gate.clone() };
    let lineage =
        LineageState { lineage: parts.lineage.clone(), gate: parts.gate.clone(), max_body: settings.body_limit };
    let azure = AzureState { personalizers: parts.personalizers.clone(), gate: parts.gate.clone() };
    let rest = mainspring_proto_oip::routes(oip.clone());
    let grpc = mainspring_proto_oip::grpc(oip.clone());
    let scoring = scoring::routes(scoring_state.clone()).merge(scoring::root(scoring_state));
    let native_routes = mainspring_proto_native::routes(native.clone());
    let tracking = guard.protect(mainspring_proto_mlflow::routes(mlflow), mainspring_proto_mlflow::render_error);
    // A pool's connections belong to the runtime that opened them, and have to outlive a listener's. What is on
    // this machine is read and written by threads of its own.
    let local = settings.database.is_none() && settings.artifacts.is_none();
    let tracking = if local { tracking } else { apart(tracking) };
    let app = Router::new()
        .merge(guard.protect(rest, mainspring_proto_oip::render_error))
        .merge(guard.open(mainspring_proto_oip::probes(oip.clone()), mainspring_proto_oip::render_error))
        .merge(guard.protect(grpc, mainspring_proto_oip::render_grpc_error))
        .merge(guard.open(mainspring_proto_oip::grpc_probes(oip.clone()), mainspring_proto_oip::render_grpc_error))
        .merge(guard.protect(scoring, scoring::render_error))
        .merge(tracking)
        .merge(guard.protect(mainspring_proto_classic::routes(classic), mainspring_proto_classic::render_error))
        .merge(guard.protect(mainspring_proto_aws::runtime(aws.clone()), mainspring_proto_aws::render_error))
        .merge(guard.protect(mainspring_proto_aws::container(aws), mainspring_proto_aws::render_plain))
        .merge(guard.protect(mainspring_proto_flags::routes(flags), mainspring_proto_flags::render_error))
        .merge(guard.protect(mainspring_proto_azure::routes(azure), mainspring_proto_azure::render_error))
        .merge(guard.open(mainspring_proto_mlflow::open_routes(), mainspring_proto_mlflow::render_error))
        .merge(apart(guard.protect(native_routes, problem)))
        .merge(apart(guard.protect(mainspring_proto_lineage::routes(lineage), problem)))
        .merge(apart(guard.open(mainspring_proto_native::open_routes(native), problem)))
        .merge(apart(guard.protect(metrics_route(front.source), problem)))
        .merge(console::routes())
        .fallback(|| async {
            ApiError::new(ErrorKind::NotFound, "there is nothing at this path")
                .hint("the console is at /ui/, the API under /api/v1, models under /v2/models")
                .into_response()
        });
    if settings.otlp_endpoint.is_some() { Shortcut::none(trace::layer(app)) } else { Shortcut::new(oip, &guard, app) }
}

fn native(
    settings: &Settings,
    parts: &Parts,
    ctx: &Ctx,
    (health, resolved): (Health, Option<Resolved>),
) -> NativeState {
    let views = Whole {
        started_at: ctx.now(),
        db: parts.db.clone(),
        artifacts: settings.artifacts.clone().unwrap_or_else(|| settings.data.join("artifacts").display().to_string()),
        onnx: parts.onnx.clone(),
        health,
        resolved,
        open_on_loopback: settings.open_on_loopback(),
        lineage: parts.lineage.clone(),
        gate: parts.gate.clone(),
    };
    NativeState {
        registry: parts.registry.clone(),
        serving: parts.serving.clone(),
        conversions: parts.conversions.clone(),
        rollouts: parts.rollouts.clone(),
        monitors: parts.monitors.clone(),
        rollout_events: crate::rollouts::recorded(parts, ctx),
        alerts: parts.alerts.clone(),
        buckets: metrics::buckets(),
        journal: parts.journal.clone(),
        query: parts.query.clone(),
        performance: parts.performance.clone(),
        costs: parts.costs.clone(),
        lineage: parts.lineage.clone(),
        security: parts.security.clone(),
        resources: parts.resources.clone(),
        gate: parts.gate.clone(),
        views: Arc::new(views),
        ctx: ctx.clone(),
        max_body: settings.body_limit,
    }
}

fn metrics_route(source: Source) -> Router {
    Router::new().route(
        "/metrics",
        get(move |Caller(who): Caller| async move {
            match source.read(&who) {
                Ok(reading) => {
                    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], reading.render()).into_response()
                }
                Err(denied) => ApiError::from(denied).into_response(),
            }
        }),
    )
}
