use super::*;
use crate::testing::*;
use mainspring_core::Timestamp;

#[tokio::test]
async fn old_days_and_surplus_bytes_go_and_other_deployments_stay() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path()).await;
    let tenant = Tenant::default();
    for (n, days_ago) in [(1, 0), (2, 1), (3, 40), (4, 100)] {
        for deployment in ["kept", "short"] {
            let mut p = prediction(n, &target(deployment, "1"));
            p.at = Timestamp(START - days_ago * DAY);
            world.journal.append(p);
        }
    }
    world.journal.seal().await.unwrap();
    world.journal.set_retention(&tenant, "short", Retention { days: Some(30), bytes: None });
    let report = world.journal.clean_up().await.unwrap();
    // 100 days of both, and 40 days of the one with 30.
    assert_eq!(report.files, 3);
    assert!(report.bytes > 0);
    assert_eq!(world.ids().await.len(), 5);
    let files = world.journal.snapshot(&tenant, Kind::Prediction).await.unwrap().files;
    let newest = files.iter().find(|f| f.deployment.as_deref() == Some("kept") && f.date == "2026-03-01").unwrap();
    world.journal.set_retention(&tenant, "kept", Retention { days: None, bytes: Some(newest.bytes) });
    assert_eq!(world.journal.clean_up().await.unwrap().files, 2, "the newest file fits, the older ones go");
    world.journal.set_retention(&tenant, "kept", Retention { days: None, bytes: None });
    assert_eq!(world.journal.clean_up().await.unwrap().files, 0);
    world.shut_down().await;
}
