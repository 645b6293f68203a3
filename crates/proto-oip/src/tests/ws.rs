use super::House;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn connect(house: &House, path: &str) -> Result<Socket, tungstenite::Error> {
    let address = house.listen().await;
    tokio_tungstenite::connect_async(format!("ws://{address}{path}")).await.map(|(socket, _)| socket)
}

async fn next(socket: &mut Socket) -> Message {
    loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Ping(_) | Message::Pong(_) => {}
            other => return other,
        }
    }
}

fn request(id: &str, first: f32) -> String {
    json!({"id": id, "inputs": [{"name": "X", "shape": [1, 3], "datatype": "FP32", "data": [first, 0, 0]}]}).to_string()
}

#[tokio::test]
async fn several_requests_share_a_socket() {
    let house = House::open().await;
    let mut socket = connect(&house, "/v2/models/adder/ws").await.unwrap();
    for (id, first) in [("a", 1.0), ("b", -1.0), ("c", 3.0)] {
        socket.send(Message::text(request(id, first))).await.unwrap();
    }
    socket.send(Message::text(r#"{"inputs":[{"name":3}],"id":"d"}"#)).await.unwrap();
    socket.send(Message::text("not json")).await.unwrap();
    let mut answers = BTreeMap::new();
    for _ in 0..5 {
        let Message::Text(text) = next(&mut socket).await else { panic!("not text") };
        let body: Value = serde_json::from_str(&text).unwrap();
        answers.insert(body["id"].as_str().unwrap_or("").to_owned(), body);
    }
    assert_eq!(answers["a"]["outputs"][0]["data"], json!([1.0]));
    assert_eq!(answers["c"]["outputs"][0]["data"], json!([3.0]));
    assert_eq!(answers["a"]["parameters"]["prediction_id"].as_str().unwrap().len(), 36);
    let by = json!({"variant": "stable"});
    assert_eq!(answers["b"], json!({"id": "b", "error": "the model failed: no such row", "parameters": by}));
    assert_eq!(answers["d"]["error"], "inputs[0].name must be a string, got a number");
    assert!(answers[""]["error"].as_str().unwrap().starts_with("the body is not JSON"));
    assert!(house.journal().iter().all(|(protocol, _, _)| *protocol == "oip-websocket"));
    assert_eq!(house.journal().len(), 5);
}

#[tokio::test]
async fn binary_messages_carry_binary_tensors() {
    let house = House::open().await;
    let mut socket = connect(&house, "/v2/models/adder/versions/rev-7/ws").await.unwrap();
    let head = concat!(
        r#"{"id":"b","inputs":[{"name":"X","shape":[1,3],"datatype":"FP32","parameters":{"binary_data_size":12}}],"#,
        r#""outputs":[{"name":"sum","parameters":{"binary_data":true}}]}"#
    );
    let mut message = u32::try_from(head.len()).unwrap().to_le_bytes().to_vec();
    message.extend_from_slice(head.as_bytes());
    message.extend([1.0_f32, 2.0, 3.0].iter().flat_map(|v| v.to_le_bytes()));
    socket.send(Message::binary(message)).await.unwrap();
    let Message::Binary(answer) = next(&mut socket).await else { panic!("not binary") };
    let length = u32::from_le_bytes(*answer.first_chunk().unwrap()) as usize;
    let body: Value = serde_json::from_slice(&answer[4..4 + length]).unwrap();
    assert_eq!(body["outputs"][0]["parameters"]["binary_data_size"], 4);
    assert_eq!(answer[4 + length..], 6.0_f32.to_le_bytes());
    for short in [vec![1], vec![9, 0, 0, 0, b'{']] {
        socket.send(Message::binary(short)).await.unwrap();
        let Message::Text(text) = next(&mut socket).await else { panic!("not text") };
        assert!(text.contains("Inference-Header-Content-Length"), "{text}");
    }
}

#[tokio::test]
async fn each_message_waits_for_the_disk_when_answers_do() {
    let house = House::open().await;
    let word = house.with_disk();
    let mut socket = connect(&house, "/v2/models/adder/ws").await.unwrap();
    for (id, first) in [("a", 1.0), ("b", 2.0)] {
        socket.send(Message::text(request(id, first))).await.unwrap();
    }
    house.handed(2).await;
    // Both are computed; whatever had left would arrive before the last of these is answered.
    for _ in 0..5 {
        socket.send(Message::Ping(bytes::Bytes::new())).await.unwrap();
        loop {
            match socket.next().await.unwrap().unwrap() {
                Message::Pong(_) => break,
                // The server asks as well.
                Message::Ping(_) => {}
                left => panic!("{left:?}"),
            }
        }
    }
    word.send_replace(Some(Ok(())));
    for _ in 0..2 {
        let Message::Text(text) = next(&mut socket).await else { panic!("not text") };
        assert!(text.contains("\"outputs\""), "{text}");
    }
    word.send_replace(Some(Err(super::full())));
    socket.send(Message::text(request("c", 1.0))).await.unwrap();
    let Message::Text(text) = next(&mut socket).await else { panic!("not text") };
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["id"], "c");
    assert!(body["error"].as_str().unwrap().contains("no space left"), "{text}");
}

#[tokio::test]
async fn a_wrong_address_fails_before_the_upgrade() {
    let house = House::open().await;
    for (path, status) in
        [("/v2/models/addr/ws", 404), ("/v2/models/adder/versions/2/ws", 404), ("/v2/models/broken/ws", 503)]
    {
        match connect(&house, path).await {
            Err(tungstenite::Error::Http(response)) => assert_eq!(response.status().as_u16(), status, "{path}"),
            other => panic!("{path}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn shutdown_closes_the_socket() {
    let house = House::open().await;
    let mut socket = connect(&house, "/v2/models/adder/ws").await.unwrap();
    socket.send(Message::text(request("a", 1.0))).await.unwrap();
    next(&mut socket).await;
    house.state.ctx().tasks.cancelled().cancel();
    let closed = tokio::time::timeout(std::time::Duration::from_mins(1), async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            }
        }
    });
    assert!(closed.await.is_ok());
}

#[tokio::test]
async fn a_model_that_streams_gives_a_message_a_part() {
    let house = House::open().await;
    let mut socket = connect(&house, "/v2/models/teller/ws").await.unwrap();
    socket.send(Message::text(request("a", 2.0))).await.unwrap();
    let mut parts = Vec::new();
    for _ in 0..3 {
        let Message::Text(text) = next(&mut socket).await else { panic!("not text") };
        parts.push(serde_json::from_str::<Value>(&text).unwrap());
    }
    assert_eq!(parts[0]["outputs"][0]["data"], json!(["part 0"]));
    assert_eq!(parts[1]["outputs"][0]["data"], json!(["{\"part\":1}"]));
    assert_eq!(parts[2]["outputs"], json!([]));
    let last: Vec<_> = parts.iter().map(|p| p["parameters"]["triton_final_response"].as_bool().unwrap()).collect();
    assert_eq!(last, [false, false, true]);
    assert!(
        parts
            .iter()
            .all(|p| p["id"] == "a" && p["parameters"]["prediction_id"] == parts[0]["parameters"]["prediction_id"])
    );
    socket.send(Message::text(request("b", 9.0))).await.unwrap();
    for _ in 0..3 {
        next(&mut socket).await;
    }
    let Message::Text(text) = next(&mut socket).await else { panic!("not text") };
    let failed: Value = serde_json::from_str(&text).unwrap();
    let by = json!({"variant": "stable"});
    assert_eq!(failed, json!({"id": "b", "error": "the model failed: four are too many", "parameters": by}));
    assert_eq!(house.journal().len(), 2);
}

#[tokio::test]
async fn a_sockets_headers_say_whose_its_requests_are() {
    let house = House::open().await;
    let row = house.rollout("adder").await;
    let address = house.listen().await;
    for user in ["ann", "bob", "cleo", "dan"] {
        let mut opening = format!("ws://{address}/v2/models/adder/ws").into_client_request().unwrap();
        opening.headers_mut().insert("x-user", user.parse().unwrap());
        let (mut socket, _) = tokio_tungstenite::connect_async(opening).await.unwrap();
        for id in ["a", "b"] {
            socket.send(Message::text(request(id, 1.0))).await.unwrap();
            let Message::Text(text) = next(&mut socket).await else { panic!("not text") };
            let body: Value = serde_json::from_str(&text).unwrap();
            let variant = row.route.variant(row.route.choose(user.as_bytes()).variant);
            assert_eq!(body["parameters"]["variant"], variant);
        }
    }
    assert_eq!(house.counted().len(), 8);
}
