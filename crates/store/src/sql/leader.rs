//! What one process of all does: it holds a lease, and does its work in passes.

use super::lease::Lease;
use crate::db::Db;
use crate::error::StoreError;
use futures::FutureExt;
use mainspring_core::{Ctx, Tenant, panic_words};
use std::fmt::Display;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

/// Between two passes.
const PAUSE: Duration = Duration::from_secs(1);

/// A process's claim to lead.
#[derive(Debug)]
pub struct Leader {
    db: Db,
    name: &'static str,
    owner: String,
    ttl: Duration,
    lease: Option<Lease>,
}

/// Whether a process leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lead {
    /// As before.
    Kept,
    /// Since now: what it remembers may be out of date.
    Taken,
    /// Another one does.
    No,
}

impl Leader {
    /// The claim of the process `owner`, a name that no other process has, to the lease `name`. A leader that says
    /// nothing for `ttl` is succeeded.
    pub fn new(db: Db, name: &'static str, owner: String, ttl: Duration) -> Self {
        Self { db, name, owner, ttl, lease: None }
    }

    /// Takes the lease when it is free, and renews it once half of its time is over: a renewal is a write.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer; it is not known then who leads.
    pub async fn lead(&mut self) -> Result<Lead, StoreError> {
        if let Some(lease) = self.lease.take() {
            let left = lease.expires_at.micros().saturating_sub(self.db.now().micros());
            if u128::try_from(left).is_ok_and(|left| left > self.ttl.as_micros() / 2) {
                self.lease = Some(lease);
                return Ok(Lead::Kept);
            }
            match self.db.lease_renew(&lease, self.ttl).await {
                Ok(renewed) => {
                    self.lease = Some(renewed);
                    return Ok(Lead::Kept);
                }
                Err(StoreError::LeaseLost { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.lease = self.db.lease_acquire(&Tenant::default(), self.name, &self.owner, self.ttl).await?;
        Ok(if self.lease.is_some() { Lead::Taken } else { Lead::No })
    }

    /// The lease, for [`Conn::lease_check`](crate::Conn::lease_check); `None` while another process leads.
    pub fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    /// Forgets the lease: the database did not answer, or said that it is another's.
    pub fn lost(&mut self) {
        self.lease = None;
    }

    /// Gives the lease back, so that the next leader need not wait.
    pub async fn release(&mut self) {
        if let Some(lease) = self.lease.take()
            && let Err(error) = self.db.lease_release(&lease).await
        {
            tracing::debug!(%error, lease = self.name, "the lease runs out by itself");
        }
    }
}

/// Work in passes, of which the leader does most.
pub trait Passes: Send {
    /// Why a pass failed.
    type Error: Display + Send;
    /// What does not happen while passes fail; for the log.
    const STANDS_STILL: &'static str;

    /// Does what there is to do.
    fn pass(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// The claim to lead.
    fn leader(&mut self) -> &mut Leader;

    /// Passes once a second until shutdown, and gives the lease back then. Trouble is said once. A pass that panics has
    /// left half of its work in memory: the lease is taken anew, after which a leader remembers nothing.
    fn run(mut self, ctx: Ctx) -> impl Future<Output = ()> + Send
    where
        Self: Sized,
    {
        let stop = ctx.tasks.cancelled();
        async move {
            let mut failing = false;
            while !stop.is_cancelled() {
                match AssertUnwindSafe(self.pass()).catch_unwind().await {
                    Ok(Ok(())) => failing = false,
                    Ok(Err(error)) if !std::mem::replace(&mut failing, true) => {
                        tracing::warn!(%error, "{}: the controller cannot work", Self::STANDS_STILL);
                    }
                    Ok(Err(_)) => {}
                    Err(panic) => {
                        let why = panic_words(&*panic);
                        tracing::error!(why, "{}: a pass stopped at a bug; it is tried again", Self::STANDS_STILL);
                        self.leader().lost();
                    }
                }
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
            self.leader().release().await;
        }
    }
}
