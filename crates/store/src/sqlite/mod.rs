//! SQLite: one thread writes, a few read, and the async side only waits for replies.

mod backup;
mod checkpoint;
mod conn;
mod error;
mod open;
mod readers;
mod threads;

use crate::conn::Conn;
use crate::error::StoreError;
use crate::job::{Job, Work};
use crossbeam_channel::Sender;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use readers::Readers;
use std::cell::Cell;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) use backup::backup;
pub(crate) use conn::SqliteConn;
pub(crate) use open::{open, pending};

/// How many transactions may wait for the writer, and how many for the readers.
const QUEUE: usize = 4096;

thread_local! {
    /// Whether this thread is one of a database's own.
    static OWN_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// A message to a database thread.
enum Message {
    /// A transaction; its place in the queue is free again once it begins.
    Run(Box<dyn Work>, OwnedSemaphorePermit),
    /// End after what came before.
    Stop,
}

/// To whom transactions go.
enum Line {
    Writer(Sender<Message>),
    Readers(Readers),
}

impl Line {
    fn send(&self, message: Message) -> Result<(), StoreError> {
        match self {
            Self::Writer(writer) => writer.send(message).map_err(|_| StoreError::Closed),
            Self::Readers(readers) => {
                readers.send(message);
                Ok(())
            }
        }
    }
}

/// Where transactions wait for a thread.
struct Queue {
    line: Line,
    places: Arc<Semaphore>,
    wait: Duration,
}

impl Queue {
    async fn run<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        if OWN_THREAD.get() {
            return Err(StoreError::Nested.into());
        }
        let place = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => tokio::time::timeout(self.wait, Arc::clone(&self.places).acquire_owned())
                .await
                .map_err(|_| StoreError::Busy { detail: format!("{QUEUE} transactions wait already") })?
                .map_err(|_| StoreError::Closed)?,
        };
        let (job, reply) = Job::new(f);
        self.line.send(Message::Run(Box::new(job), place))?;
        reply.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }
}

/// An open SQLite database.
pub(crate) struct Sqlite {
    name: String,
    writer: Queue,
    readers: Queue,
    reader_count: usize,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Sqlite {
    pub(crate) async fn read<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.readers.run(f).await
    }

    pub(crate) async fn write<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.writer.run(f).await
    }

    pub(crate) fn display(&self) -> &str {
        &self.name
    }

    /// Ends the threads after what they have begun, and waits for them.
    pub(crate) async fn close(&self) {
        self.stop();
        let threads = std::mem::take(&mut *self.threads.lock());
        // Joining blocks, so it happens on a thread that may.
        let joined = tokio::task::spawn_blocking(move || threads.into_iter().for_each(|t| drop(t.join())));
        // It fails only when the runtime itself shuts down.
        let _ = joined.await;
    }

    fn stop(&self) {
        // A send fails only when the thread has ended already.
        let _ = self.writer.line.send(Message::Stop);
        for _ in 0..self.reader_count {
            let _ = self.readers.line.send(Message::Stop);
        }
    }
}

/// Readers do not end by themselves: each holds an end of its own queue.
impl Drop for Sqlite {
    fn drop(&mut self) {
        self.stop();
    }
}
