//! What a channel is told: the same for each way, before it gets that way's form.

use crate::machine::{Alert, Phase};
use crate::signal::{Severity, Source};
use mainspring_core::{EventId, Tenant, Timestamp};
use mainspring_webhook::rfc3339;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Alerts that one notice names; the others are counted.
pub(crate) const MOST: usize = 20;

/// What a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// At least one alert of the group fires.
    Firing,
    /// No alert of the group fires any more.
    Resolved,
    /// Something happened.
    Happened,
    /// Somebody tries the channel out.
    Test,
}

impl Status {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
            Self::Happened => "happened",
            Self::Test => "test",
        }
    }
}

/// One alert in a notice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// The alert's own name among all.
    pub fingerprint: String,
    /// `firing`, `resolved` or `happened`.
    pub status: Phase,
    /// What it is: `SloBurn`.
    pub name: String,
    /// What it is about.
    pub source: Source,
    /// How severe.
    pub severity: Severity,
    /// What tells it from others of the name.
    pub labels: BTreeMap<String, String>,
    /// In words.
    pub summary: String,
    /// The numbers that justify it.
    pub numbers: Value,
    /// A query of the journal that shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// The console's page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// When it began, RFC 3339.
    pub starts_at: String,
    /// When it was over, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<String>,
}

impl Item {
    /// An alert as it is told; `server` is where the console is.
    pub fn of(alert: &Alert, server: &str) -> Self {
        let subject = &alert.subject;
        Self {
            fingerprint: alert.fingerprint.clone(),
            status: alert.phase,
            name: subject.name.clone(),
            source: subject.source,
            severity: subject.severity,
            labels: subject.labels.clone(),
            summary: subject.sentence.clone(),
            numbers: subject.numbers.clone(),
            query: subject.query.clone(),
            runbook: subject.runbook.clone(),
            link: subject.page.as_ref().map(|page| format!("{}{page}", server.trim_end_matches('/'))),
            starts_at: rfc3339(alert.started),
            ends_at: (alert.phase == Phase::Resolved).then(|| rfc3339(alert.since)),
        }
    }
}

/// What a channel is told. Sent again it has the same id, by which a receiver knows that it has it already.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// Its own id.
    pub id: EventId,
    /// When it was made.
    pub at: Timestamp,
    /// Whose.
    pub tenant: Tenant,
    /// The channel.
    pub channel: String,
    /// What it is.
    pub status: Status,
    /// The same for all notices of a group: a receiver's own alert.
    pub group: String,
    /// The labels that its alerts have in common.
    pub labels: BTreeMap<String, String>,
    /// Whether nothing of it is new.
    pub repeated: bool,
    /// Its alerts, the firing ones first, and of these the most severe; at most 20.
    pub items: Vec<Item>,
    /// Alerts that are not among them.
    pub left_out: usize,
    /// The console's page of alerts.
    pub link: String,
}

impl Notice {
    /// The greatest severity in it.
    pub fn severity(&self) -> Severity {
        self.items.iter().map(|i| i.severity).max().unwrap_or_default()
    }

    /// One line: `[FIRING] churn: 14.6 times …`.
    pub fn title(&self) -> String {
        let word = self.status.as_str().to_uppercase();
        let firing = self.items.iter().filter(|i| i.status == Phase::Firing).count() + self.left_out;
        let about: Vec<&str> = self.labels.values().map(String::as_str).filter(|v| !v.is_empty()).collect();
        let about = if about.is_empty() { String::new() } else { format!(" {}", about.join(", ")) };
        let count = if firing > 1 { format!(" {firing}") } else { String::new() };
        let says = self.items.first().map_or("", |i| i.summary.as_str());
        format!("[{word}{count}]{about}: {says}")
    }

    /// All of it in plain text, a paragraph an alert.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for item in &self.items {
            out.push_str(&format!("{} {} ({})\n  {}\n", item.status.as_str(), item.name, item.severity, item.summary));
            let labels: Vec<String> = item.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let lines = [
                ("labels", Some(labels.join(" ")).filter(|l| !l.is_empty())),
                ("since", Some(item.starts_at.clone())),
                ("until", item.ends_at.clone()),
                ("runbook", item.runbook.clone()),
                ("console", item.link.clone()),
                ("query", item.query.clone()),
            ];
            for (what, value) in lines {
                if let Some(value) = value {
                    out.push_str(&format!("  {what}: {value}\n"));
                }
            }
            out.push('\n');
        }
        if self.left_out > 0 {
            out.push_str(&format!("and {} more: {}\n", self.left_out, self.link));
        }
        out
    }
}

/// The first bytes of a text, at most `most`, cut between characters.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let mut end = most.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}
