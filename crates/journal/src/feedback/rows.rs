//! Feedback as rows of the log.

use super::{Relayed, value_columns};
use crate::layout::{self, feedback_schema};
use crate::log::StreamHeader;
use crate::relay::{self, Streams};
use crate::snapshot::Kind;
use arrow::array::{Float64Array, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::error::ArrowError;
use mainspring_core::Tenant;
use mainspring_core::event::About;
use mainspring_store::OutboxEvent;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows by tenant and deployment.
pub(crate) fn streams(events: &[OutboxEvent]) -> Result<Streams, ArrowError> {
    let mut streams: BTreeMap<(Tenant, Option<String>), Vec<Relayed>> = BTreeMap::new();
    for relayed in relay::read::<Relayed>(events) {
        streams.entry(stream(&relayed)).or_default().push(relayed);
    }
    let rows = |((tenant, deployment), feedback): ((Tenant, Option<String>), Vec<Relayed>)| {
        let batch = rows(&feedback)?;
        let header = StreamHeader {
            tenant: tenant.as_str().to_owned(),
            kind: Kind::Feedback,
            deployment: deployment.map(Arc::from),
            fingerprint: layout::fingerprint(&batch.schema()),
        };
        Ok((header, batch))
    };
    streams.into_iter().map(rows).collect()
}

fn stream(relayed: &Relayed) -> (Tenant, Option<String>) {
    let deployment = match &relayed.feedback.about {
        About::Prediction(_) => None,
        About::ClientId { deployment, .. } => Some(deployment.clone()),
    };
    (relayed.tenant.clone(), deployment)
}

fn rows(feedback: &[Relayed]) -> Result<RecordBatch, ArrowError> {
    let text = |f: &dyn Fn(&Relayed) -> String| StringArray::from_iter_values(feedback.iter().map(f));
    let maybe = |f: &dyn Fn(&Relayed) -> Option<String>| -> StringArray { feedback.iter().map(f).collect() };
    let at: Vec<i64> = feedback.iter().map(|r| r.feedback.at.micros()).collect();
    let own_id = |r: &Relayed| match &r.feedback.about {
        About::Prediction(_) => None,
        About::ClientId { id, .. } => Some(id.clone()),
    };
    let numbers: Float64Array = feedback.iter().map(|r| value_columns(&r.feedback.value).2).collect();
    RecordBatch::try_new(
        feedback_schema(),
        vec![
            Arc::new(text(&|r| r.feedback.event.to_string())),
            Arc::new(TimestampMicrosecondArray::from(at).with_timezone("UTC")),
            Arc::new(maybe(&|r| r.prediction.map(|p| p.to_string()))),
            Arc::new(maybe(&own_id)),
            Arc::new(Int32Array::from_iter_values(feedback.iter().map(|r| r.feedback.row as i32))),
            Arc::new(text(&|r| r.feedback.name.clone())),
            Arc::new(text(&|r| value_columns(&r.feedback.value).0)),
            Arc::new(text(&|r| value_columns(&r.feedback.value).1.to_owned())),
            Arc::new(numbers),
        ],
    )
}
