//! rollout asks a webhook; HTTP carries the question, signed with the secret that the file names.

use crate::alerts::said;
use futures::future::BoxFuture;
use mainspring_core::{Ctx, Failure, Secret};
use mainspring_http::client::beginning;
use mainspring_http::{Client, ClientError, ClientSettings, Reach};
use mainspring_rollout::{Answer, Question, Said, Webhooks};
use mainspring_webhook::Vault;
use std::time::Duration;

/// Bytes of an answer that are read: its first line is what people see.
const READ: usize = 4096;

/// Asks webhooks.
#[derive(Debug)]
pub(super) struct Asker {
    http: Client,
    vault: Vault,
    ctx: Ctx,
}

impl Asker {
    /// Asks whatever `reach` allows, with the secrets of `vault`.
    ///
    /// # Errors
    /// [`ClientError::Setup`] when TLS cannot be set up.
    pub fn new(reach: Reach, vault: Vault, ctx: Ctx) -> Result<Self, ClientError> {
        // A redirected POST would arrive as a GET without its body, and whoever answers that has not been asked. How long a
        // question may take is the webhook's own.
        let settings = ClientSettings { reach, timeout: None, redirects: false, ..ClientSettings::default() };
        Ok(Self { http: Client::new(&settings)?, vault, ctx })
    }

    async fn post(&self, question: Question) -> Answer {
        let webhook = &question.webhook;
        let mut builder = match self.http.request(http::Method::POST, &webhook.url) {
            Ok(builder) => builder,
            Err(error @ ClientError::Inside { .. }) => {
                return unasked(&format!("{error}; `alerts.reach = \"anywhere\"` in the server's settings allows it"));
            }
            Err(error) => return unasked(&error.to_string()),
        };
        let secret = match self.vault.read(&question.tenant, &webhook.secret) {
            Ok(secret) => secret,
            Err(error) => return unasked(&error.to_string()),
        };
        let headers = match mainspring_webhook::headers(&secret, &question.id, self.ctx.now(), &question.body) {
            Ok(headers) => headers,
            Err(error) => return unasked(&error.to_string()),
        };
        for (name, value) in headers {
            builder = builder.header(name, value);
        }
        let answer = match builder.body(question.body).send().await {
            Ok(answer) => answer,
            Err(error) => {
                let error = ClientError::Http(error.without_url());
                let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
                return Answer::new(Said::Nothing(format!("did not answer: {error}{hint}")));
            }
        };
        let status = answer.status();
        let after = answer.headers().get(http::header::RETRY_AFTER);
        let after = after.and_then(|v| v.to_str().ok()?.trim().parse().ok()).map(Duration::from_secs);
        let line = first_line(&beginning(answer, READ).await, secret);
        let words = format!("answered {}{}{line}", status.as_u16(), if line.is_empty() { "" } else { ": " });
        let said = match status.as_u16() {
            200..=299 => Said::Yes(words),
            // It could not say: it was too slow or too busy, or what is before it was.
            408 | 425 | 429 | 500..=599 => Said::Nothing(words),
            _ => Said::No(words),
        };
        Answer { said, after }
    }
}

fn unasked(why: &str) -> Answer {
    Answer::new(Said::Nothing(format!("cannot be asked: {why}")))
}

/// The first line of an answer that says something, for people.
fn first_line(answer: &(Vec<u8>, bool), secret: Secret) -> String {
    let text = said(answer, &[secret]);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

impl Webhooks for Asker {
    fn ask(&self, question: Question) -> BoxFuture<'_, Answer> {
        let timeout = question.webhook.timeout;
        Box::pin(async move {
            let late = |_| Answer::new(Said::Nothing(format!("did not answer within {timeout}")));
            tokio::time::timeout(timeout.0, self.post(question)).await.unwrap_or_else(late)
        })
    }
}

#[cfg(test)]
mod tests;
