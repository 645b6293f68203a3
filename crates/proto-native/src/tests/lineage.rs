use super::world::{World, who};
use http::StatusCode;
use mainspring_core::Role;
use serde_json::{Value, json};

#[tokio::test]
async fn the_graph_of_a_node_is_given_with_its_edges() {
    let world = World::new().await;
    let run = format!("run:{}", "a".repeat(32));
    let got = world.get("/api/v1/lineage/graph?node=model:churn@champion&direction=up").await.body;
    assert_eq!(got["node"], "model:churn/3");
    let ids: Vec<&str> = got["nodes"].as_array().unwrap().iter().map(|n| n["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["model:churn/3", &run]);
    assert_eq!(got["nodes"][0]["title"], "churn version 3");
    assert_eq!(got["edges"], json!([{ "from": run, "to": "model:churn/3" }]));
    let down = world.get("/api/v1/lineage/graph?node=model:churn/3&direction=down").await.body;
    assert_eq!(down["nodes"].as_array().unwrap().len(), 1);
    for wrong in [
        "node=churn",
        "node=model:churn/3&depth=0",
        "node=model:churn/3&depth=101",
        "node=model:churn/3&direction=left",
        "",
    ] {
        let got = world.get(&format!("/api/v1/lineage/graph?{wrong}")).await;
        assert_eq!(got.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    let caller = who("default", Role::Infer);
    let got = world.call_as(&caller, "GET", "/api/v1/lineage/graph?node=model:churn/3", Value::Null).await;
    assert_eq!(got.status, StatusCode::FORBIDDEN);
}
