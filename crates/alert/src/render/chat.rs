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
/// Bytes of an alert's own words and of its query.
const WORDS: usize = 2000;
const QUERY: usize = 1000;
/// Bytes of all sections. Slack refuses a message of about 13,200 with `msg_blocks_too_long`, which no page of its says
/// (slackapi/bolt-js#2509).
const ALL: usize = 10_000;

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

/// An alert's own words, its labels and links as far as they fit whole, and its query if there is room for it.
fn section(item: &Item, query: bool) -> Value {
    let mut text = cut(&format!("{} *{}* {}", mark(item), escaped(&item.name), escaped(&item.summary)), WORDS);
    let mut add = |between: &str, piece: &str| {
        // Half a link is none, and takes with it what comes behind it.
        let fits = text.len() + between.len() + piece.len() <= SECTION;
        if fits {
            text.push_str(between);
            text.push_str(piece);
        }
        fits
    };
    let labels = item.labels.iter().map(|(k, v)| format!("`{}={}`", escaped(k), escaped(v)));
    let links = [("runbook", &item.runbook), ("console", &item.link)];
    let links = links.iter().filter_map(|(what, url)| Some(link(url.as_ref()?, what)));
    for (pieces, others) in [(labels.collect::<Vec<_>>(), " "), (links.collect(), " · ")] {
        let mut begun = false;
        for piece in pieces {
            begun |= add(if begun { others } else { "\n" }, &piece);
        }
    }
    if let Some(query) = item.query.as_ref().filter(|_| query) {
        add("\n", &format!("```{}```", cut(&escaped(query), QUERY)));
    }
    json!({"type": "section", "text": {"type": "mrkdwn", "text": text}})
}

/// The alerts, without their queries where those are too much together, and without the last ones where all are; how many
/// were left out.
fn sections(items: &[Item]) -> (Vec<Value>, usize) {
    let size = |sections: &[Value]| sections.iter().map(|section| section.to_string().len()).sum::<usize>();
    let mut sections: Vec<Value> = items.iter().map(|item| section(item, true)).collect();
    if size(&sections) > ALL {
        sections = items.iter().map(|item| section(item, false)).collect();
    }
    while size(&sections) > ALL && sections.len() > 1 {
        sections.pop();
    }
    let left_out = items.len() - sections.len();
    (sections, left_out)
}

pub(super) fn render(notice: &Notice, url: Secret) -> Result<HttpRequest, RenderError> {
    if !url.reveal().starts_with("https://") && !url.reveal().starts_with("http://") {
        let reason = "it is not an http or https URL".to_owned();
        return Err(RenderError::Form { what: "Slack's webhook URL", reason });
    }
    let title = cut(&notice.title(), HEADER);
    let mut blocks = vec![json!({"type": "header", "text": {"type": "plain_text", "text": title}})];
    let (sections, too_many) = sections(&notice.items);
    blocks.extend(sections);
    let left_out = notice.left_out + too_many;
    if left_out > 0 {
        let more = format!("and {left_out} more: {}", link(&notice.link, "all alerts"));
        blocks.push(json!({"type": "context", "elements": [{"type": "mrkdwn", "text": more}]}));
    }
    let body = json!({"text": escaped(&title), "blocks": blocks}).to_string();
    let headers = vec![("content-type", "application/json".to_owned())];
    let hide = vec![url.clone()];
    Ok(HttpRequest { url, headers, body, sign: None, gives_up: GivesUp::OnClientErrors, hide })
}
