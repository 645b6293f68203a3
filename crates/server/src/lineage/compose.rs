//! What waits in the outbox, as the event that a collector is told.

use super::known::House;
use super::names;
use crate::deployments::acting_for;
use mainspring_lineage::{Happened, NAMESPACE, Node, PortError, RunState, Told as Other};
use mainspring_proto_lineage::emit::{Dataset, Job, Said, described, render};
use mainspring_registry::{Changed, ModelVersion, Run, Told as Registered};
use mainspring_store::OutboxEvent;
use serde_json::Value;

/// Why there is nothing to tell.
pub enum NotSaid {
    /// What it is about is gone, or it cannot be read; it never will be told.
    Nothing(&'static str),
    /// It could not be looked up now.
    Later(PortError),
}

impl From<PortError> for NotSaid {
    fn from(e: PortError) -> Self {
        Self::Later(e)
    }
}

/// The event for one entry of the outbox. It is looked up when it is told: the inputs that were logged after a run
/// began are in it.
pub async fn event(house: &House, entry: &OutboxEvent) -> Result<Value, NotSaid> {
    if entry.topic == Registered::TOPIC {
        let told: Registered =
            serde_json::from_value(entry.body.clone()).map_err(|_| NotSaid::Nothing("it cannot be read"))?;
        let event = match &told.what {
            Changed::Run { id, status } => render(&run(house, &told, id, status).await?),
            Changed::Version { name, version } => made(house, &told, entry, (name, *version)).await?,
        };
        return Ok(within(event, told.tenant.as_str()));
    }
    let told: Other = serde_json::from_value(entry.body.clone()).map_err(|_| NotSaid::Nothing("it cannot be read"))?;
    let event = match told.what {
        Happened::Event(event) => event,
        Happened::Deployed { deployment, model, version } => {
            let made =
                Node::Predictions { deployment: deployment.clone(), model: model.clone(), version: version.clone() };
            render(&Said {
                at: told.at,
                run: None,
                job: Job {
                    processing: "SERVICE",
                    does: "DEPLOYMENT",
                    ..names::job(format!("deployments/{deployment}"))
                },
                inputs: vec![names::version(&model, &version)],
                outputs: vec![names::of(&made)],
            })
        }
    };
    Ok(within(event, told.tenant.as_str()))
}

/// Outside, each tenant but the first has a namespace of its own: their experiments may have the same names.
fn within(mut event: Value, tenant: &str) -> Value {
    if tenant == "default" {
        return event;
    }
    let rename = |thing: &mut Value| {
        if let Some(namespace) = thing.get_mut("namespace").filter(|n| **n == NAMESPACE) {
            *namespace = format!("{NAMESPACE}.{tenant}").into();
        }
    };
    let whole = |thing: &mut Value| {
        rename(thing);
        let others = thing.pointer_mut("/facets/symlinks/identifiers").and_then(Value::as_array_mut);
        others.into_iter().flatten().for_each(rename);
    };
    for one in ["job", "dataset"] {
        event.get_mut(one).into_iter().for_each(whole);
    }
    for list in ["inputs", "outputs"] {
        event.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten().for_each(whole);
    }
    event
}

async fn run(house: &House, told: &Registered, id: &str, status: &str) -> Result<Said, NotSaid> {
    let found = house.whole_run(&acting_for(&told.tenant), id).await?;
    let (run, experiment, made) = found.ok_or(NotSaid::Nothing("the run is gone"))?;
    let state = match status {
        "FINISHED" => RunState::Complete,
        "FAILED" => RunState::Fail,
        "KILLED" => RunState::Abort,
        _ => RunState::Start,
    };
    let mut said = training(&run, experiment, state, told);
    said.outputs = outputs(&run, &made);
    Ok(said)
}

fn training(run: &Run, experiment: String, state: RunState, told: &Registered) -> Said {
    Said {
        at: told.at,
        run: Some((names::uuid(&run.info.id), state)),
        job: names::job(format!("experiments/{experiment}")),
        inputs: run.inputs.iter().map(|i| names::described(&i.dataset)).collect(),
        outputs: Vec::new(),
    }
}

/// The logged models of a run: as the versions that were registered from them, or by their own id before.
fn outputs(run: &Run, made: &[ModelVersion]) -> Vec<Dataset> {
    let mut outputs: Vec<Dataset> = made.iter().map(version).collect();
    for logged in &run.model_outputs {
        if !made.iter().any(|v| v.model_id.as_ref() == Some(&logged.model_id)) {
            let name = format!("logged-models/{}", logged.model_id);
            outputs.push(Dataset { namespace: NAMESPACE.into(), name, ..Dataset::default() });
        }
    }
    outputs
}

/// A version, with the logged model that it was before as another name of it.
fn version(v: &ModelVersion) -> Dataset {
    let symlink = |id: &String| (NAMESPACE.to_owned(), format!("logged-models/{id}"), "LOGGED_MODEL");
    Dataset { symlinks: v.model_id.iter().map(symlink).collect(), ..names::version(&v.name, &v.version.to_string()) }
}

async fn made(
    house: &House,
    told: &Registered,
    entry: &OutboxEvent,
    (name, number): (&str, i64),
) -> Result<Value, NotSaid> {
    let who = acting_for(&told.tenant);
    let found = house.whole_version(&who, (name, number)).await?;
    let (v, from) = found.ok_or(NotSaid::Nothing("the version is gone"))?;
    if let Some(from) = from {
        return Ok(render(&Said {
            at: told.at,
            run: Some((entry.id.to_string(), RunState::Complete)),
            job: Job { does: "CONVERSION", ..names::job(format!("conversions/{name}/{number}")) },
            inputs: vec![names::version(name, &from)],
            outputs: vec![version(&v)],
        }));
    }
    // No job made it that is known.
    let Some(id) = v.run_id.clone() else { return Ok(described(told.at, &version(&v))) };
    let (run, experiment, _) =
        house.whole_run(&who, &id).await?.ok_or(NotSaid::Nothing("the version's run is gone"))?;
    let mut said = training(&run, experiment, RunState::Other, told);
    said.outputs = vec![version(&v)];
    Ok(render(&said))
}
