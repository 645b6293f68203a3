use super::{World, with};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{Request, StatusCode};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::io::Write;

#[tokio::test]
async fn a_refusal_names_the_field() {
    let world = World::new().await;
    let facet = |body: Value| json!({ "job": { "namespace": "a", "name": "b", "facets": { "f": body } } });
    for (change, named) in [
        (json!({ "eventTime": "gone" }), "eventTime is missing"),
        (json!({ "eventTime": "2026-02-30T00:00:00Z" }), "eventTime is \"2026-02-30"),
        (json!({ "eventTime": "yesterday" }), "eventTime"),
        (json!({ "eventTime": 5 }), "eventTime"),
        (json!({ "producer": "gone" }), "producer is missing"),
        (json!({ "producer": "me" }), "producer is \"me\""),
        (json!({ "schemaURL": "http://a b" }), "schemaURL"),
        (json!({ "eventType": "DONE" }), "eventType is \"DONE\"; it must be one of START"),
        (json!({ "run": { "runId": "7" } }), "run.runId is \"7\""),
        (json!({ "run": {} }), "run.runId is missing"),
        (json!({ "job": "gone" }), "job is missing"),
        (json!({ "job": "gone", "run": "gone" }), "about nothing"),
        (json!({ "run": "gone", "dataset": { "namespace": "a", "name": "b" } }), "job and dataset"),
        (json!({ "job": { "namespace": "a" } }), "job.name is missing"),
        (json!({ "job": { "namespace": "", "name": "b" } }), "job.namespace is empty"),
        (json!({ "job": { "namespace": "a\u{0}", "name": "b" } }), "job.namespace"),
        (json!({ "inputs": [{ "namespace": "a", "name": "b" }, { "name": "c" }] }), "inputs[1].namespace is missing"),
        (json!({ "inputs": {} }), "inputs"),
        (json!({ "outputs": [{ "namespace": "a", "name": "n".repeat(2_000) }] }), "outputs[0].name has 2000 bytes"),
        (facet(json!({})), "job.facets.f._producer is missing"),
        (facet(json!({ "_producer": "https://a" })), "job.facets.f._schemaURL is missing"),
        (facet(json!([])), "job.facets.f is no facet"),
        (facet(json!({ "_producer": "https://a", "_schemaURL": "https://a", "_deleted": "yes" })), "job.facets.f"),
    ] {
        let got = world.event(&with(change)).await;
        let detail = got.body["detail"].as_str().unwrap_or_default();
        assert_eq!(got.status, StatusCode::BAD_REQUEST, "{named}: {detail}");
        assert!(detail.contains(named), "{named}: {detail}");
    }
    assert_eq!(world.get("/api/v1/events/lineage").await.body["totalCount"], 0);
}

#[tokio::test]
async fn what_is_no_event_is_refused() {
    let world = World::new().await;
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let facet = |inner: &str| {
        let text = with(
            json!({ "job": { "namespace": "a", "name": "b", "facets": { "f": { "_producer": "https://a", "_schemaURL": "https://a", "x": 0 } } } }),
        );
        text.to_string().replace("\"x\":0", &format!("\"x\":{inner}"))
    };
    for body in ["", "{", "null", "[]", "7", "\"x\"", "{\"eventTime\":}", &deep, &facet(&deep)] {
        let got = world.post("/api/v1/lineage", body.to_owned()).await;
        assert_eq!(got.status, StatusCode::BAD_REQUEST, "{:.40}: {}", body, got.body);
    }
    assert_eq!(world.post("/api/v1/lineage", vec![b'{', 0xff, b'}']).await.status, StatusCode::BAD_REQUEST);
    let large = facet(&format!("\"{}\"", "x".repeat(2 << 20)));
    assert_eq!(world.post("/api/v1/lineage", large).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let fits = facet(&format!("\"{}[[[\\\"{{\"", "x".repeat(900 << 10)));
    assert_eq!(
        world.post("/api/v1/lineage", fits).await.status,
        StatusCode::CREATED,
        "brackets in a text nest nothing"
    );
}

fn packed(text: &[u8]) -> Vec<u8> {
    let mut coder = GzEncoder::new(Vec::new(), Compression::default());
    coder.write_all(text).unwrap();
    coder.finish().unwrap()
}

#[tokio::test]
async fn packed_bodies_are_unpacked_within_the_limit() {
    let world = World::new().await;
    let send = async |coding: &str, body: Vec<u8>| {
        let request = Request::post("/api/v1/lineage").header("content-encoding", coding);
        world.send("default", request.body(body.into()).unwrap()).await.status
    };
    assert_eq!(send("gzip", packed(with(json!({})).to_string().as_bytes())).await, StatusCode::CREATED);
    assert_eq!(send("gzip", packed(&vec![b' '; 100 << 20])).await, StatusCode::PAYLOAD_TOO_LARGE);
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(with(json!({})).to_string().as_bytes()).unwrap();
    assert_eq!(send("deflate", zlib.finish().unwrap()).await, StatusCode::CREATED);
    assert_eq!(send("gzip", b"no gzip".to_vec()).await, StatusCode::BAD_REQUEST);
    assert_eq!(send("br", b"{}".to_vec()).await, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_batch_takes_what_is_right_and_names_what_is_wrong() {
    let world = World::new().await;
    let second = with(json!({ "eventType": "START" }));
    let body = json!([with(json!({})), with(json!({ "producer": 5 })), second, with(json!({ "run": {} }))]);
    let got = world.post("/api/v1/lineage/batch", body.to_string()).await;
    assert_eq!(got.status, StatusCode::OK);
    assert_eq!(got.body["status"], "partial_success");
    let summary = json!({"received": 4, "successful": 2, "failed": 2, "retriable": 0, "non_retriable": 2});
    assert_eq!(got.body["summary"], summary);
    assert_eq!(got.body["failed_events"][1]["index"], 3);
    assert_eq!(got.body["failed_events"][1]["reason"], "run.runId is missing");
    assert_eq!(world.get("/api/v1/events/lineage").await.body["totalCount"], 2);
    assert_eq!(world.post("/api/v1/lineage/batch", "{}").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.post("/api/v1/lineage/batch", "[]").await.body["status"], "success");
}

#[tokio::test]
async fn a_batch_has_an_end_and_so_has_its_answer() {
    let world = World::new().await;
    let ones = |n: usize| format!("[{}1]", "1,".repeat(n - 1));
    let got = world.post("/api/v1/lineage/batch", ones(10_000)).await;
    assert_eq!((got.status, got.body["summary"]["failed"].as_u64()), (StatusCode::OK, Some(10_000)));
    // Nothing after the last event that is taken is read.
    for body in [ones(10_001), format!("{}?", ones(10_001).trim_end_matches(']'))] {
        let got = world.post("/api/v1/lineage/batch", body).await;
        let detail = got.body["detail"].as_str().unwrap_or_default();
        assert_eq!(got.status, StatusCode::BAD_REQUEST);
        assert!(detail.contains("at most 10000 events"), "{detail}");
    }
    let long = json!([with(json!({ "producer": "é ".repeat(100_000) }))]);
    let got = world.post("/api/v1/lineage/batch", long.to_string()).await;
    let reason = got.body["failed_events"][0]["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reason.starts_with("producer is") && reason.chars().count() == 500, "{reason}");
}

proptest! {
    /// Whatever is sent, it is taken or refused; and what is taken is kept as it was sent.
    #[test]
    fn any_text_is_taken_or_refused(text in "\\PC{0,200}") {
        if let Ok(event) = crate::event(&text) {
            prop_assert_eq!(event.body.as_str(), text.trim());
        }
    }

    #[test]
    fn any_value_in_any_field_is_taken_or_refused(
        field in prop::sample::select(vec!["eventTime", "producer", "schemaURL", "eventType", "run", "job", "dataset", "inputs", "outputs"]),
        value in prop_oneof![
            Just(json!(null)), Just(json!({})), Just(json!([])), Just(json!([{}])), any::<i64>().prop_map(|n| json!(n)),
            "\\PC{0,30}".prop_map(|s| json!(s)), "\\PC{0,30}".prop_map(|s| json!({ "namespace": s, "name": s, "facets": { s: {} } })),
        ],
    ) {
        let text = with(json!({ field: value })).to_string();
        if let Ok(event) = crate::event(&text) {
            prop_assert_eq!(event.body, text);
        }
    }
}
