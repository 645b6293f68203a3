//! Model versions.

use super::build::{Sql, pairs_by};
use super::models::{Query, aliases, tag_filter};
use crate::search::Field;
use crate::types::{Frozen, ModelVersion, Pair, STAGE_DELETED, TaggedVersion};
use mainspring_core::Tenant;
use mainspring_store::{Conn, Row, StoreError, args};
use std::collections::HashMap;

const COLUMNS: &str = "m.name, m.version, m.creation_time, m.last_updated_time, m.description, m.current_stage, \
                       m.source, m.storage, m.run_id, m.model_id, m.run_link, m.frozen_by, m.frozen_at, m.frozen_reason";

fn read(row: &Row) -> Result<ModelVersion, StoreError> {
    let frozen = match (row.opt_text("frozen_by")?, row.opt_int("frozen_at")?, row.opt_text("frozen_reason")?) {
        (Some(by), Some(at), Some(reason)) => Some(Frozen { by, at, reason }),
        _ => None,
    };
    Ok(ModelVersion {
        name: row.text("name")?,
        version: row.int("version")?,
        created: row.int("creation_time")?,
        updated: row.int("last_updated_time")?,
        description: row.opt_text("description")?,
        stage: row.text("current_stage")?,
        source: row.text("source")?,
        storage: row.text("storage")?,
        run_id: row.opt_text("run_id")?,
        model_id: row.opt_text("model_id")?,
        run_link: row.opt_text("run_link")?,
        tags: Vec::new(),
        aliases: Vec::new(),
        frozen,
    })
}

/// The number that the next version of a model gets; deleted versions keep theirs.
pub(crate) async fn next_number(c: &mut Conn, tenant: &Tenant, name: &str) -> Result<i64, StoreError> {
    let row = c
        .query_opt(
            "SELECT COALESCE(MAX(version), 0) + 1 AS next FROM model_versions WHERE tenant = $1 AND name = $2",
            args![tenant, name],
        )
        .await?;
    row.map_or(Ok(1), |r| r.int("next"))
}

pub(crate) async fn insert(c: &mut Conn, tenant: &Tenant, v: &ModelVersion) -> Result<(), StoreError> {
    c.execute(
        "INSERT INTO model_versions (tenant, name, version, creation_time, last_updated_time, description, \
         current_stage, source, storage, run_id, model_id, run_link) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        args![
            tenant,
            &v.name,
            v.version,
            v.created,
            v.updated,
            v.description.as_ref(),
            &v.stage,
            &v.source,
            &v.storage,
            v.run_id.as_ref(),
            v.model_id.as_ref(),
            v.run_link.as_ref()
        ],
    )
    .await?;
    for tag in &v.tags {
        set_tag(c, tenant, (&v.name, v.version), tag).await?;
    }
    Ok(())
}

pub(crate) async fn get(
    c: &mut Conn,
    tenant: &Tenant,
    name: &str,
    version: i64,
) -> Result<Option<ModelVersion>, StoreError> {
    let text = format!(
        "SELECT {COLUMNS} FROM model_versions m \
         WHERE m.tenant = $1 AND m.name = $2 AND m.version = $3 AND m.current_stage <> $4"
    );
    let Some(row) = c.query_opt(&text, args![tenant, name, version, STAGE_DELETED]).await? else { return Ok(None) };
    let found = hydrate(c, tenant, vec![read(&row)?]).await?;
    Ok(found.into_iter().next())
}

/// Writes what may change of a version: description, stage, and when it changed.
pub(crate) async fn update(c: &mut Conn, tenant: &Tenant, v: &ModelVersion) -> Result<u64, StoreError> {
    c.execute(
        "UPDATE model_versions SET description = $4, current_stage = $5, last_updated_time = $6 \
         WHERE tenant = $1 AND name = $2 AND version = $3",
        args![tenant, &v.name, v.version, v.description.as_ref(), &v.stage, v.updated],
    )
    .await
}

/// Freezes a version, or ends that.
pub(crate) async fn freeze(
    c: &mut Conn,
    tenant: &Tenant,
    (name, version): (&str, i64),
    frozen: Option<&Frozen>,
) -> Result<u64, StoreError> {
    c.execute(
        "UPDATE model_versions SET frozen_by = $4, frozen_at = $5, frozen_reason = $6 \
         WHERE tenant = $1 AND name = $2 AND version = $3",
        args![tenant, name, version, frozen.map(|f| &f.by), frozen.map(|f| f.at), frozen.map(|f| &f.reason)],
    )
    .await
}

/// Tenant, model and version of what was registered after a moment, and when, the oldest first; times in milliseconds.
pub(crate) async fn registered(c: &mut Conn, after: i64) -> Result<Vec<(Tenant, String, i64, i64)>, StoreError> {
    let text = "SELECT tenant, name, version, creation_time FROM model_versions
                WHERE creation_time > $1 AND current_stage <> $2 ORDER BY creation_time, tenant, name, version";
    let mut all = Vec::new();
    for row in c.query(text, args![after, STAGE_DELETED]).await? {
        let Ok(tenant) = Tenant::new(&row.text("tenant")?) else { continue };
        all.push((tenant, row.text("name")?, row.int("version")?, row.int("creation_time")?));
    }
    Ok(all)
}

/// The frozen versions of all tenants, with their aliases.
pub(crate) async fn frozen(c: &mut Conn) -> Result<HashMap<Tenant, Vec<ModelVersion>>, StoreError> {
    let text = format!(
        "SELECT m.tenant, {COLUMNS} FROM model_versions m WHERE m.frozen_at IS NOT NULL AND m.current_stage <> $1 \
         ORDER BY m.tenant, m.name, m.version"
    );
    let mut all: HashMap<Tenant, Vec<ModelVersion>> = HashMap::new();
    for row in c.query(&text, args![STAGE_DELETED]).await? {
        // A tenant that has no name any more has nobody who could ask.
        let Ok(tenant) = Tenant::new(&row.text("tenant")?) else { continue };
        all.entry(tenant).or_default().push(read(&row)?);
    }
    for (tenant, versions) in &mut all {
        *versions = hydrate(c, tenant, std::mem::take(versions)).await?;
    }
    Ok(all)
}

/// Moves the other versions of a stage to `Archived`.
pub(crate) async fn archive_others(c: &mut Conn, tenant: &Tenant, v: &ModelVersion) -> Result<u64, StoreError> {
    c.execute(
        "UPDATE model_versions SET current_stage = 'Archived', last_updated_time = $5 \
         WHERE tenant = $1 AND name = $2 AND version <> $3 AND current_stage = $4",
        args![tenant, &v.name, v.version, &v.stage, v.updated],
    )
    .await
}

/// Deletes a version: its number stays taken, what it said is erased, its aliases go.
pub(crate) async fn delete(
    c: &mut Conn,
    tenant: &Tenant,
    name: &str,
    version: i64,
    now: i64,
) -> Result<(), StoreError> {
    c.execute(
        "DELETE FROM registered_model_aliases WHERE tenant = $1 AND name = $2 AND version = $3",
        args![tenant, name, version],
    )
    .await?;
    c.execute(
        "UPDATE model_versions SET current_stage = $4, last_updated_time = $5, description = NULL, \
         source = 'REDACTED-SOURCE-PATH', storage = 'REDACTED-SOURCE-PATH', run_id = NULL, model_id = NULL, \
         run_link = NULL WHERE tenant = $1 AND name = $2 AND version = $3",
        args![tenant, name, version, STAGE_DELETED, now],
    )
    .await?;
    Ok(())
}

pub(crate) async fn set_tag(
    c: &mut Conn,
    tenant: &Tenant,
    (name, version): (&str, i64),
    tag: &Pair,
) -> Result<u64, StoreError> {
    c.execute(
        "INSERT INTO model_version_tags (tenant, name, version, key, value) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (tenant, name, version, key) DO UPDATE SET value = excluded.value",
        args![tenant, name, version, &tag.key, &tag.value],
    )
    .await
}

pub(crate) async fn delete_tag(
    c: &mut Conn,
    tenant: &Tenant,
    name: &str,
    version: i64,
    key: &str,
) -> Result<u64, StoreError> {
    c.execute(
        "DELETE FROM model_version_tags WHERE tenant = $1 AND name = $2 AND version = $3 AND key = $4",
        args![tenant, name, version, key],
    )
    .await
}

/// The newest version of each stage of some models, oldest stage move first by version.
pub(crate) async fn latest(c: &mut Conn, tenant: &Tenant, names: &[String]) -> Result<Vec<ModelVersion>, StoreError> {
    let mut sql = Sql::new(c.dialect(), "SELECT ");
    sql.push(COLUMNS).push(" FROM model_versions m WHERE m.tenant = ").arg(tenant);
    sql.push(" AND m.name IN ").list(names.iter()).push(" AND m.current_stage <> ").arg(STAGE_DELETED);
    sql.push(
        " AND NOT EXISTS (SELECT 1 FROM model_versions n WHERE n.tenant = m.tenant AND n.name = m.name \
         AND n.current_stage = m.current_stage AND n.version > m.version) ORDER BY m.name, m.version",
    );
    let found = sql.rows(c).await?.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    hydrate(c, tenant, found).await
}

pub(crate) async fn search(c: &mut Conn, tenant: &Tenant, q: &Query) -> Result<Vec<ModelVersion>, StoreError> {
    let mut sql = Sql::new(c.dialect(), "SELECT ");
    sql.push(COLUMNS).push(" FROM model_versions m WHERE m.tenant = ").arg(tenant);
    sql.push(" AND m.current_stage <> ").arg(STAGE_DELETED);
    for clause in &q.clauses {
        if let Field::Attribute(column) = clause.field {
            sql.and_compare(&format!("m.{column}"), clause);
        }
    }
    let owner = "t.name = m.name AND t.version = m.version";
    tag_filter(&mut sql, tenant, &q.clauses, ("model_version_tags", owner));
    sql.push(" ORDER BY ");
    let bytes = sql.bytewise();
    let (mut by_name, mut by_version) = (false, false);
    for entry in &q.orders {
        let Field::Attribute(column) = entry.field else { continue };
        by_name |= column == "name";
        by_version |= column == "version";
        sql.push("m.").push(column).push(if column == "name" { bytes } else { "" });
        sql.push(if entry.ascending { " ASC, " } else { " DESC, " });
    }
    if q.orders.is_empty() {
        sql.push("m.last_updated_time DESC, ");
    }
    if !by_name {
        sql.push("m.name").push(bytes).push(" ASC, ");
    }
    sql.push(if by_version { "m.tenant" } else { "m.version DESC" });
    sql.page(q.limit, q.offset);
    let found = sql.rows(c).await?.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    hydrate(c, tenant, found).await
}

/// Adds tags and aliases: one query a kind.
async fn hydrate(c: &mut Conn, tenant: &Tenant, mut found: Vec<ModelVersion>) -> Result<Vec<ModelVersion>, StoreError> {
    if found.is_empty() {
        return Ok(found);
    }
    let mut names: Vec<String> = found.iter().map(|v| v.name.clone()).collect();
    names.dedup();
    let mut sql = Sql::new(
        c.dialect(),
        "SELECT name || '/' || CAST(version AS TEXT) AS owner, key, value FROM model_version_tags WHERE tenant = ",
    );
    sql.arg(tenant).push(" AND name IN ").list(names.iter());
    if let [only] = found.as_slice() {
        sql.push(" AND version = ").arg(only.version);
    }
    sql.push(" ORDER BY key");
    let mut tags = pairs_by(&sql.rows(c).await?, "owner")?;
    let aliases = aliases(c, tenant, &names).await?;
    for v in &mut found {
        v.tags = tags.remove(&format!("{}/{}", v.name, v.version)).unwrap_or_default();
        let of_model = aliases.get(&v.name).map(Vec::as_slice).unwrap_or_default();
        v.aliases = of_model.iter().filter(|a| a.version == v.version).map(|a| a.alias.clone()).collect();
    }
    Ok(found)
}

/// Name and number of the versions that were registered from logged models.
pub(crate) async fn of_models(
    c: &mut Conn,
    tenant: &Tenant,
    models: &[String],
) -> Result<Vec<(String, i64)>, StoreError> {
    let mut sql = Sql::new(c.dialect(), "SELECT m.name, m.version FROM model_versions m WHERE m.tenant = ");
    sql.arg(tenant).push(" AND m.current_stage <> ").arg(STAGE_DELETED).push(" AND m.model_id IN ");
    sql.list(models.iter()).push(" ORDER BY m.name, m.version");
    sql.rows(c).await?.iter().map(|r| Ok((r.text("name")?, r.int("version")?))).collect()
}

/// Versions with one of these tags, by name and number; where it is said, those of one model whose tag has one value.
pub(crate) async fn tagged(
    c: &mut Conn,
    tenant: &Tenant,
    keys: &[&str],
    only: Option<(&str, &str)>,
) -> Result<Vec<TaggedVersion>, StoreError> {
    let mut sql = Sql::new(
        c.dialect(),
        "SELECT m.name, m.version, m.creation_time, m.last_updated_time, t.key, t.value FROM model_version_tags t \
         JOIN model_versions m ON m.tenant = t.tenant AND m.name = t.name AND m.version = t.version \
         WHERE t.tenant = ",
    );
    sql.arg(tenant).push(" AND m.current_stage <> ").arg(STAGE_DELETED);
    sql.push(" AND t.key IN ").list(keys.iter().copied());
    if let Some((name, value)) = only {
        sql.push(" AND t.name = ").arg(name).push(" AND t.value = ").arg(value);
    }
    sql.push(" ORDER BY m.name, m.version, t.key");
    let read = |r: &Row| {
        Ok(TaggedVersion {
            name: r.text("name")?,
            version: r.int("version")?,
            created: r.int("creation_time")?,
            updated: r.int("last_updated_time")?,
            tag: Pair { key: r.text("key")?, value: r.text("value")? },
        })
    };
    sql.rows(c).await?.iter().map(read).collect()
}
