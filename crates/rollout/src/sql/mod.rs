//! The tables of rollouts: what is read, and the one transaction that a decision is.

mod migrations;
pub(crate) mod news;
mod write;

pub use migrations::MIGRATIONS;
pub use news::NEWS_MIGRATIONS;
pub(crate) use write::{Begin, Change, commit, create};

use crate::error::RolloutError;
use crate::machine::{Decision, State};
use crate::spec::RolloutSpec;
use mainspring_core::{Name, Tenant, Timestamp};
use mainspring_store::{Conn, Row, args};
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// Between the models of several candidates; no model's URI has one.
const MODELS: char = '\n';

const CURRENT: &str = "number = (SELECT MAX(number) FROM rollout_run AS r WHERE r.tenant = rollout_run.tenant AND r.name = rollout_run.name)";

/// One run of a rollout, as it is in the database.
#[derive(Debug, Clone)]
pub struct Run {
    /// Whose.
    pub tenant: Tenant,
    /// The rollout's name.
    pub name: Name,
    /// Counts the runs of the name, from 1.
    pub number: i64,
    /// What was declared when it began.
    pub spec: Arc<RolloutSpec>,
    /// Where it is.
    pub state: State,
    /// How often it was written: for compare and swap.
    pub version: i64,
    /// When it was declared.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
}

/// The routing row of a deployment, as it is in the database.
#[derive(Debug, Clone, PartialEq)]
pub struct Routing {
    /// Whose.
    pub tenant: Tenant,
    /// The deployment.
    pub deployment: Name,
    /// The rollout that wrote it last.
    pub rollout: String,
    /// Its generation; higher with each write, over all rollouts of the deployment.
    pub generation: u64,
    /// The row; nothing when no rollout has the deployment.
    pub row: Option<Arc<mainspring_traffic::Row>>,
}

fn stored<T: DeserializeOwned>(text: &str, what: &'static str) -> Result<T, RolloutError> {
    serde_json::from_str(text).map_err(|e| RolloutError::Stored { what, reason: e.to_string() })
}

fn name(text: &str) -> Result<Name, RolloutError> {
    Name::new(text).map_err(|e| RolloutError::Stored { what: "name", reason: e.to_string() })
}

fn tenant(text: &str) -> Result<Tenant, RolloutError> {
    Tenant::new(text).map_err(|e| RolloutError::Stored { what: "tenant", reason: e.to_string() })
}

fn run(row: &Row) -> Result<Run, RolloutError> {
    Ok(Run {
        tenant: tenant(&row.text("tenant")?)?,
        name: name(&row.text("name")?)?,
        number: row.int("number")?,
        spec: Arc::new(stored(&row.text("spec")?, "spec")?),
        state: stored(&row.text("state")?, "state")?,
        version: row.int("version")?,
        created_at: Timestamp(row.int("created_at")?),
        updated_at: Timestamp(row.int("updated_at")?),
    })
}

/// The last run of each name, of all tenants, of those that were written after `epoch`.
pub(crate) async fn runs(c: &mut Conn, epoch: i64) -> Result<Vec<Run>, RolloutError> {
    let sql = format!("SELECT * FROM rollout_run WHERE epoch > $1 AND {CURRENT}");
    c.query(&sql, args![epoch]).await?.iter().map(run).collect()
}

/// The last run of a name.
pub(crate) async fn current(c: &mut Conn, tenant: &Tenant, name: &Name) -> Result<Option<Run>, RolloutError> {
    let sql = "SELECT * FROM rollout_run WHERE tenant = $1 AND name = $2 ORDER BY number DESC LIMIT 1";
    c.query_opt(sql, args![tenant, name]).await?.as_ref().map(run).transpose()
}

/// The last runs of the tenant that have not ended, but for those of `name`.
pub(crate) async fn under_way(c: &mut Conn, tenant: &Tenant, name: &Name) -> Result<Vec<Run>, RolloutError> {
    let ended = "('succeeded', 'rolledBack')";
    let sql =
        format!("SELECT * FROM rollout_run WHERE tenant = $1 AND name <> $2 AND phase NOT IN {ended} AND {CURRENT}");
    c.query(&sql, args![tenant, name]).await?.iter().map(run).collect()
}

/// One run of a name.
pub(crate) async fn numbered(
    c: &mut Conn,
    (tenant, name, number): (&Tenant, &Name, i64),
) -> Result<Option<Run>, RolloutError> {
    let sql = "SELECT * FROM rollout_run WHERE tenant = $1 AND name = $2 AND number = $3";
    c.query_opt(sql, args![tenant, name, number]).await?.as_ref().map(run).transpose()
}

/// The routing rows of all deployments that ever had a rollout, of those that were written after `epoch`.
pub(crate) async fn rows(c: &mut Conn, epoch: i64) -> Result<Vec<Routing>, RolloutError> {
    let rows = c.query("SELECT * FROM rollout_row WHERE epoch > $1", args![epoch]).await?;
    rows.iter()
        .map(|row| {
            let routing = row.opt_text("routing")?;
            Ok(Routing {
                tenant: tenant(&row.text("tenant")?)?,
                deployment: name(&row.text("deployment")?)?,
                rollout: row.text("rollout")?,
                generation: row.int("generation")? as u64,
                row: routing.map(|text| stored(&text, "routing row")).transpose()?.map(Arc::new),
            })
        })
        .collect()
}

/// How often anything was written.
pub(crate) async fn epoch(c: &mut Conn) -> Result<i64, RolloutError> {
    let row = c.query_opt("SELECT epoch FROM rollout_epoch WHERE one = 1", args![]).await?;
    Ok(row.map_or(Ok(0), |r| r.int("epoch"))?)
}

/// Decisions of one run, the newest first, before `before`.
pub(crate) async fn decisions(
    c: &mut Conn,
    (tenant, name, number): (&Tenant, &Name, i64),
    before: u64,
    limit: u32,
) -> Result<Vec<Decision>, RolloutError> {
    let before = i64::try_from(before).unwrap_or(i64::MAX);
    let sql = "SELECT body FROM rollout_decision WHERE tenant = $1 AND name = $2 AND number = $3 AND seq < $4
               ORDER BY seq DESC LIMIT $5";
    let rows = c.query(sql, args![tenant, name, number, before, limit]).await?;
    rows.iter().map(|row| stored(&row.text("body")?, "decision")).collect()
}

/// The models of runs on the deployment that were rolled back after `since`, and when; the last ones first.
pub(crate) async fn rolled_back(
    c: &mut Conn,
    tenant: &Tenant,
    deployment: &Name,
    since: Timestamp,
) -> Result<Vec<(String, Timestamp)>, RolloutError> {
    let sql = "SELECT candidate, rolled_back_at FROM rollout_run
               WHERE tenant = $1 AND deployment = $2 AND rolled_back_at > $3 ORDER BY rolled_back_at DESC";
    let rows = c.query(sql, args![tenant, deployment, since]).await?;
    let mut all = Vec::new();
    for row in rows {
        let at = Timestamp(row.int("rolled_back_at")?);
        let models = row.opt_text("candidate")?.unwrap_or_default();
        all.extend(models.split(MODELS).map(|model| (model.to_owned(), at)));
    }
    Ok(all)
}
