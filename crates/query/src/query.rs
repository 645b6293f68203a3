//! Running a query within its limits.

use crate::answer::Answer;
use crate::error::QueryError;
use crate::quote::literal;
use crate::table::Footers;
use crate::tables::Tables;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::{FutureExt, StreamExt};
use mainspring_core::auth::Effect;
use mainspring_core::{Action, Authorized, Resource, Tenant, Timestamp};
use mainspring_journal::{Journal, JournalError};
use serde::Serialize;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Reads the journal with SQL.
#[derive(Debug, Clone, Copy)]
pub struct QueryJournal;

impl Action for QueryJournal {
    const NAME: &'static str = "journal.query";
    const EFFECT: Effect = Effect::Read;

    fn resource(&self) -> Resource {
        Resource { kind: "journal", name: "*".into() }
    }
}

/// What one query may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Rows returned; further ones are cut and the answer says so.
    pub rows: usize,
    /// Time from the query's turn to its last row.
    pub timeout: Duration,
    /// Bytes of memory for sorts, joins and groups.
    pub memory: usize,
    /// Queries at once in this process.
    pub concurrent: usize,
    /// How long one more waits for its turn.
    pub wait: Duration,
}

impl Default for Limits {
    /// 10,000 rows, 30 seconds, 256 MiB, 4 at once, the next after 10 seconds at most.
    fn default() -> Self {
        let (timeout, wait) = (Duration::from_secs(30), Duration::from_secs(10));
        Self { rows: 10_000, timeout, memory: 256 << 20, concurrent: 4, wait }
    }
}

/// How much of the feedback has found its prediction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FeedbackStats {
    /// Pieces of feedback, the latest for each (prediction, row, name).
    pub feedback: u64,
    /// Those whose prediction is in the journal.
    pub matched: u64,
    /// `matched` of `feedback`, 0 to 1; `None` without feedback.
    pub match_rate: Option<f64>,
    /// Predicted rows.
    pub predictions: u64,
    /// Predicted rows with feedback.
    pub labeled: u64,
}

/// Microseconds.
const DAY: i64 = 86_400_000_000;

/// Answers SQL over one journal. Cloning shares it.
#[derive(Clone)]
pub struct Query {
    journal: Journal,
    limits: Limits,
    running: Arc<Semaphore>,
    footers: Arc<Footers>,
    /// The one deployment whose rows are read.
    of: Option<Arc<str>>,
    /// The first day whose predictions are read, in days since the epoch.
    since: Option<i32>,
}

impl std::fmt::Debug for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Query({:?})", self.limits)
    }
}

impl Query {
    /// Over `journal`, each query within `limits`.
    pub fn new(journal: Journal, limits: Limits) -> Self {
        let running = Arc::new(Semaphore::new(limits.concurrent.max(1)));
        Self { journal, limits, running, footers: Arc::default(), of: None, since: None }
    }

    /// The same journal and the same turns, with another limit of rows.
    #[must_use]
    pub fn reaching(&self, rows: usize) -> Self {
        Self { limits: Limits { rows, ..self.limits }, ..self.clone() }
    }

    /// The same journal and the same turns, with the predictions of one deployment alone: columns that only others have are no
    /// columns of its tables, and a column's type is the one that this deployment's rows have.
    #[must_use]
    pub fn of_deployment(&self, name: &str) -> Self {
        Self { of: Some(name.into()), ..self.clone() }
    }

    /// The same journal and the same turns, without the files of predictions of days before `at`: what they alone have are no
    /// columns, and types that columns had then do not matter. Feedback is read whole.
    #[must_use]
    pub fn since(&self, at: Timestamp) -> Self {
        Self { since: i32::try_from(at.micros().div_euclid(DAY)).ok(), ..self.clone() }
    }

    /// Runs one query over the caller's tenant. It sees every prediction answered before the call.
    ///
    /// # Errors
    /// [`QueryError`]: what is wrong with the query, or which limit it met.
    pub async fn sql(&self, auth: &Authorized<QueryJournal>, sql: &str) -> Result<Answer, QueryError> {
        self.sql_limited(auth, sql, self.limits.rows).await
    }

    /// As [`Query::sql`], with a lower limit of rows.
    ///
    /// # Errors
    /// As [`Query::sql`].
    pub async fn sql_limited(
        &self,
        auth: &Authorized<QueryJournal>,
        sql: &str,
        rows: usize,
    ) -> Result<Answer, QueryError> {
        // In the order in which they came.
        let Ok(Ok(_permit)) = tokio::time::timeout(self.limits.wait, self.running.acquire()).await else {
            return Err(QueryError::Busy(self.limits.concurrent));
        };
        let rows = rows.min(self.limits.rows);
        // A bug in the engine must not take the caller's task with it.
        let guarded = AssertUnwindSafe(self.run(auth.tenant(), sql, rows)).catch_unwind();
        match tokio::time::timeout(self.limits.timeout, guarded).await {
            Ok(Ok(done)) => done,
            Ok(Err(_panic)) => Err(QueryError::Internal("the SQL engine stopped at a bug of its own".into())),
            Err(_) => Err(QueryError::Timeout(self.limits.timeout)),
        }
    }

    /// How much of the feedback has found its prediction.
    ///
    /// # Errors
    /// As [`Query::sql`].
    pub async fn feedback_stats(
        &self,
        auth: &Authorized<QueryJournal>,
        deployment: Option<&str>,
    ) -> Result<FeedbackStats, QueryError> {
        let of = deployment.map_or(String::new(), |d| format!("WHERE deployment = {}", literal(d)));
        let sql = format!(
            "WITH p AS (SELECT event_id, row FROM predictions {of}), \
             f AS (SELECT prediction_id, row FROM feedback {feedback}), \
             l AS (SELECT DISTINCT p.event_id, p.row FROM p JOIN f ON f.prediction_id = p.event_id AND f.row = p.row) \
             SELECT (SELECT count(*) FROM f) AS feedback, \
             (SELECT count(*) FROM f JOIN l ON f.prediction_id = l.event_id AND f.row = l.row) AS matched, \
             (SELECT count(*) FROM p) AS predictions, (SELECT count(*) FROM l) AS labeled",
            // Feedback by prediction id does not say its deployment, so all of it is looked at.
            feedback = deployment
                .map_or(String::new(), |d| format!("WHERE deployment IS NULL OR deployment = {}", literal(d))),
        );
        let answer = self.sql(auth, &sql).await?;
        let row = answer.values().pop().unwrap_or_default();
        let number = |i: usize| row.get(i).and_then(serde_json::Value::as_u64).unwrap_or(0);
        let (feedback, matched) = (number(0), number(1));
        Ok(FeedbackStats {
            feedback,
            matched,
            match_rate: (feedback > 0).then(|| matched as f64 / feedback as f64),
            predictions: number(2),
            labeled: number(3),
        })
    }

    async fn run(&self, tenant: &Tenant, sql: &str, limit: usize) -> Result<Answer, QueryError> {
        let failed = |e: DataFusionError| self.failed(e, sql);
        // Lives until the last row: it holds the tables, and so the files that they read.
        let context = self.context(tenant).map_err(failed)?;
        let read_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        let frame = context.sql_with_options(sql, read_only).await.map_err(failed)?;
        let task = Arc::new(frame.task_ctx());
        let plan = interruptible(frame.create_physical_plan().await.map_err(failed)?).map_err(failed)?;
        let mut rows = execute_stream(plan, task).map_err(failed)?;
        let mut answer = Answer { schema: rows.schema(), batches: Vec::new(), truncated: false };
        let mut left = limit;
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(failed)?;
            if batch.num_rows() > left {
                answer.truncated = true;
                answer.batches.push(batch.slice(0, left));
                break;
            }
            left -= batch.num_rows();
            answer.batches.push(batch);
        }
        answer.batches.retain(|b| b.num_rows() > 0);
        Ok(answer)
    }

    fn context(&self, tenant: &Tenant) -> Result<SessionContext, DataFusionError> {
        // Errors name places.
        let spans = SessionConfig::new().set_bool("datafusion.sql_parser.collect_spans", true);
        let config = spans
            .with_default_catalog_and_schema("mainspring", "journal")
            .with_create_default_catalog_and_schema(false)
            .with_information_schema(true);
        // No spilling: a query that does not fit says so instead of filling the disk.
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_limit(self.limits.memory, 1.0)
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
            .build_arc()?;
        let context = SessionContext::new_with_config_rt(config, runtime);
        let tables = Tables {
            journal: self.journal.clone(),
            tenant: tenant.clone(),
            footers: Arc::clone(&self.footers),
            of: self.of.clone(),
            since: self.since,
            read: tokio::sync::Mutex::default(),
        };
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema("journal", Arc::new(tables))?;
        context.register_catalog("mainspring", Arc::new(catalog));
        Ok(context)
    }

    fn failed(&self, e: DataFusionError, sql: &str) -> QueryError {
        if let DataFusionError::External(inner) = e {
            return match inner.downcast::<JournalError>() {
                Ok(journal) => QueryError::Journal(*journal),
                Err(other) => QueryError::Internal(other.to_string()),
            };
        }
        QueryError::of(&e, sql, self.limits.memory)
    }
}

/// Lets joins give way to others between their batches. A join can make millions of rows from one batch
/// that it read; without this neither the time limit nor a caller that went away could stop it.
fn interruptible(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    let wrapped = plan.transform_up(|node| {
        let joins = node.name().contains("Join");
        Ok(if joins { Transformed::yes(Arc::new(CooperativeExec::new(node)) as _) } else { Transformed::no(node) })
    })?;
    Ok(wrapped.data)
}

#[cfg(test)]
mod tests;
