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

#[tokio::test]
async fn ids_older_than_their_time_are_forgotten_however_many_there_are() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path()).await;
    let db = world.journal.shared().db.clone();
    let window = CLIENT_ID_WINDOW;
    let (now, many) = (world.ctx.now().micros(), 2 * i64::from(FORGOTTEN) + 7);
    let fill = db.write(move |c| {
        async move {
            for n in 0..many + 3 {
                // Three of them are young enough.
                let (at, text) = (if n < many { now - window - 1 } else { now - window + 1 }, n.to_string());
                let head = "INSERT INTO journal_feedback_seen (tenant, event_id, at) VALUES ('default', $1, $2)";
                c.execute(head, args![&text, at]).await?;
                let head = "INSERT INTO journal_client_ids (tenant, deployment, client_id, prediction_id, at, uses) \
                     VALUES ('default', 'churn', $1, 'p', $2, 1)";
                c.execute(head, args![&text, at]).await?;
            }
            Ok::<_, JournalError>(())
        }
        .boxed()
    });
    fill.await.unwrap();
    world.journal.clean_up().await.unwrap();
    for table in ["journal_feedback_seen", "journal_client_ids"] {
        let sql = format!("SELECT count(*) AS n, min(at) AS at FROM {table}");
        let left = db.read(move |c| async move { c.query(&sql, args![]).await.map_err(JournalError::from) }.boxed());
        let left = left.await.unwrap();
        assert_eq!((left[0].int("n"), left[0].int("at")), (Ok(3), Ok(now - window + 1)), "{table}");
    }
    world.shut_down().await;
}

#[tokio::test]
async fn a_file_goes_when_its_last_reader_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path()).await;
    let tenant = Tenant::default();
    let mut old = prediction(1, &target("churn", "1"));
    old.at = Timestamp(START - 100 * DAY);
    world.journal.append(old);
    world.journal.append(prediction(2, &target("churn", "1")));
    world.journal.seal().await.unwrap();
    let snapshot = || async { world.journal.snapshot(&tenant, Kind::Prediction).await.unwrap() };
    let reader = snapshot().await;
    assert_eq!(reader.files.len(), 2);
    let mut cleaning = Box::pin(world.journal.clean_up());
    let new_reader = tokio::select! {
        biased;
        report = &mut cleaning => panic!("removed under a reader: {report:?}"),
        found = async {
            loop {
                let found = snapshot().await;
                if found.files.len() < 2 {
                    break found;
                }
            }
        } => found,
    };
    // Whoever comes later does not see it, and does not keep it either.
    assert_eq!((new_reader.files.len(), reader.files.iter().filter(|f| f.path.is_file()).count()), (1, 2));
    drop(reader);
    assert_eq!((&mut cleaning).await.unwrap().files, 1);
    drop(cleaning);
    assert_eq!((snapshot().await.files.len(), world.ids().await.len()), (1, 1));
    world.shut_down().await;
}
