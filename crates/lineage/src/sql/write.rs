//! What an event changes.

use crate::event::{Event, Facet, RunState, Subject, Thing, ThingKind, digest};
use mainspring_core::{Tenant, Timestamp};
use mainspring_store::{Conn, StoreError, Value, args};
use std::collections::{BTreeMap, BTreeSet};

/// The key of a job or a dataset.
pub(crate) fn thing_key(kind: ThingKind, namespace: &str, name: &str) -> String {
    digest(&[kind.as_str(), namespace, name])
}

/// The key under which a run's facets are.
pub(crate) fn run_key(id: &str) -> String {
    digest(&["run", id])
}

/// Everything that one event says, each thing once: a statement with many rows must not meet a row twice.
struct Said<'a> {
    at: Timestamp,
    things: BTreeMap<String, (ThingKind, &'a Thing)>,
    facets: BTreeMap<(String, &'a str), Option<&'a str>>,
    edges: BTreeSet<(String, &'static str, String)>,
}

impl<'a> Said<'a> {
    fn of(event: &'a Event) -> Self {
        let mut said = Self { at: event.at, things: BTreeMap::new(), facets: BTreeMap::new(), edges: BTreeSet::new() };
        let job = match &event.subject {
            Subject::Run { id, facets, job, .. } => {
                said.facets(&run_key(id), facets);
                Some(said.thing(ThingKind::Job, job))
            }
            Subject::Job(job) => Some(said.thing(ThingKind::Job, job)),
            Subject::Dataset(dataset) => {
                said.thing(ThingKind::Dataset, dataset);
                None
            }
        };
        for (direction, datasets) in [("in", &event.inputs), ("out", &event.outputs)] {
            for dataset in datasets {
                let key = said.thing(ThingKind::Dataset, dataset);
                if let Some(job) = &job {
                    said.edges.insert((job.clone(), direction, key));
                }
            }
        }
        said
    }

    fn thing(&mut self, kind: ThingKind, thing: &'a Thing) -> String {
        let key = thing_key(kind, &thing.namespace, &thing.name);
        self.things.entry(key.clone()).or_insert((kind, thing));
        self.facets(&key, &thing.facets);
        key
    }

    fn facets(&mut self, key: &str, facets: &'a [Facet]) {
        for facet in facets {
            self.facets.insert((key.to_owned(), &facet.name), facet.body.as_deref());
        }
    }
}

/// Keeps an event and what follows from it; `false` when it was kept before, and nothing changes.
pub(crate) async fn keep(c: &mut Conn, tenant: &Tenant, event: &Event, now: Timestamp) -> Result<bool, StoreError> {
    let fresh = c
        .execute(
            "INSERT INTO lineage_events (tenant, event, at, received, body) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (tenant, event) DO NOTHING",
            args![tenant, event.key(), event.at, now, &event.body],
        )
        .await?;
    if fresh == 0 {
        return Ok(false);
    }
    let said = Said::of(event);
    // Two events that name the same things in another order must not wait for each other for ever: the maps are
    // sorted, and so are the locks.
    things(c, tenant, &said).await?;
    facets(c, tenant, &said).await?;
    edges(c, tenant, &said).await?;
    if let Subject::Run { id, state, job, .. } = &event.subject {
        let job = thing_key(ThingKind::Job, &job.namespace, &job.name);
        run(c, tenant, (id, &job), *state, event.at).await?;
    }
    Ok(true)
}

async fn things(c: &mut Conn, tenant: &Tenant, said: &Said<'_>) -> Result<(), StoreError> {
    let row = |(key, (kind, t)): (&String, &(ThingKind, &Thing))| {
        args![tenant, key, kind.as_str(), &t.namespace, &t.name, said.at, said.at]
    };
    let rows: Vec<Vec<Value>> = said.things.iter().map(row).collect();
    c.insert_rows(
        "INSERT INTO lineage_things (tenant, thing, kind, namespace, name, created, updated)",
        "ON CONFLICT (tenant, thing) DO UPDATE SET \
         created = CASE WHEN excluded.created < lineage_things.created THEN excluded.created \
                   ELSE lineage_things.created END, \
         updated = CASE WHEN excluded.updated > lineage_things.updated THEN excluded.updated \
                   ELSE lineage_things.updated END",
        rows,
    )
    .await
    .map(drop)
}

/// What was said last holds, whichever came first; that a facet was taken away is kept too.
async fn facets(c: &mut Conn, tenant: &Tenant, said: &Said<'_>) -> Result<(), StoreError> {
    let rows: Vec<Vec<Value>> =
        said.facets.iter().map(|((thing, name), body)| args![tenant, thing, *name, said.at, *body]).collect();
    c.insert_rows(
        "INSERT INTO lineage_facets (tenant, thing, name, at, body)",
        "ON CONFLICT (tenant, thing, name) DO UPDATE SET at = excluded.at, body = excluded.body \
         WHERE excluded.at >= lineage_facets.at",
        rows,
    )
    .await
    .map(drop)
}

async fn edges(c: &mut Conn, tenant: &Tenant, said: &Said<'_>) -> Result<(), StoreError> {
    let rows = said.edges.iter().map(|(job, direction, dataset)| args![tenant, job, *direction, dataset]).collect();
    c.insert_rows(
        "INSERT INTO lineage_edges (tenant, job, direction, dataset)",
        "ON CONFLICT (tenant, job, direction, dataset) DO NOTHING",
        rows,
    )
    .await
    .map(drop)
}

/// The state that was reached last by the senders' clocks holds; an event without one says more of the run only.
async fn run(
    c: &mut Conn,
    tenant: &Tenant,
    (id, job): (&str, &str),
    state: Option<RunState>,
    at: Timestamp,
) -> Result<(), StoreError> {
    let reached = state.filter(|s| *s != RunState::Other);
    let started = reached.filter(|s| !s.ends()).map(|_| at);
    let ended = reached.filter(|s| s.ends()).map(|_| at);
    c.execute(
        "INSERT INTO lineage_runs (tenant, run, job, state, state_at, started, ended, created, updated) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
         ON CONFLICT (tenant, run) DO UPDATE SET \
         state_at = CASE WHEN excluded.state IS NOT NULL \
                    AND (lineage_runs.state IS NULL OR excluded.state_at >= lineage_runs.state_at) \
                    THEN excluded.state_at ELSE lineage_runs.state_at END, \
         state = CASE WHEN excluded.state IS NOT NULL \
                 AND (lineage_runs.state IS NULL OR excluded.state_at >= lineage_runs.state_at) \
                 THEN excluded.state ELSE lineage_runs.state END, \
         started = CASE WHEN lineage_runs.started IS NULL OR excluded.started < lineage_runs.started \
                   THEN COALESCE(excluded.started, lineage_runs.started) ELSE lineage_runs.started END, \
         ended = CASE WHEN lineage_runs.ended IS NULL OR excluded.ended > lineage_runs.ended \
                 THEN COALESCE(excluded.ended, lineage_runs.ended) ELSE lineage_runs.ended END, \
         created = CASE WHEN excluded.created < lineage_runs.created THEN excluded.created \
                   ELSE lineage_runs.created END, \
         updated = CASE WHEN excluded.updated > lineage_runs.updated THEN excluded.updated \
                   ELSE lineage_runs.updated END",
        args![tenant, id, job, reached.map(RunState::as_str), at, started, ended, at, at],
    )
    .await
    .map(drop)
}

/// Notes what a collector was told of a thing; `false` when it was told the same before.
pub(crate) async fn told(c: &mut Conn, tenant: &Tenant, what: &str, state: &str) -> Result<bool, StoreError> {
    let changed = c
        .execute(
            "INSERT INTO lineage_told (tenant, what, state) VALUES ($1, $2, $3) \
             ON CONFLICT (tenant, what) DO UPDATE SET state = excluded.state \
             WHERE lineage_told.state <> excluded.state",
            args![tenant, what, state],
        )
        .await?;
    Ok(changed > 0)
}
