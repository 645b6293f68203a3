//! The whole: configuration, wiring, background jobs, shutdown.
