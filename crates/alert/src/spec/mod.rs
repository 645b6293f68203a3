//! The spec of the kind `AlertChannel`: who is told, of what, and how often.

#[cfg(test)]
mod tests;

use crate::machine::Timing;
use crate::matcher::Matcher;
use crate::signal::{Severity, Source, Subject};
use mainspring_core::{ErrorKind, Failure};
use mainspring_resource::HumanDuration;
use mainspring_webhook::{SecretRef, check_url};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// Who is told of alerts, of which, and how often; or what is done about them. Exactly one of `webhook`, `slack`, `pagerduty`,
/// `email`, `sns` and `freeze`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "AlertChannel")]
pub struct ChannelSpec {
    /// What it is told of; everything when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<Source>,
    /// Only what is at least this severe: `info`, `ticket` or `page`.
    #[serde(default)]
    pub severity: Severity,
    /// Only alerts whose labels match all of these: `deployment=churn`, `deployment=~eu-.*`, `objective!=p99`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matching: Vec<Matcher>,
    /// Alerts with the same values of these labels are told together.
    #[serde(default = "group_by")]
    pub group_by: Vec<String>,
    /// How long the first alert of a group waits for others.
    #[serde(default = "group_wait")]
    pub group_wait: HumanDuration,
    /// The least time between two messages about one group.
    #[serde(default = "group_interval")]
    pub group_interval: HumanDuration,
    /// After this long an alert that goes on is told again.
    #[serde(default = "repeat")]
    pub repeat: HumanDuration,
    /// A signed HTTP request, as Standard Webhooks say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookSpec>,
    /// A message in Slack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack: Option<SlackSpec>,
    /// An incident in PagerDuty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pagerduty: Option<PagerdutySpec>,
    /// A mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailSpec>,
    /// A message to a topic of Amazon SNS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sns: Option<SnsSpec>,
    /// Nobody is told: the model's version that an alert is about is frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<FreezeSpec>,
}

fn group_by() -> Vec<String> {
    vec!["deployment".to_owned()]
}

fn group_wait() -> HumanDuration {
    HumanDuration(Duration::from_secs(30))
}

fn group_interval() -> HumanDuration {
    HumanDuration(Duration::from_secs(300))
}

fn repeat() -> HumanDuration {
    HumanDuration(Duration::from_secs(4 * 3600))
}

/// A signed HTTP request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookSpec {
    /// Where it goes.
    pub url: String,
    /// The signing secret: `whsec_` and base 64, or any text.
    pub secret: SecretRef,
}

/// Slack's incoming webhook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SlackSpec {
    /// Its URL, which is a secret: whoever has it can post.
    pub url: SecretRef,
}

/// PagerDuty's Events API v2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PagerdutySpec {
    /// The integration key of the service.
    pub routing_key: SecretRef,
    /// Where the account is: `us` or `eu`. The key goes nowhere else.
    #[serde(default)]
    pub region: PagerdutyRegion,
}

/// PagerDuty's service regions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PagerdutyRegion {
    /// `events.pagerduty.com`.
    #[default]
    Us,
    /// `events.eu.pagerduty.com`.
    Eu,
}

impl PagerdutyRegion {
    /// Where events go.
    pub(crate) fn url(self) -> &'static str {
        match self {
            Self::Us => "https://events.pagerduty.com/v2/enqueue",
            Self::Eu => "https://events.eu.pagerduty.com/v2/enqueue",
        }
    }
}

/// How a mail server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// In plain text first, then TLS, or not at all.
    #[default]
    Starttls,
    /// TLS from the first byte.
    Always,
    /// In plain text; for a relay on the same machine. Nothing secret can be sent so.
    Never,
}

/// A mail by SMTP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EmailSpec {
    /// The mail server.
    pub host: String,
    /// Its port; 587 for `starttls`, 465 for `always`, 25 for `never` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// `starttls`, `always` or `never`.
    #[serde(default)]
    pub tls: MailTls,
    /// Who it is from: `Mainspring <alerts@example.com>`.
    pub from: String,
    /// Who it goes to.
    #[schemars(length(min = 1))]
    pub to: Vec<String>,
    /// Who logs in; nobody when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// With which password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
}

impl EmailSpec {
    /// The port that is meant.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            MailTls::Starttls => 587,
            MailTls::Always => 465,
            MailTls::Never => 25,
        })
    }
}

/// A topic of Amazon SNS, for the default tenant. The credentials are the server's own: its environment, its role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SnsSpec {
    /// The topic: `arn:aws:sns:eu-west-1:123456789012:alerts`.
    pub topic: String,
    /// Another address of the service than the region's own; `https`, unless the server's alerts may reach anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
}

impl SnsSpec {
    /// Whether the topic keeps an order and knows its messages again; its name says so.
    pub(crate) fn is_fifo(&self) -> bool {
        self.topic.rsplit('.').next() == Some("fifo")
    }

    /// The region and the suffix of its host names, by the topic's own name.
    pub(crate) fn place(&self) -> Option<(&str, &'static str)> {
        let mut parts = self.topic.split(':');
        let (Some("arn"), Some(partition), Some("sns"), Some(region), Some(account), Some(topic), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let whole = !region.is_empty() && region.chars().all(plain) && !account.is_empty() && !topic.is_empty();
        let suffix = if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
        (whole && partition.starts_with("aws")).then_some((region, suffix))
    }
}

/// Freezes the version that an alert is about: at once, each alert by itself, and once each time that it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FreezeSpec {}

/// Which way a channel goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Way<'a> {
    /// A signed HTTP request.
    Webhook(&'a WebhookSpec),
    /// Slack.
    Slack(&'a SlackSpec),
    /// PagerDuty.
    Pagerduty(&'a PagerdutySpec),
    /// A mail.
    Email(&'a EmailSpec),
    /// Amazon SNS.
    Sns(&'a SnsSpec),
    /// Nobody is told, and a version is frozen.
    Freeze(&'a FreezeSpec),
}

impl Way<'_> {
    /// The word of the spec.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Slack(_) => "slack",
            Self::Pagerduty(_) => "pagerduty",
            Self::Email(_) => "email",
            Self::Sns(_) => "sns",
            Self::Freeze(_) => "freeze",
        }
    }
}

/// Why a spec is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct SpecError {
    /// Path of the field at fault: `webhook.url`.
    pub path: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl Failure for SpecError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidInput
    }
}

fn ensure(ok: bool, path: &str, reason: impl Into<String>) -> Result<(), SpecError> {
    if ok { Ok(()) } else { Err(SpecError { path: path.to_owned(), reason: reason.into() }) }
}

fn http_url(text: &str, path: &str) -> Result<(), SpecError> {
    check_url(text).map_err(|reason| SpecError { path: path.to_owned(), reason })
}

fn secret(reference: &SecretRef, path: &str) -> Result<(), SpecError> {
    reference.validate().map_err(|reason| SpecError { path: path.to_owned(), reason })
}

impl ChannelSpec {
    /// Every way that is set.
    fn ways(&self) -> Vec<Way<'_>> {
        let all = [
            self.webhook.as_ref().map(Way::Webhook),
            self.slack.as_ref().map(Way::Slack),
            self.pagerduty.as_ref().map(Way::Pagerduty),
            self.email.as_ref().map(Way::Email),
            self.sns.as_ref().map(Way::Sns),
            self.freeze.as_ref().map(Way::Freeze),
        ];
        all.into_iter().flatten().collect()
    }

    /// The one way.
    ///
    /// # Errors
    /// [`SpecError`] when there is none, or several.
    pub fn way(&self) -> Result<Way<'_>, SpecError> {
        match self.ways().as_slice() {
            [one] => Ok(*one),
            several => Err(SpecError {
                path: several.get(1).map_or_else(String::new, |way| way.as_str().to_owned()),
                reason: format!(
                    "a channel has exactly one of webhook, slack, pagerduty, email, sns and freeze; this one has {}",
                    several.len()
                ),
            }),
        }
    }

    /// Checks what the types cannot.
    ///
    /// # Errors
    /// [`SpecError`] naming the field.
    pub fn validate(&self) -> Result<(), SpecError> {
        match self.way()? {
            Way::Webhook(w) => {
                http_url(&w.url, "webhook.url")?;
                secret(&w.secret, "webhook.secret")?;
            }
            Way::Slack(s) => secret(&s.url, "slack.url")?,
            Way::Pagerduty(p) => secret(&p.routing_key, "pagerduty.routingKey")?,
            Way::Email(e) => email(e)?,
            Way::Sns(s) => {
                let topic = "it is not the ARN of a topic: arn:aws:sns:REGION:ACCOUNT:NAME";
                ensure(s.place().is_some(), "sns.topic", topic)?;
                if let Some(endpoint) = &s.endpoint {
                    http_url(endpoint, "sns.endpoint")?;
                }
            }
            Way::Freeze(_) => self.freezing()?,
        }
        let matchers = format!("there are {}; at most {}", self.matching.len(), crate::matcher::MOST);
        ensure(self.matching.len() <= crate::matcher::MOST, "matching", matchers)?;
        let least = Duration::from_secs(60);
        ensure(self.group_wait.0 <= DAY, "groupWait", format!("it is {}; it is at most 1d", self.group_wait))?;
        ensure(self.group_interval.0 <= DAY, "groupInterval", format!("it is {}; at most 1d", self.group_interval))?;
        let repeat = format!("it is {}; it is between 1m and 30d", self.repeat);
        ensure((least..=30 * DAY).contains(&self.repeat.0), "repeat", repeat)
    }

    /// What a channel that freezes does not do is refused, so that nobody waits for it.
    fn freezing(&self) -> Result<(), SpecError> {
        let about = |source: &&Source| !matches!(source, Source::Slo | Source::Drift);
        if let Some(other) = self.on.iter().find(about) {
            let reason = format!("an alert of {other} is about no version; freeze on slo and drift");
            return ensure(false, "on", reason);
        }
        let reason = "a version is frozen at once, each alert by itself, and once; leave it out";
        ensure(self.group_by == group_by(), "groupBy", reason)?;
        ensure(self.group_wait == group_wait(), "groupWait", reason)?;
        ensure(self.group_interval == group_interval(), "groupInterval", reason)?;
        ensure(self.repeat == repeat(), "repeat", reason)
    }

    /// Whether the channel is told of this.
    pub fn wants(&self, subject: &Subject) -> bool {
        let facets = subject.facets();
        let known = self.freeze.is_none() || subject.may_freeze();
        known
            && (self.on.is_empty() || self.on.contains(&subject.source))
            && subject.severity >= self.severity
            && self.matching.iter().all(|m| m.matches(&facets))
    }

    /// How often a group is told.
    pub fn timing(&self) -> Timing {
        if self.freeze.is_some() {
            return Timing { wait: Duration::ZERO, interval: Duration::ZERO, repeat: Duration::MAX };
        }
        Timing { wait: self.group_wait.0, interval: self.group_interval.0, repeat: self.repeat.0 }
    }

    /// Whether the channel hears of what is over, too.
    pub fn hears_of_ends(&self) -> bool {
        self.freeze.is_none()
    }

    /// The labels by which alerts of the channel are told together.
    pub fn group_labels(&self, subject: &Subject) -> BTreeMap<String, String> {
        let facets = subject.facets();
        if self.freeze.is_some() {
            return facets;
        }
        let value = |label: &String| facets.get(label).cloned().unwrap_or_default();
        self.group_by.iter().map(|label| (label.clone(), value(label))).collect()
    }
}

fn email(spec: &EmailSpec) -> Result<(), SpecError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
    let host = format!("{:?} is not the name of a mail server", spec.host);
    ensure(!spec.host.is_empty() && spec.host.chars().all(plain), "email.host", host)?;
    ensure(!spec.to.is_empty(), "email.to", "nobody is named")?;
    for (i, one) in std::iter::once(&spec.from).chain(&spec.to).enumerate() {
        let path = if i == 0 { "email.from".to_owned() } else { format!("email.to[{}]", i - 1) };
        let address = one.rsplit_once('<').map_or(one.as_str(), |(_, rest)| rest.trim_end_matches('>'));
        let good =
            !one.contains(['\r', '\n']) && address.split_once('@').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty());
        ensure(good, &path, format!("{one:?} is not an address; write NAME@HOST or Name <NAME@HOST>"))?;
    }
    ensure(
        spec.username.is_some() == spec.password.is_some(),
        "email.password",
        "a username and a password go together; leave both out for a server that wants none",
    )?;
    if let Some(password) = &spec.password {
        secret(password, "email.password")?;
        let plain = "a password is not sent in plain text; set tls to starttls or always";
        ensure(spec.tls != MailTls::Never, "email.tls", plain)?;
    }
    Ok(())
}
