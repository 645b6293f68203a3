//! What `mainspring drift` compares: a file, a saved profile, or a window of a deployment's rows.

use crate::client::{Server, segment};
use crate::error::CliError;
use crate::monitor::{apart, cores};
use crate::output::{cell, moment, note, time};
use mainspring_core::ErrorKind;
use mainspring_monitor::profile::{Profile, profile};
use mainspring_monitor::segment::{About, Kept, Labelled};
use mainspring_monitor::sketches::{Sketches, Written, share};
use mainspring_monitor::{Kind, Table};
use mainspring_resource::HumanDuration;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    /// A file with rows.
    File(PathBuf),
    /// A profile in a file.
    Profile(PathBuf),
    /// The profile of a version: `models:/churn@champion`.
    Version(String),
    /// A window of a deployment's rows, or of those of a segment: `deployment:churn?last=24h&in.plan=gold`.
    Window(String),
}

impl From<&str> for Side {
    fn from(text: &str) -> Self {
        let is_json = |text: &str| Path::new(text).extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
        match text.strip_prefix("deployment:") {
            Some(rest) => Self::Window(rest.to_owned()),
            None if text.starts_with("models:/") => Self::Version(text.to_owned()),
            None if is_json(text) => Self::Profile(text.into()),
            None => Self::File(text.into()),
        }
    }
}

impl Side {
    /// The columns that tell its rows from others of the deployment.
    ///
    /// # Errors
    /// [`CliError`] when it is not written as a side is.
    pub fn apart(&self) -> Result<Vec<String>, CliError> {
        let Self::Window(of) = self else { return Ok(Vec::new()) };
        Ok(Asked::of(of.split_once('?').map_or("", |(_, query)| query))?.segment.into_keys().collect())
    }

    /// Whether it has rows, and not only sketches of them.
    pub fn has_rows(&self) -> bool {
        matches!(self, Self::File(_) | Self::Window(_))
    }

    async fn rows(self, server: &Server) -> Result<Rows, CliError> {
        match self {
            Self::File(file) => Ok(Rows::File(apart(move || Table::open(&file)).await?)),
            Self::Window(of) => Ok(Rows::Live((rows(server, &of, None).await?, format!("deployment:{of}")))),
            Self::Profile(_) | Self::Version(_) => {
                let message = "a profile keeps sketches of its rows, and not the rows";
                Err(CliError::new(ErrorKind::InvalidInput, message))
            }
        }
    }

    /// The sketches of its columns.
    ///
    /// # Errors
    /// [`CliError`] when it cannot be read, or the server does not have it.
    pub async fn sketches(self, server: &Server, threads: Option<usize>) -> Result<Sketches, CliError> {
        let whole = match self {
            Self::Window(of) => return window(server, &of).await,
            Self::File(file) => {
                let threads = cores(threads);
                apart(move || profile(&Table::open(&file)?, threads)).await?
            }
            Self::Profile(file) => {
                let shown = file.display().to_string();
                let text = std::fs::read_to_string(&file)
                    .map_err(|e| CliError::new(ErrorKind::InvalidInput, format!("{shown} cannot be read: {e}")))?;
                serde_json::from_str::<Profile>(&text).map_err(|e| {
                    CliError::new(ErrorKind::InvalidInput, format!("{shown} is no profile: {e}"))
                        .hint("make one: mainspring profile FILE -o profile.json")
                })?
            }
            Self::Version(uri) => {
                let found = server.get(&format!("/api/v1/profiles?model={}", segment(&uri))).await?;
                serde_json::from_value(found["profile"].clone()).map_err(|e| {
                    CliError::new(ErrorKind::Internal, format!("the server's profile cannot be read: {e}"))
                })?
            }
        };
        Sketches::of(&whole).map_err(|e| CliError::from_failure(&e))
    }
}

/// Both sides as tables of rows, without columns that tell their rows from others.
///
/// # Errors
/// [`CliError`] when one cannot be read, or has no rows.
pub async fn tables(server: &Server, [reference, current]: [Side; 2]) -> Result<[Table; 2], CliError> {
    let without = [reference.apart()?, current.apart()?].concat();
    let live = |(kept, name): (Kept, String), file: Option<&Table>| {
        kept.table(&name, &without, file)
            .map_err(|e| CliError::new(ErrorKind::Internal, format!("the rows of {name} cannot be put together: {e}")))
    };
    Ok(match (reference.rows(server).await?, current.rows(server).await?) {
        (Rows::File(reference), Rows::File(current)) => [reference, current],
        (Rows::File(reference), Rows::Live(current)) => {
            let current = live(current, Some(&reference))?;
            [reference, current]
        }
        (Rows::Live(reference), Rows::File(current)) => [live(reference, Some(&current))?, current],
        (Rows::Live(reference), Rows::Live(current)) => [live(reference, None)?, live(current, None)?],
    })
}

/// Rows of a side.
enum Rows {
    File(Table),
    /// Of a window, and what it is called.
    Live((Kept, String)),
}

/// What follows a deployment's name: what the server takes by itself, and the segment.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    query: Vec<String>,
    segment: BTreeMap<String, String>,
}

impl Asked {
    /// `last=24h&variant=v8&in.plan=gold`; `others` is what is not of the segment.
    fn of(text: &str) -> Result<Self, CliError> {
        let mut asked = Self::default();
        for part in text.split('&').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some((key @ ("last" | "from" | "until" | "variant" | "version"), value)) => {
                    asked.query.push(format!("{key}={}", segment(value)));
                }
                Some((column, value)) if !column.is_empty() => {
                    narrow(&mut asked.segment, column, value)?;
                }
                None if part == "others" => asked.query.push("others=true".to_owned()),
                _ => {
                    let message = format!(
                        "{part:?} is neither last, from, until, variant, version or others nor a column's value"
                    );
                    let hint = "write deployment:NAME?last=24h&in.plan=gold";
                    return Err(CliError::new(ErrorKind::InvalidInput, message).hint(hint));
                }
            }
        }
        if !asked.segment.is_empty() {
            asked.query.push(format!("segment={}", segment(&json!(asked.segment).to_string())));
        }
        Ok(asked)
    }
}

/// One more column and its value of the rows of a segment.
pub fn narrow(segment: &mut BTreeMap<String, String>, column: &str, value: &str) -> Result<(), CliError> {
    if segment.insert(column.to_owned(), value.to_owned()).is_some() {
        let message = format!("a segment names {column:?} twice; a prediction has one value of it");
        return Err(CliError::new(ErrorKind::InvalidInput, message));
    }
    Ok(())
}

/// The deployment of `churn?last=24h&in.plan=gold`, and the rest as a body of JSON has it.
///
/// # Errors
/// [`CliError`] when it is not written as a side is.
pub fn window_body(of: &str) -> Result<(String, Value), CliError> {
    let (name, query) = of.split_once('?').unwrap_or((of, ""));
    let asked = Asked::of(query)?;
    let mut body = json!({ "segment": asked.segment, "others": query.split('&').any(|part| part == "others") });
    for (key, value) in query.split('&').filter_map(|part| part.split_once('=')) {
        match key {
            "last" => {
                let last = value.parse::<HumanDuration>();
                let last = last.map_err(|e| CliError::new(ErrorKind::InvalidInput, format!("last: {e}")))?;
                body["lastSeconds"] = json!(last.0.as_secs());
            }
            "from" | "until" | "variant" | "version" => body[key] = json!(value),
            _ => {}
        }
    }
    Ok((name.to_owned(), body))
}

/// Where the server tells of `churn?last=24h&variant=v8`, and more of the query.
fn place(of: &str, what: &str, more: Option<String>) -> Result<String, CliError> {
    let (name, query) = of.split_once('?').unwrap_or((of, ""));
    let query = Asked::of(query)?.query.into_iter().chain(more).collect::<Vec<_>>().join("&");
    Ok(format!("/api/v1/deployments/{}/{what}?{query}", segment(name)))
}

/// The newest rows of `churn?last=24h`, with this label; what they are not is said.
///
/// # Errors
/// [`CliError`] when there are none, or the server does not give them.
pub async fn rows(server: &Server, of: &str, label: Option<Labelled<'_>>) -> Result<Kept, CliError> {
    let asked =
        label.map(|label| format!("label={}{}", segment(label.name), if label.only { "&labelled=true" } else { "" }));
    let bytes = server.bytes(&place(of, "rows", asked)?).await?;
    let kept = Kept::from_arrow(bytes.as_slice()).map_err(|e| {
        CliError::new(ErrorKind::Internal, format!("the server's rows of deployment:{of} cannot be read: {e}"))
    })?;
    let About { since, partial, unkept } = kept.about;
    let unkept = match unkept {
        0 => String::new(),
        rows => format!("the payload of {rows} rows was not kept (`journal: {{sample}}`)"),
    };
    if let Some(label) = label.filter(|label| label.only && kept.rows() == 0) {
        let message = format!("no row of deployment:{of} has feedback called {:?} in that time", label.name);
        return Err(CliError::new(ErrorKind::NotFound, message)
            .hint("name another reference: a time in which labels came, or a version that names a file"));
    }
    if kept.rows() == 0 {
        let hint = if unkept.is_empty() { "ask for more: deployment:NAME?last=24h" } else { &unkept };
        return Err(
            CliError::new(ErrorKind::NotFound, format!("no row of deployment:{of} was kept in that time")).hint(hint)
        );
    }
    if !unkept.is_empty() {
        note(format!("deployment:{of}: {unkept}"));
    }
    if partial {
        note(format!("deployment:{of}: its newest {} rows were read, from {} UTC on", kept.rows(), moment(since)));
    }
    Ok(kept)
}

/// `churn?last=24h&variant=v8`, as the server takes it.
async fn window(server: &Server, of: &str) -> Result<Sketches, CliError> {
    let found = server.get(&place(of, "profile", None)?).await?;
    if found["partial"] == true {
        let (rows, since) = (cell(&found["rows"]), time(&found["since"]));
        note(format!("deployment:{of}: its newest {rows} rows were read, from {since} on"));
    }
    let mut side = Sketches::new(found["rows"].as_u64().unwrap_or(0));
    for column in found["columns"].as_array().into_iter().flatten() {
        let text = |key: &str| column[key].as_str();
        let (kll, frequent_items) = (text("kll"), text("frequentItems"));
        let kind = if kll.is_some() { Kind::Number } else { Kind::Text };
        let missing = column["missing"].as_u64().zip(column["present"].as_u64());
        let missing = missing.and_then(|(missing, present)| share(missing, present));
        let deviation = column["deviation"].as_f64();
        let written = Written { kll, deviation, frequent_items, missing, vectors: None };
        side.add(text("name").unwrap_or_default(), kind, written).map_err(|e| CliError::from_failure(&e))?;
    }
    if found["columns"].as_array().is_none_or(Vec::is_empty) {
        let message = format!("no row of deployment:{of} was kept in that time");
        return Err(CliError::new(ErrorKind::NotFound, message).hint("ask for more: deployment:NAME?last=24h"));
    }
    Ok(side)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_is_what_its_name_says() {
        assert_eq!(Side::from("a.parquet"), Side::File("a.parquet".into()));
        assert_eq!(Side::from("./deployment.csv"), Side::File("./deployment.csv".into()));
        assert_eq!(Side::from("profile.json"), Side::Profile("profile.json".into()));
        assert_eq!(Side::from("models:/churn@champion"), Side::Version("models:/churn@champion".into()));
        assert_eq!(Side::from("deployment:churn?last=1d"), Side::Window("churn?last=1d".into()));
    }

    #[test]
    fn a_window_is_the_same_in_a_body() {
        let (name, body) = window_body("churn?last=1d&in.plan=gold&version=3&others").unwrap();
        let segment = json!({"in.plan": "gold"});
        assert_eq!(name, "churn");
        assert_eq!(body, json!({"segment": segment, "others": true, "lastSeconds": 86_400, "version": "3"}));
        assert!(window_body("churn?last=soon").unwrap_err().message.contains("last"));
    }

    #[test]
    fn what_follows_a_deployment_is_a_window_and_a_segment() {
        let asked = Asked::of("last=1d&in.plan=a b&version=3&in.x=1=2&others").unwrap();
        let segment = "segment=%7B%22in.plan%22%3A%22a%20b%22%2C%22in.x%22%3A%221%3D2%22%7D";
        assert_eq!(asked.query, ["last=1d", "version=3", "others=true", segment]);
        let twice = Asked::of("in.plan=a&in.plan=b").unwrap_err();
        assert!(twice.to_string().contains("names \"in.plan\" twice"), "{twice}");
        assert_eq!(Side::from("deployment:churn?last=1d&in.plan=gold").apart().unwrap(), ["in.plan"]);
        assert!(Side::from("deployment:churn").apart().unwrap().is_empty());
        for wrong in ["last", "gold", "=gold"] {
            assert!(Asked::of(wrong).unwrap_err().message.contains("nor a column's value"), "{wrong}");
        }
    }
}
