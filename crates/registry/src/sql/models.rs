//! Registered models, their tags and aliases.

use super::build::{Sql, pairs_by};
use crate::search::{Clause, Field, Op, Operand, Order};
use crate::types::{Alias, Pair, RegisteredModel};
use mainspring_core::Tenant;
use mainspring_store::{Conn, Row, StoreError, args};
use std::collections::HashMap;

/// The tag that makes a registered model a prompt; searches for models leave prompts out.
pub(crate) const IS_PROMPT: &str = "mlflow.prompt.is_prompt";

fn read(row: &Row) -> Result<RegisteredModel, StoreError> {
    Ok(RegisteredModel {
        name: row.text("name")?,
        created: row.int("creation_time")?,
        updated: row.int("last_updated_time")?,
        description: row.opt_text("description")?,
        tags: Vec::new(),
        aliases: Vec::new(),
        latest: Vec::new(),
    })
}

/// Writes a registered model; `false` when the name is taken.
pub(crate) async fn insert(c: &mut Conn, tenant: &Tenant, m: &RegisteredModel) -> Result<bool, StoreError> {
    let done = c
        .execute(
            "INSERT INTO registered_models (tenant, name, creation_time, last_updated_time, description) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            args![tenant, &m.name, m.created, m.updated, m.description.as_ref()],
        )
        .await?;
    if done == 1 {
        for tag in &m.tags {
            set_tag(c, tenant, &m.name, tag).await?;
        }
    }
    Ok(done == 1)
}

pub(crate) async fn by_name(c: &mut Conn, tenant: &Tenant, name: &str) -> Result<Option<RegisteredModel>, StoreError> {
    let row = c
        .query_opt(
            "SELECT name, creation_time, last_updated_time, description FROM registered_models \
             WHERE tenant = $1 AND name = $2",
            args![tenant, name],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let found = hydrate(c, tenant, vec![read(&row)?]).await?;
    Ok(found.into_iter().next())
}

pub(crate) async fn describe(
    c: &mut Conn,
    tenant: &Tenant,
    name: &str,
    description: Option<&str>,
    now: i64,
) -> Result<u64, StoreError> {
    c.execute(
        "UPDATE registered_models SET description = $3, last_updated_time = $4 WHERE tenant = $1 AND name = $2",
        args![tenant, name, description, now],
    )
    .await
}

pub(crate) async fn touch(c: &mut Conn, tenant: &Tenant, name: &str, now: i64) -> Result<u64, StoreError> {
    c.execute(
        "UPDATE registered_models SET last_updated_time = $3 WHERE tenant = $1 AND name = $2",
        args![tenant, name, now],
    )
    .await
}

const TABLES: [&str; 5] =
    ["registered_models", "registered_model_tags", "registered_model_aliases", "model_versions", "model_version_tags"];

pub(crate) async fn rename(c: &mut Conn, tenant: &Tenant, from: &str, to: &str, now: i64) -> Result<(), StoreError> {
    for table in TABLES {
        let text = format!("UPDATE {table} SET name = $3 WHERE tenant = $1 AND name = $2");
        c.execute(&text, args![tenant, from, to]).await?;
    }
    for table in ["registered_models", "model_versions"] {
        let text = format!("UPDATE {table} SET last_updated_time = $3 WHERE tenant = $1 AND name = $2");
        c.execute(&text, args![tenant, to, now]).await?;
    }
    Ok(())
}

pub(crate) async fn delete(c: &mut Conn, tenant: &Tenant, name: &str) -> Result<(), StoreError> {
    for table in TABLES {
        let text = format!("DELETE FROM {table} WHERE tenant = $1 AND name = $2");
        c.execute(&text, args![tenant, name]).await?;
    }
    Ok(())
}

pub(crate) async fn set_tag(c: &mut Conn, tenant: &Tenant, name: &str, tag: &Pair) -> Result<u64, StoreError> {
    c.execute(
        "INSERT INTO registered_model_tags (tenant, name, key, value) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (tenant, name, key) DO UPDATE SET value = excluded.value",
        args![tenant, name, &tag.key, &tag.value],
    )
    .await
}

pub(crate) async fn delete_tag(c: &mut Conn, tenant: &Tenant, name: &str, key: &str) -> Result<u64, StoreError> {
    c.execute(
        "DELETE FROM registered_model_tags WHERE tenant = $1 AND name = $2 AND key = $3",
        args![tenant, name, key],
    )
    .await
}

pub(crate) async fn set_alias(
    c: &mut Conn,
    tenant: &Tenant,
    name: &str,
    alias: &str,
    version: i64,
) -> Result<u64, StoreError> {
    c.execute(
        "INSERT INTO registered_model_aliases (tenant, name, alias, version, generation) VALUES ($1, $2, $3, $4, 1) \
         ON CONFLICT (tenant, name, alias) DO UPDATE SET version = excluded.version, \
         generation = registered_model_aliases.generation + 1",
        args![tenant, name, alias, version],
    )
    .await
}

pub(crate) async fn delete_alias(c: &mut Conn, tenant: &Tenant, name: &str, alias: &str) -> Result<u64, StoreError> {
    c.execute(
        "DELETE FROM registered_model_aliases WHERE tenant = $1 AND name = $2 AND alias = $3",
        args![tenant, name, alias],
    )
    .await
}

pub(crate) async fn alias(c: &mut Conn, tenant: &Tenant, name: &str, alias: &str) -> Result<Option<i64>, StoreError> {
    let row = c
        .query_opt(
            "SELECT version FROM registered_model_aliases WHERE tenant = $1 AND name = $2 AND alias = $3",
            args![tenant, name, alias],
        )
        .await?;
    row.map(|r| r.int("version")).transpose()
}

/// The aliases of some models, by model.
pub(crate) async fn aliases(
    c: &mut Conn,
    tenant: &Tenant,
    names: &[String],
) -> Result<HashMap<String, Vec<Alias>>, StoreError> {
    let mut sql = Sql::new(c.dialect(), "SELECT name, alias, version FROM registered_model_aliases WHERE tenant = ");
    sql.arg(tenant).push(" AND name IN ").list(names.iter()).push(" ORDER BY alias");
    let mut out: HashMap<String, Vec<Alias>> = HashMap::new();
    for row in &sql.rows(c).await? {
        let alias = Alias { alias: row.text("alias")?, version: row.int("version")? };
        out.entry(row.text("name")?).or_default().push(alias);
    }
    Ok(out)
}

/// Whether a filter asks for prompts.
pub(crate) fn asks_for_prompts(clauses: &[Clause]) -> bool {
    let first = clauses.iter().find(|c| c.field == Field::Tag(IS_PROMPT.into()));
    first.is_some_and(|c| match &c.value {
        Operand::Text(t) => {
            (c.op == Op::Eq && t.eq_ignore_ascii_case("true")) || (c.op == Op::Ne && t.eq_ignore_ascii_case("false"))
        }
        _ => false,
    })
}

/// Leaves prompts out unless they are asked for, then applies the tag clauses. `owner` is what
/// ties a tag to its row, e.g. `t.name = m.name`.
pub(crate) fn tag_filter(sql: &mut Sql, tenant: &Tenant, clauses: &[Clause], (table, owner): (&str, &str)) {
    let prompts = asks_for_prompts(clauses);
    if !prompts {
        sql.push(" AND NOT EXISTS (SELECT 1 FROM ").push(table).push(" t WHERE t.tenant = ").arg(tenant);
        sql.push(" AND t.name = m.name AND t.key = ").arg(IS_PROMPT).push(" AND t.value = 'true')");
    }
    for clause in clauses {
        let Field::Tag(key) = &clause.field else { continue };
        if !prompts && key == IS_PROMPT {
            continue;
        }
        sql.push(" AND EXISTS (SELECT 1 FROM ").push(table).push(" t WHERE t.tenant = ").arg(tenant);
        sql.push(" AND ").push(owner).push(" AND t.key = ").arg(key).and_compare("t.value", clause).push(")");
    }
}

/// What a search of models or versions asks for.
pub(crate) struct Query {
    pub clauses: Vec<Clause>,
    pub orders: Vec<Order>,
    pub limit: u64,
    pub offset: u64,
}

pub(crate) async fn search(c: &mut Conn, tenant: &Tenant, q: &Query) -> Result<Vec<RegisteredModel>, StoreError> {
    let mut sql = Sql::new(
        c.dialect(),
        "SELECT m.name, m.creation_time, m.last_updated_time, m.description FROM registered_models m WHERE m.tenant = ",
    );
    sql.arg(tenant);
    for clause in &q.clauses {
        if let Field::Attribute(column) = clause.field {
            sql.and_compare(&format!("m.{column}"), clause);
        }
    }
    tag_filter(&mut sql, tenant, &q.clauses, ("registered_model_tags", "t.name = m.name"));
    sql.push(" ORDER BY ");
    let mut by_name = false;
    let bytes = sql.bytewise();
    for entry in &q.orders {
        let Field::Attribute(column) = entry.field else { continue };
        by_name |= column == "name";
        sql.push("m.").push(column).push(if column == "name" { bytes } else { "" });
        sql.push(if entry.ascending { " ASC, " } else { " DESC, " });
    }
    if by_name {
        sql.push("m.tenant");
    } else {
        sql.push("m.name").push(bytes).push(" ASC");
    }
    sql.page(q.limit, q.offset);
    let found = sql.rows(c).await?.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    hydrate(c, tenant, found).await
}

/// Adds tags, aliases and the newest version of each stage: one query a kind.
async fn hydrate(
    c: &mut Conn,
    tenant: &Tenant,
    mut found: Vec<RegisteredModel>,
) -> Result<Vec<RegisteredModel>, StoreError> {
    if found.is_empty() {
        return Ok(found);
    }
    let names: Vec<String> = found.iter().map(|m| m.name.clone()).collect();
    let mut sql = Sql::new(c.dialect(), "SELECT name, key, value FROM registered_model_tags WHERE tenant = ");
    sql.arg(tenant).push(" AND name IN ").list(names.iter()).push(" ORDER BY key");
    let mut tags = pairs_by(&sql.rows(c).await?, "name")?;
    let mut aliases = aliases(c, tenant, &names).await?;
    for version in super::versions::latest(c, tenant, &names).await? {
        if let Some(m) = found.iter_mut().find(|m| m.name == version.name) {
            m.latest.push(version);
        }
    }
    for m in &mut found {
        m.tags = tags.remove(&m.name).unwrap_or_default();
        m.aliases = aliases.remove(&m.name).unwrap_or_default();
    }
    Ok(found)
}
