//! Runs over whole files, which happen elsewhere and are told of here.

use super::{Failures, Reply};
use crate::dto::journal::{BatchAnswer, BatchRun};
use crate::state::NativeState;
use axum::Json;
use axum::extract::State;
use bytes::Bytes;
use mainspring_core::{
    Action, Assignment, DType, Effect, ErrorKind, EventId, NamedTensor, Outcome, Prediction, Protocol, Resource,
    Target, Tensor, TensorError, Timing,
};
use mainspring_http::{ApiError, Caller, Json as JsonBody};
use mainspring_registry::actions::ReadModel;
use std::sync::Arc;

/// Where the journal keeps runs over files: a name that no deployment can have.
const DEPLOYMENT: &str = "_batch";

/// Tell of a run over a file.
#[derive(Debug, Clone)]
struct TellBatch(String);

impl Action for TellBatch {
    const NAME: &'static str = "batch.tell";
    const EFFECT: Effect = Effect::Infer;

    fn resource(&self) -> Resource {
        Resource { kind: "model", name: self.0.clone() }
    }
}

#[utoipa::path(post, path = "/api/v1/batches", operation_id = "tellBatch", tag = "journal",
    request_body = BatchRun,
    responses((status = 200, description = "The run is in the journal", body = BatchAnswer), Failures))]
pub(crate) async fn tell_batch(
    State(s): State<NativeState>,
    Caller(who): Caller,
    JsonBody(run): JsonBody<BatchRun>,
) -> Reply<BatchAnswer> {
    s.may(&who, TellBatch(run.model.clone()))?;
    let wrong = |what: String| ApiError::new(ErrorKind::InvalidInput, what);
    let id: EventId = run.id.parse().map_err(|e| wrong(format!("id {:?} is no id: {e}", run.id)))?;
    let number: i64 =
        run.version.parse().map_err(|_| wrong(format!("version is {:?}; it must be a number", run.version)))?;
    // What is not here did not make the predictions.
    s.registry.version(&s.may(&who, ReadModel::on(&run.model))?, &run.model, number).await?;
    let event = event(&s, &who, id, &run).map_err(|e| wrong(e.to_string()))?;
    let at = event.at;
    s.journal.append_durable(event).await?;
    s.views.predicted(&who, (id, at), &run).await?;
    Ok(Json(BatchAnswer { id: id.to_string() }))
}

/// One event with one row: what went in is a file and its rows, what came out is a file.
fn event(
    s: &NativeState,
    who: &mainspring_core::Principal,
    id: EventId,
    run: &BatchRun,
) -> Result<Prediction, TensorError> {
    let text = |name: &str, value: &str| {
        let tensor = Tensor::from_strings(vec![1], vec![Bytes::copy_from_slice(value.as_bytes())])?;
        Ok::<_, TensorError>(NamedTensor { name: name.into(), tensor })
    };
    let number = |name: &str, value: u64| {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        Ok::<_, TensorError>(NamedTensor {
            name: name.into(),
            tensor: Tensor::from_vec(DType::Int64, vec![1], vec![value])?,
        })
    };
    let target = Target {
        deployment: DEPLOYMENT.into(),
        variant: "batch".into(),
        model: run.model.as_str().into(),
        version: run.version.as_str().into(),
        columns: Arc::default(),
    };
    let ns = |ms: f64| if ms.is_finite() && ms > 0.0 { (ms * 1e6) as u64 } else { 0 };
    Ok(Prediction {
        id,
        at: s.ctx.now(),
        tenant: who.tenant.clone(),
        target: Arc::new(target),
        protocol: Protocol::Batch,
        client_id: None,
        caller: std::sync::Arc::clone(&who.subject),
        assignment: Assignment { forced: true, ..Assignment::default() },
        outcome: Outcome::Ok,
        rows: 1,
        batch_rows: u32::try_from(run.batch_rows).unwrap_or(u32::MAX),
        timing: Timing { engine_ns: ns(run.engine_ms), total_ns: ns(run.took_ms), ..Timing::default() },
        tokens: None,
        cached: None,
        flags: None,
        params: None,
        inputs: vec![text("file", &run.input)?, number("rows", run.rows)?].into(),
        outputs: vec![text("file", &run.output)?, number("bytes", run.bytes)?].into(),
    })
}
