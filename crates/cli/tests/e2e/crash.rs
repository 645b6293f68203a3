//! kill -9 in the middle of writing: what was acknowledged is there.

use crate::harness::{Server, answer, fixture};
use mainspring_testkit::eventually;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn runs_metrics_and_artifacts_survive_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Server::on(&data, &[]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let written = Arc::new(AtomicU64::new(0));
    let mut writers = Vec::new();
    for _ in 0..4 {
        let (stop, http, base) = (Arc::clone(&stop), crate::harness::client(), server.base.clone());
        let written = Arc::clone(&written);
        writers.push(tokio::spawn(async move { write_until(&stop, &http, &base, &written).await }));
    }
    eventually("runs are written", || async { written.load(Ordering::Relaxed) > 50 }).await;
    server.kill();
    stop.store(true, Ordering::SeqCst);
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    assert!(acknowledged.len() > 50, "only {} runs before the kill", acknowledged.len());

    let server = Server::on(&data, &[]).await;
    for (run, artifact) in acknowledged {
        let (status, body) = server.get(&format!("/api/2.0/mlflow/runs/get?run_id={run}")).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["run"]["data"]["metrics"][0]["value"], json!(0.25), "{body}");
        let (status, body) = answer(server.request("GET", &artifact)).await;
        assert_eq!((status, body.as_str()), (200, Some(run.as_str())));
    }
}

/// Logs runs, each with a metric and an artifact that holds its id. Returns those that were
/// acknowledged whole.
async fn write_until(
    stop: &AtomicBool,
    http: &reqwest::Client,
    base: &str,
    written: &AtomicU64,
) -> Vec<(String, String)> {
    let mut done = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let post = |path: &str, body| http.post(format!("{base}/api/2.0/mlflow/{path}")).json(&body);
        let Ok(made) = post("runs/create", json!({"experiment_id": "0"})).send().await else { break };
        let Ok(made) = made.json::<serde_json::Value>().await else { break };
        let run = made["run"]["info"]["run_id"].as_str().unwrap().to_owned();
        let metric = json!({"run_id": run, "key": "loss", "value": 0.25, "timestamp": 1, "step": 0});
        if !post("runs/log-metric", metric).send().await.is_ok_and(|r| r.status().is_success()) {
            break;
        }
        let artifact = format!("/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/id.txt");
        let put = http.put(format!("{base}{artifact}")).body(run.clone());
        if !put.send().await.is_ok_and(|r| r.status().is_success()) {
            break;
        }
        done.push((run, artifact));
        written.fetch_add(1, Ordering::Relaxed);
    }
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_sync_always_every_answered_prediction_survives_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let flags = ["--journal-sync", "always"];
    let mut server = Server::on(&data, &flags).await;
    server.register("echo", &fixture("identity.onnx")).await;
    let applied =
        server.apply("apiVersion: mainspring/v1\nkind: Deployment\nname: echo\nmodel: models:/echo@champion\n");
    assert!(applied.status.success(), "{}", crate::harness::text(&applied.stderr));
    let input = crate::journey::identity_input(&server, "echo").await;
    let mut ids = Vec::new();
    for _ in 0..50 {
        let response = server.request("POST", "/v2/models/echo/infer").json(&input).send().await.unwrap();
        assert_eq!(response.status(), 200);
        ids.push(response.headers()["mainspring-prediction-id"].to_str().unwrap().to_owned());
    }
    server.kill();

    let server = Server::on(&data, &flags).await;
    let rows = server.cli_ok(&["query", "select event_id from predictions", "-o", "json"]);
    for id in ids {
        assert!(rows.contains(&id), "prediction {id} was answered and is lost");
    }
}
