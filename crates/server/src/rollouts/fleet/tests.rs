//! What a rollout is told of its deployment: what stable is, whether it answers, and what a deletion leaves.

use super::*;
use crate::ports::{Models, Recorder};
use mainspring_core::{Target, Timestamp};
use mainspring_engine::{AnswerForm, Signature};
use mainspring_journal::{Journal, JournalSettings};
use mainspring_registry::actions::{CreateModel, CreateRun, CreateVersion};
use mainspring_registry::{NewRun, NewVersion, Pair};
use mainspring_resource::{Kind, Kinds};
use mainspring_serving::{DeploymentSpec, Execution, Prefer, State};
use mainspring_testkit::{TempArtifacts, TempDb, may, open_gate};
use mainspring_traffic::{Route, RouteSpec, RowVariant, UnitFrom, Variant};
use std::sync::Arc;

struct World {
    replica: Replica,
    declarer: Declarer,
    _kept: (TempDb, TempArtifacts, tempfile::TempDir),
}

impl World {
    async fn new() -> Self {
        Self::on(TempDb::sqlite()).await
    }

    async fn on(temp: TempDb) -> Self {
        let (artifacts, folder) = (TempArtifacts::local(), tempfile::tempdir().unwrap());
        let (db, ctx) = (temp.open_with(crate::wiring::MIGRATIONS).await, temp.ctx.clone());
        let registry = Registry::open(db.clone(), artifacts.store.clone(), ctx.clone()).await.unwrap();
        let settings = JournalSettings::new(folder.path().join("log"));
        let journal = Journal::open(settings, artifacts.store.clone(), db.clone(), ctx.clone()).await.unwrap();
        let gate = open_gate(Arc::clone(&ctx.clock));
        let models = Models { registry: registry.clone(), artifacts: artifacts.store.clone(), gate: gate.clone() };
        let recorder = Recorder { journal: journal.clone(), tracer: None };
        let serving = Serving::new(Vec::new(), Arc::new(models), Arc::new(recorder), ctx.clone());
        let rehearsals = Rehearsals::new(journal, serving.clone(), registry.clone(), gate.clone(), ctx.clone());
        let deployments = Kind::of("Deployment", "", Value::Null, |_, _: &DeploymentSpec| Ok(()));
        let resources = Resources::new(db, Kinds::new(vec![deployments, mainspring_rollout::kind()]), ctx);
        let declarer = Declarer { registry: registry.clone(), resources, gate: gate.clone() };
        let replica = Replica { serving, registry, gate, rehearsals };
        Self { replica, declarer, _kept: (temp, artifacts, folder) }
    }

    /// A model with a version for each list of tags.
    async fn churn(&self, versions: &[&[(&str, &str)]]) {
        let registry = &self.replica.registry;
        registry.create_model(&may(CreateModel::on("churn")), "churn", Vec::new(), None).await.unwrap();
        let run = registry.create_run(&may(CreateRun::any()), NewRun::default()).await.unwrap().info;
        for tags in versions {
            let tags = tags.iter().map(|(key, value)| Pair { key: (*key).into(), value: (*value).into() }).collect();
            let (source, run_id) = (format!("{}/model", run.artifact_uri), Some(run.id.clone()));
            let new = NewVersion { name: "churn".into(), source, run_id, tags, ..NewVersion::default() };
            registry.create_version(&may(CreateVersion::on("churn")), new).await.unwrap();
        }
    }

    async fn point(&self, version: i64) {
        let auth = may(SetAlias::on("churn"));
        self.replica.registry.set_alias(&auth, "churn", "champion", version).await.unwrap();
    }

    async fn stable(&self, view: &DeploymentView) -> Result<String, String> {
        self.replica.stable(&Tenant::default(), view).await.map_err(|e| e.0)
    }

    async fn apply(&self, text: &str) {
        let documents = mainspring_resource::parse(text, "test").unwrap();
        let auth =
            |d: &mainspring_resource::Document| may(Apply { kind: d.kind.to_lowercase(), name: d.name.to_string() });
        let writes = documents.into_iter().map(|d| (auth(&d), d)).collect();
        self.declarer.resources.apply(writes).await.unwrap();
    }

    async fn declared(&self, deployment: &str) -> Value {
        let read = Read { kind: "deployment".into(), name: deployment.into() };
        self.declarer.resources.get(&may(read)).await.unwrap().spec["model"].clone()
    }
}

fn churn() -> Name {
    Name::new("churn").unwrap()
}

fn answering(version: &str) -> VersionView {
    let target = Target {
        deployment: "churn".into(),
        variant: "stable".into(),
        model: "churn".into(),
        version: version.into(),
        columns: Arc::default(),
    };
    let contract = Contract {
        target: Arc::new(target),
        signature: Signature { inputs: Vec::new(), outputs: Vec::new() },
        platform: "test",
        answer: AnswerForm::Tensors,
        max_batch_rows: 0,
        streams: false,
        labels: Vec::new(),
        mlmodel: None,
    };
    VersionView {
        contract: Arc::new(contract),
        state: State::Ready,
        current: true,
        engine: "test",
        instances: 1,
        memory_bytes: 0,
        loaded_at: Timestamp(0),
        load_ms: 0,
        execution: Execution { inline_rows: 0, batched: false, one_row_ns: 0, per_row_ns: 0 },
        warnings: Vec::new(),
    }
}

/// A deployment that declares an alias, and what answers.
fn deployment(version: &str, reason: Option<&str>) -> DeploymentView {
    DeploymentView {
        name: churn(),
        spec: Arc::new(DeploymentSpec::new("models:/churn@champion")),
        state: State::Ready,
        reason: reason.map(str::to_owned),
        choice: None,
        since: Timestamp(0),
        settled: true,
        versions: vec![answering(version)],
        rollout: None,
        variants: Vec::new(),
    }
}

/// The same, where what was made from a version answers in its place.
fn preferring(view: DeploymentView) -> DeploymentView {
    let mut spec = DeploymentSpec::clone(&view.spec);
    spec.prefer = Some(Prefer::Onnx);
    DeploymentView { spec: Arc::new(spec), ..view }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stable_is_what_answers_and_where_something_else_is_declared_nothing_begins() {
    let world = World::new().await;
    let made = [("converted_from", "models:/churn/2"), ("mainspring.proof", "passed")];
    world.churn(&[&[], &[], &made]).await;
    world.point(1).await;
    assert_eq!(world.stable(&deployment("1", None)).await.unwrap(), "models:/churn/1");
    // The alias was moved to a version that cannot be loaded: the old one goes on answering.
    world.point(2).await;
    let broken = deployment("1", Some("cannot load churn version 2: it is broken"));
    let held = world.stable(&broken).await.unwrap_err();
    assert!(held.contains("is to answer with version 2 of churn (models:/churn@champion)"), "{held}");
    assert!(held.contains("still answers with version 1 of churn; its status says why"), "{held}");
    assert_eq!(world.stable(&deployment("2", None)).await.unwrap(), "models:/churn/2");
    // A conversion answers in the place of what is declared only where that is wanted.
    assert!(world.stable(&deployment("3", None)).await.is_err());
    assert_eq!(world.stable(&preferring(deployment("3", None))).await.unwrap(), "models:/churn/2");
    assert_eq!(world.stable(&preferring(deployment("2", None))).await.unwrap(), "models:/churn/2");
    assert!(world.stable(&preferring(broken)).await.is_err());
    let dumb = DeploymentView { versions: Vec::new(), ..deployment("2", Some("out of memory")) };
    assert!(world.stable(&dumb).await.unwrap_err().ends_with("does not answer: out of memory"));
}

fn variant(name: &str, version: u32, state: VariantState, reason: Option<&str>) -> VariantView {
    VariantView {
        name: name.into(),
        model: format!("models:/churn/{version}"),
        version: None,
        state,
        reason: reason.map(str::to_owned),
        trip: None,
        shadow: None,
        weight: Share::NONE,
        generation: 1,
    }
}

#[test]
fn the_variants_are_ready_once_stable_is_what_the_row_names() {
    let with = |answers: &str, reason: Option<&str>, candidate: VariantState| DeploymentView {
        variants: vec![
            variant("stable", 2, VariantState::Ready, reason),
            variant("v8", 8, candidate, Some("out of memory")),
        ],
        ..deployment(answers, reason)
    };
    let (ready, failed) = (VariantState::Ready, VariantState::Failed);
    let candidate = |view: &DeploymentView| together(view).candidate;
    assert_eq!(candidate(&with("2", None, ready)), Readiness::Ready);
    let held = "stable: models:/churn/2 is to answer, and models:/churn/1 still does: it is broken";
    assert_eq!(candidate(&with("1", Some("it is broken"), ready)), Readiness::Loading(held.into()));
    // What cannot be loaded ends the preflight, whatever stable does.
    assert_eq!(candidate(&with("1", None, failed)), Readiness::Failed("v8: out of memory".into()));
    // What is said of a version that answers is about something else.
    assert_eq!(candidate(&with("2", Some("loading"), ready)), Readiness::Ready);
    // Where a conversion may answer, its number says nothing.
    assert_eq!(candidate(&preferring(with("3", None, ready))), Readiness::Ready);
    assert_ne!(candidate(&preferring(with("1", Some("it is broken"), ready))), Readiness::Ready);
    let dumb = DeploymentView { versions: Vec::new(), ..with("2", Some("loading"), ready) };
    assert_eq!(candidate(&dumb), Readiness::Loading("stable: loading".into()));
}

/// A row that gives everything to one variant.
fn all_to(at: usize) -> Row {
    let names = ["stable", "v8"];
    let weight = |n: usize| if n == at { Share::ALL } else { Share::NONE };
    let variants = (0..2).map(|n| Variant { name: names[n].into(), weight: weight(n) }).collect();
    let route = Route::new(RouteSpec { salt: "s".into(), variants, holdout: None, layer: None }).unwrap();
    let variants = (0..2).map(|n| RowVariant { name: names[n].into(), model: format!("models:/churn/{}", 7 + n) });
    Row {
        rollout: "v8".into(),
        unit: UnitFrom::Key,
        variants: variants.collect(),
        route,
        policy: None,
        shadow: None,
        limits: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_that_was_deleted_holds_nothing_up() {
    let world = World::new().await;
    let tenant = Tenant::default();
    let follow = |to: &str| Follow {
        deployment: "churn".into(),
        rollout: "v8".into(),
        from: "models:/churn/7".into(),
        to: to.into(),
        back: false,
    };
    world.declarer.follow(&tenant, &follow("models:/churn/8")).await.unwrap();
    assert!(world.replica.settled(&tenant, &churn(), &all_to(0)).await.unwrap(), "nothing is left to be turned back");
    assert!(!world.replica.settled(&tenant, &churn(), &all_to(1)).await.unwrap());
    world.apply("{apiVersion: mainspring/v1, kind: Deployment, name: churn, model: 'models:/churn/7'}").await;
    world.declarer.follow(&tenant, &follow("models:/churn/8")).await.unwrap();
    assert_eq!(world.declared("churn").await, "models:/churn/8");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whether_a_rollout_is_declared_is_what_the_database_says() {
    let world = World::new().await;
    let (tenant, name) = (Tenant::default(), Name::new("churn-v8").unwrap());
    assert_eq!(world.declarer.author(&tenant, &name).await, Ok(None));
    let text = "{apiVersion: mainspring/v1, kind: Rollout, name: churn-v8, deployment: churn,
                 candidates: [{name: v8, model: 'models:/churn/8'}], steps: [{canary: {weight: 5}}],
                 metrics: {guardrails: [{name: errors, kind: errors}]}}";
    world.apply(text).await;
    assert!(world.declarer.author(&tenant, &name).await.unwrap().is_some());
    assert_eq!(world.declarer.author(&Tenant::new("theirs").unwrap(), &name).await, Ok(None));
}

#[tokio::test]
async fn a_model_card_is_a_description_or_a_file_that_says_something() {
    let w = World::new().await;
    w.churn(&[&[]]).await;
    let (tenant, registry) = (Tenant::default(), &w.replica.registry);
    let check = async || w.replica.model_card(&tenant, "models:/churn/1").await.unwrap();
    let without = check().await;
    assert_eq!(without.passed, Some(false));
    assert!(without.detail.contains("models:/churn/1 has no model card: describe the version"), "{}", without.detail);
    let found = registry.resolve(&tenant, &"models:/churn/1".parse().unwrap()).await.unwrap();
    let card = found.artifacts.join("README.md").unwrap();
    registry.artifacts().put(&card, " \n".into()).await.unwrap();
    assert_eq!(check().await.passed, Some(false), "an empty card says nothing");
    registry.artifacts().put(&card, "# Churn".into()).await.unwrap();
    assert_eq!((check().await.passed, check().await.detail), (Some(true), "the model has README.md".to_owned()));
    let auth = may(mainspring_registry::actions::UpdateVersion::on("churn"));
    registry.describe_version(&auth, "churn", 1, Some("who leaves".into())).await.unwrap();
    assert_eq!(check().await.detail, "the version has a description");
}

#[tokio::test]
async fn what_a_rollout_freezes_is_frozen_once_and_what_is_no_version_is_none() {
    let w = World::new().await;
    w.churn(&[&[], &[]]).await;
    let tenant = Tenant::default();
    let models = ["models:/churn/2", "models:/churn/1", "runs:/abc/model"].map(str::to_owned);
    for reason in ["rollout a: worse", "rollout b: worse"] {
        for model in [&models[0], &models[2], &"models:/churn/9".to_owned()] {
            let freeze = Freeze { model: model.clone(), reason: reason.to_owned() };
            w.declarer.freeze(&tenant, &freeze).await.unwrap();
        }
    }
    let known = w.replica.frozen(&tenant, &models).await.unwrap();
    assert!(known[0].as_ref().is_some_and(|why| why.contains("by system: rollout a: worse")), "{known:?}");
    assert_eq!(known[1..], [None, None]);
}

async fn a_frozen_version_is_gone_back_to_and_not_promoted(temp: TempDb) {
    let w = World::on(temp).await;
    w.churn(&[&[], &[]]).await;
    w.point(2).await;
    w.apply("{apiVersion: mainspring/v1, kind: Deployment, name: churn, model: 'models:/churn@champion'}").await;
    let tenant = Tenant::default();
    let freeze = Freeze { model: "models:/churn/1".into(), reason: "a person said so".into() };
    w.declarer.freeze(&tenant, &freeze).await.unwrap();
    let follow = |back| Follow {
        deployment: "churn".into(),
        rollout: "v2".into(),
        from: "models:/churn/2".into(),
        to: "models:/churn/1".into(),
        back,
    };
    let refused = w.declarer.follow(&tenant, &follow(false)).await.unwrap_err();
    assert!(refused.0.contains("a person said so"), "{refused}");
    let champion = async || pinned(&w.replica.registry, &tenant, "models:/churn@champion").await.unwrap();
    assert_eq!(champion().await, "models:/churn/2");
    // Twice: it is told at least once.
    for _ in 0..2 {
        w.declarer.follow(&tenant, &follow(true)).await.unwrap();
        assert_eq!(champion().await, "models:/churn/1");
    }
}

#[tokio::test]
async fn a_frozen_version_is_gone_back_to_and_not_promoted_on_sqlite() {
    a_frozen_version_is_gone_back_to_and_not_promoted(TempDb::sqlite()).await;
}

#[tokio::test]
async fn a_frozen_version_is_gone_back_to_and_not_promoted_on_postgres() {
    a_frozen_version_is_gone_back_to_and_not_promoted(TempDb::postgres()).await;
}
