//! The searches themselves: whatever the grammar takes is a statement that the database takes.

use mainspring_artifact::Artifacts;
use mainspring_core::{Action, Authorized, Ctx, Gate, ManualClock, Principal, SeededIds, Tasks, Timestamp};
use mainspring_registry::actions::{
    CreateModel, CreateRun, LogRun, ReadExperiment, ReadLoggedModel, ReadModel, ReadRun,
};
use mainspring_registry::{
    Batch, ExperimentSearch, LoggedModelOrder, LoggedModelSearch, MIGRATIONS, Metric, ModelSearch, NewRun, Page, Pair,
    Registry, RegistryError, RunSearch,
};
use mainspring_store::{Db, DbSettings};
use std::sync::{Arc, LazyLock};
use tokio::runtime::Runtime;

struct World {
    runtime: Runtime,
    registry: Registry,
    gate: Gate,
    who: Arc<Principal>,
}

impl World {
    fn may<A: Action>(&self, action: A) -> Authorized<A> {
        self.gate.authorize(&self.who, action).expect("everything is allowed")
    }
}

/// A few runs and models, on SQLite.
static WORLD: LazyLock<World> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // Kept until the process ends.
    let folder = tempfile::tempdir().expect("a folder").keep();
    let clock = ManualClock::at(Timestamp::from_millis(1_000_000));
    let ctx = Ctx { clock: Arc::new(clock.clone()), ids: Arc::new(SeededIds::new(7)), tasks: Tasks::new() };
    let registry = runtime.block_on(async {
        let settings = DbSettings::sqlite(folder.join("meta.db"));
        let db = Db::open(&settings, &[MIGRATIONS], &ctx).await.expect("a database");
        let files = folder.join("artifacts").display().to_string();
        let artifacts = Artifacts::open(&files, &folder.join("cache")).expect("a store");
        Registry::open(db, artifacts, ctx).await.expect("a registry")
    });
    let gate = mainspring_testkit::open_gate(Arc::new(clock));
    let world = World { runtime, registry, gate, who: Arc::new(Principal::loopback()) };
    world.runtime.block_on(fill(&world));
    world
});

async fn fill(world: &World) {
    for (i, value) in [0.5, -1.0, f64::NAN].into_iter().enumerate() {
        let new = NewRun { name: format!("run {i}"), started: 5, ..NewRun::default() };
        let run = world.registry.create_run(&world.may(CreateRun::any()), new).await.expect("a run").info.id;
        let batch = Batch {
            metrics: vec![Metric::new("m", value, 1, 1)],
            params: vec![Pair::new("p", "x"), Pair::new("1", "it's")],
            tags: vec![Pair::new("t", "y")],
        };
        world.registry.log_batch(&world.may(LogRun::on(&run)), &run, batch).await.expect("a batch");
        let name = format!("model {i}");
        let tags = vec![Pair::new("t", "y")];
        world.registry.create_model(&world.may(CreateModel::on(&name)), &name, tags, None).await.expect("a model");
    }
}

/// The first line is a filter, each other line an entry of the order.
pub fn search(text: &str) {
    let mut lines = text.split('\n');
    let filter = lines.next().unwrap_or_default().to_owned();
    let order_by: Vec<String> = lines.map(str::to_owned).collect();
    let world = &*WORLD;
    let registry = &world.registry;
    world.runtime.block_on(async {
        let asked = |filter: &str| RunSearch {
            experiments: vec![0],
            filter: filter.to_owned(),
            order_by: order_by.clone(),
            ..RunSearch::default()
        };
        let runs = answered(registry.search_runs(&world.may(ReadRun::any()), &asked(&filter)).await);
        if let Some(runs) = runs {
            // A filter leaves things out and adds none.
            let all = answered(registry.search_runs(&world.may(ReadRun::any()), &asked("")).await);
            let all: Vec<String> = all.expect("the order is the same").items.into_iter().map(|r| r.info.id.clone()).collect();
            let places: Vec<Option<usize>> =
                runs.items.iter().map(|r| all.iter().position(|id| *id == r.info.id)).collect();
            assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}");
        }
        let experiments =
            ExperimentSearch { filter: filter.clone(), order_by: order_by.clone(), ..ExperimentSearch::default() };
        answered(registry.search_experiments(&world.may(ReadExperiment::any()), &experiments).await);
        let models = ModelSearch {
            filter: filter.clone(),
            order_by: order_by.clone(),
            max_results: 100,
            page_token: None,
            name: None,
        };
        answered(registry.search_models(&world.may(ReadModel::any()), &models).await);
        answered(registry.search_versions(&world.may(ReadModel::any()), &models).await);
        let logged = LoggedModelSearch {
            experiments: vec![0],
            filter,
            order_by: order_by
                .iter()
                .map(|field| LoggedModelOrder { field: field.clone(), ascending: true, dataset: None })
                .collect(),
            max_results: 100,
            ..LoggedModelSearch::default()
        };
        answered(registry.search_logged_models(&world.may(ReadLoggedModel::any()), &logged).await);
    });
}

/// A search answers, or is refused as wrong.
fn answered<T>(found: Result<Page<T>, RegistryError>) -> Option<Page<T>> {
    match found {
        Ok(page) => Some(page),
        Err(RegistryError::Invalid(why)) => {
            assert!(!why.is_empty());
            None
        }
        Err(other) => panic!("the database refused what the grammar took: {other:?}"),
    }
}
