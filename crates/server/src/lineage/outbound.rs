//! Tells a collector outside what happens here: from the outbox, in order, at least once. While it does not answer,
//! everything waits, and it is asked ever less often.

use super::compose::{NotSaid, event};
use super::known::House;
use crate::deployments::acting_for;
use crate::error::StartError;
use mainspring_core::{Ctx, EventId, Secret};
use mainspring_http::{Client, ClientSettings, Reach};
use mainspring_lineage::Lineage;
use mainspring_registry::Told as Registered;
use mainspring_serving::Describe;
use mainspring_store::sql::{Lead, Leader};
use mainspring_store::{Db, OutboxEvent};
use serde_json::Value;
use std::time::Duration;

/// Entries taken at once.
const BATCH: u32 = 100;
/// How often the outbox and the deployments are looked at when nothing rings.
const LOOK: Duration = Duration::from_secs(2);
/// How long the server that tells keeps the others from it without a word.
const LEASE: Duration = Duration::from_secs(30);
/// How long one telling may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The waits after failures: each twice the one before.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// Whom to tell, and of what.
pub struct Outbound {
    /// The outbox.
    pub db: Db,
    /// Looks up what an entry is about.
    pub house: House,
    /// Notes what was told of deployments.
    pub lineage: Lineage,
    /// The collector's address.
    pub url: String,
    /// Sent to it as a bearer token.
    pub key: Option<Secret>,
}

/// Starts to tell; ends at shutdown.
///
/// # Errors
/// [`StartError`] when the address cannot be called.
pub fn start(outbound: Outbound, ctx: &Ctx) -> Result<(), StartError> {
    let settings = ClientSettings { reach: Reach::Anywhere, timeout: Some(PATIENCE), ..ClientSettings::default() };
    let client = Client::new(&settings).map_err(StartError::part("make ready to tell the lineage collector"))?;
    let url = endpoint(&outbound.url);
    // Refused now rather than at the first event.
    drop(client.request(http::Method::POST, &url).map_err(StartError::part("use lineage.url"))?);
    let leader = Leader::new(outbound.db.clone(), "lineage", ctx.ids.hex32(), LEASE);
    let teller = Teller { leader, outbound, client, url, wait: FIRST_WAIT };
    drop(ctx.tasks.spawn("tell the lineage collector", teller.run()));
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

struct Teller {
    outbound: Outbound,
    client: Client,
    url: String,
    leader: Leader,
    wait: Duration,
}

impl Teller {
    async fn run(mut self) {
        let mut changed = self.outbound.db.outbox_changed();
        loop {
            changed.mark_unchanged();
            match self.pass().await {
                Ok(0) => {
                    self.wait = FIRST_WAIT;
                    let _rung_or_late = tokio::time::timeout(LOOK, changed.changed()).await;
                }
                Ok(_) => self.wait = FIRST_WAIT,
                Err(error) => {
                    let seconds = self.wait.as_secs();
                    tracing::warn!(
                        error,
                        seconds,
                        "the lineage collector was not told; what waits stays in the database"
                    );
                    tokio::time::sleep(self.wait).await;
                    self.wait = (self.wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }

    /// Tells what waits; how many entries were dealt with.
    async fn pass(&mut self) -> Result<usize, String> {
        if self.leader.lead().await.map_err(|e| e.to_string())? == Lead::No {
            return Ok(0);
        }
        let db = &self.outbound.db;
        self.deployments().await?;
        let mut dealt = 0;
        for topic in [Registered::TOPIC, mainspring_lineage::TOPIC] {
            for entry in db.outbox_take(topic, BATCH).await.map_err(|e| e.to_string())? {
                self.entry(&entry).await?;
                // One by one: what was told is not told again after a failure of the next.
                let done: [EventId; 1] = [entry.id];
                db.outbox_done(&done).await.map_err(|e| e.to_string())?;
                dealt += 1;
            }
        }
        Ok(dealt)
    }

    async fn entry(&self, entry: &OutboxEvent) -> Result<(), String> {
        let event = match event(&self.outbound.house, entry).await {
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
        if let Some(key) = &self.outbound.key {
            request = request.bearer_auth(key.reveal());
        }
        let answer = request.send().await.map_err(|e| later(&mainspring_http::ClientError::from(e)))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let said: String = answer.text().await.unwrap_or_default().chars().take(300).collect();
        let why = format!("{} answered {status}: {said}", self.url);
        // A wrong key or address is mended on the other side of the wire; what is wrong with the event is not.
        match status.as_u16() {
            400 | 413 | 415 | 422 => Err(Untold::Never(why)),
            _ => Err(Untold::Later(why)),
        }
    }

    /// Notes with which version each deployment answers; what changed goes to the outbox.
    async fn deployments(&self) -> Result<(), String> {
        let Outbound { house, lineage, .. } = &self.outbound;
        for tenant in house.registry.tenants().await.map_err(|e| e.to_string())? {
            let auth = house.gate.authorize(&acting_for(&tenant), Describe { deployment: None });
            for view in house.serving.list(&auth.map_err(|e| e.to_string())?) {
                let Some(now) = view.current() else { continue };
                let target = &now.contract.target;
                let told = lineage.deployed(&tenant, view.name.as_str(), (&target.model, &target.version));
                told.await.map_err(|e| e.to_string())?;
            }
        }
        Ok(())
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
