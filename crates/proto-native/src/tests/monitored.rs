//! Monitors and profiles over HTTP.

use super::world::{World, who};
use http::StatusCode;
use mainspring_core::{Name, Role};
use mainspring_monitor::live::{DeclareMonitor, MonitorSpec};
use mainspring_registry::NewVersion;
use mainspring_registry::actions::{CreateModel, CreateVersion};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_monitor_is_listed_and_shown_and_what_it_has_not_is_said() {
    let world = World::new().await;
    let name = Name::new("churn-drift").unwrap();
    let spec: MonitorSpec = serde_json::from_value(json!({
        "deployment": "churn", "label": {"name": "left"}, "estimate": {"metric": "f1", "drop": 0.1}
    }))
    .unwrap();
    let auth = world.state.gate.authorize(&who("default", Role::Write), DeclareMonitor { monitor: name }).unwrap();
    world.state.monitors.declare(&auth, spec, world.state.ctx.now()).unwrap();
    let list = world.get("/api/v1/monitors").await.body;
    assert_eq!(list["monitors"][0]["name"], "churn-drift");
    assert_eq!((&list["monitors"][0]["state"], &list["monitors"][0]["drifted"]), (&json!("waiting"), &json!([])));
    let view = world.get("/api/v1/monitors/churn-drift").await.body;
    assert_eq!((&view["minEffect"], &view["window"], &view["columns"]), (&json!(0.1), &json!("1h"), &json!([])));
    let waits = json!({"metric": "f1", "limit": "drop 0.1", "standing": "waiting"});
    assert_eq!((&list["monitors"][0]["estimated"], &view["estimated"]), (&waits, &waits));
    let whole = json!({"metric": "f1", "limit": "drop 0.1", "standing": "waiting", "window": "1h", "windows": []});
    assert_eq!(view["estimate"], whole);
    assert_eq!(world.get("/api/v1/monitors/churn-drift/events").await.body, json!({"events": []}));
    assert_eq!(world.get("/api/v1/monitors/churn-drift/history").await.body, json!({"points": []}));
    let why = world.get("/api/v1/monitors/churn-drift/why").await.body;
    assert_eq!(why, json!({"sentences": [], "rows": 0, "causes": []}));
    for (path, status) in [
        ("/api/v1/monitors/other/history", StatusCode::NOT_FOUND),
        ("/api/v1/monitors/other/why", StatusCode::NOT_FOUND),
        ("/api/v1/monitors/churn-drift/history?last=soon", StatusCode::BAD_REQUEST),
        ("/api/v1/monitors/other", StatusCode::NOT_FOUND),
        ("/api/v1/monitors/churn-drift/distribution?column=in.x", StatusCode::NOT_FOUND),
        ("/api/v1/monitors/churn-drift/distribution", StatusCode::BAD_REQUEST),
        ("/api/v1/monitors/churn-drift/events?limit=0", StatusCode::BAD_REQUEST),
        ("/api/v1/profiles?model=churn/1", StatusCode::NOT_FOUND),
        ("/api/v1/profiles?model=runs:/a/b", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(world.get(path).await.status, status, "{path}");
    }
    // Another tenant has none, and who may only infer may not look.
    let other = world.call_as(&who("acme", Role::Admin), "GET", "/api/v1/monitors", json!(null)).await;
    assert_eq!(other.body, json!({"monitors": []}));
    let refused = world.call_as(&who("default", Role::Infer), "GET", "/api/v1/monitors", json!(null)).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_tells_what_its_rows_looked_like() {
    let world = World::new().await.deployed("adder").await;
    for x in 0..20 {
        let rows = json!({"rows": [{"x[0]": x, "x[1]": 1}]});
        let sent = world.call("POST", "/api/v1/deployments/adder/predict", rows).await;
        assert_eq!(sent.status, StatusCode::OK, "{}", sent.body);
    }
    let found = world.get("/api/v1/deployments/adder/profile?last=10m").await;
    assert_eq!((found.status, &found.body["rows"]), (StatusCode::OK, &json!(20)));
    let columns = found.body["columns"].as_array().unwrap();
    let sum = columns.iter().find(|c| c["name"] == "out.sum").unwrap();
    assert_eq!((&sum["present"], &sum["min"], &sum["max"]), (&json!(20), &json!(1.0), &json!(20.0)));
    assert!(sum["kll"].as_str().is_some_and(|kll| !kll.is_empty()));
    let none = world.get("/api/v1/deployments/adder/profile?variant=v8").await.body;
    assert_eq!((&none["rows"], &none["columns"]), (&json!(0), &json!([])));
    assert_eq!(world.get("/api/v1/deployments/adder/profile?last=soon").await.status, StatusCode::BAD_REQUEST);
}

/// A profile's bins are indices later, in the one controller of all tenants.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_whose_bins_do_not_fit_is_refused() {
    let world = World::new().await;
    let admin = who("default", Role::Admin);
    let auth = world.state.gate.authorize(&admin, CreateModel::on("churn")).unwrap();
    world.state.registry.create_model(&auth, "churn", vec![], None).await.unwrap();
    let auth = world.state.gate.authorize(&admin, CreateVersion::on("churn")).unwrap();
    let run = super::tracked::run(&world, "one", "6", 2).await;
    let source = format!("runs:/{run}/model");
    let new = NewVersion { name: "churn".into(), source, run_id: Some(run), ..NewVersion::default() };
    world.state.registry.create_version(&auth, new).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("train.csv");
    let lines: Vec<String> = (0..400).map(|i| i.to_string()).collect();
    std::fs::write(&file, format!("x\n{}\n", lines.join("\n"))).unwrap();
    let made = mainspring_monitor::profile::profile(&mainspring_monitor::Table::open(&file).unwrap(), 1).unwrap();
    let made = serde_json::to_value(made).unwrap();
    for wrong in [
        json!({"edges": [1.0, 2.0], "counts": [1, 1, 1]}),
        json!({"edges": [2.0, 1.0], "counts": [1, 1, 1, 1]}),
        json!({"edges": [1.0], "counts": [18_446_744_073_709_551_615_u64, 1, 1]}),
        json!({"edges": null, "counts": [1, 2, 3]}),
        json!({"edges": null, "counts": []}),
    ] {
        let mut profile = made.clone();
        profile["columns"][0]["calibration"] = wrong.clone();
        let sent = world.call("POST", "/api/v1/profiles", json!({"model": "churn/1", "profile": profile})).await;
        assert_eq!(sent.status, StatusCode::BAD_REQUEST, "{wrong}: {}", sent.body);
        assert!(sent.body["detail"].as_str().unwrap().contains("no profile: stored calibration"), "{}", sent.body);
    }
    assert_eq!(world.get("/api/v1/profiles?model=churn/1").await.status, StatusCode::NOT_FOUND);
    let none = world.get("/api/v1/profiles/state?model=churn/1").await;
    assert_eq!((none.status, &none.body["reading"]), (StatusCode::OK, &json!(false)));
    assert!(none.body["problem"].as_str().unwrap().contains("no profile is saved with version 1"), "{}", none.body);
    assert_eq!(none.body["hint"], "save one: mainspring profile TRAINING_FILE --version churn/1");
    let sent = world.call("POST", "/api/v1/profiles", json!({"model": "churn/1", "profile": made})).await;
    assert_eq!(sent.status, StatusCode::OK, "{}", sent.body);
    let there = world.get("/api/v1/profiles/state?model=churn/1").await.body;
    assert_eq!((&there["source"], &there["problem"]), (&sent.body["source"], &json!(null)), "{there}");
    assert_eq!(world.get("/api/v1/profiles/state?model=other/1").await.status, StatusCode::NOT_FOUND);
}
