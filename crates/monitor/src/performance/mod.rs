//! How good a deployment's predictions were, from the labels that came for them.
//!
//! Predictions and feedback are joined by prediction id and row when they are asked for, so that a label counts
//! whenever it comes. A shadow's answer has the labels of the answer that the caller got. What the caller forced a
//! version for is left out, as from all statistics.

mod classes;
mod columns;
mod error;
mod measure;
mod report;
mod rows;
mod sql;
#[cfg(test)]
mod tests;

pub use columns::telling;
pub(crate) use columns::{predicted, scored};
pub use error::PerformanceError;
pub use report::{Comparison, Delay, Group, Metric, Report, Task};
pub(crate) use sql::{begins, labels};

use crate::segment::Segment;
use mainspring_core::{Authorized, Name, Timestamp};
use mainspring_query::{Query, QueryJournal};
use mainspring_stats::performance::Level;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Predictions that are looked at together, with up to ten probabilities each; fewer with more.
pub const MOST_ROWS: usize = 2_000_000;
/// Groups that are told apart.
pub const MOST_GROUPS: usize = 50;
/// Classes that are told apart.
pub const MOST_CLASSES: usize = 100;

/// What to look at, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Whose predictions.
    pub deployment: Name,
    /// Those from then on.
    pub from: Timestamp,
    /// And before then.
    pub until: Timestamp,
    /// Those of this segment alone; all where it is of no column.
    pub segment: Segment,
    /// When it is asked for.
    pub now: Timestamp,
    /// Name of the feedback that says what was true.
    pub label: String,
    /// Output with the prediction; found out when left out.
    pub prediction: Option<String>,
    /// Output with the probability or probabilities; found out when left out.
    pub score: Option<String>,
    /// Found out from labels and predictions when left out.
    pub task: Option<Task>,
    /// Columns by which predictions are grouped: `version`, `variant`, `caller`, `hour`, `day`, or an input or output.
    pub by: Vec<String>,
    /// Of two classes, the one that is looked for; the second in order when left out.
    pub positive: Option<String>,
    /// How many items of an order count.
    pub k: usize,
    /// What an outcome is worth: by true class, then by predicted class; what is left out is worth nothing.
    pub worth: Option<BTreeMap<String, BTreeMap<String, f64>>>,
    /// Of intervals.
    pub level: Level,
}

/// How long a report waits for the one before it.
const WAIT: Duration = Duration::from_secs(30);

/// Measures predictions, one report at a time in this process: each may hold millions of rows. Cloning shares the turn.
#[derive(Debug, Clone)]
pub struct Performance {
    query: Query,
    turn: Arc<Semaphore>,
}

impl Performance {
    /// Over the journal of `query`.
    pub fn new(query: Query) -> Self {
        Self { query, turn: Arc::new(Semaphore::new(1)) }
    }

    pub(crate) fn query(&self) -> &Query {
        &self.query
    }

    /// Its turn, when it comes.
    pub(crate) async fn turn(&self) -> Result<OwnedSemaphorePermit, PerformanceError> {
        turn(&self.turn, WAIT).await
    }

    /// Joins predictions with their labels and measures them.
    ///
    /// # Errors
    /// [`PerformanceError`]: what is missing, or what must be said.
    pub async fn report(&self, auth: &Authorized<QueryJournal>, request: &Request) -> Result<Report, PerformanceError> {
        // Its own columns and types, of the days that matter.
        let query = self.query.of_deployment(request.deployment.as_str()).since(begins(request.from));
        let chosen = columns::choose(&query, auth, request).await?;
        let turn = self.turn().await?;
        let most = MOST_ROWS * 10 / chosen.width.max(10);
        let answer = query.reaching(most).sql(auth, &sql::rows((request, &chosen.within), &chosen)).await?;
        if answer.truncated() {
            return Err(PerformanceError::Many(most));
        }
        let asked = request.clone();
        // Reading and sorting millions of scores takes a while, also when nobody waits for it any more.
        let within = chosen.within.clone();
        let work = move || {
            let _turn = turn;
            let rows = rows::Rows::read(answer.batches(), &chosen, asked.task == Some(Task::Ranking))?;
            drop(answer);
            measure::measured(rows, &chosen, &asked)
        };
        let done = tokio::task::spawn_blocking(work).await.map_err(|e| PerformanceError::Broken(e.to_string()))?;
        let Err(PerformanceError::NoLabels { deployment, predictions, label, .. }) = done else { return done };
        let names = query.sql(auth, &sql::names((request, &within))).await?.values();
        let names = names.iter().filter_map(|row| row.first()?.as_str().map(str::to_owned)).collect();
        Err(PerformanceError::NoLabels { deployment, predictions, label, names })
    }
}

async fn turn(of: &Arc<Semaphore>, wait: Duration) -> Result<OwnedSemaphorePermit, PerformanceError> {
    let turn = tokio::time::timeout(wait, Arc::clone(of).acquire_owned()).await;
    turn.map_err(|_| PerformanceError::Busy(wait))?.map_err(|e| PerformanceError::Broken(e.to_string()))
}
