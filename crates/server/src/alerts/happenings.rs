//! alert asks what happened; rollouts decide.

use crate::deployments::acting_for;
use futures::future::BoxFuture;
use mainspring_alert::{Happening, Happenings, PortError, Severity, Source, Subject};
use mainspring_core::{Failure, Gate, Name, Tenant};
use mainspring_rollout::{Decision, DecisionKind, ReadRollouts, Rollouts};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};

/// Decisions of one rollout that are read at once.
const MOST: u32 = 1000;

/// The decisions of rollouts.
#[derive(Debug)]
pub struct Decisions {
    /// Keeps them.
    pub rollouts: Rollouts,
    /// Decides who may do what.
    pub gate: Gate,
    /// The epoch of rollouts at which there was nothing to tell.
    quiet: AtomicI64,
}

/// A run of a rollout.
struct Run<'a> {
    tenant: &'a Tenant,
    name: &'a Name,
    deployment: &'a Name,
    number: i64,
}

impl Run<'_> {
    fn stream(&self) -> String {
        format!("rollout/{}/{}/{}", self.tenant, self.name, self.number)
    }
}

impl Happenings for Decisions {
    fn after<'a>(&'a self, known: &'a BTreeMap<String, u64>) -> BoxFuture<'a, Result<Vec<Happening>, PortError>> {
        Box::pin(async move {
            let epoch = *self.rollouts.changes().borrow();
            if self.quiet.load(Ordering::Acquire) == epoch {
                return Ok(Vec::new());
            }
            let rows = self.rollouts.rows();
            let tenants: BTreeSet<&Tenant> = rows.iter().map(|row| &row.tenant).collect();
            let mut news = Vec::new();
            for tenant in tenants {
                let all = ReadRollouts { rollout: None };
                let auth = self.gate.authorize(&acting_for(tenant), all).map_err(|e| port(&e))?;
                for view in self.rollouts.list(&auth) {
                    let (name, deployment) = (&view.run.name, &view.run.spec.deployment);
                    let run = Run { tenant, name, deployment, number: view.run.number };
                    if !known.contains_key(&run.stream()) && run.number > 1 {
                        // The run before may have ended since the last look.
                        let before = Run { number: run.number - 1, ..run };
                        self.read(&before, known, &mut news).await?;
                    }
                    let run = Run { tenant, name, deployment, number: view.run.number };
                    if known.get(&run.stream()).copied().unwrap_or(0) < view.run.state.decisions {
                        self.read(&run, known, &mut news).await?;
                    }
                }
            }
            if news.is_empty() {
                self.quiet.store(epoch, Ordering::Release);
            }
            Ok(news)
        })
    }
}

fn port(e: &dyn Failure) -> PortError {
    PortError(e.to_string())
}

impl Decisions {
    /// The decisions of `rollouts`.
    pub fn new(rollouts: Rollouts, gate: Gate) -> Self {
        Self { rollouts, gate, quiet: AtomicI64::new(i64::MIN) }
    }

    async fn read(
        &self,
        run: &Run<'_>,
        known: &BTreeMap<String, u64>,
        news: &mut Vec<Happening>,
    ) -> Result<(), PortError> {
        let stream = run.stream();
        let last = known.get(&stream).copied().unwrap_or(0);
        let action = ReadRollouts { rollout: Some(run.name.clone()) };
        let auth = self.gate.authorize(&acting_for(run.tenant), action).map_err(|e| port(&e))?;
        let decisions = self.rollouts.decisions(&auth, Some(run.number), u64::MAX, MOST).await.map_err(|e| port(&e))?;
        for decision in decisions.iter().rev().filter(|d| d.seq > last) {
            news.push(Happening {
                stream: stream.clone(),
                tenant: run.tenant.clone(),
                position: decision.seq,
                at: decision.at,
                subject: subject(run, decision),
            });
        }
        Ok(())
    }
}

/// What is told of a decision; what only says that a rollout goes on as it should is not told.
fn subject(run: &Run<'_>, decision: &Decision) -> Option<Subject> {
    let (name, severity) = match decision.kind {
        DecisionKind::RolledBack => ("RolloutRolledBack", Severity::Ticket),
        DecisionKind::ApprovalAsked => ("RolloutNeedsApproval", Severity::Ticket),
        DecisionKind::WebhookAsked => ("RolloutAsksWebhook", Severity::Info),
        DecisionKind::ReviewAsked => ("RolloutNeedsReview", Severity::Ticket),
        DecisionKind::Paused => ("RolloutPaused", Severity::Ticket),
        DecisionKind::Promoted => ("RolloutPromoted", Severity::Info),
        DecisionKind::Held => ("RolloutHeld", Severity::Info),
        DecisionKind::Full => ("RolloutEvidenceFull", Severity::Info),
        DecisionKind::Warned => ("RolloutWarned", Severity::Ticket),
        DecisionKind::Started => ("RolloutStarted", Severity::Info),
        DecisionKind::Advanced => ("RolloutAdvanced", Severity::Info),
        DecisionKind::Dropped => ("RolloutDroppedCandidate", Severity::Info),
        DecisionKind::Agreed
        | DecisionKind::Released
        | DecisionKind::Reweighted
        | DecisionKind::Resumed
        | DecisionKind::Calmed
        | DecisionKind::Approved
        | DecisionKind::Settled
        | DecisionKind::Succeeded
        | DecisionKind::Closed => return None,
    };
    let labels = [("deployment", run.deployment.as_str()), ("rollout", run.name.as_str())];
    // A name has no quotes.
    let query = format!(
        "SELECT at, decision, sentence, numbers FROM decisions WHERE decided_by = 'Rollout/{}' ORDER BY at",
        run.name
    );
    Some(Subject {
        name: name.to_owned(),
        source: Source::Rollout,
        severity,
        labels: labels.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        sentence: decision.sentence.clone(),
        numbers: json!({
            "run": run.number, "seq": decision.seq, "by": decision.by, "phase": decision.phase.as_str(), "step": decision.step,
            "weight": decision.weight, "because": decision.because, "evidence": decision.evidence,
        }),
        query: Some(query),
        runbook: None,
        page: Some(format!("/ui/rollouts/{}", run.name)),
    })
}
