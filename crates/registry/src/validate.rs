//! The limits and naming rules of MLflow's store, with its messages: clients and their tests match
//! on them. Numbers are those of MLflow 3.17 (`mlflow/utils/validation.py`).

use crate::error::{RegistryError, Result};
use crate::types::{DatasetInput, Metric, Pair};
use std::collections::HashSet;

/// Most metrics in one batch.
pub const MAX_METRICS: usize = 1000;
/// Most params, and most tags, in one batch.
pub const MAX_PARAMS_TAGS: usize = 100;
/// Most metrics, params and tags together in one batch.
pub const MAX_ENTITIES: usize = 1000;

/// Longest key of a metric, param or tag, characters.
pub const MAX_KEY: usize = 250;
/// Longest param value; longer ones are cut.
pub const MAX_PARAM_VALUE: usize = 6000;
/// Longest run tag value; longer ones are cut.
pub const MAX_TAG_VALUE: usize = 8000;
/// Longest experiment name.
pub const MAX_EXPERIMENT_NAME: usize = 500;
/// Longest experiment tag value.
pub const MAX_EXPERIMENT_TAG_VALUE: usize = 20_000;
/// Longest tag value in the model registry.
pub const MAX_MODEL_TAG_VALUE: usize = 100_000;
/// Longest alias.
pub const MAX_ALIAS: usize = 255;
/// Most results of one search of runs or experiments.
pub const MAX_RESULTS: i64 = 50_000;

/// `Invalid value … for parameter '…' supplied: …`, as MLflow words it.
pub fn invalid_value(path: &str, value: &str, why: &str) -> RegistryError {
    let shown = serde_json::Value::from(value);
    RegistryError::Invalid(if why.is_empty() {
        format!("Invalid value {shown} for parameter '{path}' supplied.")
    } else {
        format!("Invalid value {shown} for parameter '{path}' supplied: {why}")
    })
}

/// `Missing value for required parameter '…'.`
pub fn missing(path: &str) -> RegistryError {
    RegistryError::Invalid(format!("Missing value for required parameter '{path}'."))
}

fn too_long(what: &str, limit: usize) -> RegistryError {
    RegistryError::Invalid(format!("'{what}' exceeds the maximum length of {limit} characters"))
}

fn chars(text: &str) -> usize {
    // Most text is ASCII, whose byte length is its length.
    if text.is_ascii() { text.len() } else { text.chars().count() }
}

fn limit(what: &str, max: usize, text: &str) -> Result<()> {
    if chars(text) > max { Err(too_long(what, max)) } else { Ok(()) }
}

fn cut(text: &str, max: usize) -> String {
    if chars(text) > max { text.chars().take(max).collect() } else { text.to_owned() }
}

/// The path that POSIX makes of `name`: without `.`, empty parts and resolvable `..`.
fn normalised(name: &str) -> String {
    let absolute = name.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|p| *p != "..") => {
                parts.pop();
            }
            ".." if absolute => {}
            _ => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (absolute, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".into(),
        (false, false) => joined,
    }
}

fn is_key_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '/' | '.' | '-' | ' ' | ':' | '\n')
}

/// Checks the name of a metric, param or tag. `path` is where it stood in the request.
pub fn key(name: &str, path: &str) -> Result<()> {
    let plain = name.strip_suffix('\n').unwrap_or(name);
    if !plain.chars().all(|c| c != '\n' && is_key_char(c)) {
        let why = "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), \
                   spaces ( ), colon(:) and slashes (/).";
        return Err(invalid_value(path, name, why));
    }
    unique_path(name, path)
}

fn unique_path(name: &str, path: &str) -> Result<()> {
    let norm = normalised(name);
    if norm != name || norm == "." || norm.starts_with("..") || norm.starts_with('/') {
        let why = format!(
            "Names may be treated as files in certain cases, and must not resolve to other names when treated as \
             such. This name would resolve to '{norm}'"
        );
        return Err(invalid_value(path, name, &why));
    }
    Ok(())
}

fn joined(path: &str, leaf: &str) -> String {
    if path.is_empty() { leaf.to_owned() } else { format!("{path}.{leaf}") }
}

/// Checks one metric.
pub fn metric(m: &Metric, path: &str) -> Result<()> {
    key(&m.key, &joined(path, "name"))?;
    if m.timestamp < 0 {
        return Err(RegistryError::Invalid(format!(
            "Invalid value {} for parameter '{}' supplied: metric '{}' (value={}). Timestamp must be a nonnegative \
             long (64-bit integer) ",
            m.timestamp,
            joined(path, "timestamp"),
            m.key,
            m.value
        )));
    }
    limit("Metric name", MAX_KEY, &m.key)
}

/// Checks one param and cuts its value to the limit.
pub fn param(p: Pair, path: &str) -> Result<Pair> {
    key(&p.key, &joined(path, "key"))?;
    limit("Param key", MAX_KEY, &p.key)?;
    Ok(Pair { value: cut(&p.value, MAX_PARAM_VALUE), key: p.key })
}

/// Checks one run tag and cuts its value to the limit.
pub fn run_tag(t: Pair, path: &str) -> Result<Pair> {
    key(&t.key, &joined(path, "key"))?;
    limit(&joined(path, "key"), MAX_KEY, &t.key)?;
    Ok(Pair { value: cut(&t.value, MAX_TAG_VALUE), key: t.key })
}

/// Checks one experiment tag.
pub fn experiment_tag(t: &Pair) -> Result<()> {
    key(&t.key, "key")?;
    limit("key", MAX_KEY, &t.key)?;
    limit("value", MAX_EXPERIMENT_TAG_VALUE, &t.value)
}

/// Checks one tag of a registered model or a version.
pub fn model_tag(t: &Pair) -> Result<()> {
    key(&t.key, "key")?;
    limit("key", MAX_KEY, &t.key)?;
    limit("value", MAX_MODEL_TAG_VALUE, &t.value)
}

/// Checks an experiment's name.
pub fn experiment_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(RegistryError::invalid(format!("Invalid experiment name: '{name}'")));
    }
    limit("name", MAX_EXPERIMENT_NAME, name)
}

/// Reads an experiment id; empty means the default experiment.
pub fn experiment_id(text: &str) -> Result<i64> {
    if text.is_empty() {
        return Ok(0);
    }
    text.trim().parse().map_err(|_| {
        RegistryError::invalid(format!("Invalid experiment ID '{text}'. Experiment ID must be a valid integer."))
    })
}

/// Checks a run id's form.
pub fn run_id(id: &str) -> Result<()> {
    let ok = id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && chars(id) <= 256
        && id.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    if ok { Ok(()) } else { Err(invalid_value("run_id", id, "")) }
}

/// Checks a registered model's name.
pub fn model_name(name: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(missing("name"));
    }
    if name.contains(['/', ':']) {
        return Err(RegistryError::invalid(format!("Invalid model name '{name}'. Names cannot contain '/' or ':'.")));
    }
    unique_path(name, "name")
}

/// Reads a version number.
pub fn version(text: &str) -> Result<i64> {
    text.trim()
        .parse()
        .map_err(|_| RegistryError::invalid(format!("Parameter 'version' must be an integer, got '{text}'.")))
}

/// Checks an alias's form.
pub fn alias(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(RegistryError::invalid("Registered model alias name cannot be empty."));
    }
    if !name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
        return Err(RegistryError::invalid(format!(
            "Invalid alias name: '{name}'. Names may only contain alphanumerics, underscores (_), and dashes (-)."
        )));
    }
    limit("Registered model alias name", MAX_ALIAS, name)
}

/// Checks that an alias is none of the reserved words: `latest`, `v1`, …
pub fn alias_not_reserved(name: &str) -> Result<()> {
    if name.eq_ignore_ascii_case("latest") {
        return Err(RegistryError::invalid("'latest' alias name (case insensitive) is reserved."));
    }
    let number = name.strip_prefix(['v', 'V']).unwrap_or_default();
    if !number.is_empty() && number.chars().all(|c| c.is_ascii_digit()) {
        return Err(RegistryError::invalid(format!("Version alias name '{name}' is reserved.")));
    }
    Ok(())
}

/// Checks a logged model's name.
pub fn logged_model_name(name: &str) -> Result<()> {
    if name.is_empty() || name.contains(['/', ':', '.', '%', '"', '\'']) {
        return Err(RegistryError::invalid(format!(
            "Invalid model name ('{name}') provided. Model name must be a non-empty string and cannot contain the \
             following characters: ('/', ':', '.', '%', '\"', \"'\")"
        )));
    }
    Ok(())
}

/// The canonical spelling of a stage.
pub fn stage(text: &str) -> Result<&'static str> {
    const STAGES: [&str; 4] = ["None", "Staging", "Production", "Archived"];
    STAGES.into_iter().find(|s| s.eq_ignore_ascii_case(text)).ok_or_else(|| {
        RegistryError::invalid(format!(
            "Invalid Model Version stage: {text}. Value must be one of None, Staging, Production, Archived."
        ))
    })
}

/// Checks the size of a page.
pub fn max_results(n: i64, most: i64) -> Result<u64> {
    if n < 1 {
        return Err(RegistryError::invalid(format!(
            "Invalid value {n} for parameter 'max_results' supplied. It must be a positive integer"
        )));
    }
    if n > most {
        return Err(RegistryError::invalid(format!(
            "Invalid value {n} for parameter 'max_results' supplied. It must be at most {most}"
        )));
    }
    Ok(n as u64)
}

fn batch_limit(what: &str, max: usize, got: usize) -> Result<()> {
    if got > max {
        return Err(RegistryError::invalid(format!(
            "A batch logging request can contain at most {max} {what}. Got {got} {what}. Please split up {what} \
             across multiple requests and try again."
        )));
    }
    Ok(())
}

/// Checks the sizes of a batch and that no param key comes twice.
pub fn batch(metrics: &[Metric], params: &[Pair], tags: &[Pair]) -> Result<()> {
    batch_limit("metrics", MAX_METRICS, metrics.len())?;
    batch_limit("params", MAX_PARAMS_TAGS, params.len())?;
    batch_limit("tags", MAX_PARAMS_TAGS, tags.len())?;
    batch_limit("metrics, params, and tags", MAX_ENTITIES, metrics.len() + params.len() + tags.len())?;
    let mut seen = HashSet::new();
    let twice: Vec<&str> = params.iter().map(|p| p.key.as_str()).filter(|k| !seen.insert(*k)).collect();
    if !twice.is_empty() {
        return Err(RegistryError::invalid(format!(
            "Duplicate parameter keys have been submitted: {twice:?}. Please ensure the request contains only one \
             param value per param key."
        )));
    }
    Ok(())
}

/// Checks a dataset input.
pub fn dataset_input(input: &DatasetInput) -> Result<()> {
    let d = &input.dataset;
    limit("name", 500, &d.name)?;
    limit("digest", 36, &d.digest)?;
    limit("source", 65_535, &d.source)?;
    limit("schema", 1_048_575, d.schema.as_deref().unwrap_or_default())?;
    limit("profile", 16_777_215, d.profile.as_deref().unwrap_or_default())?;
    for tag in &input.tags {
        limit("key", 255, &tag.key)?;
        limit("value", 500, &tag.value)?;
    }
    Ok(())
}
