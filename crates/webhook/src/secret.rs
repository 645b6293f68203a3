//! Secrets by reference: a spec says where one is, and only the sender reads it.

use mainspring_core::{Secret, Tenant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What the name of every environment variable that a spec may name begins with: a spec must not be able to send any
/// other variable of the server somewhere.
pub const ENV_PREFIX: &str = "MAINSPRING_SECRET_";

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum SecretRef {
    /// In this environment variable of the server; its name begins with `MAINSPRING_SECRET_`.
    Env(String),
    /// In the file of this name in the server's folder of secrets (setting `secrets`), without the line's end.
    File(String),
}

/// Why a secret cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// No such variable.
    #[error("the environment variable {0} is not set on the server")]
    NoEnv(String),
    /// No such file, or it cannot be read.
    #[error("the secret {name:?} cannot be read from {}: {reason}", folder.display())]
    NoFile {
        /// Its name.
        name: String,
        /// The folder of secrets.
        folder: PathBuf,
        /// Why.
        reason: String,
    },
    /// The server's variables are the default tenant's.
    #[error("{name} is not for tenant {tenant}, whose secrets are files in {}", folder.display())]
    Foreign {
        /// The variable.
        name: String,
        /// Who asked.
        tenant: Tenant,
        /// Where its secrets are.
        folder: PathBuf,
    },
    /// Nothing in it.
    #[error("the secret {0} is empty")]
    Empty(String),
}

impl SecretRef {
    /// Checks what is named, not whether it is there.
    ///
    /// # Errors
    /// What is wrong with the name.
    pub fn validate(&self) -> Result<(), String> {
        match self {
            Self::Env(name) => {
                let rest = name.strip_prefix(ENV_PREFIX).unwrap_or_default();
                let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
                if rest.is_empty() || !rest.chars().all(plain) {
                    return Err(format!(
                        "{name:?} cannot be read; a spec may name variables that begin with {ENV_PREFIX}"
                    ));
                }
            }
            Self::File(name) => {
                let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
                if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
                    return Err(format!(
                        "{name:?} is not the name of a file in the folder of secrets: letters, digits, '.', '_' and '-'"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Reads secrets, each time anew: a secret that was rotated holds at once.
#[derive(Debug, Clone)]
pub struct Vault {
    folder: PathBuf,
}

impl Vault {
    /// Files are looked for in `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The secret that a declaration of `tenant` means. The server's variables, and the files in the folder itself, are the
    /// default tenant's; every other tenant's are files in the folder of its name in there.
    ///
    /// # Errors
    /// [`SecretError`] when it is not there.
    pub fn read(&self, tenant: &Tenant, reference: &SecretRef) -> Result<Secret, SecretError> {
        let ours = *tenant == Tenant::default();
        let folder = if ours { self.folder.clone() } else { self.folder.join(tenant.as_str()) };
        let (name, text) = match reference {
            SecretRef::Env(name) if !ours => {
                return Err(SecretError::Foreign { name: name.clone(), tenant: tenant.clone(), folder });
            }
            SecretRef::Env(name) => (name, std::env::var(name).map_err(|_| SecretError::NoEnv(name.clone()))?),
            SecretRef::File(name) => {
                let read = std::fs::read_to_string(folder.join(name));
                let failed =
                    |e: std::io::Error| SecretError::NoFile { name: name.clone(), folder, reason: e.to_string() };
                (name, read.map_err(failed)?)
            }
        };
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() { Err(SecretError::Empty(name.clone())) } else { Ok(Secret::new(text)) }
    }
}

/// A text without the secrets in it.
pub fn without(text: &str, secrets: &[Secret]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.reveal(), "***"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_anew_each_time_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::new(folder.path());
        let reference = SecretRef::File("key".into());
        assert!(matches!(vault.read(&Tenant::default(), &reference), Err(SecretError::NoFile { .. })));
        for text in ["one", "two\n"] {
            std::fs::write(folder.path().join("key"), text).unwrap();
            assert_eq!(vault.read(&Tenant::default(), &reference).unwrap(), Secret::new(text.trim_end()));
        }
        std::fs::write(folder.path().join("key"), "\n").unwrap();
        assert!(matches!(vault.read(&Tenant::default(), &reference), Err(SecretError::Empty(_))));
        let unset = SecretRef::Env("MAINSPRING_SECRET_THAT_NOBODY_SETS".into());
        assert!(matches!(vault.read(&Tenant::default(), &unset), Err(SecretError::NoEnv(_))));
        // One tenant's secrets are not another's, whoever sent them.
        let other = Tenant::new("other").unwrap();
        assert!(matches!(vault.read(&other, &unset), Err(SecretError::Foreign { .. })));
        std::fs::write(folder.path().join("key"), "default's").unwrap();
        assert!(matches!(vault.read(&other, &reference), Err(SecretError::NoFile { .. })));
        std::fs::create_dir(folder.path().join("other")).unwrap();
        std::fs::write(folder.path().join("other/key"), "its own").unwrap();
        assert_eq!(vault.read(&other, &reference).unwrap(), Secret::new("its own"));
    }
}
