//! Purging: what goes, what stays, and what a crash or somebody else in the middle does to it.

use super::Fixture;
use crate::actions::{
    CreateExperiment, CreateLoggedModel, CreateModel, CreateVersion, DeleteExperiment, DeleteRun, DeleteVersion, Purge,
    ReadArtifact, RestoreExperiment, RestoreRun, WriteArtifact,
};
use crate::sql::purge::{Kind, mark};
use crate::{ArtifactRoot, NewLoggedModel, NewVersion, PurgeReport, RegistryError, Result};
use bytes::Bytes;
use mainspring_core::Tenant;
use mainspring_store::args;
use std::time::Duration;

impl Fixture {
    async fn purge(&self) -> PurgeReport {
        self.registry.purge(&self.may(Purge::any()), Duration::ZERO).await.unwrap()
    }

    async fn plan(&self) -> PurgeReport {
        self.registry.purge_plan(&self.may(Purge::any()), Duration::ZERO).await.unwrap()
    }

    pub(super) async fn experiment(&self, name: &str) -> i64 {
        self.registry.create_experiment(&self.may(CreateExperiment::any()), name, None, Vec::new()).await.unwrap()
    }

    pub(super) async fn model(&self, experiment: i64) -> String {
        let new = NewLoggedModel { experiment, ..NewLoggedModel::default() };
        self.registry.create_logged_model(&self.may(CreateLoggedModel::any()), new).await.unwrap().id
    }

    async fn delete(&self, run: &str) {
        self.registry.delete_run(&self.may(DeleteRun::on(run)), run).await.unwrap();
    }

    /// Version 1 of a new model, from `source` with RUN in it.
    async fn version_of(&self, name: &str, run: &str, source: &str) -> Result<i64> {
        self.registry.create_model(&self.may(CreateModel::on(name)), name, Vec::new(), None).await?;
        let new = NewVersion {
            name: name.into(),
            source: source.replace("RUN", run),
            run_id: Some(run.into()),
            ..NewVersion::default()
        };
        Ok(self.registry.create_version(&self.may(CreateVersion::on(name)), new).await?.version)
    }

    async fn mark(&self, kind: Kind, id: &str) -> bool {
        self.mark_before(kind, id, self.registry.now()).await
    }

    async fn mark_before(&self, kind: Kind, id: &str, before: i64) -> bool {
        let id = id.to_owned();
        let marking =
            self.db.write(move |c| Box::pin(async move { mark(c, &Tenant::default(), kind, &id, before).await }));
        marking.await.unwrap()
    }
}

#[tokio::test]
async fn a_purge_frees_what_was_deleted_long_enough_ago() {
    let f = Fixture::new().await;
    let e = f.registry.create_experiment(&f.may(CreateExperiment::any()), "e", None, Vec::new()).await.unwrap();
    let (old, young, kept) = (f.run(0, "old").await, f.run(0, "young").await, f.run(0, "kept").await);
    let inner = f.run(e, "inner").await;
    for run in [&old, &young, &kept, &inner] {
        f.put(run, "d/a.txt", "x").await;
        f.log(run, &[("m", 1.0, 0)]).await;
    }
    f.registry.delete_run(&f.may(DeleteRun::on(&old)), &old).await.unwrap();
    f.registry.delete_experiment(&f.may(DeleteExperiment::any()), e).await.unwrap();
    f.clock.advance(3_600_000_000);
    f.registry.delete_run(&f.may(DeleteRun::on(&young)), &young).await.unwrap();

    let half_an_hour = Duration::from_secs(1800);
    let planned = f.registry.purge_plan(&f.may(Purge::any()), half_an_hour).await.unwrap();
    let report = f.registry.purge(&f.may(Purge::any()), half_an_hour).await.unwrap();
    let mut expected = vec![old.clone(), inner];
    expected.sort();
    assert_eq!(planned, report);
    assert_eq!((report.runs, report.experiments), (expected, vec![e.to_string()]));
    assert_eq!((report.files, report.bytes), (2, 2));
    let gone = f.registry.restore_run(&f.may(RestoreRun::on(&old)), &old).await;
    assert!(matches!(gone, Err(RegistryError::NotFound(_))));
    f.registry.restore_run(&f.may(RestoreRun::on(&young)), &young).await.unwrap();
    for run in [&young, &kept] {
        let root = ArtifactRoot::Run(run.clone());
        f.registry.open_artifact(&f.may(ReadArtifact::on(run)), &root, "d/a.txt").await.unwrap();
    }
    let left = "SELECT (SELECT COUNT(*) FROM metric_chunks) + (SELECT COUNT(*) FROM run_metrics) AS n";
    assert_eq!(f.number(left).await, 4);
    // A second purge finds nothing more.
    assert_eq!(f.registry.purge(&f.may(Purge::any()), half_an_hour).await.unwrap().files, 0);
}

#[tokio::test]
async fn a_purge_keeps_what_a_version_is_served_from() {
    // However the client spelled the place.
    for source in [
        "runs:/RUN/model",
        "mlflow-artifacts:/0/RUN/artifacts/model",
        "mlflow-artifacts://some.host:80/0/RUN/artifacts/model",
        "mlflow-artifacts:/0//RUN/artifacts/model/",
        "mlflow-artifacts:/0/RUN/%61rtifacts/model",
        "https://some.host/api/2.0/mlflow-artifacts/artifacts/0/RUN/artifacts/model",
    ] {
        let f = Fixture::new().await;
        let run = f.run(0, "r").await;
        f.put(&run, "model/MLmodel", "x").await;
        f.version_of("m", &run, source).await.unwrap();
        f.delete(&run).await;
        let planned = f.plan().await;
        let report = f.purge().await;
        assert_eq!(planned, report, "{source}");
        assert_eq!((report.runs.len(), report.kept), (0, vec![(run.clone(), "m/1".to_owned())]), "{source}");
        let served = ArtifactRoot::Version("m".into(), 1);
        f.registry.open_artifact(&f.may(ReadArtifact::any()), &served, "MLmodel").await.unwrap();
        f.registry.delete_version(&f.may(DeleteVersion::on("m")), "m", 1).await.unwrap();
        let report = f.purge().await;
        assert_eq!((report.runs, report.files), (vec![run], 1), "{source}");
    }
}

#[tokio::test]
async fn saying_what_would_go_changes_nothing() {
    let f = Fixture::new().await;
    let e = f.experiment("e").await;
    let run = f.run(e, "r").await;
    f.put(&run, "a.txt", "four").await;
    // Beside the runs, as the proxy allows.
    let content = futures::stream::once(async { Ok(Bytes::from_static(b"loose")) });
    let store = ArtifactRoot::Store;
    f.registry.write_artifact(&f.may(WriteArtifact::any()), &store, &format!("{e}/loose"), content).await.unwrap();
    f.registry.delete_experiment(&f.may(DeleteExperiment::any()), e).await.unwrap();
    let audited = f.number("SELECT COUNT(*) AS n FROM audit").await;
    let planned = f.plan().await;
    assert_eq!((planned.runs.len(), planned.experiments.len(), planned.files, planned.bytes), (1, 1, 2, 9));
    assert_eq!(f.plan().await, planned);
    assert_eq!(f.number("SELECT COUNT(*) AS n FROM audit").await, audited);
    f.registry.restore_experiment(&f.may(RestoreExperiment::any()), e).await.unwrap();
    f.registry.open_artifact(&f.may(ReadArtifact::any()), &ArtifactRoot::Run(run), "a.txt").await.unwrap();
    f.registry.delete_experiment(&f.may(DeleteExperiment::any()), e).await.unwrap();
    assert_eq!(f.purge().await, planned);
}

#[tokio::test]
async fn a_purge_that_was_cut_short_goes_on_whatever_the_age() {
    let f = Fixture::new().await;
    let e = f.experiment("e").await;
    let (run, untouched) = (f.run(e, "r").await, f.run(e, "s").await);
    let model = f.model(e).await;
    for of in [&run, &untouched] {
        f.put(of, "a.txt", "x").await;
    }
    f.registry.delete_experiment(&f.may(DeleteExperiment::any()), e).await.unwrap();
    // As a crash between marking and removing leaves it.
    for (kind, id) in [(Kind::Run, &run), (Kind::LoggedModel, &model)] {
        assert!(f.mark(kind, id).await);
    }
    let gone = f.registry.restore_run(&f.may(RestoreRun::on(&run)), &run).await;
    assert!(matches!(gone, Err(RegistryError::NotFound(_))));
    // Nor does its experiment bring it back.
    f.registry.restore_experiment(&f.may(RestoreExperiment::any()), e).await.unwrap();
    assert_eq!(f.names(e, "", &[]).await, ["s"]);
    let report = f.registry.purge(&f.may(Purge::any()), Duration::from_hours(24)).await.unwrap();
    assert_eq!((report.runs, report.logged_models, report.files), (vec![run], vec![model], 1));
    assert!(report.experiments.is_empty());
    f.registry.open_artifact(&f.may(ReadArtifact::any()), &ArtifactRoot::Run(untouched), "a.txt").await.unwrap();
}

#[tokio::test]
async fn an_experiment_whose_removal_was_cut_short_goes_with_its_files() {
    let f = Fixture::new().await;
    let e = f.experiment("e").await;
    let content = futures::stream::once(async { Ok(Bytes::from_static(b"loose")) });
    let store = ArtifactRoot::Store;
    f.registry.write_artifact(&f.may(WriteArtifact::any()), &store, &format!("{e}/loose"), content).await.unwrap();
    f.registry.delete_experiment(&f.may(DeleteExperiment::any()), e).await.unwrap();
    f.execute("UPDATE experiments SET lifecycle_stage = 'purging' WHERE name = 'e'", args![]).await;
    let gone = f.registry.restore_experiment(&f.may(RestoreExperiment::any()), e).await;
    assert!(matches!(gone, Err(RegistryError::NotFound(_))));
    let report = f.registry.purge(&f.may(Purge::any()), Duration::from_hours(24)).await.unwrap();
    assert_eq!((report.experiments, report.files), (vec![e.to_string()], 1));
    // Its name is free again.
    f.experiment("e").await;
}

#[tokio::test]
async fn what_was_restored_or_deleted_anew_since_the_plan_stays() {
    let f = Fixture::new().await;
    let e = f.experiment("e").await;
    let (run, model) = (f.run(e, "r").await, f.model(e).await);
    f.registry.delete_experiment(&f.may(DeleteExperiment::any()), e).await.unwrap();
    f.registry.restore_experiment(&f.may(RestoreExperiment::any()), e).await.unwrap();
    assert!(!f.mark(Kind::Run, &run).await);
    assert!(!f.mark(Kind::LoggedModel, &model).await);
    let planned_at = f.registry.now();
    f.clock.advance(5_000);
    f.delete(&run).await;
    assert!(!f.mark_before(Kind::Run, &run, planned_at).await);
    assert!(f.mark(Kind::Run, &run).await);
}

#[tokio::test]
async fn a_folder_that_another_experiment_writes_to_stays() {
    let f = Fixture::new().await;
    let e = f.experiment("e").await;
    let inside = format!("mlflow-artifacts:/{e}/shared");
    let auth = f.may(CreateExperiment::any());
    let other = f.registry.create_experiment(&auth, "other", Some(&inside), Vec::new()).await.unwrap();
    let run = f.run(other, "r").await;
    f.put(&run, "a.txt", "x").await;
    f.registry.delete_experiment(&f.may(DeleteExperiment::any()), e).await.unwrap();
    assert_eq!(f.plan().await.files, 0);
    let report = f.purge().await;
    assert_eq!((report.experiments, report.files), (vec![e.to_string()], 0));
    f.registry.open_artifact(&f.may(ReadArtifact::any()), &ArtifactRoot::Run(run), "a.txt").await.unwrap();
}

#[tokio::test]
async fn a_version_registered_while_a_purge_runs_keeps_its_files_or_is_refused() {
    let (a, b) = Fixture::replicas().await;
    let mut kept = 0;
    for round in 0..20 {
        let run = a.run(0, "r").await;
        a.put(&run, "model/MLmodel", "x").await;
        a.delete(&run).await;
        let name = format!("m{round}");
        let (purged, twice, made) = tokio::join!(a.purge(), b.purge(), b.version_of(&name, &run, "runs:/RUN/model"));
        if made.is_ok() {
            kept += 1;
            assert!(!purged.runs.contains(&run) && !twice.runs.contains(&run));
            let served = ArtifactRoot::Version(name, 1);
            a.registry.open_artifact(&a.may(ReadArtifact::any()), &served, "MLmodel").await.unwrap();
        } else {
            assert!(purged.runs.contains(&run) || twice.runs.contains(&run));
        }
    }
    let left = a.number("SELECT COUNT(*) AS n FROM runs").await;
    assert_eq!(left, kept);
}
