//! How fast a budget burns, and whether that is an alert.

use super::{Answering, Objective, Sums};
use crate::signal::{Severity, Signal, Source, Subject};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The windows that are summed, the whole period last.
pub const WINDOWS: [Duration; 8] = [
    Duration::from_secs(5 * MINUTE),
    Duration::from_secs(30 * MINUTE),
    Duration::from_secs(HOUR),
    Duration::from_secs(2 * HOUR),
    Duration::from_secs(6 * HOUR),
    Duration::from_secs(DAY),
    Duration::from_secs(3 * DAY),
    super::PERIOD,
];

/// Both windows burn at least so fast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// How severe that is.
    pub severity: Severity,
    /// How many times what the objective allows.
    pub factor: f64,
    /// Shows that much is gone: place in [`WINDOWS`].
    pub long: usize,
    /// Shows that it still goes on: place in [`WINDOWS`].
    pub short: usize,
}

/// 2 % of the budget in an hour, 5 % in six, 10 % in a day and in three.
pub const RULES: [Rule; 4] = [
    Rule { severity: Severity::Page, factor: 14.4, long: 2, short: 0 },
    Rule { severity: Severity::Page, factor: 6.0, long: 4, short: 1 },
    Rule { severity: Severity::Ticket, factor: 3.0, long: 5, short: 3 },
    Rule { severity: Severity::Ticket, factor: 1.0, long: 6, short: 4 },
];

/// One window of an objective.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Burn {
    /// How long it is.
    pub window: Duration,
    /// Requests in it.
    pub total: u64,
    /// Those that were not good.
    pub bad: u64,
    /// Bad ones per allowed one; 1 uses the budget up in exactly its period.
    pub rate: f64,
}

/// Where an objective is.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The objective.
    pub objective: Objective,
    /// Each of [`WINDOWS`].
    pub burns: Vec<Burn>,
    /// What is left of the budget of 30 days: 1 is all of it, less than 0 is overdrawn. All of it without requests.
    pub left: f64,
    /// How severe it is now; nothing when all is well.
    pub severity: Option<Severity>,
}

fn burn(objective: &Objective, window: Duration, (total, bad): (u64, u64)) -> Burn {
    let rate = if total == 0 { 0.0 } else { bad as f64 / total as f64 / objective.allowed() };
    Burn { window, total, bad, rate }
}

/// The rule of this severity that is broken the most, if one is.
fn broken(objective: &Objective, burns: &[Burn], severity: Severity) -> Option<&'static Rule> {
    RULES.iter().filter(|rule| rule.severity == severity).find(|rule| {
        let (long, short) = (&burns[rule.long], &burns[rule.short]);
        long.total >= objective.minimum && [long, short].iter().all(|b| b.rate >= rule.factor)
    })
}

/// Where an objective is, and what is to be said of it at each severity.
pub fn judge(objective: &Objective, sums: &Sums) -> (Standing, Vec<Signal>) {
    let windows = WINDOWS.into_iter().zip(sums.windows);
    let burns: Vec<Burn> = windows.map(|(window, counted)| burn(objective, window, counted)).collect();
    let left = 1.0 - burns.last().map_or(0.0, |b| b.rate);
    let signals = [Severity::Page, Severity::Ticket].map(|severity| {
        let rule = broken(objective, &burns, severity);
        signal(objective, &burns, left, (severity, rule))
    });
    let severity = signals.iter().filter(|s| s.active).map(|s| s.subject.severity).max();
    (Standing { objective: objective.clone(), burns, left, severity }, signals.into())
}

fn signal(
    objective: &Objective,
    burns: &[Burn],
    left: f64,
    (severity, rule): (Severity, Option<&'static Rule>),
) -> Signal {
    let deployment = objective.deployment.as_str();
    let of = [("deployment", deployment), ("objective", objective.name.as_str())];
    let labels: BTreeMap<String, String> = of.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let all: Vec<_> = burns
        .iter()
        .map(|b| json!({"window": span(b.window), "requests": b.total, "bad": b.bad, "burnRate": b.rate}))
        .collect();
    let mut numbers = json!({
        "target": objective.target,
        "budgetLeft": left,
        "windows": all,
    });
    if let Some(within) = objective.within {
        numbers["withinMs"] = json!(within.as_secs_f64() * 1e3);
    }
    if let Some(rule) = rule {
        numbers["rule"] = json!({
            "factor": rule.factor, "long": span(WINDOWS[rule.long]), "short": span(WINDOWS[rule.short]),
        });
    }
    // What another version answered in the short window may be what is bad about it.
    let whole = |a: &&Answering| rule.is_some_and(|rule| a.held >= WINDOWS[rule.short]);
    if let Some(of) = objective.answers.as_ref().filter(whole) {
        numbers["model"] = json!(of.model);
        numbers["version"] = json!(of.version);
    }
    // What pages is known within minutes to be over; what is slow is not taken back after a quiet quarter of an hour.
    let keep = if severity == Severity::Page { 5 * MINUTE } else { 30 * MINUTE };
    Signal {
        subject: Subject {
            name: "SloBurn".to_owned(),
            source: Source::Slo,
            severity,
            labels,
            sentence: sentence(objective, burns, left, rule),
            numbers,
            query: Some(query(objective, rule.map_or(WINDOWS[2], |r| WINDOWS[r.long]))),
            runbook: objective.runbook.clone(),
            page: Some(format!("/ui/deployments/{deployment}")),
        },
        active: rule.is_some(),
        keep: Duration::from_secs(keep),
    }
}

/// `5m`, `6h`, `3d`.
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        s if s.is_multiple_of(DAY) => format!("{}d", s / DAY),
        s if s.is_multiple_of(HOUR) => format!("{}h", s / HOUR),
        s => format!("{}m", s / MINUTE),
    }
}

/// A share in per cent, with the digits that count.
pub(super) fn percent(share: f64) -> String {
    let value = share * 100.0;
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text} %")
}

fn sentence(objective: &Objective, burns: &[Burn], left: f64, rule: Option<&Rule>) -> String {
    let what = match objective.within {
        None => "failed".to_owned(),
        Some(within) => format!("took longer than {} ms", within.as_secs_f64() * 1e3),
    };
    let left = format!("{:.1} % of the 30 days' budget is left", left * 100.0);
    let target = percent(objective.target);
    match rule {
        Some(rule) => {
            let long = &burns[rule.long];
            format!(
                "{} of {} requests {what} in {}, {:.1} times what {target} allows; {left}",
                long.bad,
                long.total,
                span(long.window),
                long.rate
            )
        }
        None => {
            let hour = &burns[2];
            format!(
                "{} of {} requests {what} in 1h, {:.1} times what {target} allows; {left}",
                hour.bad, hour.total, hour.rate
            )
        }
    }
}

/// A name has no quotes in it.
fn query(objective: &Objective, window: Duration) -> String {
    let (deployment, minutes) = (&objective.deployment, window.as_secs() / MINUTE);
    let of =
        format!("FROM predictions WHERE deployment = '{deployment}' AND at >= now() - INTERVAL '{minutes} minutes'");
    match objective.within {
        None => format!(
            "SELECT version, variant, outcome, error_kind, count(*) AS requests {of} AND \"row\" = 0 GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC"
        ),
        Some(within) => format!(
            "SELECT version, variant, count(*) AS requests, sum(CASE WHEN total_us > {} THEN 1 ELSE 0 END) AS slow {of} AND \"row\" = 0 AND outcome = 'ok' GROUP BY 1, 2 ORDER BY 4 DESC",
            within.as_micros()
        ),
    }
}
