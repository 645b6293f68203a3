use super::world::{World, who};
use http::StatusCode;
use mainspring_core::Role;
use serde_json::{Value, json};

#[tokio::test]
async fn a_job_is_started_read_and_listed() {
    let world = World::new().await;
    let body = json!({"model": "churn@champion", "task": "convert", "data": {"name": "a.csv", "content": "YQ=="}});
    let job = world.call("POST", "/api/v1/conversions", body).await;
    assert_eq!(job.status, StatusCode::OK, "{}", job.body);
    let path = format!("/api/v1/conversions/{}", job.body["id"].as_str().unwrap());
    let mut one = world.get(&path).await;
    while one.body["state"] != "failed" {
        tokio::task::yield_now().await;
        one = world.get(&path).await;
    }
    assert_eq!(one.body["error"]["message"], "there is no model churn@champion");
    assert_eq!(one.body["error"]["kind"], "not_found");
    assert_eq!(one.body["steps"], json!(["looking for the model"]));
    assert_eq!(world.get("/api/v1/conversions").await.body["conversions"].as_array().unwrap().len(), 1);
    assert_eq!(world.call("DELETE", &path, Value::Null).await.status, StatusCode::NO_CONTENT);
    assert_eq!(world.call("DELETE", "/api/v1/conversions/none", Value::Null).await.status, StatusCode::NOT_FOUND);
    let stranger = who("other", Role::Admin);
    assert_eq!(world.call_as(&stranger, "GET", &path, Value::Null).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_name() {
    let world = World::new().await;
    for (body, said) in [
        (json!({"model": "m", "task": "convert", "agreement": 0.5}), "agreement"),
        (json!({"model": "m", "task": "optimize", "relative": 0.5}), "relative"),
        (json!({"model": "m", "task": "convert", "relative": 5}), "relative tolerance is 5"),
        (json!({"model": "m", "task": "convert", "data": {"name": "a.csv", "content": "?"}}), "base64"),
        (json!({"model": "m", "task": "convert", "data": {"name": "a.pkl", "content": ""}}), "a.pkl"),
        (json!({"model": "m", "task": "shrink"}), "shrink"),
    ] {
        let got = world.call("POST", "/api/v1/conversions", body).await;
        assert_eq!(got.status, StatusCode::BAD_REQUEST, "{}", got.body);
        assert!(got.body["detail"].as_str().unwrap().contains(said), "{}", got.body);
    }
    let reader = who("default", Role::Read);
    let got = world.call_as(&reader, "POST", "/api/v1/conversions", json!({"model": "m", "task": "convert"})).await;
    assert_eq!(got.status, StatusCode::FORBIDDEN);
}
