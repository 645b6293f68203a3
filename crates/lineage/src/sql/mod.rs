//! The tables of lineage, and the statements over them: the same text on SQLite and Postgres.

mod migrations;
pub(crate) mod read;
pub(crate) mod things;
pub(crate) mod write;

pub use migrations::MIGRATIONS;
pub use read::{KeptEvent, KeptRun, KeptThing, Page};
