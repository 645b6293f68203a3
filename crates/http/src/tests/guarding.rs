use super::Known;
use crate::{Caller, Guard, MaybeCaller, Peer, problem};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::routing::{get, post};
use http::{Request, StatusCode, header::WWW_AUTHENTICATE};
use std::sync::Arc;
use tower::ServiceExt;

async fn who(Caller(who): Caller) -> String {
    who.subject.to_string()
}

fn known(loopback: bool) -> Arc<Known> {
    Arc::new(Known { loopback, hosts: vec!["ml.example.com".into()] })
}

fn app(loopback: bool) -> Router {
    Guard::new(known(loopback)).protect(Router::new().route("/", get(who).post(who)), problem)
}

struct Sent<'a> {
    method: &'a str,
    from: &'a str,
    headers: &'a [(&'a str, &'a str)],
}

async fn send(app: Router, sent: Sent<'_>) -> (StatusCode, http::HeaderMap, String) {
    let mut request = Request::builder().method(sent.method).uri("/");
    for (name, value) in sent.headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Body::empty()).unwrap();
    request.extensions_mut().insert(Peer::new(sent.from.parse().unwrap(), false));
    let response = app.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

const FAR: &str = "203.0.113.7:5";
const NEAR: &str = "127.0.0.1:5";

#[tokio::test]
async fn one_key_works_in_every_form() {
    for header in [
        ("authorization", "Bearer right"),
        ("authorization", "bearer right"),
        ("authorization", "Basic YW55Ym9keTpyaWdodA=="), // anybody:right
        ("authorization", "Basic cmlnaHQ6"),             // right:
        ("x-api-key", "right"),
        ("ocp-apim-subscription-key", "right"),
    ] {
        let (status, _, body) = send(app(false), Sent { method: "GET", from: FAR, headers: &[header] }).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "key:right"), "{header:?}");
    }
}

#[tokio::test]
async fn a_request_signed_for_aws_brings_its_key_as_the_session_token() {
    let signed = (
        "authorization",
        "AWS4-HMAC-SHA256 Credential=x/20261125/eu/sagemaker/aws4_request, SignedHeaders=host, Signature=0",
    );
    for (token, from, loopback, expected) in [
        (Some("right"), FAR, false, (StatusCode::OK, "key:right")),
        (Some("right"), NEAR, true, (StatusCode::OK, "key:right")),
        (Some("wrong"), NEAR, true, (StatusCode::UNAUTHORIZED, "")),
        (None, FAR, true, (StatusCode::UNAUTHORIZED, "")),
    ] {
        let headers: Vec<(&str, &str)> =
            [Some(signed), token.map(|t| ("x-amz-security-token", t))].into_iter().flatten().collect();
        let (status, _, body) = send(app(loopback), Sent { method: "GET", from, headers: &headers }).await;
        assert_eq!(status, expected.0, "{headers:?}");
        assert!(body.contains(expected.1), "{body}");
    }
    let near = [signed, ("host", "127.0.0.1")];
    let (status, _, _) = send(app(true), Sent { method: "GET", from: NEAR, headers: &near }).await;
    assert_eq!(status, StatusCode::OK);
    // The token alone is not how a key is sent.
    let alone = [("x-amz-security-token", "right")];
    let (status, _, _) = send(app(false), Sent { method: "GET", from: FAR, headers: &alone }).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn wrong_missing_and_odd_credentials_are_refused_with_a_problem() {
    for headers in [
        vec![],
        vec![("authorization", "Bearer wrong")],
        vec![("authorization", "Basic !!!")],
        vec![("authorization", "AWS4-HMAC-SHA256 Credential=x")],
        vec![("authorization", "right")],
        vec![("cookie", "mainspring_session=gone")],
    ] {
        let (status, out, body) = send(app(false), Sent { method: "GET", from: FAR, headers: &headers }).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{headers:?}");
        assert!(out.contains_key(WWW_AUTHENTICATE));
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["kind"], "unauthenticated");
        assert!(body["hint"].is_string());
        assert_eq!(body["request_id"].as_str().unwrap(), out["x-request-id"].to_str().unwrap());
    }
}

#[tokio::test]
async fn loopback_needs_no_key_but_its_own_host_and_origin() {
    let ok: [&[(&str, &str)]; 6] = [
        &[("host", "localhost:8080")],
        &[("host", "127.0.0.1:8080")],
        &[("host", "[::1]:8080")],
        &[("host", "ml.example.com")],
        &[("host", "localhost:8080"), ("origin", "http://localhost:8080")],
        &[("host", "localhost:8080"), ("cookie", "mainspring_session=gone")],
    ];
    for headers in ok {
        let (status, _, body) = send(app(true), Sent { method: "POST", from: NEAR, headers }).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "loopback"), "{headers:?}");
    }
    let tricks: [&[(&str, &str)]; 5] = [
        &[("host", "evil.example:8080")],
        &[("host", "localhost:8080"), ("origin", "http://evil.example")],
        &[("host", "localhost:8080"), ("origin", "null")],
        &[("host", "localhost:8080"), ("x-forwarded-for", "203.0.113.9")],
        &[],
    ];
    for headers in tricks {
        let (status, ..) = send(app(true), Sent { method: "POST", from: NEAR, headers }).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{headers:?}");
    }
    let far = Sent { method: "GET", from: FAR, headers: &[("host", "localhost:8080")] };
    assert_eq!(send(app(true), far).await.0, StatusCode::UNAUTHORIZED);
    let shut = Sent { method: "GET", from: NEAR, headers: &[("host", "localhost:8080")] };
    assert_eq!(send(app(false), shut).await.0, StatusCode::UNAUTHORIZED);
    let v6 = Sent { method: "GET", from: "[::ffff:127.0.0.1]:5", headers: &[("host", "localhost:8080")] };
    assert_eq!(send(app(true), v6).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_wrong_key_on_loopback_is_refused_although_none_is_needed() {
    let headers = [("host", "localhost"), ("x-api-key", "wrong")];
    assert_eq!(
        send(app(true), Sent { method: "GET", from: NEAR, headers: &headers }).await.0,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_session_needs_its_csrf_token_and_its_own_origin() {
    let cookie = ("cookie", "theme=dark; mainspring_session=s1");
    let get = Sent { method: "GET", from: FAR, headers: &[cookie] };
    assert_eq!(send(app(false), get).await.2, "session:s1");
    let without = Sent { method: "POST", from: FAR, headers: &[cookie] };
    assert_eq!(send(app(false), without).await.0, StatusCode::FORBIDDEN);
    let with = Sent { method: "POST", from: FAR, headers: &[cookie, ("x-csrf-token", "c1")] };
    assert_eq!(send(app(false), with).await.0, StatusCode::OK);
    let foreign = [cookie, ("x-csrf-token", "c1"), ("host", "ml.example.com"), ("origin", "https://evil.example")];
    assert_eq!(send(app(false), Sent { method: "POST", from: FAR, headers: &foreign }).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_open_route_answers_everybody_and_knows_the_known() {
    async fn maybe(MaybeCaller(who): MaybeCaller) -> String {
        who.map_or_else(|| "nobody".into(), |w| w.subject.to_string())
    }
    let app = || Guard::new(known(false)).open(Router::new().route("/", post(maybe)), problem);
    let wrong = Sent { method: "POST", from: FAR, headers: &[("x-api-key", "wrong")] };
    assert_eq!(send(app(), wrong).await.2, "nobody");
    let right = Sent { method: "POST", from: FAR, headers: &[("x-api-key", "right")] };
    assert_eq!(send(app(), right).await.2, "key:right");
}

#[tokio::test]
async fn the_request_id_given_is_echoed() {
    let headers = [("x-api-key", "right"), ("x-request-id", "abc-1")];
    let (_, out, _) = send(app(false), Sent { method: "GET", from: FAR, headers: &headers }).await;
    assert_eq!(out["x-request-id"], "abc-1");
    let (_, out, _) = send(app(false), Sent { method: "GET", from: FAR, headers: &headers[..1] }).await;
    assert!(!out.contains_key("x-request-id"), "a success without an id costs nothing");
}
