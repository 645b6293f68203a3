//! The suite of the `Db` port on both databases, and what each of them has to itself.
#![allow(clippy::unwrap_used, reason = "clippy allows it in test functions, but not in what they call")]

mod faults;
mod postgres;
mod silent;
mod sqlite;

mod port_on_sqlite {
    mainspring_testkit::db_suite!(mainspring_testkit::TempDb::sqlite());
}

mod port_on_postgres {
    mainspring_testkit::db_suite!(mainspring_testkit::TempDb::postgres());
}
