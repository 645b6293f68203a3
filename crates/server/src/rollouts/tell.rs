//! Decisions of rollouts on their way into the journal.

use mainspring_core::EventId;
use mainspring_core::event::Decision;
use mainspring_rollout::{Audience, PortError, PortResult, Told};
use mainspring_store::{Db, FutureExt, StoreError};
use serde_json::json;
use twox_hash::XxHash3_128;

/// Puts decisions into the journal's outbox.
#[derive(Debug, Clone)]
pub struct Teller {
    /// The outbox.
    pub db: Db,
}

/// The same decision has the same id however often it is told, so that the journal counts it once.
fn id(told: &Told) -> EventId {
    let key = format!("{}/{}/{}/{}", told.tenant, told.rollout, told.number, told.decision.seq);
    let bytes = XxHash3_128::oneshot(key.as_bytes()).to_be_bytes();
    // Version 8: made by a rule of one's own.
    EventId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

impl Audience for Teller {
    fn decided<'a>(&'a self, told: &'a Told) -> PortResult<'a, ()> {
        Box::pin(async move {
            let decision = &told.decision;
            let kept = Decision {
                event: id(told),
                at: decision.at,
                tenant: told.tenant.clone(),
                deployment: told.deployment.to_string(),
                by: format!("Rollout/{}", told.rollout),
                sequence: decision.seq,
                decision: word(decision),
                sentence: decision.sentence.clone(),
                numbers: json!({
                    "run": told.number, "by": decision.by, "because": decision.because, "phase": decision.phase,
                    "step": decision.step, "generation": decision.generation, "weight": decision.weight,
                    "evidence": decision.evidence, "facts": decision.facts,
                }),
            };
            let body = serde_json::to_value(&kept).map_err(|e| PortError(e.to_string()))?;
            let event = kept.event;
            let written =
                self.db.write(move |c| async move { c.outbox(Decision::TOPIC, event, &body).await }.boxed()).await;
            match written {
                // Told before, and still on its way.
                Err(StoreError::Unique { .. }) => Ok(()),
                other => other.map_err(|e: StoreError| PortError(e.to_string())),
            }
        })
    }
}

fn word(decision: &mainspring_rollout::Decision) -> String {
    serde_json::to_value(decision.kind).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}
