use super::{House, open};
use crate::Limits;
use axum::body::Body;
use bytes::Bytes;
use flate2::Compression;
use http::{HeaderMap, Request};
use mainspring_core::{ErrorKind, Outcome};
use mainspring_serving::{ByteSize, CacheSpec, DeploymentSpec, HumanDuration};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::time::Duration;
use tower::ServiceExt;

const INFER: &str = "/v2/models/adder/infer";

async fn send(house: &House, request: Request<Body>) -> (u16, HeaderMap, Bytes) {
    open(house.app().oneshot(request).await.unwrap()).await
}

async fn get(house: &House, path: &str) -> (u16, Value) {
    let (status, _, body) = send(house, Request::get(path).body(Body::empty()).unwrap()).await;
    (status, serde_json::from_slice(&body).unwrap())
}

async fn post(house: &House, path: &str, body: impl Into<Body>) -> (u16, HeaderMap, Value) {
    let (status, headers, body) = send(house, Request::post(path).body(body.into()).unwrap()).await;
    (status, headers, serde_json::from_slice(&body).unwrap())
}

fn rows(data: &str, count: usize) -> String {
    format!(r#"{{"id":"c1","inputs":[{{"name":"X","shape":[{count},3],"datatype":"FP32","data":{data}}}]}}"#)
}

fn error(body: &Value) -> &str {
    body["error"].as_str().unwrap()
}

#[tokio::test]
async fn a_request_is_answered_and_recorded() {
    let house = House::open().await;
    let (status, headers, body) = post(&house, INFER, rows("[[1,2,3],[4,5,6.5]]", 2)).await;
    assert_eq!(status, 200);
    let id = headers["mainspring-prediction-id"].to_str().unwrap();
    // HTTP/2 keeps what others say, too, and not the id.
    assert!(headers["mainspring-prediction-id"].is_sensitive() && !headers["mainspring-variant"].is_sensitive());
    assert_eq!(headers["mainspring-variant"], "stable");
    assert_eq!(headers["mainspring-model-version"], "rev-7");
    assert_eq!(
        body,
        json!({
            "id": "c1", "model_name": "adder", "model_version": "rev-7", "parameters": {"prediction_id": id},
            "outputs": [
                {"name": "sum", "datatype": "FP32", "shape": [2], "data": [6.0, 15.5]},
                {"name": "words", "datatype": "BYTES", "shape": [2], "data": ["sum 6", "sum 15.5"]},
            ]
        })
    );
    assert_eq!(house.journal(), [("oip-rest", Some("c1".into()), Outcome::Ok)]);
    let (status, _, _) = post(&house, "/v2/models/adder/versions/rev-7/infer", rows("[1,2,3]", 1)).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn binary_tensors_go_both_ways() {
    let house = House::open().await;
    let head = concat!(
        r#"{"inputs":[{"name":"X","shape":[1,3],"datatype":"FP32","parameters":{"binary_data_size":12}}],"#,
        r#""parameters":{"binary_data_output":true},"#,
        r#""outputs":[{"name":"words"},{"name":"sum","parameters":{"binary_data":true}}]}"#
    );
    let blob: Vec<u8> = [1.0_f32, 2.0, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let request = Request::post(INFER)
        .header("Inference-Header-Content-Length", head.len())
        .body(Body::from([head.as_bytes(), &blob].concat()))
        .unwrap();
    let (status, headers, body) = send(&house, request).await;
    assert_eq!(status, 200, "{body:?}");
    assert_eq!(headers["content-type"], "application/octet-stream");
    let length: usize = headers["inference-header-content-length"].to_str().unwrap().parse().unwrap();
    let json: Value = serde_json::from_slice(&body[..length]).unwrap();
    assert_eq!(json["outputs"][0]["name"], "words");
    assert_eq!(json["outputs"][1]["parameters"]["binary_data_size"], 4);
    assert_eq!(&body[length..], [b"\x05\0\0\0sum 7".as_slice(), &7.0_f32.to_le_bytes()].concat());
}

#[tokio::test]
async fn top_classes_come_in_place_of_values() {
    let house = House::open().await;
    let asked = |output: &str| {
        rows("[[1,2,3],[4,5,6.5]]", 2).replace("\"inputs\"", &format!("\"outputs\":[{output}],\"inputs\""))
    };
    let (status, _, body) = post(&house, INFER, asked(r#"{"name":"sum","parameters":{"classification":2}}"#)).await;
    assert_eq!(status, 200, "{body}");
    // A row of one value has one class, whatever is asked for.
    let sum = json!({"name": "sum", "datatype": "BYTES", "shape": [2, 1], "data": ["6.000000:0", "15.500000:0"]});
    assert_eq!(body["outputs"], json!([sum]));
    let (status, _, body) = post(&house, INFER, asked(r#"{"name":"words","parameters":{"classification":2}}"#)).await;
    assert_eq!((status, error(&body).contains("have no classes")), (400, true), "{body}");
    let (_, server) = get(&house, "/v2").await;
    assert!(server["extensions"].as_array().unwrap().contains(&json!("classification")));
}

#[tokio::test]
async fn a_raw_body_is_the_only_input() {
    let house = House::open().await;
    let blob: Vec<u8> = [1.0_f32, 2.0, 5.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let raw =
        |body: Vec<u8>| Request::post(INFER).header("Inference-Header-Content-Length", 0).body(body.into()).unwrap();
    let (status, headers, body) = send(&house, raw(blob.clone())).await;
    let length: usize = headers["inference-header-content-length"].to_str().unwrap().parse().unwrap();
    assert_eq!(status, 200);
    assert_eq!(body[length..length + 4], 8.0_f32.to_le_bytes());
    let (status, _, body) = send(&house, raw(blob[1..].to_vec())).await;
    assert_eq!(status, 400);
    assert_eq!(
        serde_json::from_slice::<Value>(&body).unwrap()["error"],
        "input \"X\": shape [1, 3] of FP32 needs 12 bytes, got 11"
    );
}

#[tokio::test]
async fn wrong_requests_are_refused_with_their_status_and_recorded() {
    let house = House::open().await;
    let cases: [(&str, String, u16, &str); 11] = [
        (INFER, "{".into(), 400, "the body is not JSON: expected a member name in quotes, at byte 1"),
        (INFER, rows("[1,2]", 1), 400, "inputs[0].data: shape [1, 3] needs 3 elements, got 2"),
        (
            INFER,
            rows("[1,2]", 1).replace("3]", "2]"),
            400,
            "input \"X\" has shape [-1, 3] (-1 is any size), got [1, 2]",
        ),
        (INFER, rows("[]", 0), 400, "the request has no rows"),
        (INFER, rows("[1,2,3]", 1).replace("\"X\"", "\"Y\""), 400, "unexpected input \"Y\""),
        (INFER, rows("[-1,2,3]", 1), 400, "the model failed: no such row"),
        (INFER, rows("[-2,2,3]", 1), 500, "the model failed: no such row"),
        (INFER, rows("[-3,2,3]", 1), 400, "output \"words\" holds bytes that are not UTF-8 text"),
        (INFER, r#"{"inputs":[],"parameters":{"sequence_id":3}}"#.into(), 501, "a sequence of requests"),
        (
            INFER,
            r#"{"inputs":[{"name":"X","parameters":{"shared_memory_region":"r"}}]}"#.into(),
            501,
            "shared memory (inputs[0].parameters.shared_memory_region)",
        ),
        (
            INFER,
            rows("[1,2,3]", 1).replace("\"inputs\"", "\"outputs\":[{\"name\":\"sm\"}],\"inputs\""),
            400,
            "unexpected output \"sm\" (did you mean \"sum\"?); the model has \"sum\", \"words\"",
        ),
    ];
    let count = cases.len();
    for (path, request, expected, text) in cases {
        let (status, _, body) = post(&house, path, request.clone()).await;
        assert_eq!(status, expected, "{request} {body}");
        assert!(error(&body).starts_with(text), "{request}: {body}");
    }
    let journal = house.journal();
    assert_eq!(journal.len(), count);
    assert!(journal.iter().all(|(_, _, outcome)| matches!(outcome, Outcome::Failed { .. })));
}

#[tokio::test]
async fn what_does_not_exist_or_is_not_ready_says_so() {
    let house = House::open().await;
    let body = rows("[1,2,3]", 1);
    for (path, expected, text) in [
        ("/v2/models/addr/infer", 404, "there is no deployment \"addr\"; did you mean \"adder\"?"),
        ("/v2/models/b%C3%A4d/infer", 404, "there is no deployment \"bäd\""),
        (
            "/v2/models/adder/versions/9/infer",
            404,
            "deployment \"adder\" does not serve version \"9\"; it serves rev-7",
        ),
        ("/v2/models/broken/infer", 503, "deployment \"broken\" is FAILED: models:/gone/1 is gone"),
    ] {
        let (status, headers, answer) = post(&house, path, body.clone()).await;
        assert_eq!(status, expected, "{path}");
        assert!(error(&answer).starts_with(text), "{path}: {answer}");
        assert_eq!(headers.contains_key("retry-after"), expected == 503);
    }
    assert_eq!(get(&house, "/v2/models/addr").await.0, 404);
    assert_eq!(get(&house, "/v2/models/addr/stats").await.0, 404);
    assert_eq!(get(&house, "/v2/models/broken").await.0, 503);
    assert_eq!(get(&house, "/v2/models/broken/ready").await.0, 503);
    assert_eq!(get(&house, "/v2/models/adder/versions/9").await.0, 404);
    let (status, body) = get(&house, INFER).await;
    assert_eq!((status, error(&body)), (405, "GET is not a method of /v2/models/adder/infer"));
}

#[tokio::test]
async fn header_lengths_are_checked() {
    let house = House::open().await;
    for (length, text) in [
        ("9999", "Inference-Header-Content-Length is 9999, but the body has"),
        ("x", "Inference-Header-Content-Length is \"x\", which is not a number of bytes"),
        ("-1", "Inference-Header-Content-Length is \"-1\", which is not a number of bytes"),
        ("20", "the body is not JSON"),
    ] {
        let request = Request::post(INFER).header("Inference-Header-Content-Length", length);
        let (status, _, body) = send(&house, request.body(rows("[1,2,3]", 1).into()).unwrap()).await;
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(status, 400);
        assert!(error(&body).starts_with(text), "{length}: {body}");
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut coder = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
    coder.write_all(text.as_bytes()).unwrap();
    coder.finish().unwrap()
}

fn zlib(text: &str) -> Vec<u8> {
    let mut coder = flate2::write::ZlibEncoder::new(Vec::new(), Compression::default());
    coder.write_all(text.as_bytes()).unwrap();
    coder.finish().unwrap()
}

#[tokio::test]
async fn bodies_may_be_compressed() {
    let house = House::with(Limits { max_body: 100_000, ..Limits::default() }).await;
    let many = rows(&format!("[{}]", vec!["[1,2,3]"; 200].join(",")), 200);
    for (coding, body) in [("gzip", gzip(&many)), ("deflate", zlib(&many))] {
        let request = Request::post(INFER).header("Content-Encoding", coding).header("Accept-Encoding", coding);
        let (status, headers, body) = send(&house, request.body(body.into()).unwrap()).await;
        assert_eq!(status, 200, "{body:?}");
        assert_eq!(headers["content-encoding"], coding);
        let mut text = String::new();
        match coding {
            "gzip" => flate2::read::GzDecoder::new(&*body).read_to_string(&mut text).unwrap(),
            _ => flate2::read::ZlibDecoder::new(&*body).read_to_string(&mut text).unwrap(),
        };
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["outputs"][0]["data"][199], 6.0);
    }
    let bomb = gzip(&" ".repeat(10_000_000));
    assert!(bomb.len() < 100_000);
    for (coding, body, status) in [
        ("gzip", bomb, 413),
        ("gzip", b"plain".to_vec(), 400),
        ("br", b"x".to_vec(), 400),
        ("identity", many.clone().into_bytes(), 200),
    ] {
        let request = Request::post(INFER).header("Content-Encoding", coding).body(body.into()).unwrap();
        assert_eq!(send(&house, request).await.0, status, "{coding}");
    }
    let huge = Request::post(INFER).body(Body::from(vec![b' '; 100_001])).unwrap();
    assert_eq!(send(&house, huge).await.0, 413);
}

#[tokio::test]
async fn a_passed_deadline_is_504() {
    let house = House::open().await;
    let late = rows("[1,2,3]", 1).replace("\"inputs\"", "\"parameters\":{\"timeout\":1},\"inputs\"");
    let (status, _, body) = post(&house, INFER, late).await;
    assert_eq!(status, 504, "{body}");
    assert!(matches!(house.journal()[0].2, Outcome::Failed { kind: ErrorKind::DeadlineExceeded, .. }));
    let request = Request::post(INFER).header("mainspring-timeout-ms", "soon").body(rows("[1,2,3]", 1).into()).unwrap();
    assert_eq!(send(&house, request).await.0, 400);
    let request =
        Request::post(INFER).header("mainspring-timeout-ms", "60000").body(rows("[1,2,3]", 1).into()).unwrap();
    assert_eq!(send(&house, request).await.0, 200);
}

#[tokio::test]
async fn callers_need_the_right_role() {
    let house = House::open().await;
    let call = |method: &str, path: &str, role: &str| {
        Request::builder().method(method).uri(path).header("x-role", role).body(Body::from(rows("[1,2,3]", 1))).unwrap()
    };
    assert_eq!(send(&house, call("POST", INFER, "none")).await.0, 401);
    assert_eq!(send(&house, call("POST", INFER, "infer")).await.0, 200);
    assert_eq!(send(&house, call("GET", "/v2/models/adder", "infer")).await.0, 200);
    let (status, _, body) = send(&house, call("GET", "/v2/models/adder/stats", "infer")).await;
    assert_eq!(status, 403);
    assert!(
        serde_json::from_slice::<Value>(&body).unwrap()["error"].as_str().unwrap().contains("may not deployment.stats")
    );
    assert_eq!(send(&house, call("GET", "/v2/health/ready", "none")).await.0, 200);
}

#[tokio::test]
async fn models_describe_themselves() {
    let house = House::open().await;
    let tensors = |shape: Value| json!([{"name": "X", "datatype": "FP32", "shape": shape}]);
    let (_, body) = get(&house, "/v2/models/adder/versions/rev-7").await;
    assert_eq!(body["inputs"], tensors(json!([-1, 3])));
    assert_eq!(body["versions"], json!(["rev-7"]));
    assert_eq!(body["platform"], "onnxruntime_onnx");
    let (_, config) = get(&house, "/v2/models/adder/config").await;
    assert_eq!(config["backend"], "onnxruntime");
    let batched = config["max_batch_size"].as_i64().unwrap() > 0;
    let dims = if batched { json!([3]) } else { json!([-1, 3]) };
    assert_eq!(config["input"], json!([{"name": "X", "data_type": "TYPE_FP32", "dims": dims}]));
    assert_eq!(config["output"][1]["data_type"], "TYPE_STRING");
    assert_eq!(get(&house, "/v2/models/adder/ready").await, (200, json!({"name": "adder", "ready": true})));
    let (_, server) = get(&house, "/v2").await;
    assert_eq!(server["name"], "mainspring");
    assert_eq!(get(&house, "/v2/").await.1, server);
    let live = json!({"live": true, "ready": true});
    assert_eq!(get(&house, "/v2/health/live").await, (200, live.clone()));
    assert_eq!(get(&house, "/v2/health/ready").await, (200, live));
}

#[tokio::test]
async fn the_index_and_the_statistics_count() {
    let house = House::open().await;
    let (status, _, all) = post(&house, "/v2/repository/index", "").await;
    assert_eq!(status, 200);
    assert_eq!(all[0], json!({"name": "adder", "version": "rev-7", "state": "READY", "reason": ""}));
    assert_eq!((&all[1]["name"], &all[1]["state"]), (&json!("broken"), &json!("UNAVAILABLE")));
    assert!(all[1]["reason"].as_str().unwrap().contains("is gone"));
    let (_, _, ready) = post(&house, "/v2/repository/index", r#"{"ready":true}"#).await;
    assert_eq!(ready.as_array().unwrap().len(), 2);
    for rows_sent in [2, 3] {
        let data = format!("[{}]", vec!["[1,2,3]"; rows_sent].join(","));
        post(&house, INFER, rows(&data, rows_sent)).await;
    }
    post(&house, INFER, "{").await;
    for path in ["/v2/models/adder/stats", "/v2/models/adder/versions/rev-7/stats", "/v2/models/stats"] {
        let (_, body) = get(&house, path).await;
        let stats = &body["model_stats"][0];
        assert_eq!((&stats["name"], &stats["version"]), (&json!("adder"), &json!("rev-7")), "{path}");
        assert_eq!(stats["inference_count"], 5);
        assert_eq!(stats["inference_stats"]["success"]["count"], 2);
        assert_eq!(stats["inference_stats"]["fail"]["count"], 1);
        assert_eq!(stats["memory_usage"][0]["byte_size"], 1234);
    }
}

#[tokio::test]
async fn an_answer_that_was_kept_says_so_and_is_counted_as_triton_does() {
    let house = House::open().await;
    let plain = post(&house, INFER, rows("[[1,2,3]]", 1)).await;
    assert!(!plain.1.contains_key("cache-status"), "nothing is kept where nobody asks for it");
    let cache = CacheSpec { ttl: HumanDuration(Duration::from_mins(1)), max_bytes: ByteSize(1 << 20) };
    let mut spec = DeploymentSpec::new("models:/adder/1");
    spec.cache = Some(cache);
    house.declare("adder", spec).await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let (status, headers, body) = post(&house, INFER, rows("[[1,2,3]]", 1)).await;
        assert_eq!((status, &body["outputs"]), (200, &plain.2["outputs"]));
        seen.push((headers["cache-status"].to_str().unwrap().to_owned(), headers["mainspring-prediction-id"].clone()));
    }
    assert_eq!((&*seen[0].0, &*seen[1].0), ("mainspring; fwd=miss", "mainspring; hit"));
    assert_ne!(seen[0].1, seen[1].1);
    let (_, config) = get(&house, "/v2/models/adder/config").await;
    assert_eq!(config["response_cache"], json!({"enable": true}));
    let (_, body) = get(&house, "/v2/models/adder/stats").await;
    let stats = &body["model_stats"][0];
    let counts = ["cache_hit", "cache_miss"].map(|key| stats["inference_stats"][key]["count"].as_u64());
    assert_eq!((counts, &stats["inference_count"], &stats["execution_count"]), ([Some(1); 2], &json!(3), &json!(2)));
}

#[tokio::test]
async fn what_is_not_built_says_so() {
    let house = House::open().await;
    for path in [
        "/v2/repository/models/adder/load",
        "/v2/repository/models/adder/unload",
        "/v2/trace/setting",
        "/v2/logging",
        "/v2/systemsharedmemory/status",
        "/v2/cudasharedmemory/region/x/register",
    ] {
        let (status, _, body) = post(&house, path, "{}").await;
        assert_eq!(status, 501, "{path}");
        assert!(error(&body).contains("is not supported by this server; "), "{path}: {body}");
    }
}

#[tokio::test]
async fn generate_takes_an_object_and_answers_with_one() {
    let house = House::open().await;
    let (status, headers, body) = post(&house, "/v2/models/adder/generate", r#"{"id":"a","X":[1,2,3],"mine":1}"#).await;
    assert_eq!(status, 200, "{body}");
    let id = headers["mainspring-prediction-id"].to_str().unwrap();
    let expected = json!({
        "id": "a", "model_name": "adder", "model_version": "rev-7", "parameters": {"prediction_id": id},
        "sum": 6.0, "words": "sum 6"
    });
    assert_eq!(body, expected);
    let two = post(&house, "/v2/models/adder/versions/rev-7/generate", r#"{"X":[[1,2,3],[1,1,1]]}"#).await.2;
    assert_eq!((&two["sum"], &two["words"]), (&json!([6.0, 3.0]), &json!(["sum 6", "sum 3"])));
    for (wrong, says) in [
        ("[]", "the body must be an object, it is a list"),
        (r#"{"X":[1,2]}"#, "has shape [-1, 3]"),
        ("{}", "input \"X\" is missing"),
        (r#"{"X":[1,2,"a"]}"#, "inputs[0].data"),
        (r#"{"X":[-1,0,0]}"#, "no such row"),
    ] {
        let (status, headers, body) = post(&house, "/v2/models/adder/generate", wrong).await;
        assert_eq!(headers["mainspring-variant"], "stable", "{wrong}");
        assert!(status == 400 && error(&body).contains(says), "{wrong}: {status} {body}");
    }
    assert_eq!(house.journal().len(), 7);
}

#[tokio::test]
async fn generate_stream_sends_an_event_a_part_and_leaves_one_in_the_journal() {
    let house = House::open().await;
    let stream = async |path: &str, body: &str| {
        let request = Request::post(path).body(Body::from(body.to_owned())).unwrap();
        let (status, headers, body) = send(&house, request).await;
        (status, headers, String::from_utf8(body.to_vec()).unwrap())
    };
    let (status, headers, text) = stream("/v2/models/teller/generate_stream", r#"{"id":"s","X":[2,0,0]}"#).await;
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, "text/event-stream"));
    let events: Vec<Value> = text
        .split_terminator("\n\n")
        .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
        .collect();
    let id = headers["mainspring-prediction-id"].to_str().unwrap();
    assert_eq!(events.len(), 2, "{text}");
    assert_eq!((&events[0]["text"], &events[1]["text"]), (&json!("part 0"), &json!({"part": 1})));
    assert!(events.iter().all(|e| e["parameters"]["prediction_id"] == id && e["id"] == "s"));
    assert_eq!(house.journal().len(), 1);
    // A failure after the first part cannot be a status any more.
    let (status, _, text) = stream("/v2/models/teller/generate_stream", r#"{"X":[9,0,0]}"#).await;
    assert!(status == 200 && text.ends_with("data: {\"error\":\"the model failed: four are too many\"}\n\n"), "{text}");
    let (status, _, text) = stream("/v2/models/adder/generate_stream", r#"{"X":[-1,0,0]}"#).await;
    assert!(status == 400 && text.contains("no such row"), "{text}");
    let (_, _, text) = stream("/v2/models/adder/generate_stream", r#"{"X":[1,0,0]}"#).await;
    assert!(text.contains("\"sum\":1") && text.matches("data: ").count() == 1, "{text}");
    let outcomes: Vec<_> = house.journal().into_iter().map(|(_, _, outcome)| outcome == Outcome::Ok).collect();
    assert_eq!(outcomes, [true, false, false, true]);
}

#[tokio::test]
async fn each_unit_gets_its_variant_and_is_told_which() {
    let house = House::open().await;
    let row = house.rollout("adder").await;
    let ask = async |header: (&str, &str)| {
        let body = Body::from(rows("[1,2,3]", 1));
        let (status, headers, body) =
            send(&house, Request::post(INFER).header(header.0, header.1).body(body).unwrap()).await;
        let variant = headers.get("mainspring-variant").map(|v| v.to_str().unwrap().to_owned());
        (status, variant, serde_json::from_slice::<Value>(&body).unwrap())
    };
    let mut expected = Vec::new();
    for user in 0..12 {
        let user = format!("user-{user}");
        let variant = row.route.variant(row.route.choose(user.as_bytes()).variant);
        let (status, told, body) = ask(("x-user", &user)).await;
        assert_eq!((status, told.as_deref()), (200, Some(variant)));
        assert_eq!(body["model_version"], if variant == "v8" { "rev-8" } else { "rev-7" });
        expected.push((variant.to_owned(), mainspring_traffic::unit_id(user.as_bytes())));
    }
    assert_eq!(house.counted(), expected);
    for header in ["x-mainspring-variant", "mainspring-variant"] {
        assert_eq!(ask((header, "v8")).await.1.as_deref(), Some("v8"));
    }
    let (status, _, body) = ask(("x-mainspring-variant", "v9")).await;
    assert_eq!((status, error(&body)), (404, "deployment \"adder\" has no variant \"v9\"; it has stable, v8"));
    let (status, headers, _) = post(&house, "/v2/models/adder/versions/rev-8/infer", rows("[1,2,3]", 1)).await;
    assert_eq!((status, headers["mainspring-variant"].to_str().unwrap()), (200, "v8"));
    assert_eq!(house.counted(), expected, "who names a variant is not counted");
    let last = house.kept.0.lock().unwrap().iter().filter(|p| p.assignment.forced).count();
    assert_eq!(last, 3);
    assert!(matches!(&house.journal()[14].2, Outcome::Failed { kind: ErrorKind::NotFound, .. }));
}
