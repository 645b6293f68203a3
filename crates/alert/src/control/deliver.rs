//! Sending: a delivery is claimed under the lease, sent, and marked. A process that is killed in between leaves it claimed
//! for a minute, after which it is sent again under the same id.

use super::{Controller, SECOND};
use crate::alerts::{Alerts, Unsent};
use crate::error::AlertError;
use crate::spec::ChannelSpec;
use crate::sql::{self, Delivery, DeliveryState, Done};
use mainspring_core::{Tenant, Timestamp};
use mainspring_store::FutureExt;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long an attempt may take before it counts as lost; longer than any courier waits.
const CLAIMED: i64 = 60 * SECOND;
/// The first wait after a failure, and the longest.
const FIRST: i64 = 5 * SECOND;
const LONGEST: i64 = 600 * SECOND;
/// How long a notice is tried.
const PATIENCE: i64 = 86_400 * SECOND;
/// Attempts that run at a time: of all channels, and of one, so that one which does not answer holds up no other.
const AT_ONCE: usize = 16;
const OF_ONE: u32 = 4;

impl Controller {
    /// Begins to send what is due.
    pub(super) async fn deliver(&mut self, now: Timestamp) -> Result<(), AlertError> {
        self.sending.retain(|(_, task)| !task.is_finished());
        let room = AT_ONCE.saturating_sub(self.sending.len());
        if room == 0 {
            return Ok(());
        }
        let mut busy: BTreeMap<(Tenant, String), u32> = BTreeMap::new();
        for (channel, _) in &self.sending {
            *busy.entry(channel.clone()).or_default() += 1;
        }
        let due = self.alerts.db.read(move |c| async move { sql::due(c, now, OF_ONE).await }.boxed()).await?;
        self.tell_unread("deliveries", due.unread);
        let mut waiting = due.rows;
        waiting.retain(|one| {
            let sending = busy.entry(channel(one)).or_default();
            *sending += 1;
            *sending <= OF_ONE
        });
        waiting.truncate(room);
        if waiting.is_empty() {
            return Ok(());
        }
        let lease = self.leader.lease().cloned();
        let write = self.alerts.db.write(move |c| {
            async move {
                if let Some(lease) = &lease {
                    c.lease_check(lease).await?;
                }
                let mut claimed = Vec::new();
                for one in waiting {
                    if sql::claim(c, &one, now.plus_micros(CLAIMED)).await? {
                        claimed.push(Delivery { attempts: one.attempts + 1, ..one });
                    }
                }
                Ok::<_, AlertError>(claimed)
            }
            .boxed()
        });
        for one in write.await? {
            let alerts = self.alerts.clone();
            let channel = channel(&one);
            let spec = alerts.channel(&one.tenant, &one.notice.channel);
            let task = async move { attempt(alerts, one, spec).await };
            self.sending.push((channel, self.alerts.ctx.tasks.spawn("send a notice", task)));
        }
        Ok(())
    }

    /// Waits for what is being sent.
    #[cfg(test)]
    pub(super) async fn sent(&mut self) {
        for (_, task) in self.sending.drain(..) {
            task.await.unwrap();
        }
    }
}

fn channel(one: &Delivery) -> (Tenant, String) {
    (one.tenant.clone(), one.notice.channel.clone())
}

/// Between the attempt of this number and the next, with a fifth of chance, so that many do not come at once.
pub(super) fn pause(attempt: u32, asked: Option<Duration>, random: u64) -> i64 {
    let doubled = FIRST.saturating_mul(1_i64.checked_shl(attempt.saturating_sub(1)).unwrap_or(i64::MAX));
    let wait = doubled.clamp(FIRST, LONGEST);
    let spread = wait / 5;
    let chance = i64::try_from(random % u64::try_from(spread.max(1)).unwrap_or(1)).unwrap_or(0);
    let asked = asked.map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX)).min(3600 * SECOND);
    (wait + chance).max(asked)
}

async fn attempt(alerts: Alerts, one: Delivery, spec: Option<Arc<ChannelSpec>>) {
    let sent = match spec {
        Some(spec) => alerts.send(&spec, &one.notice).await,
        None => Err(Unsent::Refused(crate::Refused {
            reason: "the channel is no longer declared".to_owned(),
            for_good: true,
            after: None,
        })),
    };
    let now = alerts.ctx.now();
    let (channel, attempts) = (&one.notice.channel, one.attempts);
    let (state, next_at, error) = match sent {
        Ok(()) => {
            if attempts > 1 {
                tracing::info!(channel, attempts, "the channel takes notices again");
            }
            (DeliveryState::Sent, one.next_at, None)
        }
        Err(unsent) => {
            let (for_good, after) = match &unsent {
                Unsent::Render(e) => (e.for_good(), None),
                Unsent::Refused(r) => (r.for_good, r.after),
            };
            let old = now.micros() - one.created_at.micros() >= PATIENCE;
            let state = match (for_good, old) {
                (true, _) => DeliveryState::Refused,
                (false, true) => DeliveryState::Expired,
                (false, false) => DeliveryState::Waiting,
            };
            let reason = unsent.to_string();
            if attempts == 1 || state != DeliveryState::Waiting {
                tracing::warn!(channel, attempts, reason, state = state.as_str(), "a notice was not taken");
            }
            let wait = pause(attempts, after, alerts.ctx.ids.random());
            (state, now.plus_micros(wait), Some(reason))
        }
    };
    let done = Done { id: one.notice.id, state, next_at, error, at: now };
    let written = alerts.db.write(move |c| async move { sql::finish(c, &done).await }.boxed()).await;
    if let Err(error) = written {
        tracing::warn!(%error, channel, "how a notice was taken cannot be written down; it may be sent again");
    }
}
