//! Slack's incoming webhooks: blocks, with a text for where blocks are not shown.

use super::{GivesUp, HttpRequest, RenderError};
use crate::machine::Phase;
use crate::notice::{Item, Notice, cut};
use crate::signal::Severity;
use mainspring_core::Secret;
use serde_json::{Value, json};

/// Slack's limits: characters of a header, of a section.
const HEADER: usize = 150;
const SECTION: usize = 3000;

/// Slack's own three signs.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn mark(item: &Item) -> &'static str {
    match (item.status, item.severity) {
        (Phase::Resolved, _) => ":white_check_mark:",
        (_, Severity::Page) => ":rotating_light:",
        (_, Severity::Ticket) => ":warning:",
        (_, Severity::Info) => ":information_source:",
    }
}

/// A link's address may hold none of the signs that end it.
fn link(url: &str, text: &str) -> String {
    let url = url.replace('<', "%3C").replace('>', "%3E").replace('|', "%7C");
    format!("<{url}|{text}>")
}

fn section(item: &Item) -> Value {
    let labels: Vec<String> = item.labels.iter().map(|(k, v)| format!("`{}={}`", escaped(k), escaped(v))).collect();
    let mut lines =
        vec![format!("{} *{}* {}", mark(item), escaped(&item.name), escaped(&item.summary)), labels.join(" ")];
    let links = [("runbook", &item.runbook), ("console", &item.link)];
    let links: Vec<String> = links.iter().filter_map(|(what, url)| Some(link(url.as_ref()?, what))).collect();
    lines.push(links.join(" · "));
    if let Some(query) = &item.query {
        lines.push(format!("```{}```", cut(&escaped(query), 1000)));
    }
    lines.retain(|line| !line.is_empty());
    json!({"type": "section", "text": {"type": "mrkdwn", "text": cut(&lines.join("\n"), SECTION)}})
}

pub(super) fn render(notice: &Notice, url: Secret) -> Result<HttpRequest, RenderError> {
    if !url.reveal().starts_with("https://") && !url.reveal().starts_with("http://") {
        let reason = "it is not an http or https URL".to_owned();
        return Err(RenderError::Form { what: "Slack's webhook URL", reason });
    }
    let title = cut(&notice.title(), HEADER);
    let mut blocks = vec![json!({"type": "header", "text": {"type": "plain_text", "text": title}})];
    blocks.extend(notice.items.iter().map(section));
    if notice.left_out > 0 {
        let more = format!("and {} more: {}", notice.left_out, link(&notice.link, "all alerts"));
        blocks.push(json!({"type": "context", "elements": [{"type": "mrkdwn", "text": more}]}));
    }
    let body = json!({"text": escaped(&title), "blocks": blocks}).to_string();
    let headers = vec![("content-type", "application/json".to_owned())];
    let hide = vec![url.clone()];
    Ok(HttpRequest { url, headers, body, sign: None, gives_up: GivesUp::OnClientErrors, hide })
}
