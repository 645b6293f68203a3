use super::*;
use mainspring_alert::{Severity, Source as About};
use mainspring_core::{Name, Target, Tenant, Timestamp};
use mainspring_monitor::live::View as MonitorView;
use mainspring_rollout::{Report, Run, State as RunState};
use mainspring_serving::{Counted, DeploymentSpec, Over, RuleAction, ShadowView, Trip, VariantState, VariantView};
use mainspring_traffic::Share;
use std::collections::HashSet;
use std::sync::Arc;

fn version(variant: &str, version: &str, answered: u64) -> VersionStats {
    let target = Target {
        deployment: "churn".into(),
        variant: variant.into(),
        model: "churn".into(),
        version: version.into(),
        columns: Arc::default(),
    };
    let times = HistogramView::default;
    VersionStats {
        target: Arc::new(target),
        current: variant == "stable",
        last_inference: None,
        inference_count: answered,
        kept_count: 0,
        execution_count: answered,
        success: Counted { count: answered, ns: 1_000 },
        fail: Counted::default(),
        failures: Vec::new(),
        queue: times(),
        engine: times(),
        encode: times(),
        total: times(),
        batches: Vec::new(),
        nan_outputs: 0,
        cache: CacheStats::default(),
        tokens: Tokens::default(),
        memory_bytes: 1,
        restarts: None,
    }
}

fn variant(name: &str, percent: u32) -> VariantView {
    VariantView {
        name: name.into(),
        model: "models:/churn/2".into(),
        version: None,
        state: VariantState::Ready,
        reason: None,
        trip: None,
        shadow: None,
        weight: Share::from_ppm(percent * 10_000).unwrap(),
        generation: 3,
    }
}

/// A column, or one of a segment, that is so far from its reference.
fn track(standing: &str, distance: f64) -> serde_json::Value {
    serde_json::json!({
        "origin": "first-rows", "standing": standing, "since": 0, "tests": 1, "level": 0.001,
        "moved": {"rows": 600, "distance": distance, "chance": 0.0625},
        "learned": null, "reference": null, "bet": null, "parts": [], "low": [0.0, 0], "calm_since": null,
    })
}

/// A monitor of `churn`, with these columns of all rows, and one of a segment.
fn monitor(name: &str, columns: &[(String, serde_json::Value)]) -> MonitorView {
    let tracks: serde_json::Map<String, serde_json::Value> = columns.iter().cloned().collect();
    let mut watch = serde_json::to_value(mainspring_monitor::live::Watch::default()).unwrap();
    watch["tracks"] = tracks.into();
    watch["segments"] =
        serde_json::json!({"in.plan": [{"value": "gold", "tracks": {"in.age": track("steady", 0.1875)}}]});
    watch["drifting"] = columns.iter().any(|(_, track)| track["standing"] == "drift").into();
    watch["detecting"] = true.into();
    watch["rows"] = serde_json::json!([9_000, 700]);
    let detectors = serde_json::json!([{"columns": ["in.age"], "adwin": {}}]);
    let spec = serde_json::json!({"deployment": "churn", "severity": "critical", "detectors": detectors});
    MonitorView {
        name: Name::new(name).unwrap(),
        spec: Arc::new(serde_json::from_value(spec).unwrap()),
        watch: Some(Arc::new(serde_json::from_value(watch).unwrap())),
        late: 0,
        problem: None,
    }
}

pub fn reading() -> Reading {
    let name = Name::new("churn").unwrap();
    let trip = Trip {
        at: Timestamp(0),
        window: Duration::from_secs(10),
        requests: 20,
        failed: 9,
        slow: 0,
        over: Over::ErrorRate(Share::from_ppm(200_000).unwrap()),
    };
    let candidate = VariantView {
        state: VariantState::Tripped,
        trip: Some(trip),
        shadow: Some(ShadowView { answered: 5, failed: 1, dropped: 2, in_flight: 1 }),
        ..variant("v2", 10)
    };
    let view = DeploymentView {
        name: name.clone(),
        spec: Arc::new(DeploymentSpec::new("models:/churn@champion")),
        state: State::Ready,
        reason: None,
        choice: None,
        since: Timestamp(0),
        settled: true,
        versions: Vec::new(),
        rollout: Some("churn-v2".into()),
        variants: vec![variant("stable", 90), candidate],
    };
    let spec = serde_json::json!({
        "deployment": "churn", "candidates": [{"name": "v2", "model": "models:/churn/2"}],
        "steps": [{"canary": {"weight": 10}}],
    });
    let run = Run {
        tenant: Tenant::default(),
        name: Name::new("churn-v2").unwrap(),
        number: 1,
        spec: Arc::new(serde_json::from_value(spec).unwrap()),
        state: RunState { decisions: 4, ..RunState::new("run".into(), Timestamp(0), 0) },
        version: 1,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    };
    Reading {
        deployments: vec![DeploymentStats {
            name,
            in_flight: 0,
            unserved: Vec::new(),
            rules: vec![RuleView {
                name: "age:between".into(),
                kind: "expect_column_values_to_be_between".into(),
                action: RuleAction::Flag,
                looked: 100,
                broken: 7,
                requests: 5,
            }],
            failed_loads: 0,
            // As after a promotion: version 2 was the candidate and is stable now.
            versions: vec![version("stable", "2", 7), version("v2", "2", 3), version("stable", "1", 100)],
        }],
        views: vec![view],
        rollouts: vec![View {
            run,
            report: Some(Arc::new(Report { units: vec![90, 10], late: 2, ..Report::default() })),
        }],
        standings: Vec::new(),
        firing: Some(BTreeMap::from([((Severity::Page, About::Drift), 2)])),
        monitors: vec![monitor(
            "ages",
            &[("in.age".into(), track("drift", 0.3125)), ("in.plan".into(), track("steady", 0.03125))],
        )],
        budgets: vec![mainspring_cost::Standing {
            name: Name::new("month").unwrap(),
            spec: serde_json::from_value(serde_json::json!({"amount": "40", "per": "month"})).unwrap(),
            from: Timestamp(0),
            until: Timestamp(1),
            spent: None,
            compute_ns: 0,
            share: Some(0.25),
            forecast: None,
            problem: None,
        }],
        journal: JournalStats::default(),
        health: Health { ready: true, checks: Vec::new() },
        uptime: Duration::from_secs(1),
        resident: None,
    }
}

#[test]
fn no_series_is_there_twice() {
    let page = reading().render();
    let series: Vec<&str> =
        page.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.rsplit_once(' ')).map(|l| l.0).collect();
    let mut seen = HashSet::new();
    let twice: Vec<&&str> = series.iter().filter(|s| !seen.insert(**s)).collect();
    assert!(twice.is_empty(), "{twice:?}");
    // What Triton's dashboards read is the sum over the variants that a version has been.
    assert!(page.contains("nv_inference_request_success{model=\"churn\",version=\"2\"} 10\n"), "{page}");
}

#[test]
fn a_budget_shows_what_is_spent_and_no_forecast_before_there_is_one() {
    let page = reading().render();
    assert!(page.contains("mainspring_budget_spent_ratio{budget=\"month\",per=\"month\"} 0.25\n"), "{page}");
    assert!(!page.contains("mainspring_budget_forecast_ratio{"), "{page}");
}

#[test]
fn versions_that_keep_answers_or_count_tokens_show_them() {
    let mut reading = reading();
    assert!(!reading.render().contains("mainspring_cache") && !reading.render().contains("mainspring_tokens"));
    let one = &mut reading.deployments[0].versions[1];
    let hits = Counted { count: 3, ns: 4_000 };
    one.cache = CacheStats { hits, misses: Counted { count: 2, ns: 1_500 }, entries: 2, bytes: 600 };
    one.tokens = Tokens { input: 30, output: 4 };
    (one.kept_count, one.encode.sum_ns) = (2, 2_500);
    let page = reading.render();
    let of = "{deployment=\"churn\",variant=\"v2\",model=\"churn\",version=\"2\"}";
    for line in [
        format!("mainspring_cache_hits_total{of} 3"),
        format!("mainspring_cache_misses_total{of} 2"),
        format!("mainspring_cache_entries{of} 2"),
        format!("mainspring_cache_bytes{of} 600"),
        format!("mainspring_tokens_input_total{of} 30"),
        format!("mainspring_tokens_output_total{of} 4"),
        "nv_cache_num_hits_per_model{model=\"churn\",version=\"2\"} 3".into(),
        "nv_cache_miss_duration_per_model{model=\"churn\",version=\"2\"} 1.5".into(),
        // Triton leaves kept answers out.
        "nv_inference_count{model=\"churn\",version=\"2\"} 8".into(),
        "nv_inference_compute_input_duration_us{model=\"churn\",version=\"2\"} 0".into(),
        "nv_inference_compute_output_duration_us{model=\"churn\",version=\"2\"} 2.5".into(),
    ] {
        assert!(page.contains(&format!("{line}\n")), "{line}: {page}");
    }
    assert!(!page.contains("mainspring_cache_hits_total{deployment=\"churn\",variant=\"stable\""), "{page}");
}

#[test]
fn versions_with_processes_of_their_own_show_how_often_one_was_started_again() {
    let mut reading = reading();
    assert!(!reading.render().contains("mainspring_worker_restarts_total"));
    reading.deployments[0].versions[1].restarts = Some(2);
    let line =
        "mainspring_worker_restarts_total{deployment=\"churn\",variant=\"v2\",model=\"churn\",version=\"2\"} 2\n";
    let page = reading.render();
    assert!(page.contains(line) && page.matches("mainspring_worker_restarts_total{").count() == 1, "{page}");
}

#[test]
fn a_rule_shows_how_many_rows_broke_it() {
    let page = reading().render();
    let of = "{deployment=\"churn\",rule=\"age:between\",action=\"flag\"}";
    for (name, value) in [("rows", 100), ("broken", 7), ("requests", 5)] {
        assert!(page.contains(&format!("mainspring_rule_{name}_total{of} {value}\n")), "{name}: {page}");
    }
}

#[test]
fn a_monitor_shows_whether_it_drifts_and_how_far_its_columns_are() {
    let page = reading().render();
    let of = "monitor=\"ages\",deployment=\"churn\"";
    let distance = |more: &str| format!("mainspring_monitor_column_distance{{{of},column=\"in.{more}");
    for line in [
        format!("mainspring_monitor_drifting{{{of},severity=\"page\"}} 1"),
        format!("mainspring_monitor_detecting{{{of}}} 1"),
        format!("mainspring_monitor_stopped{{{of}}} 0"),
        format!("mainspring_monitor_drifted_columns{{{of}}} 1"),
        format!("mainspring_monitor_rows_seen_total{{{of}}} 9000"),
        format!("mainspring_monitor_rows_sampled_total{{{of}}} 700"),
        distance("age\"} 0.25"),
        // No farther than chance brings.
        distance("plan\"} 0"),
        distance("age\",segment=\"in.plan = gold\"} 0.125"),
        "mainspring_alerts_firing{severity=\"page\",source=\"drift\"} 2".into(),
        "mainspring_alerts_firing{severity=\"ticket\",source=\"drift\"} 0".into(),
        "mainspring_alerts_firing{severity=\"page\",source=\"slo\"} 0".into(),
    ] {
        assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
    }
    assert!(!page.contains("source=\"rollout\""), "a decision does not last");
}

#[test]
fn what_is_not_known_of_monitors_and_alerts_is_not_told_as_nothing() {
    let mut reading = reading();
    reading.firing = None;
    (reading.monitors[0].watch, reading.monitors[0].problem) = (None, Some("no such model".into()));
    let page = reading.render();
    assert!(page.contains("mainspring_monitor_stopped{monitor=\"ages\",deployment=\"churn\"} 1\n"), "{page}");
    for none in ["mainspring_monitor_drifting{", "mainspring_monitor_column_distance{", "mainspring_alerts_firing"] {
        assert!(!page.contains(none), "{none} is in\n{page}");
    }
}

#[test]
fn of_many_columns_those_are_told_that_have_drifted_and_moved_most() {
    let columns = |drifted: usize, of: usize| -> Vec<(String, serde_json::Value)> {
        let standing = |at| if at < drifted { "drift" } else { "steady" };
        (0..of).map(|at| (format!("in.c{at:03}"), track(standing(at), at as f64 / 1_024.0))).collect()
    };
    let one = Reading { monitors: vec![monitor("wide", &columns(2, 200))], ..reading() };
    let told = |reading: &Reading| -> Vec<String> {
        let page = reading.render();
        page.lines().filter(|l| l.starts_with("mainspring_monitor_column_distance{")).map(str::to_owned).collect()
    };
    let lines = told(&one);
    assert_eq!(lines.len(), 50);
    let has = |column: &str| lines.iter().any(|l| l.contains(&format!("column=\"{column}\"")));
    // The first two have moved least of all, and have drifted.
    assert!(has("in.c000") && has("in.c001") && !has("in.c002"), "{lines:?}");
    assert!(has("in.c199") && has("in.c153") && !has("in.c151"), "{lines:?}");
    assert!(one.render().contains("mainspring_monitor_drifted_columns{monitor=\"wide\",deployment=\"churn\"} 2\n"));

    let many = (0..30).map(|at| monitor(&format!("m{at}"), &columns(usize::from(at == 29), 60))).collect();
    let lines = told(&Reading { monitors: many, ..reading() });
    assert_eq!(lines.len(), 1_000, "of 1,500");
    assert!(lines.iter().any(|l| l.contains("monitor=\"m29\"") && l.contains("column=\"in.c000\"")), "{lines:?}");
    assert!(lines.iter().filter(|l| l.contains("monitor=\"m0\"")).count() >= 33);
}

#[test]
fn a_rollout_shows_its_variants_shadow_phase_and_evidence() {
    let page = reading().render();
    let of = "deployment=\"churn\",rollout=\"churn-v2\",variant=\"v2\"";
    for line in [
        format!("mainspring_variant_weight{{{of}}} 0.1"),
        format!("mainspring_variant_ready{{{of}}} 0"),
        format!("mainspring_variant_tripped{{{of}}} 1"),
        format!("mainspring_variant_state{{{of},state=\"TRIPPED\"}} 1"),
        format!("mainspring_shadow_requests_total{{{of},outcome=\"dropped\"}} 2"),
        format!("mainspring_shadow_in_flight{{{of}}} 1"),
        "mainspring_rollout_phase{rollout=\"churn-v2\",deployment=\"churn\",phase=\"pending\"} 1".into(),
        "mainspring_rollout_decisions{rollout=\"churn-v2\",deployment=\"churn\"} 4".into(),
        "mainspring_rollout_units{rollout=\"churn-v2\",deployment=\"churn\",variant=\"v2\"} 10".into(),
        "mainspring_rollout_late_events{rollout=\"churn-v2\",deployment=\"churn\"} 2".into(),
    ] {
        assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
    }
    assert!(
        !page.contains("mainspring_shadow_in_flight{deployment=\"churn\",rollout=\"churn-v2\",variant=\"stable\"}")
    );
}

#[test]
fn series_of_another_tenant_say_whose_they_are_and_the_others_stay_as_they_are() {
    let (alone, mut all, mut theirs) = (reading().families(), reading().families(), Families::default());
    reading().tenants_own(&mut theirs);
    let more = theirs.series();
    all.join("acme", theirs);
    assert_eq!(all.series(), alone.series() + more);
    for (before, now) in alone.0.iter().zip(&all.0) {
        assert_eq!(before.name, now.name);
        let (mine, others) = now.points.split_at(before.points.len());
        assert!(before.points.iter().zip(mine).all(|(a, b)| a.labels == b.labels), "{}", before.name);
        let acme = ("tenant", "acme".to_owned());
        assert!(others.iter().all(|point| point.labels.first() == Some(&acme)), "{}", before.name);
    }
    let of = |name: &str| all.0.iter().find(|family| family.name == name).unwrap().points.len();
    assert_eq!((of("mainspring_uptime_seconds"), of("mainspring_inference_in_flight")), (1, 2));
}

#[test]
fn budgets_are_among_what_every_way_out_tells() {
    let standing = mainspring_cost::Standing {
        name: Name::new("tight").unwrap(),
        spec: serde_json::from_value(serde_json::json!({"computeSeconds": 10, "per": "month"})).unwrap(),
        from: Timestamp(0),
        until: Timestamp(1),
        spent: None,
        compute_ns: 5_000_000_000,
        share: Some(0.5),
        forecast: None,
        problem: None,
    };
    let page = Reading { budgets: vec![standing], ..reading() }.render();
    assert!(page.contains("mainspring_budget_spent_ratio{budget=\"tight\",per=\"month\"} 0.5\n"), "{page}");
    assert!(!page.contains("mainspring_budget_forecast_ratio{"), "what cannot be told is left out");
}
