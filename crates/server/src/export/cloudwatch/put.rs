//! `PutMetricData` of CloudWatch's query API, 2010-08-01.

use super::data::{Amount, Datum};
use super::emf::plain;
use crate::alerts::Sender;
use mainspring_alert::Courier;
use mainspring_alert::render::{AwsScope, GivesUp, HttpRequest, Outgoing};
use mainspring_core::{Secret, Timestamp};
use std::collections::VecDeque;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_util::sync::CancellationToken;
use url::form_urlencoded::Serializer;

/// Metrics, values of one, and bytes of a request; the service takes 1,000, 150 and 1 MiB.
const METRICS: usize = 1_000;
const VALUES: usize = 150;
const BYTES: usize = 900_000;
/// Requests that wait for the service to come back: the oldest go first, and so does memory.
const WAITING: usize = 120;
/// Tries of a request in one round, and the wait after the first; each further one is twice as long.
const TRIES: u32 = 3;
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// Calls the service.
pub struct Putter {
    sender: Sender,
    region: String,
    url: String,
    waiting: VecDeque<String>,
}

impl Putter {
    /// In a region, at Amazon's address or another.
    pub fn new(sender: Sender, region: &str, endpoint: Option<&str>) -> Self {
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let own = || format!("https://monitoring.{region}.{suffix}/");
        let url = endpoint.map_or_else(own, |given| format!("{}/", given.trim_end_matches('/')));
        Self { sender, region: region.to_owned(), url, waiting: VecDeque::new() }
    }

    /// Sends what waits and these, in their order; what cannot be sent now waits for the next round.
    ///
    /// # Errors
    /// Why something was not sent.
    pub async fn put(&mut self, bodies: Vec<String>, stop: &CancellationToken) -> Result<(), String> {
        self.waiting.extend(bodies);
        let over = self.waiting.len().saturating_sub(WAITING);
        if over > 0 {
            tracing::warn!(requests = over, "CloudWatch was away for so long that its oldest numbers are lost");
            self.waiting.drain(..over);
        }
        while let Some(body) = self.waiting.front() {
            match self.tried(body, stop).await {
                Ok(()) => {}
                Err((true, reason)) => {
                    self.waiting.pop_front();
                    return Err(format!("CloudWatch refused numbers for good: {reason}"));
                }
                Err((false, reason)) => return Err(reason),
            }
            self.waiting.pop_front();
        }
        Ok(())
    }

    async fn tried(&self, body: &str, stop: &CancellationToken) -> Result<(), (bool, String)> {
        let mut wait = FIRST_WAIT;
        let mut tries = 1;
        loop {
            let refused = match self.sender.send(Outgoing::Http(self.request(body))).await {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            };
            // The query API says so with 400.
            let throttled = ["Throttling", "RequestLimitExceeded"].iter().any(|word| refused.reason.contains(word));
            let for_good = refused.for_good && !throttled;
            if for_good || tries == TRIES {
                return Err((for_good, refused.reason));
            }
            let pause = refused.after.unwrap_or(wait).min(Duration::from_secs(10));
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Err((false, refused.reason));
            }
            (wait, tries) = (wait * 2, tries + 1);
        }
    }

    fn request(&self, body: &str) -> HttpRequest {
        HttpRequest {
            url: Secret::new(self.url.clone()),
            headers: vec![("content-type", "application/x-www-form-urlencoded; charset=utf-8".to_owned())],
            body: body.to_owned(),
            sign: Some(AwsScope { region: self.region.clone(), service: "monitoring" }),
            gives_up: GivesUp::OnClientErrors,
            hide: Vec::new(),
        }
    }
}

/// The requests that tell `data`, each within the service's limits.
pub fn bodies(namespace: &str, at: Timestamp, data: &[Datum]) -> Vec<String> {
    let seconds = OffsetDateTime::from_unix_timestamp(at.millis() / 1_000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let stamp = seconds.format(&Rfc3339).unwrap_or_default();
    let begin = || {
        let mut form = Serializer::new(String::new());
        form.append_pair("Action", "PutMetricData").append_pair("Version", "2010-08-01");
        form.append_pair("Namespace", namespace);
        form.finish()
    };
    let (mut out, mut body, mut count) = (Vec::new(), begin(), 0);
    for datum in data.iter().flat_map(parts) {
        let text = member(count + 1, &datum, &stamp);
        if count == METRICS || (count > 0 && body.len() + text.len() + 1 > BYTES) {
            out.push(std::mem::replace(&mut body, begin()));
            count = 0;
        }
        count += 1;
        body.push('&');
        body.push_str(&member(count, &datum, &stamp));
    }
    if count > 0 {
        out.push(body);
    }
    out
}

/// A datum with few enough values each.
fn parts(datum: &Datum) -> Vec<Datum> {
    match &datum.amount {
        Amount::Many(values) if values.len() > VALUES => {
            let part = |values: &[(f64, u64)]| Datum { amount: Amount::Many(values.to_vec()), ..datum.clone() };
            values.chunks(VALUES).map(part).collect()
        }
        _ => vec![datum.clone()],
    }
}

fn member(number: usize, datum: &Datum, stamp: &str) -> String {
    let mut form = Serializer::new(String::new());
    let prefix = format!("MetricData.member.{number}");
    form.append_pair(&format!("{prefix}.MetricName"), datum.metric.as_str());
    form.append_pair(&format!("{prefix}.Unit"), datum.metric.unit());
    form.append_pair(&format!("{prefix}.Timestamp"), stamp);
    for (i, (name, value)) in datum.dimensions.iter().enumerate() {
        let dimension = format!("{prefix}.Dimensions.member.{}", i + 1);
        form.append_pair(&format!("{dimension}.Name"), name);
        form.append_pair(&format!("{dimension}.Value"), &plain(value));
    }
    match &datum.amount {
        Amount::One(value) => {
            form.append_pair(&format!("{prefix}.Value"), &value.to_string());
        }
        Amount::Many(values) => {
            for (i, (value, count)) in values.iter().enumerate() {
                form.append_pair(&format!("{prefix}.Values.member.{}", i + 1), &value.to_string());
                form.append_pair(&format!("{prefix}.Counts.member.{}", i + 1), &count.to_string());
            }
        }
    }
    form.finish()
}
