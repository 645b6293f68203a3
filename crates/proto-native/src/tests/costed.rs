use super::world::{World, who};
use http::StatusCode;
use mainspring_core::{Name, Role, Tenant};
use serde_json::{Value, json};

/// Three answers of five rows, and one that was refused.
async fn served() -> World {
    let world = World::new().await.deployed("adder").await;
    let caller = who("default", Role::Infer);
    for rows in [1, 2, 2] {
        let rows: Vec<Value> = (0..rows).map(|i| json!({"x[0]": f64::from(i), "x[1]": 1.0})).collect();
        let got = world.call_as(&caller, "POST", "/api/v1/deployments/adder/predict", json!({ "rows": rows })).await;
        assert_eq!(got.status, StatusCode::OK, "{}", got.body);
    }
    world
}

#[tokio::test]
async fn the_report_is_what_the_journal_says() {
    let world = served().await;
    let got = world.call("GET", "/api/v1/cost?by=deployment,key,outcome", json!(null)).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.body);
    let line = &got.body["lines"][0];
    assert_eq!(line["by"], json!({"deployment": "adder", "key": "key:test", "outcome": "succeeded"}));
    assert_eq!((line["answers"].as_u64(), line["rows"].as_u64()), (Some(3), Some(5)));
    assert!(line.get("cost").is_none() && got.body.get("currency").is_none(), "no money without a table");
    let sql =
        "SELECT CAST(round(sum(engine_us * rows / batch_rows) * 1000) AS BIGINT) AS ns FROM predictions WHERE row = 0";
    let journal = world.call("POST", "/api/v1/query", json!({ "sql": sql })).await.body;
    assert_eq!(got.body["total"]["computeNanos"], journal["rows"][0][0], "{journal}");
    let storage = &got.body["storage"][0];
    assert_eq!((storage["of"].as_str(), storage["bytes"].as_u64()), (Some("adder/3"), Some(2_000_000_000)));
}

#[tokio::test]
async fn with_a_table_there_is_money_and_what_is_idle() {
    let world = served().await;
    let spec = json!({"currency": "EUR", "entries": [
        {"from": "2020-01-01", "host": {"hour": "1", "cpus": 4}, "request": "0.5"},
    ]});
    let spec = serde_json::from_value(spec).unwrap();
    world.state.costs.declare_prices(&Tenant::default(), &Name::new("list").unwrap(), spec);
    let got = world.call("GET", "/api/v1/cost?lastSeconds=7200", json!(null)).await.body;
    assert_eq!((got["prices"].as_str(), got["currency"].as_str()), (Some("list"), Some("EUR")));
    assert_eq!(got["total"]["cost"]["requests"], "1.5");
    let host = &got["host"];
    assert_eq!((host["paid"].as_str(), host["cpuSeconds"].as_f64()), (Some("2"), Some(28_800.0)));
    let number = |key: &str| host[key].as_str().unwrap().parse::<mainspring_cost::Money>().unwrap();
    assert_eq!(number("used") + number("unallocated"), number("paid"));
}

#[tokio::test]
async fn who_may_not_look_does_not_and_what_is_wrong_is_said() {
    let world = served().await;
    for (role, path, status) in [
        (Role::Infer, "/api/v1/cost", StatusCode::FORBIDDEN),
        (Role::Read, "/api/v1/cost", StatusCode::OK),
        (Role::Read, "/api/v1/cost?by=tenant", StatusCode::FORBIDDEN),
        (Role::Admin, "/api/v1/cost?by=tenant", StatusCode::OK),
        (Role::Read, "/api/v1/cost?by=weather", StatusCode::BAD_REQUEST),
        (Role::Read, "/api/v1/cost?bye=key", StatusCode::BAD_REQUEST),
        (Role::Read, "/api/v1/cost?lastSeconds=0", StatusCode::BAD_REQUEST),
        (Role::Read, "/api/v1/cost?prices=none", StatusCode::NOT_FOUND),
    ] {
        let got = world.call_as(&who("default", role), "GET", path, json!(null)).await;
        assert_eq!(got.status, status, "{path}: {}", got.body);
    }
    let theirs = world.call_as(&who("other", Role::Admin), "GET", "/api/v1/cost?by=tenant", json!(null)).await.body;
    assert_eq!((theirs["total"]["answers"].as_u64(), theirs["lines"].as_array().map(Vec::len)), (Some(0), Some(0)));
}

#[tokio::test]
async fn budgets_hints_and_returns_are_read_where_there_are_some() {
    let world = served().await;
    for (path, status) in [
        ("/api/v1/cost/budgets", StatusCode::OK),
        ("/api/v1/cost/hints", StatusCode::OK),
        ("/api/v1/cost/roi/adder", StatusCode::NOT_FOUND),
    ] {
        let got = world.call("GET", path, json!(null)).await;
        assert_eq!(got.status, status, "{path}: {}", got.body);
        let denied = world.call_as(&who("default", Role::Infer), "GET", path, json!(null)).await;
        assert_eq!(denied.status, StatusCode::FORBIDDEN, "{path}");
    }
    let value =
        json!({"deployment": "adder", "currency": "EUR", "outcomes": [{"outcome": "good", "is": true, "value": "2"}]});
    let value = serde_json::from_value(value).unwrap();
    world.state.costs.declare_value(&Tenant::default(), &Name::new("v").unwrap(), value).unwrap();
    let got = world.call("GET", "/api/v1/cost/roi/adder?lastSeconds=3600", json!(null)).await.body;
    assert_eq!(
        (got["overall"]["predictions"].as_u64(), got["overall"]["value"].as_str()),
        (Some(5), Some("0")),
        "{got}"
    );
    assert_eq!(got["overall"]["parts"]["succeeded"]["answers"], 3);
    assert!(got["overall"].get("cost").is_none() && got["groups"][0]["version"] == "adder/3", "{got}");
    let hints = world.call("GET", "/api/v1/cost/hints?lastSeconds=3600", json!(null)).await.body;
    assert!(hints["notes"][0].as_str().unwrap().contains("nothing is said of its size"), "{hints}");
}
