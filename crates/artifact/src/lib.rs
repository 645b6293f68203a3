//! Artifacts on local disk or an object store.
