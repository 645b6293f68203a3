use super::world::{World, who};
use http::StatusCode;
use mainspring_core::Role;
use serde_json::{Value, json};

async fn predict(world: &World, body: Value) -> super::world::Got {
    world.call_as(&who("default", Role::Infer), "POST", "/api/v1/deployments/adder/predict", body).await
}

#[tokio::test]
async fn rows_by_column_name_are_answered_recorded_and_joined_with_feedback() {
    let world = World::new().await.deployed("adder").await;
    let detail = world.get("/api/v1/deployments/adder").await.body;
    let columns: Vec<_> =
        detail["versions"][0]["signature"]["columns"].as_array().unwrap().iter().map(|c| c["name"].clone()).collect();
    assert_eq!(columns, ["x[0]", "x[1]"]);
    assert_eq!(detail["summary"]["state"], "READY");

    let got = predict(&world, json!({"rows": [{"x[1]": 2, "x[0]": 1}, {"x[0]": 0.5, "x[1]": 0}], "id": "mine"})).await;
    assert_eq!(got.body["predictions"], json!([{"sum": 3.0}, {"sum": 0.5}]));
    assert_eq!((got.body["model"].as_str(), got.body["version"].as_str()), (Some("adder"), Some("3")));

    let id = got.body["id"].as_str().unwrap();
    let caller = who("default", Role::Infer);
    let one = json!({"predictionId": id, "row": 1, "name": "label", "value": 0.5});
    let sent = world.call_as(&caller, "POST", "/api/v1/feedback", one).await;
    assert_eq!(sent.body, json!({"accepted": 1, "duplicates": 0, "orphans": 0}));
    let event = "0190a5a0-0000-7000-8000-000000000001";
    let by_own_id = json!({"deployment": "adder", "id": "mine", "name": "good", "value": true, "eventId": event});
    let unknown = json!({"deployment": "adder", "id": "never sent", "name": "good", "value": "x"});
    let many = json!({"feedback": [by_own_id.clone(), unknown, by_own_id]});
    let sent = world.call_as(&caller, "POST", "/api/v1/feedback", many).await;
    assert_eq!((sent.body["accepted"].as_u64(), sent.body["duplicates"].as_u64()), (Some(2), Some(1)));

    for value in [json!(null), json!([1]), json!({"a": 1})] {
        let wrong = json!({"feedback": [{"predictionId": id, "name": "label", "value": value}]});
        let sent = world.call_as(&caller, "POST", "/api/v1/feedback", wrong).await;
        let said = sent.body["detail"].as_str().unwrap();
        assert_eq!(sent.status, StatusCode::BAD_REQUEST);
        assert!(said.contains("feedback[0].value") && said.contains("a number, a text or a boolean"), "{said}");
    }

    let sql = "select variant, count(*) as n from predictions group by variant";
    let answer = world.call("POST", "/api/v1/query", json!({"sql": sql})).await;
    assert_eq!(answer.body["rows"][0][1], 2, "{}", answer.body);
    assert_eq!(answer.body["columns"][1]["name"], "n");
    assert!(world.get("/api/v1/journal").await.body["appended"].as_u64() >= Some(1));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_by_name_and_counted() {
    let world = World::new().await.deployed("adder").await;
    for (body, says) in [
        (json!({"rows": [{"x[0]": 1, "y": 2}]}), "unexpected column \"y\""),
        (json!({"rows": [{"x[0]": "text", "x[1]": 2}]}), "x"),
        (json!({"rows": [{"x[0]": [1], "x[1]": 2}]}), "x[0]"),
        (json!({"rows": []}), ""),
        (json!({"rowz": []}), "rowz"),
    ] {
        let got = predict(&world, body.clone()).await;
        assert_eq!(got.status, StatusCode::BAD_REQUEST, "{body} {}", got.body);
        assert!(got.body["detail"].as_str().unwrap().contains(says), "{body} {}", got.body);
    }
    let version = predict(&world, json!({"rows": [{"x[0]": 1, "x[1]": 2}], "version": "9"})).await;
    assert_eq!(version.status, StatusCode::NOT_FOUND);
    let stats = world.get("/api/v1/deployments/adder/stats").await.body;
    let failed: u64 =
        stats["versions"].as_array().unwrap().iter().map(|v| v["traffic"]["failed"].as_u64().unwrap()).sum();
    assert_eq!(failed, 6);
    let nobody = world.get("/api/v1/deployments/addr").await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
    assert!(nobody.body["detail"].as_str().unwrap().contains("did you mean \"adder\"?"), "{}", nobody.body);
    let large = predict(&world, json!({"rows": [{"x[0]": "x".repeat(2 << 20)}]})).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_rollout_decides_by_key_and_the_journal_says_how() {
    let world = World::new().await.deployed("adder").await;
    let row = world.rollout("adder").await;
    let key = |subject: &str| {
        let caller = who("default", Role::Infer);
        std::sync::Arc::new(mainspring_core::Principal { subject: subject.into(), ..(*caller).clone() })
    };
    let ask = async |subject: &str, header: (&str, &str)| {
        let request = http::Request::post("/api/v1/deployments/adder/predict").header(header.0, header.1);
        let body = json!({"rows": [{"x[0]": 1, "x[1]": 2}]}).to_string();
        world.send(Some(&key(subject)), request.body(body.into()).unwrap()).await
    };
    let mut counted = 0;
    for subject in ["key:a", "key:b", "key:c", "key:d", "key:e"] {
        for _ in 0..2 {
            let got = ask(subject, ("accept", "application/json")).await;
            let variant = row.route.choose(subject.as_bytes()).variant;
            assert_eq!(got.body["variant"], row.route.variant(variant), "{}", got.body);
            counted += u64::from(variant == 1);
        }
    }
    assert_eq!(ask("key:a", ("x-mainspring-variant", "v2")).await.body["variant"], "v2");
    let unknown = ask("key:a", ("x-mainspring-variant", "v9")).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert!(unknown.body["detail"].as_str().unwrap().contains("it has stable, v2"), "{}", unknown.body);
    let sql = "select count(*) filter (where generation = 1), count(*) filter (where generation = 1 and variant = 'v2'), \
               count(distinct unit), count(*) filter (where forced), count(*) from predictions where outcome = 'ok'";
    let answer = world.call("POST", "/api/v1/query", json!({"sql": sql})).await;
    assert_eq!(answer.body["rows"], json!([[10, counted, 5, 1, 11]]), "{}", answer.body);
}

#[tokio::test]
async fn counters_batches_and_the_overview_say_what_happened() {
    let world = World::new().await;
    let before = world.get("/api/v1/overview").await.body;
    assert!(before["headline"].as_str().unwrap().starts_with("Nothing is deployed yet"), "{before}");
    let world = world.deployed("adder").await;
    for _ in 0..3 {
        predict(&world, json!({"rows": [{"x[0]": 1, "x[1]": 2}]})).await;
    }
    let stats = world.get("/api/v1/deployments/adder/stats").await.body;
    assert_eq!(stats["versions"][0]["traffic"]["answered"], 3);
    let latency = &stats["versions"][0]["traffic"]["latency"];
    assert!(latency["p50"].as_f64() > Some(0.0) && latency["p50"].as_f64() <= latency["max"].as_f64(), "{latency}");
    let batches = world.get("/api/v1/deployments/adder/batches").await.body;
    assert_eq!(batches["versions"][0]["batches"], 3);
    let overview = world.get("/api/v1/overview").await.body;
    let headline = overview["headline"].as_str().unwrap();
    assert!(headline.starts_with("1 deployment, all ready; 3 requests answered and 0 failed"), "{headline}");
    assert_eq!(overview["counts"]["deployments"], 1);
}

#[tokio::test]
async fn feedback_that_names_nothing_or_both_is_refused_by_place() {
    let world = World::new().await;
    for (body, says) in [
        (json!({"name": "label", "value": 1}), "feedback[0]"),
        (json!({"feedback": [{"predictionId": "no id", "name": "label", "value": 1}]}), "predictionId"),
        (json!({"feedback": [{"name": "label"}]}), "feedback[0]"),
        (json!({"predictionId": "x", "nmae": "label", "value": 1}), "nmae"),
    ] {
        let got = world.call("POST", "/api/v1/feedback", body.clone()).await;
        assert_eq!(got.status, StatusCode::BAD_REQUEST, "{body}");
        assert!(got.body["detail"].as_str().unwrap().contains(says), "{}", got.body);
    }
}

#[tokio::test]
async fn a_query_needs_reading_rights_and_cannot_write() {
    let world = World::new().await;
    let query = json!({"sql": "select 1 as one"});
    let denied = world.call_as(&who("default", Role::Infer), "POST", "/api/v1/query", query.clone()).await;
    assert_eq!(denied.status, StatusCode::FORBIDDEN);
    assert_eq!(world.call("POST", "/api/v1/query", query).await.body["rows"], json!([[1]]));
    let write = world.call("POST", "/api/v1/query", json!({"sql": "drop table predictions"})).await;
    assert_eq!(write.status, StatusCode::BAD_REQUEST);
}
