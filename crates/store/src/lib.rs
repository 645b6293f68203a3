//! The metadata database: SQLite or Postgres, transactions, migrations, group commit.
