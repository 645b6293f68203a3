use super::world::{World, who};
use http::StatusCode;
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{
    Assignment, DType, EventId, Outcome, Prediction, Protocol, Role, Target, Tenant, Tensor, Timing,
};
use serde_json::{Value, json};

/// Sums of two inputs, with labels that are a quarter too low, but for the rows of the second half, which have none.
async fn labeled() -> World {
    let world = World::new().await.deployed("adder").await;
    let caller = who("default", Role::Infer);
    let rows: Vec<Value> = (0..40).map(|i| json!({"x[0]": f64::from(i), "x[1]": f64::from(i % 2)})).collect();
    let got = world.call_as(&caller, "POST", "/api/v1/deployments/adder/predict", json!({ "rows": rows })).await;
    let id = got.body["id"].as_str().unwrap();
    let label =
        |i: i32| json!({"predictionId": id, "row": i, "name": "true_sum", "value": f64::from(i + i % 2) - 0.25});
    let sent: Vec<Value> = (0..20).map(label).collect();
    let sent = world.call_as(&caller, "POST", "/api/v1/feedback", json!({ "feedback": sent })).await;
    assert_eq!(sent.body["accepted"], 20);
    world
}

fn metric<'a>(group: &'a Value, name: &str) -> &'a Value {
    group["metrics"].as_array().unwrap().iter().find(|m| m["name"] == name).unwrap()
}

#[tokio::test]
async fn predictions_are_measured_against_the_labels_that_came() {
    let world = labeled().await;
    let path = "/api/v1/deployments/adder/performance";
    let got = world.call("POST", path, json!({"label": "true_sum", "by": ["version", "out.sum"]})).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.body);
    let report = &got.body;
    assert_eq!((report["task"].as_str(), report["prediction"].as_str()), (Some("regression"), Some("out.sum")));
    let overall = &report["overall"];
    assert_eq!((overall["rows"].as_u64(), overall["labeled"].as_u64()), (Some(40), Some(20)));
    assert_eq!(metric(overall, "mae")["value"], 0.25);
    assert_eq!(metric(overall, "bias")["value"], 0.25);
    assert!(report["delay"]["medianSeconds"].as_f64() > Some(0.0), "{report}");
    let groups = report["groups"].as_array().unwrap();
    // Numbers with many values are cut into quarters, and only the lower half is labelled.
    assert_eq!(groups.len(), 4);
    assert_eq!(groups[0]["by"]["version"], "3");
    assert!(groups.iter().any(|g| g["by"]["out.sum"].as_str().unwrap().starts_with("< ")), "{report}");
    assert_eq!(groups.iter().map(|g| g["labeled"].as_u64().unwrap()).sum::<u64>(), 20);
    assert_eq!(groups[3]["labeled"], 0);
    let mae = report["comparisons"].as_array().unwrap().iter().find(|c| c["name"] == "mae").unwrap();
    assert_eq!((mae["group"].as_u64(), mae["difference"]["value"].as_f64()), (Some(1), Some(0.0)));
    // The highest sums are those without labels: at five places, nothing was relevant.
    let ranked = world.call("POST", path, json!({"label": "true_sum", "task": "ranking", "k": 5})).await;
    assert_eq!(metric(&ranked.body["overall"], "hit_rate")["value"], 0.0, "{}", ranked.body);
    let deep = world.call("POST", path, json!({"label": "true_sum", "task": "ranking", "k": 40})).await;
    assert_eq!(metric(&deep.body["overall"], "recall_at_k")["value"], 1.0, "{}", deep.body);
}

#[tokio::test]
async fn what_cannot_be_measured_says_why() {
    let world = labeled().await;
    let path = "/api/v1/deployments/adder/performance";
    for (body, status, says) in [
        (json!({}), StatusCode::NOT_FOUND, "there is true_sum"),
        (
            json!({"label": "true_sum", "prediction": "total"}),
            StatusCode::BAD_REQUEST,
            "no output \"total\"; there are sum",
        ),
        (json!({"label": "true_sum", "by": ["age"]}), StatusCode::BAD_REQUEST, "no column \"age\""),
        (json!({"label": "true_sum", "task": "guess"}), StatusCode::BAD_REQUEST, "no task"),
        (json!({"label": "true_sum", "confidence": 95}), StatusCode::BAD_REQUEST, "between 0 and 1"),
        (json!({"label": "true_sum", "k": 0}), StatusCode::BAD_REQUEST, "between 1 and"),
        (json!({"label": "true_sum", "lable": 1}), StatusCode::BAD_REQUEST, "lable"),
        (json!({"from": "yesterday"}), StatusCode::BAD_REQUEST, "is no time"),
        (json!({"until": "2020-01-01T00:00:00Z"}), StatusCode::NOT_FOUND, "answered nothing"),
        (json!({"label": "true_sum", "task": "classification", "positive": "7"}), StatusCode::BAD_REQUEST, "of two"),
    ] {
        let got = world.call("POST", path, body.clone()).await;
        let detail = got.body["detail"].as_str().unwrap_or_default();
        assert!(got.status == status && detail.contains(says), "{body}: {} {detail}", got.status);
    }
    let other = world.call("POST", "/api/v1/deployments/nobody/performance", json!({})).await;
    assert_eq!(other.status, StatusCode::NOT_FOUND);
    let denied = world.call_as(&who("default", Role::Infer), "POST", path, json!({"label": "true_sum"})).await;
    assert_eq!(denied.status, StatusCode::FORBIDDEN);
}

/// An answer of one row, as serving tells of it.
fn answer(world: &World, variant: &str, said: f32, assignment: Assignment) -> EventId {
    let id = world.state.ctx.event_id();
    let names = |n: &str| -> std::sync::Arc<str> { n.into() };
    world.state.journal.append(Prediction {
        id,
        at: world.state.ctx.now(),
        tenant: Tenant::default(),
        target: std::sync::Arc::new(Target {
            deployment: names("priced"),
            variant: names(variant),
            model: names("priced"),
            version: names(if variant == "stable" { "1" } else { "2" }),
            columns: std::sync::Arc::default(),
        }),
        protocol: Protocol::OipRest,
        client_id: None,
        caller: "loopback".into(),
        assignment,
        outcome: Outcome::Ok,
        rows: 1,
        batch_rows: 1,
        timing: Timing::default(),
        tokens: None,
        cached: None,
        flags: None,
        params: None,
        inputs: std::sync::Arc::new([]),
        outputs: std::sync::Arc::new([NamedTensor {
            name: "price".into(),
            tensor: Tensor::from_vec(DType::Fp32, vec![1], vec![said]).unwrap(),
        }]),
    });
    id
}

#[tokio::test]
async fn a_shadow_has_the_labels_of_what_it_stood_behind_and_the_forced_have_none() {
    let world = World::new().await;
    for i in 0_u8..6 {
        let truth = f64::from(i) + 0.5;
        let id = answer(&world, "stable", f32::from(i), Assignment::default());
        answer(&world, "v2", f32::from(i) + 0.25, Assignment { shadow_of: Some(id), ..Assignment::default() });
        answer(&world, "v2", 99.0, Assignment { forced: true, ..Assignment::default() });
        let label = json!({"predictionId": id.to_string(), "name": "price", "value": truth});
        world.call("POST", "/api/v1/feedback", label).await;
    }
    let path = "/api/v1/deployments/priced/performance";
    let both = world.call("POST", path, json!({"label": "price", "by": ["variant"]})).await.body;
    let groups = both["groups"].as_array().unwrap();
    let mae = |variant: &str| {
        let group = groups.iter().find(|g| g["by"]["variant"] == variant).unwrap();
        assert_eq!((group["rows"].as_u64(), group["labeled"].as_u64()), (Some(6), Some(6)), "{both}");
        metric(group, "mae")["value"].as_f64()
    };
    assert_eq!((mae("stable"), mae("v2")), (Some(0.5), Some(0.25)));
    // Nobody got a shadow's answer: without variants apart it does not count.
    let served = world.call("POST", path, json!({"label": "price"})).await.body;
    assert_eq!(
        (served["overall"]["rows"].as_u64(), metric(&served["overall"], "mae")["value"].as_f64()),
        (Some(6), Some(0.5))
    );
}
