//! Jobs and datasets. A page of them takes the same few statements, however many are on it.

use super::read::{KeptRun, KeptThing, NEIGHBOURS, Page, RUN, at, count, runs_of};
use super::write::thing_key;
use crate::event::ThingKind;
use mainspring_core::Tenant;
use mainspring_store::{Conn, Dialect, Row, StoreError, args};
use std::collections::HashMap;

/// Namespace and name of each dataset.
type Names = Vec<(String, String)>;

/// Jobs or datasets of a namespace, by name.
pub(crate) async fn things(
    c: &mut Conn,
    tenant: &Tenant,
    (kind, namespace): (ThingKind, &str),
    (limit, offset): (u32, u32),
) -> Result<Page<KeptThing>, StoreError> {
    let total = count(
        c,
        "SELECT COUNT(*) AS n FROM lineage_things WHERE tenant = $1 AND kind = $2 AND namespace = $3",
        args![tenant, kind.as_str(), namespace],
    );
    let total = total.await?;
    let rows = c
        .query(
            "SELECT thing, namespace, name, created, updated FROM lineage_things \
             WHERE tenant = $1 AND kind = $2 AND namespace = $3 ORDER BY name LIMIT $4 OFFSET $5",
            args![tenant, kind.as_str(), namespace, limit, offset],
        )
        .await?;
    Ok(Page { items: whole(c, tenant, kind, &rows).await?, total })
}

/// One job or dataset.
pub(crate) async fn thing(
    c: &mut Conn,
    tenant: &Tenant,
    (kind, namespace, name): (ThingKind, &str, &str),
) -> Result<Option<KeptThing>, StoreError> {
    let rows = c
        .query(
            "SELECT thing, namespace, name, created, updated FROM lineage_things \
             WHERE tenant = $1 AND thing = $2",
            args![tenant, thing_key(kind, namespace, name)],
        )
        .await?;
    Ok(whole(c, tenant, kind, &rows).await?.pop())
}

/// Jobs, or datasets, by their rows, with what was said of each.
async fn whole(c: &mut Conn, tenant: &Tenant, kind: ThingKind, rows: &[Row]) -> Result<Vec<KeptThing>, StoreError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let keys = rows.iter().map(|row| row.text("thing")).collect::<Result<Vec<_>, _>>()?;
    let (mut linked, mut latest) = (HashMap::new(), HashMap::new());
    if kind == ThingKind::Job {
        linked = datasets(c, tenant, &keys).await?;
        latest = last_runs(c, tenant, &keys).await?;
    }
    let mut facets = facets(c, tenant, &keys).await?;
    let thing = |(row, key): (&Row, &String)| {
        let (inputs, outputs) = linked.remove(key).unwrap_or_default();
        Ok(KeptThing {
            kind,
            namespace: row.text("namespace")?,
            name: row.text("name")?,
            created: at(row, "created")?,
            updated: at(row, "updated")?,
            facets: facets.remove(key).unwrap_or_default(),
            inputs,
            outputs,
            latest: latest.remove(key),
        })
    };
    rows.iter().zip(&keys).map(thing).collect()
}

/// The keys in the JSON list that is argument `$2`, as a table `k` to be read first.
fn listed(c: &Conn) -> &'static str {
    match c.dialect() {
        Dialect::Sqlite => "(SELECT value FROM json_each($2)) k",
        Dialect::Postgres => "(SELECT v.value FROM jsonb_array_elements_text(CAST($2 AS JSONB)) AS v(value)) k",
    }
}

/// The facets of things and runs, by their keys; those of each by name.
pub(super) async fn facets(
    c: &mut Conn,
    tenant: &Tenant,
    keys: &[String],
) -> Result<HashMap<String, Vec<(String, String)>>, StoreError> {
    let sql = format!(
        "SELECT f.thing, f.name, f.body FROM {} CROSS JOIN lineage_facets f \
         WHERE f.tenant = $1 AND f.thing = k.value AND f.body IS NOT NULL ORDER BY f.name",
        listed(c)
    );
    let mut found: HashMap<String, Vec<(String, String)>> = HashMap::new();
    for row in c.query(&sql, args![tenant, serde_json::json!(keys).to_string()]).await? {
        found.entry(row.text("thing")?).or_default().push((row.text("name")?, row.text("body")?));
    }
    Ok(found)
}

/// What each job reads, and what it writes: one dataset more than is looked at.
async fn datasets(
    c: &mut Conn,
    tenant: &Tenant,
    jobs: &[String],
) -> Result<HashMap<String, (Names, Names)>, StoreError> {
    let sql = format!(
        "SELECT l.job, l.direction, t.namespace, t.name FROM \
         (SELECT e.job, e.direction, e.dataset, \
          ROW_NUMBER() OVER (PARTITION BY e.job, e.direction ORDER BY e.dataset) AS place \
          FROM {} CROSS JOIN lineage_edges e WHERE e.tenant = $1 AND e.job = k.value) l \
         CROSS JOIN lineage_things t WHERE t.tenant = $1 AND t.thing = l.dataset AND l.place <= $3 \
         ORDER BY l.job, l.direction, l.place",
        listed(c)
    );
    let most = NEIGHBOURS as i64 + 1;
    let mut found: HashMap<String, (Names, Names)> = HashMap::new();
    for row in c.query(&sql, args![tenant, serde_json::json!(jobs).to_string(), most]).await? {
        let (inputs, outputs) = found.entry(row.text("job")?).or_default();
        let names = if row.text("direction")? == "in" { inputs } else { outputs };
        names.push((row.text("namespace")?, row.text("name")?));
    }
    Ok(found)
}

/// The last run of each job that has one.
async fn last_runs(c: &mut Conn, tenant: &Tenant, jobs: &[String]) -> Result<HashMap<String, KeptRun>, StoreError> {
    let sql = format!(
        "SELECT r.job, {RUN} FROM \
         (SELECT (SELECT x.run FROM lineage_runs x WHERE x.tenant = $1 AND x.job = k.value \
                  ORDER BY x.updated DESC, x.run LIMIT 1) AS run FROM {}) l \
         CROSS JOIN lineage_runs r JOIN lineage_things t ON t.tenant = r.tenant AND t.thing = r.job \
         WHERE r.tenant = $1 AND r.run = l.run",
        listed(c)
    );
    let rows = c.query(&sql, args![tenant, serde_json::json!(jobs).to_string()]).await?;
    let of = rows.iter().map(|row| row.text("job")).collect::<Result<Vec<_>, _>>()?;
    Ok(of.into_iter().zip(runs_of(c, tenant, &rows).await?).collect())
}
