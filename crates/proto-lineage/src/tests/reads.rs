use super::{World, with};
use http::{Request, StatusCode};
use serde_json::{Value, json};

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|n| n["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn namespaces_jobs_and_datasets_are_listed() {
    let world = World::new().await;
    assert_eq!(world.event(&with(json!({}))).await.status, StatusCode::CREATED);
    assert_eq!(world.event(&with(json!({}))).await.status, StatusCode::CREATED, "sent again");
    let spaces = world.get("/api/v1/namespaces").await.body;
    assert_eq!(names(&spaces["namespaces"]), ["airflow", "mainspring", "s3://raw", "warehouse"]);
    assert_eq!(spaces["namespaces"][0]["createdAt"], "2026-01-31T12:00:00.123456Z");
    let jobs = world.get("/api/v1/namespaces/airflow/jobs?limit=5").await.body;
    assert_eq!((jobs["totalCount"].as_u64(), names(&jobs["jobs"])), (Some(1), vec!["etl"]));
    let job = &jobs["jobs"][0];
    assert_eq!(job["inputs"], json!([{"namespace": "s3://raw", "name": "a/b"}]));
    assert_eq!(job["latestRun"]["id"], "ea041791-68bc-4ae1-bd89-4c8106a157e4");
    let datasets = world.get("/api/v1/namespaces/s3%3A%2F%2Fraw/datasets").await.body;
    assert_eq!(names(&datasets["datasets"]), ["a/b"]);
    assert_eq!(world.get("/api/v1/namespaces/s3%3A%2F%2Fraw/datasets/a%2Fb").await.status, StatusCode::OK);
    let run = world.get("/api/v1/jobs/runs/ea041791-68bc-4ae1-bd89-4c8106a157e4").await.body;
    assert_eq!((run["state"].as_str(), run["job"]["name"].as_str()), (Some("COMPLETED"), Some("etl")));
    assert_eq!(world.get("/api/v1/namespaces/airflow/jobs/etl/runs").await.body["totalCount"], 1);
    let ours = world.get("/api/v1/namespaces/mainspring/jobs").await.body;
    assert_eq!(names(&ours["jobs"]), ["experiments/churn"]);
    assert_eq!(ours["jobs"][0]["outputs"], json!([]), "its runs are looked at when it is asked for by name");
    let one = world.get("/api/v1/namespaces/mainspring/jobs/experiments%2Fchurn").await.body;
    assert_eq!(one["outputs"], json!([{"namespace": "mainspring", "name": "models/churn/3"}]));
    for nothing in ["namespaces/x", "namespaces/airflow/jobs/x", "namespaces/mainspring/jobs/x", "jobs/runs/x"] {
        assert_eq!(world.get(&format!("/api/v1/{nothing}")).await.status, StatusCode::NOT_FOUND, "{nothing}");
    }
}

#[tokio::test]
async fn the_graph_joins_what_was_sent_with_what_is_made_here() {
    let world = World::new().await;
    world.event(&with(json!({}))).await;
    for start in [
        "dataset:s3://raw:a/b",
        "job:airflow:etl",
        "dataset:mainspring:models/churn/3",
        "job:mainspring:experiments/churn",
    ] {
        let got = world.get(&format!("/api/v1/lineage?nodeId={}", start.replace(':', "%3A"))).await;
        assert_eq!(got.status, StatusCode::OK, "{start}: {}", got.body);
        let nodes = got.body["graph"].as_array().unwrap();
        let ids: Vec<&str> = nodes.iter().map(|n| n["id"].as_str().unwrap()).collect();
        let all = [
            "dataset:mainspring:models/churn/3",
            "dataset:s3://raw:a/b",
            "dataset:warehouse:clean",
            "job:airflow:etl",
            "job:mainspring:experiments/churn",
        ];
        assert_eq!(ids, all, "{start}");
        let run = &nodes[4];
        assert_eq!(run["inEdges"], json!([{"origin": all[2], "destination": all[4]}]));
        assert_eq!(run["data"]["inputs"], json!([{"namespace": "warehouse", "name": "clean"}]));
        assert_eq!((run["type"].as_str(), nodes[0]["type"].as_str()), (Some("JOB"), Some("DATASET")));
    }
    let near = world.get("/api/v1/lineage?nodeId=dataset:s3://raw:a/b&depth=0").await.body;
    assert_eq!((near["graph"].as_array().unwrap().len(), &near["truncated"]), (1, &json!(false)));
    let newest = world.get("/api/v1/lineage?nodeId=job:mainspring:experiments/many").await.body;
    assert_eq!(newest["truncated"], true, "only its newest runs were walked from");
    for (wrong, status) in [
        ("nodeId=dataset:a:b", StatusCode::NOT_FOUND),
        ("nodeId=nonsense", StatusCode::BAD_REQUEST),
        ("nodeId=job:airflow:etl&depth=999999", StatusCode::BAD_REQUEST),
        ("nodeId=job:airflow:etl&depth=-1", StatusCode::BAD_REQUEST),
        ("", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(world.get(&format!("/api/v1/lineage?{wrong}")).await.status, status, "{wrong}");
    }
}

#[tokio::test]
async fn events_are_listed_by_time() {
    let world = World::new().await;
    for second in [1, 3, 2] {
        let event = with(json!({ "eventTime": format!("2026-01-31T12:00:0{second}+01:00") }));
        assert_eq!(world.event(&event).await.status, StatusCode::CREATED);
    }
    let times = |body: &Value| -> Vec<String> {
        body["events"].as_array().unwrap().iter().map(|e| e["eventTime"].as_str().unwrap()[17..19].to_owned()).collect()
    };
    assert_eq!(times(&world.get("/api/v1/events/lineage").await.body), ["03", "02", "01"]);
    let asked = "sortDirection=asc&after=2026-01-31T11:00:02Z&before=2030-01-01T00:00:00%2B00:00&limit=1";
    let some = world.get(&format!("/api/v1/events/lineage?{asked}")).await.body;
    assert_eq!((times(&some), some["totalCount"].as_u64()), (vec!["02".to_owned()], Some(2)));
    for wrong in ["after=yesterday", "sortDirection=up", "limit=100000"] {
        let got = world.get(&format!("/api/v1/events/lineage?{wrong}")).await;
        assert_eq!(got.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test]
async fn another_tenant_sees_nothing_of_it() {
    let world = World::new().await;
    world.event(&with(json!({}))).await;
    let get = async |path: &str| world.send("other", Request::get(path).body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(get("/api/v1/events/lineage").await.body["totalCount"], 0);
    assert_eq!(get("/api/v1/namespaces/airflow/jobs").await.body["totalCount"], 0);
    assert_eq!(get("/api/v1/lineage?nodeId=job:airflow:etl").await.status, StatusCode::NOT_FOUND);
    assert_eq!(get("/api/v1/jobs/runs/ea041791-68bc-4ae1-bd89-4c8106a157e4").await.status, StatusCode::NOT_FOUND);
}
