//! Jobs as rows: seen by every replica, and told from those that somebody still works on.

use crate::*;
use futures::future::BoxFuture;
use mainspring_core::{Ctx, Principal, Tasks, Tenant};
use mainspring_engine::Environment;
use mainspring_engine_python::{PythonRuntime, PythonSettings};
use mainspring_store::Db;
use mainspring_testkit::{TempDb, eventually, may, may_in};
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// A registry that never answers.
struct Silent;

impl Models for Silent {
    fn find<'a>(
        &'a self,
        _: &'a Arc<Principal>,
        _: &'a str,
        _: &'a Task,
        _: Option<&'a Path>,
    ) -> BoxFuture<'a, Result<Found, PortError>> {
        Box::pin(std::future::pending())
    }

    fn register<'a>(&'a self, _: &'a Arc<Principal>, _: NewModel) -> BoxFuture<'a, Result<String, PortError>> {
        Box::pin(std::future::pending())
    }
}

async fn replica(db: &Db, ctx: &Ctx, folder: &Path) -> Conversions {
    let python = PythonSettings { python: None, folder: folder.join("python"), allowed: true };
    let python = PythonRuntime::open(python).unwrap();
    let settings =
        Settings { folder: folder.join("conversions"), db: db.clone(), onnx: Arc::new(python.clone()), python };
    let ctx = Ctx { tasks: Tasks::new(), ..ctx.clone() };
    Conversions::open(settings, Arc::new(Silent), ctx).await.unwrap()
}

fn order() -> Order {
    Order {
        model: "churn@champion".into(),
        task: Task::Convert(Tolerance::default()),
        environment: Environment::Own,
        rows: None,
    }
}

async fn start(on: &Conversions) -> String {
    on.start(&may(Convert { model: "churn@champion".into() }), order()).await.unwrap().id
}

async fn seen(by: &Conversions, id: &str) -> Job {
    by.job(&may(ReadConversion), id).await.unwrap()
}

/// A process, with connections of its own, that starts a job and is gone in the middle of it.
fn killed(temp: &TempDb, folder: &Path, watched_by: (&Runtime, &Conversions)) -> String {
    let (main, other) = watched_by;
    let process = Runtime::new().unwrap();
    let id = process.block_on(async {
        let db = temp.open_with(&[MIGRATIONS]).await;
        start(&replica(&db, &temp.ctx, folder).await).await
    });
    main.block_on(eventually("the other replica sees it run", || async {
        let job = seen(other, &id).await;
        job.state == State::Running && job.course.steps == ["looking for the model"]
    }));
    process.shutdown_background();
    id
}

fn jobs_outlive_their_process(temp: &TempDb) {
    let main = Runtime::new().unwrap();
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let db = main.block_on(temp.open_with(&[MIGRATIONS]));
    let other = main.block_on(replica(&db, &temp.ctx, folders[0].path()));
    let first = killed(temp, folders[1].path(), (&main, &other));
    temp.clock.advance(1_000_000);
    let second = killed(temp, folders[2].path(), (&main, &other));
    // The process that has the first one's folder now is not the one that worked there.
    let again = main.block_on(replica(&db, &temp.ctx, folders[1].path()));
    let state = |by: &Conversions, id: &str| main.block_on(seen(by, id)).state;
    assert_eq!((state(&other, &first), state(&again, &second)), (State::Interrupted, State::Running));
    temp.clock.advance(21_000_000);
    assert_eq!(state(&other, &second), State::Interrupted);
    let why = main.block_on(seen(&again, &second)).course.error.unwrap();
    assert!(why.kind == "unavailable" && why.message.contains("churn@champion"), "{why:?}");
    assert_eq!(why.hint.as_deref(), Some("start it again: mainspring convert churn@champion"));
    let all = main.block_on(other.jobs(&may(ReadConversion))).unwrap();
    assert_eq!(all.iter().map(|j| &j.id).collect::<Vec<_>>(), [&second, &first]);
    let strangers = may_in(&Tenant::new("elsewhere").unwrap(), ReadConversion);
    assert!(main.block_on(other.jobs(&strangers)).unwrap().is_empty());
    assert!(matches!(main.block_on(other.job(&strangers, &first)), Err(ConvertError::NoJob(_))));
    main.block_on(db.close());
}

fn any_replica_stops_a_job(temp: &TempDb) {
    Runtime::new().unwrap().block_on(async {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let db = temp.open_with(&[MIGRATIONS]).await;
        let one = replica(&db, &temp.ctx, folders[0].path()).await;
        let other = replica(&db, &temp.ctx, folders[1].path()).await;
        let (running, waiting) = (start(&one).await, start(&one).await);
        eventually("one runs", || async { seen(&other, &running).await.state == State::Running }).await;
        assert_eq!(seen(&other, &waiting).await.state, State::Waiting);
        let stop = may(Convert { model: "churn@champion".into() });
        other.cancel(&stop, &waiting).await.unwrap();
        eventually("it is cancelled", || async { seen(&other, &waiting).await.state == State::Cancelled }).await;
        let said =
            mainspring_testkit::db::number(&db, "SELECT COUNT(*) AS n FROM audit WHERE action = 'model.convert'");
        assert_eq!(said.await, 3, "two orders and a cancellation");
        assert!(matches!(other.cancel(&stop, "none").await, Err(ConvertError::NoJob(_))));
        db.close().await;
    });
}

#[test]
fn jobs_outlive_their_process_on_sqlite() {
    jobs_outlive_their_process(&TempDb::sqlite());
}

#[test]
fn jobs_outlive_their_process_on_postgres() {
    jobs_outlive_their_process(&TempDb::postgres());
}

#[test]
fn any_replica_stops_a_job_on_sqlite() {
    any_replica_stops_a_job(&TempDb::sqlite());
}

#[test]
fn any_replica_stops_a_job_on_postgres() {
    any_replica_stops_a_job(&TempDb::postgres());
}
