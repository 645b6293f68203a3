//! The registry's own tests.
