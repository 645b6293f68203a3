//! Carrying out what is declared: at start, and whenever another process changed something.

use super::Resources;
use crate::carry::{Declaration, Thing};
use crate::error::ResourceError;
use crate::sql;
use mainspring_store::{FutureExt, args};
use std::collections::BTreeSet;
use std::time::Duration;

/// How often other processes' changes are looked for.
const EVERY: Duration = Duration::from_millis(500);

impl Resources {
    /// Hands everything that is declared, of every tenant, to the controllers of its kinds, and
    /// takes away what no longer is.
    ///
    /// # Errors
    /// [`ResourceError`] when the database does not answer; what was handed over goes on.
    pub async fn carry_out(&self) -> Result<(), ResourceError> {
        let _one = self.comparing.lock().await;
        for kind in self.kinds.all() {
            let Some(carrier) = &kind.carrier else { continue };
            // Read before the rows: what an apply hands over meanwhile is not among the rows, and is
            // not taken for deleted.
            let known = carrier.taken();
            let rows = self.select(sql::OF_KIND, args![kind.name.to_lowercase()]).await?;
            let mut declared: BTreeSet<Thing> = BTreeSet::new();
            for row in rows {
                let thing = (row.tenant, row.name);
                let one = Declaration { spec: &row.spec, since: row.updated_at };
                carrier.take(&thing, row.generation, Some(one));
                declared.insert(thing);
            }
            for (thing, generation) in known.iter().filter(|(thing, _)| !declared.contains(thing)) {
                carrier.forget(thing, *generation);
            }
        }
        Ok(())
    }

    /// Carries out what other processes change, until the future is dropped.
    pub async fn follow(self) {
        let mut changes = self.changed.subscribe();
        let (mut behind, mut away) = (false, false);
        loop {
            tokio::select! {
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    behind = true;
                }
                () = tokio::time::sleep(EVERY) => {}
            }
            let done = if behind { self.carry_out().await } else { self.poll().await };
            match done {
                Ok(()) => (behind, away) = (false, false),
                // Once, not twice a second: the database's own state is in the health checks.
                Err(error) if !away => {
                    away = true;
                    tracing::warn!(%error, "cannot look for declared changes; what is carried out goes on");
                }
                Err(_) => {}
            }
        }
    }

    /// Looks whether something was changed, here or by another process.
    pub(super) async fn poll(&self) -> Result<(), ResourceError> {
        let epoch = self
            .db
            .read(|c| async move { c.query_opt(sql::EPOCH, vec![]).await?.map_or(Ok(0), |r| r.int("epoch")) }.boxed())
            .await
            .map_err(ResourceError::Store)?;
        let epoch = u64::try_from(epoch).unwrap_or(0);
        self.changed.send_if_modified(|seen| {
            let newer = epoch > *seen;
            *seen = epoch.max(*seen);
            newer
        });
        Ok(())
    }
}
