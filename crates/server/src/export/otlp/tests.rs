use super::names::named;
use super::points::Series;
use super::*;
use crate::metrics::{Families, Kind, reading};
use mainspring_serving::HistogramView;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use std::collections::BTreeSet;

/// The name that a collector's exporter for Prometheus makes of one: OpenTelemetry's compatibility document, "OTLP
/// Metric points to Prometheus".
fn prometheus(name: &str, unit: &str, kind: Kind) -> String {
    let mut out = name.replace('.', "_");
    let unit = match unit {
        "s" => "seconds",
        "By" => "bytes",
        "1" if kind == Kind::Gauge => "ratio",
        _ => "",
    };
    if !unit.is_empty() && !out.split('_').any(|word| word == unit) {
        out = format!("{out}_{unit}");
    }
    if kind == Kind::Counter && !out.ends_with("_total") { out + "_total" } else { out }
}

#[test]
fn behind_a_collector_names_are_ours_again() {
    let families = reading().families();
    let (mut told, mut ours) = (BTreeSet::new(), BTreeSet::new());
    for family in &families.0 {
        match named(family) {
            Some((name, _)) if name == "process.memory.usage" => {}
            Some((name, unit)) => {
                assert_eq!(prometheus(&name, unit, family.kind), family.name, "{name} {unit}");
                assert!(told.insert(name));
                ours.insert(family.name);
            }
            None => {
                assert!(family.name.starts_with("nv_") || family.name == "mainspring_build_info", "{}", family.name);
            }
        }
    }
    assert!(told.contains("mainspring.budget.spent") && told.contains("mainspring.journal.bytes"), "{told:?}");
    assert!(!told.contains("mainspring.journal"), "{told:?}");
    assert!(ours.len() > 30);
}

#[test]
fn monitors_and_alerts_have_names_and_units_of_their_own() {
    let metrics = Series::new(1).metrics(&reading().families(), 2);
    for (name, unit) in [
        ("mainspring.monitor.drifting", ""),
        ("mainspring.monitor.stopped", ""),
        ("mainspring.monitor.drifted_columns", "{column}"),
        ("mainspring.monitor.rows_seen", "{row}"),
        ("mainspring.monitor.rows_sampled", "{row}"),
        ("mainspring.monitor.column_distance", ""),
        ("mainspring.alerts.firing", "{alert}"),
    ] {
        let found = metrics.iter().find(|m| m.name == name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(found.unit, unit, "{name}");
    }
}

fn counted(value: f64) -> Families {
    let mut all = Families::default();
    all.family("mainspring_inference_requests_total", Kind::Counter, "h");
    all.sample(&[("deployment", "a"), ("outcome", "ok")], value);
    all
}

#[test]
fn a_count_that_begins_anew_says_so() {
    let mut series = Series::new(10);
    let mut start = |value: f64, now: u64| {
        let metrics = series.metrics(&counted(value), now);
        let Some(Data::Sum(sum)) = &metrics[0].data else { panic!("{metrics:?}") };
        assert!(sum.is_monotonic && sum.aggregation_temporality == 2 && metrics[0].unit == "{request}");
        (sum.data_points[0].start_time_unix_nano, sum.data_points[0].time_unix_nano)
    };
    assert_eq!(start(5.0, 20), (10, 20));
    assert_eq!(start(5.0, 30), (10, 30));
    assert_eq!(start(2.0, 40), (30, 40), "the version was loaded again");
    assert_eq!(start(9.0, 50), (30, 50));
    assert!(series.metrics(&Families::default(), 60).is_empty());
    let metrics = series.metrics(&counted(10.0), 70);
    let Some(Data::Sum(sum)) = &metrics[0].data else { panic!() };
    assert_eq!(sum.data_points[0].start_time_unix_nano, 60, "it was gone, and came back");
}

#[test]
fn a_histogram_has_prometheus_buckets_one_by_one() {
    let times = HistogramView {
        buckets: vec![(40_000, 3), (2_000_000, 4), (20_000_000_000, 1)],
        count: 8,
        sum_ns: 21_000_000_000,
    };
    let mut all = Families::default();
    all.family("mainspring_inference_duration_seconds", Kind::Histogram, "h");
    all.times(&[("deployment", "a")], &times);
    let metrics = Series::new(1).metrics(&all, 2);
    let Some(Data::Histogram(histogram)) = &metrics[0].data else { panic!("{metrics:?}") };
    let point = &histogram.data_points[0];
    assert_eq!((metrics[0].name.as_str(), metrics[0].unit.as_str()), ("mainspring.inference.duration", "s"));
    assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
    assert_eq!(point.bucket_counts.iter().sum::<u64>(), 8);
    assert_eq!((point.bucket_counts[0], *point.bucket_counts.last().unwrap()), (3, 1));
    let within = point.explicit_bounds.iter().position(|b| *b == 0.002_5).unwrap();
    assert_eq!(point.bucket_counts[within], 4);
    assert_eq!((point.count, point.sum), (8, Some(21.0)));
}

#[test]
fn a_series_of_another_tenant_has_it_as_an_attribute_and_a_ratio_the_unit_1() {
    let (mut all, mut theirs) = (Families::default(), Families::default());
    for families in [&mut all, &mut theirs] {
        families.family("mainspring_budget_spent_ratio", Kind::Gauge, "h");
        families.sample(&[("budget", "tight")], 0.5);
    }
    all.join("acme", theirs);
    let metrics = Series::new(1).metrics(&all, 2);
    assert_eq!((metrics[0].name.as_str(), metrics[0].unit.as_str()), ("mainspring.budget.spent", "1"));
    let Some(Data::Gauge(gauge)) = &metrics[0].data else { panic!("{metrics:?}") };
    let keys = |at: usize| gauge.data_points[at].attributes.iter().map(|a| a.key.as_str()).collect::<Vec<_>>();
    assert_eq!((keys(0), keys(1)), (vec!["budget"], vec!["tenant", "budget"]));
}

#[test]
fn headers_are_as_the_specification_writes_them() {
    let read = |text: &str| {
        headers(text).map(|all| all.iter().map(|(k, v)| format!("{k}:{}", v.to_str().unwrap())).collect::<Vec<_>>())
    };
    assert_eq!(read("API-Key=a%20b, x=1").unwrap(), ["api-key:a b", "x:1"]);
    assert_eq!(read("").unwrap(), [""; 0]);
    for wrong in ["novalue", "a b=c", "x=%0A"] {
        let why = read(wrong).unwrap_err();
        assert!(!why.contains("%0A"), "{why}");
    }
}
