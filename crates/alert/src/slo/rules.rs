//! The same rules for Prometheus, over the server's own metrics of all replicas.

use super::burn::{RULES, WINDOWS, percent, span};
use super::{Objective, faulty};
use mainspring_core::ErrorKind;
use std::fmt::Write;
use std::time::Duration;

/// The bounds of the server's duration buckets that an objective can be counted by: the largest that is not above it.
fn bucket(within: Duration, bounds: &[Duration]) -> Option<Duration> {
    bounds.iter().copied().filter(|b| *b <= within).max()
}

/// The share of bad requests in a window, for Prometheus.
fn ratio(objective: &Objective, le: Option<Duration>, window: &str) -> String {
    let of = format!("deployment=\"{}\"", objective.deployment);
    match le {
        None => {
            let words = |kinds: &dyn Fn(ErrorKind) -> bool| {
                let all = ErrorKind::ALL.into_iter().filter(|k| kinds(*k)).map(ErrorKind::as_str);
                all.collect::<Vec<_>>().join("|")
            };
            let (bad, own) = (words(&|k| faulty(k)), words(&|k| !faulty(k)));
            // What no version could answer is of no version. A server that only ever failed has no series of the others.
            let of = |outcome: &str| {
                let sum =
                    |counter: &str| format!("(sum(rate({counter}{{{of},outcome{outcome}}}[{window}])) or vector(0))");
                let [served, unserved] =
                    ["requests", "unserved"].map(|c| sum(&format!("mainspring_inference_{c}_total")));
                format!("({served} + {unserved})")
            };
            format!("{} / {}", of(&format!("=~\"{bad}\"")), of(&format!("!~\"{own}\"")))
        }
        Some(le) => {
            let (all, le) = ("mainspring_inference_duration_seconds", le.as_secs_f64());
            format!(
                "1 - sum(rate({all}_bucket{{{of},le=\"{le}\"}}[{window}])) / sum(rate({all}_count{{{of}}}[{window}]))"
            )
        }
    }
}

/// A rules file for Prometheus: a recording rule for each window of each objective, and the alerts over them. `bounds`
/// are the bounds of the server's duration buckets; an objective below all of them is left out and named in a comment.
pub fn rules(objectives: &[Objective], bounds: &[Duration]) -> String {
    let mut out = String::from(
        "# Made by `mainspring alert rules`: the objectives of deployments, as the SRE workbook burns them.\ngroups:\n",
    );
    if objectives.is_empty() {
        return "# No deployment has an `slo` yet.\ngroups: []\n".to_owned();
    }
    for objective in objectives {
        let le = match objective.within {
            None => None,
            Some(within) => match bucket(within, bounds) {
                Some(le) => Some(le),
                None => {
                    let _infallible = writeln!(
                        out,
                        "# {} {}: the shortest duration bucket is longer than {} ms",
                        objective.deployment,
                        objective.name,
                        within.as_secs_f64() * 1e3
                    );
                    continue;
                }
            },
        };
        group(&mut out, objective, le);
    }
    if out.ends_with("groups:\n") || !out.contains("- name:") {
        out.push_str("  []\n");
    }
    out
}

fn group(out: &mut String, objective: &Objective, le: Option<Duration>) {
    let (deployment, name) = (&objective.deployment, &objective.name);
    let labels = format!("{{deployment: \"{deployment}\", objective: \"{name}\"}}");
    let _infallible = writeln!(out, "  - name: \"mainspring-slo-{deployment}-{name}\"\n    rules:");
    if let (Some(le), Some(within)) = (le, objective.within)
        && le != within
    {
        let (le, within) = (le.as_secs_f64() * 1e3, within.as_secs_f64() * 1e3);
        let _infallible = writeln!(out, "      # {within} ms is no bound of the duration buckets; {le} ms is counted");
    }
    // The whole period is not among the rules: a query of thirty days is not one to ask every minute.
    for window in &WINDOWS[..WINDOWS.len() - 1] {
        let window = span(*window);
        let _infallible = writeln!(
            out,
            "      - record: \"mainspring:slo_bad:ratio_rate{window}\"\n        expr: {}\n        labels: {labels}",
            quoted(&ratio(objective, le, &window))
        );
    }
    let selector = format!("{{deployment=\"{deployment}\",objective=\"{name}\"}}");
    for rule in RULES {
        let (long, short) = (span(WINDOWS[rule.long]), span(WINDOWS[rule.short]));
        let limit = rule.factor * objective.allowed();
        let expr = format!(
            "mainspring:slo_bad:ratio_rate{long}{selector} >= {limit:.9} and mainspring:slo_bad:ratio_rate{short}{selector} >= {limit:.9}"
        );
        let summary = format!(
            "{deployment} uses its budget for {name} {} times too fast ({long} and {short}; objective {})",
            rule.factor,
            percent(objective.target)
        );
        let _infallible = writeln!(
            out,
            "      - alert: \"MainspringSloBurn\"\n        expr: {}\n        labels: {{severity: \"{}\", deployment: \"{deployment}\", objective: \"{name}\", long: \"{long}\"}}\n        annotations:\n          summary: {}",
            quoted(&expr),
            rule.severity,
            quoted(&summary)
        );
        if let Some(runbook) = &objective.runbook {
            let _infallible = writeln!(out, "          runbook_url: {}", quoted(runbook));
        }
    }
}

/// A text as YAML takes it in any place: JSON's form.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
