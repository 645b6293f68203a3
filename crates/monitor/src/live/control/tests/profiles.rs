//! Which profile counts, and why none does.

use super::super::super::track::Origin;
use super::*;

fn save() -> mainspring_core::Authorized<SaveProfile> {
    may(SaveProfile { model: "churn".into() })
}

fn origin(server: &Server) -> Origin {
    server.watch().tracks["in.x"].origin
}

/// Saving a profile with a version that answers already is what the hint asks for: it counts from then on, and the history says
/// so. A server that succeeds goes on with it, and takes up what was saved while nobody led.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_that_is_saved_while_its_version_is_watched_counts() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock);
    let declared = spec(json!({"window": "30m", "minRows": 100, "reference": {"firstRows": 1000}}));
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    a.monitors.declare(&declare(), declared.clone(), a.monitors.ctx.now()).unwrap();
    for _ in 0..15 {
        pass(&stage, &mut [&mut a], 200).await;
    }
    // What the last minute needs to be complete.
    pass(&stage, &mut [&mut a], 0).await;
    assert_eq!((origin(&a), a.view().state()), (Origin::FirstRows, "steady"));
    let rows = a.watch().rows[0];
    a.monitors.save_profile(&save(), "3", &trained(&stage, 2.0)).await.unwrap();
    // Without a row, too.
    pass(&stage, &mut [&mut a], 0).await;
    assert_eq!((origin(&a), a.view().state()), (Origin::Profile, "waiting"));
    let kept = a.monitors.transitions(&read(), u64::MAX, 100).await.unwrap();
    assert_eq!((kept.len(), kept[0].1.kind), (1, TransitionKind::Replaced));
    assert!(kept[0].1.sentence.contains("; watched anew against it: in.x"), "{}", kept[0].1.sentence);
    assert!(stage.told.lock().is_empty(), "no alarm ends that did not begin");
    for _ in 0..15 {
        pass(&stage, &mut [&mut a], 200).await;
    }
    assert_eq!((a.view().state(), stage.told.lock().len()), ("drifting", 1));
    assert!(a.watch().rows[0] > rows, "the version is the same");
    // It was the wrong file. The right one is saved while nobody leads.
    drop(a);
    let mut b = Server::new(&db, &temp.ctx, &stage, "b");
    b.monitors.save_profile(&save(), "3", &trained(&stage, 0.0)).await.unwrap();
    b.monitors.declare(&declare(), declared, b.monitors.ctx.now()).unwrap();
    for _ in 0..15 {
        pass(&stage, &mut [&mut b], 200).await;
    }
    assert_eq!((origin(&b), b.view().state(), b.view().problem), (Origin::Profile, "steady", None));
    let kept = b.monitors.transitions(&read(), u64::MAX, 100).await.unwrap();
    assert_eq!(kept.len(), 3);
    assert!(kept[0].1.sentence.ends_with("a drift ends with that"), "{}", kept[0].1.sentence);
    let alarms: Vec<bool> = stage.told.lock().iter().map(|alarm| alarm.firing).collect();
    assert_eq!(alarms, [true, false]);
}

/// The profile of another version, and one beside rows that are answered meanwhile, are none of these columns' references.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_that_is_not_compared_with_changes_nothing() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock);
    let mut a = Server::new(&db, &temp.ctx, &stage, "a");
    for (version, declared) in [("4", json!({})), ("3", json!({"reference": {"window": "7d"}}))] {
        a.monitors.declare(&declare(), spec(declared), a.monitors.ctx.now()).unwrap();
        for _ in 0..5 {
            pass(&stage, &mut [&mut a], 200).await;
        }
        a.monitors.save_profile(&save(), version, &trained(&stage, 2.0)).await.unwrap();
        for _ in 0..3 {
            pass(&stage, &mut [&mut a], 200).await;
        }
        assert_ne!(origin(&a), Origin::Profile, "{version}");
        a.monitors.withdraw(&declare());
        pass(&stage, &mut [&mut a], 0).await;
    }
    assert!(a.monitors.transitions(&read(), u64::MAX, 100).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_says_why_the_runs_data_is_no_reference_until_a_profile_is_saved() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock);
    let fact = "the run's dataset \"train\" is /home/me/train.csv, which is not in this server's store";
    *stage.unused.lock() = Some(fact.to_owned());
    let (mut a, mut b) = (Server::new(&db, &temp.ctx, &stage, "a"), Server::new(&db, &temp.ctx, &stage, "b"));
    for server in [&a, &b] {
        server.monitors.declare(&declare(), spec(json!({})), server.monitors.ctx.now()).unwrap();
    }
    for _ in 0..8 {
        pass(&stage, &mut [&mut a, &mut b], 200).await;
    }
    // The server that does not lead knows it, too.
    for server in [&a, &b] {
        let unused = server.watch().compared.unwrap().unused.unwrap();
        assert!(unused.starts_with(fact) && unused.contains("`mainspring profile FILE --version churn/3`"), "{unused}");
    }
    let none = a.monitors.profile(&may(ReadProfile { model: "churn".into() }), "3").await.unwrap_err();
    assert_eq!(none.to_string(), format!("no profile is saved with version 3 of \"churn\"; {fact}"));
    a.monitors.save_profile(&save(), "3", &trained(&stage, 0.0)).await.unwrap();
    for _ in 0..2 {
        pass(&stage, &mut [&mut a], 200).await;
    }
    let compared = a.watch().compared.unwrap();
    assert!(compared.unused.is_none() && compared.saved.unwrap().source.ends_with("train.csv"));
}

/// Who asks for a version's profile gets the one that a monitor would compare with.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_a_profile_gets_what_a_monitor_would() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock);
    *stage.trained.lock() = Some(trained(&stage, 0.0));
    let a = Server::new(&db, &temp.ctx, &stage, "a");
    let auth = may(ReadProfile { model: "churn".into() });
    for _ in 0..2 {
        let found = a.monitors.profile(&auth, "3").await.unwrap();
        assert_eq!((found.source.as_str(), found.saved_by.as_str()), ("the run's dataset churn", "the server"));
    }
    assert_eq!(*stage.asked.lock(), 1, "it is kept");
    *stage.trained.lock() = None;
    let none = a.monitors.profile(&auth, "4").await;
    assert!(matches!(none, Err(WatchError::NoProfile { unused: None, .. })), "{none:?}");
}
