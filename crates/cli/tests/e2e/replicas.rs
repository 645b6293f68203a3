//! Two processes over one Postgres and one artifact store.

use crate::harness::{Server, fixture, text};
use crate::journey::{DEPLOYMENT, identity_input};
use mainspring_testkit::PATIENCE;
use serde_json::json;
use std::time::Instant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alias_moved_on_one_replica_is_served_by_the_other() {
    let database = mainspring_testkit::postgres::database();
    let dir = tempfile::tempdir().unwrap();
    let artifacts = dir.path().join("artifacts");
    let flags = ["--database", &database.url, "--artifacts", artifacts.to_str().unwrap()];
    let one = Server::on(&dir.path().join("one"), &flags).await;
    let two = Server::on(&dir.path().join("two"), &flags).await;
    one.register("echo", &fixture("identity.onnx")).await;
    let applied = one.apply(DEPLOYMENT);
    assert!(applied.status.success(), "{}", text(&applied.stderr));
    let input = identity_input(&one, "echo").await;
    let serves = async |server: &Server, version: &str| {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (status, body) = server.post("/v2/models/echo/infer", &input).await;
            if status == 200 && body["model_version"] == version {
                return;
            }
            assert!(Instant::now() < deadline, "version {version} is not served: {status} {body}");
        }
    };
    serves(&two, "1").await;
    one.register("echo", &fixture("identity.onnx")).await;
    serves(&two, "2").await;
    // And the other way round, by nothing but the alias.
    two.mlflow("registered-models/alias", json!({"name": "echo", "alias": "champion", "version": "1"})).await;
    serves(&one, "1").await;
}
