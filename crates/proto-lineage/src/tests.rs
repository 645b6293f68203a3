//! The routes over SQLite, with a house that knows one run.

mod attacks;
mod reads;
mod samples;

use crate::{LineageState, routes};
use axum::Router;
use axum::body::{Body, to_bytes};
use futures::future::BoxFuture;
use http::{Request, StatusCode};
use mainspring_core::{Principal, Role, Tenant, Timestamp};
use mainspring_http::Caller;
use mainspring_lineage::{Around, Detail, Known, Lineage, Look, MIGRATIONS, Node, Own, PortError, Starts, ThingKind};
use mainspring_testkit::{TempDb, open_gate};
use serde_json::{Value, json};
use std::sync::Arc;

/// One run of the experiment `churn` read the table `clean` and made version 3.
#[derive(Debug)]
struct House;

fn run() -> Node {
    Node::Run("0".repeat(32))
}

impl Known for House {
    fn look<'a>(&'a self, _: &'a Arc<Principal>) -> Box<dyn Look + 'a> {
        Box::new(House)
    }

    fn alias<'a>(
        &'a self,
        _: &'a Arc<Principal>,
        model: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Node, PortError>> {
        Box::pin(std::future::ready(Ok(Node::Model { name: model.into(), version: "3".into() })))
    }

    fn runs<'a>(&'a self, _: &'a Arc<Principal>, name: &'a str) -> BoxFuture<'a, Result<Starts, PortError>> {
        let of = |name: &str| Starts { nodes: vec![run()], cut: name == "many" };
        Box::pin(std::future::ready(Ok(if ["churn", "many"].contains(&name) { of(name) } else { Starts::default() })))
    }

    fn own<'a>(&'a self, _: &'a Arc<Principal>, kind: ThingKind) -> BoxFuture<'a, Result<Vec<Own>, PortError>> {
        Box::pin(std::future::ready(Ok(vec![own(kind)])))
    }

    fn one<'a>(
        &'a self,
        _: &'a Arc<Principal>,
        kind: ThingKind,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Own>, PortError>> {
        Box::pin(std::future::ready(Ok(Some(own(kind)).filter(|o| o.name == name))))
    }
}

fn own(kind: ThingKind) -> Own {
    let name = if kind == ThingKind::Job { "experiments/churn" } else { "models/churn/3" };
    Own { name: name.into(), created: Timestamp(5), updated: Timestamp(6) }
}

impl Look for House {
    fn around<'a>(&'a self, node: &'a Node) -> BoxFuture<'a, Result<Around, PortError>> {
        let (clean, made) = (Node::dataset("warehouse", "clean"), Node::dataset("mainspring", "models/churn/3"));
        let (up, down) = if *node == run() {
            (vec![clean], vec![made])
        } else if *node == clean {
            (vec![], vec![run()])
        } else if *node == made {
            (vec![run()], vec![])
        } else {
            return Box::pin(std::future::ready(Ok(Around::default())));
        };
        let detail = Detail { experiment: Some("churn".into()), at: Some(Timestamp(5)), ..Detail::default() };
        Box::pin(std::future::ready(Ok(Around { exists: true, detail, up, down, ..Around::default() })))
    }
}

struct World {
    app: Router,
    _db: TempDb,
}

struct Got {
    status: StatusCode,
    body: Value,
}

impl World {
    async fn new() -> Self {
        let temp = TempDb::sqlite();
        let db = temp.open_with(&[MIGRATIONS]).await;
        let gate = open_gate(Arc::clone(&temp.ctx.clock));
        let lineage = Lineage::new(db, Arc::new(House), temp.ctx.clone(), false);
        Self { app: routes(LineageState { lineage, gate, max_body: 1 << 20 }), _db: temp }
    }

    async fn send(&self, tenant: &str, request: Request<Body>) -> Got {
        let mut request = request;
        let tenant = Tenant::new(tenant).unwrap();
        let who = Principal { subject: "key:test".into(), tenant, role: Role::Write, ..Principal::loopback() };
        Caller::put(request.extensions_mut(), Arc::new(who));
        let (parts, body) = self.app.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = to_bytes(body, 64 << 20).await.unwrap();
        Got { status: parts.status, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
    }

    async fn post(&self, path: &str, body: impl Into<Body>) -> Got {
        self.send("default", Request::post(path).body(body.into()).unwrap()).await
    }

    async fn event(&self, event: &Value) -> Got {
        self.post("/api/v1/lineage", event.to_string()).await
    }

    async fn get(&self, path: &str) -> Got {
        self.send("default", Request::get(path).body(Body::empty()).unwrap()).await
    }
}

use tower::ServiceExt;

/// A run event with this in place of what it has.
fn with(changes: Value) -> Value {
    let mut event = json!({
        "eventType": "COMPLETE",
        "eventTime": "2026-01-31T12:00:00.123456Z",
        "producer": "https://example.com/etl",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": { "runId": "EA041791-68bc-4ae1-bd89-4c8106a157e4" },
        "job": { "namespace": "airflow", "name": "etl" },
        "inputs": [{ "namespace": "s3://raw", "name": "a/b" }],
        "outputs": [{ "namespace": "warehouse", "name": "clean" }],
    });
    for (key, value) in changes.as_object().unwrap() {
        if value == "gone" {
            event.as_object_mut().unwrap().remove(key)
        } else {
            event.as_object_mut().unwrap().insert(key.clone(), value.clone())
        };
    }
    event
}
