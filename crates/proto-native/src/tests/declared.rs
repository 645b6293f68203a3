use super::world::{World, who};
use http::StatusCode;
use mainspring_core::Role;
use serde_json::{Value, json};

const CHURN: &str = "apiVersion: mainspring/v1\nkind: Deployment\nname: churn\nmodel: models:/churn@champion\n";

#[tokio::test]
async fn what_is_applied_can_be_read_compared_rolled_back_and_deleted() {
    let world = World::new().await;
    let first = world.apply("/api/v1/apply?file=churn.yaml", CHURN).await;
    assert_eq!(
        first.body,
        json!({"applied": [{"kind": "Deployment", "name": "churn", "generation": 1, "change": "created"}]})
    );
    let again = world.apply("/api/v1/apply", CHURN).await;
    assert_eq!(again.body["applied"][0]["change"], "unchanged");

    let other = CHURN.replace("@champion", "/2");
    let diff = world.apply("/api/v1/diff", &other).await;
    let field = &diff.body["diffs"][0]["fields"][0];
    assert_eq!((field["path"].as_str(), field["after"].as_str()), (Some("model"), Some("models:/churn/2")));
    assert_eq!(world.apply("/api/v1/apply", &other).await.body["applied"][0]["change"], "updated");

    let back = world.call("POST", "/api/v1/resources/deployment/churn/rollback", Value::Null).await;
    assert_eq!((back.body["change"].as_str(), back.body["generation"].as_i64()), (Some("rolledBack"), Some(3)));
    let now = world.get("/api/v1/resources/deployment/churn").await;
    assert_eq!(now.body["spec"]["model"], "models:/churn@champion");
    assert_eq!(now.body["updatedBy"], "key:test");
    assert!(now.body["createdAt"].as_str().unwrap().ends_with('Z'));

    assert_eq!(world.call("DELETE", "/api/v1/resources/deployment/churn", Value::Null).await.body["change"], "deleted");
    assert_eq!(world.get("/api/v1/resources/deployment/churn").await.status, StatusCode::NOT_FOUND);
    let history = world.get("/api/v1/resources/deployment/churn/history").await;
    let changes: Vec<_> = history.body["generations"].as_array().unwrap().iter().map(|g| g["change"].clone()).collect();
    assert_eq!(changes, ["deleted", "rolledBack", "updated", "created"]);
    assert_eq!(history.body["generations"][0]["spec"], Value::Null);
}

#[tokio::test]
async fn an_unknown_key_is_refused_with_its_place_and_the_nearest() {
    let world = World::new().await;
    let got = world.apply("/api/v1/apply?file=churn.yaml", &CHURN.replace("model:", "modle:")).await;
    assert_eq!(got.status, StatusCode::BAD_REQUEST);
    let text = got.body.to_string();
    assert!(text.contains("churn.yaml:4:1") && text.contains("modle") && text.contains("model"), "{text}");
    assert_eq!(got.headers["content-type"], "application/problem+json");
}

#[tokio::test]
async fn kinds_have_schemas_and_lists_have_pages() {
    let world = World::new().await;
    assert_eq!(world.get("/api/v1/schemas").await.body["kinds"][0]["kind"], "Deployment");
    assert_eq!(world.get("/api/v1/schemas/deployment").await.body["type"], "object");
    assert_eq!(world.get("/api/v1/schemas/nothing").await.status, StatusCode::BAD_REQUEST);
    for name in ["a", "b", "c"] {
        world.apply("/api/v1/apply", &CHURN.replace("name: churn", &format!("name: {name}"))).await;
    }
    let one = world.get("/api/v1/resources?kind=deployment&limit=2").await.body;
    assert_eq!(one["resources"].as_array().unwrap().len(), 2);
    let token = one["nextPageToken"].as_str().unwrap();
    let two = world.get(&format!("/api/v1/resources?kind=deployment&limit=2&pageToken={token}")).await.body;
    assert_eq!(two["resources"][0]["name"], "c");
    assert!(two.get("nextPageToken").is_none());
    assert_eq!(world.get("/api/v1/resources?limit=0").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.get("/api/v1/resources?limit=x").await.headers["content-type"], "application/problem+json");
}

#[tokio::test]
async fn a_reader_may_look_but_not_apply_and_tenants_see_their_own() {
    let world = World::new().await;
    world.apply("/api/v1/apply", CHURN).await;
    let reader = who("default", Role::Read);
    let list = world.call_as(&reader, "GET", "/api/v1/resources", Value::Null).await;
    assert_eq!(list.body["resources"].as_array().unwrap().len(), 1);
    let denied = world.call_as(&reader, "DELETE", "/api/v1/resources/deployment/churn", Value::Null).await;
    assert_eq!(denied.status, StatusCode::FORBIDDEN);
    let other = who("other", Role::Admin);
    let list = world.call_as(&other, "GET", "/api/v1/resources", Value::Null).await;
    assert!(list.body["resources"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_parameter_that_an_operation_does_not_have_is_refused() {
    let world = World::new().await;
    for (path, hint) in [
        ("/api/v1/resources?limt=2", "did you mean \"limit\"?"),
        ("/api/v1/resources?limit=2&colour=red", "it has: "),
        ("/api/v1/deployments/churn/rows?last=1h&labels=churned", "did you mean \"label\"?"),
        ("/api/v1/rollouts/best/decisions?from=3", "it has: run, before, limit"),
        ("/api/v1/rollouts/best/decisions?limit=0", "between 1 and 1000"),
    ] {
        let refused = world.get(path).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(refused.body.to_string().replace('\\', "").contains(hint), "{path}: {}", refused.body);
    }
    for path in ["/api/v1/resources?", "/api/v1/resources?limit=2&kind=deployment"] {
        assert_eq!(world.get(path).await.status, StatusCode::OK, "{path}");
    }
}
