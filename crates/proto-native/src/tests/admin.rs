use super::world::{Got, World, who};
use axum::body::Body;
use http::{Request, StatusCode};
use mainspring_core::Role;
use serde_json::{Value, json};

async fn create(world: &World, role: &str) -> Got {
    world.call("POST", "/api/v1/keys", json!({"label": "ci", "role": role})).await
}

#[tokio::test]
async fn keys_are_made_listed_rotated_and_revoked() {
    let world = World::new().await;
    let made = create(&world, "read").await;
    assert_eq!(made.status, StatusCode::CREATED);
    let key = made.body["key"].as_str().unwrap().to_owned();
    let id = made.body["info"]["id"].as_str().unwrap().to_owned();
    assert!(key.starts_with(&format!("msk_{id}_")));
    let rotate = async |id: &str, body| world.call("POST", &format!("/api/v1/keys/{id}/rotate"), body).await;
    let new = rotate(&id, json!({"graceSeconds": 60})).await;
    assert_ne!(new.body["key"].as_str().unwrap(), key);
    assert!(new.body["info"].get("expiresAt").is_none(), "as the one before it: {}", new.body);
    let again = rotate(&id, json!({})).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert!(again.body.to_string().contains("was replaced by"), "{}", again.body);
    let list = world.get("/api/v1/keys").await.body;
    assert_eq!(list["keys"].as_array().unwrap().len(), 2);
    assert!(!list.to_string().contains(&key), "a secret is shown once");
    let gone = world.call("DELETE", &format!("/api/v1/keys/{id}"), Value::Null).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(world.call("DELETE", "/api/v1/keys/none", Value::Null).await.status, StatusCode::NOT_FOUND);
    let audit = world.get("/api/v1/audit?limit=1").await.body;
    assert_eq!(audit["entries"][0]["action"], "key.revoke");
    let token = audit["nextPageToken"].as_str().unwrap();
    let next = world.get(&format!("/api/v1/audit?limit=1&pageToken={token}")).await.body;
    assert_eq!(next["entries"][0]["action"], "key.rotate");
    // A refusal reaches the audit at some moment after its answer.
    let writer = who("default", Role::Write);
    assert_eq!(world.call_as(&writer, "GET", "/api/v1/keys", Value::Null).await.status, StatusCode::FORBIDDEN);
    assert_eq!(create(&world, "king").await.status, StatusCode::BAD_REQUEST);
}

fn login(key: &str, kind: &str) -> Request<Body> {
    let body = json!({ "key": key }).to_string();
    Request::post("/api/v1/session").header("content-type", kind).body(body.into()).unwrap()
}

#[tokio::test]
async fn a_key_logs_in_and_out_of_the_console() {
    let world = World::new().await;
    let key = create(&world, "write").await.body["key"].as_str().unwrap().to_owned();
    assert_eq!(world.send(None, login("msk_wrong", "application/json")).await.status, StatusCode::UNAUTHORIZED);
    let form = world.send(None, login(&key, "text/plain")).await;
    assert_eq!(form.status, StatusCode::BAD_REQUEST, "another site's page cannot send JSON");

    let got = world.send(None, login(&key, "application/json")).await;
    let cookie = got.headers["set-cookie"].to_str().unwrap().to_owned();
    for part in ["mainspring_session=", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "over clear text it would not be sent back: {cookie}");
    let mut behind_a_proxy = login(&key, "application/json");
    behind_a_proxy.headers_mut().insert("x-forwarded-proto", "https".parse().unwrap());
    let secure = world.send(None, behind_a_proxy).await;
    assert!(secure.headers["set-cookie"].to_str().unwrap().contains("; Secure"));
    assert_eq!(got.body["role"], "write");
    let csrf = got.body["csrfToken"].as_str().unwrap();
    let token = cookie.split(['=', ';']).nth(1).unwrap();
    let session = world.state.security.authenticate_session(token, Some(Some(csrf))).unwrap();

    let me = Request::get("/api/v1/session").header("cookie", &cookie).body(Body::empty()).unwrap();
    assert_eq!(world.send(Some(&session), me).await.body["csrfToken"], csrf, "a reload finds the token again");
    let out = Request::delete("/api/v1/session").header("cookie", &cookie).body(Body::empty()).unwrap();
    let out = world.send(Some(&session), out).await;
    assert!(out.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert!(world.state.security.authenticate_session(token, None).is_err());
}

#[tokio::test]
async fn health_is_open_and_the_rest_needs_a_caller() {
    let world = World::new().await;
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    assert_eq!(world.send(None, get("/livez")).await.status, StatusCode::OK);
    assert_eq!(world.send(None, get("/healthz")).await.status, StatusCode::OK);
    let ready = world.send(None, get("/readyz")).await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready.body["checks"][0]["message"], "it is not there");
    assert_eq!(world.send(None, get("/api/v1/openapi.json")).await.body["openapi"], "3.1.0");
    for path in ["/api/v1/info", "/api/v1/overview", "/api/v1/keys", "/api/v1/deployments", "/api/v1/session"] {
        assert_eq!(world.send(None, get(path)).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(world.get("/api/v1/info").await.body["name"], "mainspring");
    let reader = who("default", Role::Read);
    assert_eq!(world.call_as(&reader, "GET", "/api/v1/config", Value::Null).await.status, StatusCode::FORBIDDEN);
    assert!(world.dir().join("db").exists());
}
