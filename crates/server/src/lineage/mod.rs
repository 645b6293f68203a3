//! Lineage: what the house knows for the graph, and what a collector outside is told of it.

mod compose;
mod deployed;
mod known;
mod look;
mod names;
mod outbound;
#[cfg(test)]
mod tests;

pub use known::House;
pub use outbound::{Outbound, start};

use mainspring_core::{EventId, Gate, Principal, Timestamp};
use mainspring_http::ApiError;
use mainspring_lineage::{Lineage, RunState, SendLineage};
use mainspring_proto_lineage::emit::{Job, Said, render};
use mainspring_proto_native::dto::journal::BatchRun;
use std::sync::Arc;

/// Keeps a run over a file as the event that says so, and tells a collector the same. Only the journal knows of it
/// otherwise, and forgets it sooner. Who may not send events leaves none here either: the run alone is theirs to tell.
///
/// # Errors
/// What the database says.
pub async fn bulk(
    lineage: &Lineage,
    gate: &Gate,
    who: &Arc<Principal>,
    (id, at): (EventId, Timestamp),
    run: &BatchRun,
) -> Result<(), ApiError> {
    let Ok(auth) = gate.authorize(who, SendLineage) else {
        tracing::debug!(%id, who = %who.subject, "a run over a file is not in the lineage: its teller may not send to it");
        return Ok(());
    };
    let mut output = names::file(&run.output);
    output.rows = Some(run.rows);
    let name = if output.name.starts_with('/') { output.name.clone() } else { format!("/{}", output.name) };
    let said = Said {
        at,
        run: Some((id.to_string(), RunState::Complete)),
        // One job for each file that is written: what went into one file is in no other.
        job: Job { does: "PREDICTION", ..names::job(format!("bulk/{}{}", run.model, name)) },
        inputs: vec![names::file(&run.input), names::version(&run.model, &run.version)],
        outputs: vec![output],
    };
    let event = render(&said);
    let kept = match mainspring_proto_lineage::event(&event.to_string()) {
        Ok(kept) => kept,
        Err(error) => {
            // The run is in the journal; that its files have no name here is no failure of it.
            tracing::warn!(%id, %error, "a run over a file is not in the lineage");
            return Ok(());
        }
    };
    Ok(lineage.announce(&auth, kept, event).await?)
}
