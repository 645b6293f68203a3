use super::{PATIENCE, patient, start};
use crate::apart;
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;

async fn thread() -> String {
    std::thread::current().name().unwrap_or_default().to_owned()
}

fn client() -> reqwest::ClientBuilder {
    let _installed = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy()
}

#[tokio::test]
async fn plain_http1_stays_on_a_lane_unless_it_is_set_apart() {
    let app = Router::new().route("/here", get(thread)).merge(apart(Router::new().route("/there", get(thread))));
    let server = start(app, patient()).await;
    let one = client().http1_only().build().unwrap();
    let two = client().http2_prior_knowledge().build().unwrap();
    for (client, path, on_a_lane) in [(&one, "/here", true), (&one, "/there", false), (&two, "/here", false)] {
        let name = client.get(server.url(path)).send().await.unwrap().text().await.unwrap();
        assert_eq!(name.starts_with("http-"), on_a_lane, "{path}: {name}");
    }
    drop((one, two));
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
