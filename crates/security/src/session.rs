//! The console's sessions.

use crate::key;
use mainspring_core::{Principal, Timestamp};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// A session just opened. The token goes into the cookie and is stored only as a hash.
#[derive(Debug, Clone)]
pub struct Session {
    /// The cookie's value.
    pub token: mainspring_core::Secret,
    /// What the console repeats on every request that changes something.
    pub csrf: String,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// Who it belongs to.
    pub who: Arc<Principal>,
}

/// The CSRF token of a session: a hash of the cookie's value under a label of its own. Another
/// site can make a browser send the cookie, but can neither read it nor compute this; and nothing
/// more has to be stored.
pub fn csrf_of(token: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"mainspring csrf\0");
    hash.update(token.as_bytes());
    hex::encode(hash.finalize())
}

/// The hash by which a session is stored and found.
pub(crate) fn hash_of(token: &str) -> [u8; 32] {
    key::hash(token)
}
