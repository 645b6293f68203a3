//! The same rules for Prometheus, over the server's own metrics of all replicas.

use super::burn::{RULES, Rule, WINDOWS, percent, span};
use super::{Objective, faulty};
use mainspring_core::ErrorKind;
use std::fmt::Write;
use std::time::Duration;

/// The bounds of the server's duration buckets that an objective can be counted by: the largest that is not above it.
fn bucket(within: Duration, bounds: &[Duration]) -> Option<Duration> {
    bounds.iter().copied().filter(|b| *b <= within).max()
}

/// A matcher of a bucket's bound, seconds, in each of the forms that it has: as the server writes it, and as Prometheus
/// keeps it since version 3, which has `1` as `1.0` and `0.00005` as `5e-05`.
fn le(bound: Duration) -> String {
    let seconds = bound.as_secs_f64();
    if seconds.fract() == 0.0 {
        return format!(r#"le=~"{seconds}(\\.0)?""#);
    }
    if seconds >= 1e-4 {
        return format!("le=\"{seconds}\"");
    }
    // A duration is nanoseconds, so that the exponent has one digit; Prometheus writes two.
    let short = format!("{seconds:e}").replace("e-", "e-0");
    format!("le=~\"{seconds}|{short}\"").replace('.', r"\\.")
}

/// What Prometheus has of an objective's requests.
#[derive(Clone, Copy)]
struct Counted<'a> {
    objective: &'a Objective,
    /// The bucket that is counted for a latency.
    le: Option<Duration>,
}

impl Counted<'_> {
    /// The share of bad requests in a window.
    fn bad(self, window: &str) -> String {
        match self.le {
            None => {
                let bad = words(faulty);
                format!("{} / {}", self.outcomes(&format!("=~\"{bad}\""), ("rate", window)), self.all(("rate", window)))
            }
            Some(bound) => {
                let (deployment, le) = (&self.objective.deployment, le(bound));
                let quick = format!(
                    "sum(rate(mainspring_inference_duration_seconds_bucket{{deployment=\"{deployment}\",{le}}}[{window}]))"
                );
                format!("1 - {quick} / {}", self.all(("rate", window)))
            }
        }
    }

    /// All that count, as a `rate` or an `increase` over a window.
    fn all(self, over: (&str, &str)) -> String {
        match self.le {
            None => self.outcomes(&format!("!~\"{}\"", words(|kind| !faulty(kind))), over),
            Some(_) => {
                let ((function, window), deployment) = (over, &self.objective.deployment);
                format!(
                    "sum({function}(mainspring_inference_duration_seconds_count{{deployment=\"{deployment}\"}}[{window}]))"
                )
            }
        }
    }

    /// Those with such an outcome. What no version could answer is of no version. A server that only ever failed has no
    /// series of the others.
    fn outcomes(self, outcome: &str, (function, window): (&str, &str)) -> String {
        let deployment = &self.objective.deployment;
        let sum = |counter: &str| {
            let series =
                format!("mainspring_inference_{counter}_total{{deployment=\"{deployment}\",outcome{outcome}}}");
            format!("(sum({function}({series}[{window}])) or vector(0))")
        };
        format!("({} + {})", sum("requests"), sum("unserved"))
    }
}

/// The outcomes of such failures, as an expression.
fn words(kinds: impl Fn(ErrorKind) -> bool) -> String {
    let all = ErrorKind::ALL.into_iter().filter(|kind| kinds(*kind)).map(ErrorKind::as_str);
    all.collect::<Vec<_>>().join("|")
}

/// A rules file for Prometheus: a recording rule for each window of each objective, the alerts over them, and one of what
/// monitors see. `bounds` are the bounds of the server's duration buckets; an objective below all of them is left out and
/// named in a comment.
pub fn rules(objectives: &[Objective], bounds: &[Duration]) -> String {
    let mut out = String::from(
        "# Made by `mainspring alert rules`: the objectives of deployments, as the SRE workbook burns them, and what monitors see.\n",
    );
    if objectives.is_empty() {
        out.push_str("# No deployment has an `slo` yet.\n");
    }
    out.push_str("groups:\n");
    for objective in objectives {
        match objective.within.map(|within| (within, bucket(within, bounds))) {
            None => group(&mut out, Counted { objective, le: None }),
            Some((_, Some(le))) => group(&mut out, Counted { objective, le: Some(le) }),
            Some((within, None)) => {
                let _infallible = writeln!(
                    out,
                    "# {} {}: the shortest duration bucket is longer than {} ms",
                    objective.deployment,
                    objective.name,
                    within.as_secs_f64() * 1e3
                );
            }
        }
    }
    out.push_str(DRIFT);
    out
}

/// How severe a drift is the monitor says: the series has it. A monitor has waited long enough before it is drifting.
const DRIFT: &str = r#"  - name: "mainspring-monitors"
    rules:
      - alert: "MainspringDrift"
        expr: "max by (tenant, deployment, monitor, severity) (mainspring_monitor_drifting) == 1"
        annotations:
          summary: "{{ $labels.monitor }}: what {{ $labels.deployment }} is asked or answers has drifted; `mainspring monitor why {{ $labels.monitor }}` says which columns, and since when"
      - alert: "MainspringDetectedChange"
        expr: "max by (tenant, deployment, monitor) (mainspring_monitor_detecting) == 1"
        labels: {severity: "ticket"}
        annotations:
          summary: "{{ $labels.monitor }}: a stream detector calls a change in what {{ $labels.deployment }} is asked or answers, which may be none; `mainspring monitor show {{ $labels.monitor }}` says which"
      - alert: "MainspringMonitorStopped"
        expr: "max by (tenant, deployment, monitor) (mainspring_monitor_stopped) == 1"
        for: "5m"
        labels: {severity: "ticket"}
        annotations:
          summary: "{{ $labels.monitor }}: it does not watch {{ $labels.deployment }}; `mainspring monitor show {{ $labels.monitor }}` says why"
"#;

fn group(out: &mut String, counted: Counted<'_>) {
    let objective = counted.objective;
    let (deployment, name) = (&objective.deployment, &objective.name);
    let labels = format!("{{deployment: \"{deployment}\", objective: \"{name}\"}}");
    let _infallible = writeln!(out, "  - name: \"mainspring-slo-{deployment}-{name}\"\n    rules:");
    if let (Some(le), Some(within)) = (counted.le, objective.within)
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
            quoted(&counted.bad(&window))
        );
    }
    for rule in RULES {
        alert(out, counted, rule);
    }
}

fn alert(out: &mut String, counted: Counted<'_>, rule: Rule) {
    let objective = counted.objective;
    let (deployment, name, minimum) = (&objective.deployment, &objective.name, objective.minimum);
    let (long, short) = (span(WINDOWS[rule.long]), span(WINDOWS[rule.short]));
    let limit = rule.factor * objective.allowed();
    let burns = |window: &str| {
        format!(
            "mainspring:slo_bad:ratio_rate{window}{{deployment=\"{deployment}\",objective=\"{name}\"}} >= {limit:.9}"
        )
    };
    // The sum has no labels, which the others have.
    let enough = format!("on () {} >= {minimum}", counted.all(("increase", &long)));
    let expr = format!("{} and {} and {enough}", burns(&long), burns(&short));
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

/// A text as YAML takes it in any place: JSON's form.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
