use super::World;
use crate::lineage::compose::{NotSaid, event};
use mainspring_core::Tenant;
use mainspring_lineage::{Happened, TOPIC, Told as Other};
use mainspring_registry::actions::{CreateModel, CreateVersion};
use mainspring_registry::{Changed, NewVersion, Told as Registered};
use mainspring_store::OutboxEvent;
use serde_json::{Value, json};

impl World {
    fn entry(&self, topic: &str, body: &Value) -> OutboxEvent {
        OutboxEvent { id: self.ctx.event_id(), topic: topic.into(), body: body.clone(), at: self.ctx.now() }
    }

    fn changed(&self, tenant: &str, what: Changed) -> OutboxEvent {
        let told = Registered { tenant: Tenant::new(tenant).unwrap(), at: self.ctx.now(), what };
        self.entry(Registered::TOPIC, &serde_json::to_value(told).unwrap())
    }

    async fn composed(&self, entry: &OutboxEvent) -> Value {
        let composed = event(&self.house, entry).await;
        composed.unwrap_or_else(|e| match e {
            NotSaid::Nothing(why) => panic!("{why}"),
            NotSaid::Later(e) => panic!("{e}"),
        })
    }
}

#[tokio::test]
async fn a_version_that_no_run_made_is_told_as_a_dataset() {
    let world = World::new().await;
    world.model("churn").await;
    world.version("churn", None, Vec::new()).await;
    let said = world.composed(&world.changed("default", Changed::Version { name: "churn".into(), version: 1 })).await;
    assert_eq!(said["dataset"]["name"], "models/churn/1");
    assert!(said["schemaURL"].as_str().unwrap().ends_with("DatasetEvent"));
    mainspring_proto_lineage::event(&said.to_string()).unwrap();
}

#[tokio::test]
async fn a_run_is_told_with_what_it_made() {
    let world = World::new().await;
    let run = world.run().await;
    world.model("churn").await;
    world.version("churn", Some(run.clone()), Vec::new()).await;
    let what = Changed::Run { id: run.clone(), status: "FINISHED".into() };
    let said = world.composed(&world.changed("default", what)).await;
    assert_eq!((&said["eventType"], &said["job"]["name"]), (&json!("COMPLETE"), &json!("experiments/Default")));
    assert_eq!(said["run"]["runId"].as_str().unwrap().replace('-', ""), run);
    assert_eq!(said["outputs"][0]["name"], "models/churn/1");
    assert_eq!(said["job"]["namespace"], "mainspring");
    mainspring_proto_lineage::event(&said.to_string()).unwrap();
}

#[tokio::test]
async fn another_tenant_has_a_namespace_of_its_own_everywhere() {
    let world = World::new().await;
    let thing = |name: &str| json!({ "namespace": "mainspring", "name": name });
    let linked = json!({
        "namespace": "mainspring",
        "name": "models/m/1",
        "facets": { "symlinks": { "identifiers": [thing("logged-models/x"), { "namespace": "s3://b", "name": "y" }] } },
    });
    let given = json!({
        "job": thing("experiments/e"),
        "inputs": [{ "namespace": "s3://b", "name": "a" }],
        "outputs": [linked.clone()],
    });
    let told = |tenant: &str, given: &Value| {
        let what = Happened::Event(given.clone());
        let told = Other { tenant: Tenant::new(tenant).unwrap(), at: world.ctx.now(), what };
        world.entry(TOPIC, &serde_json::to_value(told).unwrap())
    };
    assert_eq!(world.composed(&told("default", &given)).await, given);
    let said = world.composed(&told("acme", &given)).await;
    let expected = given.to_string().replace("\"mainspring\"", "\"mainspring.acme\"");
    assert_eq!(said, serde_json::from_str::<Value>(&expected).unwrap());
    let said = world.composed(&told("acme", &json!({ "dataset": linked }))).await;
    assert!(!said.to_string().contains("\"mainspring\""), "{said}");
    assert!(said.get("job").is_none() && said.get("inputs").is_none(), "{said}");

    // A real one: the version's other name is the logged model.
    let (tenant, name) = (Tenant::new("acme").unwrap(), "m");
    let who = crate::deployments::acting_for(&tenant);
    let may = |action| world.house.gate.authorize(&who, action).unwrap();
    world.house.registry.create_model(&may(CreateModel::on(name)), name, Vec::new(), None).await.unwrap();
    let may = world.house.gate.authorize(&who, CreateVersion::on(name)).unwrap();
    let new = NewVersion { name: name.into(), source: "s3://bucket/model".into(), ..NewVersion::default() };
    world.house.registry.create_version(&may, new).await.unwrap();
    let said = world.composed(&world.changed("acme", Changed::Version { name: name.into(), version: 1 })).await;
    assert_eq!(said["dataset"]["namespace"], "mainspring.acme");
}
