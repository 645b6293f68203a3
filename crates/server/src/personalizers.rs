//! The kind Personalizer: its choices and rewards are the journal's.

use crate::deployments::acting_for;
use futures::future::BoxFuture;
use mainspring_core::event::{About, Feedback, FeedbackValue};
use mainspring_core::{Authorized, Ctx, EventId, Failure, Gate, Name, Prediction, Principal, Tenant, Timestamp};
use mainspring_journal::{Journal, SendFeedback};
use mainspring_personalize::{Inspect, Log, Past, PersonalizerSpec, Personalizers, PortError};
use mainspring_query::{Limits, Query, QueryError, QueryJournal};
use mainspring_resource::{Controller, Declaration, Invalid, Kind};
use mainspring_serving::{Describe, Serving};
use serde_json::{Value, json};
use std::sync::Arc;

/// The name of feedback that is a reward.
const REWARD: &str = "reward";

/// The journal as a log of choices.
pub struct Choices {
    /// Keeps them.
    pub journal: Journal,
    /// Decides who may do what.
    pub gate: Gate,
    /// Ids and time.
    pub ctx: Ctx,
}

fn port(e: &dyn Failure) -> PortError {
    PortError { kind: e.kind(), message: e.to_string(), hint: e.hint() }
}

impl Log for Choices {
    fn append(&self, choice: Prediction) {
        self.journal.append(choice);
    }

    fn reward<'a>(
        &'a self,
        who: &'a Arc<Principal>,
        (name, of): (&'a str, Result<EventId, String>),
        value: f64,
    ) -> BoxFuture<'a, Result<(), PortError>> {
        Box::pin(async move {
            let auth: Authorized<SendFeedback> = self.gate.authorize(who, SendFeedback).map_err(|e| port(&e))?;
            let at = self.ctx.now();
            let about = match of {
                Ok(id) => About::Prediction(id),
                Err(id) => About::ClientId { deployment: name.to_owned(), id },
            };
            let reward = Feedback {
                event: self.ctx.ids.event(at),
                at,
                tenant: auth.tenant().clone(),
                about,
                row: 0,
                name: REWARD.into(),
                value: FeedbackValue::Number(value),
            };
            self.journal.feedback(&auth, vec![reward]).await.map(drop).map_err(|e| port(&e))
        })
    }

    fn since<'a>(
        &'a self,
        tenant: &'a Tenant,
        name: &'a str,
        at: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<Past>, PortError>> {
        Box::pin(async move {
            let auth = self.gate.authorize(&acting_for(tenant), QueryJournal).map_err(|e| port(&e))?;
            let query = Query::new(self.journal.clone(), Limits { rows: 200_000, ..Limits::default() });
            let query = query.of_deployment(name).since(at);
            // A name has no quotes. The columns are there only once a choice was made.
            let known =
                format!("SELECT count(*) FROM predictions WHERE deployment = '{name}' AND protocol = 'personalizer'");
            let count = query.sql(&auth, &known).await.map_err(|e| port(&e))?.values();
            if count.first().and_then(|row| row.first()).and_then(Value::as_u64).unwrap_or(0) == 0 {
                return Ok(Vec::new());
            }
            let choices = format!(
                "SELECT p.event_id, arrow_cast(p.at, 'Int64'), p.client_id, p.\"in.context\", p.\"in.actions\", \
                 p.\"out.action\", f.value_number \
                 FROM predictions p LEFT JOIN feedback f ON f.prediction_id = p.event_id AND f.name = '{REWARD}' \
                 WHERE p.deployment = '{name}' AND p.protocol = 'personalizer' \
                 AND p.at >= arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))') ORDER BY p.at",
                at.micros()
            );
            let answer = query.sql(&auth, &choices).await;
            let rows = answer.map_err(|e: QueryError| port(&e))?.values();
            Ok(rows.iter().filter_map(|row| past(row)).collect())
        })
    }
}

/// One choice; `None` when the journal did not keep what it takes (a sampled or dropped payload).
fn past(row: &[Value]) -> Option<Past> {
    let [id, at, client_id, context, actions, chosen, reward] = row else { return None };
    let actions: Vec<Value> = serde_json::from_str(actions.as_str()?).ok()?;
    let chosen = chosen.as_str()?;
    let action = actions.into_iter().find(|a| a["id"] == *chosen)?;
    Some(Past {
        id: id.as_str()?.parse().ok()?,
        at: Timestamp(at.as_i64()?),
        client_id: client_id.as_str().map(str::to_owned),
        context: serde_json::from_str(context.as_str()?).ok()?,
        action: (chosen.to_owned(), action["features"].clone()),
        rewards: reward.as_f64().into_iter().collect(),
    })
}

/// Personalizers, carried out for the server itself.
#[derive(Debug, Clone)]
pub struct Declared {
    /// Carries them out.
    pub personalizers: Personalizers,
    /// Their names are those of deployments in the journal: one name, one of the two.
    pub serving: Serving,
    /// Decides who may do what.
    pub gate: Gate,
}

impl Declared {
    /// The kind, to be registered.
    pub fn kind(&self) -> Kind {
        let schema = serde_json::to_value(schemars::schema_for!(PersonalizerSpec)).unwrap_or_default();
        let check = |_: &Name, spec: &PersonalizerSpec| {
            spec.validate().map_err(|e| Invalid {
                path: e.path.to_owned(),
                reason: format!("it is {}; it must be {}", e.got, e.expected),
            })
        };
        Kind::of("Personalizer", "a choice among actions that learns from rewards", schema, check)
            .carried_by(Arc::new(self.clone()))
    }
}

impl Controller for Declared {
    fn declare(&self, tenant: &Tenant, name: &Name, Declaration { spec, .. }: Declaration<'_>) -> Result<(), String> {
        let spec: PersonalizerSpec =
            serde_json::from_value(spec.clone()).map_err(|e| format!("the declared spec cannot be read: {e}"))?;
        let describe = Describe { deployment: Some(name.clone()) };
        let auth = self.gate.authorize(&acting_for(tenant), describe).map_err(|e| e.to_string())?;
        if self.serving.describe(&auth).is_some() {
            return Err(format!("there is a deployment {:?}; give the personalizer a name of its own", name.as_str()));
        }
        self.personalizers.declare(tenant, name, spec).map_err(|e| e.to_string())
    }

    fn withdraw(&self, tenant: &Tenant, name: &Name) {
        self.personalizers.withdraw(tenant, name);
    }

    fn status(&self, tenant: &Tenant, name: &Name) -> Option<Value> {
        let auth = self.gate.authorize(&acting_for(tenant), Inspect { personalizer: name.clone() }).ok()?;
        let view = self.personalizers.view(&auth)?;
        Some(json!({
            "state": if view.ready { "READY" } else { "LOADING" }, "reason": view.reason, "settled": view.ready,
            "learnt": view.learnt, "rewarded": view.rewarded, "unrewarded": view.unrewarded, "waiting": view.waiting,
        }))
    }
}
