//! A closed loop of gRPC calls.

use crate::BenchError;
use bytes::Bytes;
use mainspring_proto_oip::pb;
use pb::grpc_inference_service_client::GrpcInferenceServiceClient;
use serde::Serialize;
use std::time::{Duration, Instant};
use tonic::transport::{Channel, Endpoint};

/// What to send.
#[derive(Debug, Clone)]
pub struct Plan {
    /// `http://127.0.0.1:8080`
    pub url: String,
    /// Name of the model.
    pub model: String,
    /// Columns of its one input, named `X`.
    pub columns: u32,
    /// Connections, each with one call at a time.
    pub connections: usize,
    /// How long.
    pub seconds: f64,
}

/// What came of it; times in microseconds.
#[derive(Debug, Serialize)]
pub struct Result {
    /// Answered calls a second.
    pub rps: f64,
    /// Calls that failed.
    pub failures: u64,
    /// Median.
    pub p50: f64,
    /// 99 % took at most this.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

/// Runs the plan.
pub async fn run(plan: &Plan) -> std::result::Result<Result, BenchError> {
    let endpoint = Endpoint::from_shared(plan.url.clone())?.tcp_nodelay(true);
    let mut clients = Vec::new();
    for _ in 0..plan.connections {
        clients.push(GrpcInferenceServiceClient::new(endpoint.connect().await?));
    }
    let started = Instant::now();
    let until = started + Duration::from_secs_f64(plan.seconds);
    let request = request(plan);
    let loops = clients.into_iter().map(|client| calls(client, request.clone(), until));
    let mut times = Vec::new();
    let mut failures = 0;
    for (mut some, failed) in futures::future::join_all(loops).await {
        times.append(&mut some);
        failures += failed;
    }
    let elapsed = started.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).map_or(0.0, |t| t.as_secs_f64() * 1e6);
    Ok(Result {
        rps: times.len() as f64 / elapsed,
        failures,
        p50: at(0.5),
        p99: at(0.99),
        max: times.last().map_or(0.0, |t| t.as_secs_f64() * 1e6),
    })
}

fn request(plan: &Plan) -> pb::ModelInferRequest {
    let row: Vec<u8> = (0..plan.columns).flat_map(|n| (n as f32 / 10.0).to_le_bytes()).collect();
    pb::ModelInferRequest {
        model_name: plan.model.clone(),
        inputs: vec![pb::model_infer_request::InferInputTensor {
            name: "X".to_owned(),
            datatype: "FP32".to_owned(),
            shape: vec![1, i64::from(plan.columns)],
            ..Default::default()
        }],
        raw_input_contents: vec![Bytes::from(row)],
        ..Default::default()
    }
}

/// One connection, until the time is up.
async fn calls(
    mut client: GrpcInferenceServiceClient<Channel>,
    request: pb::ModelInferRequest,
    until: Instant,
) -> (Vec<Duration>, u64) {
    let mut times = Vec::new();
    let mut failures = 0;
    let mut now = Instant::now();
    while now < until {
        let outcome = client.model_infer(request.clone()).await;
        let after = Instant::now();
        match outcome {
            Ok(_) => times.push(after - now),
            Err(_) => failures += 1,
        }
        now = after;
    }
    (times, failures)
}
