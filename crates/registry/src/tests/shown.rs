//! What a search shows of a run after each kind of change: what is kept in memory must never be older.

use super::Fixture;
use crate::actions::{
    DeleteExperiment, DeleteLoggedModel, DeleteRun, LogRun, Purge, ReadRun, RestoreExperiment, RestoreRun, UpdateRun,
};
use crate::{Batch, Dataset, DatasetInput, Metric, ModelOutput, Pair, Run, RunChange, RunSearch, RunStatus, View};
use std::sync::Arc;
use std::time::Duration;

impl Fixture {
    /// The one run of an experiment, in whatever stage, as a search shows it.
    async fn searched(&self, experiment: i64) -> Arc<Run> {
        let asked = RunSearch { experiments: vec![experiment], view: View::All, ..RunSearch::default() };
        let mut found = self.registry.search_runs(&self.may(ReadRun::any()), &asked).await.unwrap().items;
        assert_eq!(found.len(), 1);
        found.remove(0)
    }

    async fn read(&self, run: &str) -> Run {
        self.registry.run(&self.may(ReadRun::on(run)), run).await.unwrap()
    }

    async fn change(&self, run: &str, n: usize, e: i64, model: &str) {
        let (log, registry) = (self.may(LogRun::on(run)), &self.registry);
        let update = async |change: RunChange| registry.update_run(&self.may(UpdateRun::on(run)), run, change).await;
        let pair = |key: &str| Pair::new(key, "1");
        match n {
            0 => self.log(run, &[("m", 1.0, 1)]).await,
            1 => self.log(run, &[("m", 2.0, 2), ("n", f64::MAX, 0)]).await,
            2 => registry.log_param(&log, run, pair("p")).await.unwrap(),
            3 => registry.set_run_tag(&log, run, pair("t")).await.unwrap(),
            4 => registry.delete_run_tag(&log, run, "t").await.unwrap(),
            5 => registry.set_run_tag(&log, run, Pair::new("mlflow.runName", "by tag")).await.unwrap(),
            6 => {
                let json = r#"{"artifact_path": "a", "flavors": {}, "utc_time_created": "", "run_id": ""}"#;
                registry.record_model(&log, run, json).await.unwrap();
            }
            7 => {
                let dataset = Dataset { name: "d".into(), digest: "1".into(), ..Dataset::default() };
                let input = DatasetInput { dataset, tags: vec![pair("c")] };
                registry.log_inputs(&log, run, vec![input], Vec::new()).await.unwrap();
            }
            8 => registry.log_inputs(&log, run, Vec::new(), vec![model.to_owned()]).await.unwrap(),
            9 => {
                let output = ModelOutput { model_id: model.to_owned(), step: 3 };
                registry.log_outputs(&log, run, vec![output]).await.unwrap();
            }
            10 => drop(update(RunChange { name: Some("renamed".into()), ..RunChange::default() }).await.unwrap()),
            11 => {
                let done = RunChange { status: Some(RunStatus::Finished), ended: Some(9), name: None };
                drop(update(done).await.unwrap());
            }
            12 => registry.delete_run(&self.may(DeleteRun::on(run)), run).await.unwrap(),
            13 => registry.restore_run(&self.may(RestoreRun::on(run)), run).await.unwrap(),
            14 => registry.delete_experiment(&self.may(DeleteExperiment::any()), e).await.unwrap(),
            15 => registry.restore_experiment(&self.may(RestoreExperiment::any()), e).await.unwrap(),
            _ => {
                registry.delete_logged_model(&self.may(DeleteLoggedModel::on(model)), model).await.unwrap();
                let report = registry.purge(&self.may(Purge::any()), Duration::ZERO).await.unwrap();
                assert_eq!(report.logged_models, [model]);
            }
        }
    }

    /// Each kind of change by `self`, seen by `other` and by itself.
    async fn changes_are_seen_by(&self, other: &Self) {
        let e = self.experiment("e").await;
        let (run, model) = (self.run(e, "r").await, self.model(e).await);
        for n in 0..=16 {
            let before = other.searched(e).await;
            // It is what was kept that is shown when nothing changed.
            assert!(Arc::ptr_eq(&before, &other.searched(e).await), "before {n}");
            self.searched(e).await;
            self.change(&run, n, e, &model).await;
            let after = self.read(&run).await;
            assert_ne!(after, *before, "{n} changed nothing");
            assert_eq!(after, *other.searched(e).await, "after {n}");
            assert_eq!(after, *self.searched(e).await, "after {n}");
        }
        // What fails counts for nothing.
        let kept = other.searched(e).await;
        let refused =
            Batch { metrics: vec![Metric::new("m", 7.0, 9, 9)], params: vec![Pair::new("p", "2")], tags: vec![] };
        assert!(self.registry.log_batch(&self.may(LogRun::on(&run)), &run, refused).await.is_err());
        assert!(Arc::ptr_eq(&kept, &other.searched(e).await));
    }
}

#[tokio::test]
async fn every_change_of_a_run_is_seen_by_the_next_search() {
    let f = Fixture::new().await;
    f.changes_are_seen_by(&f).await;
}

#[tokio::test]
async fn every_change_of_a_run_is_seen_by_the_other_replica() {
    let (a, b) = Fixture::replicas().await;
    a.changes_are_seen_by(&b).await;
}

#[tokio::test]
async fn a_page_is_in_order_when_some_of_its_runs_are_kept() {
    let f = Fixture::new().await;
    let mut runs = Vec::new();
    for n in 0..6 {
        let run = f.run(0, &format!("r{n}")).await;
        f.log(&run, &[("m", f64::from(n), 0)]).await;
        runs.push(run);
    }
    f.names(0, "metrics.m > 2", &[]).await;
    f.log(&runs[4], &[("m", 9.0, 1)]).await;
    let asked = RunSearch { experiments: vec![0], order_by: vec!["metrics.m DESC".into()], ..RunSearch::default() };
    let found = f.registry.search_runs(&f.may(ReadRun::any()), &asked).await.unwrap().items;
    let shown: Vec<(&str, f64)> = found.iter().map(|r| (r.info.name.as_str(), r.metrics[0].value)).collect();
    assert_eq!(shown, [("r4", 9.0), ("r5", 5.0), ("r3", 3.0), ("r2", 2.0), ("r1", 1.0), ("r0", 0.0)]);
}
