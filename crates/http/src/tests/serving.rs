use super::{PATIENCE, patient, self_signed, start};
use crate::{ApiError, ServeSettings, read_body, sse};
use axum::Router;
use axum::body::Body;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::extract::{Request, State};
use axum::routing::{get, post};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

async fn echo(request: Request) -> Result<Body, ApiError> {
    Ok(Body::from(read_body(request.into_body(), 1000).await?))
}

fn app() -> Router {
    Router::new().route("/echo", post(echo))
}

fn h1() -> reqwest::Client {
    install();
    reqwest::Client::builder().no_proxy().http1_only().build().unwrap()
}

fn install() {
    let _installed = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
}

#[tokio::test]
async fn http1_and_clear_text_http2_share_the_port() {
    install();
    let server = start(app(), patient()).await;
    let h2 = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build();
    for (client, version) in [(h1(), http::Version::HTTP_11), (h2.unwrap(), http::Version::HTTP_2)] {
        let answer = client.post(server.url("/echo")).body("hello").send().await.unwrap();
        assert_eq!(answer.version(), version);
        assert_eq!(answer.text().await.unwrap(), "hello");
    }
    server.stop().await;
}

#[tokio::test]
async fn tls_serves_both_and_keeps_its_certificate() {
    install();
    let dir = tempfile::tempdir().unwrap();
    let settings = ServeSettings { tls: Some(self_signed(dir.path())), ..patient() };
    let before = std::fs::read(dir.path().join("cert.pem")).unwrap();
    let server = start(app(), settings).await;
    let root = reqwest::Certificate::from_pem(&before).unwrap();
    let builder = || reqwest::Client::builder().no_proxy().tls_certs_only([root.clone()]);
    let url = format!("https://localhost:{}/echo", server.address.port());
    let one = builder().http1_only().build().unwrap().post(&url).body("x").send().await.unwrap();
    assert_eq!(one.version(), http::Version::HTTP_11);
    let two = builder().build().unwrap().post(&url).body("x").send().await.unwrap();
    assert_eq!(two.version(), http::Version::HTTP_2);
    server.stop().await;
    let _again = self_signed(dir.path());
    assert_eq!(std::fs::read(dir.path().join("cert.pem")).unwrap(), before);
}

#[tokio::test]
async fn a_renewed_certificate_is_served_to_who_comes_then_and_half_a_one_to_nobody() {
    install();
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let tls = self_signed(dir.path());
    let server = start(app(), ServeSettings { tls: Some(tls.clone()), ..patient() }).await;
    let url = format!("https://localhost:{}/echo", server.address.port());
    let trusting = |folder: &std::path::Path| {
        let root = reqwest::Certificate::from_pem(&std::fs::read(folder.join("cert.pem")).unwrap()).unwrap();
        reqwest::Client::builder().no_proxy().tls_certs_only([root]).build().unwrap()
    };
    let (old, _made) = (trusting(dir.path()), self_signed(other.path()));
    let old_comes_later = trusting(dir.path());
    assert!(old.post(&url).body("x").send().await.is_ok());
    assert!(!tls.reread().unwrap(), "nothing was written");
    // One file after the other, as whoever renews it writes them.
    std::fs::copy(other.path().join("cert.pem"), dir.path().join("cert.pem")).unwrap();
    assert!(tls.reread().is_err(), "the key of another");
    assert!(trusting(other.path()).post(&url).body("x").send().await.is_err());
    std::fs::copy(other.path().join("key.pem"), dir.path().join("key.pem")).unwrap();
    assert!(tls.reread().unwrap());
    assert!(trusting(other.path()).post(&url).body("x").send().await.is_ok());
    assert!(old_comes_later.post(&url).body("x").send().await.is_err(), "the old one is not served any more");
    assert!(old.post(&url).body("x").send().await.is_ok(), "its connection goes on");
    std::fs::write(dir.path().join("cert.pem"), "-----BEGIN CERT").unwrap();
    assert!(tls.reread().is_err());
    assert!(trusting(other.path()).post(&url).body("x").send().await.is_ok());
    server.stop().await;
}

#[tokio::test]
async fn a_body_too_large_is_a_problem_not_a_cut() {
    let server = start(app(), patient()).await;
    let answer = h1().post(server.url("/echo")).body(vec![0; 5000]).send().await.unwrap();
    assert_eq!(answer.status(), 413);
    let body: serde_json::Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert!(body["detail"].as_str().unwrap().contains("1000 bytes"), "{body}");
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_off() {
    const SIZE: usize = 64 << 20;
    /// What is to be sent, and who hears that it is let go.
    struct Whole(Vec<u8>, Arc<Notify>);
    impl AsRef<[u8]> for Whole {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    impl Drop for Whole {
        fn drop(&mut self) {
            self.1.notify_one();
        }
    }
    let gone = Arc::new(Notify::new());
    let give = |State(gone): State<Arc<Notify>>| async { Bytes::from_owner(Whole(vec![7; SIZE], gone)) };
    let app = Router::new().route("/", get(give)).with_state(Arc::clone(&gone));
    let hasty = ServeSettings { write_timeout: Duration::from_millis(100), ..patient() };
    let server = start(app.clone(), hasty).await;
    let mut idler = TcpStream::connect(server.address).await.unwrap();
    idler.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    tokio::time::timeout(PATIENCE, gone.notified()).await.expect("nothing is kept for it");
    let mut got = Vec::new();
    // Cut off, with or without what was on its way.
    let _cut = tokio::time::timeout(PATIENCE, idler.read_to_end(&mut got)).await.expect("it is cut off");
    assert!(got.len() < SIZE, "{} bytes were kept for it", got.len());
    server.stop().await;
    // How long a client that does read may pause is no matter of this test.
    let server = start(app, patient()).await;
    let whole = h1().get(server.url("/")).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(whole.len(), SIZE, "who reads gets all of it");
    server.stop().await;
}

#[tokio::test]
async fn a_websocket_echoes() {
    async fn upgrade(ws: WebSocketUpgrade) -> axum::response::Response {
        ws.on_upgrade(|mut socket| async move {
            while let Some(Ok(Message::Text(text))) = socket.recv().await {
                if socket.send(Message::Text(text)).await.is_err() {
                    return;
                }
            }
        })
    }
    let server = start(Router::new().route("/ws", get(upgrade)), patient()).await;
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{}/ws", server.address)).await.unwrap();
    socket.send("hi".into()).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap().into_text().unwrap(), "hi");
    socket.close(None).await.unwrap();
    server.stop().await;
}

async fn cut_after(sent: &[u8]) -> Vec<u8> {
    let server = start(app(), ServeSettings { header_timeout: Duration::from_millis(200), ..patient() }).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(sent).await.unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("the server hangs up").unwrap();
    server.stop().await;
    rest
}

#[tokio::test]
async fn slow_clients_are_cut() {
    assert!(cut_after(b"").await.is_empty(), "a client that sends nothing");
    assert!(cut_after(b"PRI * HTT").await.is_empty(), "half of the HTTP/2 preface");
    let _refused = cut_after(b"POST /echo HTTP/1.1\r\nhost: x\r\nslow").await;
    let garbage = cut_after(b"\x00\x01\x02 nonsense\r\n\r\n").await;
    assert!(garbage.is_empty() || garbage.starts_with(b"HTTP/1.1 400"));
}

#[tokio::test]
async fn shutdown_lets_a_request_in_flight_end() {
    async fn wait(State(gates): State<Arc<(Notify, Notify)>>) -> &'static str {
        gates.0.notify_one();
        gates.1.notified().await;
        "done"
    }
    let gates = Arc::new((Notify::new(), Notify::new()));
    let server = start(Router::new().route("/wait", get(wait)).with_state(Arc::clone(&gates)), patient()).await;
    let call = h1().get(server.url("/wait")).send();
    let (address, tasks) = (server.address, server.tasks.clone());
    let control = async {
        gates.0.notified().await;
        tasks.cancelled().cancel();
        // The listener closes while the request goes on.
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        gates.1.notify_one();
    };
    let (answer, ()) = tokio::join!(call, control);
    assert_eq!(answer.unwrap().text().await.unwrap(), "done");
    server.stop().await;
}

#[tokio::test]
async fn shutdown_lets_a_websocket_answer() {
    async fn upgrade(State(gates): State<Arc<(Notify, Notify)>>, ws: WebSocketUpgrade) -> axum::response::Response {
        ws.on_upgrade(|mut socket| async move {
            let Some(Ok(asked)) = socket.recv().await else { return };
            gates.0.notify_one();
            gates.1.notified().await;
            socket.send(asked).await.unwrap();
        })
    }
    let gates = Arc::new((Notify::new(), Notify::new()));
    let server = start(Router::new().route("/ws", get(upgrade)).with_state(Arc::clone(&gates)), patient()).await;
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{}/ws", server.address)).await.unwrap();
    socket.send("hi".into()).await.unwrap();
    gates.0.notified().await;
    server.tasks.cancelled().cancel();
    // The listener closes while the request goes on.
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    gates.1.notify_one();
    let answer = tokio::time::timeout(PATIENCE, socket.next()).await.expect("an answer");
    assert_eq!(answer.unwrap().unwrap().into_text().unwrap(), "hi");
    drop(socket);
    server.stop().await;
}

#[tokio::test]
async fn live_events_arrive_and_end_at_shutdown() {
    let tasks = mainspring_core::Tasks::new();
    let stop = tasks.cancelled();
    let live = move || {
        let ticks = futures::stream::iter([("tick", 1), ("tick", 2)]).chain(futures::stream::pending());
        std::future::ready(sse(ticks, stop.clone()))
    };
    let server = start(Router::new().route("/live", get(live)), patient()).await;
    let mut answer = h1().get(server.url("/live")).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut text = String::new();
    while !text.contains("data: 2") {
        text.push_str(std::str::from_utf8(&answer.chunk().await.unwrap().unwrap()).unwrap());
    }
    assert!(text.contains("event: tick"));
    tasks.shutdown(Duration::from_secs(1)).await;
    assert!(answer.chunk().await.unwrap().is_none());
    server.stop().await;
}
