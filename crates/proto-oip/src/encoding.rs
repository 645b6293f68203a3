//! Compressed bodies both ways, and the response body that sends its parts without joining them.

use crate::error::Refused;
use bytes::Bytes;
use flate2::Compression;
use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use http_body::{Body, Frame, SizeHint};
use mainspring_core::ErrorKind;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Responses under this many bytes are not compressed: it would cost more than it saves.
const WORTH: usize = 1024;

/// A coding of bodies that both sides know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Deflate,
}

impl Coding {
    /// Its name in `Content-Encoding`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        match name {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            _ => None,
        }
    }

    /// How the request's body is coded; `None` when it is not.
    ///
    /// # Errors
    /// A coding that is not known here.
    pub(crate) fn of_request(headers: &HeaderMap) -> Result<Option<Self>, Refused> {
        let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(None) };
        let name = value.to_str().unwrap_or("?").trim().to_ascii_lowercase();
        match name.as_str() {
            "" | "identity" => Ok(None),
            other => Self::parse(other).map(Some).ok_or_else(|| {
                let message = format!("Content-Encoding {other:?} is not understood: send gzip, deflate or identity");
                Refused::new(ErrorKind::InvalidInput, message)
            }),
        }
    }

    /// The coding to answer `size` bytes in; `None` when none was asked for or it does not pay.
    pub(crate) fn for_response(headers: &HeaderMap, size: usize) -> Option<Self> {
        if size < WORTH {
            return None;
        }
        headers.get(ACCEPT_ENCODING)?.to_str().ok()?.split(',').find_map(|item| {
            let (name, quality) = item.split_once(';').unwrap_or((item, ""));
            let refused = matches!(quality.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
            if refused { None } else { Self::parse(name.trim().to_ascii_lowercase().as_str()) }
        })
    }

    /// Undoes the coding. Stops at `limit` bytes, so that a small body cannot fill the memory.
    ///
    /// # Errors
    /// A body that is not in this coding, or larger than `limit` when undone.
    pub(crate) fn decode(self, body: &[u8], limit: usize) -> Result<Bytes, Refused> {
        match self {
            Self::Gzip => self.read(GzDecoder::new(body), limit),
            // "deflate" is the zlib format (RFC 9110 §8.4.1.2), but some send it bare.
            Self::Deflate if body.first().is_some_and(|b| b & 0x0f == 8) => self.read(ZlibDecoder::new(body), limit),
            Self::Deflate => self.read(DeflateDecoder::new(body), limit),
        }
    }

    fn read(self, source: impl Read, limit: usize) -> Result<Bytes, Refused> {
        let mut out = Vec::new();
        source.take(limit as u64 + 1).read_to_end(&mut out).map_err(|e| {
            Refused::new(ErrorKind::InvalidInput, format!("the body is not {} data: {e}", self.as_str()))
        })?;
        if out.len() > limit {
            let message = format!("the body is over the limit of {limit} bytes when its {} is undone", self.as_str());
            return Err(Refused::new(ErrorKind::TooLarge, message));
        }
        Ok(out.into())
    }

    /// Applies the coding, fast rather than small. `None` when it could not.
    pub(crate) fn encode(self, parts: &[Bytes]) -> Option<Bytes> {
        let out = Vec::with_capacity(parts.iter().map(Bytes::len).sum::<usize>() / 2);
        let done = match self {
            Self::Gzip => {
                let mut coder = GzEncoder::new(out, Compression::fast());
                parts.iter().try_for_each(|p| coder.write_all(p)).and_then(|()| coder.finish())
            }
            Self::Deflate => {
                let mut coder = ZlibEncoder::new(out, Compression::fast());
                parts.iter().try_for_each(|p| coder.write_all(p)).and_then(|()| coder.finish())
            }
        };
        done.ok().map(Bytes::from)
    }
}

/// A body of known length in parts: large tensors go to the socket without being copied together.
#[derive(Debug)]
pub(crate) struct Parts {
    left: usize,
    parts: VecDeque<Bytes>,
}

impl Parts {
    pub(crate) fn new(parts: impl IntoIterator<Item = Bytes>) -> Self {
        let parts: VecDeque<Bytes> = parts.into_iter().filter(|p| !p.is_empty()).collect();
        Self { left: parts.iter().map(Bytes::len).sum(), parts }
    }
}

impl Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.parts.pop_front();
        self.left -= next.as_ref().map_or(0, Bytes::len);
        Poll::Ready(next.map(|p| Ok(Frame::data(p))))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}
