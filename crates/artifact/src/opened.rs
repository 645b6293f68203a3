//! A file that is open for reading: what is known about it, and its content whole or in part.

use crate::error::{self, ArtifactError};
use crate::local::within;
use crate::path::ArtifactPath;
use crate::remote::Object;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use std::fs;
use std::io::{self, Seek, SeekFrom};
use std::ops::Range;
use tokio_util::io::ReaderStream;

/// How many bytes one piece of a local file's stream has at most.
const PIECE: usize = 256 * 1024;

/// A file that is open for reading. A file that is replaced meanwhile is read as it was, or the
/// stream fails; the two are never mixed.
#[derive(Debug)]
pub struct Opened {
    path: ArtifactPath,
    size: u64,
    tag: String,
    from: Source,
}

#[derive(Debug)]
enum Source {
    Local(fs::File),
    Remote(Object),
}

impl Opened {
    pub(crate) fn local(path: ArtifactPath, size: u64, tag: String, file: fs::File) -> Self {
        Self { path, size, tag, from: Source::Local(file) }
    }

    pub(crate) fn remote(path: ArtifactPath, size: u64, tag: String, object: Object) -> Self {
        Self { path, size, tag, from: Source::Remote(object) }
    }

    /// The size of the whole file in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// A text that differs after each change of the file's content: letters, digits and `-`.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The content from byte `range.start` up to, not including, `range.end`, as it is read. A range
    /// that ends past the end of the file is cut there.
    ///
    /// # Errors
    /// [`ArtifactError::Range`] when it starts past the end, [`ArtifactError::Io`].
    pub fn part(self, range: Range<u64>) -> Result<BoxStream<'static, io::Result<Bytes>>, ArtifactError> {
        let range = within(&self.path, range, self.size)?;
        match self.from {
            Source::Local(mut file) => {
                let found = file.seek(SeekFrom::Start(range.start));
                found.map_err(|e| error::local("reading", self.path.as_str(), &e))?;
                let mut file = tokio::fs::File::from_std(file);
                file.set_max_buf_size(PIECE);
                let part = tokio::io::AsyncReadExt::take(file, range.end - range.start);
                Ok(ReaderStream::with_capacity(part, PIECE).boxed())
            }
            Source::Remote(object) => Ok(object.stream(range)),
        }
    }
}
