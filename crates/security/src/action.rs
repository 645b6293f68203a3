//! What may be done to keys, sessions and the audit trail, and which permission it needs.

use mainspring_core::{Action, Effect, Resource};

/// Make a key.
#[derive(Debug, Clone)]
pub struct CreateKey {
    /// What it is for.
    pub label: String,
}

/// See the keys, without their secrets.
#[derive(Debug, Clone, Copy)]
pub struct ListKeys;

/// Put a new key in a key's place.
#[derive(Debug, Clone)]
pub struct RotateKey {
    /// Id of the key.
    pub id: String,
}

/// Make a key stop working.
#[derive(Debug, Clone)]
pub struct RevokeKey {
    /// Id of the key.
    pub id: String,
}

/// Log in to the console.
#[derive(Debug, Clone, Copy)]
pub struct OpenSession;

/// Log out.
#[derive(Debug, Clone, Copy)]
pub struct CloseSession;

/// Read the audit trail.
#[derive(Debug, Clone, Copy)]
pub struct ReadAudit;

fn key(name: &str) -> Resource {
    Resource { kind: "key", name: name.to_owned() }
}

fn session() -> Resource {
    Resource { kind: "session", name: "own".to_owned() }
}

impl Action for CreateKey {
    const NAME: &'static str = "key.create";
    const EFFECT: Effect = Effect::Admin;
    fn resource(&self) -> Resource {
        key(&self.label)
    }
}

impl Action for ListKeys {
    const NAME: &'static str = "key.list";
    const EFFECT: Effect = Effect::Admin;
    fn resource(&self) -> Resource {
        key("*")
    }
}

impl Action for RotateKey {
    const NAME: &'static str = "key.rotate";
    const EFFECT: Effect = Effect::Admin;
    fn resource(&self) -> Resource {
        key(&self.id)
    }
}

impl Action for RevokeKey {
    const NAME: &'static str = "key.revoke";
    const EFFECT: Effect = Effect::Admin;
    fn resource(&self) -> Resource {
        key(&self.id)
    }
}

impl Action for OpenSession {
    const NAME: &'static str = "session.open";
    const EFFECT: Effect = Effect::Infer;
    fn resource(&self) -> Resource {
        session()
    }
}

impl Action for CloseSession {
    const NAME: &'static str = "session.close";
    const EFFECT: Effect = Effect::Infer;
    fn resource(&self) -> Resource {
        session()
    }
}

impl Action for ReadAudit {
    const NAME: &'static str = "audit.read";
    const EFFECT: Effect = Effect::Admin;
    fn resource(&self) -> Resource {
        Resource { kind: "audit", name: "*".to_owned() }
    }
}
