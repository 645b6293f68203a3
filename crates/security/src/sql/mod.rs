//! The statements over keys and sessions.

pub mod migrations;

use crate::error::SecurityError;
use crate::key::{KeyInfo, id_text};
use mainspring_core::{Name, Role, Tenant, Timestamp};
use mainspring_store::{Conn, Row, StoreError, args};

/// A key as it is stored.
pub(crate) struct KeyRow {
    pub(crate) id: u64,
    pub(crate) hash: [u8; 32],
    pub(crate) info: KeyInfo,
}

/// A session as it is stored.
pub(crate) struct SessionRow {
    pub(crate) hash: [u8; 32],
    pub(crate) key: u64,
    pub(crate) used_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// What is in the tables, with the number of their changes.
pub(crate) struct Everything {
    pub(crate) generation: i64,
    pub(crate) keys: Vec<KeyRow>,
    pub(crate) sessions: Vec<SessionRow>,
}

fn role_text(role: Role) -> &'static str {
    match role {
        Role::Infer => "infer",
        Role::Read => "read",
        Role::Write => "write",
        Role::Admin => "admin",
    }
}

fn wrong(column: &str, found: String) -> StoreError {
    StoreError::Column { column: column.to_owned(), wanted: "a value this binary wrote", found }
}

fn role(row: &Row) -> Result<Role, StoreError> {
    match row.text("role")?.as_str() {
        "infer" => Ok(Role::Infer),
        "read" => Ok(Role::Read),
        "write" => Ok(Role::Write),
        "admin" => Ok(Role::Admin),
        other => Err(wrong("role", other.to_owned())),
    }
}

/// Names have no comma.
fn groups(row: &Row) -> Result<Vec<Name>, StoreError> {
    let text = row.text("member_of")?;
    let names = text.split(',').filter(|name| !name.is_empty());
    names.map(|name| Name::new(name).map_err(|_| wrong("member_of", text.clone()))).collect()
}

fn hash(row: &Row) -> Result<[u8; 32], StoreError> {
    let bytes = row.blob("hash")?;
    let length = bytes.len();
    bytes.try_into().map_err(|_| wrong("hash", format!("{length} bytes")))
}

fn number(row: &Row, column: &str) -> Result<u64, StoreError> {
    let text = row.text(column)?;
    u64::from_str_radix(&text, 16).map_err(|_| wrong(column, text))
}

fn time(row: &Row, column: &str) -> Result<Option<Timestamp>, StoreError> {
    Ok(row.opt_int(column)?.map(Timestamp))
}

fn key_row(row: &Row) -> Result<KeyRow, StoreError> {
    let tenant = row.text("tenant")?;
    let info = KeyInfo {
        id: row.text("id")?,
        label: row.text("label")?,
        role: role(row)?,
        tenant: Tenant::new(&tenant).map_err(|_| wrong("tenant", tenant))?,
        groups: groups(row)?,
        created_at: Timestamp(row.int("created_at")?),
        created_by: row.text("created_by")?,
        expires_at: time(row, "expires_at")?,
        revoked_at: time(row, "revoked_at")?,
        last_used_at: time(row, "last_used_at")?,
        replaced_by: row.opt_text("replaced_by")?,
    };
    Ok(KeyRow { id: number(row, "id")?, hash: hash(row)?, info })
}

const KEY_COLUMNS: &str = "tenant, id, hash, label, role, member_of, created_at, created_by, expires_at, revoked_at, \
     last_used_at, replaced_by";

pub(crate) async fn generation(c: &mut Conn) -> Result<i64, StoreError> {
    let row = c
        .query_opt("SELECT CAST(COALESCE(SUM(generation), 0) AS BIGINT) AS n FROM security_generation", args![])
        .await?;
    row.map_or(Ok(0), |r| r.int("n"))
}

/// Tells replicas that keys or sessions of `tenant` changed.
pub(crate) async fn bump(c: &mut Conn, tenant: &Tenant) -> Result<(), StoreError> {
    c.execute(
        "INSERT INTO security_generation (tenant, generation) VALUES ($1, 1)
         ON CONFLICT (tenant) DO UPDATE SET generation = security_generation.generation + 1",
        args![tenant],
    )
    .await
    .map(|_| ())
}

pub(crate) async fn everything(c: &mut Conn, now: Timestamp) -> Result<Everything, StoreError> {
    let generation = generation(c).await?;
    let sql = format!("SELECT {KEY_COLUMNS} FROM api_keys WHERE revoked_at IS NULL");
    let keys = c.query(&sql, args![]).await?.iter().map(key_row).collect::<Result<_, _>>()?;
    let sql = "SELECT hash, key_id, used_at, expires_at FROM sessions WHERE expires_at > $1";
    let session = |row: &Row| {
        Ok::<_, StoreError>(SessionRow {
            hash: hash(row)?,
            key: number(row, "key_id")?,
            used_at: Timestamp(row.int("used_at")?),
            expires_at: Timestamp(row.int("expires_at")?),
        })
    };
    let sessions = c.query(sql, args![now]).await?.iter().map(session).collect::<Result<_, _>>()?;
    Ok(Everything { generation, keys, sessions })
}

pub(crate) async fn insert_key(c: &mut Conn, key: &KeyInfo, hash: &[u8; 32]) -> Result<(), StoreError> {
    c.execute(
        "INSERT INTO api_keys (tenant, id, hash, label, role, created_at, created_by, expires_at, member_of)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        args![
            &key.tenant,
            &key.id,
            hash.as_slice(),
            &key.label,
            role_text(key.role),
            key.created_at,
            &key.created_by,
            key.expires_at,
            key.groups.iter().map(Name::as_str).collect::<Vec<_>>().join(","),
        ],
    )
    .await
    .map(|_| ())
}

/// The key `id` as `tenant` sees it: its own, or any when it is the default tenant.
pub(crate) async fn find_key(c: &mut Conn, tenant: &Tenant, id: &str) -> Result<KeyInfo, SecurityError> {
    let sql = format!("SELECT {KEY_COLUMNS} FROM api_keys WHERE id = $2 AND (tenant = $1 OR $1 = 'default')");
    let row = c.query_opt(&sql, args![tenant, id]).await?;
    let row = row.ok_or_else(|| SecurityError::NoSuchKey { id: id.to_owned() })?;
    Ok(key_row(&row)?.info)
}

pub(crate) async fn list_keys(c: &mut Conn, tenant: &Tenant) -> Result<Vec<KeyInfo>, StoreError> {
    let sql = format!(
        "SELECT {KEY_COLUMNS} FROM api_keys WHERE tenant = $1 OR $1 = 'default' ORDER BY created_at DESC, id LIMIT 10000"
    );
    c.query(&sql, args![tenant]).await?.iter().map(|r| key_row(r).map(|k| k.info)).collect()
}

pub(crate) async fn revoke(c: &mut Conn, id: &str, at: Timestamp) -> Result<(), StoreError> {
    c.execute("UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL", args![id, at]).await?;
    c.execute("DELETE FROM sessions WHERE key_id = $1", args![id]).await.map(|_| ())
}

pub(crate) async fn replace(c: &mut Conn, old: &str, new: &str, until: Timestamp) -> Result<(), StoreError> {
    c.execute("UPDATE api_keys SET expires_at = $3, replaced_by = $2 WHERE id = $1", args![old, new, until])
        .await
        .map(|_| ())
}

/// Notes when keys and sessions were last used; never moves a time back.
pub(crate) async fn used(
    c: &mut Conn,
    keys: &[(u64, Timestamp)],
    sessions: &[([u8; 32], Timestamp)],
) -> Result<(), StoreError> {
    for (id, at) in keys {
        let sql = "UPDATE api_keys SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)";
        c.execute(sql, args![id_text(*id), *at]).await?;
    }
    for (hash, at) in sessions {
        let sql = "UPDATE sessions SET used_at = $2 WHERE hash = $1 AND used_at < $2";
        c.execute(sql, args![hash.as_slice(), *at]).await?;
    }
    Ok(())
}

pub(crate) async fn insert_session(c: &mut Conn, tenant: &Tenant, row: &SessionRow) -> Result<(), StoreError> {
    c.execute("DELETE FROM sessions WHERE expires_at <= $1", args![row.used_at]).await?;
    c.execute(
        "INSERT INTO sessions (tenant, hash, key_id, created_at, used_at, expires_at) VALUES ($1, $2, $3, $4, $4, $5)",
        args![tenant, row.hash.as_slice(), id_text(row.key), row.used_at, row.expires_at],
    )
    .await
    .map(|_| ())
}

pub(crate) async fn delete_session(c: &mut Conn, hash: &[u8; 32]) -> Result<(), StoreError> {
    c.execute("DELETE FROM sessions WHERE hash = $1", args![hash.as_slice()]).await.map(|_| ())
}
