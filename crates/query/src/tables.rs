//! The tables that a query can name. A table is read when a query names it, not before.

use crate::table::{Footers, JournalTable, day};
use async_trait::async_trait;
use datafusion::arrow::datatypes::Schema;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::common::exec_datafusion_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::prelude::SessionContext;
use mainspring_core::Tenant;
use mainspring_journal::{Journal, Kind, layout};
use std::sync::Arc;

/// What can be named in a query.
pub(crate) const NAMES: [&str; 7] =
    ["decisions", "feedback", "feedback_log", "gaps", "labeled", "predictions", "predictions_with_feedback"];

/// What was relayed twice, once.
const DECISIONS: &str = "
WITH ranked AS (
    SELECT *, row_number() OVER (PARTITION BY event_id) AS nth FROM decision_log
)
SELECT event_id, at, deployment, decided_by, sequence, decision, sentence, numbers FROM ranked WHERE nth = 1";

/// Latest feedback for each (prediction, row, name). A caller's own id that was not known when the
/// feedback came is looked up among the predictions; one that several carry stays an orphan.
const FEEDBACK: &str = "
WITH own AS (
    SELECT deployment, client_id, max(event_id) AS event_id FROM predictions
    WHERE client_id IS NOT NULL AND {own} GROUP BY deployment, client_id HAVING count(DISTINCT event_id) = 1
), resolved AS (
    SELECT f.event_id, f.at, coalesce(f.prediction_id, own.event_id) AS prediction_id, f.deployment, f.client_id,
           f.row, f.name, f.value, f.value_type, f.value_number
    FROM feedback_log f
    LEFT JOIN own ON f.prediction_id IS NULL AND f.deployment = own.deployment AND f.client_id = own.client_id
    WHERE {filter}
), ranked AS (
    SELECT *, row_number() OVER (
        PARTITION BY coalesce(prediction_id, deployment || ' ' || client_id), row, name ORDER BY at DESC, event_id DESC
    ) AS newest FROM {resolved}
)
SELECT event_id, at, prediction_id, deployment, client_id, row, name, value, value_type, value_number
FROM ranked WHERE newest = 1";

/// The query behind the table `feedback`, over those rows `f` of `feedback_log` that `filter` is true of: a long log is
/// then not read whole. What is the latest stays the latest where the filter is about `f.name`, or from when on `f.at` is.
/// `own` says among which predictions a caller's own id is looked up that was not known when the feedback came; such an id
/// is of one prediction of a deployment for 30 days.
pub fn feedback(filter: &str, own: &str) -> String {
    FEEDBACK.replace("{filter}", filter).replace("{own}", own).replace("{resolved}", "resolved")
}

/// The same of what came at most `wait` µs after the prediction that it is about: the latest of that, whatever came after.
/// `among` says which predictions `p` these are.
pub fn feedback_in_time((filter, own): (&str, &str), (among, wait): (&str, i64)) -> String {
    let resolved = format!(
        "(SELECT r.* FROM resolved r JOIN predictions p ON p.event_id = r.prediction_id AND p.row = r.row \
         WHERE {among} AND CAST(r.at AS BIGINT) <= CAST(p.at AS BIGINT) + {wait})"
    );
    FEEDBACK.replace("{filter}", filter).replace("{own}", own).replace("{resolved}", &resolved)
}

const JOINED: &str = "
SELECT p.*, f.name AS feedback_name, f.value AS feedback_value, f.value_number AS feedback_number,
       f.at AS feedback_at
FROM predictions p {join} JOIN feedback f ON f.prediction_id = p.event_id AND f.row = p.row";

/// The tables of one tenant, for one query.
pub(crate) struct Tables {
    pub journal: Journal,
    pub tenant: Tenant,
    pub footers: Arc<Footers>,
    /// The one deployment whose predictions are read.
    pub of: Option<Arc<str>>,
    /// The first day whose predictions are read, in days since the epoch.
    pub since: Option<i32>,
    /// Tables read already, so that a query sees one state of each.
    pub read: tokio::sync::Mutex<Vec<(Kind, Arc<JournalTable>)>>,
}

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tables({})", self.tenant)
    }
}

impl Tables {
    async fn base(&self, kind: Kind) -> Result<Arc<JournalTable>> {
        let mut read = self.read.lock().await;
        if let Some((_, table)) = read.iter().find(|(k, _)| *k == kind) {
            return Ok(Arc::clone(table));
        }
        let mut snapshot =
            self.journal.snapshot(&self.tenant, kind).await.map_err(|e| DataFusionError::External(Box::new(e)))?;
        // Feedback does not always say of which deployment it is.
        if let Some(of) = self.of.as_ref().filter(|_| kind != Kind::Feedback) {
            snapshot.files.retain(|file| file.deployment.as_deref() == Some(&**of));
            snapshot.live.retain(|rows| rows.header.deployment.as_deref() == Some(&**of));
        }
        if let Some(since) = self.since.filter(|_| kind == Kind::Prediction) {
            snapshot.files.retain(|file| day(&file.date).is_none_or(|day| day >= since));
        }
        let (tenant, footers) = (self.tenant.clone(), Arc::clone(&self.footers));
        let first = match kind {
            Kind::Prediction => Arc::new(Schema::new(layout::envelope_fields())),
            Kind::Feedback => layout::feedback_schema(),
            Kind::Gap => layout::gap_schema(),
            Kind::Decision => layout::decision_schema(),
        };
        let table = tokio::task::spawn_blocking(move || JournalTable::new(tenant.as_str(), &first, snapshot, &footers))
            .await
            .map_err(|e| exec_datafusion_err!("reading the journal ended early: {e}"))??;
        let table = Arc::new(table);
        read.push((kind, Arc::clone(&table)));
        Ok(table)
    }

    /// A view over the base tables.
    async fn view(&self, sql: &str) -> Result<Arc<dyn TableProvider>> {
        let inner = SessionContext::new();
        inner.register_table("predictions", self.base(Kind::Prediction).await?)?;
        inner.register_table("feedback_log", self.base(Kind::Feedback).await?)?;
        let feedback = inner.sql(&feedback("TRUE", "TRUE")).await?.into_view();
        inner.register_table("feedback", feedback)?;
        Ok(inner.sql(sql).await?.into_view())
    }
}

#[async_trait]
impl SchemaProvider for Tables {
    fn table_names(&self) -> Vec<String> {
        NAMES.map(str::to_owned).to_vec()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(Some(match name {
            "predictions" => self.base(Kind::Prediction).await?,
            "feedback_log" => self.base(Kind::Feedback).await?,
            "gaps" => self.base(Kind::Gap).await?,
            "decisions" => {
                let inner = SessionContext::new();
                inner.register_table("decision_log", self.base(Kind::Decision).await?)?;
                inner.sql(DECISIONS).await?.into_view()
            }
            "feedback" => self.view("SELECT * FROM feedback").await?,
            "labeled" => self.view(&JOINED.replace("{join}", "INNER")).await?,
            "predictions_with_feedback" => self.view(&JOINED.replace("{join}", "LEFT")).await?,
            _ => return Ok(None),
        }))
    }

    fn table_exist(&self, name: &str) -> bool {
        NAMES.contains(&name)
    }
}
