//! Checks of migrations.

use super::{TempDb, execute, number};
use mainspring_store::{Db, Migration, MigrationSet, Pending, StoreError};

const fn step(version: u32, name: &'static str, sql: &'static str) -> Migration {
    Migration { version, name, sqlite: sql, postgres: sql }
}

const ONE: Migration = step(1, "notes", "CREATE TABLE notes (tenant TEXT NOT NULL, body TEXT NOT NULL);");
const TWO: Migration = step(
    2,
    "a title for each note",
    "ALTER TABLE notes ADD COLUMN title TEXT; UPDATE notes SET title = substr(body, 1, 3);",
);
const OLD: MigrationSet = MigrationSet { domain: "notes", migrations: &[ONE] };
const NEW: MigrationSet = MigrationSet { domain: "notes", migrations: &[ONE, TWO] };

const APPLIED: &str = "SELECT count(*) AS n FROM schema_migrations";

/// Opening twice applies once.
pub async fn opening_again_changes_nothing(temp: &TempDb) {
    let db = temp.open_with(&[OLD]).await;
    let applied = number(&db, APPLIED).await;
    db.close().await;
    let again = temp.open_with(&[OLD]).await;
    assert_eq!(number(&again, APPLIED).await, applied);
}

/// A newer binary brings the tables up to date, with what is in them.
pub async fn upgrade_keeps_data(temp: &TempDb) {
    let db = temp.open_with(&[OLD]).await;
    execute(&db, "INSERT INTO notes (tenant, body) VALUES ('default', 'hello')", Vec::new()).await.unwrap();
    db.close().await;
    let db = temp.open_with(&[NEW]).await;
    assert_eq!(number(&db, "SELECT count(*) AS n FROM notes WHERE title = 'hel'").await, 1);
}

/// An older binary refuses what a newer one wrote, and says which versions.
pub async fn newer_is_refused(temp: &TempDb) {
    temp.open_with(&[NEW]).await.close().await;
    let refused = Db::open(&temp.settings, &[OLD], &temp.ctx).await.unwrap_err();
    assert_eq!(refused, StoreError::Newer { domain: "notes".into(), found: 2, known: 1 });
}

/// Who only looks, or copies, upgrades nothing.
pub async fn looking_upgrades_nothing(temp: &TempDb) {
    let pending = async |set| Db::pending(&temp.settings, &[set], &temp.ctx).await;
    let fresh = pending(NEW).await.unwrap();
    assert!(fresh.new);
    let db = temp.open_with(&[OLD]).await;
    assert_eq!(pending(NEW).await, Ok(Pending { steps: 1, new: false }));
    assert_eq!(pending(OLD).await, Ok(Pending { steps: 0, new: false }));
    assert_eq!(number(&db, APPLIED).await, fresh.steps as i64 - 1);
    db.close().await;
    temp.open_with(&[NEW]).await.close().await;
    assert_eq!(pending(OLD).await, Err(StoreError::Newer { domain: "notes".into(), found: 2, known: 1 }));
}

/// A migration that was edited after it was applied is refused.
pub async fn changed_is_refused(temp: &TempDb) {
    const EDITED: MigrationSet =
        MigrationSet { domain: "notes", migrations: &[step(1, "notes", "CREATE TABLE notes (tenant TEXT)")] };
    temp.open_with(&[OLD]).await.close().await;
    let refused = Db::open(&temp.settings, &[EDITED], &temp.ctx).await.unwrap_err();
    assert_eq!(refused, StoreError::Changed { domain: "notes".into(), version: 1, name: "notes".into() });
}

/// A migration that fails undoes those before it in the same opening.
pub async fn failure_leaves_no_trace(temp: &TempDb) {
    const BROKEN: MigrationSet = MigrationSet {
        domain: "notes",
        migrations: &[ONE, step(2, "broken", "CREATE TABLE other (x TEXT); INSERT INTO nowhere VALUES (1);")],
    };
    let failed = Db::open(&temp.settings, &[BROKEN], &temp.ctx).await.unwrap_err();
    assert!(matches!(&failed, StoreError::Migration { version: 2, name, .. } if name == "broken"), "{failed:?}");
    let db = temp.open_with(&[NEW]).await;
    assert_eq!(number(&db, "SELECT count(*) AS n FROM notes").await, 0);
    assert!(execute(&db, "INSERT INTO other VALUES ('x')", Vec::new()).await.is_err());
}

/// Versions count from one without a gap, and a domain is named once.
pub async fn gaps_are_refused(temp: &TempDb) {
    const GAP: MigrationSet = MigrationSet { domain: "notes", migrations: &[ONE, step(3, "three", "SELECT 1")] };
    let gap = Db::open(&temp.settings, &[GAP], &temp.ctx).await.unwrap_err();
    assert!(matches!(gap, StoreError::Migration { version: 3, .. }), "{gap:?}");
    assert!(Db::open(&temp.settings, &[OLD, OLD], &temp.ctx).await.is_err());
}

/// Replicas that start at the same moment apply each migration once.
pub async fn openings_at_once(temp: &TempDb) {
    let openings = (0..4).map(|_| Db::open(&temp.settings, &[NEW], &temp.ctx));
    let opened: Vec<Db> = futures::future::try_join_all(openings).await.expect("all open");
    assert_eq!(number(&opened[3], "SELECT count(*) AS n FROM schema_migrations WHERE domain = 'notes'").await, 2);
}
