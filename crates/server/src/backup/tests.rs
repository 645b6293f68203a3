use super::*;
use crate::config::Layers;
use mainspring_artifact::{ArtifactPath, Artifacts};
use mainspring_core::{Assignment, Ctx, EventId, Failure, Outcome, Prediction, Protocol, Target, Tenant, Timing};
use mainspring_journal::Journal;
use mainspring_query::{Limits, Query, QueryJournal};
use mainspring_store::Db;
use mainspring_testkit::may;
use std::sync::Arc;
use std::time::Duration;

fn settings(data: &Path) -> Settings {
    let usual = Settings::from_resolved(&Layers::default().resolve().unwrap()).unwrap();
    Settings { data: data.to_owned(), ..usual }
}

/// What a server has open of its data.
struct World {
    ctx: Ctx,
    db: Db,
    artifacts: Artifacts,
    journal: Journal,
    _data: DataDir,
}

impl World {
    async fn on(settings: &Settings) -> Self {
        let (ctx, data) = (Ctx::system(), DataDir::open(&settings.data).unwrap());
        let db = wiring::open_database(settings, &ctx).await.unwrap();
        let artifacts = wiring::open_artifacts(settings, &data).unwrap();
        let journal = wiring::open_journal(settings, &data, (&artifacts, &db), &ctx).await.unwrap();
        Self { ctx, db, artifacts, journal, _data: data }
    }

    async fn answered(&self) -> EventId {
        let target = Target {
            deployment: "churn".into(),
            variant: "stable".into(),
            model: "churn".into(),
            version: "3".into(),
            columns: Arc::default(),
        };
        let id = self.ctx.event_id();
        let prediction = Prediction {
            id,
            at: self.ctx.now(),
            tenant: Tenant::default(),
            target: Arc::new(target),
            protocol: Protocol::OipRest,
            client_id: None,
            caller: "loopback".into(),
            assignment: Assignment::default(),
            outcome: Outcome::Ok,
            rows: 1,
            batch_rows: 1,
            timing: Timing::default(),
            tokens: None,
            cached: None,
            flags: None,
            params: None,
            inputs: Arc::default(),
            outputs: Arc::default(),
        };
        self.journal.append_durable(prediction).await.unwrap();
        id
    }

    async fn predictions(&self) -> String {
        let query = Query::new(self.journal.clone(), Limits::default());
        let sql = "SELECT count(*) AS n, count(DISTINCT event_id) AS ids FROM predictions";
        let answer = query.sql(&may(QueryJournal), sql).await.unwrap();
        format!("{answer:?}")
    }

    async fn end(self) {
        self.journal.close().await;
        self.ctx.tasks.shutdown(Duration::from_secs(10)).await;
        self.db.close().await;
    }
}

fn path(text: &str) -> ArtifactPath {
    ArtifactPath::parse(text).unwrap()
}

#[tokio::test]
async fn a_segment_sealed_during_the_backup_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let (served, saved) = (settings(&dir.path().join("data")), dir.path().join("saved"));
    let world = World::on(&served).await;
    for _ in 0..3 {
        world.answered().await;
    }
    world.journal.seal().await.unwrap();
    for _ in 0..4 {
        world.answered().await;
    }
    let before = world.predictions().await;
    save_with(&served, &saved, async || {
        world.journal.seal().await.unwrap();
        assert_eq!(world.journal.stats().segments_open, 0);
    })
    .await
    .unwrap();
    world.end().await;

    let fresh = settings(&dir.path().join("fresh"));
    load(&fresh, &saved).unwrap();
    let restored = World::on(&fresh).await;
    assert_eq!(restored.predictions().await, before);
    // Sealed again, its files are replaced and its rows are still there once.
    restored.journal.seal().await.unwrap();
    assert_eq!(restored.predictions().await, before);
    restored.end().await;
}

#[tokio::test]
async fn artifacts_in_another_folder_are_saved_and_restored() {
    let dir = tempfile::tempdir().unwrap();
    let beside = |name: &str| Some(dir.path().join(name).to_str().unwrap().to_owned());
    let served = Settings { artifacts: beside("models"), ..settings(&dir.path().join("data")) };
    let saved = dir.path().join("saved");
    let world = World::on(&served).await;
    world.answered().await;
    world.artifacts.put(&path("1/a.txt"), "kept".into()).await.unwrap();
    world.journal.seal().await.unwrap();
    let before = world.predictions().await;
    let within = save(&served, &dir.path().join("models/saved")).await.unwrap_err();
    assert!(matches!(within, BackupError::Inside { .. }), "{within}");
    let nowhere = Settings { artifacts: beside("modles"), ..served.clone() };
    assert!(matches!(save(&nowhere, &saved).await, Err(BackupError::NoData(_))));
    save(&served, &saved).await.unwrap();
    world.end().await;

    // Into the data folder, or again into a folder of their own.
    let inside = settings(&dir.path().join("inside"));
    let apart = Settings { artifacts: beside("again"), ..settings(&dir.path().join("apart")) };
    for fresh in [inside, apart.clone()] {
        load(&fresh, &saved).unwrap();
        let restored = World::on(&fresh).await;
        assert_eq!(restored.artifacts.get(&path("1/a.txt")).await.unwrap(), "kept");
        assert_eq!(restored.predictions().await, before);
        restored.end().await;
    }
    let onto = Settings { data: dir.path().join("third"), ..apart };
    assert!(matches!(load(&onto, &saved), Err(BackupError::NotEmpty(_))));
    let bucket = Settings { artifacts: Some("s3://models".into()), ..settings(&dir.path().join("fourth")) };
    assert!(matches!(load(&bucket, &saved), Err(BackupError::ToBucket(_))));
}

#[tokio::test]
async fn artifacts_in_a_bucket_are_said_to_be_missing() {
    let dir = tempfile::tempdir().unwrap();
    let local = settings(&dir.path().join("data"));
    World::on(&local).await.end().await;
    let served = Settings { artifacts: Some("s3://models/here".into()), ..local };
    let saved = dir.path().join("saved");
    let report = save(&served, &saved).await.unwrap();
    assert_eq!(report.bucket.as_deref(), Some("s3://models/here"));
    assert!(!saved.join(ARTIFACTS).exists());
    let mark = std::fs::read_to_string(saved.join(MARK)).unwrap();
    assert!(mark.contains("artifacts in s3://models/here\n"), "{mark}");

    let fresh = settings(&dir.path().join("fresh"));
    let refused = load(&fresh, &saved).unwrap_err();
    assert!(refused.hint().unwrap().contains("--artifacts s3://models/here"), "{refused}");
    assert!(!fresh.data.exists(), "a refusal leaves nothing");
    let report = load(&Settings { artifacts: Some("s3://models/here".into()), ..fresh }, &saved).unwrap();
    assert_eq!(report.bucket.as_deref(), Some("s3://models/here"));
}
