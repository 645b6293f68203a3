//! Two processes over one Postgres database.

use super::Fixture;
use crate::actions::{CreateModel, ReadModel, ReadRun, SetAlias};

#[tokio::test]
async fn an_alias_that_another_replica_moved_is_seen_at_the_next_look() {
    let (a, b) = Fixture::replicas().await;
    let run = a.run(0, "r").await;
    a.put(&run, "model/MLmodel", "x").await;
    for _ in 0..2 {
        let source = format!("runs:/{run}/model");
        let made = a.registry.create_model(&a.may(CreateModel::on("m")), "m", Vec::new(), None).await;
        drop(made);
        let new =
            crate::NewVersion { name: "m".into(), source, run_id: Some(run.clone()), ..crate::NewVersion::default() };
        a.registry.create_version(&a.may(crate::actions::CreateVersion::on("m")), new).await.unwrap();
    }
    b.registry.refresh().await.unwrap();
    let mut seen = b.registry.changes();
    seen.borrow_and_update();
    a.registry.set_alias(&a.may(SetAlias::on("m")), "m", "champion", 2).await.unwrap();
    assert!(!seen.has_changed().unwrap());
    b.registry.refresh().await.unwrap();
    assert!(seen.has_changed().unwrap());
    seen.borrow_and_update();
    let found = b.registry.version_by_alias(&b.may(ReadModel::on("m")), "m", "champion").await.unwrap();
    assert_eq!(found.version, 2);
    // Nothing happened since.
    b.registry.refresh().await.unwrap();
    assert!(!seen.has_changed().unwrap());
    // Nor does logging wake anybody.
    a.log(&run, &[("m", 1.0, 0)]).await;
    b.registry.refresh().await.unwrap();
    assert!(!seen.has_changed().unwrap());
    assert_eq!(b.registry.run(&b.may(ReadRun::on(&run)), &run).await.unwrap().metrics.len(), 1);
}

#[tokio::test]
async fn versions_made_at_once_get_different_numbers() {
    let (a, b) = Fixture::replicas().await;
    let run = a.run(0, "r").await;
    a.put(&run, "model/MLmodel", "x").await;
    a.registry.create_model(&a.may(CreateModel::on("m")), "m", Vec::new(), None).await.unwrap();
    let make = async |f: &Fixture| {
        let mut numbers = Vec::new();
        for _ in 0..10 {
            let new = crate::NewVersion {
                name: "m".into(),
                source: format!("runs:/{run}/model"),
                run_id: Some(run.clone()),
                ..crate::NewVersion::default()
            };
            let made = f.registry.create_version(&f.may(crate::actions::CreateVersion::on("m")), new).await;
            numbers.push(made.unwrap().version);
        }
        numbers
    };
    let (mut numbers, others) = tokio::join!(make(&a), make(&b));
    numbers.extend(others);
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
}
