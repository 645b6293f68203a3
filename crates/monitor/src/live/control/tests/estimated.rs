//! What is estimated window after window, with a port that says what it is told to.

use super::super::super::outlook::Prospect;
use super::super::super::ports::About;
use super::*;
use crate::estimate::{Chunk, Estimated, Realized, Report, Request};
use crate::segment::About as Rows;
use mainspring_stats::estimate::Estimate;

impl Estimates for Process {
    fn estimate<'a>(&'a self, _: &'a Tenant, request: Request) -> PortResult<'a, Option<Report>> {
        let (value, realized) = *self.0.accuracy.lock();
        let busy = *self.0.busy.lock();
        self.0.windows.lock().push(request);
        Box::pin(async move { if busy { Err(failed("no turn")) } else { Ok(Some(report(value, realized))) } })
    }
}

fn report(value: f64, realized: Option<f64>) -> Report {
    let metric = "accuracy";
    let (low, high) = (value - 0.02, value + 0.02);
    let estimate = Estimate { metric, value, low, high, lower_threshold: None, upper_threshold: None, alert: false };
    let realized: Vec<Realized> = realized.into_iter().map(|value| Realized { metric, value }).collect();
    let labeled = 700 * realized.len() as u64;
    let whole = Chunk { from: 0, rows: 900, between: None, metrics: vec![estimate], labeled, realized };
    let estimated = Estimated {
        method: "cbpe",
        classes: vec!["0".into(), "1".into()],
        calibrated: Some(true),
        explained: None,
        features: Vec::new(),
        rows: [2_000, 900],
        left_out: [0, 0],
        reference: vec![Realized { metric, value: 0.92 }],
        whole,
        chunks: Vec::new(),
        alert: false,
    };
    Report { estimated, current: Rows::default(), reference: None, source: "labelled rows".into() }
}

fn declared() -> MonitorSpec {
    spec(json!({
        "reference": {"firstRows": 200}, "recoverAfter": "10m", "onDrift": {"rollout": "abort"},
        "label": {"name": "churned", "wait": "20m", "prediction": "out.y"},
        "estimate": {"metric": "accuracy", "below": 0.9, "window": "5m", "reference": {"window": "7d"}},
    }))
}

/// So many minutes pass, with an accuracy that an estimate finds.
async fn minutes(stage: &Stage, servers: &mut [&mut Server], (count, accuracy): (usize, f64)) {
    stage.accuracy.lock().0 = accuracy;
    for _ in 0..count {
        pass(stage, servers, 300).await;
        // What is found out beside everything else is there with the next pass.
        for _ in 0..20 {
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
            for server in servers.iter_mut() {
                server.controller.pass().await.unwrap();
            }
        }
    }
}

async fn what_is_estimated_is_told_and_goes_on_with_another_leader(temp: TempDb) {
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock);
    let (mut a, mut b) = (Server::new(&db, &temp.ctx, &stage, "a"), Server::new(&db, &temp.ctx, &stage, "b"));
    for server in [&a, &b] {
        server.monitors.declare(&declare(), declared(), server.monitors.ctx.now()).unwrap();
    }
    pass(&stage, &mut [&mut a, &mut b], 0).await;
    minutes(&stage, &mut [&mut a, &mut b], (12, 0.95)).await;
    let outlook = a.watch().outlook.unwrap();
    assert_eq!((outlook.standing, outlook.looks.len()), (Prospect::Steady, 2), "a fine window raises nothing");
    assert!(stage.told.lock().is_empty());
    // Each window once, of the version that answers, learnt from what was labelled before it.
    let begun = a.watch().begun;
    let asked: Vec<_> = stage.windows.lock().iter().map(|r| (r.current.from, r.current.until)).collect();
    let five = |n: i64| begun.plus_micros(5 * n * MINUTE);
    assert_eq!(asked, [(five(0), five(1)), (five(1), five(2))]);
    {
        let windows = stage.windows.lock();
        let crate::estimate::Reference::Rows(before) = &windows[1].reference else { unreachable!() };
        assert_eq!((before.until, before.from), (five(1), five(1).plus_micros(-7 * 24 * 60 * MINUTE)));
        assert_eq!(windows[1].current.version.as_deref(), Some("3"));
        assert_eq!((windows[1].feedback.as_str(), windows[1].asked.prediction.as_deref()), ("churned", Some("out.y")));
    }
    assert_eq!((outlook.looks[0].realized, outlook.looks[0].settled), (None, false));
    // The first labels come.
    stage.accuracy.lock().1 = Some(0.66);
    minutes(&stage, &mut [&mut a, &mut b], (5, 0.7)).await;
    // Killed: the other one leads once the lease has run out, and the window before the next is not estimated again.
    drop(a);
    minutes(&stage, &mut [&mut b], (10, 0.7)).await;
    let looks = b.watch().outlook.unwrap().looks;
    let spans: Vec<_> = looks.iter().map(|look| (look.from, look.until)).collect();
    assert_eq!(spans[..5], [0, 1, 2, 3, 4].map(|n| (five(n), five(n + 1))));
    assert_eq!(b.view().state(), "degraded");
    let (_, told) = b.monitors.transitions(&read(), u64::MAX, 10).await.unwrap().pop().unwrap();
    assert_eq!(told.kind, TransitionKind::Degraded);
    assert!(told.sentence.contains("stable of churn version 3 is surely at accuracy below 0.900"), "{}", told.sentence);
    assert_eq!((told.numbers["estimate"].as_f64(), told.numbers["version"].as_str()), (Some(0.7), Some("3")));
    let alarms = stage.told.lock().clone();
    assert_eq!((alarms.len(), alarms[0].firing, alarms[0].about), (1, true, About::Estimate));
    assert_eq!(alarms[0].order, None, "what is estimated stops no rollout");
    // The labels of the first window stand beside what was estimated of it, which stays.
    let looks = b.watch().outlook.unwrap().looks;
    assert_eq!((looks[0].value, looks[0].realized, looks[0].labeled, looks[0].settled), (0.95, Some(0.66), 700, true));
    // Fine again, and for long enough.
    minutes(&stage, &mut [&mut b], (20, 0.95)).await;
    let alarms = stage.told.lock().clone();
    assert_eq!((alarms.len(), alarms[1].firing, alarms[1].about), (2, false, About::Estimate));
    assert!(alarms[1].sentence.contains("has not been at accuracy below 0.900 for 10m"), "{}", alarms[1].sentence);
    assert_eq!(b.watch().outlook.unwrap().standing, Prospect::Steady);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_estimated_is_told_and_goes_on_with_another_leader_on_sqlite() {
    what_is_estimated_is_told_and_goes_on_with_another_leader(TempDb::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_estimated_is_told_and_goes_on_with_another_leader_on_postgres() {
    what_is_estimated_is_told_and_goes_on_with_another_leader(TempDb::postgres()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_alert_ends_with_the_version_the_declaration_and_the_monitor() {
    for (turn, why) in [
        ("version", "version 4 answers now"),
        ("estimate", "it was declared anew"),
        ("test", "it was declared anew with another test"),
        ("monitor", "it was taken away"),
    ] {
        let temp = TempDb::sqlite();
        let db = temp.open_with(&[MIGRATIONS]).await;
        let stage = stage(&temp.clock);
        let mut server = Server::new(&db, &temp.ctx, &stage, "a");
        server.monitors.declare(&declare(), declared(), server.monitors.ctx.now()).unwrap();
        pass(&stage, &mut [&mut server], 0).await;
        minutes(&stage, &mut [&mut server], (7, 0.5)).await;
        assert_eq!(stage.told.lock().len(), 1, "{turn}");
        let estimate =
            declared().estimate.map(|e| super::super::super::outlook::spec::EstimateSpec { below: Some(0.4), ..e });
        match turn {
            "version" => *stage.version.lock() = "4",
            "estimate" => server
                .monitors
                .declare(&declare(), MonitorSpec { estimate, ..declared() }, server.monitors.ctx.now())
                .unwrap(),
            "test" => server
                .monitors
                .declare(&declare(), MonitorSpec { level: 0.001, ..declared() }, server.monitors.ctx.now())
                .unwrap(),
            _ => server.monitors.withdraw(&declare()),
        }
        minutes(&stage, &mut [&mut server], (3, 0.5)).await;
        let alarms = stage.told.lock().clone();
        assert_eq!((alarms.len(), alarms[1].firing, alarms[1].about), (2, false, About::Estimate), "{turn}");
        assert!(alarms[1].sentence.ends_with(why), "{}", alarms[1].sentence);
        if turn == "estimate" {
            minutes(&stage, &mut [&mut server], (7, 0.5)).await;
            assert_eq!(server.view().state(), "steady", "0.5 is not below 0.4");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_without_a_turn_waits_for_one_and_what_cannot_be_estimated_does_not() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock);
    let mut server = Server::new(&db, &temp.ctx, &stage, "a");
    let spec = declared();
    let mae = spec.estimate.clone().map(|e| super::super::super::outlook::spec::EstimateSpec {
        metric: super::super::super::outlook::spec::Metric::Mae,
        below: None,
        above: Some(3.0),
        ..e
    });
    server.monitors.declare(&declare(), spec.clone(), server.monitors.ctx.now()).unwrap();
    pass(&stage, &mut [&mut server], 0).await;
    *stage.busy.lock() = true;
    minutes(&stage, &mut [&mut server], (8, 0.5)).await;
    assert!(stage.windows.lock().len() > 1, "asked for again");
    let outlook = server.watch().outlook.unwrap();
    assert_eq!((outlook.looks.len(), outlook.problem, server.view().problem), (0, None, None));
    *stage.busy.lock() = false;
    minutes(&stage, &mut [&mut server], (2, 0.5)).await;
    assert_eq!(server.watch().outlook.unwrap().looks[0].from, server.watch().begun, "the one that waited");
    server.monitors.declare(&declare(), MonitorSpec { estimate: mae, ..spec }, server.monitors.ctx.now()).unwrap();
    minutes(&stage, &mut [&mut server], (7, 0.5)).await;
    let outlook = server.watch().outlook.unwrap();
    assert_eq!(outlook.problem.as_deref(), Some("mae is not estimated here (cbpe); there are accuracy"));
    assert_eq!((outlook.looks.len(), outlook.standing), (0, Prospect::Waiting));
}

/// A metric that some rows have no value of, such as an area under a curve of one class, is no state that cannot be read again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_number_is_said_and_not_kept() {
    let temp = TempDb::sqlite();
    let db = temp.open_with(&[MIGRATIONS]).await;
    let stage = stage(&temp.clock);
    let mut server = Server::new(&db, &temp.ctx, &stage, "a");
    server.monitors.declare(&declare(), declared(), server.monitors.ctx.now()).unwrap();
    pass(&stage, &mut [&mut server], 0).await;
    stage.accuracy.lock().1 = Some(f64::NAN);
    minutes(&stage, &mut [&mut server], (7, 0.95)).await;
    minutes(&stage, &mut [&mut server], (5, f64::NAN)).await;
    let (tenant, name) = (Tenant::default(), name());
    let kept = db.read(move |c| async move { sql::one(c, &tenant, &name).await }.boxed()).await.unwrap().unwrap();
    let outlook = kept.watch.outlook.unwrap();
    assert_eq!((outlook.looks.len(), outlook.looks[0].realized), (1, None));
    assert_eq!(outlook.problem.as_deref(), Some("accuracy has no value in these 900 rows"));
}
