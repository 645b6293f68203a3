//! Registered models.

use crate::actions::{CreateModel, DeleteModel, ReadModel, UpdateModel};
use crate::error::{RegistryError, Result};
use crate::registry::Registry;
use crate::search::{Clause, Field, Op, Operand, Vocabulary};
use crate::sql::lock_models;
use crate::sql::models::{self as sql, IS_PROMPT};
use crate::types::{Page, Pair, RegisteredModel};
use crate::{page, search, validate};
use mainspring_core::{Authorized, Tenant};
use mainspring_store::Conn;

/// What a search of registered models, or of model versions, asks for.
#[derive(Debug, Clone, Default)]
pub struct ModelSearch {
    /// Filter, e.g. `name ILIKE '%churn%' AND tags.team = 'a'`.
    pub filter: String,
    /// Only of the model with this name: a filter cannot say a name that has quotes of both kinds.
    pub name: Option<String>,
    /// Order, e.g. `name ASC`.
    pub order_by: Vec<String>,
    /// Size of a page; at most 1000 models or 200000 versions.
    pub max_results: i64,
    /// From the page before.
    pub page_token: Option<String>,
}

impl ModelSearch {
    /// For the versions of one model, `most` of them.
    pub fn versions_of(name: &str, most: i64) -> Self {
        Self { name: Some(name.to_owned()), max_results: most, ..Self::default() }
    }

    pub(super) fn query(&self, words: &Vocabulary, most: i64) -> Result<(sql::Query, u64, u64)> {
        if self.max_results > most {
            return Err(RegistryError::Invalid(format!(
                "Invalid value for request parameter max_results. It must be at most {most}, but got value {}",
                self.max_results
            )));
        }
        let limit = validate::max_results(self.max_results, most)?;
        let offset = page::offset(self.page_token.as_deref())?;
        let mut clauses = words.filter(&self.filter)?;
        clauses.extend(self.name.clone().map(|name| Clause {
            field: Field::Attribute("name"),
            op: Op::Eq,
            value: Operand::Text(name),
        }));
        let q = sql::Query { clauses, orders: words.order(&self.order_by)?, limit: limit + 1, offset };
        Ok((q, offset, limit))
    }
}

fn no_model(name: &str) -> RegistryError {
    RegistryError::NotFound(format!("Registered Model with name={name} not found"))
}

/// The registered model.
pub(crate) async fn get(c: &mut Conn, tenant: &Tenant, name: &str) -> Result<RegisteredModel> {
    validate::model_name(name)?;
    sql::by_name(c, tenant, name).await?.ok_or_else(|| no_model(name))
}

/// Whether these tags make a prompt; the last of one key counts.
pub(crate) fn is_prompt(tags: &[Pair]) -> bool {
    tags.iter().rev().find(|t| t.key == IS_PROMPT).is_some_and(|t| t.value.eq_ignore_ascii_case("true"))
}

fn taken(name: &str, old: &[Pair], new: &[Pair]) -> RegistryError {
    let word = |tags: &[Pair]| if is_prompt(tags) { "Prompt" } else { "Registered Model" };
    let (old, new) = (word(old), word(new));
    RegistryError::Exists(if old == new {
        format!("{new} (name={name}) already exists.")
    } else {
        format!(
            "Tried to create a {} with name '{name}', but the name is already taken by a {}. MLflow does not allow \
             creating a model and a prompt with the same name.",
            new.to_lowercase(),
            old.to_lowercase()
        )
    })
}

impl Registry {
    /// Creates a registered model.
    ///
    /// # Errors
    /// [`RegistryError::Exists`] when the name is taken.
    pub async fn create_model(
        &self,
        auth: &Authorized<CreateModel>,
        name: &str,
        tags: Vec<Pair>,
        description: Option<String>,
    ) -> Result<RegisteredModel> {
        validate::model_name(name)?;
        tags.iter().try_for_each(validate::model_tag)?;
        let (tenant, audit, now) = (auth.tenant().clone(), auth.audit(), self.now());
        let new = RegisteredModel {
            name: name.to_owned(),
            created: now,
            updated: now,
            description,
            tags,
            aliases: Vec::new(),
            latest: Vec::new(),
        };
        self.inner
            .db
            .write(move |c| {
                Box::pin(async move {
                    if !sql::insert(c, &tenant, &new).await? {
                        let old = get(c, &tenant, &new.name).await?;
                        return Err(taken(&new.name, &old.tags, &new.tags));
                    }
                    c.audit(&audit).await?;
                    get(c, &tenant, &new.name).await
                })
            })
            .await
    }

    /// A registered model with its tags, aliases and newest versions.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`].
    pub async fn model(&self, auth: &Authorized<ReadModel>, name: &str) -> Result<RegisteredModel> {
        let (tenant, name) = (auth.tenant().clone(), name.to_owned());
        self.inner.db.read(move |c| Box::pin(async move { get(c, &tenant, &name).await })).await
    }

    /// Changes the description.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`].
    pub async fn describe_model(
        &self,
        auth: &Authorized<UpdateModel>,
        name: &str,
        description: Option<String>,
    ) -> Result<RegisteredModel> {
        validate::model_name(name)?;
        let (tenant, audit, name, now) = (auth.tenant().clone(), auth.audit(), name.to_owned(), self.now());
        self.inner
            .db
            .write(move |c| {
                Box::pin(async move {
                    if sql::describe(c, &tenant, &name, description.as_deref(), now).await? == 0 {
                        return Err(no_model(&name));
                    }
                    c.audit(&audit).await?;
                    get(c, &tenant, &name).await
                })
            })
            .await
    }

    /// Renames a model with its versions, tags and aliases.
    ///
    /// # Errors
    /// [`RegistryError::Exists`] when the new name is taken.
    pub async fn rename_model(&self, auth: &Authorized<UpdateModel>, name: &str, to: &str) -> Result<RegisteredModel> {
        if to.trim().is_empty() {
            return Err(validate::missing("new_name"));
        }
        validate::model_name(to)?;
        let (tenant, audit, now) = (auth.tenant().clone(), auth.audit(), self.now());
        let (name, to) = (name.to_owned(), to.to_owned());
        self.change(audit, move |c, audit| {
            Box::pin(async move {
                lock_models(c, &tenant).await?;
                get(c, &tenant, &name).await?;
                audit.says(format!("is called {to}"));
                if name != to {
                    if sql::by_name(c, &tenant, &to).await?.is_some() {
                        return Err(RegistryError::Exists(format!("Registered Model (name={to}) already exists.")));
                    }
                    sql::rename(c, &tenant, &name, &to, now).await?;
                }
                get(c, &tenant, &to).await
            })
        })
        .await
    }

    /// Deletes a model with its versions, tags and aliases. Its artifacts stay with their runs.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`].
    pub async fn delete_model(&self, auth: &Authorized<DeleteModel>, name: &str) -> Result<()> {
        let (tenant, audit, name) = (auth.tenant().clone(), auth.audit(), name.to_owned());
        self.change(audit, move |c, _| {
            Box::pin(async move {
                lock_models(c, &tenant).await?;
                get(c, &tenant, &name).await?;
                sql::delete(c, &tenant, &name).await?;
                Ok(())
            })
        })
        .await
    }

    /// Searches registered models, by name unless an order is given. Prompts are left out unless
    /// the filter asks for them.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] for a filter, an order, a page size or a token that is wrong.
    pub async fn search_models(
        &self,
        auth: &Authorized<ReadModel>,
        asked: &ModelSearch,
    ) -> Result<Page<RegisteredModel>> {
        let (q, offset, limit) = asked.query(&search::MODELS, 1000)?;
        let tenant = auth.tenant().clone();
        let found = self.inner.db.read(move |c| Box::pin(async move { sql::search(c, &tenant, &q).await })).await?;
        Ok(page::cut(found, offset, limit))
    }

    /// Sets a tag of a registered model.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`].
    pub async fn set_model_tag(&self, auth: &Authorized<UpdateModel>, name: &str, tag: Pair) -> Result<()> {
        validate::model_tag(&tag)?;
        let (tenant, audit, name) = (auth.tenant().clone(), auth.audit(), name.to_owned());
        self.inner
            .db
            .write(move |c| {
                Box::pin(async move {
                    get(c, &tenant, &name).await?;
                    sql::set_tag(c, &tenant, &name, &tag).await?;
                    c.audit(&audit).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Removes a tag of a registered model, if it has it.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] for the model.
    pub async fn delete_model_tag(&self, auth: &Authorized<UpdateModel>, name: &str, key: &str) -> Result<()> {
        validate::key(key, "key")?;
        let (tenant, audit, name, key) = (auth.tenant().clone(), auth.audit(), name.to_owned(), key.to_owned());
        self.inner
            .db
            .write(move |c| {
                Box::pin(async move {
                    get(c, &tenant, &name).await?;
                    sql::delete_tag(c, &tenant, &name, &key).await?;
                    c.audit(&audit).await?;
                    Ok(())
                })
            })
            .await
    }
}
