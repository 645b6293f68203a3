use super::*;
use crate::signal::{Severity, Signal, Source, Subject};
use mainspring_core::Timestamp;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

const SECOND: i64 = 1_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds * SECOND)
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn subject(objective: &str) -> Subject {
    let labels = [("deployment", "churn"), ("objective", objective)];
    Subject {
        name: "SloBurn".into(),
        source: Source::Slo,
        severity: Severity::Page,
        labels: labels.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        sentence: format!("{objective} burns"),
        numbers: json!({"burn": 20.0}),
        query: None,
        runbook: None,
        page: None,
    }
}

fn signal(active: bool, keep: u64) -> Signal {
    Signal { subject: subject("availability"), active, keep: seconds(keep) }
}

/// Runs looks at these seconds; says what was raised and resolved when.
fn run(looks: &[(i64, bool)], keep: u64) -> (Vec<(i64, &'static str)>, Option<Alert>) {
    let (mut alert, mut said) = (None, Vec::new());
    for (second, active) in looks {
        match look(alert.as_ref(), &signal(*active, keep), at(*second)) {
            Changed::Nothing => {}
            Changed::Updated(next) => alert = Some(next),
            Changed::Raised(next) => {
                said.push((*second, "raised"));
                alert = Some(next);
            }
            Changed::Resolved(next) => {
                said.push((*second, "resolved"));
                alert = Some(next);
            }
        }
    }
    (said, alert)
}

#[test]
fn what_is_right_for_a_moment_keeps_its_alert() {
    let flicker = [(0, true), (10, false), (20, true), (50, false), (79, false), (80, false), (90, true)];
    let (said, alert) = run(&flicker, 60);
    assert_eq!(said, [(0, "raised"), (80, "resolved"), (90, "raised")]);
    let alert = alert.unwrap();
    assert_eq!((alert.sequence, alert.started), (3, at(90)), "its count goes on over its lives");
}

#[test]
fn what_nobody_watches_any_more_is_over_at_once() {
    let (_, alert) = run(&[(0, true)], 1800);
    assert_eq!(look(alert.as_ref(), &signal(false, 1800), at(15)), Changed::Nothing);
    let mut gone = signal(false, 0);
    "it is no longer declared".clone_into(&mut gone.subject.sentence);
    let Changed::Resolved(over) = look(alert.as_ref(), &gone, at(15)) else { panic!("it goes on") };
    assert_eq!((over.since, over.subject.sentence.as_str()), (at(15), "it is no longer declared"));
}

#[test]
fn a_look_that_comes_late_takes_nothing_back() {
    let (said, alert) = run(&[(100, true), (40, false), (60, true)], 0);
    assert_eq!(said, [(100, "raised")]);
    assert_eq!(alert.unwrap().seen, at(100));
}

#[test]
fn the_fingerprint_is_of_what_it_is_and_not_of_what_it_says() {
    let one = subject("availability");
    let mut other = Subject { sentence: "else".into(), numbers: json!(1), ..one.clone() };
    assert_eq!(one.fingerprint(), other.fingerprint());
    other.labels.insert("variant".into(), String::new());
    assert_ne!(one.fingerprint(), other.fingerprint());
    // No two ways of cutting the same text are one.
    let pair = |a: &str, b: &str| {
        let labels = BTreeMap::from([(a.to_owned(), b.to_owned())]);
        Subject { labels, ..subject("x") }.fingerprint()
    };
    assert_ne!(pair("ab", "c"), pair("a", "bc"));
}

const TIMING: Timing =
    Timing { wait: Duration::from_secs(30), interval: Duration::from_secs(300), repeat: Duration::from_secs(3600) };

fn alert(objective: &str, phase: Phase, started: i64) -> Alert {
    let subject = subject(objective);
    let (started, fingerprint) = (at(started), subject.fingerprint());
    Alert { fingerprint, subject, phase, since: started, started, seen: started, sequence: 1 }
}

fn standing(alerts: &[Alert]) -> Vec<Standing<'_>> {
    alerts.iter().map(|alert| Standing { alert, silenced: false }).collect()
}

fn names(alerts: &[Alert]) -> Vec<&str> {
    alerts.iter().map(|a| a.subject.labels["objective"].as_str()).collect()
}

#[test]
fn alerts_of_a_group_go_out_together_and_again_after_a_while() {
    let mut alerts = vec![alert("availability", Phase::Firing, 0), alert("p99", Phase::Firing, 20)];
    let group = Group::default();
    assert_eq!(due(&group, &standing(&alerts), at(29), TIMING), None, "the first one waits");
    let message = due(&group, &standing(&alerts), at(30), TIMING).unwrap();
    assert_eq!((names(&message.firing), message.repeated), (vec!["availability", "p99"], false));
    let group = message.group.unwrap();
    assert_eq!(due(&group, &standing(&alerts), at(3629), TIMING), None, "nothing new");
    let again = due(&group, &standing(&alerts), at(3630), TIMING).unwrap();
    assert!(again.repeated && again.resolved.is_empty());
    // A third one is news, and waits for the interval.
    alerts.push(alert("p50", Phase::Firing, 100));
    assert_eq!(due(&group, &standing(&alerts), at(329), TIMING), None);
    let message = due(&group, &standing(&alerts), at(330), TIMING).unwrap();
    assert_eq!(names(&message.firing), ["availability", "p99", "p50"]);
    // One is over, then all.
    let group = message.group.unwrap();
    alerts[1].phase = Phase::Resolved;
    let message = due(&group, &standing(&alerts), at(630), TIMING).unwrap();
    assert_eq!((names(&message.firing), names(&message.resolved)), (vec!["availability", "p50"], vec!["p99"]));
    let group = message.group.unwrap();
    for alert in &mut alerts {
        alert.phase = Phase::Resolved;
    }
    let left = [alerts[0].clone(), alerts[2].clone()];
    let message = due(&group, &standing(&left), at(930), TIMING).unwrap();
    assert_eq!((message.firing.len(), names(&message.resolved), message.group), (0, vec!["availability", "p50"], None));
}

#[test]
fn what_was_over_before_it_was_told_is_not_told() {
    let alerts = [alert("availability", Phase::Resolved, 0)];
    assert_eq!(due(&Group::default(), &standing(&alerts), at(100), TIMING), None);
}

#[test]
fn a_silenced_alert_says_only_that_it_is_over() {
    let alerts = [alert("availability", Phase::Firing, 0)];
    let quiet = [Standing { alert: &alerts[0], silenced: true }];
    assert_eq!(due(&Group::default(), &quiet, at(9999), TIMING), None);
    let group = due(&Group::default(), &standing(&alerts), at(30), TIMING).unwrap().group.unwrap();
    assert_eq!(due(&group, &quiet, at(99_999), TIMING), None, "it is not repeated");
    let over = [alert("availability", Phase::Resolved, 0)];
    let quiet = [Standing { alert: &over[0], silenced: true }];
    let message = due(&group, &quiet, at(99_999), TIMING).unwrap();
    assert_eq!((names(&message.resolved), message.group), (vec!["availability"], None));
}

#[test]
fn while_only_silenced_alerts_go_on_the_end_of_others_waits() {
    let mut alerts = [alert("availability", Phase::Firing, 0), alert("p99", Phase::Firing, 0)];
    let group = due(&Group::default(), &standing(&alerts), at(30), TIMING).unwrap().group.unwrap();
    alerts[1].phase = Phase::Resolved;
    let mut all = standing(&alerts);
    all[0].silenced = true;
    assert_eq!(due(&group, &all, at(9999), TIMING), None, "it would be firing, with nothing that fires");
    all[0].silenced = false;
    let message = due(&group, &all, at(9999), TIMING).unwrap();
    assert_eq!((names(&message.firing), names(&message.resolved)), (vec!["availability"], vec!["p99"]));
}

#[test]
fn what_is_most_severe_comes_first() {
    let mut alerts: Vec<Alert> = (0..25).map(|i| alert(&format!("ticket{i}"), Phase::Firing, i)).collect();
    for ticket in &mut alerts {
        ticket.subject.severity = Severity::Ticket;
    }
    alerts.push(alert("page", Phase::Firing, 29));
    let message = due(&Group::default(), &standing(&alerts), at(30), TIMING).unwrap();
    assert_eq!(names(&message.firing)[..2], ["page", "ticket0"], "the oldest has waited for others");
    let group = message.group.unwrap();
    for alert in &mut alerts {
        alert.phase = Phase::Resolved;
    }
    let message = due(&group, &standing(&alerts), at(330), TIMING).unwrap();
    assert_eq!(names(&message.resolved)[0], "page");
}

proptest! {
    /// However alerts and silences come and go: nobody is told twice that one began, nor that one is over which he did not
    /// hear of, nor of one that is silenced, nor that something fires without what; and in the end what he believes is so.
    #[test]
    fn a_channel_always_believes_what_is_so_in_the_end(steps in prop::collection::vec((0_usize..4, 0..4, 1_i64..400), 1..60)) {
        let objectives = ["a", "b", "c", "d"];
        let mut alerts: Vec<Alert> = objectives.iter().map(|o| alert(o, Phase::Resolved, 0)).collect();
        let (mut group, mut now) = (Group::default(), 0);
        let mut silenced = [false; 4];
        let mut believes = std::collections::BTreeSet::new();
        let mut tell = |group: &mut Group, alerts: &[Alert], silenced: [bool; 4], now: i64| {
            let all: Vec<Standing<'_>> =
                alerts.iter().zip(silenced).map(|(alert, silenced)| Standing { alert, silenced }).collect();
            let Some(message) = due(group, &all, at(now), TIMING) else { return Ok(false) };
            for over in &message.resolved {
                prop_assert!(believes.remove(&over.fingerprint), "told of an end without a beginning");
            }
            let firing: std::collections::BTreeSet<String> = message.firing.iter().map(|a| a.fingerprint.clone()).collect();
            prop_assert!(!firing.is_empty() || message.group.is_none(), "something fires, but what?");
            prop_assert!(all.iter().all(|s| !s.silenced || !firing.contains(&s.alert.fingerprint)));
            prop_assert!(message.repeated == (firing.is_subset(&believes) && message.resolved.is_empty()));
            believes.extend(firing);
            *group = message.group.unwrap_or_default();
            prop_assert_eq!(&group.told, &believes);
            Ok(true)
        };
        for (which, what, wait) in steps {
            now += wait;
            match what {
                0 | 1 => {
                    alerts[which].phase = if what == 0 { Phase::Firing } else { Phase::Resolved };
                    alerts[which].started = at(now);
                }
                _ => silenced[which] = what == 2,
            }
            tell(&mut group, &alerts, silenced, now)?;
        }
        now += 1000;
        tell(&mut group, &alerts, [false; 4], now)?;
        let so: std::collections::BTreeSet<String> =
            alerts.iter().filter(|a| a.phase == Phase::Firing).map(|a| a.fingerprint.clone()).collect();
        prop_assert_eq!(believes, so);
    }
}
