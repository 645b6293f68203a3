//! `mainspring rules`: what the rows of a deployment's requests must keep, and how many did not.

use crate::args::Output;
use crate::client::{Server, segment};
use crate::error::CliError;
use crate::output::{cell, either, line, table};
use serde_json::Value;

/// Prints a line for each rule.
///
/// # Errors
/// [`CliError`] when the server refuses.
pub async fn run(server: &Server, deployment: &str, out: Output) -> Result<(), CliError> {
    let all = server.get(&format!("/api/v1/deployments/{}/rules", segment(deployment))).await?;
    either(out, &all, || people(&all));
    Ok(())
}

fn people(all: &Value) {
    let rules: Vec<&Value> = all["rules"].as_array().into_iter().flatten().collect();
    if rules.is_empty() {
        return line(format!("{} has no rules, or no version that holds rows to them yet", cell(&all["name"])));
    }
    let row = |rule: &&Value| {
        let (rows, broken) = (rule["rows"].as_f64().unwrap_or(0.0), rule["broken"].as_f64().unwrap_or(0.0));
        let share = if rows > 0.0 { format!("{:.2} %", 100.0 * broken / rows) } else { "-".to_owned() };
        let told = ["name", "action", "rows", "broken"].map(|key| cell(&rule[key]));
        told.into_iter().chain([share, cell(&rule["requests"]), cell(&rule["type"])]).collect()
    };
    table(&["rule", "action", "rows", "broken", "share", "requests", "type"], rules.iter().map(row));
}
