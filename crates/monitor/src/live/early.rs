//! Profiles of new versions, made before anybody asks: the data that one is made of may be gone by then.
//!
//! One after the other, by the leader, who writes down how far it has come; the next one goes on there. What cannot be read, or
//! is named later, is read when its profile is needed.

use super::error::WatchError;
use super::monitors::Monitors;
use super::ports::FreshVersion;
use super::sql;
use mainspring_core::Timestamp;
use mainspring_store::FutureExt;
use mainspring_store::sql::Lease;
use std::collections::{HashSet, VecDeque};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

/// So long after the registration what its client says of a version, its tags for one, is there, microseconds.
const SETTLES: i64 = 30_000_000;
/// Clocks of servers may differ by so much, so versions of so long before are looked at again, microseconds.
const OVERLAP: i64 = 60_000_000;
/// A larger file is read when it is needed, bytes: it is copied, and perhaps for nobody.
const LARGEST: u64 = 1 << 30;
/// Reading it may take so long.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// How far the leader has come. Whoever begins to lead begins with the default.
#[derive(Debug, Default)]
pub(super) struct Early {
    /// All versions that were registered up to then have been looked at.
    until: Option<Timestamp>,
    /// The registry's count of changes, as of the last look.
    changed: Option<u64>,
    queue: VecDeque<FreshVersion>,
    /// Those of the overlap that have been looked at.
    done: HashSet<FreshVersion>,
    reading: Option<(FreshVersion, oneshot::Receiver<()>)>,
}

impl Early {
    /// Begins with the next version once the one before is done. Does not wait.
    ///
    /// # Errors
    /// [`WatchError::Store`].
    pub async fn pass(&mut self, monitors: &Monitors, lease: &Lease) -> Result<(), WatchError> {
        let now = monitors.ctx.now();
        let until = match self.until {
            Some(until) => until,
            // A database that is asked for the first time has versions that nobody waits for.
            None => {
                let (db, lease) = (monitors.db.clone(), lease.clone());
                let begun = db.write(move |c| async move { sql::profiled_until(c, now, &lease).await }.boxed());
                *self.until.insert(begun.await?)
            }
        };
        if let Some((_, done)) = &mut self.reading {
            if matches!(done.try_recv(), Err(TryRecvError::Empty)) {
                return Ok(());
            }
            if let Some((version, _)) = self.reading.take() {
                let (db, lease, until) = (monitors.db.clone(), lease.clone(), until.max(version.at));
                db.write(move |c| async move { sql::profile_until(c, until, &lease).await }.boxed()).await?;
                self.until = Some(until);
                self.done.insert(version);
                self.done.retain(|version| version.at > until.plus_micros(-OVERLAP));
            }
        }
        let until = self.until.unwrap_or(now);
        let changed = monitors.models.changed();
        if self.queue.is_empty() && self.changed != Some(changed) {
            match monitors.models.registered(until.plus_micros(-OVERLAP)).await {
                Ok(found) => {
                    self.queue = found.into_iter().filter(|version| !self.done.contains(version)).collect();
                    self.changed = Some(changed);
                }
                Err(error) => tracing::debug!(%error, "which versions are new is asked again"),
            }
        }
        if let Some(version) = self.queue.pop_front_if(|version| now.micros() - version.at.micros() >= SETTLES) {
            let (done, reading) = oneshot::channel();
            let (monitors, asked) = (monitors.clone(), version.clone());
            let tasks = monitors.ctx.tasks.clone();
            tasks.spawn("profile of a new version", async move {
                make(&monitors, &asked).await;
                let _the_lease_may_be_gone = done.send(());
            });
            self.reading = Some((version, reading));
        }
        Ok(())
    }
}

/// Makes the profile of a version, where there is something to make it of.
async fn make(monitors: &Monitors, FreshVersion { tenant, model, version, .. }: &FreshVersion) {
    let of = (model.as_str(), version.as_str());
    let made = match monitors.models.training_size(tenant, model, version).await {
        Ok(None) => return,
        Ok(Some(bytes)) if bytes > LARGEST => {
            tracing::info!(model, version, bytes, "the training data is large; its profile is made when it is needed");
            return;
        }
        Ok(Some(_)) => monitors.profile_of(tenant, of, PATIENCE).await,
        Err(error) => Err(error.into()),
    };
    match made {
        Ok(Some(saved)) => {
            tracing::info!(
                model,
                version,
                source = saved.source,
                saved_by = saved.saved_by,
                "the version has a profile"
            );
        }
        Ok(None) => {}
        Err(error) => tracing::info!(model, version, %error, "the profile is made when it is needed"),
    }
}
