//! The replay of a preflight: recorded requests, or those of a golden file, are asked of stable and of the candidate, off the
//! path of every request. It is begun once for each generation of a row and ends when nobody asks for it any more.

mod recorded;
#[cfg(test)]
mod tests;

use crate::deployments::acting_for;
use futures::{StreamExt, stream};
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{Authorized, Ctx, ErrorKind, Failure, Gate, Name, Tenant, Timestamp};
use mainspring_journal::Journal;
use mainspring_registry::Registry;
use mainspring_rollout::machine::Checked;
use mainspring_rollout::rehearsal::{Answered, LeftOut, Rehearsal};
use mainspring_rollout::spec::{ReplaySpec, STABLE};
use mainspring_serving::{Ask, Infer, Picked, ServeError, Serving};
use mainspring_traffic::RequestHead;
use parking_lot::Mutex;
use recorded::{Asked, Unmade};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How long one goes on that nobody asks for, microseconds: the controller asks once a second.
const UNASKED: i64 = 15_000_000;
/// How long its outcome is kept then, microseconds.
const KEPT: i64 = 120_000_000;
/// How long after trouble it is begun again, microseconds.
const AGAIN: i64 = 10_000_000;

/// Replays of preflights in this process. Cheap to clone.
#[derive(Clone)]
pub struct Rehearsals(Arc<Inner>);

struct Inner {
    journal: Journal,
    serving: Serving,
    registry: Registry,
    gate: Gate,
    ctx: Ctx,
    begun: Mutex<HashMap<Key, Stage>>,
}

impl std::fmt::Debug for Rehearsals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rehearsals")
    }
}

/// Which candidate, under which row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub tenant: Tenant,
    pub deployment: Name,
    pub rollout: String,
    pub generation: u64,
    pub variant: String,
}

#[derive(Debug)]
struct Stage {
    /// When somebody last wanted to know.
    asked: Timestamp,
    checked: Checked,
    /// When it is begun again, after trouble.
    again: Option<Timestamp>,
}

/// Why there is no verdict.
enum Trouble {
    /// There never will be another one.
    Refused(String),
    /// Something does not answer now.
    Later(String),
    /// Nobody wants it any more.
    Unwanted,
}

/// A request that names a variant.
struct Named<'a>(&'a str);

impl RequestHead for Named<'_> {
    fn header(&self, _: &str) -> Option<&[u8]> {
        None
    }

    fn find<'a>(&'a self, _: &str, _: &mut dyn FnMut(&'a [u8]) -> Option<&'a [u8]>) -> Option<&'a [u8]> {
        None
    }

    fn variant(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(self.0))
    }
}

fn later(error: &dyn Failure) -> Trouble {
    Trouble::Later(error.to_string())
}

/// What became of one request.
enum Outcome {
    Both { rows: usize, stable: Answer, candidate: Answer },
    Failed(String),
    Unanswered,
    Unmade(Unmade),
}

struct Answer {
    outputs: Vec<NamedTensor>,
    took: Option<Duration>,
}

impl Answer {
    fn answered(&self) -> Answered<'_> {
        Answered { outputs: &self.outputs, took: self.took }
    }
}

impl Rehearsals {
    /// Those of these parts.
    pub fn new(journal: Journal, serving: Serving, registry: Registry, gate: Gate, ctx: Ctx) -> Self {
        Self(Arc::new(Inner { journal, serving, registry, gate, ctx, begun: Mutex::default() }))
    }

    /// What is known of a replay; begins it at the first call.
    pub(super) fn check(&self, key: Key, spec: &ReplaySpec) -> Checked {
        let now = self.0.ctx.now();
        let mut begun = self.0.begun.lock();
        begun.retain(|_, stage| now.micros() - stage.asked.micros() < KEPT);
        if let Some(stage) = begun.get_mut(&key) {
            stage.asked = now;
            if stage.again.is_none_or(|again| now < again) {
                return stage.checked.clone();
            }
        }
        let checked = Checked::new("replay", None, "requests are asked again");
        begun.insert(key.clone(), Stage { asked: now, checked: checked.clone(), again: None });
        drop(begun);
        self.0.ctx.tasks.spawn("replay of a preflight", self.clone().run(key, spec.clone()));
        checked
    }

    async fn run(self, key: Key, spec: ReplaySpec) {
        let (checked, again) = match self.rehearse(&key, &spec).await {
            Ok(checked) => (checked, None),
            Err(Trouble::Refused(why)) => (Checked::new("replay", Some(false), why), None),
            Err(Trouble::Later(why)) => {
                tracing::warn!(rollout = key.rollout, variant = key.variant, why, "the replay is begun again later");
                (Checked::new("replay", None, why), Some(self.0.ctx.now().plus_micros(AGAIN)))
            }
            Err(Trouble::Unwanted) => {
                self.0.begun.lock().remove(&key);
                return;
            }
        };
        if let Some(stage) = self.0.begun.lock().get_mut(&key) {
            (stage.checked, stage.again) = (checked, again);
        }
    }

    async fn rehearse(&self, key: &Key, spec: &ReplaySpec) -> Result<Checked, Trouble> {
        let inner = &self.0;
        let action = Infer { deployment: key.deployment.clone() };
        let auth = inner.gate.authorize(&acting_for(&key.tenant), action).map_err(|e| later(&e))?;
        let (requests, left_out) = match &spec.golden {
            Some(uri) => (self.golden(&key.tenant, uri).await?, LeftOut::default()),
            None => self.recorded(key, spec, self.pick(&auth, STABLE)?.contract()).await?,
        };
        let from = spec.golden.as_deref().unwrap_or("the journal");
        let mut rehearsal = Rehearsal::new(spec.clone(), from, left_out);
        let all = requests.len();
        // One after the other in their order, so that the same requests give the same report.
        let asking = requests.into_iter().map(|asked| {
            let (this, auth, key) = (self.clone(), auth.clone(), key.clone());
            async move {
                let outcome = this.one(&auth, &key, &asked).await;
                (asked.id, outcome)
            }
        });
        let mut asking = stream::iter(asking).buffered(spec.max_in_flight.max(1) as usize);
        while let Some((id, outcome)) = asking.next().await {
            match outcome? {
                Outcome::Both { rows, stable, candidate } => {
                    rehearsal.pair(&id, rows, stable.answered(), candidate.answered());
                }
                Outcome::Failed(why) => rehearsal.failed(&id, &why),
                Outcome::Unanswered => rehearsal.unanswered(),
                Outcome::Unmade(Unmade::Redacted) => rehearsal.left_out(|left| left.redacted += 1),
                Outcome::Unmade(Unmade::TooLarge) => rehearsal.left_out(|left| left.too_large += 1),
                Outcome::Unmade(Unmade::Unreadable) => rehearsal.left_out(|left| left.unreadable += 1),
            }
            self.wanted(key, &format!("{} of {all} requests are asked again", rehearsal.asked()))?;
        }
        let (found, passed, detail) = rehearsal.verdict();
        Ok(Checked { replay: Some(Box::new(found)), ..Checked::new("replay", Some(passed), detail) })
    }

    /// Goes on only while somebody wants to know.
    fn wanted(&self, key: &Key, how_far: &str) -> Result<(), Trouble> {
        let now = self.0.ctx.now();
        let mut begun = self.0.begun.lock();
        let stage = begun.get_mut(key).filter(|stage| now.micros() - stage.asked.micros() < UNASKED);
        let stage = stage.ok_or(Trouble::Unwanted)?;
        how_far.clone_into(&mut stage.checked.detail);
        Ok(())
    }

    fn pick(&self, auth: &Authorized<Infer>, variant: &str) -> Result<Picked, Trouble> {
        self.0.serving.pick(auth, Ask { version: None, head: &Named(variant) }).map_err(|e| later(&e))
    }

    async fn one(&self, auth: &Authorized<Infer>, key: &Key, asked: &Asked) -> Result<Outcome, Trouble> {
        let stable = match asked.expected() {
            Some(expected) => {
                let rows = expected.first().map_or(1, |o| o.tensor.rows());
                Ok((rows, Answer { outputs: expected.to_vec(), took: None }))
            }
            None => self.answer(auth, STABLE, asked).await?,
        };
        let (rows, stable) = match stable {
            Ok(answer) => answer,
            Err(Missing::Unmade(why)) => return Ok(Outcome::Unmade(why)),
            Err(Missing::Failed(_)) => return Ok(Outcome::Unanswered),
        };
        Ok(match self.answer(auth, &key.variant, asked).await? {
            Ok((_, candidate)) => Outcome::Both { rows, stable, candidate },
            Err(Missing::Unmade(_)) => Outcome::Failed("it does not take what stable takes".to_owned()),
            Err(Missing::Failed(why)) => Outcome::Failed(why),
        })
    }

    /// What a variant answers, or how it fails; trouble when it is not there.
    async fn answer(
        &self,
        auth: &Authorized<Infer>,
        variant: &str,
        asked: &Asked,
    ) -> Result<Result<(usize, Answer), Missing>, Trouble> {
        let picked = self.pick(auth, variant)?;
        let made = match asked.made(picked.contract()) {
            Ok(made) => made,
            Err(why) => return Ok(Err(Missing::Unmade(why))),
        };
        match self.0.serving.rehearse(auth, picked, made).await {
            Ok(done) => Ok(Ok((done.rows, Answer { outputs: done.outputs, took: Some(done.took) }))),
            Err(error @ (ServeError::Stopping | ServeError::NoDeployment { .. })) => Err(later(&error)),
            Err(error) if error.kind() == ErrorKind::Cancelled => Err(later(&error)),
            Err(error) => Ok(Err(Missing::Failed(error.to_string()))),
        }
    }
}

/// Why a variant has no answer.
enum Missing {
    Unmade(Unmade),
    Failed(String),
}
