use super::*;
use crate::signal::Severity;
use proptest::prelude::*;

fn objective(target: f64) -> Objective {
    Objective {
        tenant: Tenant::default(),
        deployment: Name::new("churn").unwrap(),
        name: "availability".into(),
        target,
        within: None,
        minimum: 20,
        runbook: Some("https://wiki/churn?a=\"b\"".into()),
        answers: None,
    }
}

fn sums(windows: [(u64, u64); 8]) -> Sums {
    Sums { tenant: Tenant::default(), deployment: "churn".into(), counted: "availability".into(), windows }
}

/// Every window has the same share of bad requests.
fn evenly(bad: u64) -> Sums {
    sums([(1_000_000, bad); 8])
}

#[test]
fn the_rules_are_those_of_the_workbook() {
    // The share of the budget that a rule's long window has used when it fires.
    let used: Vec<f64> = RULES
        .iter()
        .map(|r| r.factor * WINDOWS[r.long].as_secs_f64() / PERIOD.as_secs_f64())
        .map(|used| (used * 1e4).round() / 1e4)
        .collect();
    assert_eq!(used, [0.02, 0.05, 0.1, 0.1]);
    // Each short window is a twelfth of its long one.
    assert!(RULES.iter().all(|r| WINDOWS[r.long] == WINDOWS[r.short] * 12));
}

#[test]
fn a_budget_burns_as_fast_as_it_does() {
    let (standing, signals) = judge(&objective(0.999), &evenly(500));
    assert!((standing.burns[2].rate - 0.5).abs() < 1e-9 && (standing.left - 0.5).abs() < 1e-9);
    assert!(standing.severity.is_none() && signals.iter().all(|s| !s.active));
    let at = |bad: u64| judge(&objective(0.999), &evenly(bad)).0.severity;
    assert_eq!(at(999), None);
    assert_eq!(at(1_001), Some(Severity::Ticket));
    assert_eq!(at(5_999), Some(Severity::Ticket));
    assert_eq!(at(6_001), Some(Severity::Page));
    assert!(judge(&objective(0.999), &evenly(2_000)).0.left < 0.0, "overdrawn");
}

#[test]
fn both_windows_must_burn() {
    let quiet = (1_000_000, 0);
    let hot = (1_000_000, 20_000);
    let page = |windows| judge(&objective(0.999), &sums(windows)).1[0].active;
    assert!(page([hot, quiet, hot, quiet, quiet, quiet, quiet, quiet]), "an hour and five minutes");
    assert!(!page([quiet, hot, hot, hot, quiet, quiet, quiet, quiet]), "it is over");
    assert!(!page([hot, hot, quiet, quiet, quiet, quiet, quiet, quiet]), "not much is gone yet");
    assert!(page([quiet, hot, quiet, quiet, hot, quiet, quiet, quiet]), "six hours and thirty minutes");
    let ticket = |windows| judge(&objective(0.999), &sums(windows)).1[1].active;
    assert!(ticket([quiet, quiet, quiet, hot, quiet, hot, quiet, quiet]));
    assert!(ticket([quiet, quiet, quiet, quiet, hot, quiet, hot, quiet]));
}

#[test]
fn a_few_requests_say_nothing() {
    let few = |total| sums([(total, total); 8]);
    assert_eq!(judge(&objective(0.999), &few(19)).0.severity, None);
    assert_eq!(judge(&objective(0.999), &few(20)).0.severity, Some(Severity::Page));
    assert_eq!(judge(&objective(0.999), &sums([(0, 0); 8])).0.left, 1.0);
}

#[test]
fn an_alert_says_its_numbers_and_the_query_that_shows_them() {
    let slow =
        Objective { name: "p99".into(), target: 0.99, within: Some(Duration::from_millis(20)), ..objective(0.0) };
    let (_, signals) = judge(&slow, &sums([(1_000, 200); 8]));
    let subject = &signals[0].subject;
    assert_eq!(
        subject.sentence,
        "200 of 1000 requests took longer than 20 ms in 1h, 20.0 times what 99 % allows; -1900.0 % of the 30 days' budget is left"
    );
    assert!(subject.query.as_ref().unwrap().contains("total_us > 20000"));
    assert_eq!(subject.numbers["rule"]["factor"], 14.4);
    assert_eq!(subject.numbers["windows"].as_array().unwrap().len(), 8);
    let labels: Vec<_> = subject.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(labels, ["deployment=churn", "objective=p99"]);
    assert_ne!(signals[0].subject.fingerprint(), signals[1].subject.fingerprint());
}

#[test]
fn a_new_threshold_is_counted_anew_and_a_new_target_is_not() {
    let at = |ms, target| Objective { within: Some(Duration::from_millis(ms)), ..objective(target) }.series();
    assert_eq!(at(20, 0.99), at(20, 0.95));
    assert_ne!(at(20, 0.99), at(50, 0.99));
}

fn slow(ms: u64) -> Objective {
    Objective {
        name: "p99".into(),
        target: 0.99,
        within: Some(Duration::from_millis(ms)),
        minimum: 7,
        ..objective(0.0)
    }
}

#[test]
fn an_alert_names_the_version_that_answered_all_that_is_bad() {
    let named = |answers: Option<Answering>| {
        let objective = Objective { answers, ..objective(0.999) };
        let (_, signals) = judge(&objective, &evenly(20_000));
        signals.into_iter().map(|s| s.subject.numbers["version"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let held = |minutes: u64| {
        let held = Duration::from_secs(60 * minutes);
        Some(Answering { model: "churn".into(), version: "8".into(), held })
    };
    let eight = Some("8".to_owned());
    assert_eq!(named(None), [None, None]);
    assert_eq!(named(held(4)), [None, None], "another one answered a part of the last five minutes");
    assert_eq!(named(held(5)), [eight.clone(), None], "a ticket looks back two hours");
    assert_eq!(named(held(120)), [eight.clone(), eight]);
}

fn groups(text: &str) -> Vec<serde_json::Value> {
    let file: serde_json::Value = serde_saphyr::from_str(text).unwrap();
    file["groups"].as_array().unwrap().clone()
}

#[test]
fn the_rules_for_prometheus_are_yaml_with_what_was_declared() {
    let bounds = [Duration::from_millis(10), Duration::from_millis(25)];
    let text = rules(&[objective(0.999), slow(20), slow(5)], &bounds);
    let groups = groups(&text);
    assert_eq!(groups.len(), 3, "{text}");
    let all = groups[0]["rules"].as_array().unwrap();
    assert_eq!(all.len(), 7 + 4);
    assert_eq!(all[7]["annotations"]["runbook_url"], "https://wiki/churn?a=\"b\"");
    let expr = all[7]["expr"].as_str().unwrap();
    assert!(expr.contains(">= 0.014400000 and mainspring:slo_bad:ratio_rate5m"), "{expr}");
    let bad = all[0]["expr"].as_str().unwrap();
    let failed =
        "{deployment=\"churn\",outcome=~\"overloaded|deadline_exceeded|unavailable|internal\"}[5m])) or vector(0))";
    let sum = |counter: &str| format!("(sum(rate(mainspring_inference_{counter}_total{failed}");
    // Also what no version could answer.
    assert!(bad.starts_with(&format!("({} + {}) / (", sum("requests"), sum("unserved"))), "{bad}");
    assert_eq!(bad.matches("mainspring_inference_unserved_total").count(), 2, "{bad}");
    let named = |rule: &serde_json::Value| rule.get("alert").map(|name| format!("{name} {}", rule["labels"]));
    let labels: Vec<String> = groups.iter().flat_map(|g| g["rules"].as_array().unwrap()).filter_map(named).collect();
    let different: std::collections::BTreeSet<&String> = labels.iter().collect();
    assert_eq!((labels.len(), different.len()), (11, 11), "Prometheus wants no two rules to be the same");
    assert!(groups[1]["rules"][0]["expr"].as_str().unwrap().contains("le=\"0.01\""));
    assert!(text.contains("# churn p99: the shortest duration bucket is longer than 5 ms"));
}

#[test]
fn the_rules_for_prometheus_have_a_minimum_of_requests_too() {
    let groups = groups(&rules(&[objective(0.999), slow(20)], &[Duration::from_millis(20)]));
    let ends = |group: usize, rule: usize| {
        let expr = groups[group]["rules"][7 + rule]["expr"].as_str().unwrap();
        expr.split_once(" and on () ").unwrap().1.to_owned()
    };
    for (rule, long) in ["1h", "6h", "1d", "3d"].into_iter().enumerate() {
        // What the caller did wrong is none of them, as for the server's own alerts.
        let own =
            "invalid_input|unauthenticated|denied|not_found|already_exists|conflict|too_large|cancelled|unimplemented";
        let end = ends(0, rule);
        for counter in ["requests", "unserved"] {
            let of = format!("{counter}_total{{deployment=\"churn\",outcome!~\"");
            let (_, rest) = end.split_once(&of).unwrap();
            let (named, rest) = rest.split_once('"').unwrap();
            let sorted = |words: &str| words.split('|').map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
            assert_eq!(sorted(named), sorted(own), "{end}");
            assert!(rest.starts_with(&format!("}}[{long}])) or vector(0))")), "{end}");
        }
        assert!(end.ends_with(" >= 20"), "{end}");
        let answered =
            format!("sum(increase(mainspring_inference_duration_seconds_count{{deployment=\"churn\"}}[{long}])) >= 7");
        assert_eq!(ends(1, rule), answered);
    }
}

#[test]
fn a_bucket_is_found_however_prometheus_writes_its_bound() {
    let micros = |all: &[u64]| all.iter().map(|us| Duration::from_micros(*us)).collect::<Vec<_>>();
    let bounds = micros(&[2, 13, 50, 100, 2_500, 1_000_000, 10_000_000]);
    for (us, matcher) in [
        (2, r#"le=~"0\\.000002|2e-06""#),
        (13, r#"le=~"0\\.000013|1\\.3e-05""#),
        (50, r#"le=~"0\\.00005|5e-05""#),
        (100, r#"le="0.0001""#),
        (2_500, r#"le="0.0025""#),
        (1_000_000, r#"le=~"1(\\.0)?""#),
        (10_000_000, r#"le=~"10(\\.0)?""#),
    ] {
        let within = Objective { within: Some(Duration::from_micros(us)), ..slow(0) };
        let groups = groups(&rules(&[within], &bounds));
        let expr = groups[0]["rules"][0]["expr"].as_str().unwrap();
        assert!(expr.contains(&format!(",{matcher}}}[5m]")), "{expr}");
    }
}

#[test]
fn the_rules_for_prometheus_tell_of_drift_whatever_is_promised() {
    let bounds = [Duration::from_millis(10)];
    for (objectives, more) in [(vec![], 0), (vec![slow(5)], 0), (vec![objective(0.9)], 1)] {
        let text = rules(&objectives, &bounds);
        let groups = groups(&text);
        assert_eq!(groups.len(), 1 + more, "{text}");
        let rule = &groups[more]["rules"][0];
        assert_eq!(rule["alert"], "MainspringDrift");
        assert!(rule["expr"].as_str().unwrap().contains("(mainspring_monitor_drifting) == 1"), "{text}");
        let rule = &groups[more]["rules"][1];
        assert_eq!(
            (&rule["alert"], &rule["labels"]["severity"]),
            (&"MainspringDetectedChange".into(), &"ticket".into())
        );
        assert!(rule["expr"].as_str().unwrap().contains("(mainspring_monitor_detecting) == 1"), "{text}");
        assert_eq!(groups[more]["rules"][2]["alert"], "MainspringMonitorStopped");
        assert_eq!(text.contains("# No deployment has an `slo` yet."), objectives.is_empty(), "{text}");
    }
}

proptest! {
    /// More bad requests never make an objective look better.
    #[test]
    fn more_bad_is_never_better(total in 20_u64..1_000_000, bad in 0_u64..1000, more in 0_u64..1000, target in 0.5_f64..0.9999) {
        let (bad, more) = (bad.min(total), (bad + more).min(total));
        let one = judge(&objective(target), &sums([(total, bad); 8])).0;
        let two = judge(&objective(target), &sums([(total, more); 8])).0;
        prop_assert!(two.left <= one.left);
        prop_assert!(two.severity >= one.severity);
    }
}
