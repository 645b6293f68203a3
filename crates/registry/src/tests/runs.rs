//! Runs, their logging and searching.

use super::Fixture;
use crate::actions::{CreateRun, DeleteRun, LogRun, ReadArtifact, ReadExperiment, ReadRun, WriteArtifact};
use crate::{ArtifactRoot, Batch, ExperimentSearch, Metric, NewRun, Pair, RegistryError, RunSearch, Sample};
use bytes::Bytes;
use mainspring_store::args;

impl Fixture {
    pub(super) async fn run(&self, experiment: i64, name: &str) -> String {
        let new = NewRun { experiment, name: name.into(), started: 5, ..NewRun::default() };
        self.registry.create_run(&self.may(CreateRun::any()), new).await.unwrap().info.id
    }

    pub(super) async fn log(&self, run: &str, metrics: &[(&str, f64, i64)]) {
        let metrics = metrics.iter().map(|(k, v, step)| Metric::new(*k, *v, 1, *step)).collect();
        let batch = Batch { metrics, ..Batch::default() };
        self.registry.log_batch(&self.may(LogRun::on(run)), run, batch).await.unwrap();
    }

    pub(super) async fn names(&self, experiment: i64, filter: &str, order: &[&str]) -> Vec<String> {
        let asked = RunSearch {
            experiments: vec![experiment],
            filter: filter.into(),
            order_by: order.iter().map(|o| (*o).to_owned()).collect(),
            ..RunSearch::default()
        };
        let page = self.registry.search_runs(&self.may(ReadRun::any()), &asked).await.unwrap();
        page.items.iter().map(|r| r.info.name.clone()).collect()
    }

    pub(super) async fn put(&self, run: &str, path: &str, text: &'static str) {
        let content = futures::stream::once(async move { Ok(Bytes::from_static(text.as_bytes())) });
        let root = ArtifactRoot::Run(run.into());
        self.registry.write_artifact(&self.may(WriteArtifact::on(run)), &root, path, content).await.unwrap();
    }
}

#[tokio::test]
async fn the_latest_value_is_kept_whatever_the_order_of_batches() {
    let f = Fixture::new().await;
    let run = f.run(0, "r").await;
    f.log(&run, &[("m", 1.0, 5), ("m", 2.0, 3), ("n", f64::NAN, 0)]).await;
    f.log(&run, &[("m", 9.0, 4)]).await;
    let found = f.registry.run(&f.may(ReadRun::on(&run)), &run).await.unwrap();
    let latest: Vec<(&str, i64)> = found.metrics.iter().map(|m| (m.key.as_str(), m.step)).collect();
    assert_eq!(latest, [("m", 5), ("n", 0)]);
    assert!(found.metrics[1].value.is_nan());
    let history = f.registry.metric_history(&f.may(ReadRun::on(&run)), &run, "m", (None, None)).await.unwrap();
    assert_eq!(history.items.iter().map(|p| p.step).collect::<Vec<_>>(), [3, 4, 5]);
    let sample = Sample { max: 2, within: Some((3, 4)) };
    let plot = f.registry.metric_history_sampled(&f.may(ReadRun::any()), &[run], "m", sample).await.unwrap();
    assert_eq!(plot.iter().map(|(_, p)| p.step).collect::<Vec<_>>(), [3, 4]);
}

#[tokio::test]
async fn the_list_of_logged_models_is_json_however_long_it_grows() {
    const KEY: &str = "mlflow.log-model.history";
    let f = Fixture::new().await;
    let run = f.run(0, "r").await;
    let model = |n: usize, wide: usize| {
        let signature = "x".repeat(wide);
        serde_json::json!({"artifact_path": format!("m{n}"), "flavors": {}, "utc_time_created": "now", "run_id": &run,
            "signature": signature})
    };
    let mut list = Vec::new();
    for n in 0..20 {
        f.registry.record_model(&f.may(LogRun::on(&run)), &run, &model(n, 9000).to_string()).await.unwrap();
        let found = f.registry.run(&f.may(ReadRun::on(&run)), &run).await.unwrap();
        let text = found.tags.iter().find(|t| t.key == KEY).unwrap().value.clone();
        list = serde_json::from_str::<Vec<serde_json::Value>>(&text).unwrap();
        assert_eq!(list.last(), Some(&model(n, 9000)), "the newest is whole");
    }
    assert_eq!(list.first(), Some(&model(13, 9000)), "the oldest went");
    f.registry.record_model(&f.may(LogRun::on(&run)), &run, &model(20, 1 << 20).to_string()).await.unwrap();
    let found = f.registry.run(&f.may(ReadRun::on(&run)), &run).await.unwrap();
    let text = found.tags.iter().find(|t| t.key == KEY).unwrap().value.clone();
    let list = serde_json::from_str::<Vec<serde_json::Value>>(&text).unwrap();
    let last = list.last().unwrap();
    assert_eq!((last["artifact_path"].as_str(), last.get("signature")), (Some("m20"), None));
}

#[tokio::test]
async fn a_batch_is_all_or_nothing() {
    let f = Fixture::new().await;
    let run = f.run(0, "r").await;
    let log = |key: &str, value: &str| Batch {
        metrics: vec![Metric::new("m", 1.0, 1, 1)],
        params: vec![Pair::new(key, value)],
        tags: vec![Pair::new("t", value)],
    };
    let auth = f.may(LogRun::on(&run));
    f.registry.log_batch(&auth, &run, log("p", "1")).await.unwrap();
    let refused = f.registry.log_batch(&auth, &run, log("p", "2")).await;
    assert!(matches!(refused, Err(RegistryError::Invalid(text)) if text.contains("Changing param values")));
    let found = f.registry.run(&f.may(ReadRun::on(&run)), &run).await.unwrap();
    assert_eq!(found.params, [Pair::new("p", "1")]);
    assert!(found.tags.contains(&Pair::new("t", "1")));
}

#[tokio::test]
async fn searches_filter_order_and_page_in_the_database() {
    let f = Fixture::new().await;
    for (i, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
        let run = f.run(0, name).await;
        f.log(&run, &[("m", i as f64, 0)]).await;
    }
    assert_eq!(f.names(0, "metrics.m > 0", &["metrics.m DESC"]).await, ["d", "c", "b"]);
    assert_eq!(f.names(0, "run_name LIKE 'A'", &[]).await, Vec::<String>::new());
    assert_eq!(f.names(0, "run_name ILIKE 'A'", &[]).await, ["a"]);
    let mut asked =
        RunSearch { experiments: vec![0], order_by: vec!["metrics.m".into()], max_results: 3, ..RunSearch::default() };
    let first = f.registry.search_runs(&f.may(ReadRun::any()), &asked).await.unwrap();
    asked.page_token = first.next;
    let second = f.registry.search_runs(&f.may(ReadRun::any()), &asked).await.unwrap();
    assert_eq!((first.items.len(), second.items.len(), second.next), (3, 1, None));
}

#[tokio::test]
async fn a_metric_that_is_no_number_comes_behind_numbers_whatever_filter_it_passed() {
    let f = Fixture::new().await;
    for (name, value) in [("one", 1.0), ("nan", f64::NAN), ("two", 2.0), ("three", -3.0)] {
        let run = f.run(0, name).await;
        f.log(&run, &[("m", value, 0)]).await;
    }
    f.run(0, "none").await;
    assert_eq!(f.names(0, "metrics.m != 2", &["metrics.m DESC"]).await, ["one", "three", "nan"]);
    assert_eq!(f.names(0, "metrics.m != 2 AND metrics.m < 9", &["metrics.m"]).await, ["three", "one"]);
    assert_eq!(f.names(0, "metrics.m < 2", &["metrics.m DESC"]).await, ["one", "three"]);
    assert_eq!(f.names(0, "", &["metrics.m DESC"]).await, ["two", "one", "three", "nan", "none"]);
}

/// Only short values are in the index of values; what is found must not depend on it.
#[tokio::test]
async fn a_param_is_found_by_its_value_however_long_it_is() {
    let (postgres, _other) = Fixture::replicas().await;
    for f in [Fixture::new().await, postgres] {
        let values = ["v".repeat(64), "v".repeat(65), "\u{e9}".repeat(64), "\u{e9}".repeat(65), "v".repeat(5000)];
        for (i, value) in values.iter().enumerate() {
            let run = f.run(0, &format!("r{i}")).await;
            let pair = |key: &str| vec![Pair::new(key, value)];
            let batch = Batch { params: pair("p"), tags: pair("t"), ..Batch::default() };
            f.registry.log_batch(&f.may(LogRun::on(&run)), &run, batch).await.unwrap();
        }
        for (i, value) in values.iter().enumerate() {
            for field in ["params.p", "tags.t"] {
                assert_eq!(f.names(0, &format!("{field} = '{value}'"), &[]).await, [format!("r{i}")], "{field}");
            }
        }
        assert_eq!(f.names(0, "params.p LIKE 'v%'", &["params.p"]).await, ["r0", "r1", "r4"]);
    }
}

#[tokio::test]
async fn tenants_do_not_see_each_other() {
    let mut f = Fixture::new().await;
    let run = f.run(0, "mine").await;
    f.put(&run, "a.txt", "secret").await;
    f.as_tenant("other");
    let missing = f.registry.run(&f.may(ReadRun::on(&run)), &run).await;
    assert!(matches!(missing, Err(RegistryError::NotFound(_))));
    // Its own default experiment is there, and empty; so is its store.
    let found = f.registry.experiments_with_counts(&f.may(ReadExperiment::any()), &ExperimentSearch::default()).await;
    let found = found.unwrap().items;
    assert_eq!((found.len(), found[0].runs), (1, 0));
    let path = format!("0/{run}/artifacts/a.txt");
    let file = f.registry.open_artifact(&f.may(ReadArtifact::any()), &ArtifactRoot::Store, &path).await;
    assert!(file.is_err());
    let listed = f.registry.list_artifacts(&f.may(ReadArtifact::any()), &ArtifactRoot::Store, "").await.unwrap();
    assert!(listed.entries.is_empty());
}

#[tokio::test]
async fn changes_are_audited_and_logging_is_not() {
    let f = Fixture::new().await;
    let before = audited(&f).await;
    let run = f.run(0, "r").await;
    f.log(&run, &[("m", 1.0, 0)]).await;
    f.registry.delete_run(&f.may(DeleteRun::on(&run)), &run).await.unwrap();
    // A change that fails leaves no line.
    assert!(f.registry.delete_run(&f.may(DeleteRun::on("none")), "none").await.is_err());
    assert_eq!(audited(&f).await - before, 2);
}

async fn audited(f: &Fixture) -> usize {
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%audit%'";
    f.db.read(move |c| {
        Box::pin(async move {
            let tables = c.query(sql, args![]).await?;
            let table = tables.first().map(|r| r.text("name")).transpose()?.unwrap_or_default();
            Ok::<_, mainspring_store::StoreError>(
                c.query(&format!("SELECT 1 AS one FROM {table}"), args![]).await?.len(),
            )
        })
    })
    .await
    .unwrap()
}

/// Runs `r0`, `r1`, … with a tag and a metric, straight into the tables.
async fn fill(f: &Fixture, runs: i64) {
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1) INSERT INTO";
    let tables = [
        "runs SELECT 'default', 'r' || CAST(i AS TEXT), 0, 'n', 'u', 'RUNNING', i, NULL, NULL, 'mlflow-artifacts:/0/r', \
         'active', 0 FROM n",
        "run_tags SELECT 'default', 0, 'k', 'r' || CAST(i AS TEXT), CAST(i AS TEXT) FROM n",
        "run_metrics SELECT 'default', 0, 'm', 'r' || CAST(i AS TEXT), 0.5, 0, 0, 0 FROM n",
    ];
    let filling = f.db.write(move |c| {
        Box::pin(async move {
            for table in tables {
                c.execute(&format!("{numbers} {table}"), args![runs]).await?;
            }
            Ok::<_, mainspring_store::StoreError>(())
        })
    });
    filling.await.unwrap();
}

#[tokio::test]
async fn the_largest_page_comes_back_whole() {
    let (postgres, _other) = Fixture::replicas().await;
    // More than SQLite takes arguments.
    for (f, count) in [(Fixture::new().await, 33_000), (postgres, 2_000)] {
        fill(&f, count).await;
        let asked = RunSearch { experiments: vec![0], max_results: 50_000, ..RunSearch::default() };
        let found = f.registry.search_runs(&f.may(ReadRun::any()), &asked).await.unwrap().items;
        assert_eq!(found.len() as i64, count);
        for run in &found {
            assert_eq!(run.tags, [Pair::new("k", run.info.id.trim_start_matches('r'))]);
            assert_eq!(run.metrics.len(), 1);
        }
        // Many experiments are numbers.
        let asked = RunSearch { experiments: (0..1500).collect(), max_results: 1, ..RunSearch::default() };
        let newest = f.registry.search_runs(&f.may(ReadRun::any()), &asked).await.unwrap().items;
        assert_eq!(newest[0].info.started, count - 1);
    }
}
