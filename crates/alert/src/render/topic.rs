//! Amazon SNS: `Publish` of its query API, 2010-03-31.

use super::{AwsScope, GivesUp, HttpRequest, RenderError};
use crate::notice::{Notice, cut};
use crate::spec::SnsSpec;
use mainspring_core::Secret;
use url::form_urlencoded::Serializer;

/// The service's limit on a message, bytes, less some room.
const MESSAGE: usize = 250_000;
/// On a subject, characters: ASCII, on one line.
const SUBJECT: usize = 99;

fn subject(notice: &Notice) -> String {
    let plain = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    notice.title().chars().map(plain).take(SUBJECT).collect()
}

pub(super) fn render(way: &SnsSpec, notice: &Notice) -> Result<HttpRequest, RenderError> {
    let wrong = || RenderError::Form { what: "the topic", reason: "it is not the ARN of a topic".into() };
    let (region, suffix) = way.place().ok_or_else(wrong)?;
    let mut form = Serializer::new(String::new());
    form.append_pair("Action", "Publish").append_pair("Version", "2010-03-31").append_pair("TopicArn", &way.topic);
    form.append_pair("Subject", &subject(notice)).append_pair("Message", &cut(&notice.text(), MESSAGE));
    let attributes = [
        ("id", notice.id.to_string()),
        ("status", notice.status.as_str().to_owned()),
        ("severity", notice.severity().to_string()),
        ("group", notice.group.clone()),
    ];
    for (i, (name, value)) in attributes.iter().enumerate() {
        let entry = format!("MessageAttributes.entry.{}", i + 1);
        form.append_pair(&format!("{entry}.Name"), name);
        form.append_pair(&format!("{entry}.Value.DataType"), "String");
        form.append_pair(&format!("{entry}.Value.StringValue"), value);
    }
    if way.is_fifo() {
        form.append_pair("MessageGroupId", &notice.group);
        form.append_pair("MessageDeduplicationId", &notice.id.to_string());
    }
    let own = || format!("https://sns.{region}.{suffix}/");
    let url = way.endpoint.clone().unwrap_or_else(own);
    let headers = vec![("content-type", "application/x-www-form-urlencoded; charset=utf-8".to_owned())];
    Ok(HttpRequest {
        url: Secret::new(url),
        headers,
        body: form.finish(),
        sign: Some(AwsScope { region: region.to_owned(), service: "sns" }),
        gives_up: GivesUp::OnClientErrors,
        hide: Vec::new(),
    })
}
