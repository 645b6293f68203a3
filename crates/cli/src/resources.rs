//! Declared state: apply, diff, get, history, rollback, delete, schema.

use crate::args::Output;
use crate::client::{Server, segment};
use crate::error::CliError;
use crate::output::{Mark, cell, either, json, line, mark, note, table, time};
use mainspring_core::ErrorKind;
use serde_json::{Value, json};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The text of a file, or of standard input for `-`.
pub(crate) fn read(path: &Path) -> Result<String, CliError> {
    let fail =
        |e: std::io::Error| CliError::new(ErrorKind::InvalidInput, format!("cannot read {}: {e}", path.display()));
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(fail)?;
        return Ok(text);
    }
    std::fs::read_to_string(path).map_err(fail)
}

fn url(parts: &[&str]) -> String {
    parts.iter().fold("/api/v1/resources".to_owned(), |out, part| format!("{out}/{}", segment(part)))
}

/// Sends the files and, unless told otherwise, waits until the deployments in them answer. Returns what was applied.
///
/// # Errors
/// [`CliError`] when a file is refused, or a deployment does not get ready.
pub async fn apply(
    server: &Server,
    files: &[PathBuf],
    wait: Option<Duration>,
    out: Output,
) -> Result<Vec<Value>, CliError> {
    let mut all = Vec::new();
    let texts: Vec<String> = files.iter().map(|file| read(file)).collect::<Result<_, _>>()?;
    for (file, text) in files.iter().zip(texts) {
        let answer = server.post_yaml(&format!("/api/v1/apply?file={}", segment(&file.to_string_lossy())), text).await;
        if let (Err(_), Output::Json, false) = (&answer, out, all.is_empty()) {
            // What the files before it declare stays applied.
            json(&json!({ "applied": all }));
        }
        let applied = answer?["applied"].as_array().cloned().unwrap_or_default();
        if out == Output::Table {
            applied.iter().for_each(told);
        }
        all.extend(applied);
    }
    if let Some(limit) = wait {
        for one in all.iter().filter(|o| kind_of(o) == "deployment") {
            ready(server, &cell(&one["name"]), limit, out).await?;
        }
    }
    if out == Output::Json {
        json(&json!({ "applied": all }));
    }
    Ok(all)
}

/// Says what became of one declaration.
fn told(one: &Value) {
    let (name, change, generation) = (cell(&one["name"]), cell(&one["change"]), cell(&one["generation"]));
    line(mark(Mark::Good, format!("{}/{name} {change} (generation {generation})", kind_of(one))));
}

fn kind_of(value: &Value) -> String {
    cell(&value["kind"]).to_lowercase()
}

/// Waits until a deployment is as declared, or says why it is not. The limit is that of a wait without news: a
/// model's environment may take many minutes to build, and says what it does.
async fn ready(server: &Server, name: &str, limit: Duration, out: Output) -> Result<(), CliError> {
    let mut news = Instant::now();
    let mut told = String::new();
    loop {
        let one = server.get(&url(&["deployment", name])).await?;
        let (status, reason) = (&one["status"], cell(&one["status"]["reason"]));
        let failed = |message: String| CliError::new(ErrorKind::Internal, message);
        match status["state"].as_str() {
            _ if status["settled"] != true => {}
            Some("READY") if reason.is_empty() => {
                if out == Output::Table {
                    let (model, version) = (cell(&one["spec"]["model"]), cell(&status["version"]));
                    line(mark(Mark::Good, format!("deployment/{name} serves {model}, version {version}")));
                    let choice = cell(&status["choice"]);
                    if !choice.is_empty() {
                        line(format!("  {choice}"));
                    }
                }
                return Ok(());
            }
            Some("READY") => {
                let old = cell(&status["version"]);
                return Err(failed(format!("deployment {name} could not take up what is declared: {reason}"))
                    .hint(format!("version {old} goes on answering")));
            }
            _ => {
                return Err(failed(format!("deployment {name} failed: {reason}")).hint(format!(
                    "it is tried again when its model changes, and by itself where that may help; delete it: mainspring delete \
                     deployment {name}"
                )));
            }
        }
        if reason != told {
            if out == Output::Table {
                note(format!("  {name}: {reason}"));
            }
            (told, news) = (reason, Instant::now());
        }
        if news.elapsed() > limit {
            let last = if told.is_empty() { String::new() } else { format!(" since {told:?}") };
            return Err(CliError::new(
                ErrorKind::DeadlineExceeded,
                format!("deployment {name} is not ready, and nothing was heard of it for {} s{last}", limit.as_secs()),
            )
            .hint(format!("look again with: mainspring get deployment {name}")));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Prints what the files would change.
///
/// # Errors
/// [`CliError`] when a file is refused.
pub async fn diff(server: &Server, files: &[PathBuf], out: Output) -> Result<(), CliError> {
    let mut all = Vec::new();
    for file in files {
        let answer =
            server.post_yaml(&format!("/api/v1/diff?file={}", segment(&file.to_string_lossy())), read(file)?).await?;
        all.extend(answer["diffs"].as_array().cloned().unwrap_or_default());
    }
    either(out, &json!({ "diffs": all }), || {
        for one in &all {
            line(format!("{}/{}: {}", kind_of(one), cell(&one["name"]), cell(&one["change"])));
            changes(&one["fields"]).for_each(|change| line(format!("  {change}")));
        }
    });
    Ok(())
}

/// What each changed field was and is.
fn changes(fields: &Value) -> impl Iterator<Item = String> + '_ {
    let dash = |text: String| if text.is_empty() { "–".to_owned() } else { text };
    let said =
        move |f: &Value| format!("{}: {} → {}", cell(&f["path"]), dash(cell(&f["before"])), dash(cell(&f["after"])));
    fields.as_array().into_iter().flatten().map(said)
}

/// Lists what is declared, of one kind or of all, or shows one thing whole.
///
/// # Errors
/// [`CliError`] when there is no such thing.
pub async fn get(server: &Server, kind: Option<&str>, name: Option<&str>, out: Output) -> Result<(), CliError> {
    if let (Some(kind), Some(name)) = (kind, name) {
        json(&server.get(&url(&[kind, name])).await?);
        return Ok(());
    }
    let filter = kind.map(|k| format!("&kind={}", segment(k))).unwrap_or_default();
    let answer = server.get(&format!("/api/v1/resources?limit=1000{filter}")).await?;
    let items = answer["resources"].as_array().cloned().unwrap_or_default();
    either(out, &items, || {
        if items.is_empty() {
            let what = kind.map_or_else(|| "nothing is declared yet".to_owned(), |k| format!("no {k} yet"));
            line(format!("{what}; declare one with: mainspring apply -f FILE"));
            return;
        }
        let row = |i: &Value| {
            let (status, state) = (&i["status"], cell(&i["status"]["state"]));
            let reason = cell(&status["reason"]);
            let state = if reason.is_empty() { state } else { format!("{state}: {reason}") };
            vec![
                kind_of(i),
                cell(&i["name"]),
                cell(&i["generation"]),
                cell(&status["version"]),
                state,
                summary(&i["spec"]),
            ]
        };
        table(&["kind", "name", "generation", "version", "state", "spec"], items.iter().map(row));
    });
    Ok(())
}

/// The spec's first few plain fields on one line; what is off is left out.
fn summary(spec: &Value) -> String {
    let said = |v: &Value| !v.is_object() && !v.is_array() && *v != Value::Bool(false);
    let plain = spec.as_object().into_iter().flatten().filter(|(_, v)| said(v));
    plain.take(3).map(|(k, v)| format!("{k}: {}", cell(v))).collect::<Vec<_>>().join("  ")
}

/// Prints every generation of one thing.
///
/// # Errors
/// [`CliError`] when there is no such thing.
pub async fn history(server: &Server, kind: &str, name: &str, out: Output) -> Result<(), CliError> {
    let answer = server.get(&url(&[kind, name, "history"])).await?;
    let items = answer["generations"].as_array().cloned().unwrap_or_default();
    either(out, &items, || {
        table(
            &["generation", "at", "by", "change", "what"],
            items.iter().map(|i| {
                let mut what = changes(&i["fields"]).collect::<Vec<_>>().join("\n");
                if what.is_empty() {
                    what = summary(&i["spec"]);
                }
                vec![cell(&i["generation"]), time(&i["at"]), cell(&i["by"]), cell(&i["change"]), what]
            }),
        );
    });
    Ok(())
}

/// Brings a generation back and, unless told otherwise, waits until a deployment is as it was.
///
/// # Errors
/// [`CliError`] when there is none, or the deployment does not get ready.
pub async fn rollback(
    server: &Server,
    (kind, name): (&str, &str),
    to: Option<i64>,
    wait: Option<Duration>,
    out: Output,
) -> Result<(), CliError> {
    let answer = server.post(&url(&[kind, name, "rollback"]), &json!({ "toGeneration": to })).await?;
    let (what, generation) = (format!("{}/{name}", kind_of(&answer)), cell(&answer["generation"]));
    if out == Output::Table {
        let restored = cell(&answer["restored"]);
        let done = if answer["change"] == "unchanged" {
            format!("is as generation {restored} said already (generation {generation})")
        } else {
            format!("rolled back to what generation {restored} said; this is generation {generation}")
        };
        line(mark(Mark::Good, format!("{what} {done}")));
    }
    if let Some(limit) = wait.filter(|_| kind_of(&answer) == "deployment") {
        ready(server, name, limit, out).await?;
    }
    if out == Output::Json {
        json(&answer);
    }
    Ok(())
}

/// Deletes one thing.
///
/// # Errors
/// [`CliError`] when there is no such thing.
pub async fn delete(server: &Server, kind: &str, name: &str, out: Output) -> Result<(), CliError> {
    let answer = server.delete(&url(&[kind, name])).await?;
    either(out, &answer, || line(mark(Mark::Good, format!("{}/{name} deleted", kind_of(&answer)))));
    Ok(())
}

/// Prints a kind's JSON Schema, or the kinds.
///
/// # Errors
/// [`CliError`] when there is no such kind.
pub async fn schema(server: &Server, kind: Option<&str>, out: Output) -> Result<(), CliError> {
    let Some(kind) = kind else {
        let kinds = server.get("/api/v1/schemas").await?;
        either(out, &kinds, || {
            let rows = kinds["kinds"].as_array().into_iter().flatten();
            table(&["kind", "what it is"], rows.map(|k| vec![cell(&k["kind"]), cell(&k["description"])]));
        });
        return Ok(());
    };
    json(&server.get(&format!("/api/v1/schemas/{}", segment(kind))).await?);
    Ok(())
}
