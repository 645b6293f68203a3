//! What is known of a rollout beside its evidence. What cannot be asked is not known, and holds.

use super::Ports;
use crate::error::RolloutError;
use crate::machine::{Checked, Facts, FrozenCandidate, Phase, Readiness, person};
use crate::rollouts::Rollouts;
use crate::spec::ApprovalSpec;
use crate::sql::{self, Run};
use mainspring_core::Name;
use mainspring_store::FutureExt;

/// What is known of a run; `wanted` is the rollout that waits for its deployment.
///
/// # Errors
/// [`RolloutError::Store`].
pub(super) async fn facts(
    rollouts: &Rollouts,
    ports: &Ports,
    (run, wanted): (&Run, Option<&Name>),
) -> Result<Facts, RolloutError> {
    let mut facts = Facts::default();
    let (tenant, deployment, fleet) = (&run.tenant, &run.spec.deployment, &ports.fleet);
    let phase = run.state.phase;
    if phase == Phase::Pending {
        pending(rollouts, ports, run, &mut facts).await?;
        return Ok(facts);
    }
    let Some(row) = &run.state.row else { return Ok(facts) };
    if phase == Phase::Promoting || (phase.ended() && run.state.promoted.is_some()) {
        facts.settled = fleet.settled(tenant, deployment, row).await.unwrap_or(false);
    }
    if phase.ended() {
        facts.wanted = wanted.map(ToString::to_string);
        return Ok(facts);
    }
    match fleet.view(tenant, deployment, row).await {
        Ok(view) => {
            facts.candidate = view.candidate;
            (facts.tripped, facts.tripped_variant) = view.tripped.map(|t| (t.why, t.variant)).unzip();
        }
        // A deployment that was deleted, for one.
        Err(error) => facts.candidate = Readiness::Loading(error.to_string()),
    }
    let models: Vec<String> = row.variants.iter().skip(1).map(|v| v.model.clone()).collect();
    if let Ok(known) = fleet.frozen(tenant, &models).await {
        let named = row.variants.iter().skip(1).zip(known);
        facts.frozen =
            named.filter_map(|(v, why)| Some(FrozenCandidate { variant: v.name.clone(), why: why? })).collect();
    }
    if phase == Phase::Preflight {
        facts.checks = match fleet.checks(tenant, deployment, row, &run.spec).await {
            Ok(checks) => checks,
            // What cannot be asked has not passed.
            Err(error) => vec![Checked::new("checks", None, error.to_string())],
        };
    }
    Ok(facts)
}

async fn pending(rollouts: &Rollouts, ports: &Ports, run: &Run, facts: &mut Facts) -> Result<(), RolloutError> {
    facts.blocked = occupied(rollouts, run);
    if facts.blocked.is_some() {
        return Ok(());
    }
    facts.starter.clone_from(&run.state.starter);
    if facts.starter.is_none() && run.spec.approvals.iter().any(ApprovalSpec::strict) {
        let author = ports.declarations.author(&run.tenant, &run.name).await;
        facts.starter = author.ok().flatten().map(|subject| person(&subject));
    }
    match ports.fleet.pins(&run.tenant, &run.spec.deployment, &run.spec.candidates).await {
        Ok(pins) => {
            facts.blocked = cooling(rollouts, run, &pins.candidates).await?;
            facts.pins = Some(pins);
        }
        Err(error) => facts.unresolved = Some(error.to_string()),
    }
    Ok(())
}

fn occupied(rollouts: &Rollouts, run: &Run) -> Option<String> {
    let row = rollouts.row(&run.tenant, &run.spec.deployment)?;
    (row.row.is_some() && row.rollout != run.name.as_str())
        .then(|| format!("rollout {:?} has the deployment {:?}", row.rollout, run.spec.deployment))
}

async fn cooling(rollouts: &Rollouts, run: &Run, candidates: &[String]) -> Result<Option<String>, RolloutError> {
    let cooldown = i64::try_from(run.spec.rollback.cooldown.0.as_micros()).unwrap_or(i64::MAX);
    if cooldown == 0 {
        return Ok(None);
    }
    let (tenant, deployment, now) = (run.tenant.clone(), run.spec.deployment.clone(), rollouts.ctx.now());
    let since = now.plus_micros(-cooldown);
    let read = rollouts.db.read(move |c| async move { sql::rolled_back(c, &tenant, &deployment, since).await }.boxed());
    let last = read.await?.into_iter().find(|(model, _)| candidates.contains(model));
    Ok(last.and_then(|(model, at)| {
        let left = (at.plus_micros(cooldown).micros() - now.micros()) / 1_000_000;
        (left > 0).then(|| format!("{model} was rolled back a short while ago and may be tried again in {left} s"))
    }))
}
