//! A monitor has windows of its deployment estimated; whoever measures performance does it.

use crate::deployments::acting_for;
use mainspring_core::{Failure, Gate, Tenant};
use mainspring_monitor::estimate::{EstimateError, Report, Request};
use mainspring_monitor::live::{Estimates, PortError, PortResult};
use mainspring_monitor::performance::Performance;
use mainspring_query::QueryJournal;

/// Estimates windows in the turn of the reports that people ask for.
#[derive(Debug, Clone)]
pub struct Windows {
    /// Measures them.
    pub performance: Performance,
    /// Decides who may do what.
    pub gate: Gate,
}

fn port(e: &dyn Failure) -> PortError {
    let message = e.hint().map_or_else(|| e.to_string(), |hint| format!("{e}; {hint}"));
    PortError { kind: e.kind(), message }
}

impl Estimates for Windows {
    fn estimate<'a>(&'a self, tenant: &'a Tenant, request: Request) -> PortResult<'a, Option<Report>> {
        Box::pin(async move {
            let auth = self.gate.authorize(&acting_for(tenant), QueryJournal).map_err(|e| port(&e))?;
            match self.performance.estimate(&auth, request).await {
                Ok(report) => Ok(Some(report)),
                // Nobody asked anything: there is nothing to be said of it.
                Err(EstimateError::Empty { unkept: 0, .. }) => Ok(None),
                Err(error) => Err(port(&error)),
            }
        })
    }
}
