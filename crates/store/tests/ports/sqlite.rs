//! What SQLite has to itself.

use mainspring_core::{Ctx, ErrorKind, Failure};
use mainspring_store::{Conn, Db, DbSettings, FutureExt, StoreError, args};
use mainspring_testkit::db::{SUITE, execute, number, query};
use mainspring_testkit::{TempDb, eventually};
use std::time::Duration;

const INSERT: &str = "INSERT INTO parents (id, name) VALUES ($1, $2)";

#[tokio::test]
async fn it_is_durable_and_checks_references() {
    let temp = TempDb::sqlite();
    let db = temp.open().await;
    let pragma = |sql: &'static str, column: &'static str| {
        let db = &db;
        async move {
            let row = db.write(move |c: &mut Conn| async move { c.query_opt(sql, Vec::new()).await }.boxed()).await;
            row.unwrap().unwrap().get(column).unwrap().clone()
        }
    };
    // 2 is FULL: the log is synced at every commit.
    assert_eq!(pragma("PRAGMA synchronous", "synchronous").await, 2.into());
    assert_eq!(pragma("PRAGMA journal_mode", "journal_mode").await, "wal".into());
    assert_eq!(pragma("PRAGMA foreign_keys", "foreign_keys").await, 1.into());
}

#[tokio::test]
async fn a_transaction_inside_a_transaction_is_refused_not_a_deadlock() {
    let temp = TempDb::sqlite();
    let db = temp.open().await;
    let inner = db.clone();
    let write = db.write(move |_: &mut Conn| async move { execute(&inner, INSERT, args![1, "a"]).await }.boxed());
    assert_eq!(write.await, Err(StoreError::Nested));
    let inner = db.clone();
    let read = db.read(move |_: &mut Conn| async move { query(&inner, "SELECT 1 AS n", Vec::new()).await }.boxed());
    assert_eq!(read.await, Err(StoreError::Nested));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_wait_together_share_a_commit() {
    let temp = TempDb::sqlite();
    let db = temp.open().await;
    let (entered, has_entered) = tokio::sync::oneshot::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    // Holds the writer's thread, so that the others have to wait in its queue.
    let first = db.write(move |c: &mut Conn| {
        async move {
            entered.send(()).unwrap();
            released.recv().unwrap();
            c.execute(INSERT, args![0, "first"]).await
        }
        .boxed()
    });
    let others = async {
        has_entered.await.unwrap();
        let writes: Vec<_> = (1..=50_i64).map(|id| execute(&db, INSERT, args![id, id.to_string()])).collect();
        let all = futures::future::join_all(writes);
        let mut all = Box::pin(all);
        assert!(futures::poll!(&mut all).is_pending());
        release.send(()).unwrap();
        all.await
    };
    let before = frames(&temp);
    let (first, others) = tokio::join!(first, others);
    first.unwrap();
    assert!(others.into_iter().all(|r| r.is_ok()));
    assert_eq!(number(&db, "SELECT count(*) AS n FROM parents").await, 51);
    // Each commit writes the pages that it changed once more; 51 commits of 2 pages are over 100.
    let written = frames(&temp) - before;
    assert!(written < 40, "{written} pages were written for 51 rows in few commits");
}

/// How many pages the log of the database holds.
fn frames(temp: &TempDb) -> u64 {
    let log = format!("{}-wal", temp.settings.display());
    // A header of 32 bytes, then a header of 24 and a page of 4096 each (sqlite.org/fileformat2).
    std::fs::metadata(log).map_or(0, |m| m.len().saturating_sub(32) / (24 + 4096))
}

#[tokio::test]
async fn a_write_that_nobody_waits_for_is_not_begun() {
    let temp = TempDb::sqlite();
    let db = temp.open().await;
    let (release, released) = std::sync::mpsc::channel::<()>();
    let holder = db.write(move |_: &mut Conn| {
        async move {
            released.recv().unwrap();
            Ok::<_, StoreError>(())
        }
        .boxed()
    });
    let mut holder = Box::pin(holder);
    assert!(futures::poll!(&mut holder).is_pending());
    {
        let mut dropped = Box::pin(execute(&db, INSERT, args![1, "nobody waits"]));
        assert!(futures::poll!(&mut dropped).is_pending());
    }
    release.send(()).unwrap();
    holder.await.unwrap();
    execute(&db, INSERT, args![2, "somebody waits"]).await.unwrap();
    assert_eq!(number(&db, "SELECT count(*) AS n FROM parents").await, 1);
}

#[tokio::test]
async fn a_backup_is_one_state_and_opens_by_itself() {
    let temp = TempDb::sqlite();
    let db = temp.open().await;
    for id in 0..200_i64 {
        execute(&db, INSERT, args![id, id.to_string()]).await.unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy.db");
    let writes = async {
        for id in 200..300_i64 {
            execute(&db, INSERT, args![id, id.to_string()]).await.unwrap();
        }
    };
    let (backed_up, ()) = tokio::join!(Db::backup(&temp.settings, &copy), writes);
    backed_up.unwrap();
    let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["copy.db"], "nothing else is left");
    let restored = Db::open(&DbSettings::sqlite(&copy), &[SUITE], &temp.ctx).await.unwrap();
    let n = number(&restored, "SELECT count(*) AS n FROM parents").await;
    assert!((200..=300).contains(&n), "{n}");
    assert_eq!(number(&restored, "SELECT max(id) + 1 AS n FROM parents").await, n, "without a hole");

    let again = Db::backup(&temp.settings, &copy).await.unwrap_err();
    assert!(again.to_string().contains("exists already"), "{again}");
    let nowhere = Db::backup(&temp.settings, &dir.path().join("no/such/folder.db")).await.unwrap_err();
    assert!(matches!(nowhere, StoreError::Backup { .. }));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("letter.txt");
    std::fs::write(&path, "Dear Sir or Madam, ".repeat(100)).unwrap();
    let failed = Db::open(&DbSettings::sqlite(&path), &[], &Ctx::system()).await.unwrap_err();
    assert!(matches!(failed, StoreError::Corrupt { .. }), "{failed:?}");
    assert!(failed.hint().unwrap().contains("backup"));
    let folder = Db::open(&DbSettings::sqlite(dir.path()), &[], &Ctx::system()).await.unwrap_err();
    assert_eq!(folder.kind(), ErrorKind::Unavailable, "{folder:?}");
}

#[tokio::test]
async fn a_lock_of_another_process_is_reported_as_busy() {
    let temp = TempDb::sqlite();
    temp.open().await.close().await;
    let settings = temp.settings.clone().wait(Duration::from_millis(300));
    let db = Db::open(&settings, &[SUITE], &temp.ctx).await.unwrap();
    let other = temp.open().await;
    let (entered, has_entered) = tokio::sync::oneshot::channel();
    let (release, released) = tokio::sync::oneshot::channel::<()>();
    let holder = other.write(move |c: &mut Conn| {
        async move {
            c.execute(INSERT, args![1, "other"]).await?;
            entered.send(()).unwrap();
            released.await.unwrap();
            Ok::<_, StoreError>(())
        }
        .boxed()
    });
    let me = async {
        has_entered.await.unwrap();
        let failed = execute(&db, INSERT, args![2, "me"]).await.unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::Overloaded, "{failed:?}");
        assert!(failed.retryable());
        release.send(()).unwrap();
    };
    let (held, ()) = tokio::join!(holder, me);
    held.unwrap();
    execute(&db, INSERT, args![2, "me"]).await.unwrap();
}

#[tokio::test]
async fn a_database_that_is_dropped_lets_go_of_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dropped.db");
    let open_files = || {
        let files = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        files.filter(|f| std::fs::read_link(f.path()).is_ok_and(|to| to == path)).count()
    };
    let db = Db::open(&DbSettings::sqlite(&path), &[SUITE], &Ctx::system()).await.unwrap();
    execute(&db, INSERT, args![1, "kept"]).await.unwrap();
    assert_eq!(number(&db, "SELECT count(*) AS n FROM parents").await, 1);
    assert!(open_files() > 0);
    drop(db);
    eventually("no thread holds the file", || async { open_files() == 0 }).await;
}

#[tokio::test]
async fn a_nan_becomes_null() {
    let temp = TempDb::sqlite();
    let db = temp.open().await;
    execute(&db, "INSERT INTO kinds (id, r) VALUES (1, $1)", args![f64::NAN]).await.unwrap();
    let rows = query(&db, "SELECT r FROM kinds", Vec::new()).await.unwrap();
    assert_eq!(rows[0].opt_real("r").unwrap(), None);
}
