use super::*;
use crate::Kind;
use crate::testing::*;
use arrow::array::RecordBatch;
use mainspring_testkit::PATIENCE;
use std::time::{Duration, Instant};

fn about(n: u64) -> About {
    About::Prediction(id(n))
}

fn own(id: &str) -> About {
    About::ClientId { deployment: "churn".into(), id: id.into() }
}

fn piece(event: u64, about: About, value: FeedbackValue) -> Feedback {
    Feedback {
        event: id(1_000_000 + event),
        at: Timestamp(START + event as i64),
        tenant: Tenant::default(),
        about,
        row: 0,
        name: "label".into(),
        value,
    }
}

/// The feedback in the log, once there are `n`.
async fn logged(world: &World, n: usize) -> Vec<RecordBatch> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let snapshot = world.journal.snapshot(&Tenant::default(), Kind::Feedback).await.unwrap();
        let mut batches: Vec<RecordBatch> = snapshot.live.into_iter().map(|r| r.batch).collect();
        batches.extend(snapshot.files.iter().flat_map(|f| read(&f.path)));
        if batches.iter().map(RecordBatch::num_rows).sum::<usize>() >= n {
            return batches;
        }
        assert!(Instant::now() < deadline, "feedback did not reach the log");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn indexed(world: &World, client_id: &str, uses: i64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let id = client_id.to_owned();
        let found: Option<i64> = world
            .journal
            .shared()
            .db
            .read(move |c| {
                async move {
                    let row = c.query_opt(sql::FIND_CLIENT_ID, args!["default", "churn", id, 0_i64]).await?;
                    row.map(|r| r.int("uses")).transpose().map_err(JournalError::from)
                }
                .boxed()
            })
            .await
            .unwrap();
        if found == Some(uses) {
            return;
        }
        assert!(Instant::now() < deadline, "{client_id} has {found:?} uses, not {uses}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What decides by labels must not look at a time before all of its labels are there.
#[tokio::test]
async fn the_time_until_which_feedback_is_in_the_log_is_never_too_late() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path()).await;
    let auth = mainspring_testkit::may(SendFeedback);
    let mut sent = Vec::new();
    for round in 0..20 {
        let last = world.ctx.now();
        let deadline = Instant::now() + PATIENCE;
        // More is sent while the relay works, for it looks when it is rung.
        while world.journal.fed_until() <= last {
            assert!(Instant::now() < deadline, "round {round}: the relay does not come by");
            let at = world.ctx.now();
            let n = sent.len() as u64;
            sent.push(at);
            let one = Feedback { at, ..piece(n, about(n), FeedbackValue::Bool(true)) };
            world.journal.feedback(&auth, vec![one]).await.unwrap();
            world.clock.advance(1000);
            let until = world.journal.fed_until();
            let due = sent.iter().filter(|at| **at < until).count();
            let there: usize = logged(&world, 0).await.iter().map(RecordBatch::num_rows).sum();
            assert!(there >= due, "{due} were sent before {until:?}, {there} are there");
        }
    }
}

#[tokio::test]
async fn feedback_reaches_the_log_and_the_second_sending_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path()).await;
    let auth = mainspring_testkit::may(SendFeedback);
    let sent = vec![
        piece(1, about(7), FeedbackValue::Bool(true)),
        piece(2, about(8), FeedbackValue::Number(0.5)),
        piece(3, about(9), FeedbackValue::Text("churned".into())),
    ];
    let receipts = world.journal.feedback(&auth, sent.clone()).await.unwrap();
    assert!(receipts.iter().all(|r| r.accepted == Accepted::New));
    assert_eq!(receipts[0].prediction, Some(id(7)));
    let again = world.journal.feedback(&auth, sent).await.unwrap();
    assert!(again.iter().all(|r| r.accepted == Accepted::Duplicate));
    let rows = logged(&world, 3).await;
    let mut values = texts(&rows, "value");
    values.sort();
    assert_eq!(values, [Some("0.5".into()), Some("churned".into()), Some("true".into())]);
    assert_eq!(count_nulls(&rows, "value_number"), 1);
    let stats = world.journal.stats();
    assert_eq!((stats.feedback, stats.feedback_duplicates), (3, 3));
    world.journal.seal().await.unwrap();
    assert_eq!(logged(&world, 3).await.iter().map(RecordBatch::num_rows).sum::<usize>(), 3);
    world.shut_down().await;
}

#[tokio::test]
async fn a_callers_own_id_finds_its_prediction_and_a_reused_one_is_a_conflict() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path()).await;
    let auth = mainspring_testkit::may(SendFeedback);
    let to = target("churn", "1");
    for (n, own) in [(1, "once"), (2, "twice"), (3, "twice")] {
        let mut p = prediction(n, &to);
        p.client_id = Some(own.into());
        world.journal.append(p);
    }
    world.journal.flush().await.unwrap();
    indexed(&world, "once", 1).await;
    indexed(&world, "twice", 2).await;
    let receipts = world.journal.feedback(&auth, vec![piece(1, own("once"), FeedbackValue::Bool(true))]).await.unwrap();
    assert_eq!(receipts[0].prediction, Some(id(1)));
    let both =
        vec![piece(2, own("once"), FeedbackValue::Bool(true)), piece(3, own("twice"), FeedbackValue::Bool(true))];
    let refused = world.journal.feedback(&auth, both).await.unwrap_err();
    assert!(matches!(&refused, JournalError::AmbiguousClientId { count: 2, .. }), "{refused}");
    assert_eq!(mainspring_core::Failure::kind(&refused), mainspring_core::ErrorKind::Conflict);
    // All or none: the first of the two was not taken either.
    let retried = world.journal.feedback(&auth, vec![piece(2, own("once"), FeedbackValue::Bool(true))]).await.unwrap();
    assert_eq!(retried[0].accepted, Accepted::New);
    // After 30 days the id may be used again.
    let mut late = prediction(4, &to);
    late.client_id = Some("twice".into());
    late.at = Timestamp(START + CLIENT_ID_WINDOW + 60_000_000);
    world.journal.append(late);
    world.journal.flush().await.unwrap();
    indexed(&world, "twice", 1).await;
    world.shut_down().await;
}

#[tokio::test]
async fn feedback_about_an_unknown_own_id_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path()).await;
    let auth = mainspring_testkit::may(SendFeedback);
    let receipts =
        world.journal.feedback(&auth, vec![piece(1, own("later"), FeedbackValue::Bool(true))]).await.unwrap();
    assert_eq!((receipts[0].accepted, receipts[0].prediction), (Accepted::New, None));
    let rows = logged(&world, 1).await;
    assert_eq!(texts(&rows, "client_id"), [Some("later".into())]);
    assert_eq!(count_nulls(&rows, "prediction_id"), 1);
    world.shut_down().await;
}

#[tokio::test]
async fn feedback_taken_before_a_restart_still_reaches_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path()).await;
    let auth = mainspring_testkit::may(SendFeedback);
    world.journal.close().await;
    // The log takes nothing any more; the database does.
    world.journal.feedback(&auth, vec![piece(1, about(1), FeedbackValue::Bool(false))]).await.unwrap();
    let dir = world.shut_down().await;
    let world = open(&dir).await;
    assert_eq!(texts(&logged(&world, 1).await, "value"), [Some("false".into())]);
    world.shut_down().await;
}

#[tokio::test]
async fn what_cannot_be_stored_is_refused_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path()).await;
    let auth = mainspring_testkit::may(SendFeedback);
    let good = piece(1, about(1), FeedbackValue::Bool(true));
    for bad in [
        Feedback { name: String::new(), ..good.clone() },
        Feedback { value: FeedbackValue::Number(f64::NAN), ..good.clone() },
        Feedback { row: u32::MAX, ..good.clone() },
        Feedback { about: own(""), ..good.clone() },
        Feedback { value: FeedbackValue::Text("x".repeat(MAX_TEXT + 1)), ..good.clone() },
    ] {
        let refused = world.journal.feedback(&auth, vec![good.clone(), bad]).await.unwrap_err();
        assert!(matches!(refused, JournalError::InvalidFeedback { index: 1, .. }), "{refused}");
    }
    assert_eq!(world.journal.stats().feedback, 0);
    world.shut_down().await;
}

#[test]
fn the_statement_says_the_window_that_the_code_says() {
    assert!(sql::ADD_USES.contains(&format!("excluded.at - {CLIENT_ID_WINDOW} ")));
}
