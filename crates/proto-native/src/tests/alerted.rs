use super::world::{World, who};
use http::StatusCode;
use mainspring_alert::{ChannelSpec, ReadAlerts, Severity, Signal, Source, Subject};
use mainspring_core::{Name, Role, Tenant};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn signal() -> Signal {
    let subject = Subject {
        name: "Drift".into(),
        source: Source::Drift,
        severity: Severity::Ticket,
        labels: BTreeMap::from([("deployment".to_owned(), "churn".to_owned())]),
        sentence: "age drifted".into(),
        numbers: json!({"e": 40}),
        query: Some("SELECT 1".into()),
        runbook: None,
        page: Some("/ui/deployments/churn".into()),
    };
    Signal { subject, active: true, keep: std::time::Duration::ZERO }
}

#[tokio::test]
async fn alerts_are_listed_silenced_and_of_one_tenant() {
    let world = World::new().await;
    world.state.alerts.observe(&Tenant::default(), signal()).await.unwrap();
    let alert = &world.get("/api/v1/alerts").await.body["alerts"][0];
    assert_eq!(
        (&alert["phase"], &alert["severity"], &alert["summary"]),
        (&json!("firing"), &json!("ticket"), &json!("age drifted"))
    );
    assert_eq!(
        (&alert["numbers"]["e"], &alert["query"], alert.get("silencedBy")),
        (&json!(40), &json!("SELECT 1"), None)
    );
    let other = world.call_as(&who("other", Role::Admin), "GET", "/api/v1/alerts", Value::Null).await;
    assert_eq!(other.body["alerts"], json!([]));

    let ask = |matching: &str, length: &str| json!({"matching": [matching], "for": length, "reason": "known"});
    for bad in [
        ask("deployment", "2h"),
        ask("deployment=churn", "soon"),
        ask("a=~[", "2h"),
        json!({"matching": [], "for": "2h"}),
    ] {
        let got = world.call("POST", "/api/v1/alerts/silences", bad).await;
        assert_eq!(got.status, StatusCode::BAD_REQUEST, "{}", got.body);
    }
    let made = world.call("POST", "/api/v1/alerts/silences", ask("deployment=churn", "2h")).await;
    assert_eq!((made.status, &made.body["by"]), (StatusCode::CREATED, &json!("key:test")));
    let id = made.body["id"].as_str().unwrap();
    assert_eq!(world.get("/api/v1/alerts").await.body["alerts"][0]["silencedBy"], id);
    let path = format!("/api/v1/alerts/silences/{id}");
    let foreign = world.call_as(&who("other", Role::Admin), "DELETE", &path, Value::Null).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    assert_eq!(world.call("DELETE", &path, Value::Null).await.status, StatusCode::NO_CONTENT);
    assert_eq!(world.get("/api/v1/alerts/silences").await.body["silences"], json!([]));
    let reader = world.call_as(&who("default", Role::Read), "POST", "/api/v1/alerts/silences", ask("a=b", "2h")).await;
    assert_eq!(reader.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_channel_is_tried_out_and_says_why_it_does_not_work() {
    let world = World::new().await;
    let declare = |name: &str, url: &str, secret: &str| {
        let spec = json!({"webhook": {"url": url, "secret": {"file": secret}}});
        let spec: ChannelSpec = serde_json::from_value(spec).unwrap();
        world.state.alerts.declare(&Tenant::default(), &Name::new(name).unwrap(), spec);
    };
    std::fs::write(world.dir().join("key"), "k").unwrap();
    declare("good", "https://h.example.com/", "key");
    declare("full", "https://full.example.com/", "key");
    declare("open", "https://h.example.com/", "nowhere");
    let test = |name: &'static str| {
        world.call(
            "POST",
            match name {
                "good" => "/api/v1/alerts/channels/good/test",
                "full" => "/api/v1/alerts/channels/full/test",
                "open" => "/api/v1/alerts/channels/open/test",
                _ => "/api/v1/alerts/channels/none/test",
            },
            Value::Null,
        )
    };
    let got = test("good").await;
    assert!(got.status.is_success() && got.body["title"].as_str().unwrap().contains("[TEST]"), "{}", got.body);
    let got = test("full").await;
    assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(got.body["detail"].as_str().unwrap().contains("507"), "{}", got.body);
    let got = test("open").await;
    assert_eq!(got.status, StatusCode::BAD_REQUEST);
    assert!(got.body["hint"].as_str().unwrap().contains("folder of secrets"), "{}", got.body);
    assert_eq!(test("none").await.status, StatusCode::NOT_FOUND);
    let channels = world.get("/api/v1/alerts/channels").await.body;
    assert_eq!(channels["channels"][0]["way"], "webhook");
    assert!(!channels.to_string().contains("\"k\""), "no secret");
    let auth = world.state.gate.authorize(&who("default", Role::Read), ReadAlerts).unwrap();
    assert!(world.state.alerts.standings(&auth).is_empty());
    let rules = world.get("/api/v1/alerts/rules").await;
    assert_eq!(rules.headers["content-type"], "application/yaml");
    assert_eq!(world.get("/api/v1/slos").await.body["slos"], json!([]));
}
