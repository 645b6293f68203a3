//! Looking at declared things.

use super::types::{Change, Diff, Generation, Page, Resource};
use super::{Resources, diff};
use crate::action::Read;
use crate::document::Document;
use crate::error::ResourceError;
use crate::sql;
use mainspring_core::{Authorized, Name, Tenant, Timestamp};
use mainspring_store::{Conn, FutureExt, Row, Value as Sql, args};
use serde_json::Value;

/// The most things in one part of a list.
const MAX_PAGE: usize = 1000;

impl Resources {
    /// One thing.
    ///
    /// # Errors
    /// [`ResourceError::NotFound`].
    pub async fn get(&self, auth: &Authorized<Read>) -> Result<Resource, ResourceError> {
        let key = Key::new(self, auth.tenant(), &auth.action().kind, &auth.action().name)?;
        let found = {
            let key = key.clone();
            self.db.read(move |c| async move { one(c, &key).await }.boxed()).await?
        };
        let found = found.ok_or_else(|| key.not_found())?;
        Ok(self.with_status(found))
    }

    /// With what it is in this process.
    fn with_status(&self, resource: Resource) -> Resource {
        let thing = (resource.tenant.clone(), resource.name.clone());
        let status = self.kinds.carrier(&resource.kind).and_then(|c| c.status(&thing, resource.generation));
        Resource { status, ..resource }
    }

    /// Things of the action's kind (`*` is every kind), by kind and name.
    ///
    /// # Errors
    /// [`ResourceError::UnknownKind`], [`ResourceError::PageToken`].
    pub async fn list(
        &self,
        auth: &Authorized<Read>,
        limit: usize,
        token: Option<&str>,
    ) -> Result<Page, ResourceError> {
        let wanted = match auth.action().kind.as_str() {
            "*" => String::new(),
            kind => self.kinds.find(kind)?.name.to_lowercase(),
        };
        let (kind, name) = match token {
            None => ("", ""),
            Some(token) => token.split_once('/').ok_or(ResourceError::PageToken)?,
        };
        let limit = limit.clamp(1, MAX_PAGE);
        let values = args![auth.tenant(), wanted, kind, name, limit as i64 + 1];
        let mut resources = self.select(sql::PAGE, values).await?;
        let next = (resources.len() > limit).then(|| {
            resources.truncate(limit);
            resources.last().map(|r| format!("{}/{}", r.kind.to_lowercase(), r.name)).unwrap_or_default()
        });
        Ok(Page { resources: resources.into_iter().map(|r| self.with_status(r)).collect(), next })
    }

    pub(super) async fn select(&self, sql: &'static str, values: Vec<Sql>) -> Result<Vec<Resource>, ResourceError> {
        let kinds = std::sync::Arc::clone(&self.kinds);
        self.db
            .read(move |c| {
                async move { c.query(sql, values).await?.iter().map(|row| resource(row, &kinds)).collect() }.boxed()
            })
            .await
    }

    /// Every generation of one thing, newest first; also of one that was deleted.
    ///
    /// # Errors
    /// [`ResourceError::NotFound`] when there never was one.
    pub async fn history(&self, auth: &Authorized<Read>) -> Result<Vec<Generation>, ResourceError> {
        let key = Key::new(self, auth.tenant(), &auth.action().kind, &auth.action().name)?;
        let generations = {
            let key = key.clone();
            self.db.read(move |c| async move { history(c, &key).await }.boxed()).await?
        };
        if generations.is_empty() { Err(key.not_found()) } else { Ok(generations) }
    }

    /// What applying a document would do.
    ///
    /// # Errors
    /// [`ResourceError`] when the document is refused.
    pub async fn diff(&self, auth: &Authorized<Read>, document: &Document) -> Result<Diff, ResourceError> {
        let kind = self.kinds.of_document(document)?;
        let spec = kind.check_for(auth.tenant(), document)?;
        let key = Key::new(self, auth.tenant(), kind.name, document.name.as_str())?;
        let now = self.db.read(move |c| async move { one(c, &key).await }.boxed()).await?;
        let before = now.as_ref().map(|r| &r.spec);
        let fields = diff::fields(before, Some(&spec));
        let change = match before {
            None => Change::Created,
            Some(_) if fields.is_empty() => Change::Unchanged,
            Some(_) => Change::Updated,
        };
        Ok(Diff { kind: kind.name.to_owned(), name: document.name.clone(), change, fields })
    }
}

/// What a thing is found by.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) tenant: Tenant,
    /// As registered: `Deployment`.
    pub(super) kind: &'static str,
    pub(super) name: Name,
}

impl Key {
    pub(super) fn new(of: &Resources, tenant: &Tenant, kind: &str, name: &str) -> Result<Self, ResourceError> {
        let kind = of.kinds.find(kind)?.name;
        // A text that is no name names nothing.
        let name = Name::new(name)
            .map_err(|_| ResourceError::NotFound { kind: kind.to_lowercase(), name: name.to_owned() })?;
        Ok(Self { tenant: tenant.clone(), kind, name })
    }

    pub(super) fn stored_kind(&self) -> String {
        self.kind.to_lowercase()
    }

    pub(super) fn not_found(&self) -> ResourceError {
        ResourceError::NotFound { kind: self.stored_kind(), name: self.name.to_string() }
    }

    pub(super) fn raced(&self) -> ResourceError {
        ResourceError::Raced { kind: self.stored_kind(), name: self.name.to_string() }
    }
}

pub(super) async fn one(c: &mut Conn, key: &Key) -> Result<Option<Resource>, ResourceError> {
    let row = c.query_opt(sql::ONE, args![&key.tenant, key.stored_kind(), key.name.as_str()]).await?;
    row.map(|row| row_as(&row, key.kind)).transpose()
}

pub(super) async fn history(c: &mut Conn, key: &Key) -> Result<Vec<Generation>, ResourceError> {
    let rows = c.query(sql::HISTORY, args![&key.tenant, key.stored_kind(), key.name.as_str()]).await?;
    let mut generations = rows
        .iter()
        .map(|row| {
            let change = row.text("change")?;
            let change =
                Change::ALL.into_iter().find(|c| c.as_str() == change).ok_or_else(|| ResourceError::Stored {
                    kind: key.stored_kind(),
                    name: key.name.to_string(),
                    reason: format!("change {change:?}"),
                })?;
            Ok(Generation {
                generation: row.int("generation")?,
                change,
                at: Timestamp(row.int("at")?),
                subject: row.text("subject")?,
                spec: json(&row.text("spec")?, key.kind, key.name.as_str())?,
                fields: Vec::new(),
            })
        })
        .collect::<Result<Vec<_>, ResourceError>>()?;
    let before: Vec<Value> = generations.iter().skip(1).map(|g| g.spec.clone()).collect();
    for (generation, before) in generations.iter_mut().zip(&before) {
        generation.fields = diff::fields(Some(before), Some(&generation.spec));
    }
    Ok(generations)
}

fn resource(row: &Row, kinds: &crate::kind::Kinds) -> Result<Resource, ResourceError> {
    let kind = kinds.find(&row.text("kind")?)?;
    row_as(row, kind.name)
}

fn row_as(row: &Row, kind: &'static str) -> Result<Resource, ResourceError> {
    let name = row.text("name")?;
    let stored = |reason: String| ResourceError::Stored { kind: kind.to_owned(), name: name.clone(), reason };
    Ok(Resource {
        id: row.text("id")?,
        tenant: Tenant::new(&row.text("tenant")?).map_err(|e| stored(e.to_string()))?,
        kind: kind.to_owned(),
        name: Name::new(&name).map_err(|e| stored(e.to_string()))?,
        generation: row.int("generation")?,
        spec: json(&row.text("spec")?, kind, &name)?,
        status: None,
        created_at: Timestamp(row.int("created_at")?),
        updated_at: Timestamp(row.int("updated_at")?),
        updated_by: row.text("updated_by")?,
    })
}

pub(super) fn json(text: &str, kind: &str, name: &str) -> Result<Value, ResourceError> {
    serde_json::from_str(text).map_err(|e| ResourceError::Stored {
        kind: kind.to_owned(),
        name: name.to_owned(),
        reason: e.to_string(),
    })
}
