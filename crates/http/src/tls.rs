//! TLS: certificates from files, or a self-signed one made on request.

use arc_swap::ArcSwap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(10);

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read or written.
    #[error("cannot use {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not PEM of the right kind.
    #[error("{} holds no usable {what}: {reason}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// `certificate` or `private key`.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// The certificate and the key do not fit, or are refused.
    #[error("the TLS certificate cannot be used: {0}")]
    Rustls(#[from] rustls::Error),
    /// A self-signed certificate could not be made.
    #[error("cannot make a self-signed certificate: {0}")]
    Make(#[from] rcgen::Error),
}

/// A certificate chain and its key, checked and ready to serve with, and the files they are from. Clones serve the same.
#[derive(Clone)]
pub struct TlsSettings {
    cert: PathBuf,
    key: PathBuf,
    served: Arc<ArcSwap<Served>>,
}

/// What connections are accepted with.
struct Served {
    chain: Vec<CertificateDer<'static>>,
    acceptor: TlsAcceptor,
}

impl std::fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsSettings")
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bad = |reason: String| TlsError::Pem { path: path.to_owned(), what: "certificate", reason };
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| bad(e.to_string()))?;
    if chain.is_empty() { Err(bad("the file has no CERTIFICATE section".into())) } else { Ok(chain) }
}

impl Served {
    fn new(chain: Vec<CertificateDer<'static>>, key: &Path) -> Result<Self, TlsError> {
        let key = PrivateKeyDer::from_pem_file(key).map_err(|e| TlsError::Pem {
            path: key.to_owned(),
            what: "private key",
            reason: e.to_string(),
        })?;
        // ring is named here, so that no other crate's features can change the provider.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain.clone(), key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { chain, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }
}

impl TlsSettings {
    /// From a PEM certificate chain and its PEM private key.
    ///
    /// # Errors
    /// [`TlsError`] when a file is missing, is not PEM, or the two do not fit.
    pub fn from_files(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        let served = Served::new(certificates(cert)?, key)?;
        Ok(Self { cert: cert.to_owned(), key: key.to_owned(), served: Arc::new(ArcSwap::from_pointee(served)) })
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.served.load().acceptor.clone()
    }

    /// Takes what the files hold now, for the connections that come after it; those that are open go on with what they began
    /// with. Whether it is another certificate.
    ///
    /// # Errors
    /// As [`TlsSettings::from_files`]: also between the writing of one file and of the other. What was served is served on.
    pub fn reread(&self) -> Result<bool, TlsError> {
        let chain = certificates(&self.cert)?;
        if chain == self.served.load().chain {
            return Ok(false);
        }
        self.served.store(Arc::new(Served::new(chain, &self.key)?));
        Ok(true)
    }

    /// Looks for a renewed certificate, for ever: those of ACME live for weeks, and a server longer.
    pub async fn follow(self) {
        let mut said = String::new();
        loop {
            tokio::time::sleep(EVERY).await;
            let this = self.clone();
            let Ok(reread) = tokio::task::spawn_blocking(move || this.reread()).await else { continue };
            match reread {
                Ok(false) => said.clear(),
                Ok(true) => {
                    said.clear();
                    tracing::info!(certificate = %self.cert.display(), "the TLS certificate was renewed");
                }
                Err(error) => {
                    let why = error.to_string();
                    if said != why {
                        tracing::warn!(%error, "the TLS certificate cannot be renewed: the one that was read before is served on");
                    }
                    said = why;
                }
            }
        }
    }

    /// A self-signed certificate for `names`, kept as `cert.pem` and `key.pem` in `dir` so that a
    /// restart shows clients the same one. The key is readable by its owner only.
    ///
    /// # Errors
    /// [`TlsError`] when it cannot be made or kept.
    pub fn self_signed(names: Vec<String>, dir: &Path) -> Result<Self, TlsError> {
        let (cert_path, key_path) = (dir.join("cert.pem"), dir.join("key.pem"));
        if !cert_path.exists() || !key_path.exists() {
            let made = rcgen::generate_simple_self_signed(names)?;
            let file = |path: &Path| {
                let path = path.to_owned();
                move |source| TlsError::File { path, source }
            };
            std::fs::create_dir_all(dir).map_err(file(dir))?;
            write_private(&key_path, made.signing_key.serialize_pem().as_bytes()).map_err(file(&key_path))?;
            std::fs::write(&cert_path, made.cert.pem()).map_err(file(&cert_path))?;
        }
        Self::from_files(&cert_path, &key_path)
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(bytes)
}
