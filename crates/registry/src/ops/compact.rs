//! Merging the points of metrics that were logged one by one.

use crate::error::{RegistryError, Result};
use crate::registry::Registry;
use crate::sql::chunks;
use mainspring_core::Tenant;

impl Registry {
    /// Remembers that a run's points may be in many small chunks: it was logged to, or a reader met
    /// them. What is forgotten in a crash is met again by the next reader.
    pub(crate) fn note_chunks(&self, tenant: &Tenant, run: &str) {
        let mut crowded = self.inner.crowded.lock();
        if let Some(runs) = crowded.get_mut(tenant) {
            if !runs.contains(run) {
                runs.insert(run.to_owned());
            }
        } else {
            crowded.insert(tenant.clone(), [run.to_owned()].into());
        }
    }

    /// Merges metric points that were logged one by one, of the runs that were logged to or read
    /// since the last call. Every read shows the same before, meanwhile and after. For a background
    /// task: call it every few seconds. Returns how many metrics it merged.
    ///
    /// # Errors
    /// [`RegistryError::Store`]; what is left is done by the next call.
    pub async fn compact(&self) -> Result<u64> {
        let waiting = std::mem::take(&mut *self.inner.crowded.lock());
        let mut waiting = waiting.into_iter().flat_map(|(t, runs)| runs.into_iter().map(move |run| (t.clone(), run)));
        let mut merged = 0;
        while let Some((tenant, run)) = waiting.next() {
            match self.compact_run(&tenant, &run).await {
                Ok(metrics) => merged += metrics,
                Err(error) => {
                    self.note_chunks(&tenant, &run);
                    waiting.for_each(|(tenant, run)| self.note_chunks(&tenant, &run));
                    return Err(error);
                }
            }
        }
        Ok(merged)
    }

    async fn compact_run(&self, tenant: &Tenant, run: &str) -> Result<u64> {
        let (owner, id) = (tenant.clone(), run.to_owned());
        let keys = self.inner.db.read(move |c| Box::pin(async move { chunks::crowded(c, &owner, &id).await })).await?;
        let count = keys.len() as u64;
        for key in keys {
            // One bounded transaction after the other, so that calls that log get in between.
            loop {
                let (owner, id, key) = (tenant.clone(), run.to_owned(), key.clone());
                let merging = self.inner.db.write(move |c| {
                    Box::pin(async move { Ok::<_, RegistryError>(chunks::merge(c, &owner, &id, &key).await?) })
                });
                if !merging.await? {
                    break;
                }
            }
        }
        Ok(count)
    }
}
