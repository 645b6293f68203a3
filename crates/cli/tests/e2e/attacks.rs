//! Bodies, connections and models that mean no good, and a disk that is full.

use crate::harness::{Server, answer, fixture, text, wait_until};
use crate::journey::identity_input;
use mainspring_testkit::{PATIENCE, TinyDisk};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.base.trim_start_matches("http://")).await.unwrap()
}

/// Sends a body of 100 MB in pieces of unknown number, reading nothing until the answer or the end.
async fn flood(server: &Server, path: &str) -> String {
    let (mut read, mut write) = connect(server).await.into_split();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    write.write_all(head.as_bytes()).await.unwrap();
    let piece = vec![b' '; 1_000_000];
    let sending = async {
        for _ in 0..100 {
            let head = format!("{:x}\r\n", piece.len());
            let parts = [head.as_bytes(), &piece, b"\r\n"].concat();
            // The server may have closed by then: it answered before the end.
            if write.write_all(&parts).await.is_err() {
                return;
            }
        }
        let _closed = write.write_all(b"0\r\n\r\n").await;
    };
    let mut got = Vec::new();
    let reading = async {
        let mut part = [0; 4096];
        while let Ok(n) = read.read(&mut part).await {
            got.extend_from_slice(&part[..n]);
            if n == 0 || text(&got).contains("\r\n\r\n") {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, async { tokio::join!(sending, reading) }).await.unwrap();
    text(&got)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_over_the_limit_is_refused_in_the_protocols_own_shape() {
    let server = Server::serving("identity.onnx").await;
    let before = server.resident();
    let doors = [
        ("/v2/models/echo/infer", "\"error\":"),
        ("/deployments/echo/invocations", "\"error_code\": \"REQUEST_LIMIT_EXCEEDED\""),
        ("/api/2.0/mlflow/runs/log-batch", "\"error_code\":"),
        ("/api/v1/deployments/echo/predict", "application/problem+json"),
        ("/api/v1/feedback", "application/problem+json"),
    ];
    for (path, shape) in doors.into_iter().chain(doors) {
        let said = flood(&server, path).await;
        assert!(said.starts_with("HTTP/1.1 413") && said.contains(shape), "{path}: {said}");
    }
    // What one body may take (the limit is 64 MiB, and the buffer grows by copying), not what ten took.
    let grown = server.resident().saturating_sub(before);
    assert!(grown < 320, "{grown} MiB more than before, from ten bodies one after the other");
    let input = identity_input(&server, "echo").await;
    assert_eq!(server.post("/v2/models/echo/infer", &input).await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_and_dawdling_connections_do_not_keep_others_waiting() {
    let server = Server::serving("identity.onnx").await;
    let input = identity_input(&server, "echo").await;
    let mut held = Vec::new();
    for at in 0..300 {
        let mut idle = connect(&server).await;
        match at % 3 {
            0 => {}
            // Half a head, and a body of which one byte came.
            1 => idle.write_all(b"POST /v2/models/echo/infer HTTP/1.1\r\nhost: localh").await.unwrap(),
            _ => {
                let head = "POST /v2/models/echo/infer HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n{";
                idle.write_all(head.as_bytes()).await.unwrap();
            }
        }
        held.push(idle);
    }
    let busy = (0..100).map(|_| async {
        for _ in 0..10 {
            let (status, body) = server.post("/v2/models/echo/infer", &input).await;
            assert_eq!(status, 200, "{body}");
        }
    });
    let done = tokio::time::timeout(PATIENCE, futures::future::join_all(busy)).await;
    assert!(done.is_ok(), "1000 requests beside 300 idle connections took over {PATIENCE:?}");
    drop(held);
}

#[tokio::test]
async fn a_flood_of_headers_is_refused() {
    let server = Server::start().await;
    for headers in [format!("x: {}\r\n", "a".repeat(1 << 20)), "x: y\r\n".repeat(5000)] {
        let mut plain = connect(&server).await;
        let head = format!("GET /livez HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
        // The answer may come, and the connection go, before all is sent.
        let _closed = plain.write_all(head.as_bytes()).await;
        let mut got = vec![0; 64];
        let n = plain.read(&mut got).await.unwrap_or(0);
        assert!(text(&got[..n]).starts_with("HTTP/1.1 431") || n == 0, "{}", text(&got[..n]));
    }
    assert_eq!(server.get("/livez").await.0, 200);
}

#[tokio::test]
async fn models_that_misbehave_are_named_and_harm_nobody_else() {
    let server = Server::serving("identity.onnx").await;
    server.deploy("nan", "nan.onnx").await;
    let zero = json!({"inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 1], "data": [0, 5]}]});
    // As Triton writes it, and as Python and JavaScript's clients of it read it.
    let (status, body) = server.post("/v2/models/nan/infer", &zero).await;
    assert!(status == 200 && body.as_str().unwrap().contains("\"data\":[NaN,1.0]"), "{status} {body}");
    let row = json!({"rows": [{"x[0]": 0}, {"x[0]": 5}]});
    let (status, body) = server.post("/api/v1/deployments/nan/predict", &row).await;
    assert_eq!((status, &body["predictions"]), (200, &json!([{"y": "NaN"}, {"y": 1.0}])), "{body}");
    let binary = json!({"parameters": {"binary_data_output": true}, "inputs": zero["inputs"]});
    let raw = server.request("POST", "/v2/models/nan/infer").json(&binary).send().await.unwrap();
    assert_eq!(raw.status(), 200);
    let body = raw.bytes().await.unwrap();
    assert!(f32::from_le_bytes(body[body.len() - 8..body.len() - 4].try_into().unwrap()).is_nan());
    let (_, page) = answer(server.request("GET", "/metrics")).await;
    assert!(page.as_str().unwrap().contains("mainspring_inference_nan_outputs_total{deployment=\"nan\""), "{page}");

    server.register("broken", &fixture("corrupt.onnx")).await;
    let applied =
        server.apply("apiVersion: mainspring/v1\nkind: Deployment\nname: broken\nmodel: models:/broken@champion\n");
    assert_eq!(applied.status.code(), Some(1));
    assert!(text(&applied.stderr).contains("model.onnx"), "{}", text(&applied.stderr));
    let (status, body) = server.post("/v2/models/broken/infer", &zero).await;
    assert!(status == 503 && body["error"].as_str().unwrap().contains("model.onnx"), "{status} {body}");

    server.register("crooked", &fixture("wrong_shape.onnx")).await;
    let applied =
        server.apply("apiVersion: mainspring/v1\nkind: Deployment\nname: crooked\nmodel: models:/crooked@champion\n");
    let said = format!("{}{}", text(&applied.stdout), text(&applied.stderr));
    assert!(applied.status.code() == Some(1) && said.contains("its signature declares"), "{said}");

    let input = identity_input(&server, "echo").await;
    assert_eq!(server.post("/v2/models/echo/infer", &input).await.0, 200);
}

#[tokio::test]
async fn on_a_full_disk_models_answer_writes_are_refused_and_space_mends_it() {
    let disk = TinyDisk::mount(96 << 10);
    let data = disk.path().join("data");
    let server = Server::on(&data, &["--journal-interval", "5ms"]).await;
    server.deploy("echo", "identity.onnx").await;
    let input = identity_input(&server, "echo").await;
    let run = server.mlflow("runs/create", json!({"experiment_id": "0"})).await["run"]["info"].clone();
    let (id, uri) = (run["run_id"].as_str().unwrap(), run["artifact_uri"].as_str().unwrap());
    let artifact = format!("/api/2.0/mlflow-artifacts/artifacts/{}/a.bin", uri.split_once(":/").unwrap().1);
    let put = || answer(server.request("PUT", &artifact).body(vec![7_u8; 1 << 20]));
    let log = |n: usize| {
        let params: Vec<Value> =
            (0..100).map(|i| json!({"key": format!("p{n}-{i}"), "value": "v".repeat(400)})).collect();
        let body = json!({"run_id": id, "params": params});
        answer(server.request("POST", "/api/2.0/mlflow/runs/log-batch").json(&body))
    };
    assert_eq!(put().await.0, 200);
    let filler = disk.fill(0);
    let (status, body) = put().await;
    assert!(status >= 400 && body["message"].as_str().unwrap().contains("space"), "{status} {body}");
    let mut refused = Value::Null;
    for n in 0..100 {
        let (status, body) = log(n).await;
        if status != 200 {
            refused = body;
            break;
        }
    }
    assert!(refused["message"].as_str().is_some_and(|m| m.contains("full")), "{refused}");
    for _ in 0..50 {
        let (status, body) = server.post("/v2/models/echo/infer", &input).await;
        assert_eq!(status, 200, "{body}");
    }
    assert_eq!(server.get("/v2/health/ready").await.0, 200);

    std::fs::remove_file(filler).unwrap();
    wait_until("writes go through again", || async { log(1000).await.0 == 200 && put().await.0 == 200 }).await;
    wait_until("the journal is well", || async {
        server.get("/readyz").await.1["checks"].as_array().unwrap().iter().all(|c| c["ok"] == true)
    })
    .await;
}
