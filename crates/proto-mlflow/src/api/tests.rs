//! What needs no server: reading requests and writing errors.

use super::error::render_error;
use super::request::Fields;
use mainspring_core::ErrorKind;
use proptest::prelude::*;

#[test]
fn a_query_repeats_its_lists_and_decodes() {
    let f = Fields::from_query("run_id=a%2Fb+c&order_by=x&order_by=y&max_results=5&flag=TRUE");
    assert_eq!(f.required("run_id").unwrap(), "a/b c");
    assert_eq!(f.texts("order_by").unwrap(), ["x", "y"]);
    assert_eq!(f.int("max_results").unwrap(), Some(5));
    assert_eq!(f.flag("flag").unwrap(), Some(true));
    assert_eq!(f.texts("none").unwrap(), Vec::<String>::new());
    assert!(f.flag("run_id").is_err());
}

#[test]
fn old_clients_encode_their_json_twice() {
    let f = Fields::from_json(br#""{\"name\": \"x\"}""#).unwrap();
    assert_eq!(f.required("name").unwrap(), "x");
}

#[test]
fn one_field_spelled_twice_is_refused() {
    let f = Fields::from_json(br#"{"run_id": "a", "runId": "b"}"#).unwrap();
    assert!(f.text("run_id").is_err());
    let f = Fields::from_json(br#"{"runId": "b"}"#).unwrap();
    assert_eq!(f.run_id().unwrap(), "b");
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let f = Fields::from_json(br#"{"name": 3, "empty": ""}"#).unwrap();
    for result in [f.required("name"), f.required("empty"), f.required("absent")] {
        assert!(result.is_err());
    }
    for body in [&b"[1]"[..], b"{", b"3"] {
        assert!(Fields::from_json(body).is_err());
    }
    assert!(!Fields::from_json(b" ").unwrap().has("x").unwrap());
}

#[tokio::test]
async fn each_kind_has_mlflows_status_and_name() {
    let expected = [
        (ErrorKind::InvalidInput, 400, "INVALID_PARAMETER_VALUE"),
        (ErrorKind::Unauthenticated, 401, "UNAUTHENTICATED"),
        (ErrorKind::Denied, 403, "PERMISSION_DENIED"),
        (ErrorKind::NotFound, 404, "RESOURCE_DOES_NOT_EXIST"),
        (ErrorKind::AlreadyExists, 400, "RESOURCE_ALREADY_EXISTS"),
        (ErrorKind::Conflict, 409, "RESOURCE_CONFLICT"),
        (ErrorKind::Overloaded, 429, "REQUEST_LIMIT_EXCEEDED"),
        (ErrorKind::Internal, 500, "INTERNAL_ERROR"),
        (ErrorKind::Unimplemented, 501, "NOT_IMPLEMENTED"),
        (ErrorKind::Unavailable, 503, "TEMPORARILY_UNAVAILABLE"),
    ];
    for (kind, status, name) in expected {
        let response = render_error(kind, "what happened", None);
        assert_eq!(response.status().as_u16(), status);
        if kind == ErrorKind::Unauthenticated {
            assert_eq!(response.headers()["www-authenticate"], "Basic realm=\"mlflow\"");
        }
        let body = axum::body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body, serde_json::json!({"error_code": name, "message": "what happened"}));
    }
}

proptest! {
    #[test]
    fn no_query_makes_it_panic(text in "\\PC{0,60}") {
        let f = Fields::from_query(&text);
        let _ = f.text("a");
        let _ = f.texts("a");
        let _ = f.int("a");
    }
}
