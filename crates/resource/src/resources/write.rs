//! Changing declared things: each change is one transaction with its audit record, its history and
//! the bump that other processes look at.

use super::Resources;
use super::read::{Key, history, json, one};
use super::types::{Applied, Change};
use crate::action::{Apply, Delete, Rollback};
use crate::carry::Declaration;
use crate::document::Document;
use crate::error::ResourceError;
use crate::sql;
use mainspring_core::{AuditRecord, Authorized, Tenant, Timestamp};
use mainspring_store::{BoxFuture, Conn, FutureExt, StoreError, args};
use serde_json::Value;

/// One change, ready to be written.
struct Write {
    key: Key,
    id: String,
    at: Timestamp,
    audit: AuditRecord,
    /// The key that one thing of the kind at most may set, and where the document has it.
    exclusive: Option<(&'static str, Option<String>)>,
}

/// One change that was written, with what is declared since: nothing after a deletion.
struct Done {
    tenant: Tenant,
    applied: Applied,
    declared: Option<(Value, Timestamp)>,
}

impl Resources {
    /// Creates or changes what the documents declare, all in one transaction: either every document
    /// is applied or none. A document that says what is there already changes nothing.
    ///
    /// # Errors
    /// [`ResourceError`] with the place in the file when a document is refused;
    /// [`ResourceError::Raced`] when somebody else changed one of the things meanwhile.
    pub async fn apply(&self, documents: Vec<(Authorized<Apply>, Document)>) -> Result<Vec<Applied>, ResourceError> {
        let mut writes = Vec::with_capacity(documents.len());
        for (auth, document) in documents {
            let kind = self.kinds.of_document(&document)?;
            let spec = kind.check_for(auth.tenant(), &document)?;
            let mut write = self.write_of(auth.tenant(), kind.name, document.name.as_str(), auth.audit())?;
            if let Some((key, at)) = &mut write.exclusive {
                *at = Some(document.at(key));
            }
            let again = |(w, _): &(Write, Value)| w.key.kind == kind.name && w.key.name == document.name;
            if writes.iter().any(again) {
                return Err(ResourceError::Twice {
                    at: document.at("name"),
                    kind: kind.name.to_lowercase(),
                    name: document.name.to_string(),
                });
            }
            writes.push((write, spec));
        }
        let done = self
            .db
            .write(move |c| {
                async move {
                    let mut done = Vec::with_capacity(writes.len());
                    for (write, spec) in &writes {
                        done.push(put(c, write, spec.clone(), None).await?);
                    }
                    // After all of them, so that one apply can hand the key from one thing to another.
                    for (write, spec) in &writes {
                        alone(c, write, spec).await?;
                    }
                    Ok::<_, ResourceError>(done)
                }
                .boxed()
            })
            .await?;
        Ok(done.into_iter().map(|one| self.hand_over(one)).collect())
    }

    /// Brings generation `to` of a thing back as a new generation; the one before the current when
    /// `to` is `None`. A thing that was deleted is made again.
    ///
    /// # Errors
    /// [`ResourceError::NotFound`], [`ResourceError::NoGeneration`], [`ResourceError::NothingBefore`],
    /// [`ResourceError::Raced`].
    pub async fn rollback(&self, auth: &Authorized<Rollback>, to: Option<i64>) -> Result<Applied, ResourceError> {
        let action = auth.action();
        let write = self.write_of(auth.tenant(), &action.kind, &action.name, auth.audit())?;
        self.commit_one(move |c| async move { put_back(c, write, to).await }.boxed()).await
    }

    /// Deletes a thing. Its history stays.
    ///
    /// # Errors
    /// [`ResourceError::NotFound`], [`ResourceError::Raced`].
    pub async fn delete(&self, auth: &Authorized<Delete>) -> Result<Applied, ResourceError> {
        let action = auth.action();
        let write = self.write_of(auth.tenant(), &action.kind, &action.name, auth.audit())?;
        self.commit_one(move |c| async move { remove(c, write).await }.boxed()).await
    }

    fn write_of(&self, tenant: &Tenant, kind: &str, name: &str, audit: AuditRecord) -> Result<Write, ResourceError> {
        let key = Key::new(self, tenant, kind, name)?;
        let exclusive = self.kinds.find(kind)?.exclusive.map(|key| (key, None));
        Ok(Write { key, id: self.ctx.event_id().to_string(), at: self.ctx.now(), audit, exclusive })
    }

    async fn commit_one<F>(&self, work: F) -> Result<Applied, ResourceError>
    where
        F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<Done, ResourceError>> + Send + 'static,
    {
        let done = self.db.write(work).await?;
        Ok(self.hand_over(done))
    }

    /// What was written is carried out before the answer, so that whoever asks next finds it.
    fn hand_over(&self, done: Done) -> Applied {
        let Done { tenant, applied, declared } = done;
        if let Some(carrier) = self.kinds.carrier(&applied.kind) {
            let declared = declared.as_ref().map(|(spec, since)| Declaration { spec, since: *since });
            carrier.take(&(tenant, applied.name.clone()), applied.generation, declared);
        }
        applied
    }
}

/// Inserts or updates one thing. `change` overrides the word for what happened.
async fn put(c: &mut Conn, w: &Write, spec: Value, change: Option<Change>) -> Result<Done, ResourceError> {
    let now = one(c, &w.key).await?;
    if let Some(now) = now.as_ref().filter(|n| n.spec == spec) {
        return Ok(done(w, now.generation, Change::Unchanged, Some((spec, now.updated_at))));
    }
    let generation = last_generation(c, &w.key).await? + 1;
    let (kind, text) = (w.key.stored_kind(), spec.to_string());
    let subject = w.audit.subject.to_string();
    let base = args![&w.key.tenant, kind.as_str(), w.key.name.as_str()];
    let change = change.unwrap_or(if now.is_some() { Change::Updated } else { Change::Created });
    match now {
        Some(now) => {
            let rest = args![now.generation, generation, text.as_str(), w.at, subject.as_str()];
            let swapped = c.execute(sql::UPDATE, [base.clone(), rest].concat()).await?;
            if swapped == 0 {
                return Err(w.key.raced());
            }
        }
        None => {
            let rest = args![w.id.as_str(), generation, text.as_str(), w.at, subject.as_str()];
            c.execute(sql::INSERT, [base.clone(), rest].concat()).await.map_err(|e| raced_if_there(e, &w.key))?;
        }
    }
    let rest = args![generation, change.as_str(), w.at, subject, text];
    c.execute(sql::REMEMBER, [base, rest].concat()).await.map_err(|e| raced_if_there(e, &w.key))?;
    finish(c, w, generation).await?;
    Ok(done(w, generation, change, Some((spec, w.at))))
}

/// Refuses what sets the key that only one thing of its kind may set, while another has it.
async fn alone(c: &mut Conn, w: &Write, spec: &Value) -> Result<(), ResourceError> {
    let Some((key, at)) = w.exclusive.as_ref().filter(|(key, _)| spec[*key] == true) else { return Ok(()) };
    let (tenant, kind) = (&w.key.tenant, w.key.stored_kind());
    c.lock(&format!("resource.{key}.{tenant}.{kind}")).await?;
    for row in c.query(sql::OTHERS, args![tenant, kind.as_str(), w.key.name.as_str()]).await? {
        let other = row.text("name")?;
        if json(&row.text("spec")?, w.key.kind, &other)?[*key] == true {
            return Err(ResourceError::Exclusive { at: at.clone(), kind, key, other });
        }
    }
    Ok(())
}

async fn put_back(c: &mut Conn, w: Write, to: Option<i64>) -> Result<Done, ResourceError> {
    let generations = history(c, &w.key).await?;
    let newest = generations.first().ok_or_else(|| w.key.not_found())?;
    let wanted = match to {
        Some(to) => generations.iter().find(|g| g.generation == to),
        // After a deletion the last spec is what "before" means.
        None if newest.change == Change::Deleted => Some(newest),
        None => generations.get(1),
    };
    let wanted = wanted.ok_or_else(|| {
        let (kind, name) = (w.key.stored_kind(), w.key.name.to_string());
        match to {
            Some(generation) => ResourceError::NoGeneration { kind, name, generation },
            None => ResourceError::NothingBefore { kind, name },
        }
    })?;
    let (spec, restored) = (wanted.spec.clone(), Some(wanted.generation));
    let made = put(c, &w, spec.clone(), Some(Change::RolledBack)).await?;
    alone(c, &w, &spec).await?;
    Ok(Done { applied: Applied { restored, ..made.applied }, ..made })
}

async fn remove(c: &mut Conn, w: Write) -> Result<Done, ResourceError> {
    let now = one(c, &w.key).await?.ok_or_else(|| w.key.not_found())?;
    let generation = last_generation(c, &w.key).await? + 1;
    let base = args![&w.key.tenant, w.key.stored_kind(), w.key.name.as_str()];
    if c.execute(sql::DELETE, [base.clone(), args![now.generation]].concat()).await? == 0 {
        return Err(w.key.raced());
    }
    let subject = w.audit.subject.to_string();
    let rest = args![generation, Change::Deleted.as_str(), w.at, subject, now.spec.to_string()];
    c.execute(sql::REMEMBER, [base, rest].concat()).await.map_err(|e| raced_if_there(e, &w.key))?;
    finish(c, &w, generation).await?;
    Ok(done(&w, generation, Change::Deleted, None))
}

async fn last_generation(c: &mut Conn, key: &Key) -> Result<i64, ResourceError> {
    let values = args![&key.tenant, key.stored_kind(), key.name.as_str()];
    let row = c.query_opt(sql::LAST_GENERATION, values).await?;
    Ok(row.map_or(Ok(0), |r| r.int("last"))?)
}

async fn finish(c: &mut Conn, w: &Write, generation: i64) -> Result<(), ResourceError> {
    c.execute(sql::BUMP, vec![]).await?;
    let mut audit = w.audit.clone();
    audit.says(format!("generation {generation}"));
    c.audit(&audit).await?;
    Ok(())
}

fn raced_if_there(e: StoreError, key: &Key) -> ResourceError {
    match e {
        StoreError::Unique { .. } => key.raced(),
        other => other.into(),
    }
}

fn done(w: &Write, generation: i64, change: Change, declared: Option<(Value, Timestamp)>) -> Done {
    let applied = Applied { kind: w.key.kind.to_owned(), name: w.key.name.clone(), generation, change, restored: None };
    Done { tenant: w.key.tenant.clone(), applied, declared }
}
