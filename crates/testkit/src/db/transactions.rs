//! Checks of what a transaction keeps.

use super::{TempDb, execute, number};
use mainspring_store::{Conn, FutureExt, StoreError, args};

const COUNT: &str = "SELECT count(*) AS n FROM parents";

/// An error of the closure rolls back, whatever its type.
pub async fn error_rolls_back(temp: &TempDb) {
    #[derive(Debug)]
    enum Own {
        Store(#[expect(dead_code, reason = "shown when the check fails")] StoreError),
        Mine,
    }
    impl From<StoreError> for Own {
        fn from(e: StoreError) -> Self {
            Self::Store(e)
        }
    }
    let db = temp.open().await;
    let failed = db
        .write(|c: &mut Conn| {
            async move {
                c.execute("INSERT INTO parents (id, name) VALUES (1, 'a')", Vec::new()).await?;
                Err::<(), _>(Own::Mine)
            }
            .boxed()
        })
        .await;
    assert!(matches!(failed, Err(Own::Mine)), "{failed:?}");
    assert_eq!(number(&db, COUNT).await, 0);
}

/// A closure that goes on after a failed statement gets nothing more done, and nothing is kept.
pub async fn failed_statement_rolls_back(temp: &TempDb) {
    let db = temp.open().await;
    let result = db
        .write(|c: &mut Conn| {
            async move {
                c.execute("INSERT INTO parents (id, name) VALUES (1, 'a')", Vec::new()).await?;
                let first = c.execute("INSERT INTO parents (id, name) VALUES (1, 'a')", Vec::new()).await;
                assert!(first.unwrap_err().is_unique());
                let second = c.query("SELECT 1 AS one", Vec::new()).await;
                assert!(matches!(second, Err(StoreError::Aborted { .. })), "{second:?}");
                Ok::<_, StoreError>("carried on")
            }
            .boxed()
        })
        .await;
    assert!(result.unwrap_err().is_unique());
    assert_eq!(number(&db, COUNT).await, 0);
    execute(&db, "INSERT INTO parents (id, name) VALUES (1, 'a')", Vec::new()).await.unwrap();
    assert_eq!(number(&db, COUNT).await, 1);
}

/// A panic rolls back and is an error; the database goes on.
pub async fn panic_rolls_back(temp: &TempDb) {
    let db = temp.open().await;
    for _ in 0..3 {
        let result = db
            .write(|c: &mut Conn| {
                async move {
                    c.execute("INSERT INTO parents (id, name) VALUES (1, 'a')", Vec::new()).await?;
                    assert!(c.now().micros() < 0, "on purpose");
                    Ok::<_, StoreError>(())
                }
                .boxed()
            })
            .await;
        assert_eq!(result, Err(StoreError::Panicked));
        let read: Result<(), _> = db.read(|_: &mut Conn| panic!("on purpose")).await;
        assert_eq!(read, Err(StoreError::Panicked));
    }
    assert_eq!(number(&db, COUNT).await, 0);
    execute(&db, "INSERT INTO parents (id, name) VALUES (1, 'a')", Vec::new()).await.unwrap();
}

/// A read that writes is refused.
pub async fn read_cannot_write(temp: &TempDb) {
    let db = temp.open().await;
    let sql = "INSERT INTO parents (id, name) VALUES (1, 'a')";
    let result = db.read(move |c: &mut Conn| async move { c.execute(sql, Vec::new()).await }.boxed()).await;
    assert!(matches!(result, Err(StoreError::ReadOnly { .. })), "{result:?}");
    assert_eq!(number(&db, COUNT).await, 0);
}

/// A read sees one state, even when a write is committed in the middle of it.
pub async fn read_is_a_snapshot(temp: &TempDb) {
    let db = temp.open().await;
    let (began, has_begun) = tokio::sync::oneshot::channel();
    let (written, was_written) = tokio::sync::oneshot::channel::<()>();
    let reader = db.read(move |c: &mut Conn| {
        async move {
            let before = c.query(COUNT, Vec::new()).await?[0].int("n")?;
            began.send(()).unwrap();
            was_written.await.unwrap();
            let after = c.query(COUNT, Vec::new()).await?[0].int("n")?;
            Ok::<_, StoreError>((before, after))
        }
        .boxed()
    });
    let writer = async {
        has_begun.await.unwrap();
        execute(&db, "INSERT INTO parents (id, name) VALUES (1, 'a')", Vec::new()).await.unwrap();
        written.send(()).unwrap();
    };
    let (seen, ()) = tokio::join!(reader, writer);
    assert_eq!(seen.unwrap(), (0, 0));
    assert_eq!(number(&db, COUNT).await, 1);
}

/// A caller that goes away leaves nothing locked.
pub async fn dropped_future_leaves_it_usable(temp: &TempDb) {
    let db = temp.open().await;
    for id in 0..20_i64 {
        let sql = "INSERT INTO parents (id, name) VALUES ($1, $2)";
        let write = execute(&db, sql, args![id, id.to_string()]);
        // Polled once, then dropped, wherever it may be.
        assert!(write.now_or_never().is_none_or(|done| done.is_ok()));
    }
    execute(&db, "INSERT INTO parents (id, name) VALUES (100, 'last')", Vec::new()).await.unwrap();
    let n = number(&db, COUNT).await;
    assert!((1..=21).contains(&n), "{n}");
}

/// After closing, everything says that it is closed.
pub async fn closed(temp: &TempDb) {
    let db = temp.open().await;
    execute(&db, "INSERT INTO parents (id, name) VALUES (1, 'a')", Vec::new()).await.unwrap();
    db.close().await;
    let write = execute(&db, "INSERT INTO parents (id, name) VALUES (2, 'b')", Vec::new()).await;
    assert_eq!(write, Err(StoreError::Closed));
    let read = super::query(&db, COUNT, Vec::new()).await;
    assert_eq!(read, Err(StoreError::Closed));
    let again = temp.open().await;
    assert_eq!(number(&again, COUNT).await, 1);
}
