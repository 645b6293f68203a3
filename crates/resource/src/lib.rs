//! Declared state: kinds, schemas, apply, diff, history, rollback.
