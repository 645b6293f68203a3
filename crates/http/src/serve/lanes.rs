//! One thread a core, each with a runtime of its own. A plain connection stays on one of them: what arrives on it
//! is read, answered and written without waking another thread, which costs more than a small answer does.
//! Runtimes that share their work are for what may take long: [`apart`] sends a router's requests back to the one
//! that the listener runs on, and [`Streams`] what one connection has too many of.

use super::{App, Arrived, Shared};
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::Request;
use mainspring_core::Tasks;
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tower::{Layer, Service};
use tracing::Instrument as _;

thread_local! {
    /// On a lane's thread, the runtime that the listener runs on.
    static HOME: RefCell<Option<Handle>> = const { RefCell::new(None) };
    /// How often a lane's thread has waited for something to do.
    static PARKED: Cell<u64> = const { Cell::new(0) };
}

/// How often a lane looks whether it has gone quiet.
const BEAT: Duration = Duration::from_secs(1);

/// How often a lane that has nothing to do waits for something within a beat: some client's probe may come in between.
const FEW_WAITS: u64 = 20;

/// A connection on its way to a lane.
struct Handed<A> {
    stream: std::net::TcpStream,
    address: SocketAddr,
    shared: Arc<Shared<A>>,
    slot: OwnedSemaphorePermit,
}

/// The lanes of a listener; connections go to them in turn. Their threads end after it is dropped.
pub(super) struct Lanes<A> {
    lanes: Vec<mpsc::UnboundedSender<Handed<A>>>,
    next: usize,
}

impl<A: App> Lanes<A> {
    /// Starts a lane for each core. Fewer when the system gives no more threads; connections stay on
    /// the listener's runtime when there is none.
    pub(super) fn start(tasks: &Tasks, quiet: fn()) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let lanes = (0..cores).map_while(|n| match lane(n, tasks.clone(), quiet) {
            Ok(lane) => Some(lane),
            Err(error) => {
                tracing::error!(%error, "cannot start a thread for connections");
                None
            }
        });
        Self { lanes: lanes.collect(), next: 0 }
    }

    /// No lanes: every connection stays where the listener is.
    pub(super) fn none() -> Self {
        Self { lanes: Vec::new(), next: 0 }
    }

    /// Hands a connection to the next lane in turn; gives it back where there is none.
    pub(super) fn take(&mut self, arrived: Arrived<A>) -> Option<Arrived<A>> {
        self.next = (self.next + 1) % self.lanes.len().max(1);
        let Some(lane) = self.lanes.get(self.next) else { return Some(arrived) };
        let Arrived { stream, address, shared, slot } = arrived;
        match stream.into_std() {
            // A lane ends only after the listener.
            Ok(stream) => drop(lane.send(Handed { stream, address, shared, slot })),
            Err(error) => tracing::warn!(%error, %address, "a connection could not be handed over"),
        }
        None
    }
}

fn lane<A: App>(number: usize, tasks: Tasks, quiet: fn()) -> std::io::Result<mpsc::UnboundedSender<Handed<A>>> {
    let (sender, mut queue) = mpsc::unbounded_channel::<Handed<A>>();
    let home = Handle::current();
    let count = || PARKED.set(PARKED.get().wrapping_add(1));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().on_thread_park(count).build()?;
    std::thread::Builder::new().name(format!("http-{number}")).spawn(move || {
        HOME.set(Some(home));
        runtime.block_on(async {
            let mut beat = tokio::time::interval(BEAT);
            beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let (mut parked, mut worked) = (0, false);
            loop {
                tokio::select! {
                    handed = queue.recv() => match handed {
                        Some(handed) => drop(tasks.spawn_graceful(serve(handed))),
                        None => break,
                    },
                    _ = beat.tick() => {
                        // Waiting for the beat is one of them.
                        let busy = PARKED.get().wrapping_sub(std::mem::replace(&mut parked, PARKED.get())) > FEW_WAITS;
                        if worked && !busy {
                            quiet();
                        }
                        worked = busy;
                    }
                }
            }
        });
        // The listener waits for its connections before it lets go of the queue.
        runtime.shutdown_background();
    })?;
    Ok(sender)
}

async fn serve<A: App>(handed: Handed<A>) {
    let Handed { stream, address, shared, slot } = handed;
    match TcpStream::from_std(stream) {
        Ok(stream) => super::connection(Arrived { stream, address, shared, slot }).await,
        Err(error) => tracing::warn!(%error, %address, "a connection could not be taken over"),
    }
}

/// Streams of one connection that run at once where the connection does. A client that has more under way at a time
/// has work for more than one core.
const FEW: usize = 8;

/// hyper's spawner for one connection: a stream of HTTP/2 is a tracked task. Beyond the first few at a time they are
/// answered by the listener's runtime, whose threads share them.
#[derive(Clone)]
pub(super) struct Streams {
    tasks: Tasks,
    running: Arc<AtomicUsize>,
}

impl Streams {
    pub(super) fn new(tasks: Tasks) -> Self {
        Self { tasks, running: Arc::new(AtomicUsize::new(0)) }
    }
}

/// Counts a stream until it ends, is dropped or panics.
struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        let before = self.running.fetch_add(1, Ordering::Relaxed);
        let running = Running(Arc::clone(&self.running));
        let task = async move {
            let _running = running;
            let _done = stream.await;
        };
        let home = if before < FEW { None } else { HOME.with_borrow(Clone::clone) };
        drop(match home {
            None => self.tasks.spawn_graceful(task),
            Some(home) => self.tasks.spawn_graceful_on(&home, task),
        });
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
