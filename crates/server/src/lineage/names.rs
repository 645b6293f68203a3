//! The names that things have outside, by OpenLineage's naming: where a store has an address, the address is the
//! namespace, so that a file that a pipeline wrote and the file that a run read are one dataset.

use mainspring_lineage::{NAMESPACE, Node};
use mainspring_proto_lineage::emit::{Dataset, Job};
use mainspring_registry::Dataset as Logged;
use serde_json::Value;

/// Schemes whose paths are keys: they have no slash in front.
const KEYED: [&str; 7] = ["s3", "s3a", "s3n", "gs", "wasbs", "abfs", "abfss"];
/// Schemes in whose addresses the container is written as a user.
const CONTAINED: [&str; 3] = ["wasbs", "abfs", "abfss"];
/// Schemes whose paths may have a question mark. Elsewhere a query follows, and signatures and passwords are in it.
const WITHOUT_QUERY: [&str; 6] = ["file", "hdfs", "s3", "s3a", "s3n", "gs"];

/// A job of ours.
pub fn job(name: String) -> Job {
    Job { namespace: NAMESPACE.into(), name, processing: "BATCH", does: "TRAINING" }
}

/// The dataset that a node is.
pub fn of(node: &Node) -> Dataset {
    let (_, namespace, name) =
        node.thing().unwrap_or((mainspring_lineage::ThingKind::Dataset, String::new(), String::new()));
    Dataset { namespace, name, ..Dataset::default() }
}

/// A model version.
pub fn version(model: &str, version: &str) -> Dataset {
    of(&Node::Model { name: model.into(), version: version.into() })
}

/// A file, by its path or its address. Whoever names it may name nothing of ours by it.
pub fn file(address: &str) -> Dataset {
    let outside = place(address).filter(|(namespace, _)| namespace != NAMESPACE);
    let (namespace, name) = outside.unwrap_or_else(|| ("file".into(), open(address)));
    Dataset { namespace, name, ..Dataset::default() }
}

/// An address without what is secret in it: names go into the graph and to a collector.
fn open(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let scheme = scheme.to_ascii_lowercase();
    let rest = if WITHOUT_QUERY.contains(&&*scheme) { rest } else { rest.split(['?', '#']).next().unwrap_or_default() };
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = match authority.rsplit_once('@') {
        Some((_, host)) if !CONTAINED.contains(&&*scheme) => host,
        _ => authority,
    };
    format!("{scheme}://{host}{path}")
}

/// Namespace and name of an address; `None` for what is no address.
fn place(address: &str) -> Option<(String, String)> {
    let address = &open(address);
    if address.starts_with('/') {
        return Some(("file".into(), address.into()));
    }
    let (scheme, rest) = address.split_once(':')?;
    let plain = scheme.len() > 1 && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    if !plain || rest.is_empty() {
        return None;
    }
    match scheme {
        "file" => {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            Some(("file".into(), path.strip_prefix("localhost").unwrap_or(path).into()))
        }
        "mlflow-artifacts" | "runs" | "models" => {
            Some((NAMESPACE.into(), format!("{scheme}/{}", rest.trim_start_matches('/'))))
        }
        _ => {
            let (authority, path) = rest.strip_prefix("//")?.split_once('/')?;
            let namespace = format!("{}://{authority}", if matches!(scheme, "s3a" | "s3n") { "s3" } else { scheme });
            let name = if KEYED.contains(&scheme) { path.to_owned() } else { format!("/{path}") };
            (!path.is_empty()).then_some((namespace, name))
        }
    }
}

/// Where a logged dataset's source is, when it says so.
fn address(source: &str) -> Option<(String, String)> {
    let held: Option<Value> = serde_json::from_str(source).ok();
    let named = held.as_ref().and_then(|v| ["uri", "path", "url"].iter().find_map(|key| v.get(*key)?.as_str()));
    place(named.unwrap_or(source))
}

/// The node of a dataset that a run read, by the name and the source it was logged with.
pub fn logged(name: &str, source: &str) -> Node {
    let (namespace, name) = address(source).unwrap_or_else(|| (NAMESPACE.into(), format!("datasets/{name}")));
    // A file that happens to be called as a model is is none.
    Node::Dataset { namespace, name }
}

/// The same, with its digest and its columns.
pub fn described(dataset: &Logged) -> Dataset {
    let version = (!dataset.digest.is_empty()).then(|| dataset.digest.clone());
    Dataset { version, fields: columns(dataset.schema.as_deref()), ..of(&logged(&dataset.name, &dataset.source)) }
}

/// MLflow's columns: `{"mlflow_colspec": [{"name": …, "type": …}]}`.
fn columns(schema: Option<&str>) -> Vec<(String, Option<String>)> {
    let held: Option<Value> = schema.and_then(|text| serde_json::from_str(text).ok());
    let columns = held.as_ref().and_then(|v| v.get("mlflow_colspec")?.as_array());
    let column = |c: &Value| {
        let kind = c.get("type").and_then(Value::as_str).map(str::to_owned);
        Some((c.get("name")?.as_str()?.to_owned(), kind))
    };
    columns.into_iter().flatten().filter_map(column).collect()
}

/// What a dataset outside may be called in the registry: the name it was logged with, and a part of its source that
/// is the same however JSON escapes it.
pub fn sought<'a>(namespace: &str, name: &'a str) -> (&'a str, &'a str) {
    let logged = if namespace == NAMESPACE { name.strip_prefix("datasets/").unwrap_or_default() } else { "" };
    let plain = name.split(|c: char| !c.is_ascii() || c == '"' || c == '\\').max_by_key(|part| part.len());
    // An empty text is in every source.
    (logged, plain.filter(|part| !part.is_empty()).unwrap_or("\u{1}"))
}

/// A run's id as a UUID.
pub fn uuid(id: &str) -> String {
    let part = |from: usize, to: usize| id.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_the_names_of_the_specification() {
        let named = |source: &str| logged("train", source).to_string();
        for (source, node) in [
            (r#"{"uri": "s3://bucket/a/b.parquet"}"#, "dataset:s3://bucket:a/b.parquet"),
            (r#"{"uri": "s3a://bucket/a"}"#, "dataset:s3://bucket:a"),
            (r#"{"uri": "/data/train.csv"}"#, "dataset:file:/data/train.csv"),
            ("file:///data/train.csv", "dataset:file:/data/train.csv"),
            (r#"{"url": "https://example.com/x.csv?v=1"}"#, "dataset:https://example.com:/x.csv"),
            (
                r#"{"url": "HTTPS://ann:s3cret@example.com:8443/x.csv?sig=s3cret#y"}"#,
                "dataset:https://example.com:8443:/x.csv",
            ),
            ("postgres://ann:s3cr@t@db:5432/shop?password=s3cret", "dataset:postgres://db:5432:/shop"),
            ("s3://key:secret@bucket/a?b.csv", "dataset:s3://bucket:a?b.csv"),
            ("wasbs://box@account.example/a.csv?sig=s3cret", "dataset:wasbs://box@account.example:a.csv"),
            ("abfss://box@account.example/a.csv", "dataset:abfss://box@account.example:a.csv"),
            ("hdfs://nn:8020/data/x", "dataset:hdfs://nn:8020:/data/x"),
            (r#"{"tags": {"mlflow.user": "ann"}}"#, "dataset:mainspring:datasets/train"),
            ("models:/churn/3", "dataset:mainspring:models/churn/3"),
            (r"C:\data\x.csv", "dataset:mainspring:datasets/train"),
            ("", "dataset:mainspring:datasets/train"),
        ] {
            assert_eq!(named(source), node, "{source}");
        }
    }

    #[test]
    fn a_file_has_no_secrets_and_no_name_of_ours() {
        for (address, namespace, name) in [
            ("/data/a.csv", "file", "/data/a.csv"),
            ("a?b@c.csv", "file", "a?b@c.csv"),
            ("https://u:s3cret@example.com?sig=s3cret", "file", "https://example.com"),
            ("models:/churn/3", "file", "models:/churn/3"),
            ("runs:/1/model", "file", "runs:/1/model"),
            ("mlflow-artifacts:/1/a", "file", "mlflow-artifacts:/1/a"),
        ] {
            let found = file(address);
            assert_eq!((found.namespace.as_str(), found.name.as_str()), (namespace, name), "{address}");
        }
    }

    #[test]
    fn what_is_sought_is_in_the_source_however_it_is_escaped() {
        for name in ["a/prüfung/train-2026.csv", "a\"b/train-2026.csv", "plain/train.csv"] {
            let source = serde_json::json!({ "uri": format!("s3://bucket/{name}") }).to_string();
            let escaped: String = source
                .chars()
                .map(|c| if c.is_ascii() { c.to_string() } else { format!("\\u{:04x}", c as u32) })
                .collect();
            let part = sought("s3://bucket", name).1;
            assert!(source.contains(part) && escaped.contains(part), "{part}");
        }
        assert_eq!(sought("mainspring", "datasets/train").0, "train");
        assert_eq!(sought("s3://b", "é").1, "\u{1}");
    }

    #[test]
    fn columns_are_read_as_mlflow_writes_them() {
        let schema = r#"{"mlflow_colspec": [{"type": "double", "name": "x", "required": true}, {"type": "long"}]}"#;
        assert_eq!(columns(Some(schema)), [("x".to_owned(), Some("double".to_owned()))]);
        assert!(columns(Some("[")).is_empty());
    }
}
