//! Decisions as rows of the log. Whoever decides writes a [`Decision`] to the outbox in the transaction that
//! carries it out; readers count each `event_id` once.

use crate::layout::{self, decision_schema};
use crate::log::StreamHeader;
use crate::relay::{self, Streams};
use crate::snapshot::Kind;
use arrow::array::{Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::error::ArrowError;
use mainspring_core::Tenant;
use mainspring_core::event::Decision;
use mainspring_store::OutboxEvent;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows by tenant and deployment.
pub(crate) fn streams(events: &[OutboxEvent]) -> Result<Streams, ArrowError> {
    let mut streams: BTreeMap<(Tenant, String), Vec<Decision>> = BTreeMap::new();
    for decision in relay::read::<Decision>(events) {
        streams.entry((decision.tenant.clone(), decision.deployment.clone())).or_default().push(decision);
    }
    let fingerprint = layout::fingerprint(&decision_schema());
    let rows = |((tenant, deployment), decisions): ((Tenant, String), Vec<Decision>)| {
        let (tenant, deployment) = (tenant.as_str().to_owned(), Some(Arc::from(deployment)));
        Ok((StreamHeader { tenant, kind: Kind::Decision, deployment, fingerprint }, rows(&decisions)?))
    };
    streams.into_iter().map(rows).collect()
}

fn rows(decisions: &[Decision]) -> Result<RecordBatch, ArrowError> {
    let text = |f: &dyn Fn(&Decision) -> String| StringArray::from_iter_values(decisions.iter().map(f));
    let at: Vec<i64> = decisions.iter().map(|d| d.at.micros()).collect();
    let sequence = decisions.iter().map(|d| i64::try_from(d.sequence).unwrap_or(i64::MAX));
    RecordBatch::try_new(
        decision_schema(),
        vec![
            Arc::new(text(&|d| d.event.to_string())),
            Arc::new(TimestampMicrosecondArray::from(at).with_timezone("UTC")),
            Arc::new(text(&|d| d.by.clone())),
            Arc::new(Int64Array::from_iter_values(sequence)),
            Arc::new(text(&|d| d.decision.clone())),
            Arc::new(text(&|d| d.sentence.clone())),
            Arc::new(text(&|d| d.numbers.to_string())),
        ],
    )
}
