//! A notice in the form of each way. No I/O but the reading of secrets.

mod chat;
mod freeze;
mod page;
mod topic;
mod webhook;

#[cfg(test)]
mod tests;

pub use freeze::Freeze;

use crate::notice::Notice;
use crate::spec::{ChannelSpec, EmailSpec, MailTls, SpecError, Way};
use mainspring_core::{Secret, Tenant, Timestamp};
use mainspring_webhook::{SecretError, SignError, Vault};
use std::fmt;

/// Why a notice has no form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The secret is not there.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The server's identity in AWS is the default tenant's.
    #[error("the server's identity in AWS is not for tenant {0}; use a webhook, Slack, PagerDuty or mail")]
    ForeignIdentity(Tenant),
    /// A webhook's secret is not of the right form.
    #[error(transparent)]
    Unsigned(#[from] SignError),
    /// The secret is not of the right form.
    #[error("{what} cannot be used: {reason}")]
    Form {
        /// Whose secret.
        what: &'static str,
        /// Why, without the secret.
        reason: String,
    },
    /// The channel's spec.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The notice is about no version that could be frozen.
    #[error("{0}")]
    NoVersion(String),
}

impl RenderError {
    /// Whether the notice has no form later either.
    pub fn for_good(&self) -> bool {
        // Whoever forgot a secret may still put it there.
        matches!(self, Self::NoVersion(_))
    }
}

/// The region and service for which AWS wants a request signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsScope {
    /// `eu-west-1`.
    pub region: String,
    /// `sns`.
    pub service: &'static str,
}

/// Which refusals are for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivesUp {
    /// Only `410 Gone`: everything else may be mended.
    OnGone,
    /// What says that the request itself is wrong.
    OnClientErrors,
}

impl GivesUp {
    /// Whether an answer of this status means that sending it again does not help.
    pub fn on(self, status: u16) -> bool {
        match self {
            Self::OnGone => status == 410,
            // Credentials and clocks are mended, and limits pass.
            Self::OnClientErrors => (400..500).contains(&status) && !matches!(status, 401 | 403 | 408 | 425 | 429),
        }
    }
}

/// An HTTP request to be sent; any answer from 200 to 299 is success.
#[derive(Clone, PartialEq)]
pub struct HttpRequest {
    /// Where to; may be a secret.
    pub url: Secret,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body; may hold a secret.
    pub body: String,
    /// To be signed for AWS.
    pub sign: Option<AwsScope>,
    /// Which refusals are for good.
    pub gives_up: GivesUp,
    /// Secrets that are sent, which no error may show.
    pub hide: Vec<Secret>,
}

impl HttpRequest {
    /// A text without the secrets in it.
    pub fn without_secrets(&self, text: &str) -> String {
        mainspring_webhook::without(text, &self.hide)
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest").field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// A mail to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Mail {
    /// The mail server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is spoken to.
    pub tls: MailTls,
    /// Who logs in, with which password.
    pub login: Option<(String, Secret)>,
    /// Who it is from.
    pub from: String,
    /// Who it goes to.
    pub to: Vec<String>,
    /// `<ID@mainspring>`: the same when it is sent again.
    pub message_id: String,
    /// One line.
    pub subject: String,
    /// Plain text.
    pub body: String,
}

/// What is to be sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Outgoing {
    /// By HTTP.
    Http(HttpRequest),
    /// By SMTP.
    Mail(Mail),
}

/// What a notice asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Errand {
    /// Somebody is told.
    Send(Outgoing),
    /// A version is frozen.
    Freeze(Freeze),
}

/// The notice as `spec` wants it, with the secrets as they are now.
///
/// # Errors
/// [`RenderError`] when a secret is missing or of a wrong form, or there is no version to freeze.
pub fn render(spec: &ChannelSpec, notice: &Notice, vault: &Vault, now: Timestamp) -> Result<Errand, RenderError> {
    Ok(Errand::Send(match spec.way()? {
        Way::Freeze(_) => return freeze::render(notice).map(Errand::Freeze),
        Way::Webhook(way) => {
            Outgoing::Http(webhook::render(way, notice, &vault.read(&notice.tenant, &way.secret)?, now)?)
        }
        Way::Slack(way) => Outgoing::Http(chat::render(notice, vault.read(&notice.tenant, &way.url)?)?),
        Way::Pagerduty(way) => {
            Outgoing::Http(page::render(way, notice, &vault.read(&notice.tenant, &way.routing_key)?))
        }
        Way::Email(way) => Outgoing::Mail(mail(way, notice, vault)?),
        // It is signed as the server itself, whoever declared it.
        Way::Sns(_) if notice.tenant != Tenant::default() => {
            return Err(RenderError::ForeignIdentity(notice.tenant.clone()));
        }
        Way::Sns(way) => Outgoing::Http(topic::render(way, notice)?),
    }))
}

fn mail(way: &EmailSpec, notice: &Notice, vault: &Vault) -> Result<Mail, RenderError> {
    let login = match (&way.username, &way.password) {
        (Some(user), Some(password)) => Some((user.clone(), vault.read(&notice.tenant, password)?)),
        _ => None,
    };
    Ok(Mail {
        host: way.host.clone(),
        port: way.port(),
        tls: way.tls,
        login,
        from: way.from.clone(),
        to: way.to.clone(),
        message_id: format!("<{}@mainspring>", notice.id),
        subject: crate::notice::cut(&notice.title().replace(['\r', '\n'], " "), 200),
        body: notice.text(),
    })
}
