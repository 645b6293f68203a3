//! Registered models: resolving, watching, lineage, and what a purge leaves alone.

use super::Fixture;
use crate::actions::{
    CreateLoggedModel, CreateModel, CreateRun, CreateVersion, DeleteAlias, DeleteVersion, LogRun, ReadModel, ReadRun,
    SetAlias, TransitionStage, UpdateExperiment, UpdateModel, UpdateRun, UpdateVersion, WriteArtifact,
};
use crate::{
    ArtifactRoot, Changed, Dataset, DatasetInput, ModelUri, NewLoggedModel, NewRun, NewVersion, Pair, RegistryError,
    RunChange, RunStatus, Told,
};
use bytes::Bytes;
use mainspring_core::Tenant;
use mainspring_store::sql::AuditQuery;

impl Fixture {
    /// A run, a logged model of it with an `MLmodel`, and version 1 of `name`.
    async fn registered(&self, name: &str) -> (String, String) {
        let new = NewRun { tags: vec![Pair::new("mlflow.parentRunId", "gone")], ..NewRun::default() };
        let run = self.registry.create_run(&self.may(CreateRun::any()), new).await.unwrap().info.id;
        let new = NewLoggedModel { source_run_id: Some(run.clone()), ..NewLoggedModel::default() };
        let model = self.registry.create_logged_model(&self.may(CreateLoggedModel::any()), new).await.unwrap();
        let content = futures::stream::once(async { Ok(Bytes::from_static(b"flavors: {}")) });
        let root = ArtifactRoot::LoggedModel(model.id.clone());
        self.registry.write_artifact(&self.may(WriteArtifact::any()), &root, "MLmodel", content).await.unwrap();
        self.registry.create_model(&self.may(CreateModel::on(name)), name, Vec::new(), None).await.unwrap();
        self.version(name, &model.id).await;
        (run, model.id)
    }

    async fn version(&self, name: &str, model: &str) -> i64 {
        let new = NewVersion {
            name: name.into(),
            source: format!("models:/{model}"),
            model_id: Some(model.into()),
            ..NewVersion::default()
        };
        self.registry.create_version(&self.may(CreateVersion::on(name)), new).await.unwrap().version
    }

    async fn resolve(&self, uri: &str) -> Result<crate::Resolved, RegistryError> {
        self.registry.resolve(&Tenant::default(), &uri.parse::<ModelUri>()?).await
    }
}

#[tokio::test]
async fn every_uri_finds_the_files() {
    let f = Fixture::new().await;
    let (run, model) = f.registered("m").await;
    f.version("m", &model).await;
    f.registry.set_alias(&f.may(SetAlias::on("m")), "m", "champion", 1).await.unwrap();
    f.registry.transition_stage(&f.may(TransitionStage::on("m")), ("m", 2), "staging", false).await.unwrap();
    let folder = format!("mlflow/default/0/models/{model}/artifacts");
    for (uri, version) in [
        ("models:/m/1", "1"),
        ("models:/m@champion", "1"),
        ("models:/m/Staging", "2"),
        ("models:/m/latest", "2"),
        (&format!("models:/{model}"), model.as_str()),
    ] {
        let found = f.resolve(uri).await.unwrap();
        assert_eq!((found.version.as_str(), found.artifacts.as_str()), (version, folder.as_str()), "{uri}");
        assert_eq!(found.mlmodel_yaml.as_deref(), Some("flavors: {}"));
        assert_eq!(found.run_id.as_ref(), Some(&run));
    }
    let found = f.resolve(&format!("runs:/{run}/a/b")).await.unwrap();
    assert_eq!(found.artifacts.as_str(), format!("mlflow/default/0/{run}/artifacts/a/b"));
    assert_eq!(found.mlmodel_yaml, None);
    for uri in ["models:/m@nobody", "models:/m/9", "models:/none/1", "models:/m-none", "runs:/none/a"] {
        assert!(matches!(f.resolve(uri).await, Err(RegistryError::NotFound(_))), "{uri}");
    }
}

#[tokio::test]
async fn the_audit_trail_says_which_version_and_alias_a_change_was_about() {
    let f = Fixture::new().await;
    let (_, model) = f.registered("m").await;
    f.version("m", &model).await;
    let alias = f.may(SetAlias::on("m"));
    for version in [1, 2] {
        f.registry.set_alias(&alias, "m", "champion", version).await.unwrap();
    }
    f.registry.transition_stage(&f.may(TransitionStage::on("m")), ("m", 2), "production", false).await.unwrap();
    f.registry.delete_alias(&f.may(DeleteAlias::on("m")), "m", "champion").await.unwrap();
    f.registry.delete_version(&f.may(DeleteVersion::on("m")), "m", 1).await.unwrap();
    // What fails leaves no line.
    assert!(f.registry.set_alias(&alias, "m", "champion", 9).await.is_err());
    let page = f.db.audit_page(AuditQuery { limit: 6, ..AuditQuery::newest(Tenant::default()) }).await.unwrap();
    let told: Vec<(&str, Option<&str>)> = page.iter().rev().map(|e| (e.action.as_str(), e.detail.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("model-version.create", Some("version 2")),
            ("model-alias.set", Some("champion is version 1")),
            ("model-alias.set", Some("champion is version 2, was 1")),
            ("model-version.transition", Some("version 2: None to Production")),
            ("model-alias.delete", Some("champion was version 2")),
            ("model-version.delete", Some("version 1")),
        ]
    );
}

#[tokio::test]
async fn what_may_change_a_resolution_is_told() {
    let f = Fixture::new().await;
    let (_, model) = f.registered("m").await;
    let mut seen = f.registry.changes();
    let mut moved = || {
        let changed = seen.has_changed().unwrap();
        seen.borrow_and_update();
        changed
    };
    assert!(!moved());
    f.registry.set_alias(&f.may(SetAlias::on("m")), "m", "champion", 1).await.unwrap();
    assert!(moved());
    f.version("m", &model).await;
    assert!(moved());
    f.registry.transition_stage(&f.may(TransitionStage::on("m")), ("m", 2), "Production", true).await.unwrap();
    assert!(moved());
    // A tag may say which version stands for another.
    let change = || f.may(UpdateVersion::on("m"));
    f.registry.set_version_tag(&change(), "m", 2, Pair::new("mainspring.proof", "passed")).await.unwrap();
    assert!(moved());
    f.registry.delete_version_tag(&change(), "m", 2, "mainspring.proof").await.unwrap();
    assert!(moved());
    f.registry.delete_version(&f.may(DeleteVersion::on("m")), "m", 2).await.unwrap();
    assert!(moved());
    f.registry.refresh().await.unwrap();
    assert!(!moved());
}

#[tokio::test]
async fn tags_of_models_and_versions_are_audited() {
    let f = Fixture::new().await;
    f.registered("m").await;
    let audited = async || f.number("SELECT COUNT(*) AS n FROM audit WHERE action LIKE '%.update'").await;
    let (before, tag) = (audited().await, || Pair::new("k", "v"));
    f.registry.set_model_tag(&f.may(UpdateModel::on("m")), "m", tag()).await.unwrap();
    f.registry.delete_model_tag(&f.may(UpdateModel::on("m")), "m", "k").await.unwrap();
    f.registry.set_version_tag(&f.may(UpdateVersion::on("m")), "m", 1, tag()).await.unwrap();
    f.registry.delete_version_tag(&f.may(UpdateVersion::on("m")), "m", 1, "k").await.unwrap();
    f.registry.set_experiment_tag(&f.may(UpdateExperiment::any()), 0, tag()).await.unwrap();
    f.registry.delete_experiment_tag(&f.may(UpdateExperiment::any()), 0, "k").await.unwrap();
    assert_eq!(audited().await - before, 6);
}

#[tokio::test]
async fn lineage_goes_from_the_version_to_the_run() {
    let f = Fixture::new().await;
    let (run, model) = f.registered("m").await;
    let lineage = f.registry.lineage(&f.may(ReadModel::on("m")), "m", 1).await.unwrap();
    assert_eq!(lineage.run.map(|r| r.info.id), Some(run));
    assert_eq!(lineage.logged_model.map(|m| m.id), Some(model));
    assert!(lineage.parents.is_empty());
}

#[tokio::test]
async fn changes_are_told_once_somebody_wants_to_know() {
    let f = Fixture::new().await;
    f.registered("before").await;
    f.registry.tell_changes();
    let (run, _) = f.registered("m").await;
    let end = |status| RunChange { status: Some(status), ..RunChange::default() };
    for status in [RunStatus::Running, RunStatus::Finished, RunStatus::Finished] {
        f.registry.update_run(&f.may(UpdateRun::on(&run)), &run, end(status)).await.unwrap();
    }
    let told = f.db.outbox_take(Told::TOPIC, 100).await.unwrap();
    let told: Vec<Changed> = told.into_iter().map(|e| serde_json::from_value::<Told>(e.body).unwrap().what).collect();
    let state = |status: &str| Changed::Run { id: run.clone(), status: status.into() };
    assert_eq!(told, [state("RUNNING"), Changed::Version { name: "m".into(), version: 1 }, state("FINISHED")]);
}

/// Which runs read what, on whichever database.
async fn readers_are_found(f: &Fixture) {
    let (run, model) = f.registered("m").await;
    let large = "x".repeat(100_000);
    let dataset = |name: &str, source: &str| DatasetInput {
        dataset: Dataset {
            name: name.into(),
            digest: "1".into(),
            source: source.into(),
            profile: Some(large.clone()),
            ..Dataset::default()
        },
        tags: Vec::new(),
    };
    let inputs = vec![dataset("train", r#"{"uri": "s3://b/100%_a.csv"}"#), dataset("other", "{}")];
    f.registry.log_inputs(&f.may(LogRun::on(&run)), &run, inputs, vec![model.clone()]).await.unwrap();
    // One at a time: what comes after is reached, too.
    let named = async |name: &str, source: &str| {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let auth = f.may(ReadRun::any());
            let page = f.registry.datasets_named(&auth, (name, source), (&after, 1)).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.id.clone();
            all.extend(page);
        }
        all
    };
    assert_eq!(named("", "b/100%_a.csv").await.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["train"]);
    let both = named("other", "b/100%_a.csv").await;
    assert_eq!(both.len(), 2);
    assert!(named("nobody", "b/100%xa.csv").await.is_empty());
    let ids = both.into_iter().map(|d| d.id).collect();
    let runs = f.registry.dataset_readers(&f.may(ReadRun::any()), ids, 10).await.unwrap();
    assert_eq!(runs, std::slice::from_ref(&run), "once, though it read both");
    let readers = f.registry.model_readers(&f.may(ReadRun::any()), &model, 10).await.unwrap();
    assert_eq!(readers, [run]);
    let versions = f.registry.versions_of_models(&f.may(ReadModel::any()), vec![model]).await.unwrap();
    assert_eq!(versions, [("m".to_owned(), 1)]);
    const KEYS: &[&str] = &["made_from", "other"];
    f.registry.set_version_tag(&f.may(UpdateVersion::on("m")), "m", 1, Pair::new("made_from", "x/1")).await.unwrap();
    let tagged = async |only| {
        let found = f.registry.versions_tagged(&f.may(ReadModel::any()), KEYS, only).await.unwrap();
        found.into_iter().map(|v| (v.name, v.version, v.tag.value)).collect::<Vec<_>>()
    };
    assert_eq!(tagged(None).await, [("m".to_owned(), 1, "x/1".to_owned())]);
    assert_eq!(tagged(Some(("m", "x/1"))).await.len(), 1);
    assert_eq!(tagged(Some(("m", "x/2"))).await.len() + tagged(Some(("n", "x/1"))).await.len(), 0);
}

#[tokio::test]
async fn who_read_a_dataset_or_a_model_is_found() {
    readers_are_found(&Fixture::new().await).await;
    let (f, _) = Fixture::replicas().await;
    readers_are_found(&f).await;
}
