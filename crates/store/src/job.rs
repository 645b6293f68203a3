//! A closure with its reply, as it waits for a database thread.

use crate::conn::Conn;
use crate::error::StoreError;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::panic::AssertUnwindSafe;
use tokio::sync::oneshot;

/// One transaction's work, with its result's type hidden.
pub(crate) trait Work: Send {
    /// Whether somebody still waits for the reply.
    fn wanted(&self) -> bool;
    /// Runs the closure; true when its changes are to be kept.
    fn run(&mut self, conn: &mut Conn) -> bool;
    /// Replies: with the closure's own result, or with the reason that its changes were not kept.
    fn finish(self: Box<Self>, kept: Result<(), StoreError>);
}

pub(crate) struct Job<T, E, F> {
    work: Option<F>,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Job<T, E, F> {
    /// The job, and where its result arrives.
    pub(crate) fn new(work: F) -> (Self, oneshot::Receiver<Result<T, E>>) {
        let (reply, result) = oneshot::channel();
        (Self { work: Some(work), result: None, reply }, result)
    }
}

impl<T, E, F> Work for Job<T, E, F>
where
    F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    fn wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    fn run(&mut self, conn: &mut Conn) -> bool {
        let Some(work) = self.work.take() else { return false };
        // The futures of a SQLite connection never wait, so the first poll is the last; block_on
        // is there for a closure that awaits something else.
        let ran = std::panic::catch_unwind(AssertUnwindSafe(|| futures::executor::block_on(work(conn))));
        let result = settle(ran, conn);
        let keep = result.is_ok();
        self.result = Some(result);
        keep
    }

    fn finish(self: Box<Self>, kept: Result<(), StoreError>) {
        let result = match (self.result, kept) {
            (Some(Ok(_)) | None, Err(reason)) => Err(reason.into()),
            (Some(result), _) => result,
            (None, Ok(())) => Err(StoreError::Closed.into()),
        };
        // The caller may have gone away; then nobody hears.
        let _ = self.reply.send(result);
    }
}

/// What a closure's outcome means: a panic is an error, and so is success after a failed statement.
fn settle<T, E: From<StoreError>>(ran: std::thread::Result<Result<T, E>>, conn: &mut Conn) -> Result<T, E> {
    let failed = conn.take_failure();
    match (ran, failed) {
        (Err(_), _) => Err(StoreError::Panicked.into()),
        (Ok(Ok(_)), Some(reason)) => Err(reason.into()),
        (Ok(result), _) => result,
    }
}

/// Runs a closure where it is, on an async connection.
pub(crate) async fn run_here<T, E, F>(work: F, conn: &mut Conn) -> Result<T, E>
where
    F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
    E: From<StoreError>,
{
    let ran = AssertUnwindSafe(async { work(conn).await }).catch_unwind().await;
    settle(ran, conn)
}
