//! Checks of transactions at the same time.

use super::{TempDb, execute, number, query};
use futures::future::join_all;
use mainspring_store::{Conn, FutureExt, StoreError, args};

/// Sixteen clients add one to the same row, each twenty-five times.
pub async fn increments_are_not_lost(temp: &TempDb) {
    let db = temp.open().await;
    execute(&db, "INSERT INTO counters (name, n) VALUES ('a', 0)", Vec::new()).await.unwrap();
    let clients = (0..16).map(|_| async {
        for _ in 0..25 {
            execute(&db, "UPDATE counters SET n = n + 1 WHERE name = 'a'", Vec::new()).await.unwrap();
        }
    });
    join_all(clients).await;
    assert_eq!(number(&db, "SELECT n FROM counters").await, 400);
}

/// Reading a value and then writing the next one is safe under a lock.
pub async fn lock_makes_reads_safe(temp: &TempDb) {
    let db = temp.open().await;
    let next_version = |_| {
        db.write(|c: &mut Conn| {
            async move {
                c.lock("versions of churn").await?;
                let top = c.query("SELECT coalesce(max(id), 0) AS n FROM parents", Vec::new()).await?[0].int("n")?;
                c.execute("INSERT INTO parents (id, name) VALUES ($1, $2)", args![top + 1, top.to_string()]).await?;
                Ok::<_, StoreError>(top + 1)
            }
            .boxed()
        })
    };
    let mut versions: Vec<i64> = join_all((0..40).map(next_version)).await.into_iter().map(Result::unwrap).collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=40).collect::<Vec<_>>());
}

/// A transaction that fails does not take those with it that are committed at the same time.
pub async fn failures_do_not_touch_neighbours(temp: &TempDb) {
    let db = temp.open().await;
    let writes = (0..60_i64).map(|id| {
        let db = &db;
        async move {
            let result = db
                .write(move |c: &mut Conn| {
                    async move {
                        let sql = "INSERT INTO parents (id, name) VALUES ($1, $2)";
                        c.execute(sql, args![id, id.to_string()]).await?;
                        match id % 3 {
                            0 => Ok(()),
                            1 => c.execute(sql, args![id, "again"]).await.map(|_| ()),
                            _ => panic!("on purpose"),
                        }
                    }
                    .boxed()
                })
                .await;
            match id % 3 {
                0 => result.unwrap(),
                1 => assert!(result.unwrap_err().is_unique()),
                _ => assert_eq!(result, Err(StoreError::Panicked)),
            }
        }
    });
    join_all(writes).await;
    let rows = query(&db, "SELECT id FROM parents ORDER BY id", Vec::new()).await.unwrap();
    let ids: Vec<i64> = rows.iter().map(|r| r.int("id").unwrap()).collect();
    assert_eq!(ids, (0..60).filter(|id| id % 3 == 0).collect::<Vec<_>>());
}

/// Readers never see half of a transaction while it is written.
pub async fn reads_run_beside_writes(temp: &TempDb) {
    let db = temp.open().await;
    execute(&db, "INSERT INTO counters (name, n) VALUES ('a', 50), ('b', 50)", Vec::new()).await.unwrap();
    let moves = async {
        for _ in 0..40 {
            db.write(|c: &mut Conn| {
                async move {
                    c.execute("UPDATE counters SET n = n - 1 WHERE name = 'a'", Vec::new()).await?;
                    c.execute("UPDATE counters SET n = n + 1 WHERE name = 'b'", Vec::new()).await
                }
                .boxed()
            })
            .await
            .unwrap();
        }
    };
    let looks = async {
        for _ in 0..100 {
            assert_eq!(number(&db, "SELECT sum(n) AS n FROM counters").await, 100);
        }
    };
    tokio::join!(moves, looks);
    assert_eq!(number(&db, "SELECT n FROM counters WHERE name = 'a'").await, 10);
}
