//! Lineage over SQLite and Postgres, with a house that knows what a test says.

mod kept;
mod nodes;
mod walks;

use crate::*;
use futures::future::BoxFuture;
use mainspring_core::{Authorized, Principal, Tenant, Timestamp};
use mainspring_testkit::{TempDb, may_in};
use std::collections::HashMap;
use std::sync::Arc;

/// What the house knows: neighbours by node.
#[derive(Debug, Default)]
pub(crate) struct House(HashMap<Node, (Vec<Node>, Vec<Node>)>);

impl House {
    /// `from` leads to `to`, for each pair.
    pub(crate) fn of(edges: &[(Node, Node)]) -> Self {
        let mut known: HashMap<Node, (Vec<Node>, Vec<Node>)> = HashMap::new();
        for (from, to) in edges {
            known.entry(from.clone()).or_default().1.push(to.clone());
            known.entry(to.clone()).or_default().0.push(from.clone());
        }
        Self(known)
    }
}

impl Known for House {
    fn look<'a>(&'a self, _: &'a Arc<Principal>) -> Box<dyn Look + 'a> {
        Box::new(Looking(self))
    }

    fn alias<'a>(
        &'a self,
        _: &'a Arc<Principal>,
        model: &'a str,
        alias: &'a str,
    ) -> BoxFuture<'a, Result<Node, PortError>> {
        let version = if alias == "champion" { "3" } else { "1" };
        Box::pin(std::future::ready(Ok(Node::Model { name: model.into(), version: version.into() })))
    }

    fn runs<'a>(&'a self, _: &'a Arc<Principal>, _: &'a str) -> BoxFuture<'a, Result<Starts, PortError>> {
        Box::pin(std::future::ready(Ok(Starts::default())))
    }

    fn own<'a>(&'a self, _: &'a Arc<Principal>, _: ThingKind) -> BoxFuture<'a, Result<Vec<Own>, PortError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn one<'a>(
        &'a self,
        _: &'a Arc<Principal>,
        _: ThingKind,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Option<Own>, PortError>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

struct Looking<'a>(&'a House);

impl Look for Looking<'_> {
    fn around<'a>(&'a self, node: &'a Node) -> BoxFuture<'a, Result<Around, PortError>> {
        let found = self.0.0.get(node).cloned();
        let exists = found.is_some();
        let (up, down) = found.unwrap_or_default();
        Box::pin(std::future::ready(Ok(Around { exists, up, down, ..Around::default() })))
    }
}

pub(crate) struct World {
    pub lineage: Lineage,
    _db: TempDb,
}

impl World {
    pub async fn over(temp: TempDb, house: House) -> Self {
        let db = temp.open_with(&[MIGRATIONS]).await;
        let lineage = Lineage::new(db, Arc::new(house), temp.ctx.clone(), true);
        Self { lineage, _db: temp }
    }

    pub async fn new() -> Self {
        Self::over(TempDb::sqlite(), House::default()).await
    }

    pub async fn send(&self, events: Vec<Event>) -> Vec<bool> {
        self.lineage.record(&may_in(&Tenant::default(), SendLineage), events).await.unwrap()
    }
}

pub(crate) fn reader(tenant: &str) -> Authorized<ReadLineage> {
    may_in(&Tenant::new(tenant).unwrap(), ReadLineage)
}

pub(crate) fn thing(name: &str) -> Thing {
    Thing { namespace: "n".into(), name: name.into(), facets: Vec::new() }
}

pub(crate) fn id(n: u64) -> String {
    format!("00000000-0000-7000-8000-{n:012x}")
}

/// A run of the job `name` that read and wrote datasets.
pub(crate) fn ran(name: &str, (run, at, state): (u64, i64, RunState), inputs: &[&str], outputs: &[&str]) -> Event {
    Event {
        at: Timestamp(at),
        subject: Subject::Run { id: id(run), state: Some(state), facets: Vec::new(), job: thing(name) },
        inputs: inputs.iter().map(|d| thing(d)).collect(),
        outputs: outputs.iter().map(|d| thing(d)).collect(),
        body: format!("{{\"at\":{at}}}"),
    }
}
