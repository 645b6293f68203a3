use super::{World, version_node, who};
use crate::lineage::bulk;
use mainspring_convert::lineage::{CONVERTED_FROM, OPTIMIZED_FROM};
use mainspring_core::Role;
use mainspring_lineage::{Known, NAMESPACE, Node, ReadLineage, ThingKind};
use mainspring_proto_native::dto::journal::BatchRun;
use mainspring_registry::actions::{CreateExperiment, LogRun};
use mainspring_registry::{Dataset, DatasetInput, Pair};
use mainspring_store::args;

#[tokio::test]
async fn a_dataset_is_found_among_many_of_similar_names() {
    let world = World::new().await;
    let input = |source: String| DatasetInput {
        dataset: Dataset { name: source.clone(), digest: "1".into(), source, ..Dataset::default() },
        tags: Vec::new(),
    };
    let similar = world.run().await;
    for part in 0..6 {
        let inputs = (0..300).map(|n| input(format!("/data/a.csv.{part}.{n}"))).collect();
        let auth = world.may(LogRun::on(&similar));
        world.house.registry.log_inputs(&auth, &similar, inputs, Vec::new()).await.unwrap();
    }
    let mut readers: Vec<Node> = Vec::new();
    for _ in 0..3 {
        let run = world.run().await;
        let inputs = vec![input("/data/a.csv".into())];
        world.house.registry.log_inputs(&world.may(LogRun::on(&run)), &run, inputs, Vec::new()).await.unwrap();
        readers.push(Node::Run(run));
    }
    readers.sort();
    let found = world.around(&Node::dataset("file", "/data/a.csv")).await;
    assert_eq!((found.exists, found.down), (true, readers));
    let nobody = world.around(&Node::dataset("file", "/data/a.cs")).await;
    assert!(!nobody.exists);
}

#[tokio::test]
async fn a_version_of_a_run_is_found_behind_many_that_were_made_from_it() {
    let world = World::new().await;
    world.model("m").await;
    let run = world.run().await;
    world.version("m", Some(run.clone()), Vec::new()).await;
    // More than one page of a search, and newer.
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 10500) INSERT INTO";
    let owner = run.clone();
    let filling = world.db.write(move |c| {
        Box::pin(async move {
            let versions = "model_versions (tenant, name, version, creation_time, last_updated_time, current_stage, \
                            source, storage, run_id) SELECT 'default', 'm', i, 1, 9000000000000000, 'None', 's3://b/m', \
                            's3://b/m', $1 FROM n";
            c.execute(&format!("{numbers} {versions}"), args![owner]).await?;
            let tags = "model_version_tags SELECT 'default', 'm', i, $1, 'models:/m/1' FROM n";
            c.execute(&format!("{numbers} {tags}"), args![CONVERTED_FROM]).await
        })
    });
    filling.await.unwrap();
    let found = world.around(&Node::Run(run)).await;
    assert_eq!((found.down, found.cut), (vec![version_node("m", 1)], (false, false)));
}

#[tokio::test]
async fn a_version_leads_to_those_that_were_made_from_it() {
    let world = World::new().await;
    let name = "it's \"churn\"";
    world.model(name).await;
    world.model("other").await;
    let run = world.run().await;
    world.version(name, Some(run.clone()), Vec::new()).await;
    world.version(name, None, vec![Pair::new(CONVERTED_FROM, format!("models:/{name}/1"))]).await;
    world.version(name, None, vec![Pair::new(OPTIMIZED_FROM, format!("models:/{name}/2"))]).await;
    world.version("other", None, vec![Pair::new(CONVERTED_FROM, format!("models:/{name}/1"))]).await;
    let conversion = |n| Node::Job { namespace: NAMESPACE.into(), name: format!("conversions/{name}/{n}") };
    let first = world.around(&version_node(name, 1)).await;
    assert_eq!((first.up, first.down), (vec![Node::Run(run.clone())], vec![conversion(2)]));
    let second = world.around(&version_node(name, 2)).await;
    assert_eq!((second.up, second.down), (vec![conversion(2)], vec![conversion(3)]));
    let job = world.around(&conversion(2)).await;
    assert_eq!((job.up, job.down), (vec![version_node(name, 1)], vec![version_node(name, 2)]));
    assert_eq!(world.around(&Node::Run(run)).await.down, [version_node(name, 1)]);
    // The same by the names of outside.
    let admin = who(Role::Admin);
    for (kind, own) in [
        (ThingKind::Job, vec!["conversions/it's \"churn\"/2", "conversions/it's \"churn\"/3", "experiments/Default"]),
        (
            ThingKind::Dataset,
            vec!["models/it's \"churn\"/1", "models/it's \"churn\"/2", "models/it's \"churn\"/3", "models/other/1"],
        ),
    ] {
        let all = world.house.own(&admin, kind).await.unwrap();
        assert_eq!(all.iter().map(|o| o.name.as_str()).collect::<Vec<_>>(), own);
        for own in all {
            assert_eq!(world.house.one(&admin, kind, &own.name).await.unwrap().as_ref(), Some(&own));
        }
        for nobody in ["conversions/other/1", "models/other/9", "models/a:b/1", "experiments/x", "deployments/x", ""] {
            assert_eq!(world.house.one(&admin, kind, nobody).await.unwrap(), None, "{nobody}");
        }
    }
}

#[tokio::test]
async fn predictions_are_counted_once_for_a_look_and_versions_stay_apart() {
    let world = World::new().await;
    for version in ["1", "1", "2"] {
        world.answered("churn", ("churn", version)).await;
    }
    world.answered("o'other", ("churn", "1")).await;
    let of = |version: &str| (String::from("churn"), String::from("churn"), version.to_owned());
    let answers = |v| {
        let (deployment, model, version) = of(v);
        Node::Predictions { deployment, model, version }
    };
    let serving = |v| {
        let (deployment, model, version) = of(v);
        Node::Serving { deployment, model, version }
    };
    let admin = who(Role::Admin);
    let look = world.house.look(&admin);
    assert_eq!(look.around(&answers("1")).await.unwrap().detail.predictions, Some(2));
    world.answered("churn", ("churn", "2")).await;
    assert_eq!(look.around(&answers("2")).await.unwrap().detail.predictions, Some(1), "as it was counted");
    assert_eq!(world.around(&answers("2")).await.detail.predictions, Some(2), "another look counts again");
    let model = look.around(&version_node("churn", 1)).await.unwrap();
    assert_eq!(model.down.len(), 2, "{:?}", model.down);
    assert_eq!(look.around(&serving("2")).await.unwrap().down, [answers("2")]);
    let whole = look.around(&Node::Deployment("churn".into())).await.unwrap();
    assert_eq!(whole.down, [answers("1"), answers("2")]);
    assert!(!look.around(&serving("3")).await.unwrap().exists);
}

#[tokio::test]
async fn every_experiment_is_listed() {
    let world = World::new().await;
    let create = async |n: usize| {
        let auth = world.may(CreateExperiment::any());
        world.house.registry.create_experiment(&auth, &format!("e{n}"), None, Vec::new()).await.unwrap();
    };
    futures::future::join_all((0..1_050).map(create)).await;
    assert_eq!(world.house.own(&who(Role::Admin), ThingKind::Job).await.unwrap().len(), 1_051);
}

#[tokio::test]
async fn a_run_over_a_file_is_kept_for_those_who_may_send_events_and_names_nothing_of_ours() {
    let world = World::new().await;
    let run = BatchRun {
        id: String::new(),
        model: "churn".into(),
        version: "1".into(),
        input: "https://ann:s3cret@example.com/in.csv?sig=s3cret".into(),
        output: "models:/churn/2".into(),
        rows: 3,
        bytes: 1,
        batch_rows: 1,
        engine_ms: 1.0,
        took_ms: 1.0,
    };
    let of = || (world.ctx.event_id(), world.ctx.now());
    for role in [Role::Read, Role::Infer] {
        bulk(&world.lineage, &world.house.gate, &who(role), of(), &run).await.unwrap();
    }
    assert!(world.db.outbox_take(mainspring_lineage::TOPIC, 9).await.unwrap().is_empty());
    bulk(&world.lineage, &world.house.gate, &who(Role::Write), of(), &run).await.unwrap();
    let [told] = &world.db.outbox_take(mainspring_lineage::TOPIC, 9).await.unwrap()[..] else { panic!("one is told") };
    assert!(!told.body.to_string().contains("s3cret"), "{}", told.body);
    let auth = world.may(ReadLineage);
    let inputs = world.lineage.thing(&auth, (ThingKind::Dataset, "https://example.com", "/in.csv")).await;
    assert!(inputs.is_ok());
    // What was written has a name that is no version's.
    let made = world.lineage.thing(&auth, (ThingKind::Dataset, NAMESPACE, "models/churn/2")).await;
    assert!(made.is_err());
}
