//! Rules that rows of requests must keep, and when too many break one.

use super::burn::{WINDOWS, percent, span};
use super::{Series, Sums};
use crate::signal::{Severity, Signal, Source, Subject};
use mainspring_core::{Name, Tenant};
use serde_json::json;
use std::time::Duration;

/// What is over is over after a quarter of an hour.
const KEEP: Duration = Duration::from_secs(15 * 60);

/// How many rows may break a rule of a deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleLimit {
    /// Whose.
    pub tenant: Tenant,
    /// The deployment.
    pub deployment: Name,
    /// What the rule is called: letters, digits, `_`, `.`, `:` and `-`.
    pub rule: String,
    /// The share of the rows that may break it.
    pub over: f64,
    /// In which of [`WINDOWS`]; one that is not among them is the next longer one.
    pub window: Duration,
    /// Rows that the window must have before anything is said.
    pub minimum: u64,
    /// How severe it is.
    pub severity: Severity,
    /// What to do about it.
    pub runbook: Option<String>,
    /// Whether the journal has which rows broke it: not of a rule that only counts.
    pub recorded: bool,
}

impl RuleLimit {
    /// Whose counts tell of it.
    pub fn series(&self) -> Series {
        let counted = Self::counted(&self.rule);
        Series { tenant: self.tenant.clone(), deployment: self.deployment.clone(), counted }
    }

    /// What a rule of this name counts in a [`Series`].
    pub fn counted(rule: &str) -> String {
        format!("rule {rule}")
    }

    /// What is to be said of it.
    pub(crate) fn judge(&self, sums: Option<&Sums>) -> Signal {
        let at = WINDOWS.iter().position(|w| *w >= self.window).unwrap_or(WINDOWS.len() - 1);
        let (total, bad) = sums.map_or((0, 0), |sums| sums.windows[at]);
        let share = if total == 0 { 0.0 } else { bad as f64 / total as f64 };
        let (deployment, rule, window) = (self.deployment.as_str(), &self.rule, span(WINDOWS[at]));
        let labels = [("deployment", deployment), ("rule", rule)];
        let minutes = WINDOWS[at].as_secs() / 60;
        // A name has no quotes in it.
        let (unknown, only) = if self.recorded {
            ("", format!(" AND ',' || flags || ',' LIKE '%,{rule},%'"))
        } else {
            ("; which rows is only kept of a rule that flags or rejects", String::new())
        };
        Signal {
            subject: Subject {
                name: "RuleBroken".to_owned(),
                source: Source::Quality,
                severity: self.severity,
                labels: labels.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
                sentence: format!(
                    "{bad} of {total} rows of {deployment} broke the rule {rule} in {window}, {}; {} may{unknown}",
                    percent(share),
                    percent(self.over)
                ),
                numbers: json!({"window": window, "rows": total, "broken": bad, "share": share, "over": self.over}),
                query: Some(format!(
                    "SELECT at, event_id, \"row\", version, variant, protocol, outcome, flags FROM predictions WHERE deployment = \
                     '{deployment}' AND at >= now() - INTERVAL '{minutes} minutes'{only} ORDER BY at DESC LIMIT 100"
                )),
                runbook: self.runbook.clone(),
                page: Some(format!("/ui/deployments/{deployment}")),
            },
            active: total >= self.minimum && share > self.over,
            keep: KEEP,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(minutes: u64) -> RuleLimit {
        RuleLimit {
            tenant: Tenant::default(),
            deployment: Name::new("churn").unwrap(),
            rule: "age:between".into(),
            over: 0.05,
            window: Duration::from_secs(60 * minutes),
            minimum: 20,
            severity: Severity::Ticket,
            runbook: None,
            recorded: true,
        }
    }

    fn said(minutes: u64, windows: [(u64, u64); WINDOWS.len()]) -> Signal {
        let sums =
            Sums { tenant: Tenant::default(), deployment: "churn".into(), counted: "rule age:between".into(), windows };
        limit(minutes).judge(Some(&sums))
    }

    #[test]
    fn a_share_above_the_limit_in_its_own_window_is_an_alert() {
        let mut windows = [(1000, 0); WINDOWS.len()];
        windows[2] = (100, 6);
        assert!(said(60, windows).active && !said(30, windows).active && !said(120, windows).active);
        windows[2] = (100, 5);
        assert!(!said(60, windows).active, "as much as may");
        windows[2] = (19, 19);
        assert!(!said(60, windows).active, "too few rows to say so");
        windows[2] = (20, 20);
        let signal = said(60, windows);
        assert!(
            signal.active
                && signal.subject.sentence.contains("20 of 20 rows of churn broke the rule age:between in 1h")
        );
        assert!(signal.subject.query.is_some_and(|query| query.contains("LIKE '%,age:between,%'")));
        assert!(!limit(60).judge(None).active);
        // Of rows that were only counted there is nothing to be found by the rule.
        let counted = RuleLimit { recorded: false, ..limit(60) }.judge(None).subject;
        assert!(counted.sentence.ends_with("of a rule that flags or rejects"), "{}", counted.sentence);
        let query = counted.query.unwrap();
        assert!(query.contains("INTERVAL '60 minutes' ORDER BY") && !query.contains("LIKE"), "{query}");
    }
}
