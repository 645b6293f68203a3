//! What is kept: by age and by bytes, per deployment.

use crate::error::JournalError;
use crate::feedback::{CLIENT_ID_WINDOW, sql};
use crate::journal::{Journal, Shared};
use crate::seal::{parquet, store};
use crate::snapshot::Kind;
use mainspring_artifact::ArtifactPath;
use mainspring_core::Tenant;
use mainspring_store::{FutureExt, args};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

const DAY: i64 = 86_400_000_000;
const EVERY: Duration = Duration::from_secs(600);
/// Ids that one transaction forgets: other writes go on between two.
const FORGOTTEN: u32 = 1000;

/// How much of a deployment's journal is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// Days, today included; `None` keeps them for ever.
    pub days: Option<u32>,
    /// Bytes of Parquet; the oldest files go first. `None` sets no limit.
    pub bytes: Option<u64>,
}

impl Default for Retention {
    /// 90 days and 10 GiB.
    fn default() -> Self {
        Self { days: Some(90), bytes: Some(10 << 30) }
    }
}

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RetentionReport {
    /// Files removed.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Retention of the deployments that have their own.
#[derive(Debug, Default)]
pub(crate) struct Overrides(RwLock<HashMap<(String, String), Retention>>);

impl Overrides {
    fn of(&self, tenant: &str, deployment: Option<&str>) -> Option<Retention> {
        self.0.read().get(&(tenant.to_owned(), deployment?.to_owned())).copied()
    }
}

impl Journal {
    /// Sets what is kept of one deployment; what is `None` stays as the journal is set. Takes effect with
    /// the next clean-up.
    pub fn set_retention(&self, tenant: &Tenant, deployment: &str, own: Retention) {
        let usual = self.shared().settings.retention;
        let keep = Retention { days: own.days.or(usual.days), bytes: own.bytes.or(usual.bytes) };
        let key = (tenant.as_str().to_owned(), deployment.to_owned());
        let mut all = self.shared().retention.0.write();
        if keep == usual {
            all.remove(&key)
        } else {
            all.insert(key, keep)
        };
    }

    /// For how many days the journal of a deployment is kept, today included, or the least that any of the tenant's is.
    /// `None` keeps it for ever. It may be less where bytes are limited.
    pub fn kept_days(&self, tenant: &Tenant, deployment: Option<&str>) -> Option<u32> {
        let shared = self.shared();
        let usual = shared.settings.retention.days;
        if deployment.is_some() {
            return shared.retention.of(tenant.as_str(), deployment).map_or(usual, |own| own.days);
        }
        let all = shared.retention.0.read();
        let own = all.iter().filter(|((whose, _), _)| whose == tenant.as_str()).filter_map(|(_, own)| own.days);
        own.chain(usual).min()
    }

    /// Bytes of sealed files that a tenant has, by deployment; `None` for rows that do not say theirs.
    ///
    /// # Errors
    /// [`JournalError`] from the artifact store.
    pub async fn sealed_bytes(&self, tenant: &Tenant) -> Result<BTreeMap<Option<String>, u64>, JournalError> {
        let mut found = BTreeMap::new();
        for kind in Kind::ALL {
            for day in store::days(&self.shared().artifacts, tenant.as_str(), kind).await? {
                let files = store::files(&self.shared().artifacts, &day).await?;
                *found.entry(day.deployment).or_default() += files.iter().map(|(_, bytes)| bytes).sum::<u64>();
            }
        }
        Ok(found)
    }

    /// Removes sealed files that are too old or too many, once those who read them have ended, and
    /// forgets callers' own ids and feedback ids older than 30 days. Runs by itself every ten minutes.
    ///
    /// # Errors
    /// [`JournalError`] from the artifact store or the database; what was removed stays removed.
    pub async fn clean_up(&self) -> Result<RetentionReport, JournalError> {
        clean_up(self.shared()).await
    }
}

/// What was sealed since the last clean-up, and the bell for the next.
#[derive(Debug, Default)]
pub(crate) struct Due {
    bytes: AtomicU64,
    bell: Notify,
}

impl Due {
    /// Counts sealed bytes. A clean-up comes early when they are an eighth of what is kept, so that a fast
    /// stream does not fill the disk between two.
    pub fn sealed(&self, bytes: u64, keep: Retention) {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if keep.bytes.is_some_and(|keep| before + bytes > keep / 8) {
            self.bell.notify_one();
        }
    }

    /// The disk or the store takes nothing: what is too old to keep may be in the way.
    pub fn now(&self) {
        self.bell.notify_one();
    }
}

/// Cleans up until shutdown.
pub(crate) async fn run(shared: Arc<Shared>) {
    loop {
        let _rung_or_late = tokio::time::timeout(EVERY, shared.due.bell.notified()).await;
        shared.due.bytes.store(0, Ordering::Relaxed);
        match clean_up(&shared).await {
            Ok(RetentionReport { files: 0, .. }) => {}
            Ok(report) => tracing::info!(files = report.files, bytes = report.bytes, "removed old journal files"),
            Err(e) => tracing::warn!(error = %e, "cannot clean the journal up"),
        }
    }
}

async fn clean_up(shared: &Shared) -> Result<RetentionReport, JournalError> {
    let mut surplus = Vec::new();
    for tenant in store::tenants(&shared.artifacts).await? {
        for kind in Kind::ALL {
            surplus.extend(surplus_of(shared, &tenant, kind).await?);
        }
    }
    let mut report = RetentionReport::default();
    let leaving = shared.readers.hide(&surplus);
    leaving.unread().await;
    for (file, bytes) in &surplus {
        shared.artifacts.delete_prefix(file).await.map_err(JournalError::artifact("remove"))?;
        report.files += 1;
        report.bytes += bytes;
    }
    drop(leaving);
    forget(shared).await?;
    Ok(report)
}

/// The files of a kind that are too old or too many, with their bytes.
async fn surplus_of(shared: &Shared, tenant: &str, kind: Kind) -> Result<Vec<(ArtifactPath, u64)>, JournalError> {
    let mut deployments: BTreeMap<Option<String>, Vec<store::Day>> = BTreeMap::new();
    for day in store::days(&shared.artifacts, tenant, kind).await? {
        deployments.entry(day.deployment.clone()).or_default().push(day);
    }
    let today = shared.ctx.now().micros().div_euclid(DAY);
    let mut surplus = Vec::new();
    for (deployment, days) in deployments {
        let keep = shared.retention.of(tenant, deployment.as_deref()).unwrap_or(shared.settings.retention);
        let first_kept = keep.days.map(|n| parquet::date(today - i64::from(n) + 1));
        let mut held = 0;
        // Newest first: what does not fit any more is the oldest.
        for day in days.iter().rev() {
            let expired = first_kept.as_ref().is_some_and(|first| day.date < *first);
            for (file, bytes) in store::files(&shared.artifacts, day).await?.into_iter().rev() {
                held += bytes;
                if expired || keep.bytes.is_some_and(|limit| held > limit) {
                    surplus.push((file, bytes));
                }
            }
        }
    }
    Ok(surplus)
}

/// Forgets callers' own ids and feedback ids that are older than their time.
async fn forget(shared: &Shared) -> Result<(), JournalError> {
    let before = shared.ctx.now().micros() - CLIENT_ID_WINDOW;
    for prune in [sql::PRUNE_CLIENT_IDS, sql::PRUNE_SEEN] {
        let some = || shared.db.write(move |c| async move { c.execute(prune, args![before, FORGOTTEN]).await }.boxed());
        while some().await.map_err(JournalError::from)? >= u64::from(FORGOTTEN) {}
    }
    Ok(())
}

#[cfg(test)]
mod tests;
