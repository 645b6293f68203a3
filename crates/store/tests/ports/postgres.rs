//! What Postgres has to itself.

use mainspring_core::{ErrorKind, Failure};
use mainspring_store::{Conn, Db, FutureExt, StoreError, Value, args};
use mainspring_testkit::TempDb;
use mainspring_testkit::db::{execute, query};

const INSERT: &str = "INSERT INTO counters (name, n) VALUES ($1, $2)";

#[tokio::test]
async fn json_uuid_and_numeric_columns() {
    let temp = TempDb::postgres();
    let db = temp.open().await;
    execute(&db, "CREATE TABLE wide (id UUID, j JSONB, k JSON, d NUMERIC(20, 5), r REAL, s SMALLINT)", Vec::new())
        .await
        .unwrap();
    let id = vec![7_u8; 16];
    let values = args![id.clone(), r#"{"a": 1}"#, "[1]", 12, 1.5, 3];
    execute(&db, "INSERT INTO wide VALUES ($1, $2, $3, $4, $5, $6)", values).await.unwrap();
    let rows = query(&db, "SELECT *, d / 8 AS part, -d * 1000000000000 AS far FROM wide", Vec::new()).await.unwrap();
    let row = &rows[0];
    assert_eq!((row.blob("id").unwrap(), row.text("j").unwrap()), (id, r#"{"a": 1}"#.to_owned()));
    assert_eq!((row.text("k").unwrap(), row.int("d").unwrap()), ("[1]".to_owned(), 12));
    assert_eq!((row.real("part").unwrap(), row.int("far").unwrap()), (1.5, -12_000_000_000_000));
    assert_eq!((row.real("r").unwrap(), row.int("s").unwrap()), (1.5, 3));
}

#[tokio::test]
async fn values_that_do_not_fit_their_parameter_are_refused_here() {
    let temp = TempDb::postgres();
    let db = temp.open().await;
    let big = i64::from(i32::MAX) + 1;
    let cases: [(&str, Vec<Value>, &str); 4] = [
        ("INSERT INTO kinds (id, small) VALUES (1, $1)", args![big], "BIGINT"),
        ("INSERT INTO kinds (id, t) VALUES (1, $1)", args!["a\0b"], "NUL"),
        ("INSERT INTO kinds (id, t) VALUES (1, $1)", args![5], "the statement wants TEXT"),
        ("INSERT INTO kinds (id, i) VALUES (1, $1)", args!["5"], "the statement wants INT8"),
    ];
    for (sql, args, said) in cases {
        let failed = execute(&db, sql, args).await.unwrap_err();
        assert!(matches!(failed, StoreError::Param { index: 1, .. }), "{failed:?}");
        assert!(failed.to_string().contains(said), "{failed}");
    }
    let odd = query(&db, "SELECT now() AS t", Vec::new()).await.unwrap_err();
    assert!(odd.to_string().contains("TIMESTAMPTZ"), "{odd}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadlock_is_a_conflict_that_can_be_sent_again() {
    let temp = TempDb::postgres();
    let db = temp.open().await;
    for name in ["a", "b"] {
        execute(&db, INSERT, args![name, 0]).await.unwrap();
    }
    let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(2));
    let cross = |first: &'static str, second: &'static str| {
        let barrier = barrier.clone();
        db.write(move |c: &mut Conn| {
            async move {
                let sql = "UPDATE counters SET n = n + 1 WHERE name = $1";
                c.execute(sql, args![first]).await?;
                barrier.wait().await;
                c.execute(sql, args![second]).await
            }
            .boxed()
        })
    };
    let (one, two) = tokio::join!(cross("a", "b"), cross("b", "a"));
    let failed = one.and(two).unwrap_err();
    assert!(matches!(failed, StoreError::Conflict { .. }), "{failed:?}");
    assert!(failed.retryable() && failed.kind() == ErrorKind::Conflict);
    assert_eq!(failed.hint().as_deref(), Some("send the request again"));
}

#[tokio::test]
async fn a_backup_points_to_pg_dump() {
    let temp = TempDb::postgres();
    let dir = tempfile::tempdir().unwrap();
    let failed = Db::backup(&temp.settings, &dir.path().join("x")).await.unwrap_err();
    assert!(failed.to_string().contains("pg_dump"), "{failed}");
}
