use super::*;
use bytes::Bytes;
use mainspring_artifact::Artifacts;
use mainspring_core::{Action, AuditRecord, AuditSink, Authorized, Gate};
use mainspring_registry::actions::{CreateModel, CreateRun, CreateVersion, LogRun, WriteArtifact};
use mainspring_registry::{ArtifactRoot, DatasetInput, NewRun, NewVersion, Registry};
use mainspring_security::RolePolicy;
use mainspring_testkit::TempDb;
use serde_json::json;
use std::sync::Arc;

/// What is refused is not looked at here.
struct Unaudited;

impl AuditSink for Unaudited {
    fn record(&self, _: AuditRecord) {}
}

/// A registry with the models that a monitor asks for.
struct World {
    models: Registered,
    tenant: Tenant,
    _temp: TempDb,
    _folder: tempfile::TempDir,
}

fn dataset(name: &str, source: &str) -> Dataset {
    Dataset {
        name: name.into(),
        digest: "d".into(),
        source_type: "local".into(),
        source: source.into(),
        schema: None,
        profile: None,
    }
}

impl World {
    async fn new() -> Self {
        let (temp, folder) = (TempDb::sqlite(), tempfile::tempdir().unwrap());
        let (db, ctx) = (temp.open_with(&[mainspring_registry::MIGRATIONS]).await, temp.ctx.clone());
        let path = |name: &str| folder.path().join(name);
        let artifacts = Artifacts::open(path("artifacts").to_str().unwrap(), &path("cache")).unwrap();
        let registry = Registry::open(db, artifacts.clone(), ctx.clone()).await.unwrap();
        let gate = Gate::new(Arc::new(RolePolicy), Arc::new(Unaudited), Arc::clone(&ctx.clock));
        let models = Registered::new(Shelf { registry, artifacts, gate }, path("scratch"));
        let world = Self { models, tenant: Tenant::default(), _temp: temp, _folder: folder };
        let auth = world.may(CreateModel::on("churn"));
        world.models.shelf.registry.create_model(&auth, "churn", Vec::new(), None).await.unwrap();
        world
    }

    fn may<A: Action>(&self, action: A) -> Authorized<A> {
        self.models.shelf.gate.authorize(&acting_for(&self.tenant), action).unwrap()
    }

    /// A version of a run with these datasets, of which `{run}` is the run's own address; with the file `train.csv` in the store.
    async fn version(&self, datasets: &[(&str, &str)]) -> String {
        let registry = &self.models.shelf.registry;
        let run = registry.create_run(&self.may(CreateRun::any()), NewRun::default()).await.unwrap().info.id;
        let rows: Vec<String> = (0..400).map(|i| i.to_string()).collect();
        let content = futures::stream::iter([Ok(Bytes::from(format!("x\n{}\n", rows.join("\n"))))]);
        let (write, root) = (self.may(WriteArtifact::on(&run)), ArtifactRoot::Run(run.clone()));
        registry.write_artifact(&write, &root, "train.csv", content).await.unwrap();
        let logged = datasets.iter().map(|(name, source)| {
            let dataset = dataset(name, &source.replace("{run}", &format!("runs:/{run}")));
            DatasetInput { dataset, tags: Vec::new() }
        });
        registry.log_inputs(&self.may(LogRun::on(&run)), &run, logged.collect(), Vec::new()).await.unwrap();
        let source = format!("runs:/{run}/model");
        let new = NewVersion { name: "churn".into(), source, run_id: Some(run), ..NewVersion::default() };
        registry.create_version(&self.may(CreateVersion::on("churn")), new).await.unwrap().version.to_string()
    }

    /// Rows of the profile of what a version was trained on, and why there is none.
    async fn trained(&self, version: &str) -> (Option<u64>, Option<String>) {
        let trained = self.models.training(&self.tenant, "churn", version).await.unwrap();
        (trained.map(|trained| trained.profile.rows), self.models.unused(&self.tenant, "churn", version).await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_version_was_trained_on_is_read_or_it_is_said_why_not() {
    let world = World::new().await;
    let held = r#"{"uri": "{run}/train.csv"}"#;
    let version = world.version(&[("elsewhere", r#"{"uri": "/home/me/train.csv"}"#), ("held", held)]).await;
    assert_eq!(world.trained(&version).await.0, Some(400), "one that is here is enough");
    let version = world.version(&[("by code", r#"{"tags": {}}"#), ("train", r#"{"uri": "/home/me/train.csv"}"#)]).await;
    let said = "the run's dataset \"train\" is /home/me/train.csv, which is not in this server's store";
    assert_eq!(world.trained(&version).await, (None, Some(said.to_owned())));
    let version = world.version(&[("gone", r#"{"uri": "{run}/gone.csv"}"#)]).await;
    let (none, said) = world.trained(&version).await;
    assert!(
        none.is_none() && said.as_ref().is_some_and(|said| said.contains("/gone.csv, which is not there")),
        "{said:?}"
    );
    let version = world.version(&[]).await;
    assert_eq!(world.trained(&version).await, (None, None));
    assert_eq!(world.trained("99").await, (None, None));
}

/// Whoever may look at a monitor reads it, and it stands in logs and on terminals.
#[test]
fn a_datasets_place_is_shown_without_what_may_be_secret_in_it() {
    let said = |source: &str| unused(&dataset("a\nb", source));
    let with = |uri: &str| said(&json!({ "uri": uri }).to_string());
    assert!(with("https://me:pw@host/t.csv?sig=x#y").contains("\"a b\" is https://host/t.csv, which is not in"));
    assert!(with("s3://bucket/t.parquet").contains(" is s3://bucket/t.parquet, which is not in this server's store"));
    assert!(with("mlflow-artifacts:/1/r/artifacts/t.bin").contains("which is not there any more, or no table"));
    assert!(said("train.csv").contains(" is train.csv, which is not in this server's store"));
    assert!(said(r#"{"sql": "SELECT password FROM users"}"#).ends_with("\"a b\" names no file"));
    assert!(said("").ends_with("names no file"));
    let long = with(&format!("/data/{}", "é".repeat(400)));
    assert!(long.contains("é…, which") && long.chars().count() < 320, "{long}");
}
