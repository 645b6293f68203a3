//! The journal in SQL, and the purge of what was deleted.

use crate::age::parse_age;
use crate::args::Output;
use crate::client::Server;
use crate::error::CliError;
use crate::output::{cell, either, line, note, rows, size};
use mainspring_core::ErrorKind;
use serde_json::json;

/// Runs a SELECT and prints its rows.
///
/// # Errors
/// [`CliError`] when the SQL is refused.
pub async fn run(server: &Server, sql: &str, out: Output) -> Result<(), CliError> {
    let answer = server.post("/api/v1/query", &json!({ "sql": sql })).await?;
    either(out, &answer, || {
        let names: Vec<String> = answer["columns"].as_array().into_iter().flatten().map(|c| cell(&c["name"])).collect();
        let head: Vec<&str> = names.iter().map(String::as_str).collect();
        let found = answer["rows"].as_array().cloned().unwrap_or_default();
        let count = found.len();
        rows(&head, found.iter().map(|r| r.as_array().into_iter().flatten().map(cell).collect()).collect());
        let cut = if answer["truncated"] == true { ", cut at the row limit" } else { "" };
        note(format!("{count} row{}{cut}", if count == 1 { "" } else { "s" }));
    });
    Ok(())
}

/// What to do about what was deleted.
#[derive(Debug, Clone, Copy)]
pub struct Purge {
    /// Only say what would be freed.
    pub dry_run: bool,
    /// Free it.
    pub yes: bool,
}

/// Frees the artifacts of what was deleted, or says what that would free.
///
/// # Errors
/// [`CliError`] when it was not confirmed, the age is not one, or the server refuses.
pub async fn purge(server: &Server, older_than: &str, how: Purge, out: Output) -> Result<(), CliError> {
    let age = parse_age(older_than)?;
    if !how.dry_run && !how.yes {
        let what = format!("this removes what was deleted at least {older_than} ago for good, with its artifacts");
        return Err(CliError::new(ErrorKind::InvalidInput, what).hint("add --dry-run to see what, --yes to do it"));
    }
    let request = json!({ "olderThanSeconds": age.as_secs(), "dryRun": how.dry_run });
    let answer = server.post("/api/v1/purge", &request).await?;
    either(out, &answer, || {
        line(format!(
            "{} {} runs, {} experiments, {} models with {} files, {}",
            if how.dry_run { "would free" } else { "freed" },
            cell(&answer["runs"]),
            cell(&answer["experiments"]),
            cell(&answer["models"]),
            cell(&answer["files"]),
            size(answer["bytes"].as_u64().unwrap_or_default())
        ));
        for kept in answer["kept"].as_array().into_iter().flatten() {
            note(format!("kept {}: version {} is served from its files", cell(&kept["id"]), cell(&kept["servedBy"])));
        }
        for id in answer["elsewhere"].as_array().into_iter().flatten() {
            note(format!("the artifacts of {} are in another store, which this server does not touch", cell(id)));
        }
    });
    Ok(())
}
