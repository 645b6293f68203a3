use super::{House, World, ran, reader};
use crate::*;
use mainspring_testkit::TempDb;

fn model(version: &str) -> Node {
    Node::Model { name: "churn".into(), version: version.into() }
}

fn names(graph: &Graph) -> Vec<String> {
    graph.nodes.iter().map(|f| f.node.to_string()).collect()
}

async fn walk(world: &World, from: &Node, direction: Direction, depth: u32) -> Graph {
    let ask = Ask { from: from.clone().into(), direction, depth };
    world.lineage.graph(&reader("default"), &ask).await.unwrap()
}

/// What was sent and what the house knows are one graph: `etl` writes `clean`, which our run reads.
async fn joined() -> World {
    let (run, clean) = (Node::Run("a".repeat(32)), Node::dataset("n", "clean"));
    let deployment = Node::Deployment("churn".into());
    let answers = Node::Predictions { deployment: "churn".into(), model: "churn".into(), version: "1".into() };
    let house = House::of(&[
        (clean, run.clone()),
        (run.clone(), model("1")),
        (run, model("2")),
        (model("1"), deployment.clone()),
        (deployment, answers),
    ]);
    let world = World::over(TempDb::sqlite(), house).await;
    world.send(vec![ran("etl", (1, 1, RunState::Complete), &["raw"], &["clean"])]).await;
    world
}

#[tokio::test]
async fn both_ways_from_any_node() {
    let world = joined().await;
    let down = walk(&world, &Node::dataset("n", "raw"), Direction::Down, 10).await;
    let last = down.nodes.last().unwrap();
    assert_eq!((last.node.to_string().as_str(), last.distance), ("predictions:churn/churn/1", 6));
    let both = walk(&world, &model("1"), Direction::Both, 10).await;
    assert_eq!(both.nodes.len(), 7);
    assert!(!names(&both).contains(&"model:churn/2".to_owned()), "a sister is neither above nor below");
    let around = walk(&world, &model("1"), Direction::Around, 10).await;
    assert!(names(&around).contains(&"model:churn/2".to_owned()));
    let up = walk(&world, &model("1"), Direction::Up, 1).await;
    assert_eq!(names(&up), ["model:churn/1", &format!("run:{}", "a".repeat(32))]);
    assert_eq!(up.edges.len(), 1);
    assert_eq!(walk(&world, &model("1"), Direction::Up, 0).await.nodes.len(), 1);
}

#[tokio::test]
async fn a_cycle_is_walked_once() {
    let world = World::new().await;
    world
        .send(vec![
            ran("a", (1, 1, RunState::Start), &["x"], &["y"]),
            ran("b", (2, 2, RunState::Start), &["y"], &["x"]),
        ])
        .await;
    world.send(vec![ran("self", (3, 3, RunState::Start), &["x"], &["x"])]).await;
    for direction in [Direction::Up, Direction::Down, Direction::Both, Direction::Around] {
        let graph = walk(&world, &Node::dataset("n", "x"), direction, MAX_DEPTH).await;
        assert_eq!((graph.nodes.len(), graph.edges.len(), graph.truncated), (5, 6, false), "{direction:?}");
    }
}

#[tokio::test]
async fn a_graph_that_is_too_large_says_so() {
    let world = World::new().await;
    let many: Vec<String> = (0..1_200).map(|n| format!("d{n}")).collect();
    for (n, part) in (0..).zip(many.chunks(400)) {
        let inputs: Vec<&str> = part.iter().map(String::as_str).collect();
        world.send(vec![ran(&format!("j{n}"), (n, 1, RunState::Start), &inputs, &["out"])]).await;
    }
    let graph = walk(&world, &Node::dataset("n", "out"), Direction::Up, 10).await;
    assert_eq!((graph.nodes.len(), graph.truncated), (MAX_NODES, true));
    let known: std::collections::HashSet<_> = graph.nodes.iter().map(|f| &f.node).collect();
    assert!(graph.edges.iter().all(|(a, b)| known.contains(a) && known.contains(b)));
}

#[tokio::test]
async fn a_walk_from_a_part_of_where_it_begins_says_so() {
    let world = joined().await;
    let walk = async |cut| {
        let from = Starts { nodes: vec![Node::Run("a".repeat(32))], cut };
        let ask = Ask { from, direction: Direction::Around, depth: 10 };
        world.lineage.graph(&reader("default"), &ask).await.unwrap()
    };
    let (whole, part) = (walk(false).await, walk(true).await);
    assert_eq!((whole.truncated, part.truncated), (false, true));
    assert_eq!(names(&whole), names(&part));
}

#[tokio::test]
async fn what_nobody_named_is_not_found() {
    let world = World::new().await;
    let ask = Ask { from: Node::dataset("n", "x").into(), direction: Direction::Both, depth: 3 };
    let failed = world.lineage.graph(&reader("default"), &ask).await;
    assert!(matches!(failed, Err(LineageError::NotFound(name)) if name == "dataset:n:x"));
}

/// Events about a deployment name one job, whichever version it had: what each version answered stays apart.
#[tokio::test]
async fn versions_of_a_deployment_stay_apart_where_events_name_it() {
    let world = World::new().await;
    for version in ["1", "2"] {
        let of = |name: String| Thing { namespace: NAMESPACE.into(), name, facets: Vec::new() };
        let event = Event {
            at: mainspring_core::Timestamp(version.parse().unwrap()),
            subject: Subject::Job(of("deployments/churn".into())),
            inputs: vec![of(format!("models/churn/{version}")), of("datasets/prices".into())],
            outputs: vec![of(format!("predictions/churn/churn/{version}"))],
            body: "{}".into(),
        };
        world.send(vec![event]).await;
    }
    let down = walk(&world, &model("1"), Direction::Down, 10).await;
    assert_eq!(names(&down), ["model:churn/1", "deployment:churn/churn/1", "predictions:churn/churn/1"]);
    let answers = Node::Predictions { deployment: "churn".into(), model: "churn".into(), version: "2".into() };
    let up = walk(&world, &answers, Direction::Up, 10).await;
    assert_eq!(
        names(&up),
        [
            "predictions:churn/churn/2",
            "deployment:churn/churn/2",
            "dataset:mainspring:datasets/prices",
            "model:churn/2"
        ]
    );
    let whole = walk(&world, &Node::Deployment("churn".into()), Direction::Both, 1).await;
    assert_eq!(whole.nodes.len(), 6, "all of it: {:?}", names(&whole));
    let never = Node::Serving { deployment: "churn".into(), model: "churn".into(), version: "9".into() };
    let ask = Ask { from: never.into(), direction: Direction::Both, depth: 3 };
    assert!(matches!(world.lineage.graph(&reader("default"), &ask).await, Err(LineageError::NotFound(_))));
}
