//! For tests only: databases, artifact stores and disks that vanish after use, a clock that a test
//! moves, and one suite of checks for each port, run on every implementation of it.
//!
//! What a machine may lack (Postgres, Python with moto, the right to mount) makes a test fail with
//! the command that mends it; nothing is skipped in silence.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a check fails by panicking, and so does a fixture that cannot be made"
)]

pub mod artifacts;
pub mod auth;
pub mod child;
pub mod clock;
pub mod db;
pub mod disk;
pub mod onnx;
pub mod postgres;
pub mod s3;

pub use artifacts::TempArtifacts;
pub use auth::{may, may_in, open_gate};
pub use clock::fake_ctx;
pub use db::TempDb;
pub use disk::TinyDisk;
pub use onnx::onnxruntime;
pub use postgres::PgServer;

/// How long a test waits for what has to happen. Only a test that fails waits as long, so it is far more than any
/// machine needs, however busy it is; and less than after what a test that hangs is ended.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_mins(2);

/// Waits until `condition` holds, looking every few milliseconds; panics with `what` after [`PATIENCE`].
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !condition().await {
        assert!(std::time::Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
