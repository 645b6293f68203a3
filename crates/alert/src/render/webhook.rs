//! A notice as a webhook of our own form.

use super::{GivesUp, HttpRequest, RenderError};
use crate::notice::Notice;
use crate::spec::WebhookSpec;
use mainspring_core::{Secret, Timestamp};
use serde_json::json;

pub(super) fn render(
    way: &WebhookSpec,
    notice: &Notice,
    secret: &Secret,
    now: Timestamp,
) -> Result<HttpRequest, RenderError> {
    let data = json!({
        "tenant": notice.tenant,
        "channel": notice.channel,
        "group": notice.group,
        "labels": notice.labels,
        "severity": notice.severity(),
        "repeated": notice.repeated,
        "title": notice.title(),
        "alerts": notice.items,
        "leftOut": notice.left_out,
        "link": notice.link,
    });
    let body = mainspring_webhook::body(&format!("alert.{}", notice.status.as_str()), notice.at, &data);
    let headers = mainspring_webhook::headers(secret, &notice.id.to_string(), now, &body)?;
    let url = Secret::new(way.url.as_str());
    Ok(HttpRequest { url, headers, body, sign: None, gives_up: GivesUp::OnGone, hide: Vec::new() })
}
