//! The event log: append, recover, seal to Parquet, follow live, keep tiles.
