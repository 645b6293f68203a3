//! Keys and sessions in memory: what every request looks up.

use crate::error::AuthError;
use crate::key::{Parts, id_text};
use crate::session::{csrf_of, hash_of};
use crate::sql::{KeyRow, SessionRow};
use mainspring_core::{Principal, Timestamp};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use subtle::ConstantTimeEq;

/// How coarsely "last used" is kept, microseconds.
const MINUTE: i64 = 60_000_000;

/// When something was last used, and what the database knows of it.
#[derive(Debug)]
pub(crate) struct Used {
    at: AtomicI64,
    written: AtomicI64,
}

impl Used {
    fn new(at: Option<Timestamp>) -> Self {
        let at = at.map_or(0, Timestamp::micros);
        Self { at: AtomicI64::new(at), written: AtomicI64::new(at) }
    }

    /// Notes a use. Writes to shared memory once a minute, so that requests with one key on many
    /// cores do not fight over a cache line.
    fn touch(&self, now: Timestamp) {
        if now.micros() - self.at.load(Ordering::Relaxed) >= MINUTE {
            self.at.store(now.micros(), Ordering::Relaxed);
        }
    }

    pub(crate) fn at(&self) -> Timestamp {
        Timestamp(self.at.load(Ordering::Relaxed))
    }

    /// The time to write to the database, if it does not know it yet.
    pub(crate) fn unwritten(&self) -> Option<Timestamp> {
        let at = self.at.load(Ordering::Relaxed);
        (at > self.written.load(Ordering::Relaxed)).then_some(Timestamp(at))
    }

    pub(crate) fn written(&self, at: Timestamp) {
        self.written.fetch_max(at.micros(), Ordering::Relaxed);
    }
}

#[derive(Debug)]
pub(crate) struct KeyEntry {
    hash: [u8; 32],
    pub(crate) principal: Arc<Principal>,
    expires_at: Option<Timestamp>,
    pub(crate) used: Arc<Used>,
}

#[derive(Debug)]
pub(crate) struct SessionEntry {
    pub(crate) key: u64,
    principal: Arc<Principal>,
    pub(crate) expires_at: Timestamp,
    pub(crate) used: Arc<Used>,
}

/// One state of all keys and sessions; replaced as a whole when they change.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) keys: HashMap<u64, KeyEntry>,
    pub(crate) sessions: HashMap<[u8; 32], SessionEntry>,
}

impl Table {
    /// A table of what was read; what `old` knows about use is kept.
    pub(crate) fn build(keys: Vec<KeyRow>, sessions: Vec<SessionRow>, old: &Self) -> Self {
        let keys: HashMap<_, _> = keys
            .into_iter()
            .filter(|k| k.info.revoked_at.is_none())
            .map(|k| {
                let used = old
                    .keys
                    .get(&k.id)
                    .map_or_else(|| Arc::new(Used::new(k.info.last_used_at)), |known| Arc::clone(&known.used));
                let principal = Principal {
                    subject: format!("key:{}", id_text(k.id)).into(),
                    tenant: k.info.tenant,
                    role: k.info.role,
                    groups: k.info.groups.into(),
                };
                let expires_at = k.info.expires_at;
                (k.id, KeyEntry { hash: k.hash, principal: Arc::new(principal), expires_at, used })
            })
            .collect();
        let sessions = sessions
            .into_iter()
            .filter_map(|s| {
                let key = keys.get(&s.key)?;
                let used = old
                    .sessions
                    .get(&s.hash)
                    .map_or_else(|| Arc::new(Used::new(Some(s.used_at))), |known| Arc::clone(&known.used));
                let subject = format!("session:{}", id_text(s.key)).into();
                let principal = Arc::new(Principal { subject, ..(*key.principal).clone() });
                Some((s.hash, SessionEntry { key: s.key, principal, expires_at: s.expires_at, used }))
            })
            .collect();
        Self { keys, sessions }
    }

    /// Who a key belongs to. Takes the same time whether or not the secret's first bytes are right.
    pub(crate) fn key(&self, text: &str, now: Timestamp) -> Result<(u64, &Arc<Principal>), AuthError> {
        let parts = Parts::parse(text).ok_or(AuthError::UnknownKey)?;
        let entry = self.keys.get(&parts.id).ok_or(AuthError::UnknownKey)?;
        if !bool::from(entry.hash.ct_eq(&parts.hash())) {
            return Err(AuthError::UnknownKey);
        }
        if entry.expired(now) {
            return Err(AuthError::ExpiredKey);
        }
        entry.used.touch(now);
        Ok((parts.id, &entry.principal))
    }

    /// Who a session belongs to. It ends with its key, at its own expiry, or after `idle`
    /// microseconds without use. `csrf` is checked when it is `Some`.
    #[expect(clippy::option_option, reason = "not needed; needed and missing; needed and given")]
    pub(crate) fn session(
        &self,
        token: &str,
        csrf: Option<Option<&str>>,
        now: Timestamp,
        idle: i64,
    ) -> Result<&SessionEntry, AuthError> {
        let entry = self.sessions.get(&hash_of(token)).ok_or(AuthError::SessionEnded)?;
        let key = self.keys.get(&entry.key).ok_or(AuthError::SessionEnded)?;
        let over = now >= entry.expires_at || now.micros() - entry.used.at().micros() >= idle || key.expired(now);
        if over {
            return Err(AuthError::SessionEnded);
        }
        if let Some(given) = csrf {
            let expected = csrf_of(token);
            if !bool::from(given.unwrap_or_default().as_bytes().ct_eq(expected.as_bytes())) {
                return Err(AuthError::Csrf);
            }
        }
        entry.used.touch(now);
        Ok(entry)
    }
}

impl KeyEntry {
    pub(crate) fn expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| now >= at)
    }
}

impl SessionEntry {
    pub(crate) fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }
}
