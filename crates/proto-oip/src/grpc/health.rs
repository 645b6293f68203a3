//! `grpc.health.v1.Health`.

use crate::state::OipState;
use futures::stream::{self, BoxStream, StreamExt};
use std::time::Duration;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// How often a watcher's state is looked at.
const EVERY: Duration = Duration::from_millis(500);

pub(crate) struct Probe {
    state: OipState,
}

impl Probe {
    pub(crate) fn new(state: OipState) -> Self {
        Self { state }
    }
}

fn status(state: &OipState) -> ServingStatus {
    if state.ready() { ServingStatus::Serving } else { ServingStatus::NotServing }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

fn known(service: &str) -> bool {
    matches!(service, "" | "inference.GRPCInferenceService")
}

#[tonic::async_trait]
impl Health for Probe {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        if known(&service) {
            Ok(Response::new(answer(status(&self.state))))
        } else {
            Err(Status::not_found(format!("there is no service {service:?}; ask for the server by the empty name")))
        }
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    /// The state now and whenever it changes. A service that is not known is `SERVICE_UNKNOWN`, as
    /// the health protocol asks.
    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let known = known(&request.into_inner().service);
        let stop = self.state.ctx().tasks.cancelled();
        let state = self.state.clone();
        let ticks = tokio::time::interval(EVERY);
        let changes = stream::unfold((ticks, None), move |(mut ticks, last)| {
            let state = state.clone();
            async move {
                loop {
                    ticks.tick().await;
                    let now = if known { status(&state) } else { ServingStatus::ServiceUnknown };
                    if last != Some(now) {
                        return Some((Ok(answer(now)), (ticks, Some(now))));
                    }
                }
            }
        });
        // The last word of a server that stops is that it no longer serves.
        let last = stream::iter(known.then(|| Ok(answer(ServingStatus::NotServing))));
        Ok(Response::new(changes.take_until(stop.cancelled_owned()).chain(last).boxed()))
    }
}
