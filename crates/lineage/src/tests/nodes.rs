use super::reader;
use super::{House, World};
use crate::*;

#[test]
fn a_node_is_read_as_it_is_written() {
    let dataset = |ns: &str, name: &str| Node::Dataset { namespace: ns.into(), name: name.into() };
    for node in [
        dataset("s3://bucket", "a/b.parquet"),
        dataset("postgres://db.example:5432", "db.schema.table"),
        dataset("file", "/data/a.csv"),
        Node::Job { namespace: "airflow".into(), name: "dag.task".into() },
        Node::Run("0123456789abcdef0123456789abcdef".into()),
        Node::Model { name: "churn".into(), version: "3".into() },
        Node::Deployment("churn".into()),
        Node::Serving { deployment: "churn".into(), model: "churn".into(), version: "3".into() },
        Node::Predictions { deployment: "churn".into(), model: "folder/file".into(), version: "3".into() },
    ] {
        assert_eq!(Node::candidates(&node.to_string()).unwrap()[0], node);
        if let Some((kind, namespace, name)) = node.thing().filter(|_| !matches!(node, Node::Serving { .. })) {
            assert_eq!(Node::of(kind, &namespace, &name), node, "by the name that it has outside");
        }
    }
    let run = Node::Run("0123456789abcdef0123456789abcdef".into());
    assert_eq!(Node::candidates("run:01234567-89AB-cdef-0123-456789abcdef").unwrap(), [run]);
}

#[test]
fn what_names_no_node_is_refused() {
    for text in
        ["", "churn", "dataset:", "dataset:x", "dataset::x", "job:a:", "run:12", "model:churn", "model:/3", "thing:a:b"]
    {
        assert!(matches!(Node::candidates(text), Err(LineageError::Node { .. })), "{text}");
    }
    assert!(Node::candidates(&format!("dataset:{}", ":a".repeat(100_000))).is_ok_and(|all| all.len() <= 16));
}

#[tokio::test]
async fn a_namespace_with_colons_is_found_by_what_exists() {
    let arn = Node::Dataset { namespace: "arn:aws:glue:us-east-1:123".into(), name: "table/db/t".into() };
    let job = Node::Job { namespace: "n".into(), name: "j".into() };
    let world = World::over(mainspring_testkit::TempDb::sqlite(), House::of(&[(job, arn.clone())])).await;
    assert_eq!(world.lineage.find(&reader("default"), &arn.to_string()).await.unwrap(), arn);
    let champion = world.lineage.find(&reader("default"), "model:churn@champion").await.unwrap();
    assert_eq!(champion, Node::Model { name: "churn".into(), version: "3".into() });
}
