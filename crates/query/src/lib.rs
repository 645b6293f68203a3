//! SQL over the journal: DataFusion in process, over the sealed Parquet files and the rows that are
//! not sealed yet.
//!
//! | table | rows |
//! |---|---|
//! | `predictions` | every answered row and failed request; the columns of all deployments by name, NULL where a deployment has none |
//! | `feedback` | the latest feedback for each (prediction, row, name), resolved by our id or the caller's own |
//! | `feedback_log` | feedback as it was sent |
//! | `labeled` | predictions with their feedback, a line for each name; predictions without it are left out |
//! | `predictions_with_feedback` | the same with every prediction |
//! | `decisions` | what controllers decided, with the numbers |
//! | `gaps` | what is missing from `predictions`, and why |
//!
//! A query reads only: no statement that writes, no file but the journal's, no other tenant's rows.

pub mod error;
mod explain;

mod answer;
mod query;
mod quote;
mod schema;
mod table;
mod tables;

pub use answer::{Answer, ColumnInfo};
pub use error::QueryError;
pub use query::{FeedbackStats, Limits, Query, QueryJournal};
pub use quote::{identifier, literal};
pub use tables::{feedback, feedback_in_time};
