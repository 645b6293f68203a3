//! What one rollout or deployment lacks is its own affair, and what nobody declares any more ends.

use super::*;
use mainspring_testkit::may_in;
use serde_json::json;

/// A promotion is told whatever keeps another deployment from following, and each deployment hears in order.
async fn a_deployment_that_does_not_follow_holds_up_no_other(temp: TempDb) {
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock, 0.001, 0.3);
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    let (theirs, w9) = (Tenant::new("theirs").unwrap(), Name::new("w9").unwrap());
    a.rollouts.declare(&start(), spec(", window: 1h")).unwrap();
    let elsewhere = RolloutSpec { deployment: Name::new("other").unwrap(), ..spec("") };
    a.rollouts.declare(&may_in(&theirs, StartRollout { rollout: w9.clone() }), elsewhere).unwrap();
    for _ in 0..3 {
        pass(&stage, &mut [&mut a], 2).await;
    }
    stage.stubborn.lock().insert("churn".into());
    a.order(Order::Promote).await.unwrap();
    let promote = OrderRollout { rollout: w9.clone(), order: Order::Promote, reason: None };
    a.rollouts.order(&may_in(&theirs, promote)).await.unwrap();
    for _ in 0..2 {
        pass(&stage, &mut [&mut a], 2).await;
    }
    let told = |deployment: &str, version: u32| (deployment.to_owned(), format!("models:/churn/{version}"));
    assert_eq!(*stage.followed.lock(), [told("other", 8)]);
    let read = may_in(&theirs, ReadRollouts { rollout: Some(w9) });
    let other = |server: &Server| server.rollouts.status(&read).unwrap().run.state;
    assert!(other(&a).phase.ended() && other(&a).row.is_none(), "{:?}", other(&a).phase);
    // Its own reversal waits until it has heard of the promotion.
    a.order(Order::Abort).await.unwrap();
    pass(&stage, &mut [&mut a], 2).await;
    assert_eq!(stage.followed.lock().len(), 1);
    stage.stubborn.lock().clear();
    for _ in 0..2 {
        pass(&stage, &mut [&mut a], 60).await;
    }
    assert_eq!(*stage.followed.lock(), [told("other", 8), told("churn", 8), told("churn", 7)]);
    assert!(db.outbox_take(crate::FOLLOWS, 10).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_that_does_not_follow_holds_up_no_other_on_sqlite() {
    a_deployment_that_does_not_follow_holds_up_no_other(TempDb::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_that_does_not_follow_holds_up_no_other_on_postgres() {
    a_deployment_that_does_not_follow_holds_up_no_other(TempDb::postgres()).await;
}

/// However many wait, those behind them are reached.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_that_do_not_follow_leave_room_for_others() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock, 0.001, 0.3);
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    let many = 2 * RELAYED + RELAYED / 2;
    let follow = |deployment: String| Follow {
        deployment,
        rollout: "v8".into(),
        from: "models:/churn/7".into(),
        to: "models:/churn/8".into(),
        back: false,
    };
    let deployments = (0..many).map(|n| format!("mad-{n}")).chain(["sane".to_owned()]);
    let events: Vec<_> = deployments.map(|d| (temp.ctx.event_id(), follow(d))).collect();
    stage.stubborn.lock().extend(events.iter().map(|(_, f)| f.deployment.clone()).filter(|d| d != "sane"));
    let write = db.write(|c| {
        async move {
            for (id, follow) in events {
                c.outbox(crate::FOLLOWS, id, &json!({"tenant": "default", "follow": follow})).await?;
            }
            Ok::<_, RolloutError>(())
        }
        .boxed()
    });
    write.await.unwrap();
    for _ in 0..3 {
        pass(&stage, &mut [&mut a], 1).await;
    }
    assert_eq!(*stage.followed.lock(), [("sane".to_owned(), "models:/churn/8".to_owned())]);
    assert_eq!(db.outbox_take(crate::FOLLOWS, 2 * many).await.unwrap().len(), many as usize, "they are tried again");
}

/// The declaration was deleted, and the process died before its rollout was aborted.
async fn what_was_deleted_before_a_crash_ends(temp: TempDb) {
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock, 0.001, 0.3);
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    a.rollouts.declare(&start(), spec("")).unwrap();
    for _ in 0..3 {
        pass(&stage, &mut [&mut a], 2).await;
    }
    assert_eq!(*stage.asked.lock(), 0, "of what is declared here nobody asks");
    a.rollouts.withdraw(&start());
    drop(a);
    let mut b = Server::new(&db, &temp.ctx, &stage, "b");
    // While nobody can say whether it is declared, it goes on, and so it does while somebody says that it is.
    for known in [Err(PortError("the database is busy".into())), Ok(Some("key:author".to_owned()))] {
        *stage.author.lock() = known;
        for _ in 0..30 {
            pass(&stage, &mut [&mut b], 4).await;
        }
        assert!(b.controller.leads() && b.phase() == Phase::Step, "{:?}", b.phase());
    }
    let asked = *stage.asked.lock();
    assert!((6..12).contains(&asked), "ever more rarely, up to a minute: {asked}");
    *stage.author.lock() = Ok(None);
    for _ in 0..17 {
        pass(&stage, &mut [&mut b], 4).await;
    }
    let log = b.log().await;
    contiguous(&log);
    let back = log.iter().find(|d| d.kind == DecisionKind::RolledBack).unwrap();
    assert_eq!((b.phase(), back.by.as_str()), (Phase::RolledBack, "the deletion of its declaration"));
    assert_eq!(log.last().unwrap().kind, DecisionKind::Closed);
    assert!(b.rollouts.rows()[0].row.is_none());
    // Who declares it again gets a run of its own.
    b.rollouts.declare(&start(), spec(", window: 1h")).unwrap();
    pass(&stage, &mut [&mut b], 4).await;
    assert_eq!(b.rollouts.status(&read()).unwrap().run.number, 2);
    assert_eq!(b.phase(), Phase::Preflight);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_deleted_before_a_crash_ends_on_sqlite() {
    what_was_deleted_before_a_crash_ends(TempDb::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_deleted_before_a_crash_ends_on_postgres() {
    what_was_deleted_before_a_crash_ends(TempDb::postgres()).await;
}
