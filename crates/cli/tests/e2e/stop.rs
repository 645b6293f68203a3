//! How it ends: asked to stop, or killed, in the middle of requests.

use crate::harness::{Server, fixture};
use crate::journey::identity_input;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Predicts until the server is gone; returns the ids of the answers.
async fn predict(http: reqwest::Client, url: String, input: Arc<Value>) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    while let Ok(response) = http.post(&url).json(&*input).send().await {
        assert_eq!(response.status(), 200);
        let Ok(body) = response.json::<Value>().await else { break };
        ids.insert(body["parameters"]["prediction_id"].as_str().unwrap().to_owned());
    }
    ids
}

fn recorded(server: &Server) -> BTreeSet<String> {
    let rows = server.cli_ok(&["query", "SELECT event_id FROM predictions WHERE outcome = 'ok'", "-o", "json"]);
    let rows: Value = serde_json::from_str(&rows).unwrap();
    assert_eq!(rows["truncated"], false);
    rows["rows"].as_array().unwrap().iter().map(|r| r[0].as_str().unwrap().to_owned()).collect()
}

/// Callers of the server's deployment `echo`.
async fn callers(server: &Server, n: usize) -> Vec<tokio::task::JoinHandle<BTreeSet<String>>> {
    let input = Arc::new(identity_input(server, "echo").await);
    let url = format!("{}/v2/models/echo/infer", server.base);
    (0..n).map(|_| tokio::spawn(predict(crate::harness::client(), url.clone(), Arc::clone(&input)))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_loses_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Server::on(&data, &[]).await;
    server.deploy("echo", "identity.onnx").await;
    let callers = callers(&server, 8).await;
    // A live page is open meanwhile, which never ends by itself.
    let live = server.request("GET", "/api/v1/live").send().await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let asked = Instant::now();
    assert!(server.stop().success(), "{}", server.log());
    assert!(asked.elapsed() < Duration::from_secs(10), "it waited for the live page: {:?}", asked.elapsed());
    assert!(live.text().await.is_ok(), "the stream was cut, not ended");
    let mut answered = BTreeSet::new();
    for caller in callers {
        answered.extend(caller.await.unwrap());
    }
    assert!(answered.len() > 50, "only {} before the end", answered.len());
    let server = Server::on(&data, &[]).await;
    let recorded = recorded(&server);
    let lost: Vec<_> = recorded.difference(&answered).collect();
    assert!(lost.is_empty(), "{} requests were accepted and their answers lost", lost.len());
    assert_eq!(answered.difference(&recorded).count(), 0, "answers are missing from the journal");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_under_load_it_comes_back_with_everything() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let flags = ["--journal-sync", "always", "--journal-seal-after", "300ms"];
    let mut server = Server::on(&data, &flags).await;
    server.deploy("echo", "identity.onnx").await;
    let mut answered = BTreeSet::new();
    for round in 0..4 {
        let callers = callers(&server, 4).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        server.kill();
        for caller in callers {
            answered.extend(caller.await.unwrap());
        }
        server = Server::on(&data, &flags).await;
        let recorded = recorded(&server);
        let lost = answered.difference(&recorded).count();
        assert_eq!(lost, 0, "round {round}: {lost} of {} answered predictions are lost", answered.len());
    }
    assert!(answered.len() > 50, "only {} answers in all", answered.len());
}

#[tokio::test]
async fn what_is_declared_is_ready_before_the_server_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Server::on(&data, &[]).await;
    server.deploy("echo", "trees100.onnx").await;
    assert!(server.stop().success());
    let server = Server::on(&data, &[]).await;
    crate::harness::wait_until("the server is ready", || async { server.get("/v2/health/ready").await.0 == 200 }).await;
    assert_eq!(server.get("/v2/models/echo/ready").await.0, 200);
}

#[tokio::test]
async fn a_declaration_is_there_as_soon_as_apply_has_answered() {
    let server = Server::start().await;
    server.register("echo", &fixture("identity.onnx")).await;
    for n in 0..20 {
        let name = format!("echo-{n}");
        let text = format!("apiVersion: mainspring/v1\nkind: Deployment\nname: {name}\nmodel: models:/echo@champion\n");
        let applied = server.request("POST", "/api/v1/apply").body(text).send().await.unwrap();
        assert_eq!(applied.status(), 200);
        let (status, body) = server.get(&format!("/api/v1/deployments/{name}")).await;
        assert_eq!(status, 200, "{body}");
        let (_, declared) = server.get(&format!("/api/v1/resources/deployment/{name}")).await;
        assert!(declared["status"]["state"].is_string(), "{declared}");
    }
    server.cli_ok(&["delete", "deployment", "echo-0"]);
    assert_eq!(server.get("/api/v1/deployments/echo-0").await.0, 404);
}

#[tokio::test]
async fn a_second_default_is_refused_and_apply_says_why() {
    let server = Server::serving("identity.onnx").await;
    let document = |name: &str| {
        format!(
            "apiVersion: mainspring/v1\nkind: Deployment\nname: {name}\nmodel: models:/echo@champion\ndefault: true\n"
        )
    };
    assert!(server.apply(&document("one")).status.success());
    let began = Instant::now();
    let refused = server.apply(&document("two"));
    assert_eq!(refused.status.code(), Some(1));
    let said = crate::harness::text(&refused.stderr);
    assert!(said.contains("one") && began.elapsed() < Duration::from_secs(10), "{said}");
}

#[tokio::test]
async fn a_request_that_is_being_read_is_answered_after_sigterm() {
    let mut server = Server::serving("identity.onnx").await;
    let body = identity_input(&server, "echo").await.to_string();
    let address = server.base.trim_start_matches("http://").to_owned();
    let mut plain = tokio::net::TcpStream::connect(&address).await.unwrap();
    let head =
        format!("POST /v2/models/echo/infer HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", body.len());
    plain.write_all(head.as_bytes()).await.unwrap();
    plain.write_all(&body.as_bytes()[..10]).await.unwrap();
    // The server has read the head once it says that it is stopping: it closes idle connections.
    let mut idle = tokio::net::TcpStream::connect(&address).await.unwrap();
    server.terminate();
    assert_eq!(idle.read(&mut [0; 8]).await.unwrap(), 0);
    plain.write_all(&body.as_bytes()[10..]).await.unwrap();
    let mut got = String::new();
    plain.read_to_string(&mut got).await.unwrap();
    assert!(got.starts_with("HTTP/1.1 200"), "{got}");
    assert_eq!(json!(server.wait().success()), json!(true));
}
