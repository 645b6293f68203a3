//! Permission where a test is about something else.

use mainspring_core::{
    Action, AuditRecord, AuditSink, Authorized, Clock, Decision, Effect, Gate, Policy, Principal, Resource,
    SystemClock, Tenant,
};
use std::sync::Arc;

struct Everybody;

impl Policy for Everybody {
    fn decide(&self, _: &Principal, _: &'static str, _: Effect, _: &Resource) -> Decision {
        Decision::Allow
    }
}

impl AuditSink for Everybody {
    fn record(&self, _: AuditRecord) {}
}

/// A gate that lets everybody do everything and writes nothing down.
pub fn open_gate(clock: Arc<dyn Clock>) -> Gate {
    Gate::new(Arc::new(Everybody), Arc::new(Everybody), clock)
}

/// An action that the operator of this machine may do.
pub fn may<A: Action>(action: A) -> Authorized<A> {
    may_in(&Tenant::default(), action)
}

/// The same in another tenant.
pub fn may_in<A: Action>(tenant: &Tenant, action: A) -> Authorized<A> {
    let who = Principal { tenant: tenant.clone(), ..Principal::loopback() };
    open_gate(Arc::new(SystemClock)).authorize(&Arc::new(who), action).expect("everybody may do everything")
}
