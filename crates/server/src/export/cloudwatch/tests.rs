use super::data::{Amount, By, Datum, Metric, Tally};
use super::emf::{documents, plain, sample};
use super::put::bodies;
use super::*;
use crate::metrics::{Families, Kind, reading};
use mainspring_core::Timestamp;
use mainspring_serving::HistogramView;
use serde_json::Value;

/// Requests of two versions of `churn`: answered, failed, refused; and how long they took.
fn families(ok: f64, failed: f64, refused: f64, times: &[(u64, u64)]) -> Families {
    let mut all = Families::default();
    let of = |version| [("deployment", "churn"), ("variant", "stable"), ("model", "churn"), ("version", version)];
    all.family("mainspring_inference_requests_total", Kind::Counter, "h");
    for (outcome, count) in [("ok", ok), ("internal", failed), ("invalid_input", refused)] {
        all.sample(&[of("1").as_slice(), &[("outcome", outcome)]].concat(), count);
    }
    all.sample(&[of("2").as_slice(), &[("outcome", "ok")]].concat(), 1.0);
    all.family("mainspring_inference_unserved_total", Kind::Counter, "h");
    all.sample(&[("deployment", "churn"), ("outcome", "unavailable")], failed);
    all.family("mainspring_inference_duration_seconds", Kind::Histogram, "h");
    let count = times.iter().map(|(_, n)| n).sum();
    all.times(&of("1"), &HistogramView { buckets: times.to_vec(), count, sum_ns: 1 });
    all.family("mainspring_slo_burn_rate", Kind::Gauge, "h");
    for window in ["300", "259200"] {
        all.sample(&[("deployment", "churn"), ("objective", "p99"), ("window_seconds", window)], 2.5);
    }
    all.family("mainspring_budget_spent_ratio", Kind::Gauge, "h");
    all.sample(&[("budget", "month"), ("per", "month")], 0.8);
    all
}

fn one(data: &[Datum], metric: Metric, dimensions: usize) -> f64 {
    let found: Vec<&Datum> = data.iter().filter(|d| d.metric == metric && d.dimensions.len() == dimensions).collect();
    match (&found[..], found.first().map(|d| &d.amount)) {
        ([_], Some(Amount::One(value))) => *value,
        other => panic!("{metric:?}: {other:?}"),
    }
}

#[test]
fn what_is_told_is_what_came_since_the_last_time() {
    let mut tally = Tally::new(Metric::ALL.to_vec(), By::Deployment);
    let first = tally.data(&families(10.0, 2.0, 5.0, &[(1_000_000, 3)]));
    // What the caller did wrong is neither good nor bad; what no version could answer is bad.
    assert_eq!(one(&first, Metric::Requests, 1), 10.0 + 2.0 + 1.0 + 2.0);
    assert_eq!((one(&first, Metric::Errors, 1), one(&first, Metric::CallerErrors, 1)), (4.0, 5.0));
    assert_eq!(one(&first, Metric::BurnRate, 3), 2.5, "one window of two");
    assert_eq!(one(&first, Metric::BudgetSpent, 1), 0.8);
    let second = tally.data(&families(13.0, 2.0, 5.0, &[(1_000_000, 3), (2_000_000, 2)]));
    assert_eq!((one(&second, Metric::Requests, 1), one(&second, Metric::Errors, 1)), (3.0, 0.0));
    let latency = second.iter().find(|d| d.metric == Metric::Latency).unwrap();
    assert_eq!(latency.amount, Amount::Many(vec![(1.875, 2)]));
    // Loaded again: it is counted from nothing.
    let third = tally.data(&families(4.0, 2.0, 5.0, &[(2_000_000, 1)]));
    assert_eq!(one(&third, Metric::Requests, 1), 4.0);
    let fourth = tally.data(&families(4.0, 2.0, 5.0, &[(2_000_000, 1)]));
    assert!(fourth.iter().all(|d| d.metric != Metric::Latency), "no latency of no request");
}

#[test]
fn only_what_is_asked_for_is_told_by_the_dimensions_asked_for() {
    let told = |by| Tally::new(vec![Metric::Requests], by).data(&families(1.0, 0.0, 0.0, &[]));
    let names =
        |by| told(by).into_iter().map(|d| d.dimensions.iter().map(|(n, _)| *n).collect::<Vec<_>>()).collect::<Vec<_>>();
    assert_eq!(names(By::Deployment), [vec!["Deployment"]]);
    assert_eq!(names(By::Variant), [vec!["Deployment"], vec!["Deployment", "Variant"]]);
    let version = vec!["Deployment", "Variant", "Version"];
    assert_eq!(names(By::Version), [vec!["Deployment"], version.clone(), version]);
    assert!("Latancy".parse::<Metric>().unwrap_err().contains("did you mean Latency?"));
}

#[test]
fn monitors_and_alerts_are_told_by_few_dimensions() {
    let data = Tally::new(Metric::ALL.to_vec(), By::Deployment).data(&reading().families());
    let told = |metric: Metric| -> Vec<(String, f64)> {
        let of = data.iter().filter(|d| d.metric == metric);
        of.map(|d| {
            let Amount::One(value) = d.amount else { panic!("{d:?}") };
            (d.dimensions.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(","), value)
        })
        .collect()
    };
    let monitor = || "Deployment=churn,Monitor=ages".to_owned();
    assert_eq!(told(Metric::Drifting), [(monitor(), 1.0)]);
    assert_eq!(told(Metric::DriftedColumns), [(monitor(), 1.0)]);
    let by = |severity: &str| format!("Severity={severity}");
    assert_eq!(told(Metric::AlertsFiring), [(by("info"), 0.0), (by("page"), 2.0), (by("ticket"), 0.0)]);
}

#[test]
fn requests_stay_within_the_services_limits() {
    let datum = |at: usize, values: usize| Datum {
        metric: Metric::Latency,
        dimensions: vec![("Deployment", format!("d{at}")), ("Variant", "stable & more".into())],
        amount: Amount::Many((0..values).map(|v| (v as f64 / 3.0, 7)).collect()),
    };
    let data: Vec<Datum> = (0..2_500).map(|at| datum(at, 2)).chain([datum(9_999, 400)]).collect();
    let all = bodies("Main spring", Timestamp(1_764_000_000_000_000), &data);
    let mut members = 0;
    for body in &all {
        assert!(body.len() <= 1_000_000, "{}", body.len());
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let names = pairs.iter().filter(|(key, _)| key.ends_with(".MetricName")).count();
        assert!(names <= 1_000);
        assert!(
            pairs.contains(&(format!("MetricData.member.{names}.MetricName"), "Latency".into())),
            "numbered from 1"
        );
        assert!(pairs.iter().all(|(key, _)| !key.contains(".Values.member.151")));
        assert_eq!(
            pairs[..3],
            [("Action", "PutMetricData"), ("Version", "2010-08-01"), ("Namespace", "Main spring")]
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
        members += names;
    }
    assert_eq!(members, 2_500 + 3, "400 values are three data");
    assert!(all[0].contains("Timestamp=2025-11-24T16%3A00%3A00Z"), "{}", &all[0][..400]);
    assert!(bodies("n", Timestamp(0), &[]).is_empty());
}

#[test]
fn documents_name_what_they_hold() {
    let data = Tally::new(Metric::ALL.to_vec(), By::Version).data(&families(
        3.0,
        1.0,
        0.0,
        &[(1_000_000, 1_000), (8_000_000, 10)],
    ));
    let all = documents(("Mainspring", "r1"), Timestamp(1_764_000_000_000_000), &data);
    for line in &all {
        let root: Value = serde_json::from_str(line).unwrap();
        assert_eq!(root["_aws"]["Timestamp"], 1_764_000_000_000_i64);
        let directive = &root["_aws"]["CloudWatchMetrics"][0];
        for name in directive["Dimensions"][0].as_array().unwrap() {
            assert!(root[name.as_str().unwrap()].is_string(), "{line}");
        }
        for metric in directive["Metrics"].as_array().unwrap() {
            let value = &root[metric["Name"].as_str().unwrap()];
            assert!(
                value.is_number() || value.as_array().is_some_and(|v| v.len() <= 100 && v.iter().all(Value::is_number)),
                "{line}"
            );
        }
        assert!(!line.contains('\n'));
    }
    assert!(all.iter().any(|line| line.contains("\"Latency\":[0.9375")), "{all:?}");
}

#[test]
fn a_sample_has_the_quantiles_of_all_values() {
    assert_eq!(sample(&[(1.0, 2), (5.0, 1)]), [1.0, 1.0, 5.0]);
    assert!(sample(&[]).is_empty());
    let many = sample(&[(1.0, 9_000), (2.0, 900), (3.0, 100)]);
    assert_eq!(many.len(), 100);
    let count = |value: f64| many.iter().filter(|v| **v == value).count();
    assert_eq!([count(1.0), count(2.0), count(3.0)], [90, 9, 1]);
}

#[test]
fn values_of_dimensions_are_what_the_service_takes() {
    for (given, told) in [("churn", "churn"), (":a", "a"), ("größe\n", "gr??e?"), ("  ", "-"), ("", "-")] {
        assert_eq!(plain(given), told);
    }
    assert_eq!(plain(&"x".repeat(2_000)).len(), 255);
}

#[test]
fn documents_go_where_the_setting_says() {
    assert_eq!("stdout".parse(), Ok(Sink::Stdout));
    assert_eq!("tcp://127.0.0.1:25888".parse(), Ok(Sink::Tcp("127.0.0.1:25888".into())));
    assert_eq!("/var/log/m.emf".parse(), Ok(Sink::File("/var/log/m.emf".into())));
    for wrong in ["udp://127.0.0.1:1", "tcp://host", "tcp://:1", "https://x"] {
        assert!(wrong.parse::<Sink>().is_err(), "{wrong}");
    }
}

#[test]
fn other_tenants_have_a_dimension_and_come_last() {
    let mut all = families(10.0, 0.0, 0.0, &[(1_000_000, 3)]);
    all.join("acme", families(4.0, 0.0, 0.0, &[]));
    let data = Tally::new(Metric::ALL.to_vec(), By::Variant).data(&all);
    let names = |d: &Datum| d.dimensions.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    let first = data.iter().position(|d| d.dimensions.first().is_some_and(|(name, _)| *name == "Tenant")).unwrap();
    assert!(data[..first].iter().all(|d| !names(d).contains(&"Tenant")));
    assert!(data[first..].iter().all(|d| d.dimensions[0] == ("Tenant", "acme".to_owned())));
    let requests = |part: &[Datum], of: &[&str]| -> f64 {
        let found = part.iter().find(|d| d.metric == Metric::Requests && names(d) == of).unwrap();
        let Amount::One(value) = found.amount else { panic!("{found:?}") };
        value
    };
    assert_eq!(requests(&data[..first], &["Deployment"]), 11.0, "as without the other");
    assert_eq!(requests(&data[first..], &["Tenant", "Deployment"]), 5.0);
    assert_eq!(requests(&data[first..], &["Tenant", "Deployment", "Variant"]), 5.0);
    let spent: Vec<Vec<&str>> = data.iter().filter(|d| d.metric == Metric::BudgetSpent).map(names).collect();
    assert_eq!(spent, [vec!["Budget"], vec!["Tenant", "Budget"]]);
}
