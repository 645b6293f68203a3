//! Bodies that come packed.

use crate::BodyError;
use bytes::Bytes;
use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use mainspring_core::{ErrorKind, Failure};
use std::io::Read;

/// A coding of bodies that both sides know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// The zlib format, RFC 1950; some send it bare (RFC 1951).
    Deflate,
}

/// Why a body was not unpacked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CodingError {
    /// A coding that is not known here.
    #[error("Content-Encoding {0:?} is not understood: send gzip, deflate or identity")]
    Unknown(String),
    /// A body in another coding than it says.
    #[error("the body is not {coding} data: {reason}")]
    Broken {
        /// The coding that was named.
        coding: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A body that is too large once it is unpacked.
    #[error("the body is over the limit of {limit} bytes when its {coding} is undone")]
    TooLarge {
        /// The coding.
        coding: &'static str,
        /// Bytes.
        limit: usize,
    },
}

impl Failure for CodingError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unknown(_) | Self::Broken { .. } => ErrorKind::InvalidInput,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::TooLarge { limit, .. } => BodyError::TooLarge { limit: *limit }.hint(),
            _ => None,
        }
    }
}

impl Coding {
    /// Its name in `Content-Encoding`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// The coding with this name, in lower case.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            _ => None,
        }
    }

    /// How the request's body is coded; `None` when it is not.
    ///
    /// # Errors
    /// [`CodingError::Unknown`].
    pub fn of_request(headers: &HeaderMap) -> Result<Option<Self>, CodingError> {
        let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(None) };
        let name = value.to_str().unwrap_or("?").trim().to_ascii_lowercase();
        match name.as_str() {
            "" | "identity" => Ok(None),
            other => Self::parse(other).map(Some).ok_or_else(|| CodingError::Unknown(other.to_owned())),
        }
    }

    /// Undoes the coding. Stops at `limit` bytes, so that a small body cannot fill the memory. Not for async threads,
    /// unless the body is small.
    ///
    /// # Errors
    /// [`CodingError::Broken`], [`CodingError::TooLarge`].
    pub fn decode(self, body: &[u8], limit: usize) -> Result<Bytes, CodingError> {
        match self {
            Self::Gzip => self.read(GzDecoder::new(body), limit),
            // "deflate" is the zlib format (RFC 9110 §8.4.1.2), but some send it bare.
            Self::Deflate if body.first().is_some_and(|b| b & 0x0f == 8) => self.read(ZlibDecoder::new(body), limit),
            Self::Deflate => self.read(DeflateDecoder::new(body), limit),
        }
    }

    fn read(self, source: impl Read, limit: usize) -> Result<Bytes, CodingError> {
        let (coding, mut out) = (self.as_str(), Vec::new());
        let read = source.take(limit as u64 + 1).read_to_end(&mut out);
        read.map_err(|e| CodingError::Broken { coding, reason: e.to_string() })?;
        if out.len() > limit { Err(CodingError::TooLarge { coding, limit }) } else { Ok(out.into()) }
    }
}
