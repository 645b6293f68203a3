//! One port: HTTP/1.1, HTTP/2 with and without TLS, gRPC and WebSocket; it drains at shutdown.

mod io;
mod lanes;

pub use lanes::apart;

use crate::guard::Peer;
use crate::tls::TlsSettings;
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use io::{Patient, Stream};
use lanes::{Lanes, Streams};
use mainspring_core::Tasks;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service;

/// How a listener behaves.
#[derive(Debug, Clone)]
pub struct ServeSettings {
    /// Speak TLS with this certificate; without it, clear text.
    pub tls: Option<TlsSettings>,
    /// Connections at once; further ones wait in the kernel's queue.
    pub max_connections: usize,
    /// How long a client may take to send the head of a request, and how long a kept-alive
    /// connection may stay idle.
    pub header_timeout: Duration,
    /// How long a client may take nothing of what is sent to it.
    pub write_timeout: Duration,
    /// How long requests in flight may go on after shutdown began.
    pub grace: Duration,
    /// Called on a thread of connections once it has gone quiet after some work: an allocator keeps for each thread
    /// what its last burst left, and only that thread can give it back.
    pub quiet: fn(),
}

impl Default for ServeSettings {
    fn default() -> Self {
        Self {
            tls: None,
            max_connections: 10_000,
            header_timeout: Duration::from_mins(1),
            write_timeout: Duration::from_mins(1),
            grace: Duration::from_secs(20),
            quiet: || {},
        }
    }
}

/// What a listener serves: a router, or what stands in front of one.
pub trait App:
    Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
}

impl<S> App for S where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

struct Shared<A> {
    app: A,
    settings: ServeSettings,
    tasks: Tasks,
}

/// How a connection is spoken over.
fn builder(settings: &ServeSettings, tasks: &Tasks) -> auto::Builder<Streams> {
    let mut builder = auto::Builder::new(Streams::new(tasks.clone()));
    builder.http1().timer(TokioTimer::new()).header_read_timeout(settings.header_timeout).keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_mins(1))
        .keep_alive_timeout(Duration::from_secs(20))
        .max_header_list_size(64 << 10)
        .max_concurrent_streams(1024)
        // Wide enough that a tensor of a few megabytes does not wait for window updates.
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(16 << 20)
        .max_frame_size(256 << 10);
    builder
}

/// Serves `app` on `listener` until `tasks` is cancelled, then stops accepting, lets requests in
/// flight end within the grace period, and returns. Every connection is a tracked task.
pub async fn serve<A: App>(listener: TcpListener, app: A, settings: ServeSettings, tasks: &Tasks) {
    let slots = Arc::new(Semaphore::new(settings.max_connections));
    let shared = Arc::new(Shared { app, settings, tasks: tasks.clone() });
    let stop = tasks.cancelled();
    let mut lanes =
        if shared.settings.tls.is_some() { Lanes::none() } else { Lanes::start(tasks, shared.settings.quiet) };
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let arrived = Arrived { stream, address, shared: Arc::clone(&shared), slot };
                if let Some(arrived) = lanes.take(arrived) {
                    drop(tasks.spawn_graceful(connection(arrived)));
                }
            }
            // Out of file descriptors, or the client was gone already: the listener itself lives.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    let all = u32::try_from(shared.settings.max_connections).unwrap_or(u32::MAX);
    // Connections end their own grace period; the second more is for the last of them to say so.
    let _drained = tokio::time::timeout(shared.settings.grace + Duration::from_secs(1), slots.acquire_many(all)).await;
}

/// A connection that was accepted.
struct Arrived<A> {
    stream: TcpStream,
    address: SocketAddr,
    shared: Arc<Shared<A>>,
    /// Its place among the connections.
    slot: OwnedSemaphorePermit,
}

async fn connection<A: App>(arrived: Arrived<A>) {
    let Arrived { stream: tcp, address, shared, slot } = arrived;
    // Answers are small and complete: waiting to fill a packet only adds latency.
    let _without = tcp.set_nodelay(true);
    let stream = match &shared.settings.tls {
        None => Stream::Plain(tcp),
        Some(tls) => {
            let stop = shared.tasks.cancelled();
            let handshake = tokio::time::timeout(shared.settings.header_timeout, tls.acceptor().accept(tcp));
            tokio::select! {
                () = stop.cancelled() => return,
                shaken = handshake => match shaken {
                    Ok(Ok(stream)) => Stream::Tls(Box::new(stream)),
                    Ok(Err(error)) => return tracing::debug!(%error, %address, "TLS handshake failed"),
                    Err(_) => return tracing::debug!(%address, "TLS handshake timed out"),
                },
            }
        }
    };
    run(&shared, stream, address, slot).await;
}

/// Runs one connection to its end. Until its first request has arrived it may last no longer than
/// the header timeout: the protocol is told by the first bytes, and hyper's own timer starts only
/// after them.
async fn run<A: App>(shared: &Shared<A>, stream: Stream, address: SocketAddr, slot: OwnedSemaphorePermit) {
    let started = Arc::new(AtomicBool::new(false));
    let peer = Peer::new(address, matches!(stream, Stream::Tls(_)));
    let service = hyper::service::service_fn({
        let (app, started) = (shared.app.clone(), Arc::clone(&started));
        move |request: Request<Incoming>| {
            started.store(true, Ordering::Relaxed);
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer.clone());
            // Ready when it is made: what it waits for, it waits for in its answer.
            app.clone().call(request)
        }
    });
    let stream = Patient::new(stream, shared.settings.write_timeout, slot);
    let builder = builder(&shared.settings, &shared.tasks);
    let conn = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut conn = std::pin::pin!(conn);
    let stop = shared.tasks.cancelled();
    let first = tokio::time::sleep(shared.settings.header_timeout);
    let mut first = std::pin::pin!(first);
    let mut waiting = true;
    let ended = loop {
        tokio::select! {
            ended = conn.as_mut() => break ended,
            () = stop.cancelled() => {
                conn.as_mut().graceful_shutdown();
                match tokio::time::timeout(shared.settings.grace, conn.as_mut()).await {
                    Ok(ended) => break ended,
                    Err(_) => return tracing::warn!(%address, "connection cut: its requests did not end in the grace period"),
                }
            }
            () = first.as_mut(), if waiting => {
                waiting = false;
                if !started.load(Ordering::Relaxed) {
                    return tracing::debug!(%address, "connection cut: no request came in time");
                }
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %address, "connection ended with an error");
    }
}
