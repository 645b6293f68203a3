//! Tells a collector outside what happens here: from the outbox, in order, at least once. While it does not answer,
//! everything waits, and it is asked ever less often.

use super::compose::{NotSaid, event};
use super::deployed::Noter;
use super::known::House;
use crate::error::StartError;
use mainspring_core::{Ctx, EventId, Secret};
use mainspring_http::{Client, ClientSettings, Reach};
use mainspring_lineage::Lineage;
use mainspring_registry::Told as Registered;
use mainspring_store::sql::{Lead, Leader, Passes};
use mainspring_store::{Db, OutboxEvent};
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Entries taken at once.
const BATCH: u32 = 100;
/// What is told, in the order in which it happened, whichever of them it is in.
const TOPICS: [&str; 2] = [Registered::TOPIC, mainspring_lineage::TOPIC];
/// How often the outbox is looked at when nothing rings.
const LOOK: Duration = Duration::from_secs(2);
/// How long the server that tells keeps the others from it without a word.
const LEASE: Duration = Duration::from_secs(30);
/// How long one telling may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The waits after failures: each twice the one before.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_mins(5);
/// How often a server that waits says that it leads: nobody else shall ask the collector meanwhile.
const SAYS: Duration = Duration::from_secs(10);

/// Whom to tell, and of what.
pub struct Outbound {
    /// The outbox.
    pub db: Db,
    /// Looks up what an entry is about.
    pub house: House,
    /// Notes what is to be told of deployments.
    pub lineage: Lineage,
    /// The collector's address.
    pub url: String,
    /// Sent to it as a bearer token.
    pub key: Option<Secret>,
}

impl Outbound {
    fn leader(&self, lease: &'static str, ctx: &Ctx) -> Leader {
        Leader::new(self.db.clone(), lease, ctx.ids.hex32(), LEASE)
    }
}

/// Starts to tell; ends at shutdown.
///
/// # Errors
/// [`StartError`] when the address cannot be called.
pub fn start(outbound: Outbound, ctx: &Ctx) -> Result<(), StartError> {
    let teller = Teller::new(&outbound, ctx)?;
    let leader = outbound.leader("lineage deployments", ctx);
    drop(ctx.tasks.spawn_graceful(Noter::new(outbound.house, outbound.lineage, leader).run(ctx.clone())));
    drop(ctx.tasks.spawn_graceful(teller.run()));
    Ok(())
}

/// The address of the collector's API, where only the server is named.
fn endpoint(url: &str) -> String {
    let base = url.trim_end_matches('/');
    let path = base.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
    if path.is_some() { base.to_owned() } else { format!("{base}/api/v1/lineage") }
}

/// Why an entry was not told.
enum Untold {
    /// To be told again.
    Later(String),
    /// The collector will never take it.
    Never(String),
}

pub(super) struct Teller {
    db: Db,
    house: House,
    key: Option<Secret>,
    client: Client,
    url: String,
    leader: Leader,
    wait: Duration,
    stop: CancellationToken,
}

/// How a pass went.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// Something was dealt with; there may be more.
    Dealt,
    /// Nothing waits.
    Nothing,
    /// Another server tells.
    Anothers,
}

impl Teller {
    pub(super) fn new(outbound: &Outbound, ctx: &Ctx) -> Result<Self, StartError> {
        // A redirected POST would arrive as a GET without the event.
        let settings = ClientSettings {
            reach: Reach::Anywhere,
            timeout: Some(PATIENCE),
            redirects: false,
            ..ClientSettings::default()
        };
        let client = Client::new(&settings).map_err(StartError::part("make ready to tell the lineage collector"))?;
        let url = endpoint(&outbound.url);
        // Refused now rather than at the first event.
        drop(client.request(http::Method::POST, &url).map_err(StartError::part("use lineage.url"))?);
        Ok(Self {
            db: outbound.db.clone(),
            house: outbound.house.clone(),
            key: outbound.key.clone(),
            client,
            url,
            leader: outbound.leader("lineage", ctx),
            wait: FIRST_WAIT,
            stop: ctx.tasks.cancelled(),
        })
    }

    /// Until shutdown; the lease is given back then.
    async fn run(mut self) {
        let mut changed = self.db.outbox_changed();
        while !self.stop.is_cancelled() {
            changed.mark_unchanged();
            match self.pass().await {
                Ok(pass) => {
                    self.wait = FIRST_WAIT;
                    let rung_or_late = async {
                        match pass {
                            Pass::Dealt => {}
                            Pass::Nothing => drop(tokio::time::timeout(LOOK, changed.changed()).await),
                            // Whatever rings, it is the other's to tell.
                            Pass::Anothers => tokio::time::sleep(LOOK).await,
                        }
                    };
                    self.stop.run_until_cancelled(rung_or_late).await;
                }
                Err(error) => {
                    let seconds = self.wait.as_secs();
                    tracing::warn!(
                        error,
                        seconds,
                        "the lineage collector was not told; what waits stays in the database"
                    );
                    self.pause().await;
                    self.wait = (self.wait * 2).min(LONGEST_WAIT);
                }
            }
        }
        self.leader.release().await;
    }

    /// Waits after a failure, as the leader: another server would ask at once what does not answer.
    async fn pause(&mut self) {
        let end = Instant::now() + self.wait;
        let stop = self.stop.clone();
        while !stop.is_cancelled() && Instant::now() < end {
            let part = tokio::time::sleep_until(end.min(Instant::now() + SAYS));
            stop.run_until_cancelled(part).await;
            if matches!(self.leader.lead().await, Ok(Lead::No)) {
                return;
            }
        }
    }

    /// Tells what waits, one by one: what was told is not told again after a failure of the next.
    pub(super) async fn pass(&mut self) -> Result<Pass, String> {
        if self.leader.lead().await.map_err(|e| e.to_string())? == Lead::No {
            return Ok(Pass::Anothers);
        }
        let waiting = self.db.outbox_take_of(&TOPICS, BATCH).await.map_err(|e| e.to_string())?;
        let pass = if waiting.is_empty() { Pass::Nothing } else { Pass::Dealt };
        let stop = self.stop.clone();
        for entry in waiting {
            // Each may take its time, and the lease runs out meanwhile.
            if self.leader.lead().await.map_err(|e| e.to_string())? == Lead::No {
                return Ok(Pass::Anothers);
            }
            let Some(told) = stop.run_until_cancelled(self.entry(&entry)).await else { break };
            told?;
            let done: [EventId; 1] = [entry.id];
            self.db.outbox_done(&done).await.map_err(|e| e.to_string())?;
        }
        Ok(pass)
    }

    async fn entry(&self, entry: &OutboxEvent) -> Result<(), String> {
        let event = match event(&self.house, entry).await {
            Ok(event) => event,
            Err(NotSaid::Nothing(why)) => {
                tracing::debug!(id = %entry.id, why, "nothing to tell the lineage collector");
                return Ok(());
            }
            Err(NotSaid::Later(e)) => return Err(e.to_string()),
        };
        match self.tell(&event).await {
            Ok(()) => Ok(()),
            Err(Untold::Later(why)) => Err(why),
            Err(Untold::Never(why)) => {
                tracing::error!(id = %entry.id, why, "the lineage collector refused an event; it is left out");
                Ok(())
            }
        }
    }

    async fn tell(&self, event: &Value) -> Result<(), Untold> {
        let later = |e: &dyn std::fmt::Display| Untold::Later(format!("{}: {e}", self.url));
        let mut request = self.client.request(http::Method::POST, &self.url).map_err(|e| later(&e))?.json(event);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key.reveal());
        }
        let answer = request.send().await.map_err(|e| later(&mainspring_http::ClientError::from(e)))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        if status.is_redirection() {
            let to =
                answer.headers().get(http::header::LOCATION).and_then(|v| v.to_str().ok()).unwrap_or("another address");
            return Err(Untold::Later(format!("{} answered {status}; let lineage.url name {to}", self.url)));
        }
        let said: String = answer.text().await.unwrap_or_default().chars().take(300).collect();
        let why = format!("{} answered {status}: {said}", self.url);
        // A wrong key or address is mended on the other side of the wire; what is wrong with the event is not.
        match status.as_u16() {
            400 | 413 | 415 | 422 => Err(Untold::Never(why)),
            _ => Err(Untold::Later(why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::endpoint;

    #[test]
    fn a_server_alone_gets_the_path_of_the_specification() {
        for url in ["http://marquez:5000", "http://marquez:5000/"] {
            assert_eq!(endpoint(url), "http://marquez:5000/api/v1/lineage");
        }
        assert_eq!(endpoint("https://x/lineage/in"), "https://x/lineage/in");
    }
}
