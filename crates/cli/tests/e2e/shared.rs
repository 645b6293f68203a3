//! Postgres and S3 in place of the data folder, and what happens when Postgres is away.

use crate::harness::{Server, answer, wait_until};
use crate::journey::identity_input;
use mainspring_testkit::{PgServer, postgres, s3};
use serde_json::json;

#[tokio::test]
async fn the_main_job_on_postgres_and_s3_survives_kill_9() {
    let (database, bucket) = (postgres::database(), s3::place());
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let flags = ["--database", &database.url, "--artifacts", &bucket.url, "--journal-sync", "always"];
    let env = [&bucket.options[..], &[("AWS_ALLOW_HTTP".to_owned(), "true".to_owned())]].concat();
    let mut server = Server::with(&data, &flags, &env).await;
    server.deploy("echo", "identity.onnx").await;
    let input = identity_input(&server, "echo").await;
    let (status, first) = server.post("/v2/models/echo/infer", &input).await;
    assert_eq!(status, 200, "{first}");
    for folder in ["mainspring.db", "artifacts"] {
        assert!(!data.join(folder).exists(), "{folder} is kept on this machine");
    }
    server.kill();

    // The cache of model files may go: what counts is in the bucket.
    std::fs::remove_dir_all(data.join("cache")).unwrap();
    let server = Server::with(&data, &flags, &env).await;
    wait_until("the deployment is back", || async { server.get("/v2/models/echo/ready").await.0 == 200 }).await;
    let (status, second) = server.post("/v2/models/echo/infer", &input).await;
    assert_eq!(status, 200, "{second}");
    let rows = server.cli_ok(&["query", "SELECT event_id FROM predictions ORDER BY at", "-o", "json"]);
    let rows: serde_json::Value = serde_json::from_str(&rows).unwrap();
    let ids = [&first, &second].map(|a| json!([a["parameters"]["prediction_id"]]));
    assert_eq!(rows["rows"], json!(ids));
}

#[tokio::test]
async fn while_postgres_is_away_models_answer_and_the_rest_says_so() {
    let mut postgres = PgServer::start();
    let dir = tempfile::tempdir().unwrap();
    let server = Server::on(&dir.path().join("data"), &["--database", &postgres.database()]).await;
    server.deploy("echo", "identity.onnx").await;
    let input = identity_input(&server, "echo").await;
    let create = || answer(server.request("POST", "/api/2.0/mlflow/runs/create").json(&json!({"experiment_id": "0"})));
    let ok = |check: &'static str| {
        let server = &server;
        async move {
            let (_, health) = server.get("/readyz").await;
            let checks = health["checks"].as_array().unwrap().clone();
            checks.iter().find(|c| c["name"] == check).unwrap()["ok"] == true
        }
    };
    postgres.halt();
    wait_until("the check fails", || async { !ok("database").await }).await;
    // A probe needs no key, and is told nothing of where the database is.
    let checks = server.get("/readyz").await.1["checks"].to_string();
    assert!(checks.contains("the database does not answer; the server's log says why"), "{checks}");
    let (status, body) = create().await;
    assert_eq!((status, &body["error_code"]), (503, &json!("TEMPORARILY_UNAVAILABLE")), "{body}");
    let (status, body) = server.get("/api/v1/resources").await;
    assert_eq!((status, &body["kind"]), (503, &json!("unavailable")), "{body}");
    assert!(!body.to_string().contains("postgres@"), "{body}");
    for _ in 0..20 {
        let (status, body) = server.post("/v2/models/echo/infer", &input).await;
        assert_eq!(status, 200, "{body}");
    }
    // Serving needs no database, so a balancer goes on sending requests here.
    for path in ["/readyz", "/v2/health/ready", "/v2/models/echo/ready"] {
        assert_eq!(server.get(path).await.0, 200, "{path}");
    }
    postgres.resume();
    wait_until("the database is back", || async { ok("database").await && create().await.0 == 200 }).await;
}
