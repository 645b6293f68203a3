//! Mail by SMTP.

use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use mainspring_alert::Refused;
use mainspring_alert::render::Mail;
use mainspring_alert::spec::MailTls;
use mainspring_http::Reach;
use mainspring_http::client::is_public;
use std::fmt::Display;
use std::time::Duration;

fn refused(for_good: bool, what: &str, why: impl Display) -> Refused {
    Refused { reason: format!("{what}: {why}"), for_good, after: None }
}

/// The address to connect to. What is connected to is what was checked.
async fn address(mail: &Mail, reach: Reach) -> Result<String, Refused> {
    let found = tokio::net::lookup_host((mail.host.as_str(), mail.port)).await;
    let found: Vec<_> = found.map_err(|e| refused(false, &format!("the mail server {:?}", mail.host), e))?.collect();
    if reach == Reach::Public
        && let Some(inside) = found.iter().find(|a| !is_public(a.ip()))
    {
        let why = "it is not a public address; `alerts.reach = \"anywhere\"` in the server's settings allows it";
        return Err(refused(false, &format!("{} ({})", mail.host, inside.ip()), why));
    }
    let first = found.first().ok_or_else(|| refused(false, &mail.host, "the name has no address"))?;
    Ok(first.ip().to_string())
}

fn message(mail: &Mail) -> Result<Message, Refused> {
    let wrong = |what: &str, why: &dyn Display| refused(true, what, why);
    let mut message = Message::builder()
        .from(mail.from.parse().map_err(|e| wrong(&mail.from, &e))?)
        .message_id(Some(mail.message_id.clone()))
        .subject(mail.subject.clone())
        .header(ContentType::TEXT_PLAIN);
    for to in &mail.to {
        message = message.to(to.parse().map_err(|e| wrong(to, &e))?);
    }
    message.body(mail.body.clone()).map_err(|e| wrong("the mail", &e))
}

/// Sends once; `Ok` when the mail server has taken it for all of its receivers.
pub(super) async fn send(mail: Mail, reach: Reach) -> Result<(), Refused> {
    let message = message(&mail)?;
    let setup = |e: lettre::transport::smtp::Error| refused(false, "TLS", e);
    let tls = || TlsParameters::new(mail.host.clone()).map_err(setup);
    let tls = match mail.tls {
        MailTls::Starttls => Tls::Required(tls()?),
        MailTls::Always => Tls::Wrapper(tls()?),
        MailTls::Never => Tls::None,
    };
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address(&mail, reach).await?)
        .port(mail.port)
        .timeout(Some(Duration::from_secs(8)))
        .tls(tls);
    if let Some((user, password)) = mail.login {
        transport = transport.credentials(Credentials::new(user, password.reveal().to_owned()));
    }
    let sent = transport.build().send(message).await;
    sent.map(drop).map_err(|e| refused(e.is_permanent(), &format!("the mail server {:?}", mail.host), chain(&e)))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
