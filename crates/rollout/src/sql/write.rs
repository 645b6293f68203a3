//! Writing: state, routing row and decision are one transaction, under the leader's fencing token and a compare and swap.

use super::Run;
use crate::error::RolloutError;
use crate::ledger::Report;
use crate::machine::{DecisionKind, Facts, Input, Machine, RowChange, State, Transition, person};
use crate::spec::RolloutSpec;
use mainspring_core::event;
use mainspring_core::{AuditRecord, EventId, Name, Tenant, Timestamp};
use mainspring_store::sql::Lease;
use mainspring_store::{Conn, args};
use serde::Serialize;
use serde_json::json;
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

/// Begins the next run of a name. The run before gives its routing row up when it only keeps its candidate warm. Nothing
/// happens, and the answer is false, when it has not ended, must keep its row, or somebody else began one.
///
/// # Errors
/// [`RolloutError::Layer`] when its place is another's, and then nothing happens either; [`RolloutError::Store`].
pub(crate) async fn create(c: &mut Conn, begin: &Begin) -> Result<bool, RolloutError> {
    let Begin { tenant, name, spec, id, at, .. } = begin;
    c.lock(&format!("rollout.{tenant}.{name}")).await?;
    let last = super::current(c, tenant, name).await?;
    let number = last.as_ref().map_or(1, |run| run.number + 1);
    if let Some(last) = last.filter(|run| run.state.active())
        && !give_way(c, last, begin).await?
    {
        return Ok(false);
    }
    crate::layers::begins(c, (tenant, name), spec).await?;
    let epoch = next_epoch(c).await?;
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
    commit(c, &Change { run: last, done, ids: begin.ids, lease: None, audit: None }).await?;
    Ok(true)
}

/// Writes a decision and all that follows from it, or nothing.
pub(crate) async fn commit(c: &mut Conn, change: &Change) -> Result<(), RolloutError> {
    let Change { run, done, ids, lease, audit } = change;
    if let Some(lease) = lease {
        c.lease_check(lease).await?;
    }
    let epoch = next_epoch(c).await?;
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
    if swapped == 0 {
        return Err(raced(run));
    }
    if done.row != RowChange::Keep {
        put_row(c, run, done, epoch).await?;
    }
    let body = text(decision, "decision")?;
    c.execute(
        "INSERT INTO rollout_decision (tenant, name, number, seq, at, kind, body) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        args![&run.tenant, &run.name, run.number, state.decisions as i64, decision.at, decision.kind.as_str(), body],
    )
    .await?;
    tell(c, run, done, ids).await?;
    if let Some(audit) = audit {
        c.audit(audit).await?;
    }
    Ok(())
}

fn raced(run: &Run) -> RolloutError {
    RolloutError::Raced { rollout: run.name.to_string() }
}

/// The routing row moves on by exactly one rollout at a time: who begins finds no other's row in place, and who goes on
/// finds its own.
async fn put_row(c: &mut Conn, run: &Run, done: &Transition, epoch: i64) -> Result<(), RolloutError> {
    let routing = match (&done.row, &done.state.row) {
        (RowChange::Put, Some(row)) => Some(text(row, "routing row")?),
        _ => None,
    };
    let (before, after) = (run.state.generation as i64, done.state.generation as i64);
    let key = args![&run.tenant, &run.spec.deployment];
    let changed = c
        .execute(
            "INSERT INTO rollout_row (tenant, deployment, rollout, generation, routing, epoch)
             VALUES ($1, $2, $3, $4, $5, $7)
             ON CONFLICT (tenant, deployment) DO UPDATE
             SET rollout = excluded.rollout, generation = excluded.generation, routing = excluded.routing,
                 epoch = excluded.epoch
             WHERE rollout_row.generation = $6 AND (rollout_row.rollout = $3 OR rollout_row.routing IS NULL)",
            [key, args![&run.name, after, routing, before, epoch]].concat(),
        )
        .await?;
    if changed == 0 { Err(raced(run)) } else { Ok(()) }
}

/// What others must hear, at least once, after the commit: the journal of the decision, the deployment of what it is to declare,
/// and the registry of what nothing may take any more.
async fn tell(c: &mut Conn, run: &Run, done: &Transition, ids: &[EventId; 3]) -> Result<(), RolloutError> {
    let decision = &done.decision;
    // Written just before, so it is among them; a rollout's runs are one sequence to the journal.
    let sql = "SELECT COUNT(*) AS n FROM rollout_decision WHERE tenant = $1 AND name = $2";
    let counted = c.query_opt(sql, args![&run.tenant, &run.name]).await?.map_or(Ok(0), |row| row.int("n"))?;
    let told = event::Decision {
        event: ids[0],
        at: decision.at,
        tenant: run.tenant.clone(),
        deployment: run.spec.deployment.to_string(),
        by: format!("Rollout/{}", run.name),
        sequence: u64::try_from(counted).unwrap_or_default(),
        decision: decision.kind.as_str().to_owned(),
        sentence: decision.sentence.clone(),
        numbers: json!({
            "run": run.number, "seq": decision.seq, "phase": decision.phase.as_str(), "step": decision.step,
            "generation": decision.generation, "weight": decision.weight, "weights": &decision.weights, "by": &decision.by,
            "because": &decision.because, "evidence": &decision.evidence, "facts": &decision.facts,
        }),
    };
    let body =
        serde_json::to_value(&told).map_err(|e| RolloutError::Stored { what: "decision", reason: e.to_string() })?;
    c.outbox(event::Decision::TOPIC, told.event, &body).await?;
    if let Some(follow) = &done.follow {
        c.outbox(crate::FOLLOWS, ids[1], &json!({"tenant": &run.tenant, "follow": follow})).await?;
    }
    if !done.freeze.is_empty() {
        c.outbox(crate::FREEZES, ids[2], &json!({"tenant": &run.tenant, "freeze": &done.freeze})).await?;
    }
    Ok(())
}
