//! Layers across rollouts: what is declared here is checked at once, what begins is checked by the database.

use crate::error::RolloutError;
use crate::rollouts::Rollouts;
use crate::spec::{LayerError, RolloutSpec, layers};
use crate::sql::{self, Begin};
use mainspring_core::{Name, Tenant};
use mainspring_store::Conn;

impl Rollouts {
    /// Whether what is declared of a layer fits what others of the tenant have of it: those that are active, and those that
    /// this process was told of and that are still to begin. What is active itself has its place, and what has ended begins
    /// again only when somebody says so.
    ///
    /// # Errors
    /// [`LayerError`]. Before this process has read which runs there are, nothing is known to be in the way; that is then said
    /// when the run would begin.
    pub(crate) fn fits_layer(&self, key: &(Tenant, Name), spec: &RolloutSpec) -> Result<(), LayerError> {
        if spec.assignment.layer.is_none() || *self.changes().borrow() < 0 {
            return Ok(());
        }
        let runs = self.runs();
        let new = |key: &(Tenant, Name), spec: &RolloutSpec| {
            runs.get(key).is_none_or(|run| run.state.phase.ended() && *run.spec != *spec)
        };
        if !new(key, spec) {
            return Ok(());
        }
        let declared = self.declared.read();
        let begins = declared.specs.iter().filter(|(other, spec)| new(other, spec));
        let active = runs.iter().filter(|(_, run)| !run.state.phase.ended()).map(|(other, run)| (other, &*run.spec));
        let others = active.chain(begins.map(|(other, spec)| (other, &**spec)));
        let beside = others.filter(|(other, _)| other.0 == key.0 && other.1 != key.1);
        layers::fits(spec, beside.map(|((_, name), spec)| (name.as_str(), spec)))
    }
}

/// What a run that is about to begin locks, where it has a place in a layer: of two that begin at the same moment, also on two
/// servers, one has it.
pub(crate) fn lock(begin: &Begin) -> Option<String> {
    let layer = begin.spec.assignment.layer.as_ref()?;
    Some(format!("rollout.layer.{}.{}", begin.tenant, layer.name))
}

/// The same of a run that is about to begin, in its own transaction and under its [`lock`].
///
/// # Errors
/// [`RolloutError::Layer`], [`RolloutError::Store`].
pub(crate) async fn begins(
    c: &mut Conn,
    (tenant, name): (&Tenant, &Name),
    spec: &RolloutSpec,
) -> Result<(), RolloutError> {
    if spec.assignment.layer.is_none() {
        return Ok(());
    }
    let others = sql::under_way(c, tenant, name).await?;
    Ok(layers::fits(spec, others.iter().map(|run| (run.name.as_str(), &*run.spec)))?)
}

#[cfg(test)]
mod tests;
