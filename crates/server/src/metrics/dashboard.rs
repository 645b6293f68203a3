//! A Grafana dashboard of what [`Reading::render`](super::Reading::render) shows, in the schema of Grafana 11
//! (<https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/>).

use serde_json::{Value, json};

/// The grid is 24 wide; a panel is a third of it.
const WIDE: usize = 8;
const HIGH: usize = 8;
const SCHEMA: u32 = 39;

/// What a panel's values are, by Grafana's names of units.
#[derive(Clone, Copy)]
enum Unit {
    PerSecond,
    Seconds,
    Share,
    Bytes,
    Count,
    /// Of any sign.
    Difference,
}

impl Unit {
    fn id(self) -> &'static str {
        match self {
            Self::PerSecond => "reqps",
            Self::Seconds => "s",
            Self::Share => "percentunit",
            Self::Bytes => "bytes",
            Self::Count | Self::Difference => "short",
        }
    }
}

/// One panel: a title, what it tells, its unit, and queries with the legend of their series.
struct Panel {
    title: &'static str,
    says: &'static str,
    unit: Unit,
    queries: Vec<(String, &'static str)>,
}

/// A dashboard of a server's traffic, rollouts, drift, alerts, objectives and its own health, to be imported into Grafana: it asks for
/// a Prometheus data source when it is opened, and has the deployments to choose from.
pub fn dashboard() -> Value {
    let mut panels = Vec::new();
    let mut y = 0;
    for (title, row) in [
        ("Traffic", traffic()),
        ("Versions", versions()),
        ("Rollouts", rollouts()),
        ("Drift and alerts", drift()),
        ("Objectives", objectives()),
        ("Server", server()),
    ] {
        panels.push(json!({
            "id": panels.len() + 1, "type": "row", "title": title, "collapsed": false, "panels": [],
            "gridPos": {"x": 0, "y": y, "w": 24, "h": 1},
        }));
        y += 1;
        let rows = row.len().div_ceil(24 / WIDE);
        for (at, panel) in row.into_iter().enumerate() {
            let place = (at % (24 / WIDE) * WIDE, y + at / (24 / WIDE) * HIGH);
            panels.push(drawn(panels.len() + 1, place, panel));
        }
        y += rows * HIGH;
    }
    json!({
        "uid": "mainspring", "title": "Mainspring", "tags": ["mainspring"], "schemaVersion": SCHEMA, "version": 1,
        "editable": true, "graphTooltip": 1, "refresh": "10s", "timezone": "browser",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": variables()},
        "annotations": {"list": [{
            "name": "Decisions of rollouts", "enable": true, "hide": false, "iconColor": "blue", "datasource": source(),
            "expr": "changes(mainspring_rollout_decisions{deployment=~\"$deployment\"}[1m]) > 0",
        }]},
        "panels": panels,
    })
}

fn source() -> Value {
    json!({"type": "prometheus", "uid": "${source}"})
}

fn variables() -> Value {
    let names = "label_values(mainspring_deployment_ready, deployment)";
    json!([
        {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus", "hide": 0},
        {
            "name": "deployment", "label": "Deployment", "type": "query", "datasource": source(), "hide": 0,
            "query": {"query": names, "refId": "deployment"}, "refresh": 2, "sort": 1,
            "multi": true, "includeAll": true, "allValue": ".+", "current": {"text": ["All"], "value": ["$__all"]},
        },
    ])
}

fn drawn(id: usize, (x, y): (usize, usize), panel: Panel) -> Value {
    let targets: Vec<Value> = ('A'..='Z')
        .zip(panel.queries)
        .map(|(letter, (expr, legend))| {
            json!({
                "refId": letter.to_string(), "datasource": source(), "expr": expr, "legendFormat": legend,
                "editorMode": "code", "range": true,
            })
        })
        .collect();
    let mut defaults = json!({"unit": panel.unit.id(), "custom": {"lineWidth": 2, "fillOpacity": 8}});
    if !matches!(panel.unit, Unit::Difference) {
        defaults["min"] = json!(0);
    }
    json!({
        "id": id, "type": "timeseries", "title": panel.title, "description": panel.says, "datasource": source(),
        "gridPos": {"x": x, "y": y, "w": WIDE, "h": HIGH}, "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    })
}

/// The chosen deployments' series of a metric.
fn of(metric: &str) -> String {
    format!("{metric}{{deployment=~\"$deployment\"}}")
}

fn rate(selector: &str) -> String {
    format!("rate({selector}[$__rate_interval])")
}

fn traffic() -> Vec<Panel> {
    let requests =
        |with: &str| rate(&format!("mainspring_inference_requests_total{{deployment=~\"$deployment\"{with}}}"));
    let quantile = |q: f64| {
        let buckets = rate(&of("mainspring_inference_duration_seconds_bucket"));
        format!("histogram_quantile({q}, sum by (deployment, variant, le) ({buckets}))")
    };
    let mean = |part: &str| {
        let of = |what: &str| {
            format!("sum by (deployment) ({})", rate(&of(&format!("mainspring_inference_{part}_seconds_{what}"))))
        };
        format!("{} / {}", of("sum"), of("count"))
    };
    let unserved = rate(&of("mainspring_inference_unserved_total"));
    vec![
        Panel {
            title: "Requests",
            says: "A second, by variant and version",
            unit: Unit::PerSecond,
            queries: vec![(
                format!("sum by (deployment, variant, version) ({})", requests("")),
                "{{deployment}} {{variant}} v{{version}}",
            )],
        },
        Panel {
            title: "Failures",
            says: "A second, by what was wrong; also of requests that no version could answer",
            unit: Unit::PerSecond,
            queries: vec![
                (
                    format!("sum by (deployment, outcome) ({})", requests(",outcome!=\"ok\"")),
                    "{{deployment}} {{outcome}}",
                ),
                (format!("sum by (deployment, outcome) ({unserved})"), "{{deployment}} {{outcome}}, unserved"),
            ],
        },
        Panel {
            title: "Latency",
            says: "From arrival to the encoded answer, by variant",
            unit: Unit::Seconds,
            queries: vec![
                (quantile(0.5), "{{deployment}} {{variant}} p50"),
                (quantile(0.99), "{{deployment}} {{variant}} p99"),
            ],
        },
        Panel {
            title: "Where the time goes",
            says: "The mean of a request: waiting, in the engine, encoding",
            unit: Unit::Seconds,
            queries: vec![
                (mean("queue"), "{{deployment}} queue"),
                (mean("engine"), "{{deployment}} engine"),
                (mean("encode"), "{{deployment}} encode"),
            ],
        },
        Panel {
            title: "Rows a call of the engine",
            says: "How well requests are batched",
            unit: Unit::Count,
            queries: vec![(
                format!(
                    "sum by (deployment) ({}) / sum by (deployment) ({})",
                    rate(&of("mainspring_inference_rows_total")),
                    rate(&of("mainspring_inference_executions_total"))
                ),
                "{{deployment}}",
            )],
        },
        Panel {
            title: "In flight",
            says: "Requests that wait or are worked on",
            unit: Unit::Count,
            queries: vec![(of("mainspring_inference_in_flight"), "{{deployment}} {{instance}}")],
        },
        Panel {
            title: "Rows that break rules",
            says: "Of the rows that each rule of a deployment is about",
            unit: Unit::Share,
            queries: vec![(
                format!(
                    "sum by (deployment, rule) ({}) / sum by (deployment, rule) ({})",
                    rate(&of("mainspring_rule_broken_total")),
                    rate(&of("mainspring_rule_rows_total"))
                ),
                "{{deployment}} {{rule}}",
            )],
        },
    ]
}

fn versions() -> Vec<Panel> {
    vec![
        Panel {
            title: "Ready",
            says: "1 while a version answers",
            unit: Unit::Count,
            queries: vec![(of("mainspring_deployment_ready"), "{{deployment}} {{instance}}")],
        },
        Panel {
            title: "Memory of versions",
            says: "Held by each loaded version",
            unit: Unit::Bytes,
            queries: vec![(of("mainspring_model_memory_bytes"), "{{deployment}} {{variant}} v{{version}}")],
        },
        Panel {
            title: "Failed version changes, and answers that are no numbers",
            says: "In the last hour",
            unit: Unit::Count,
            queries: vec![
                (
                    format!("increase({}[1h])", of("mainspring_version_changes_failed_total")),
                    "{{deployment}} changes failed",
                ),
                (
                    format!(
                        "sum by (deployment, version) (increase({}[1h]))",
                        of("mainspring_inference_nan_outputs_total")
                    ),
                    "{{deployment}} v{{version}} NaN",
                ),
            ],
        },
    ]
}

fn rollouts() -> Vec<Panel> {
    vec![
        Panel {
            title: "Weights",
            says: "What each variant gets of the units",
            unit: Unit::Share,
            queries: vec![(
                format!("max by (deployment, variant) ({})", of("mainspring_variant_weight")),
                "{{deployment}} {{variant}}",
            )],
        },
        Panel {
            title: "Effects",
            says: "Of the candidate on each metric, with both ends of the confidence sequence, at the server that decides",
            unit: Unit::Difference,
            queries: vec![(of("mainspring_rollout_effect"), "{{rollout}} {{metric}} {{end}}")],
        },
        Panel {
            title: "Held or tripped",
            says: "1 while a rollout does not go on, or a variant is beyond a hard limit",
            unit: Unit::Count,
            queries: vec![
                (of("mainspring_rollout_held"), "{{rollout}} held"),
                (of("mainspring_variant_tripped"), "{{deployment}} {{variant}} tripped"),
            ],
        },
    ]
}

/// Every server tells the same of monitors and alerts.
fn drift() -> Vec<Panel> {
    let by = |labels: &str, metric: &str| format!("max by ({labels}) ({})", of(metric));
    let farthest = by("deployment, monitor, column, segment", "mainspring_monitor_column_distance");
    vec![
        Panel {
            title: "Drift",
            says: "Columns that have drifted, by monitor; 1 while a monitor drifts, or does not go on",
            unit: Unit::Count,
            queries: vec![
                (by("deployment, monitor", "mainspring_monitor_drifted_columns"), "{{deployment}} {{monitor}} columns"),
                (by("deployment, monitor", "mainspring_monitor_drifting"), "{{deployment}} {{monitor}} drifts"),
                (by("deployment, monitor", "mainspring_monitor_stopped"), "{{deployment}} {{monitor}} stopped"),
            ],
        },
        Panel {
            title: "How far columns have moved",
            says: "The ten that are farthest: the share of their rows that would have to move, beyond what chance brings",
            unit: Unit::Share,
            queries: vec![(format!("topk(10, {farthest})"), "{{monitor}} {{column}} {{segment}}")],
        },
        Panel {
            title: "Alerts that fire",
            says: "By severity and what they are about, silenced ones too",
            unit: Unit::Count,
            queries: vec![(
                "sum by (severity, source) (max by (tenant, severity, source) (mainspring_alerts_firing))".into(),
                "{{severity}} {{source}}",
            )],
        },
    ]
}

fn objectives() -> Vec<Panel> {
    vec![
        Panel {
            title: "Budget left",
            says: "Of the error budget of 30 days",
            unit: Unit::Share,
            queries: vec![(
                format!("min by (deployment, objective) ({})", of("mainspring_slo_budget_left")),
                "{{deployment}} {{objective}}",
            )],
        },
        Panel {
            title: "Burn rate",
            says: "1 uses the budget up in exactly its time; 14.4 over an hour pages",
            unit: Unit::Count,
            queries: vec![(
                format!("max by (deployment, objective, window_seconds) ({})", of("mainspring_slo_burn_rate")),
                "{{deployment}} {{objective}} {{window_seconds}} s",
            )],
        },
    ]
}

fn server() -> Vec<Panel> {
    vec![
        Panel {
            title: "What does not work",
            says: "1 for each part of a server that does not, and while the journal takes no writes",
            unit: Unit::Count,
            queries: vec![
                ("1 - mainspring_check".into(), "{{instance}} {{check}}"),
                ("1 - mainspring_ready".into(), "{{instance}} requests refused"),
                ("mainspring_journal_degraded".into(), "{{instance}} journal degraded"),
            ],
        },
        Panel {
            title: "Journal",
            says: "A second: rows written, and what was lost because memory or the disk was full",
            unit: Unit::PerSecond,
            queries: vec![
                (rate("mainspring_journal_rows_total"), "{{instance}} rows"),
                (rate("mainspring_journal_payloads_dropped_total"), "{{instance}} payloads dropped"),
                (rate("mainspring_journal_events_dropped_total"), "{{instance}} events not stored"),
                (rate("mainspring_journal_rows_lost_total"), "{{instance}} rows lost"),
            ],
        },
        Panel {
            title: "Memory",
            says: "Resident",
            unit: Unit::Bytes,
            queries: vec![("process_resident_memory_bytes".into(), "{{instance}}")],
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn queries() -> Vec<String> {
        let all = dashboard();
        let targets = all["panels"].as_array().unwrap().iter().filter_map(|p| p["targets"].as_array()).flatten();
        targets.map(|t| t["expr"].as_str().unwrap().to_owned()).collect()
    }

    /// A panel whose metric was renamed would stay empty, and nobody would know why.
    #[test]
    fn every_metric_that_is_asked_for_is_on_the_page_of_metrics() {
        let page = super::super::tests::reading().render();
        let known: HashSet<&str> = page.lines().filter_map(|l| l.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        let queries = queries();
        assert!(queries.len() > 25, "{queries:?}");
        for query in queries {
            let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
            let named: Vec<&str> = query.split(word).filter(|w| w.starts_with("mainspring_")).collect();
            for name in &named {
                let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
                // Those of objectives come from another page's half.
                let slo = ["mainspring_slo_budget_left", "mainspring_slo_burn_rate"].contains(name);
                assert!(slo || known.contains(base), "{name} of {query}");
            }
            assert!(!named.is_empty() || query == "process_resident_memory_bytes", "{query}");
        }
    }

    #[test]
    fn panels_do_not_overlap_and_have_ids_of_their_own() {
        let all = dashboard();
        let panels = all["panels"].as_array().unwrap();
        let mut taken = HashSet::new();
        let mut ids = HashSet::new();
        for panel in panels {
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{panel}");
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(taken.insert((x, y)), "{panel}");
                }
            }
        }
    }
}
