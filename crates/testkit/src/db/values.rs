//! Checks of values on their way in and out.

use super::{TempDb, execute, query};
use mainspring_store::{Conn, FutureExt, StoreError, Value, args};

/// Every type comes back as it went in, at its extremes too.
pub async fn round_trip(temp: &TempDb) {
    let db = temp.open().await;
    let ints = [0, 1, -1, i64::MAX, i64::MIN, i64::from(i32::MAX) + 1];
    let reals = [0.0, -2.5, 1.5, f64::MAX, f64::MIN_POSITIVE / 4.0, f64::INFINITY, f64::NEG_INFINITY, 0.1 + 0.2];
    let texts = ["", "plain", "quote ' and \" and $1", "Grüße 日本 🦀", "line\nline"];
    let blobs: [&[u8]; 3] = [b"", b"\x00\xff\x00", &[7; 4096]];
    for n in 0..8_usize {
        let (int, real, text) = (ints[n % ints.len()], reals[n], texts[n % texts.len()]);
        let (blob, flag) = (blobs[n % blobs.len()], n % 2 == 0);
        let sql = "INSERT INTO kinds (id, i, r, t, b, f) VALUES ($1, $2, $3, $4, $5, $6)";
        execute(&db, sql, args![n as i64, int, real, text, blob, flag]).await.unwrap();
        let rows = query(&db, "SELECT * FROM kinds WHERE id = $1", args![n as i64]).await.unwrap();
        let row = &rows[0];
        assert_eq!(row.int("i").unwrap(), int);
        assert_eq!(row.real("r").unwrap().to_bits(), real.to_bits(), "{real}");
        assert_eq!(row.text("t").unwrap(), text);
        assert_eq!(row.blob("b").unwrap(), blob);
        assert_eq!(row.bool("f").unwrap(), flag);
        assert_eq!(row.opt_int("small").unwrap(), None);
    }
}

/// A parameter that is NULL the first time takes any value the next, and the other way round: a
/// prepared statement does not remember the first one's type.
pub async fn null_first(temp: &TempDb) {
    let db = temp.open().await;
    let rows: [[Value; 5]; 4] = [
        [Value::Null, Value::Null, Value::Null, Value::Null, Value::Null],
        [5.into(), 2.5.into(), "text".into(), vec![1_u8, 2].into(), true.into()],
        [6.into(), 3.into(), Value::Null, Value::Null, false.into()],
        [Value::Null, Value::Null, Value::Null, Value::Null, Value::Null],
    ];
    // In one transaction, so that Postgres uses one connection and its cached statement.
    db.write(move |c: &mut Conn| {
        async move {
            for (id, values) in (1_i64..).zip(rows) {
                let mut args = args![id];
                args.extend(values);
                c.execute("INSERT INTO kinds (id, i, r, t, b, f) VALUES ($1, $2, $3, $4, $5, $6)", args).await?;
            }
            Ok::<_, StoreError>(())
        }
        .boxed()
    })
    .await
    .unwrap();
    let rows = query(&db, "SELECT * FROM kinds ORDER BY id", Vec::new()).await.unwrap();
    assert!(rows[0].opt_int("i").unwrap().is_none() && rows[3].opt_blob("b").unwrap().is_none());
    assert!(rows[0].opt_text("t").unwrap().is_none() && rows[0].opt_bool("f").unwrap().is_none());
    assert_eq!((rows[1].int("i").unwrap(), rows[1].real("r").unwrap()), (5, 2.5));
    assert_eq!((rows[1].text("t").unwrap(), rows[1].blob("b").unwrap()), ("text".to_owned(), vec![1, 2]));
    assert_eq!((rows[2].real("r").unwrap(), rows[2].bool("f").unwrap()), (3.0, false));
}

/// `$2` may come before `$1`, and each may come twice.
pub async fn placeholders_in_any_order(temp: &TempDb) {
    let db = temp.open().await;
    execute(&db, "INSERT INTO parents (name, id) VALUES ($2, $1)", args![1, "a"]).await.unwrap();
    let sql = "SELECT id AS n FROM parents WHERE name = $3 AND id >= $2 AND (id <= $1 OR $2 > id) AND name = $3";
    let rows = query(&db, sql, args![5, 1, "a"]).await.unwrap();
    assert_eq!(rows.len(), 1);
}

/// Too few and too many parameters are refused, and name the one at fault.
pub async fn counted_placeholders(temp: &TempDb) {
    let db = temp.open().await;
    let missing = query(&db, "SELECT id FROM parents WHERE id = $1 AND name = $2", args![1]).await.unwrap_err();
    assert!(matches!(missing, StoreError::Param { index: 2, .. }), "{missing:?}");
    let unused = query(&db, "SELECT id FROM parents WHERE id = $1", args![1, "a"]).await.unwrap_err();
    assert!(matches!(unused, StoreError::Param { index: 2, .. }), "{unused:?}");
}

/// Sums, counts and averages read as numbers, whatever type the database gives them.
pub async fn numbers_read_as_each_other(temp: &TempDb) {
    let db = temp.open().await;
    for (id, i, r) in [(1, 4, 0.5), (2, 6, 1.5)] {
        execute(&db, "INSERT INTO kinds (id, i, r) VALUES ($1, $2, $3)", args![id, i, r]).await.unwrap();
    }
    let sql = "SELECT count(*) AS c, sum(i) AS s, avg(i) AS a, sum(r) AS sr, max(i) AS m, sum(-i) AS neg,
                      CAST(NULL AS TEXT) AS empty, 1.25 AS quarter, 12345678901 AS big
               FROM kinds";
    let rows = query(&db, sql, Vec::new()).await.unwrap();
    let row = &rows[0];
    assert_eq!((row.int("c").unwrap(), row.int("s").unwrap(), row.int("m").unwrap()), (2, 10, 6));
    assert_eq!((row.real("a").unwrap(), row.int("a").unwrap()), (5.0, 5));
    assert_eq!((row.real("sr").unwrap(), row.real("c").unwrap()), (2.0, 2.0));
    assert_eq!((row.int("neg").unwrap(), row.real("quarter").unwrap()), (-10, 1.25));
    assert_eq!((row.opt_text("empty").unwrap(), row.int("big").unwrap()), (None, 12_345_678_901));
    let sums = query(&db, "SELECT sum(i) AS s FROM kinds WHERE i > $1", args![100]).await.unwrap();
    assert_eq!(sums[0].opt_int("s").unwrap(), None);
    // sum(BIGINT) is NUMERIC on Postgres, and so is what it is compared with.
    let having = "SELECT id, sum(i) AS s FROM kinds GROUP BY id HAVING sum(i) > $1";
    let rows = query(&db, having, args![5]).await.unwrap();
    assert_eq!((rows.len(), rows[0].int("s").unwrap()), (1, 6));
    let huge = "SELECT sum(i) + 9000000000000000000 AS s FROM kinds";
    assert_eq!(query(&db, huge, Vec::new()).await.unwrap()[0].int("s").unwrap(), 9_000_000_000_000_000_010);
    // An integer may go into a column of floats and is one afterwards.
    execute(&db, "UPDATE kinds SET r = $1 WHERE id = 1", args![3]).await.unwrap();
    assert_eq!(query(&db, "SELECT r FROM kinds WHERE id = 1", Vec::new()).await.unwrap()[0].real("r").unwrap(), 3.0);
}

/// `INTEGER` columns, which have 32 bits on Postgres.
pub async fn small_integers(temp: &TempDb) {
    let db = temp.open().await;
    execute(&db, "INSERT INTO kinds (id, small) VALUES ($1, $2)", args![1, -7]).await.unwrap();
    let rows = query(&db, "SELECT small, small + 1 AS next FROM kinds WHERE small < $1", args![0]).await.unwrap();
    assert_eq!((rows[0].int("small").unwrap(), rows[0].int("next").unwrap()), (-7, -6));
    let rows = query(&db, "SELECT id FROM kinds ORDER BY id LIMIT $1 OFFSET $2", args![10, 0]).await.unwrap();
    assert_eq!(rows.len(), 1);
}

/// A missing column, a NULL and a wrong type say so.
pub async fn wrong_columns(temp: &TempDb) {
    let db = temp.open().await;
    execute(&db, "INSERT INTO kinds (id, t) VALUES (1, 'x')", Vec::new()).await.unwrap();
    let rows = query(&db, "SELECT id, t, i AS Mixed FROM kinds", Vec::new()).await.unwrap();
    let row = &rows[0];
    assert!(row.int("nope").unwrap_err().to_string().contains("the columns are"));
    assert!(row.int("mixed").unwrap_err().to_string().contains("NULL"));
    assert!(row.int("t").unwrap_err().to_string().contains("text, not an integer"));
    assert_eq!(row.opt_int("MIXED").unwrap(), None);
    assert!(row.text("id").is_err() && row.blob("t").is_err() && row.bool("t").is_err());
}

/// Two thousand rows in one transaction and a text of four megabytes.
pub async fn many_rows_and_long_text(temp: &TempDb) {
    let db = temp.open().await;
    let long = "x".repeat(4 << 20);
    let sent = long.clone();
    db.write(move |c: &mut Conn| {
        async move {
            for id in 0..2000 {
                c.execute("INSERT INTO kinds (id, i) VALUES ($1, $2)", args![id, id * 3]).await?;
            }
            c.execute("UPDATE kinds SET t = $1 WHERE id = $2", args![sent, 1999]).await
        }
        .boxed()
    })
    .await
    .unwrap();
    let rows = query(&db, "SELECT id, i, t FROM kinds ORDER BY id", Vec::new()).await.unwrap();
    assert_eq!(rows.len(), 2000);
    assert!(rows.iter().all(|r| r.int("i").unwrap() == r.int("id").unwrap() * 3));
    assert_eq!(rows[1999].text("t").unwrap(), long);
}

/// `RETURNING` gives rows to a query and a count to an execute; `ON CONFLICT` updates.
pub async fn returning(temp: &TempDb) {
    let db = temp.open().await;
    let sql = "INSERT INTO counters (name, n) VALUES ($1, 1)
               ON CONFLICT (name) DO UPDATE SET n = counters.n + 1 RETURNING n";
    for expected in 1..=3 {
        let row = db.write(move |c: &mut Conn| async move { c.query_opt(sql, args!["a"]).await }.boxed()).await;
        assert_eq!(row.unwrap().unwrap().int("n").unwrap(), expected);
    }
    assert_eq!(execute(&db, sql, args!["a"]).await.unwrap(), 1);
    assert_eq!(execute(&db, "UPDATE counters SET n = 0 WHERE name = $1", args!["none"]).await.unwrap(), 0);
    let ignored = "INSERT INTO counters (name, n) VALUES ($1, 1) ON CONFLICT DO NOTHING";
    assert_eq!(execute(&db, ignored, args!["a"]).await.unwrap(), 0);
}

/// Each kind of constraint is told apart.
pub async fn constraints(temp: &TempDb) {
    let db = temp.open().await;
    execute(&db, "INSERT INTO parents (id, name) VALUES (1, 'a')", Vec::new()).await.unwrap();
    let same = execute(&db, "INSERT INTO parents (id, name) VALUES (2, 'a')", Vec::new()).await.unwrap_err();
    assert!(same.is_unique() && same.to_string().contains("name"), "{same}");
    let key = execute(&db, "INSERT INTO parents (id, name) VALUES (1, 'b')", Vec::new()).await.unwrap_err();
    assert!(key.is_unique(), "{key}");
    let orphan = execute(&db, "INSERT INTO children (id, parent) VALUES (1, 9)", Vec::new()).await.unwrap_err();
    assert!(matches!(orphan, StoreError::ForeignKey { .. }), "{orphan:?}");
    let null = execute(&db, "INSERT INTO parents (id, name) VALUES (3, NULL)", Vec::new()).await.unwrap_err();
    assert!(matches!(null, StoreError::Check { .. }), "{null:?}");
    let negative = execute(&db, "INSERT INTO counters (name, n) VALUES ('a', -1)", Vec::new()).await.unwrap_err();
    assert!(matches!(negative, StoreError::Check { .. }), "{negative:?}");
    let wrong = execute(&db, "INSERT INTO nowhere (id) VALUES (1)", Vec::new()).await.unwrap_err();
    assert!(matches!(&wrong, StoreError::Sql { statement, .. } if statement.contains("nowhere")), "{wrong:?}");
}
