use super::world::{World, who};
use http::StatusCode;
use mainspring_core::Role;
use mainspring_registry::actions::{CreateModel, CreateRun, CreateVersion, DeleteModel, DeleteRun, LogRun};
use mainspring_registry::{Batch, Metric, NewRun, NewVersion, Pair};
use serde_json::{Value, json};

/// A run of experiment 0 with a param, a metric of `points` values and a tag.
pub(super) async fn run(world: &World, name: &str, depth: &str, points: i64) -> String {
    let admin = who("default", Role::Admin);
    let new = NewRun {
        experiment: 0,
        name: name.to_owned(),
        user: "ann".to_owned(),
        started: 1_700_000_000_000,
        tags: vec![Pair::new("team", "a")],
    };
    let auth = world.state.gate.authorize(&admin, CreateRun::any()).unwrap();
    let id = world.state.registry.create_run(&auth, new).await.unwrap().info.id;
    let auth = world.state.gate.authorize(&admin, LogRun::on(&id)).unwrap();
    for chunk in (0..points).collect::<Vec<_>>().chunks(900) {
        let metric =
            |i: &i64| Metric::new("auc", if *i == 700 { 99.0 } else { *i as f64 / 1e4 }, 1_700_000_000_000 + i, *i);
        let batch = Batch {
            metrics: chunk.iter().map(metric).collect(),
            params: vec![Pair::new("depth", depth)],
            tags: vec![],
        };
        world.state.registry.log_batch(&auth, &id, batch).await.unwrap();
    }
    id
}

#[tokio::test]
async fn runs_are_searched_shown_and_compared() {
    let world = World::new().await;
    let (one, two) = (run(&world, "one", "6", 2).await, run(&world, "two", "8", 3).await);
    let experiments = world.get("/api/v1/experiments").await.body;
    assert_eq!(
        (experiments["experiments"][0]["name"].as_str(), experiments["experiments"][0]["runs"].as_u64()),
        (Some("Default"), Some(2))
    );

    let search = json!({"filter": "params.depth = '8'", "orderBy": ["metrics.auc DESC"]});
    let found = world.call("POST", "/api/v1/runs/search", search).await.body;
    assert_eq!((found["runs"].as_array().unwrap().len(), found["runs"][0]["name"].as_str()), (1, Some("two")));
    assert_eq!(found["runs"][0]["tags"], json!({"team": "a"}), "MLflow's own tags are left out");
    let wrong = world.call("POST", "/api/v1/runs/search", json!({"filter": "params.depth ~ '8'"})).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);

    let detail = world.get(&format!("/api/v1/runs/{one}")).await.body;
    assert_eq!(detail["run"]["metrics"]["auc"], 0.0001);
    assert_eq!(detail["systemTags"]["mlflow.runName"], "one");
    let compared = world.call("POST", "/api/v1/runs/compare", json!({"runIds": [one, two]})).await.body;
    assert_eq!(compared["params"][0], json!({"key": "depth", "values": ["6", "8"], "differs": true}));
    assert_eq!(
        world.call("POST", "/api/v1/runs/compare", json!({"runIds": ["x"]})).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(world.get("/api/v1/runs/0123").await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.get(&format!("/api/v1/runs/{one}/artifacts")).await.body["entries"], json!([]));
    assert_eq!(world.get("/api/v1/overview").await.body["counts"]["runs"], 2);
}

#[tokio::test]
async fn a_long_history_keeps_its_ends_and_its_spike() {
    let world = World::new().await;
    let id = run(&world, "long", "6", 2000).await;
    let got = world.get(&format!("/api/v1/runs/{id}/metric?key=auc&points=50")).await.body;
    let points = got["points"].as_array().unwrap();
    assert_eq!(got["total"], 2000);
    assert!(points.len() <= 50 && points.len() > 40, "{}", points.len());
    assert_eq!((points[0]["step"].as_i64(), points.last().unwrap()["step"].as_i64()), (Some(0), Some(1999)));
    assert!(points.iter().any(|p| p["value"] == 99.0));
    assert_eq!(world.get(&format!("/api/v1/runs/{id}/metric")).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn models_versions_aliases_and_lineage() {
    let world = World::new().await;
    let id = run(&world, "one", "6", 2).await;
    let admin = who("default", Role::Admin);
    let auth = world.state.gate.authorize(&admin, CreateModel::on("churn")).unwrap();
    world.state.registry.create_model(&auth, "churn", vec![], Some("who leaves".into())).await.unwrap();
    let auth = world.state.gate.authorize(&admin, CreateVersion::on("churn")).unwrap();
    let new = NewVersion {
        name: "churn".into(),
        source: format!("runs:/{id}/model"),
        run_id: Some(id.clone()),
        model_id: None,
        run_link: None,
        description: None,
        tags: vec![],
    };
    world.state.registry.create_version(&auth, new.clone()).await.unwrap();
    // A name with quotes in it, of both kinds too, is a name as any other.
    for (name, path) in [("o'neil", "o'neil"), ("o'neil \"x\"", "o'neil%20%22x%22")] {
        let auth = world.state.gate.authorize(&admin, CreateModel::on(name)).unwrap();
        world.state.registry.create_model(&auth, name, vec![], None).await.unwrap();
        let auth = world.state.gate.authorize(&admin, CreateVersion::on(name)).unwrap();
        world.state.registry.create_version(&auth, NewVersion { name: name.into(), ..new.clone() }).await.unwrap();
        let versions = world.get(&format!("/api/v1/models/{path}")).await.body["versions"].clone();
        assert_eq!(
            (versions[0]["version"].as_str(), versions.as_array().map(Vec::len)),
            (Some("1"), Some(1)),
            "{name}"
        );
        let auth = world.state.gate.authorize(&admin, DeleteModel::on(name)).unwrap();
        world.state.registry.delete_model(&auth, name).await.unwrap();
    }

    let set = world.call("PUT", "/api/v1/models/churn/aliases/champion", json!({"version": "1"})).await;
    assert_eq!(set.body, json!({"name": "churn", "alias": "champion", "version": "1"}));
    let list = world.get("/api/v1/models").await.body;
    assert_eq!(list["models"][0]["aliases"], json!({"champion": "1"}));
    let detail = world.get("/api/v1/models/churn").await.body;
    assert_eq!(
        (detail["versions"][0]["version"].as_str(), detail["versions"][0]["aliases"][0].as_str()),
        (Some("1"), Some("champion"))
    );
    let lineage = world.get("/api/v1/models/churn/lineage").await.body;
    assert_eq!(lineage["versions"][0]["run"]["id"], id.as_str());
    assert_eq!(world.get(&format!("/api/v1/runs/{id}")).await.body["modelVersions"][0]["name"], "churn");

    let gone = world.call("DELETE", "/api/v1/models/churn/aliases/champion", Value::Null).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let bad = world.call("PUT", "/api/v1/models/churn/aliases/champion", json!({"version": "x"})).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.get("/api/v1/models/o'brien").await.status, StatusCode::NOT_FOUND);
    let doomed = run(&world, "doomed", "6", 2).await;
    let auth = world.state.gate.authorize(&admin, DeleteRun::on(&doomed)).unwrap();
    world.state.registry.delete_run(&auth, &doomed).await.unwrap();
    let planned = world.call("POST", "/api/v1/purge", json!({"olderThanSeconds": 0, "dryRun": true})).await;
    assert_eq!((planned.status, planned.body["runs"].as_u64()), (StatusCode::OK, Some(1)));
    let purged = world.call("POST", "/api/v1/purge", json!({"olderThanSeconds": 0})).await;
    assert_eq!(purged.body, planned.body);
    let purged = world.call("POST", "/api/v1/purge", json!({"olderThanSeconds": 0})).await;
    assert_eq!((purged.status, purged.body["runs"].as_u64()), (StatusCode::OK, Some(0)));
    let reader =
        world.call_as(&who("default", Role::Write), "POST", "/api/v1/purge", json!({"olderThanSeconds": 0})).await;
    assert_eq!(reader.status, StatusCode::FORBIDDEN);
}
