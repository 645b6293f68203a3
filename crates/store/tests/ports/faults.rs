//! Kill -9 in the middle of writes, a full disk, a database that is gone and comes back.

use mainspring_core::{Ctx, ErrorKind, Failure, Secret};
use mainspring_store::{Conn, Db, DbSettings, FutureExt, StoreError, args};
use mainspring_testkit::db::{SUITE, execute, number, query};
use mainspring_testkit::{PgServer, TinyDisk, child, eventually};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const INSERT: &str = "INSERT INTO parents (id, name) VALUES ($1, $2)";

async fn open(path: &Path) -> Db {
    Db::open(&DbSettings::sqlite(path), &[SUITE], &Ctx::system()).await.unwrap()
}

/// Four clients write one row after another and say so after each commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs as the child of kill_nine_loses_nothing_acknowledged"]
async fn child_that_writes() {
    let Some(path) = std::env::var_os("MAINSPRING_CHILD").map(PathBuf::from) else { return };
    let db = open(&path).await;
    let start = number(&db, "SELECT coalesce(max(id), 0) AS n FROM parents").await + 1;
    let clients = (0..4_i64).map(|client| {
        let db = &db;
        async move {
            for n in 0.. {
                // Numbers of four clients, never the same.
                let id = start + n * 4 + client;
                execute(db, INSERT, args![id, id.to_string()]).await.unwrap();
                println!("ack {id}");
            }
        }
    });
    futures::future::join_all(clients).await;
}

#[tokio::test]
async fn kill_nine_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("crash.db");
    let mut acknowledged = BTreeSet::new();
    for round in 0..3 {
        let acks = child::kill_after_acks("faults::child_that_writes", &path, 100 + 37 * round);
        acknowledged.extend(acks.into_iter().map(|a| a.parse::<i64>().unwrap()));
        let db = open(&path).await;
        let rows = query(&db, "SELECT id, name FROM parents", Vec::new()).await.unwrap();
        let kept: BTreeSet<i64> = rows.iter().map(|r| r.int("id").unwrap()).collect();
        let lost: Vec<_> = acknowledged.difference(&kept).collect();
        assert!(lost.is_empty(), "round {round}: acknowledged and lost: {lost:?}");
        let check = query(&db, "PRAGMA integrity_check", Vec::new()).await.unwrap();
        assert_eq!(check[0].text("integrity_check").unwrap(), "ok");
        db.close().await;
    }
    assert!(acknowledged.len() >= 300);
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let disk = TinyDisk::mount(8192);
    let db = open(&disk.path().join("full.db")).await;
    execute(&db, INSERT, args![1, "before"]).await.unwrap();
    let filler = disk.fill(128);
    let long = "x".repeat(600_000);
    let failed = execute(&db, INSERT, args![2, &long]).await.unwrap_err();
    assert!(matches!(failed, StoreError::Full { .. }), "{failed:?}");
    assert_eq!(failed.kind(), ErrorKind::Unavailable);
    assert!(failed.hint().unwrap().contains("free space"));

    // Everything that shared the commit is refused too: nothing is acknowledged that is not kept.
    let both = futures::future::join(
        execute(&db, INSERT, args![3, "small"]),
        execute(&db, INSERT, args![4, long.replace('x', "y")]),
    );
    let (small, large) = both.await;
    assert!(large.is_err());
    let rows = query(&db, "SELECT id FROM parents ORDER BY id", Vec::new()).await.unwrap();
    let kept: Vec<i64> = rows.iter().map(|r| r.int("id").unwrap()).collect();
    assert_eq!(kept, if small.is_ok() { vec![1, 3] } else { vec![1] });

    std::fs::remove_file(filler).unwrap();
    execute(&db, INSERT, args![5, &long]).await.unwrap();
    db.close().await;
    let again = open(&disk.path().join("full.db")).await;
    assert_eq!(number(&again, "SELECT count(*) AS n FROM parents WHERE id = 5").await, 1);
}

#[tokio::test]
async fn a_full_disk_while_opening_leaves_nothing_half_done() {
    let disk = TinyDisk::mount(1024);
    let path = disk.path().join("new.db");
    let filler = disk.fill(8);
    let failed = Db::open(&DbSettings::sqlite(&path), &[SUITE], &Ctx::system()).await.unwrap_err();
    assert!(matches!(failed, StoreError::Full { .. } | StoreError::Unavailable { .. }), "{failed:?}");
    std::fs::remove_file(filler).unwrap();
    execute(&open(&path).await, INSERT, args![1, "a"]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_goes_away_comes_back() {
    let mut server = tokio::task::spawn_blocking(PgServer::start).await.unwrap();
    let url = server.database();
    let settings = DbSettings::postgres(Secret::new(&url)).wait(Duration::from_secs(3));
    let db = Db::open(&settings, &[SUITE], &Ctx::system()).await.unwrap();
    // Several connections are open when it goes.
    let writes = (0..6).map(|id: i64| execute(&db, INSERT, args![id, id.to_string()]));
    futures::future::try_join_all(writes).await.unwrap();

    tokio::task::block_in_place(|| server.halt());
    for _ in 0..3 {
        let asked = Instant::now();
        let write = execute(&db, INSERT, args![100, "lost"]).await.unwrap_err();
        let read = query(&db, "SELECT id FROM parents", Vec::new()).await.unwrap_err();
        for failed in [write, read] {
            assert_eq!(failed.kind(), ErrorKind::Unavailable, "{failed:?}");
            assert!(failed.to_string().contains("127.0.0.1") && !failed.to_string().contains("postgres@"), "{failed}");
        }
        assert!(asked.elapsed() < Duration::from_secs(25), "it is said soon, not after a long wait");
    }

    tokio::task::block_in_place(|| server.resume());
    eventually("it is used again", || async {
        execute(&db, "INSERT INTO parents (id, name) VALUES (7, 'back') ON CONFLICT DO NOTHING", Vec::new())
            .await
            .is_ok()
    })
    .await;
    assert_eq!(number(&db, "SELECT count(*) AS n FROM parents").await, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_cut_by_a_dying_postgres_is_not_acknowledged() {
    let mut server = tokio::task::spawn_blocking(PgServer::start).await.unwrap();
    let settings = DbSettings::postgres(Secret::new(server.database())).wait(Duration::from_secs(3));
    let db = Db::open(&settings, &[SUITE], &Ctx::system()).await.unwrap();
    let (inside, is_inside) = tokio::sync::oneshot::channel();
    let (go_on, may_go_on) = tokio::sync::oneshot::channel::<()>();
    let write = db.write(move |c: &mut Conn| {
        async move {
            c.execute(INSERT, args![1, "half"]).await?;
            inside.send(()).unwrap();
            may_go_on.await.unwrap();
            Ok::<_, StoreError>(())
        }
        .boxed()
    });
    let kill = async {
        is_inside.await.unwrap();
        tokio::task::block_in_place(|| {
            server.halt();
            server.resume();
        });
        go_on.send(()).unwrap();
    };
    let (result, ()) = tokio::join!(write, kill);
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Unavailable);
    eventually("it is used again", || async { query(&db, "SELECT id FROM parents", Vec::new()).await.is_ok() }).await;
    assert_eq!(number(&db, "SELECT count(*) AS n FROM parents").await, 0);
}

#[tokio::test]
async fn an_unreachable_postgres_is_named_without_its_password() {
    let port = child::free_port();
    let url = format!("postgres://me:s3cr@t@127.0.0.1:{port}/ms?sslmode=disable&application_name=s3cret");
    let settings = DbSettings::parse(&url).unwrap().wait(Duration::from_millis(500));
    let failed = Db::open(&settings, &[SUITE], &Ctx::system()).await.unwrap_err();
    let text = format!("{failed} {failed:?} {settings:?} {}", settings.display());
    assert!(text.contains("127.0.0.1") && !text.contains("s3cr"), "{text}");
    assert!(matches!(failed.kind(), ErrorKind::Unavailable | ErrorKind::InvalidInput), "{failed:?}");
}
