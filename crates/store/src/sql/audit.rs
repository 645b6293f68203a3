//! The audit trail: who did what, in the transaction that did it.

use crate::conn::Conn;
use crate::db::Db;
use crate::error::StoreError;
use crate::row::Row;
use futures::FutureExt;
use mainspring_core::{AuditRecord, Tenant, Timestamp};

/// One line of the trail as it was read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number; later lines have higher ones.
    pub seq: i64,
    /// When it was decided.
    pub at: Timestamp,
    /// Whose data.
    pub tenant: String,
    /// Who asked.
    pub subject: String,
    /// `run.create`, `deployment.delete`, …
    pub action: String,
    /// `run`, `deployment`, …
    pub resource_kind: String,
    /// Its name or id.
    pub resource_name: String,
    /// Whether it was allowed.
    pub allowed: bool,
    /// Why not, if not.
    pub reason: Option<String>,
    /// What became of it, where its name does not say that.
    pub detail: Option<String>,
}

/// Which part of the trail to read, newest first.
#[derive(Debug, Clone)]
pub struct AuditQuery {
    /// Whose.
    pub tenant: Tenant,
    /// Only lines with a lower number than this: the last `seq` of the page before.
    pub before: Option<i64>,
    /// At most this many; 1 to 1000.
    pub limit: u32,
    /// Only this action, e.g. `run.create`.
    pub action: Option<String>,
    /// Only this subject.
    pub subject: Option<String>,
}

impl AuditQuery {
    /// The newest hundred lines of a tenant.
    pub fn newest(tenant: Tenant) -> Self {
        Self { tenant, before: None, limit: 100, action: None, subject: None }
    }
}

impl Conn {
    /// Writes one line of the audit trail in this transaction.
    ///
    /// # Errors
    /// As [`Conn::query`].
    pub async fn audit(&mut self, r: &AuditRecord) -> Result<(), StoreError> {
        let args = crate::args![
            &r.tenant,
            &r.subject,
            r.action,
            r.resource.kind,
            &r.resource.name,
            r.allowed,
            r.reason.as_ref(),
            r.detail.as_ref(),
            r.at,
        ];
        self.execute(
            "INSERT INTO audit (tenant, subject, action, resource_kind, resource_name, allowed, reason, detail, at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            args,
        )
        .await
        .map(|_| ())
    }
}

impl Db {
    /// One page of the audit trail, newest first.
    ///
    /// # Errors
    /// As [`Db::read`].
    pub async fn audit_page(&self, query: AuditQuery) -> Result<Vec<AuditEntry>, StoreError> {
        self.read(move |c| async move { page(c, &query).await }.boxed()).await
    }
}

async fn page(c: &mut Conn, query: &AuditQuery) -> Result<Vec<AuditEntry>, StoreError> {
    let mut sql = "SELECT seq, tenant, subject, action, resource_kind, resource_name, allowed, reason, detail, at
         FROM audit WHERE tenant = $1 AND seq < $2"
        .to_owned();
    let mut args = crate::args![&query.tenant, query.before.unwrap_or(i64::MAX)];
    for (column, wanted) in [("action", &query.action), ("subject", &query.subject)] {
        if let Some(text) = wanted {
            args.push(text.into());
            sql.push_str(&format!(" AND {column} = ${}", args.len()));
        }
    }
    args.push(query.limit.clamp(1, 1000).into());
    sql.push_str(&format!(" ORDER BY seq DESC LIMIT ${}", args.len()));
    c.query(&sql, args).await?.iter().map(entry).collect()
}

fn entry(row: &Row) -> Result<AuditEntry, StoreError> {
    Ok(AuditEntry {
        seq: row.int("seq")?,
        at: Timestamp(row.int("at")?),
        tenant: row.text("tenant")?,
        subject: row.text("subject")?,
        action: row.text("action")?,
        resource_kind: row.text("resource_kind")?,
        resource_name: row.text("resource_name")?,
        allowed: row.bool("allowed")?,
        reason: row.opt_text("reason")?,
        detail: row.opt_text("detail")?,
    })
}
