use super::{patient, self_signed, start};
use crate::client::is_public;
use crate::{Client, ClientError, ClientSettings, Reach, ServeSettings};
use axum::Router;
use axum::response::Redirect;
use axum::routing::get;
use mainspring_core::{ErrorKind, Failure};
use reqwest::Method;
use std::net::IpAddr;

fn public() -> Client {
    Client::new(&ClientSettings::default()).unwrap()
}

fn anywhere() -> Client {
    Client::new(&ClientSettings { reach: Reach::Anywhere, ..ClientSettings::default() }).unwrap()
}

#[test]
fn addresses_inside_are_told_from_public_ones() {
    for inside in [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
        "192.0.0.8",
        "240.0.0.1",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "fd00::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::",
        "2001:db8::1",
        "2001::1",
    ] {
        assert!(!is_public(inside.parse::<IpAddr>().unwrap()), "{inside}");
    }
    for outside in ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "64:ff9b::101:101", "::ffff:8.8.8.8"]
    {
        assert!(is_public(outside.parse::<IpAddr>().unwrap()), "{outside}");
    }
}

#[tokio::test]
async fn a_url_from_a_user_cannot_reach_inside() {
    for url in [
        "http://127.0.0.1:1/",
        "http://[::1]/",
        "http://169.254.169.254/latest",
        "http://2130706433/",
        "http://0x7f.1/",
    ] {
        let refused = public().request(Method::GET, url).unwrap_err();
        assert!(matches!(refused, ClientError::Inside { .. }), "{url}: {refused}");
        assert_eq!(refused.kind(), ErrorKind::Denied);
    }
    for url in ["file:///etc/passwd", "ftp://example.com", "http://user:pw@example.com/", "no url"] {
        assert_eq!(public().request(Method::GET, url).unwrap_err().kind(), ErrorKind::InvalidInput, "{url}");
    }
    // A name is resolved first, and what it resolves to is checked.
    let error = public().request(Method::GET, "http://localhost:1/").unwrap().send().await.unwrap_err();
    assert!(ClientError::from(error).to_string().contains("not a public address"));
}

#[tokio::test]
async fn the_operators_client_reaches_loopback_and_follows_redirects() {
    let app = Router::new().route("/a", get(|| async { Redirect::temporary("/b") })).route("/b", get(|| async { "b" }));
    let server = start(app, patient()).await;
    let answer = anywhere().request(Method::GET, &server.url("/a")).unwrap().send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "b");
    let settings = ClientSettings { reach: Reach::Anywhere, redirects: false, ..ClientSettings::default() };
    let answer = Client::new(&settings).unwrap().request(Method::GET, &server.url("/a")).unwrap().send().await.unwrap();
    assert_eq!(answer.status(), 307, "unless it was told to follow none");
    server.stop().await;
}

#[tokio::test]
async fn an_unknown_certificate_is_refused_unless_it_was_named() {
    let dir = tempfile::tempdir().unwrap();
    let settings = ServeSettings { tls: Some(self_signed(dir.path())), ..patient() };
    let server = start(Router::new().route("/", get(|| async { "hi" })), settings).await;
    let url = format!("https://localhost:{}/", server.address.port());
    assert!(anywhere().request(Method::GET, &url).unwrap().send().await.is_err());
    let pem = std::fs::read(dir.path().join("cert.pem")).unwrap();
    let trusting =
        Client::new(&ClientSettings { reach: Reach::Anywhere, extra_roots: vec![pem], ..ClientSettings::default() });
    let answer = trusting.unwrap().request(Method::GET, &url).unwrap().send().await.unwrap();
    assert_eq!(answer.version(), http::Version::HTTP_2, "ALPN chooses HTTP/2");
    server.stop().await;
}
