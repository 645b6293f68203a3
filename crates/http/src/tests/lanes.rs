use super::{PATIENCE, patient, start};
use crate::{ServeSettings, apart};
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Barrier, Notify};

async fn thread() -> String {
    std::thread::current().name().unwrap_or_default().to_owned()
}

fn client() -> reqwest::ClientBuilder {
    let _installed = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy()
}

#[tokio::test]
async fn a_plain_connection_stays_on_a_lane_unless_it_is_set_apart() {
    let app = Router::new().route("/here", get(thread)).merge(apart(Router::new().route("/there", get(thread))));
    let server = start(app, patient()).await;
    let one = client().http1_only().build().unwrap();
    let two = client().http2_prior_knowledge().build().unwrap();
    for (client, path, on_a_lane) in
        [(&one, "/here", true), (&one, "/there", false), (&two, "/here", true), (&two, "/there", false)]
    {
        let name = client.get(server.url(path)).send().await.unwrap().text().await.unwrap();
        assert_eq!(name.starts_with("http-"), on_a_lane, "{path}: {name}");
    }
    drop((one, two));
    server.stop().await;
}

#[tokio::test]
async fn what_one_connection_has_too_much_of_is_shared() {
    const CALLS: usize = 12;
    async fn together(State(all): State<Arc<Barrier>>) -> String {
        all.wait().await;
        thread().await
    }
    let app = Router::new().route("/one", get(thread)).route("/all", get(together));
    let server = start(app.with_state(Arc::new(Barrier::new(CALLS))), patient()).await;
    let client = client().http2_prior_knowledge().build().unwrap();
    // The connection is there before the calls, which then share it.
    let first = client.get(server.url("/one")).send().await.unwrap().text().await.unwrap();
    for round in 0..2 {
        let call = || async { client.get(server.url("/all")).send().await.unwrap().text().await.unwrap() };
        let names = futures::future::join_all(std::iter::repeat_with(call).take(CALLS)).await;
        let on_its_lane = names.iter().filter(|name| **name == first).count();
        assert_eq!(on_its_lane, 8, "round {round}: {names:?}");
    }
    drop(client);
    server.stop().await;
}

#[tokio::test]
async fn a_lane_that_goes_quiet_after_some_work_says_so_once() {
    static QUIET: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let quiet = || QUIET.lock().unwrap().push(std::thread::current().name().unwrap_or_default().to_owned());
    let server = start(Router::new().route("/", get(thread)), ServeSettings { quiet, ..patient() }).await;
    let client = client().http1_only().build().unwrap();
    let call = || async { client.get(server.url("/")).send().await.unwrap().text().await.unwrap() };
    let lane = call().await;
    for _ in 0..200 {
        assert_eq!(call().await, lane, "it is one connection");
    }
    let told = async {
        while QUIET.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("it is called");
    assert!(QUIET.lock().unwrap().iter().all(|name| *name == lane));
    // A machine that stood still in between may have looked quiet before; by now it is.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let calls = QUIET.lock().unwrap().len();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(QUIET.lock().unwrap().len(), calls, "it is not called again for nothing");
    drop(client);
    server.stop().await;
}

/// Tells that it was dropped.
struct Told(Arc<Notify>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn a_request_set_apart_is_given_up_when_its_caller_goes() {
    async fn forever(State((began, ended)): State<(Arc<Notify>, Arc<Notify>)>) {
        let _told = Told(ended);
        began.notify_one();
        std::future::pending::<()>().await;
    }
    let (began, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let app = Router::new().route("/", get(forever)).with_state((Arc::clone(&began), Arc::clone(&ended)));
    let server = start(apart(app), patient()).await;
    let mut caller = TcpStream::connect(server.address).await.unwrap();
    caller.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    began.notified().await;
    drop(caller);
    tokio::time::timeout(PATIENCE, ended.notified()).await.expect("the handler is dropped");
    server.stop().await;
}
