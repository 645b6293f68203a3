//! Compressed answers, and the response body that sends its parts without joining them.

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use http::HeaderMap;
use http::header::ACCEPT_ENCODING;
use http_body::{Body, Frame, SizeHint};
use mainspring_http::Coding;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Responses under this many bytes are not compressed: it would cost more than it saves.
const WORTH: usize = 1024;

/// The coding to answer `size` bytes in; `None` when none was asked for or it does not pay.
pub(crate) fn for_response(headers: &HeaderMap, size: usize) -> Option<Coding> {
    if size < WORTH {
        return None;
    }
    headers.get(ACCEPT_ENCODING)?.to_str().ok()?.split(',').find_map(|item| {
        let (name, quality) = item.split_once(';').unwrap_or((item, ""));
        let refused = matches!(quality.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
        if refused { None } else { Coding::parse(name.trim().to_ascii_lowercase().as_str()) }
    })
}

/// Applies the coding, fast rather than small. `None` when it could not.
pub(crate) fn encode(coding: Coding, parts: &[Bytes]) -> Option<Bytes> {
    let out = Vec::with_capacity(parts.iter().map(Bytes::len).sum::<usize>() / 2);
    let done = match coding {
        Coding::Gzip => {
            let mut coder = GzEncoder::new(out, Compression::fast());
            parts.iter().try_for_each(|p| coder.write_all(p)).and_then(|()| coder.finish())
        }
        Coding::Deflate => {
            let mut coder = ZlibEncoder::new(out, Compression::fast());
            parts.iter().try_for_each(|p| coder.write_all(p)).and_then(|()| coder.finish())
        }
    };
    done.ok().map(Bytes::from)
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
