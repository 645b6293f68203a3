//! Why the server does not start.

use crate::data::DataError;
use mainspring_core::{ErrorKind, Failure};
use std::net::SocketAddr;

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The address is taken or not this machine's.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Address asked for.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// It would be open to everybody.
    #[error("requests to {address} would need an API key, and none exists yet")]
    Open {
        /// Address asked for.
        address: SocketAddr,
        /// The command that makes the first key where this server looks for it.
        make: String,
    },
    /// The port cannot be told.
    #[error("cannot write the port into {path}: {source}")]
    PortFile {
        /// File asked for.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// TLS cannot be set up.
    #[error("{0}")]
    Tls(String),
    /// The engine's library brought the thread down that loaded it.
    #[error("loading ONNX Runtime failed: {0}")]
    Engine(String),
    /// A part of the house refused; its own words say which.
    #[error("cannot {doing}: {message}")]
    Part {
        /// What was being done.
        doing: &'static str,
        /// Its kind.
        kind: ErrorKind,
        /// What it said.
        message: String,
        /// What to do next.
        hint: Option<String>,
    },
}

impl StartError {
    /// Wraps a part's failure.
    pub fn part<E: Failure>(doing: &'static str) -> impl Fn(E) -> Self {
        move |e| Self::Part { doing, kind: e.kind(), message: e.to_string(), hint: e.hint() }
    }
}

impl Failure for StartError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Data(_) | Self::PortFile { .. } | Self::Engine(_) => ErrorKind::Internal,
            Self::Listen { .. } => ErrorKind::Conflict,
            Self::Open { .. } | Self::Tls(_) => ErrorKind::InvalidInput,
            Self::Part { kind, .. } => *kind,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Data(DataError::Locked { .. }) => {
                Some("stop the other one, or name another folder with --data".into())
            }
            Self::Listen { .. } => Some("take another port with --port, or 0 for a free one".into()),
            Self::Open { make, .. } => Some(format!("make the first key: {make}")),
            Self::Part { hint, .. } => hint.clone(),
            Self::Engine(_) => Some("name another library with --onnxruntime".into()),
            Self::Tls(_) => Some("check tls.cert and tls.key".into()),
            Self::Data(_) | Self::PortFile { .. } => None,
        }
    }
}
