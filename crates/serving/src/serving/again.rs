//! Asks a version that is loaded once more, beside its traffic.

use super::Serving;
use super::call::queued;
use crate::action::Infer;
use crate::error::ServeError;
use crate::pick::{self, explains};
use crate::run::Work;
use mainspring_core::Authorized;
use mainspring_core::tensor::NamedTensor;
use mainspring_mlmodel::GivenParams;
use std::time::{Duration, Instant};

/// How long one such call may take.
const PATIENCE: Duration = Duration::from_secs(10);

impl Serving {
    /// What `version` answers to `inputs`, without parameters. Nobody's request: it is among no requests that are
    /// counted, though among the engine's calls, is not in the journal, takes no place of those that a deployment admits, and waits for its turn in the queue. Few rows a call, so that
    /// nobody waits long behind it.
    ///
    /// # Errors
    /// [`ServeError::NoDeployment`], [`ServeError::NoVersion`] when it answers nobody now, and what is wrong with the inputs.
    pub async fn again(
        &self,
        auth: &Authorized<Infer>,
        version: &str,
        mut inputs: Vec<NamedTensor>,
    ) -> Result<Vec<NamedTensor>, ServeError> {
        let deployment = self.find(auth.tenant(), &auth.action().deployment)?;
        let loaded = pick::version(&deployment, Some(version), explains(auth.who()))?;
        let rows = loaded.facts.contract.signature.accept(&mut inputs)?;
        if rows == 0 {
            return Err(ServeError::NoRows);
        }
        let params = loaded.facts.contract.params(GivenParams::default())?;
        let (now, id) = (Instant::now(), self.made().0);
        let work = Work { id, inputs: inputs.into(), rows, params, deadline: Some(now + PATIENCE), parts: None };
        Ok(queued(&loaded, &deployment, work, now).await?.outputs)
    }
}
