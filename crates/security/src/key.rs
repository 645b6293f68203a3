//! Keys: `msk_<id>_<secret>`.

use crate::error::SecurityError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mainspring_core::{Name, Role, Secret, Tenant, Timestamp};
use rand::TryRngCore;
use sha2::{Digest, Sha256};

/// What every key begins with, so that secret scanners find leaked ones.
const PREFIX: &str = "msk_";

/// Bytes of a secret: 256 bits.
const SECRET_BYTES: usize = 32;

/// A key to make.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// What it is for; 1 to 200 characters.
    pub label: String,
    /// What it may do.
    pub role: Role,
    /// Whose data it sees; the caller's own tenant when `None`.
    pub tenant: Option<Tenant>,
    /// The groups that whoever has it is in.
    pub groups: Vec<Name>,
    /// When it stops working by itself.
    pub expires_at: Option<Timestamp>,
}

/// What is known about a key; its secret is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// 16 hexadecimal digits, the middle part of the key.
    pub id: String,
    /// What it is for.
    pub label: String,
    /// What it may do.
    pub role: Role,
    /// Whose data it sees.
    pub tenant: Tenant,
    /// The groups that whoever has it is in.
    pub groups: Vec<Name>,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it stops working by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, within a minute or so.
    pub last_used_at: Option<Timestamp>,
    /// The key that takes its place.
    pub replaced_by: Option<String>,
}

/// A key just made. The secret exists here and with whoever reads it; the database has its hash.
#[derive(Debug, Clone)]
pub struct CreatedKey {
    /// The whole key.
    pub key: Secret,
    /// What is known about it.
    pub info: KeyInfo,
}

/// The names of groups, each once.
///
/// # Errors
/// [`SecurityError::Group`] for what is no name, and for more than 20.
pub fn groups(names: &[String]) -> Result<Vec<Name>, SecurityError> {
    let mut groups: Vec<Name> = Vec::new();
    for text in names {
        let wrong = |reason: String| SecurityError::Group { group: text.clone(), reason };
        let name = Name::new(text).map_err(|e| wrong(e.to_string()))?;
        if groups.len() == 20 {
            return Err(wrong("a key is in 20 groups at most".to_owned()));
        }
        if !groups.contains(&name) {
            groups.push(name);
        }
    }
    Ok(groups)
}

/// The two parts of a key as it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    pub(crate) id: u64,
    secret: &'a str,
}

impl<'a> Parts<'a> {
    /// Takes a key apart; `None` when it has not the form of one.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let canonical = id.len() == 16 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !canonical {
            return None;
        }
        Some(Self { id: u64::from_str_radix(id, 16).ok()?, secret })
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        hash(self.secret)
    }
}

/// SHA-256 of a secret's text.
pub(crate) fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// The text of an id.
pub(crate) fn id_text(id: u64) -> String {
    format!("{id:016x}")
}

/// 256 bits from the operating system as 43 characters. Not from `Ctx`: a secret must never be
/// repeatable.
pub(crate) fn random_secret() -> Result<String, SecurityError> {
    let mut bytes = [0_u8; SECRET_BYTES];
    rand::rngs::OsRng.try_fill_bytes(&mut bytes).map_err(|e| SecurityError::Random(e.to_string()))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// A new key: its id, its whole text and the hash to keep.
pub(crate) fn generate(id: u64) -> Result<(Secret, [u8; 32]), SecurityError> {
    let secret = random_secret()?;
    let hashed = hash(&secret);
    Ok((Secret::new(format!("{PREFIX}{}_{secret}", id_text(id))), hashed))
}
