//! Who may come in.

use crate::harness::{Server, answer, client, mainspring, text, wait_until};
use serde_json::json;

#[tokio::test]
async fn any_other_address_than_loopback_needs_a_key_to_exist() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let refused = mainspring().args(["up", "--host", "0.0.0.0", "--port", "0", "--data"]).arg(&data).output().unwrap();
    let said = text(&refused.stderr);
    assert!(!refused.status.success());
    assert!(said.contains("key create"), "{said}");

    let made = mainspring()
        .args(["key", "create", "first", "--role", "admin", "--offline", "--output", "json", "--data"])
        .arg(&data)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", text(&made.stderr));
    let key: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    let key = key["key"].as_str().unwrap().to_owned();

    let server = Server::on(&data, &["--host", "0.0.0.0"]).await;
    for path in ["/api/2.0/mlflow/experiments/get?experiment_id=0", "/v2/models/x", "/api/v1/overview", "/metrics"] {
        let (status, body) = server.get(path).await;
        assert_eq!(status, 401, "{path}: {body}");
    }
    // MLflow's client asks for credentials when it is told so.
    let refused = server.request("GET", "/api/2.0/mlflow/experiments/get?experiment_id=0").send().await.unwrap();
    assert_eq!(refused.headers()["www-authenticate"], "Basic realm=\"mlflow\"");
    assert_eq!(refused.json::<serde_json::Value>().await.unwrap()["error_code"], "UNAUTHENTICATED");
    for path in ["/livez", "/v2/health/live"] {
        assert_eq!(server.get(path).await.0, 200, "{path}");
    }
    let server = server.with_key(&key);
    assert_eq!(server.get("/api/2.0/mlflow/experiments/get?experiment_id=0").await.0, 200);
    for file in ["mainspring.db", "mainspring.db-wal"] {
        let bytes = std::fs::read(data.join(file)).unwrap_or_default();
        // It may have the separator in itself.
        let secret = key.splitn(3, '_').nth(2).unwrap().as_bytes();
        assert_eq!(secret.len(), 43);
        assert!(!bytes.windows(secret.len()).any(|w| w == secret), "{file} holds the key itself");
    }
    assert!(!server.log().contains(&key));
}

#[tokio::test]
async fn roles_bound_what_a_key_may_do_and_a_revoked_key_is_out_at_once() {
    let admin = Server::start().await;
    let made: serde_json::Value =
        serde_json::from_str(&admin.cli_ok(&["key", "create", "reader", "--role", "read", "-o", "json"])).unwrap();
    let key = made["key"].as_str().unwrap();
    let as_reader = |method: &str, path: &str| admin.request(method, path).bearer_auth(key);

    let (status, _) = answer(as_reader("GET", "/api/2.0/mlflow/experiments/get?experiment_id=0")).await;
    assert_eq!(status, 200);
    let create = as_reader("POST", "/api/2.0/mlflow/runs/create").json(&json!({"experiment_id": "0"}));
    let (status, body) = answer(create).await;
    assert_eq!((status, &body["error_code"]), (403, &json!("PERMISSION_DENIED")), "{body}");

    admin.cli_ok(&["key", "revoke", made["info"]["id"].as_str().unwrap()]);
    let (status, _) = answer(as_reader("GET", "/api/2.0/mlflow/experiments/get?experiment_id=0")).await;
    assert_eq!(status, 401);
    let audited = async || admin.get("/api/v1/audit").await.1.to_string();
    assert!(audited().await.contains("key.revoke"), "{}", audited().await);
    // A refusal reaches the audit at some moment after its answer.
    wait_until("the refusal is on record", || async { audited().await.contains("run.create") }).await;
}

#[tokio::test]
async fn a_page_of_another_site_cannot_use_the_open_loopback_door() {
    let server = Server::start().await;
    let path = format!("{}/api/2.0/mlflow/experiments/create", server.base);
    let forged = client().post(&path).header("origin", "http://evil.example").json(&json!({"name": "x"}));
    assert_eq!(answer(forged).await.0, 403);
    let rebound = client().post(&path).header("host", "evil.example").json(&json!({"name": "x"}));
    assert_eq!(answer(rebound).await.0, 403);
}

#[tokio::test]
async fn a_key_can_be_required_from_this_machine_too() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let refused = mainspring().args(["up", "--require-key", "--port", "0", "--data"]).arg(&data).output().unwrap();
    assert!(text(&refused.stderr).contains("key create"), "{}", text(&refused.stderr));
    let make = ["key", "create", "first", "--role", "admin", "--offline", "--data"];
    let made = mainspring().args(make).arg(&data).output().unwrap();
    assert!(made.status.success(), "{}", text(&made.stderr));
    let server = Server::on(&data, &["--require-key"]).await;
    assert_eq!(server.get("/api/v1/info").await.0, 401);
    let said = text(&server.cli(&["get", "deployment"]).stderr);
    assert!(said.contains("--api-key") && said.contains("MAINSPRING_API_KEY"), "{said}");
    let server = server.with_key(text(&made.stdout).trim());
    let (status, info) = server.get("/api/v1/info").await;
    assert_eq!((status, &info["openOnLoopback"]), (200, &json!(false)));
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_kept_is_for_this_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start().await;
    assert_eq!(std::fs::metadata(&server.data).unwrap().permissions().mode() & 0o077, 0);
}

/// Everything secret that a client may send, in every way it may be sent.
#[tokio::test]
async fn no_log_line_holds_a_secret_even_at_trace_level() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::on(&data, &["--log-level", "trace"]).await;
    let made: serde_json::Value =
        serde_json::from_str(&server.cli_ok(&["key", "create", "k", "--role", "admin", "-o", "json"])).unwrap();
    let key = made["key"].as_str().unwrap().to_owned();
    let get = || server.request("GET", "/api/v1/info");
    for request in [
        get().bearer_auth(&key),
        get().header("x-api-key", &key),
        get().basic_auth("", Some(&key)),
        get().basic_auth(&key, Some("")),
    ] {
        assert_eq!(answer(request).await.0, 200);
    }
    let h2 = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    assert_eq!(answer(h2.get(format!("{}/api/v1/info", server.base)).bearer_auth(&key)).await.0, 200);
    let login = server.request("POST", "/api/v1/session").json(&json!({ "key": key })).send().await.unwrap();
    let cookie = login.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let csrf = login.json::<serde_json::Value>().await.unwrap()["csrfToken"].as_str().unwrap().to_owned();
    let create = |token: &str| {
        let request = server.request("POST", "/api/v1/keys").header("cookie", &cookie).header("x-csrf-token", token);
        answer(request.json(&json!({"label": "second", "role": "read"})))
    };
    assert_eq!(create("").await.0, 403, "a session's change needs its CSRF token");
    let (status, second) = create(&csrf).await;
    assert_eq!(status, 201, "{second}");
    let token = cookie.split_once('=').unwrap().1;
    let log = server.log();
    assert!(log.contains("TRACE"), "the log is not at trace level");
    for secret in [&key, &csrf, token, second["key"].as_str().unwrap()] {
        // Its end: what stands before the secret itself names the key, and may be logged.
        let (_, end) = secret.split_at_checked(secret.len() - 16).unwrap();
        assert!(!log.contains(end), "a secret is in the log");
    }
}
