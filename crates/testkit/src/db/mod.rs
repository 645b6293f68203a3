//! Temporary databases, and the suite that every implementation of the `Db` port passes.

pub mod concurrency;
pub mod migrations;
pub mod shared;
pub mod transactions;
pub mod values;

use crate::PATIENCE;
use crate::clock::fake_ctx;
use mainspring_core::{Ctx, ManualClock, Secret};
use mainspring_store::{Conn, Db, DbSettings, FutureExt, Migration, MigrationSet, Row, StoreError, Value};

/// A database of its own for one test, gone afterwards.
#[derive(Debug)]
pub struct TempDb {
    /// How to open it.
    pub settings: DbSettings,
    /// The context that [`TempDb::open`] uses.
    pub ctx: Ctx,
    /// The clock of that context.
    pub clock: ManualClock,
    _kept: Kept,
}

/// What goes when the database does.
#[derive(Debug)]
enum Kept {
    Folder(#[expect(dead_code, reason = "removed when dropped")] tempfile::TempDir),
    Database(#[expect(dead_code, reason = "dropped with it")] crate::postgres::TestDatabase),
}

impl TempDb {
    /// A SQLite file in a temporary folder.
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let settings = DbSettings::sqlite(folder.path().join("test.db")).wait(PATIENCE);
        let (ctx, clock) = fake_ctx(1);
        Self { settings, ctx, clock, _kept: Kept::Folder(folder) }
    }

    /// A database on a Postgres server, see [`crate::postgres::database`].
    pub fn postgres() -> Self {
        let (ctx, clock) = fake_ctx(1);
        let database = crate::postgres::database();
        let settings = DbSettings::postgres(Secret::new(database.url.as_str())).connections(8).wait(PATIENCE);
        Self { settings, ctx, clock, _kept: Kept::Database(database) }
    }

    /// Opens it with these migrations beside the store's own.
    pub async fn open_with(&self, sets: &[MigrationSet]) -> Db {
        Db::open(&self.settings, sets, &self.ctx).await.expect("the database opens")
    }

    /// Opens it with the suite's tables.
    pub async fn open(&self) -> Db {
        self.open_with(&[SUITE]).await
    }
}

/// The suite's tables.
pub const SUITE: MigrationSet = MigrationSet {
    domain: "suite",
    migrations: &[Migration {
        version: 1,
        name: "tables of the suite",
        sqlite: "
            CREATE TABLE parents (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
            CREATE TABLE children (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES parents (id));
            CREATE TABLE counters (name TEXT PRIMARY KEY, n INTEGER NOT NULL CHECK (n >= 0));
            CREATE TABLE kinds (id INTEGER PRIMARY KEY, i INTEGER, r REAL, t TEXT, b BLOB, f INTEGER, small INTEGER);
        ",
        postgres: "
            CREATE TABLE parents (id BIGINT PRIMARY KEY, name TEXT NOT NULL UNIQUE);
            CREATE TABLE children (id BIGINT PRIMARY KEY, parent BIGINT NOT NULL REFERENCES parents (id));
            CREATE TABLE counters (name TEXT PRIMARY KEY, n BIGINT NOT NULL CHECK (n >= 0));
            CREATE TABLE kinds (id BIGINT PRIMARY KEY, i BIGINT, r DOUBLE PRECISION, t TEXT, b BYTEA, f BOOLEAN,
                                small INTEGER);
        ",
    }],
};

/// One statement in a transaction of its own.
pub async fn execute(db: &Db, sql: &'static str, args: Vec<Value>) -> Result<u64, StoreError> {
    db.write(move |c: &mut Conn| async move { c.execute(sql, args).await }.boxed()).await
}

/// One query on a snapshot of its own.
pub async fn query(db: &Db, sql: &'static str, args: Vec<Value>) -> Result<Vec<Row>, StoreError> {
    db.read(move |c: &mut Conn| async move { c.query(sql, args).await }.boxed()).await
}

/// The number in the first row's column `n`.
pub async fn number(db: &Db, sql: &'static str) -> i64 {
    let rows = query(db, sql, Vec::new()).await.expect("the query runs");
    rows.first().expect("a row").int("n").expect("a number")
}

/// Makes a test of each check of the suite, on the database that the expression makes:
/// `db_suite!(TempDb::sqlite());`
#[macro_export]
macro_rules! db_suite {
    ($fixture:expr) => {
        $crate::db_suite!(@each $fixture;
            values::round_trip, values::null_first, values::placeholders_in_any_order,
            values::counted_placeholders, values::numbers_read_as_each_other, values::small_integers,
            values::wrong_columns, values::many_rows_and_long_text, values::returning, values::constraints,
            transactions::error_rolls_back, transactions::failed_statement_rolls_back,
            transactions::panic_rolls_back, transactions::read_cannot_write, transactions::read_is_a_snapshot,
            transactions::dropped_future_leaves_it_usable, transactions::closed,
            concurrency::increments_are_not_lost, concurrency::lock_makes_reads_safe,
            concurrency::failures_do_not_touch_neighbours, concurrency::reads_run_beside_writes,
            migrations::opening_again_changes_nothing, migrations::upgrade_keeps_data,
            migrations::newer_is_refused, migrations::looking_upgrades_nothing, migrations::changed_is_refused, migrations::failure_leaves_no_trace,
            migrations::gaps_are_refused, migrations::openings_at_once,
            shared::audit_is_paged, shared::audit_goes_with_its_change, shared::outbox_in_order,
            shared::outbox_goes_with_its_change, shared::outbox_wakes_its_relay, shared::idempotency_keys_expire,
            shared::idempotency_first_wins, shared::lease_has_one_holder, shared::late_holder_is_fenced_off,
            shared::one_leads_and_writes_seldom, shared::a_pass_that_panics_is_tried_again,
        );
    };
    (@each $fixture:expr; $($module:ident :: $check:ident),* $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $check() {
            $crate::db::$module::$check(&$fixture).await;
        }
    )*};
}
