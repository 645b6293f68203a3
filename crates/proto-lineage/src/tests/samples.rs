//! The samples of the specification and of its Python client.

use super::{World, with};
use http::StatusCode;
use serde_json::{Map, Value, json};

/// From OpenLineage at 2026-08-20 (`spec/tests`, `client/python/tests`), Apache-2.0.
fn samples() -> Map<String, Value> {
    serde_json::from_str(include_str!("samples.json")).unwrap()
}

/// Where facets of a folder of samples belong in an event.
fn around(folder: &str, facets: &Value) -> Value {
    let dataset = |key: &str| json!({ "namespace": "warehouse", "name": "clean", key: facets });
    if folder.contains("InputDataset") {
        with(json!({ "inputs": [dataset("inputFacets")] }))
    } else if folder.contains("OutputDataset") {
        with(json!({ "outputs": [dataset("outputFacets")] }))
    } else if folder.ends_with("RunFacet") {
        with(json!({ "run": { "runId": "ea041791-68bc-4ae1-bd89-4c8106a157e4", "facets": facets } }))
    } else if folder.ends_with("JobFacet") {
        with(json!({ "job": { "namespace": "airflow", "name": "etl", "facets": facets } }))
    } else {
        with(json!({ "outputs": [dataset("facets")] }))
    }
}

#[tokio::test]
async fn every_sample_is_taken_and_kept_as_it_is() {
    let samples = samples();
    assert!(samples.len() > 50, "{}", samples.len());
    for (path, sample) in samples {
        let world = World::new().await;
        let whole = sample.get("eventTime").is_some();
        let event = if whole { sample } else { around(path.split('/').nth(2).unwrap(), &sample) };
        let got = world.event(&event).await;
        assert_eq!(got.status, StatusCode::CREATED, "{path}: {}", got.body);
        let kept = world.get("/api/v1/events/lineage").await.body;
        assert_eq!(kept["events"], json!([event]), "{path}");
    }
}

#[tokio::test]
async fn facets_are_shown_with_what_they_are_about() {
    let world = World::new().await;
    let samples = samples();
    for path in [
        "spec/tests/SQLJobFacet/1.json",
        "spec/tests/SchemaDatasetFacet/1.json",
        "spec/tests/NominalTimeRunFacet/1.json",
    ] {
        // Each is another event: it happened at another time.
        let mut event = around(path.split('/').nth(2).unwrap(), &samples[path]);
        event["eventTime"] = format!("2026-01-31T12:00:00.{}Z", path.len()).into();
        assert_eq!(world.event(&event).await.status, StatusCode::CREATED);
    }
    let job = world.get("/api/v1/namespaces/airflow/jobs/etl").await.body;
    assert_eq!(job["facets"], samples["spec/tests/SQLJobFacet/1.json"]);
    assert_eq!(job["latestRun"]["state"], "COMPLETED");
    assert_eq!(
        job["latestRun"]["nominalStartTime"],
        samples["spec/tests/NominalTimeRunFacet/1.json"]["nominalTime"]["nominalStartTime"]
    );
    let dataset = world.get("/api/v1/namespaces/warehouse/datasets/clean").await.body;
    let schema = &samples["spec/tests/SchemaDatasetFacet/1.json"];
    assert_eq!(dataset["facets"], *schema);
    assert_eq!(dataset["fields"][0]["name"], schema["schema"]["fields"][0]["name"]);
}

#[test]
fn what_goes_out_is_what_is_taken() {
    use crate::emit::{Dataset, Job, Said, render};
    let model = Dataset {
        namespace: "mainspring".into(),
        name: "models/churn/3".into(),
        version: Some("abc".into()),
        fields: vec![("x".into(), Some("double".into())), ("y".into(), None)],
        symlinks: vec![("mainspring".into(), "logged-models/m-1".into(), "LOGGED_MODEL")],
        rows: Some(7),
    };
    let job =
        Job { namespace: "mainspring".into(), name: "experiments/churn".into(), processing: "BATCH", does: "TRAINING" };
    let run = ("0000006c-68bc-4ae1-bd89-4c8106a157e4".to_owned(), mainspring_lineage::RunState::Fail);
    let at = mainspring_core::Timestamp(1_700_000_000_123_456);
    for run in [Some(run), None] {
        let said =
            Said { at, run: run.clone(), job: job.clone(), inputs: vec![model.clone()], outputs: vec![model.clone()] };
        let text = render(&said).to_string();
        let event = crate::event(&text).unwrap();
        assert_eq!((event.at, event.outputs[0].facets.len()), (at, 3));
        match event.subject {
            mainspring_lineage::Subject::Run { id, state, .. } => assert_eq!(run, state.map(|s| (id, s))),
            other => assert!(run.is_none() && matches!(other, mainspring_lineage::Subject::Job(_))),
        }
    }
}
