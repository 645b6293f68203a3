//! Asks a variant beside all traffic: nobody gets the answer, nothing of it is journaled or counted, no limit watches it.

use super::Serving;
use super::call::queued;
use crate::action::Infer;
use crate::error::ServeError;
use crate::pick::Picked;
use crate::run::Work;
use mainspring_core::Authorized;
use mainspring_core::tensor::NamedTensor;
use mainspring_mlmodel::GivenParams;
use std::time::{Duration, Instant};

/// How long an answer may take where the deployment has no deadline.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer that nobody waits for.
#[derive(Debug)]
pub struct Rehearsed {
    /// Outputs in the order of the contract's signature.
    pub outputs: Vec<NamedTensor>,
    /// Rows of the request.
    pub rows: usize,
    /// In the queue and in the engine.
    pub took: Duration,
}

impl Serving {
    /// Asks what was picked. It takes its turn in the queue, never on this thread, where requests may wait.
    ///
    /// # Errors
    /// [`ServeError`] when the inputs or the parameters do not fit, when the model fails and when it takes too long.
    pub async fn rehearse(
        &self,
        auth: &Authorized<Infer>,
        picked: Picked,
        (mut inputs, params): (Vec<NamedTensor>, GivenParams),
    ) -> Result<Rehearsed, ServeError> {
        if !picked.is_for(auth) {
            return Err(self.nobody(auth.tenant(), &auth.action().deployment));
        }
        let (loaded, deployment) = (picked.chosen.loaded, picked.deployment);
        let contract = &loaded.facts.contract;
        let rows = contract.signature.accept(&mut inputs)?;
        if rows == 0 {
            return Err(ServeError::NoRows);
        }
        let params = contract.params(params)?;
        let received = Instant::now();
        let patience = deployment.spec.load().limits.deadline.map_or(PATIENCE, |d| d.0);
        let (id, inputs, deadline) = (self.made().0, inputs.into(), Some(received + patience));
        let ran =
            queued(&loaded, &deployment, Work { id, inputs, rows, params, deadline, parts: None }, received).await?;
        Ok(Rehearsed { outputs: ran.outputs, rows, took: Duration::from_nanos(ran.queue_ns + ran.engine_ns) })
    }
}
