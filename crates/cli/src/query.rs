//! The journal in SQL, and the purge of what was deleted.

use crate::age::parse_age;
use crate::args::Output;
use crate::client::Server;
use crate::error::CliError;
use crate::output::{cell, either, line, note, rows};
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

/// Frees the artifacts of what was deleted.
///
/// # Errors
/// [`CliError`] when it was not confirmed, the age is not one, or the server refuses.
pub async fn purge(server: &Server, older_than: &str, yes: bool, out: Output) -> Result<(), CliError> {
    let age = parse_age(older_than)?;
    if !yes {
        let what = format!("this removes what was deleted at least {older_than} ago for good, with its artifacts");
        return Err(CliError::new(ErrorKind::InvalidInput, what).hint("add --yes to do it"));
    }
    let answer = server.post("/api/v1/purge", &json!({ "olderThanSeconds": age.as_secs(), "dryRun": false })).await?;
    either(out, &answer, || {
        line(format!(
            "freed {} runs, {} experiments, {} models with {} files",
            cell(&answer["runs"]),
            cell(&answer["experiments"]),
            cell(&answer["models"]),
            cell(&answer["files"])
        ));
    });
    Ok(())
}
