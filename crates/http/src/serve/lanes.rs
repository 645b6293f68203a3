//! One thread a core, each with a runtime of its own. A plain HTTP/1.1 connection stays on one of them: what
//! arrives on it is read, answered and written without waking another thread, which costs more than a small
//! answer does. Runtimes that share their work are for what may take long: [`apart`] sends a router's requests
//! back to the one that the listener runs on.

use super::Shared;
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::Request;
use mainspring_core::Tasks;
use std::cell::RefCell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinHandle;
use tower::{Layer, Service};
use tracing::Instrument as _;

thread_local! {
    /// On a lane's thread, the runtime that the listener runs on.
    static HOME: RefCell<Option<Handle>> = const { RefCell::new(None) };
}

/// A connection on its way to a lane.
pub(super) struct Handed {
    pub stream: std::net::TcpStream,
    pub address: SocketAddr,
    pub shared: Arc<Shared>,
    /// Its place among the connections.
    pub slot: OwnedSemaphorePermit,
}

/// The lanes of a listener; connections go to them in turn. Their threads end after it is dropped.
pub(super) struct Lanes {
    lanes: Vec<mpsc::UnboundedSender<Handed>>,
    next: usize,
}

impl Lanes {
    /// Starts a lane for each core. Fewer when the system gives no more threads; connections stay on
    /// the listener's runtime when there is none.
    pub(super) fn start(tasks: &Tasks) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let lanes = (0..cores).map_while(|n| match lane(n, tasks.clone()) {
            Ok(lane) => Some(lane),
            Err(error) => {
                tracing::error!(%error, "cannot start a thread for connections");
                None
            }
        });
        Self { lanes: lanes.collect(), next: 0 }
    }

    /// The next lane in turn.
    pub(super) fn next(&mut self) -> Option<mpsc::UnboundedSender<Handed>> {
        self.next = (self.next + 1) % self.lanes.len().max(1);
        self.lanes.get(self.next).cloned()
    }
}

fn lane(number: usize, tasks: Tasks) -> std::io::Result<mpsc::UnboundedSender<Handed>> {
    let (sender, mut queue) = mpsc::unbounded_channel::<Handed>();
    let home = Handle::current();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name(format!("http-{number}")).spawn(move || {
        HOME.set(Some(home));
        runtime.block_on(async {
            while let Some(handed) = queue.recv().await {
                drop(tasks.spawn_graceful(serve(handed)));
            }
        });
        // The listener waits for its connections before it lets go of the queue.
        runtime.shutdown_background();
    })?;
    Ok(sender)
}

async fn serve(handed: Handed) {
    let Handed { stream, address, shared, slot } = handed;
    match TcpStream::from_std(stream) {
        Ok(tcp) => super::run(&shared, super::Stream::Plain(tcp), address, slot).await,
        Err(error) => tracing::warn!(%error, %address, "a connection could not be taken over"),
    }
}

/// Has the requests of a router answered by the listener's runtime when they come in on a lane: for handlers
/// that work for long between two waits.
pub fn apart<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router.layer(ApartLayer)
}

#[derive(Clone, Copy)]
struct ApartLayer;

impl<S> Layer<S> for ApartLayer {
    type Service = Apart<S>;

    fn layer(&self, inner: S) -> Apart<S> {
        Apart(inner)
    }
}

#[derive(Clone)]
struct Apart<S>(S);

impl<S> Service<Request<Body>> for Apart<S>
where
    S: Service<Request<Body>, Response = Response, Error = Infallible>,
    S::Future: Send + Unpin + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Answer<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let inner = self.0.call(request);
        match HOME.with_borrow(Clone::clone) {
            None => Answer::Here(inner),
            Some(home) => Answer::There(home.spawn(inner.in_current_span())),
        }
    }
}

/// A request that is answered here or elsewhere. Dropped before its end, it is given up there too.
enum Answer<F> {
    Here(F),
    There(JoinHandle<Result<Response, Infallible>>),
}

impl<F: Future<Output = Result<Response, Infallible>> + Unpin> Future for Answer<F> {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Here(inner) => Pin::new(inner).poll(cx),
            Self::There(task) => match std::task::ready!(Pin::new(task).poll(cx)) {
                Ok(answered) => Poll::Ready(answered),
                Err(ended) => match ended.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // The runtime is shutting down.
                    Err(_) => {
                        let mut response = Response::default();
                        *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
                        Poll::Ready(Ok(response))
                    }
                },
            },
        }
    }
}

impl<F> Drop for Answer<F> {
    fn drop(&mut self) {
        if let Self::There(task) = self {
            task.abort();
        }
    }
}
