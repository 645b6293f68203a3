//! Orders for one of several candidates.

use super::world::{World, who};
use http::StatusCode;
use mainspring_core::{Name, Role};
use mainspring_rollout::{RolloutSpec, StartRollout};
use serde_json::{Value, json};

#[tokio::test]
async fn an_order_to_promote_may_name_the_candidate() {
    let world = World::new().await;
    let spec: RolloutSpec = serde_json::from_value(json!({
        "deployment": "churn",
        "candidates": [{"name": "v8", "model": "models:/churn/8"}, {"name": "v9", "model": "models:/churn/9"}],
        "steps": [{"canary": {"weight": 10}}],
        "decision": {"ship": "noHarm"},
    }))
    .unwrap();
    let action = StartRollout { rollout: Name::new("best").unwrap() };
    let auth = world.state.gate.authorize(&who("default", Role::Admin), action).unwrap();
    world.state.rollouts.declare(&auth, spec).unwrap();
    let order =
        async |order: &str| world.call("POST", &format!("/api/v1/rollouts/best/orders/{order}"), Value::Null).await;
    assert_eq!(order("promote?candidate=v9").await.status, StatusCode::NOT_FOUND, "it has not begun");
    let begun = world.call("POST", "/api/v1/rollouts/best/start", Value::Null).await;
    assert_eq!(
        (begun.status, &begun.body["phase"], &begun.body["chosen"]),
        (StatusCode::OK, &json!("pending"), &Value::Null)
    );
    let unknown = order("promote?candidate=v7").await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
    assert!(unknown.body["detail"].as_str().unwrap().contains("has no candidate \"v7\""), "{}", unknown.body);
    assert!(unknown.body.to_string().contains("it has: v8, v9"), "{}", unknown.body);
    let other = order("pause?candidate=v9").await;
    assert_eq!(other.status, StatusCode::BAD_REQUEST, "{}", other.body);
    // The name is right, and its state forbids the order.
    let early = order("promote?candidate=v9").await;
    assert_eq!(early.status, StatusCode::CONFLICT);
    assert!(early.body["detail"].as_str().unwrap().contains("only what is being compared"), "{}", early.body);
    let over = order("abort").await;
    assert_eq!((over.status, &over.body["phase"]), (StatusCode::OK, &json!("rolledBack")));
    assert!(over.body.get("evidenceOf").is_none(), "nothing was ever measured: {}", over.body);
}
