//! PagerDuty's Events API v2: one incident a group, by `dedup_key`; one for each thing that happened.

use super::{GivesUp, HttpRequest};
use crate::notice::{Notice, Status, cut};
use crate::signal::Severity;
use crate::spec::PagerdutySpec;
use mainspring_core::Secret;
use mainspring_webhook::rfc3339;
use serde_json::{Value, json};

/// The API's limit on a summary, characters.
const SUMMARY: usize = 1024;

fn severity(notice: &Notice) -> &'static str {
    match notice.severity() {
        Severity::Page => "critical",
        Severity::Ticket => "warning",
        Severity::Info => "info",
    }
}

pub(super) fn render(way: &PagerdutySpec, notice: &Notice, key: &Secret) -> HttpRequest {
    let action = if notice.status == Status::Resolved { "resolve" } else { "trigger" };
    // What happened is never over: under one key the next would be lost in an incident that somebody has acknowledged.
    let key_of = match notice.status {
        Status::Firing | Status::Resolved => notice.group.clone(),
        Status::Happened | Status::Test => notice.id.to_string(),
    };
    let mut body = json!({
        "routing_key": key.reveal(),
        "event_action": action,
        "dedup_key": key_of,
        "client": "Mainspring",
        "client_url": notice.link,
    });
    if action == "trigger" {
        let links = notice.items.iter().flat_map(|item| {
            let named = |url: &Option<String>, text: &str| {
                url.as_ref().map(|href| json!({"href": href, "text": format!("{text}: {}", item.name)}))
            };
            [named(&item.runbook, "runbook"), named(&item.link, "console")].into_iter().flatten()
        });
        let source = notice.labels.get("deployment").filter(|d| !d.is_empty()).map_or("mainspring", String::as_str);
        body["links"] = links.collect::<Vec<Value>>().into();
        body["payload"] = json!({
            "summary": cut(&notice.title(), SUMMARY),
            "source": source,
            "severity": severity(notice),
            "timestamp": rfc3339(notice.at),
            "component": source,
            "group": notice.labels.values().cloned().collect::<Vec<_>>().join(", "),
            "class": notice.items.first().map_or("", |i| i.name.as_str()),
            "custom_details": {"alerts": notice.items, "left_out": notice.left_out},
        });
    }
    let url = Secret::new(way.region.url());
    let headers = vec![("content-type", "application/json".to_owned())];
    let hide = vec![key.clone()];
    HttpRequest { url, headers, body: body.to_string(), sign: None, gives_up: GivesUp::OnClientErrors, hide }
}
