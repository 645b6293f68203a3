//! A version that was rolled back is frozen, and what is frozen is not brought in.

use super::*;

async fn until(stage: &Stage, server: &mut Server, phase: Phase) {
    for _ in 0..60 {
        pass(stage, &mut [server], 4).await;
        if server.phase() == phase {
            return;
        }
    }
    panic!("{:?} and not {phase:?}", server.phase());
}

async fn harm_freezes_the_version(temp: TempDb) {
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock, 0.5, 0.3);
    let mut server = Server::new(&db, &temp.ctx, &stage, "a");
    *stage.deaf.lock() = true;
    server.rollouts.declare(&start(), spec(", freezeVersion: true")).unwrap();
    until(&stage, &mut server, Phase::RolledBack).await;
    let log = server.log().await;
    let back = log.iter().find(|d| d.kind == DecisionKind::RolledBack).unwrap();
    assert!(back.sentence.ends_with("; frozen until a person ends that: models:/churn/8"), "{}", back.sentence);
    // Whoever did not answer is asked again.
    for _ in 0..3 {
        pass(&stage, &mut [&mut server], 4).await;
    }
    let frozen = stage.frozen.lock().clone();
    let [only] = frozen.as_slice() else { panic!("{frozen:?}") };
    assert_eq!(only.model, "models:/churn/8");
    assert!(only.reason.starts_with("rollout v8: rolled back: errors is worse"), "{}", only.reason);
    let record = server.rollouts.record(&read(), None).await.unwrap();
    assert!(crate::replay(record, stage.journal.lock().clone()).exact());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn harm_freezes_the_version_on_sqlite() {
    harm_freezes_the_version(TempDb::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn harm_freezes_the_version_on_postgres() {
    harm_freezes_the_version(TempDb::postgres()).await;
}

#[tokio::test]
async fn without_the_word_and_by_a_persons_order_nothing_is_frozen() {
    for (extra, failing) in [("", 0.5), (", freezeVersion: true", 0.0)] {
        let temp = TempDb::sqlite();
        let db = temp.open_with(&[MIGRATIONS]).await;
        let stage = stage(&temp.clock, failing, 0.3);
        let mut server = Server::new(&db, &temp.ctx, &stage, "a");
        server.rollouts.declare(&start(), spec(extra)).unwrap();
        pass(&stage, &mut [&mut server], 1).await;
        if failing == 0.0 {
            until(&stage, &mut server, Phase::Step).await;
            server.order(Order::Abort).await.unwrap();
        }
        until(&stage, &mut server, Phase::RolledBack).await;
        pass(&stage, &mut [&mut server], 4).await;
        assert!(stage.frozen.lock().is_empty(), "{extra}");
    }
}

#[tokio::test]
async fn a_version_that_is_frozen_meanwhile_is_not_brought_in_and_stays_where_it_serves() {
    let freeze = || Freeze { model: "models:/churn/8".into(), reason: "a person said so".into() };
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let calm = stage(&temp.clock, 0.001, 0.5);
    let mut server = Server::new(&db, &temp.ctx, &calm, "a");
    server.rollouts.declare(&start(), spec("")).unwrap();
    until(&calm, &mut server, Phase::Step).await;
    calm.frozen.lock().push(freeze());
    until(&calm, &mut server, Phase::RolledBack).await;
    let log = server.log().await;
    let back = log.iter().find(|d| d.kind == DecisionKind::RolledBack).unwrap();
    assert_eq!(back.because, ["frozen"]);
    assert!(back.sentence.contains("the version of v8 may not be taken: a person said so"), "{}", back.sentence);
    // Once the deployment itself declares it, it serves, and what serves goes on.
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let served = stage(&temp.clock, 0.001, 0.5);
    let mut server = Server::new(&db, &temp.ctx, &served, "a");
    server.rollouts.declare(&start(), spec(", window: 1m")).unwrap();
    until(&served, &mut server, Phase::Watching).await;
    served.frozen.lock().push(freeze());
    until(&served, &mut server, Phase::Succeeded).await;
    assert_eq!(*served.declared.lock(), "models:/churn/8");
}

async fn a_promotion_goes_back_to_a_stable_version_that_was_frozen_meanwhile(temp: TempDb) {
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock, 0.001, 0.5);
    let mut server = Server::new(&db, &temp.ctx, &stage, "a");
    server.rollouts.declare(&start(), spec(", window: 1h")).unwrap();
    until(&stage, &mut server, Phase::Watching).await;
    assert_eq!(*stage.declared.lock(), "models:/churn/8");
    stage.frozen.lock().push(Freeze { model: "models:/churn/7".into(), reason: "a person said so".into() });
    pass(&stage, &mut [&mut server], 4).await;
    assert_eq!(server.phase(), Phase::Watching, "stable is not what the rollout brings in");
    *stage.tripped.lock() = Some("half of its requests fail".into());
    until(&stage, &mut server, Phase::RolledBack).await;
    pass(&stage, &mut [&mut server], 4).await;
    assert_eq!(*stage.declared.lock(), "models:/churn/7", "the deployment itself went back");
    let record = server.rollouts.record(&read(), None).await.unwrap();
    assert!(crate::replay(record, stage.journal.lock().clone()).exact());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promotion_goes_back_to_a_stable_version_that_was_frozen_meanwhile_on_sqlite() {
    a_promotion_goes_back_to_a_stable_version_that_was_frozen_meanwhile(TempDb::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promotion_goes_back_to_a_stable_version_that_was_frozen_meanwhile_on_postgres() {
    a_promotion_goes_back_to_a_stable_version_that_was_frozen_meanwhile(TempDb::postgres()).await;
}
