//! How it ends: asked to stop, or killed, in the middle of requests.

use crate::harness::{Server, fixture};
use crate::journey::identity_input;
use mainspring_testkit::eventually;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Predicts until the server is gone, counting in `answers`; returns the ids of the answers.
async fn predict(http: reqwest::Client, url: String, input: Arc<Value>, answers: Arc<AtomicU64>) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    while let Ok(response) = http.post(&url).json(&*input).send().await {
        assert_eq!(response.status(), 200);
        let Ok(body) = response.json::<Value>().await else { break };
        ids.insert(body["parameters"]["prediction_id"].as_str().unwrap().to_owned());
        answers.fetch_add(1, Ordering::Relaxed);
    }
    ids
}

fn recorded(server: &Server) -> BTreeSet<String> {
    let rows = server.cli_ok(&["query", "SELECT event_id FROM predictions WHERE outcome = 'ok'", "-o", "json"]);
    let rows: Value = serde_json::from_str(&rows).unwrap();
    assert_eq!(rows["truncated"], false);
    rows["rows"].as_array().unwrap().iter().map(|r| r[0].as_str().unwrap().to_owned()).collect()
}

/// `n` callers of the server's deployment `echo`, once they have had `enough` answers.
async fn callers(server: &Server, n: usize, enough: u64) -> Vec<tokio::task::JoinHandle<BTreeSet<String>>> {
    let input = Arc::new(identity_input(server, "echo").await);
    let url = format!("{}/v2/models/echo/infer", server.base);
    let answers = Arc::new(AtomicU64::new(0));
    let caller = |_| {
        let (url, input, answers) = (url.clone(), Arc::clone(&input), Arc::clone(&answers));
        tokio::spawn(predict(crate::harness::client(), url, input, answers))
    };
    let callers = (0..n).map(caller).collect();
    eventually("there are answers", || async { answers.load(Ordering::Relaxed) >= enough }).await;
    callers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_loses_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Server::on(&data, &[]).await;
    server.deploy("echo", "identity.onnx").await;
    // A live page is open meanwhile, which never ends by itself.
    let live = server.request("GET", "/api/v1/live").send().await.unwrap();
    let callers = callers(&server, 8, 200).await;
    assert!(server.stop().success(), "{}", server.log());
    assert!(!server.log().contains("did not end in the grace period"), "it waited for the live page: {}", server.log());
    assert!(live.text().await.is_ok(), "the stream was cut, not ended");
    let mut answered = BTreeSet::new();
    for caller in callers {
        answered.extend(caller.await.unwrap());
    }
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
        // At another place each time, around the sealing that goes on meanwhile.
        let callers = callers(&server, 4, 20 + 40 * round).await;
        server.kill();
        for caller in callers {
            answered.extend(caller.await.unwrap());
        }
        server = Server::on(&data, &flags).await;
        let recorded = recorded(&server);
        let lost = answered.difference(&recorded).count();
        assert_eq!(lost, 0, "round {round}: {lost} of {} answered predictions are lost", answered.len());
    }
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
    let refused = server.apply(&document("two"));
    assert_eq!(refused.status.code(), Some(1));
    let said = crate::harness::text(&refused.stderr);
    assert!(said.contains("one"), "{said}");
}

#[tokio::test]
async fn a_request_that_is_being_read_is_answered_after_sigterm() {
    let mut server = Server::serving("identity.onnx").await;
    let body = identity_input(&server, "echo").await.to_string();
    let address = server.base.trim_start_matches("http://").to_owned();
    let mut plain = tokio::net::TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST /v2/models/echo/infer HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    plain.write_all(head.as_bytes()).await.unwrap();
    // The server says so when it has read the head and wants the body.
    let mut go_on = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
    plain.read_exact(&mut go_on).await.unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100"), "{go_on:?}");
    plain.write_all(&body.as_bytes()[..10]).await.unwrap();
    // It is stopping when it closes, or does not take any more, connections that are idle.
    let mut idle = tokio::net::TcpStream::connect(&address).await.unwrap();
    server.terminate();
    assert!(matches!(idle.read(&mut [0; 8]).await, Ok(0) | Err(_)));
    plain.write_all(&body.as_bytes()[10..]).await.unwrap();
    let mut got = String::new();
    plain.read_to_string(&mut got).await.unwrap();
    assert!(got.starts_with("HTTP/1.1 200"), "{got}");
    assert_eq!(json!(server.wait().success()), json!(true));
}
