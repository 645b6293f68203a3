//! Uploads to a bucket: in one request when small, in parts when not.

use super::Remote;
use crate::error::{self, ArtifactError};
use crate::path::ArtifactPath;
use bytes::{Bytes, BytesMut};
use futures::stream::FuturesUnordered;
use futures::{Stream, StreamExt, TryStreamExt};
use mainspring_core::Tasks;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload, UploadPart};
use std::io;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use tokio_util::io::ReaderStream;

/// The size of a part in bytes, at first. S3 takes parts of 5 MiB to 5 GiB, at most 10,000.
const PART: usize = 8 << 20;
/// After this many parts the size doubles, so that 5 TiB, the largest object, needs fewer than 10,000.
const DOUBLE_AFTER: usize = 1000;
/// Bytes that a file is read in.
const PIECE: usize = 64 << 10;
/// How many parts are on their way at a time.
const AT_ONCE: usize = 4;

impl Remote {
    pub(crate) async fn put(&self, path: &ArtifactPath, bytes: Bytes) -> Result<(), ArtifactError> {
        if bytes.len() > PART {
            let stream = futures::stream::once(async move { Ok(bytes) });
            return self.put_stream(path, stream).await.map(|_| ());
        }
        self.put_whole(path, bytes).await
    }

    async fn put_whole(&self, path: &ArtifactPath, bytes: Bytes) -> Result<(), ArtifactError> {
        let key = self.key(path)?;
        let stored = self.store.put(&key, PutPayload::from_bytes(bytes)).await;
        stored.map(|_| ()).map_err(|e| self.fail("writing", path, e))
    }

    pub(crate) async fn put_file(&self, path: &ArtifactPath, from: &Path) -> Result<u64, ArtifactError> {
        let file = tokio::fs::File::open(from).await.map_err(|e| error::unread(path, &e))?;
        self.put_stream(path, ReaderStream::with_capacity(file, PIECE)).await
    }

    pub(crate) async fn put_stream<S>(&self, path: &ArtifactPath, stream: S) -> Result<u64, ArtifactError>
    where
        S: Stream<Item = io::Result<Bytes>> + Send,
    {
        let mut stream = pin!(stream);
        let mut buffer = BytesMut::new();
        let mut size = 0;
        let mut parts: Option<Parts> = None;
        while let Some(chunk) = stream.next().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(e) => {
                    if let Some(parts) = parts {
                        parts.abort().await;
                    }
                    return Err(error::unread(path, &e));
                }
            };
            size += chunk.len() as u64;
            buffer.extend_from_slice(&chunk);
            loop {
                let wanted = PART << (parts.as_ref().map_or(0, |p| p.sent) / DOUBLE_AFTER);
                if buffer.len() <= wanted {
                    break;
                }
                if parts.is_none() {
                    parts = Some(self.begin(path).await?);
                }
                let part = buffer.split_to(wanted).freeze();
                if let Some(parts) = parts.as_mut() {
                    parts.send(part).await.map_err(|e| self.fail("writing", path, e))?;
                }
            }
        }
        match parts {
            None => self.put_whole(path, buffer.freeze()).await?,
            Some(parts) => parts.finish(buffer.freeze()).await.map_err(|e| self.fail("writing", path, e))?,
        }
        Ok(size)
    }

    async fn begin(&self, path: &ArtifactPath) -> Result<Parts, ArtifactError> {
        let (key, store, tasks) = (self.key(path)?, Arc::clone(&self.store), self.tasks.clone());
        let begin = async move {
            let upload = store.put_multipart(&key).await?;
            Ok(Parts { upload: Some(upload), flying: FuturesUnordered::new(), sent: 0, tasks })
        };
        let begun = match &self.tasks {
            None => begin.await,
            // A task, because a caller that goes away between the question and the answer would
            // leave an upload that nobody knows of. An answer that nobody takes discards itself.
            Some(tasks) => {
                let (reply, answer) = tokio::sync::oneshot::channel();
                tasks.spawn_graceful(async move { drop(reply.send(begin.await)) });
                answer.await.map_err(|_| ArtifactError::Unavailable {
                    store: self.location.clone(),
                    reason: "the server is shutting down".to_owned(),
                })?
            }
        };
        begun.map_err(|e| self.fail("writing", path, e))
    }
}

/// An upload in parts. Dropping it before it is finished discards the parts, when there are tasks
/// to do so.
struct Parts {
    upload: Option<Box<dyn MultipartUpload>>,
    flying: FuturesUnordered<UploadPart>,
    sent: usize,
    tasks: Option<Tasks>,
}

impl Parts {
    async fn send(&mut self, part: Bytes) -> object_store::Result<()> {
        if let Some(upload) = self.upload.as_mut() {
            self.flying.push(upload.put_part(PutPayload::from_bytes(part)));
            self.sent += 1;
        }
        while self.flying.len() >= AT_ONCE {
            self.flying.try_next().await?;
        }
        Ok(())
    }

    async fn finish(mut self, last: Bytes) -> object_store::Result<()> {
        if !last.is_empty() {
            self.send(last).await?;
        }
        while self.flying.try_next().await?.is_some() {}
        if let Some(upload) = self.upload.as_mut() {
            upload.complete().await?;
        }
        self.upload = None;
        Ok(())
    }

    async fn abort(mut self) {
        if let Some(upload) = self.upload.take() {
            discard(upload).await;
        }
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        if let (Some(upload), Some(tasks)) = (self.upload.take(), self.tasks.take())
            // Without a runtime nothing can be asked of the bucket any more.
            && tokio::runtime::Handle::try_current().is_ok()
        {
            tasks.spawn_graceful(discard(upload));
        }
    }
}

async fn discard(mut upload: Box<dyn MultipartUpload>) {
    if let Err(reason) = upload.abort().await {
        tracing::warn!(%reason, "the parts of an upload that broke off could not be discarded");
    }
}
