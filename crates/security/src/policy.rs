//! Who may do what: a role at least as high as the effect.

use mainspring_core::{Decision, Effect, Policy, Principal, Resource, Role};

/// Allows an action when the caller's role covers its effect. Roles are a ladder: infer, read,
/// write, admin. Data of other tenants is out of reach whatever the role, because every domain
/// filters by the principal's tenant.
#[derive(Debug, Clone, Copy, Default)]
pub struct RolePolicy;

fn needed(effect: Effect) -> (Role, &'static str) {
    match effect {
        Effect::Infer => (Role::Infer, "infer"),
        Effect::Read => (Role::Read, "read"),
        Effect::Write => (Role::Write, "write"),
        Effect::Admin => (Role::Admin, "admin"),
    }
}

impl Policy for RolePolicy {
    fn decide(&self, who: &Principal, _name: &'static str, effect: Effect, _on: &Resource) -> Decision {
        let (role, word) = needed(effect);
        if who.role >= role { Decision::Allow } else { Decision::Deny(format!("it needs the role {word}")) }
    }
}
