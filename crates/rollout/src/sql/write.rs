//! Writing: state, routing row and decision are one transaction, under the leader's fencing token and a compare and swap.

use super::Run;
use crate::error::RolloutError;
use crate::ledger::Report;
use crate::machine::{Decision, DecisionKind, Facts, Input, Machine, RowChange, State, Transition, person};
use crate::spec::RolloutSpec;
use mainspring_core::event;
use mainspring_core::{AuditRecord, EventId, Name, Tenant, Timestamp};
use mainspring_store::sql::{Lease, NewEvent};
use mainspring_store::{Conn, args};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A decision of a run, to be written.
#[derive(Debug)]
pub(crate) struct Change {
    /// The run as it was read.
    pub run: Run,
    pub done: Transition,
    /// Ids of the events that tell of it.
    pub ids: [EventId; 3],
    /// The leader's lease, when the controller decided.
    pub lease: Option<Lease>,
    /// The record, when a person decided.
    pub audit: Option<AuditRecord>,
}

fn text(value: &impl Serialize, what: &'static str) -> Result<String, RolloutError> {
    serde_json::to_string(value).map_err(|e| RolloutError::Stored { what, reason: e.to_string() })
}

/// The number of this write. It is the first statement of a write, so that on Postgres the numbers are in the order of
/// the commits: whoever has read one has read all before it.
async fn next_epoch(c: &mut Conn) -> Result<i64, RolloutError> {
    let sql = "UPDATE rollout_epoch SET epoch = epoch + 1 WHERE one = 1 RETURNING epoch";
    Ok(c.query_opt(sql, args![]).await?.map_or(Ok(0), |row| row.int("epoch"))?)
}

/// The next run of a name, to be begun.
#[derive(Debug)]
pub(crate) struct Begin {
    pub tenant: Tenant,
    pub name: Name,
    pub spec: Arc<RolloutSpec>,
    /// The run's id.
    pub id: EventId,
    /// Ids of the events that tell of the end of the run before, if it still has the deployment.
    pub ids: [EventId; 3],
    pub at: Timestamp,
    /// The record, when a person began it.
    pub audit: Option<AuditRecord>,
}

/// Begins the next run of each name. The run before gives its routing row up when it only keeps its candidate warm. Of one that has
/// not ended, must keep its row, or that somebody else began, nothing happens, and its answer is false.
///
/// # Errors
/// [`RolloutError::Layer`] when the place of one is another's, and then nothing happens either; [`RolloutError::Store`].
pub(crate) async fn create(c: &mut Conn, begins: &[Begin]) -> Result<Vec<bool>, RolloutError> {
    // All locks before the first write, and each kind in one order: nobody waits for whoever waits for them.
    let names: BTreeSet<String> = begins.iter().map(|b| format!("rollout.{}.{}", b.tenant, b.name)).collect();
    let layers: BTreeSet<String> = begins.iter().filter_map(crate::layers::lock).collect();
    for key in names.iter().chain(&layers) {
        c.lock(key).await?;
    }
    let epoch = next_epoch(c).await?;
    let mut begun = Vec::with_capacity(begins.len());
    for begin in begins {
        begun.push(create_one(c, begin, epoch).await?);
    }
    Ok(begun)
}

async fn create_one(c: &mut Conn, begin: &Begin, epoch: i64) -> Result<bool, RolloutError> {
    let Begin { tenant, name, spec, id, at, .. } = begin;
    let last = super::current(c, tenant, name).await?;
    let number = last.as_ref().map_or(1, |run| run.number + 1);
    if let Some(last) = last.filter(|run| run.state.active())
        && !give_way(c, last, begin).await?
    {
        return Ok(false);
    }
    crate::layers::begins(c, (tenant, name), spec).await?;
    let starter = begin.audit.as_ref().map(|audit| person(&audit.subject));
    let state = State { starter, ..State::new(id.to_string(), *at, 0) };
    c.execute(
        "INSERT INTO rollout_run (tenant, name, number, id, deployment, spec, state, version, active, phase,
                                  candidate, rolled_back_at, created_at, updated_at, epoch)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $9, NULL, NULL, $10, $10, $11)",
        args![
            tenant,
            name,
            number,
            *id,
            &spec.deployment,
            text(spec, "spec")?,
            text(&state, "state")?,
            true,
            state.phase.as_str(),
            *at,
            epoch
        ],
    )
    .await?;
    if let Some(audit) = &begin.audit {
        c.audit(audit).await?;
    }
    Ok(true)
}

/// Takes the routing row from a run that has ended, as its controller would; false when it may not be taken.
async fn give_way(c: &mut Conn, last: Run, begin: &Begin) -> Result<bool, RolloutError> {
    if !last.state.phase.ended() {
        return Ok(false);
    }
    let facts = Facts { wanted: Some(begin.name.to_string()), ..Facts::default() };
    let machine = Machine { name: last.name.as_str(), spec: &last.spec };
    let input = Input { now: begin.at, report: &Report::default(), facts: &facts };
    let Some(done) = machine.step(&last.state, input)? else { return Ok(false) };
    commit(c, &[Arc::new(Change { run: last, done, ids: begin.ids, lease: None, audit: None })]).await?;
    Ok(true)
}

/// Writes decisions and all that follows from them, or nothing at all: each with its compare and swap, what is only added with
/// few statements for all. No deployment may be in it twice, since its routing row moves on once.
///
/// # Errors
/// [`RolloutError::Raced`] when one of them is not about what is there any more; [`RolloutError::Store`], also when the lease is
/// lost.
pub(crate) async fn commit(c: &mut Conn, changes: &[Arc<Change>]) -> Result<(), RolloutError> {
    let mut checked = None;
    for lease in changes.iter().filter_map(|change| change.lease.as_ref()) {
        if checked != Some(lease.token) {
            c.lease_check(lease).await?;
            checked = Some(lease.token);
        }
    }
    let epoch = next_epoch(c).await?;
    for change in changes {
        swap(c, change, epoch).await?;
    }
    put_rows(c, changes, epoch).await?;
    let entry = |Change { run, done, .. }: &Change| {
        let Transition { state, decision, .. } = done;
        let (seq, kind) = (state.decisions as i64, decision.kind.as_str());
        let body = text(decision, "decision")?;
        Ok::<_, RolloutError>(args![&run.tenant, &run.name, run.number, seq, decision.at, kind, body])
    };
    let entries = changes.iter().map(|change| entry(change)).collect::<Result<_, _>>()?;
    c.insert_rows("INSERT INTO rollout_decision (tenant, name, number, seq, at, kind, body)", "", entries).await?;
    tell(c, changes).await?;
    for audit in changes.iter().filter_map(|change| change.audit.as_ref()) {
        c.audit(audit).await?;
    }
    Ok(())
}

/// The state of a run moves on from the one that was read.
async fn swap(c: &mut Conn, Change { run, done, .. }: &Change, epoch: i64) -> Result<(), RolloutError> {
    let (state, decision) = (&done.state, &done.decision);
    let rolled_back = (decision.kind == DecisionKind::RolledBack && run.state.started.is_some()).then_some(decision.at);
    let candidate = state.pins.as_ref().map(|p| p.candidates.join(&super::MODELS.to_string()));
    let key = args![&run.tenant, &run.name, run.number, run.version];
    let (told, active) = (text(state, "state")?, state.active());
    let values = args![told, active, state.phase.as_str(), candidate, rolled_back, decision.at, epoch];
    let swapped = c
        .execute(
            "UPDATE rollout_run SET state = $5, active = $6, phase = $7, candidate = $8, version = version + 1,
                                    rolled_back_at = COALESCE($9, rolled_back_at), updated_at = $10, epoch = $11
             WHERE tenant = $1 AND name = $2 AND number = $3 AND version = $4",
            [key, values].concat(),
        )
        .await?;
    if swapped == 0 { Err(raced(&[run])) } else { Ok(()) }
}

fn raced(runs: &[&Run]) -> RolloutError {
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    RolloutError::Raced { rollout: names.join(", ") }
}

/// A routing row moves on by exactly one rollout at a time: who begins finds no other's row in place, and who goes on finds its
/// own, of the generation before.
async fn put_rows(c: &mut Conn, changes: &[Arc<Change>], epoch: i64) -> Result<(), RolloutError> {
    let moved: Vec<&Change> = changes.iter().map(|c| &**c).filter(|c| c.done.row != RowChange::Keep).collect();
    let row = |Change { run, done, .. }: &Change| {
        let routing = match (&done.row, &done.state.row) {
            (RowChange::Put, Some(row)) => Some(text(row, "routing row")?),
            _ => None,
        };
        let generation = done.state.generation as i64;
        Ok::<_, RolloutError>(args![&run.tenant, &run.spec.deployment, &run.name, generation, routing, epoch])
    };
    let rows: Vec<_> = moved.iter().map(|change| row(change)).collect::<Result<_, _>>()?;
    let wanted = rows.len() as u64;
    let changed = c
        .insert_rows(
            "INSERT INTO rollout_row (tenant, deployment, rollout, generation, routing, epoch)",
            "ON CONFLICT (tenant, deployment) DO UPDATE
             SET rollout = excluded.rollout, generation = excluded.generation, routing = excluded.routing,
                 epoch = excluded.epoch
             WHERE rollout_row.generation = excluded.generation - 1
               AND (rollout_row.rollout = excluded.rollout OR rollout_row.routing IS NULL)",
            rows,
        )
        .await?;
    let runs: Vec<&Run> = moved.iter().map(|change| &change.run).collect();
    if changed < wanted { Err(raced(&runs)) } else { Ok(()) }
}

/// What others must hear, at least once, after the commit: the journal of the decisions, the deployments of what they are to
/// declare, and the registry of what nothing may take any more.
async fn tell(c: &mut Conn, changes: &[Arc<Change>]) -> Result<(), RolloutError> {
    let mut events = Vec::new();
    for change in changes {
        let Change { run, done, ids, .. } = &**change;
        let told = told(run, &done.decision, ids[0], sequence(c, run, &done.state).await?);
        let mut push = |topic, id, body| events.push(NewEvent { tenant: &run.tenant, topic, id, body });
        push(event::Decision::TOPIC, ids[0], text(&told, "decision")?);
        if let Some(follow) = &done.follow {
            push(crate::FOLLOWS, ids[1], json!({"tenant": &run.tenant, "follow": follow}).to_string());
        }
        if !done.freeze.is_empty() {
            push(crate::FREEZES, ids[2], json!({"tenant": &run.tenant, "freeze": &done.freeze}).to_string());
        }
    }
    Ok(c.outbox_all(events).await?)
}

/// The number of a decision in the journal, where a rollout's runs are one sequence.
async fn sequence(c: &mut Conn, run: &Run, state: &State) -> Result<u64, RolloutError> {
    if run.number == 1 {
        return Ok(state.decisions);
    }
    let sql = "SELECT COUNT(*) AS n FROM rollout_decision WHERE tenant = $1 AND name = $2 AND number < $3";
    let before =
        c.query_opt(sql, args![&run.tenant, &run.name, run.number]).await?.map_or(Ok(0), |row| row.int("n"))?;
    Ok(u64::try_from(before).unwrap_or_default() + state.decisions)
}

/// What a decision rests on, beside its evidence where it stands in the run.
#[derive(Debug, Serialize)]
struct Numbers<'a> {
    run: i64,
    seq: u64,
    phase: &'static str,
    step: u16,
    generation: u64,
    weight: f64,
    weights: &'a [f64],
    by: &'a str,
    because: &'a [String],
    evidence: &'a Option<Report>,
    facts: &'a Option<Facts>,
}

fn told<'a>(run: &Run, decision: &'a Decision, event: EventId, sequence: u64) -> event::Decision<Numbers<'a>> {
    event::Decision {
        event,
        at: decision.at,
        tenant: run.tenant.clone(),
        deployment: run.spec.deployment.to_string(),
        by: format!("Rollout/{}", run.name),
        sequence,
        decision: decision.kind.as_str().to_owned(),
        sentence: decision.sentence.clone(),
        numbers: Numbers {
            run: run.number,
            seq: decision.seq,
            phase: decision.phase.as_str(),
            step: decision.step,
            generation: decision.generation,
            weight: decision.weight,
            weights: &decision.weights,
            by: &decision.by,
            because: &decision.because,
            evidence: &decision.evidence,
            facts: &decision.facts,
        },
    }
}
