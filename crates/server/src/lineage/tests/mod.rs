//! The house over a real registry and a real journal, and the teller against a collector that listens.

mod composed;
mod nodes;
mod told;

use super::known::House;
use crate::ports::{Models, Recorder};
use mainspring_artifact::Artifacts;
use mainspring_core::{
    Action, Assignment, AuditRecord, AuditSink, Authorized, Ctx, Gate, Outcome, Prediction, Principal, Protocol, Role,
    Target, Tenant, Timing,
};
use mainspring_journal::{Journal, JournalSettings};
use mainspring_lineage::{Around, Known, Lineage, Node};
use mainspring_query::{Limits, Query};
use mainspring_registry::actions::{CreateModel, CreateRun, CreateVersion};
use mainspring_registry::{NewRun, NewVersion, Pair, Registry};
use mainspring_security::RolePolicy;
use mainspring_serving::Serving;
use mainspring_store::Db;
use mainspring_testkit::TempDb;
use std::sync::Arc;
use std::time::Duration;

/// What is refused is not looked at here.
struct Unaudited;

impl AuditSink for Unaudited {
    fn record(&self, _: AuditRecord) {}
}

struct World {
    house: House,
    lineage: Lineage,
    journal: Journal,
    db: Db,
    ctx: Ctx,
    temp: TempDb,
    _folder: tempfile::TempDir,
}

fn who(role: Role) -> Arc<Principal> {
    Arc::new(Principal { subject: "key:test".into(), tenant: Tenant::default(), role, ..Principal::loopback() })
}

impl World {
    async fn new() -> Self {
        let (temp, folder) = (TempDb::sqlite(), tempfile::tempdir().unwrap());
        let sets = [mainspring_registry::MIGRATIONS, mainspring_journal::MIGRATIONS, mainspring_lineage::MIGRATIONS];
        let (db, ctx) = (temp.open_with(&sets).await, temp.ctx.clone());
        let path = |name: &str| folder.path().join(name);
        let artifacts = Artifacts::open(path("artifacts").to_str().unwrap(), &path("cache")).unwrap();
        let registry = Registry::open(db.clone(), artifacts.clone(), ctx.clone()).await.unwrap();
        let settings =
            JournalSettings { emit_every: Duration::from_millis(5), ..JournalSettings::new(path("journal")) };
        let journal = Journal::open(settings, artifacts.clone(), db.clone(), ctx.clone()).await.unwrap();
        let gate = Gate::new(Arc::new(RolePolicy), Arc::new(Unaudited), Arc::clone(&ctx.clock));
        let models = Models { registry: registry.clone(), artifacts, gate: gate.clone() };
        let recorder = Recorder { journal: journal.clone(), tracer: None };
        let serving = Serving::new(Vec::new(), Arc::new(models), Arc::new(recorder), ctx.clone());
        let query = Query::new(journal.clone(), Limits::default());
        let house = House { registry, serving, query, gate };
        let lineage = Lineage::new(db.clone(), Arc::new(house.clone()), ctx.clone(), true);
        Self { house, lineage, journal, db, ctx, temp, _folder: folder }
    }

    fn may<A: Action>(&self, action: A) -> Authorized<A> {
        self.house.gate.authorize(&who(Role::Admin), action).unwrap()
    }

    async fn around(&self, node: &Node) -> Around {
        let who = who(Role::Admin);
        self.house.look(&who).around(node).await.unwrap()
    }

    async fn run(&self) -> String {
        self.house.registry.create_run(&self.may(CreateRun::any()), NewRun::default()).await.unwrap().info.id
    }

    async fn model(&self, name: &str) {
        self.house.registry.create_model(&self.may(CreateModel::on(name)), name, Vec::new(), None).await.unwrap();
    }

    async fn version(&self, name: &str, run: Option<String>, tags: Vec<Pair>) -> i64 {
        let new = NewVersion {
            name: name.into(),
            source: "s3://bucket/model".into(),
            run_id: run,
            tags,
            ..NewVersion::default()
        };
        self.house.registry.create_version(&self.may(CreateVersion::on(name)), new).await.unwrap().version
    }

    /// One prediction of a deployment by a version, on disk.
    async fn answered(&self, deployment: &str, (model, version): (&str, &str)) {
        let target = Target {
            deployment: deployment.into(),
            variant: "main".into(),
            model: model.into(),
            version: version.into(),
            columns: Arc::default(),
        };
        let prediction = Prediction {
            id: self.ctx.event_id(),
            at: self.ctx.now(),
            tenant: Tenant::default(),
            target: Arc::new(target),
            protocol: Protocol::OipRest,
            client_id: None,
            caller: "loopback".into(),
            assignment: Assignment::default(),
            outcome: Outcome::Ok,
            rows: 1,
            batch_rows: 1,
            timing: Timing::default(),
            tokens: None,
            cached: None,
            flags: None,
            params: None,
            inputs: Arc::default(),
            outputs: Arc::default(),
        };
        self.journal.append_durable(prediction).await.unwrap();
    }
}

fn version_node(name: &str, version: i64) -> Node {
    Node::Model { name: name.into(), version: version.to_string() }
}
