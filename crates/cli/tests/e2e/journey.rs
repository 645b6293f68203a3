//! From a registered file to a recorded prediction, a version change under load, and bad input.

use crate::harness::{Server, fixture, text};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub const DEPLOYMENT: &str = "apiVersion: mainspring/v1\nkind: Deployment\nname: echo\nmodel: models:/echo@champion\n";

/// One row of zeros for whatever the deployment takes.
pub async fn identity_input(server: &Server, deployment: &str) -> Value {
    let (status, metadata) = server.get(&format!("/v2/models/{deployment}")).await;
    assert_eq!(status, 200, "{metadata}");
    let inputs = metadata["inputs"].as_array().unwrap().iter().map(|input| {
        let shape: Vec<i64> = input["shape"].as_array().unwrap().iter().map(|d| d.as_i64().unwrap().max(1)).collect();
        let count = usize::try_from(shape.iter().product::<i64>()).unwrap();
        let zero = if input["datatype"] == "BYTES" { json!("") } else { json!(0) };
        json!({"name": input["name"], "datatype": input["datatype"], "shape": shape, "data": vec![zero; count]})
    });
    json!({ "inputs": inputs.collect::<Vec<_>>() })
}

#[tokio::test]
async fn a_registered_file_is_served_and_its_answer_is_recorded_and_labelled() {
    let server = Server::start().await;
    server.register("echo", &fixture("identity.onnx")).await;
    let applied = server.apply(DEPLOYMENT);
    assert!(applied.status.success(), "{}", text(&applied.stderr));
    let input = identity_input(&server, "echo").await;
    let response = server.request("POST", "/v2/models/echo/infer").json(&input).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let id = response.headers()["mainspring-prediction-id"].to_str().unwrap().to_owned();

    let (status, body) = server
        .post("/api/v1/feedback", &json!({"feedback": [{"predictionId": id, "name": "label", "value": 1}]}))
        .await;
    assert!(status < 300, "{status} {body}");
    let rows: Value = serde_json::from_str(&server.cli_ok(&[
        "query",
        "select event_id, variant, version, outcome from predictions",
        "-o",
        "json",
    ]))
    .unwrap();
    assert_eq!(rows["rows"], json!([[id, "stable", "1", "ok"]]));
    let feedback = server.cli_ok(&["query", "select prediction_id, name from feedback", "-o", "json"]);
    assert!(feedback.contains(&id), "{feedback}");
}

/// What `mlflow.log_artifact("model.onnx")` leaves: the file itself, beside whatever else the run has.
#[tokio::test]
async fn a_bare_file_is_served_by_its_own_path() {
    let server = Server::start().await;
    let run = server.mlflow("runs/create", json!({"experiment_id": "0"})).await["run"]["info"].clone();
    let (id, uri) = (run["run_id"].as_str().unwrap(), run["artifact_uri"].as_str().unwrap());
    let path = uri.trim_start_matches("mlflow-artifacts:/").trim_start_matches('/');
    let graph = std::fs::read(fixture("identity.onnx")).unwrap();
    for (name, body) in [("net.onnx", graph), ("other.onnx", b"no graph".to_vec())] {
        let put = server.request("PUT", &format!("/api/2.0/mlflow-artifacts/artifacts/{path}/{name}")).body(body);
        assert_eq!(put.send().await.unwrap().status(), 200);
    }
    server.mlflow("registered-models/create", json!({"name": "net"})).await;
    let source = json!({"name": "net", "source": format!("{uri}/net.onnx"), "run_id": id});
    server.mlflow("model-versions/create", source).await;
    for (name, model) in [("of-run", format!("runs:/{id}/net.onnx")), ("of-version", "models:/net/1".into())] {
        let applied =
            server.apply(&format!("apiVersion: mainspring/v1\nkind: Deployment\nname: {name}\nmodel: {model}\n"));
        assert!(applied.status.success(), "{model}: {}", text(&applied.stderr));
        let input = identity_input(&server, name).await;
        let (status, body) = server.post(&format!("/v2/models/{name}/infer"), &input).await;
        assert_eq!(status, 200, "{model}: {body}");
    }
}

/// Nearly every request goes past the router, and one whose path is written in another way does not.
#[tokio::test]
async fn a_path_that_is_encoded_is_answered_as_one_that_is_not() {
    let server = Server::start().await;
    server.register("echo", &fixture("identity.onnx")).await;
    assert!(server.apply(DEPLOYMENT).status.success());
    let input = identity_input(&server, "echo").await;
    let mut seen = Vec::new();
    for (method, name) in [
        ("POST", "echo"),
        ("POST", "ech%6F"),
        ("POST", "nobody"),
        ("POST", "nob%6Fdy"),
        ("GET", "echo"),
        ("GET", "ech%6F"),
    ] {
        let path = format!("/v2/models/{name}/infer");
        let response = server.request(method, &path).header("x-request-id", "r1").json(&input).send().await.unwrap();
        let status = response.status().as_u16();
        let mut headers: Vec<String> = response.headers().keys().map(ToString::to_string).collect();
        headers.sort();
        let mut body: Value = response.json().await.unwrap();
        if let Some(parameters) = body.pointer_mut("/parameters").and_then(Value::as_object_mut) {
            parameters.remove("prediction_id");
        }
        seen.push((status, headers, body));
    }
    let statuses: Vec<u16> = seen.iter().map(|(status, _, _)| *status).collect();
    assert_eq!(statuses, [200, 200, 404, 404, 405, 405]);
    assert!(seen[0].1.contains(&"mainspring-prediction-id".to_owned()), "{:?}", seen[0].1);
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[2], seen[3]);
    assert_eq!((&seen[4].0, &seen[4].1), (&seen[5].0, &seen[5].1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moving_the_alias_under_load_fails_no_request() {
    let server = Arc::new(Server::start().await);
    server.register("echo", &fixture("identity.onnx")).await;
    assert!(server.apply(DEPLOYMENT).status.success());
    let input = identity_input(&server, "echo").await;
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut callers = Vec::new();
    for _ in 0..4 {
        let (server, input) = (Arc::clone(&server), input.clone());
        let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
        callers.push(tokio::spawn(async move {
            let mut versions = std::collections::BTreeSet::new();
            while !stop.load(Ordering::SeqCst) {
                let (status, body) = server.post("/v2/models/echo/infer", &input).await;
                assert_eq!(status, 200, "{body}");
                versions.insert(body["model_version"].as_str().unwrap().to_owned());
                answered.fetch_add(1, Ordering::SeqCst);
            }
            versions
        }));
    }
    for version in ["2", "3"] {
        assert_eq!(server.register("echo", &fixture("identity.onnx")).await, version);
        let deadline = std::time::Instant::now() + mainspring_testkit::PATIENCE;
        while server.post("/v2/models/echo/infer", &input).await.1["model_version"] != version {
            assert!(std::time::Instant::now() < deadline, "version {version} never took over");
        }
    }
    stop.store(true, Ordering::SeqCst);
    for caller in callers {
        assert!(caller.await.unwrap().contains("3"));
    }
    assert!(answered.load(Ordering::SeqCst) > 50);
}

#[tokio::test]
async fn a_corrupt_new_version_leaves_the_old_one_serving_and_says_why() {
    let server = Server::start().await;
    server.register("echo", &fixture("identity.onnx")).await;
    assert!(server.apply(DEPLOYMENT).status.success());
    let input = identity_input(&server, "echo").await;
    server.register("echo", &fixture("corrupt.onnx")).await;
    let deadline = std::time::Instant::now() + mainspring_testkit::PATIENCE;
    loop {
        let (_, view) = server.get("/api/v1/deployments/echo").await;
        if view["summary"]["reason"].as_str().is_some_and(|r| r.contains("model.onnx")) {
            assert_eq!(view["summary"]["state"], "READY", "{view}");
            break;
        }
        assert!(std::time::Instant::now() < deadline, "no reason given: {view}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let (status, body) = server.post("/v2/models/echo/infer", &input).await;
    assert_eq!((status, &body["model_version"]), (200, &json!("1")), "{body}");
}

#[tokio::test]
async fn bad_documents_are_refused_with_the_place_and_the_nearest_key() {
    let server = Server::start().await;
    let refused =
        server.apply("apiVersion: mainspring/v1\nkind: Deployment\nname: echo\nmodle: models:/echo@champion\n");
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("modle") && said.contains("model") && said.contains(":4:"), "{said}");

    let unbuilt = server
        .apply("apiVersion: mainspring/v1\nkind: Deployment\nname: echo\nmodel: models:/echo/1\nscale: {min: 0}\n");
    assert_eq!(unbuilt.status.code(), Some(2));
    assert!(text(&unbuilt.stderr).contains("scale"), "{}", text(&unbuilt.stderr));

    let missing =
        server.apply("apiVersion: mainspring/v1\nkind: Deployment\nname: echo\nmodel: models:/nobody@champion\n");
    assert!(!missing.status.success());
    assert!(text(&missing.stderr).contains("nobody"), "{}", text(&missing.stderr));
}

#[tokio::test]
async fn bad_requests_get_the_protocols_own_errors_and_the_server_lives() {
    let server = Server::start().await;
    server.register("echo", &fixture("identity.onnx")).await;
    assert!(server.apply(DEPLOYMENT).status.success());
    let good = identity_input(&server, "echo").await;
    let mut wrong_shape = good.clone();
    wrong_shape["inputs"][0]["shape"] = json!([1, 2, 3, 4, 5]);
    let mut negative = good.clone();
    negative["inputs"][0]["shape"] = json!([-1, 4]);
    for bad in [json!({}), json!({"inputs": []}), json!({"inputs": 3}), wrong_shape, negative] {
        let (status, body) = server.post("/v2/models/echo/infer", &bad).await;
        assert!(status == 400 && body["error"].is_string(), "{bad} → {status} {body}");
    }
    let (status, body) = server.post("/v2/models/nobody/infer", &good).await;
    assert!(status == 404 && body["error"].as_str().unwrap().contains("nobody"), "{status} {body}");
    let cut = server
        .request("POST", "/v2/models/echo/infer")
        .header("inference-header-content-length", "100000")
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(cut.status(), 400);
    assert_eq!(server.post("/v2/models/echo/infer", &good).await.0, 200);
}
