//! Authorisation you must hold: a domain method that needs permission takes an [`Authorized`]
//! value, and only [`Gate::authorize`] can make one. A handler that forgets does not compile.

use crate::clock::Timestamp;
use crate::error::{ErrorKind, Failure};
use crate::principal::{Principal, Tenant};
use serde::Serialize;
use std::sync::Arc;

/// What an action does to the world; the policy decides by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Calls a deployment or sends feedback.
    Infer,
    /// Looks.
    Read,
    /// Changes runs, models, deployments.
    Write,
    /// Changes who may do what, or destroys.
    Admin,
}

/// What an action is about: a kind and a name, e.g. `deployment` `churn`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resource {
    /// `experiment`, `run`, `model`, `deployment`, `key`, …
    pub kind: &'static str,
    /// Its name or id; `*` when the action is about all of a kind.
    pub name: String,
}

/// Something that needs permission. One small struct an action, holding what it is about.
pub trait Action: Send + Sync + 'static {
    /// Stable name for audit and policy: `run.create`, `deployment.infer`.
    const NAME: &'static str;
    /// What it does.
    const EFFECT: Effect;

    /// What it is about.
    fn resource(&self) -> Resource;
}

/// What a policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Go ahead.
    Allow,
    /// No, and why.
    Deny(String),
}

/// Decides who may do what. Called on every request: it must not block or do I/O.
pub trait Policy: Send + Sync + 'static {
    /// Decides one action; `name` is [`Action::NAME`].
    fn decide(&self, who: &Principal, name: &'static str, effect: Effect, on: &Resource) -> Decision;
}

/// One line of the audit trail.
#[derive(Debug, Clone, Serialize)]
pub struct AuditRecord {
    /// When it was decided.
    pub at: Timestamp,
    /// Whose data.
    pub tenant: Tenant,
    /// Who asked.
    pub subject: Arc<str>,
    /// [`Action::NAME`].
    pub action: &'static str,
    /// What it was about.
    pub resource: Resource,
    /// Whether it was allowed.
    pub allowed: bool,
    /// Why not, if not.
    pub reason: Option<String>,
    /// What became of it, where its name does not say that: `champion is version 3, was 2`.
    pub detail: Option<String>,
}

impl AuditRecord {
    /// What became of it.
    pub fn says(&mut self, detail: impl Into<String>) {
        self.detail = Some(detail.into());
    }
}

/// Hears of every decision. A denial and an administrative read arrive here; an allowed change is
/// written by the domain in the change's own transaction, from [`Authorized::audit`].
pub trait AuditSink: Send + Sync + 'static {
    /// Takes a record without blocking.
    fn record(&self, record: AuditRecord);
}

/// Proof that `A` was allowed, for whom. Cannot be made outside this module.
#[derive(Debug, Clone)]
pub struct Authorized<A> {
    action: A,
    who: Arc<Principal>,
    at: Timestamp,
}

impl<A: Action> Authorized<A> {
    /// What was allowed.
    pub fn action(&self) -> &A {
        &self.action
    }

    /// Who was allowed.
    pub fn who(&self) -> &Arc<Principal> {
        &self.who
    }

    /// Whose data.
    pub fn tenant(&self) -> &Tenant {
        &self.who.tenant
    }

    /// The record to write in the same transaction as the change.
    pub fn audit(&self) -> AuditRecord {
        AuditRecord {
            at: self.at,
            tenant: self.who.tenant.clone(),
            subject: Arc::clone(&self.who.subject),
            action: A::NAME,
            resource: self.action.resource(),
            allowed: true,
            reason: None,
            detail: None,
        }
    }
}

/// The action was refused.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{subject} may not {action} on {kind} {name:?}: {reason}")]
pub struct Denied {
    subject: Arc<str>,
    action: &'static str,
    kind: &'static str,
    name: String,
    reason: String,
}

impl Failure for Denied {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Denied
    }

    fn hint(&self) -> Option<String> {
        Some("ask an administrator for a key with a higher role: mainspring key create --role …".into())
    }
}

/// The one door: asks the policy, tells the audit sink, hands out the proof.
#[derive(Clone)]
pub struct Gate {
    policy: Arc<dyn Policy>,
    audit: Arc<dyn AuditSink>,
    clock: Arc<dyn crate::clock::Clock>,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gate")
    }
}

impl Gate {
    /// A door with this policy and this sink.
    pub fn new(policy: Arc<dyn Policy>, audit: Arc<dyn AuditSink>, clock: Arc<dyn crate::clock::Clock>) -> Self {
        Self { policy, audit, clock }
    }

    /// Asks whether `who` may do `action`.
    ///
    /// # Errors
    /// [`Denied`] when the policy refuses; the refusal is audited first.
    pub fn authorize<A: Action>(&self, who: &Arc<Principal>, action: A) -> Result<Authorized<A>, Denied> {
        let resource = action.resource();
        match self.policy.decide(who, A::NAME, A::EFFECT, &resource) {
            Decision::Allow => Ok(Authorized { action, who: Arc::clone(who), at: self.clock.now() }),
            Decision::Deny(reason) => {
                self.audit.record(AuditRecord {
                    at: self.clock.now(),
                    tenant: who.tenant.clone(),
                    subject: Arc::clone(&who.subject),
                    action: A::NAME,
                    resource: resource.clone(),
                    allowed: false,
                    reason: Some(reason.clone()),
                    detail: None,
                });
                Err(Denied {
                    subject: Arc::clone(&who.subject),
                    action: A::NAME,
                    kind: resource.kind,
                    name: resource.name,
                    reason,
                })
            }
        }
    }
}
