//! alert wants something sent; HTTP, mail and AWS send it.

use super::mail;
use mainspring_alert::render::{HttpRequest, Outgoing};
use mainspring_alert::{Courier, Refused};
use mainspring_artifact::AwsSigner;
use mainspring_core::{Failure, Secret};
use mainspring_http::client::beginning;
use mainspring_http::{Client, ClientError, ClientSettings, Reach};
use std::time::Duration;

/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a refusal that are read, and that are kept.
const READ: usize = 4096;
const SAID: usize = 300;

/// Sends notices.
#[derive(Debug)]
pub struct Sender {
    http: Client,
    aws: AwsSigner,
    reach: Reach,
    /// How long one notice may take in all, signing and looking names up included.
    pub(super) patience: Duration,
}

fn later(reason: String) -> Refused {
    Refused { reason, for_good: false, after: None }
}

impl Sender {
    /// Sends to whatever `reach` allows, to AWS as `aws`.
    ///
    /// # Errors
    /// [`ClientError::Setup`] when TLS cannot be set up.
    pub fn new(reach: Reach, aws: AwsSigner) -> Result<Self, ClientError> {
        // A redirected POST would arrive as a GET without its body, and look as if it had been taken.
        let settings = ClientSettings { reach, timeout: Some(PATIENCE), redirects: false, ..ClientSettings::default() };
        Ok(Self { http: Client::new(&settings)?, aws, reach, patience: PATIENCE })
    }

    async fn post(&self, request: HttpRequest) -> Result<(), Refused> {
        let shown = |e: &dyn Failure| {
            let text = request.without_secrets(&e.to_string());
            later(e.hint().map_or(text.clone(), |hint| format!("{text}; {hint}")))
        };
        if request.sign.is_some() && self.reach != Reach::Anywhere && !request.url.reveal().starts_with("https://") {
            let reason = "credentials of AWS are sent by https only; `alerts.reach = \"anywhere\"` in the server's settings \
                          allows http";
            return Err(Refused { reason: reason.to_owned(), for_good: true, after: None });
        }
        let mut builder = self.http.request(http::Method::POST, request.url.reveal()).map_err(|e| shown(&e))?;
        if let Some(scope) = &request.sign {
            let content = request.headers.iter().find(|(name, _)| *name == "content-type");
            let content = content.map_or("", |(_, value)| value.as_str());
            let of = (scope.service, scope.region.as_str());
            let signed = self.aws.sign(of, request.url.reveal(), content, &request.body).await;
            for (name, value) in signed.map_err(|e| shown(&e))? {
                builder = builder.header(name, value);
            }
        } else {
            for (name, value) in &request.headers {
                builder = builder.header(*name, value);
            }
        }
        // The address in the error may be a secret.
        let sent = builder.body(request.body.clone()).send().await;
        let answer = sent.map_err(|e| shown(&ClientError::Http(e.without_url())))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let after = answer.headers().get(http::header::RETRY_AFTER);
        let after = after.and_then(|v| v.to_str().ok()?.trim().parse().ok()).map(Duration::from_secs);
        let said = said(&beginning(answer, READ).await, &request.hide);
        let reason = format!("it answered {}{}{said}", status.as_u16(), if said.is_empty() { "" } else { ": " });
        Err(Refused { reason, for_good: request.gives_up.on(status.as_u16()), after })
    }
}

/// What the beginning of an answer says: without any of these secrets, at most [`SAID`] bytes.
pub fn said((body, whole): &(Vec<u8>, bool), hide: &[Secret]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut text = mainspring_webhook::without(text.trim(), hide);
    if !whole {
        // The beginning of a secret may be where reading ended.
        let longest = hide.iter().map(|secret| secret.reveal().len()).max().unwrap_or(0);
        text.truncate(text.floor_char_boundary(text.len().saturating_sub(longest)));
    }
    text.truncate(text.floor_char_boundary(SAID));
    text
}

impl Courier for Sender {
    fn send(&self, outgoing: Outgoing) -> futures::future::BoxFuture<'_, Result<(), Refused>> {
        Box::pin(async move {
            let sent = async {
                match outgoing {
                    Outgoing::Http(request) => self.post(request).await,
                    Outgoing::Mail(mail) => mail::send(mail, self.reach).await,
                }
            };
            let late = |_| Err(later(format!("it was not sent within {} s", self.patience.as_secs_f64())));
            tokio::time::timeout(self.patience, sent).await.unwrap_or_else(late)
        })
    }
}
