//! What the protocol tells about models, as protobuf messages.

use crate::error::Refused;
use crate::pb;
use crate::pb::model_config::SchedulingChoice;
use crate::view;
use mainspring_engine::TensorSpec;
use mainspring_serving::{Counted, DeploymentView, HistogramView, VersionStats};
use std::collections::HashMap;

pub(crate) fn metadata(
    deployment: &DeploymentView,
    version: Option<&str>,
) -> Result<pb::ModelMetadataResponse, Refused> {
    let version = view::pick(deployment, version)?;
    let tensors = |specs: &[TensorSpec]| {
        specs
            .iter()
            .map(|s| pb::model_metadata_response::TensorMetadata {
                name: s.name.to_string(),
                datatype: s.dtype.as_str().to_owned(),
                shape: s.shape.clone(),
            })
            .collect()
    };
    Ok(pb::ModelMetadataResponse {
        name: deployment.name.to_string(),
        versions: view::versions(deployment),
        platform: version.contract.platform.to_owned(),
        inputs: tensors(&version.contract.signature.inputs),
        outputs: tensors(&version.contract.signature.outputs),
    })
}

pub(crate) fn config(deployment: &DeploymentView, version: Option<&str>) -> Result<pb::ModelConfigResponse, Refused> {
    let version = view::pick(deployment, version)?;
    let contract = &version.contract;
    let data_type = |s: &TensorSpec| {
        pb::DataType::from_str_name(view::config_type(s.dtype)).unwrap_or(pb::DataType::TypeInvalid).into()
    };
    let input = |s: &TensorSpec| pb::ModelInput {
        name: s.name.to_string(),
        data_type: data_type(s),
        dims: view::config_dims(contract, &s.shape),
    };
    let output = |s: &TensorSpec| pb::ModelOutput {
        name: s.name.to_string(),
        data_type: data_type(s),
        dims: view::config_dims(contract, &s.shape),
    };
    let delay = deployment.spec.engine.batch.max_delay.0.as_micros() as u64;
    let batching = pb::ModelDynamicBatching { max_queue_delay_microseconds: delay };
    let config = pb::ModelConfig {
        name: deployment.name.to_string(),
        platform: contract.platform.to_owned(),
        max_batch_size: view::max_batch_size(contract),
        input: contract.signature.inputs.iter().map(input).collect(),
        output: contract.signature.outputs.iter().map(output).collect(),
        instance_group: vec![pb::ModelInstanceGroup {
            name: deployment.name.to_string(),
            count: i32::try_from(version.instances).unwrap_or(i32::MAX),
            kind: pb::model_instance_group::Kind::Cpu.into(),
        }],
        backend: view::backend(contract).to_owned(),
        model_transaction_policy: contract.streams.then_some(pb::ModelTransactionPolicy { decoupled: true }),
        response_cache: deployment.spec.cache.map(|_| pb::ModelResponseCache { enable: true }),
        scheduling_choice: (contract.max_batch_rows > 0).then_some(SchedulingChoice::DynamicBatching(batching)),
    };
    Ok(pb::ModelConfigResponse { config: Some(config) })
}

fn duration(count: u64, ns: u64) -> pb::StatisticDuration {
    pb::StatisticDuration { count, ns }
}

fn counted(c: Counted) -> pb::StatisticDuration {
    duration(c.count, c.ns)
}

fn histogram(h: &HistogramView) -> pb::StatisticDuration {
    duration(h.count, h.sum_ns)
}

/// The same figures as `GET /v2/models/{model}/stats`.
pub(crate) fn stats(v: &VersionStats) -> pb::ModelStatistics {
    pb::ModelStatistics {
        name: v.target.deployment.to_string(),
        version: v.target.version.to_string(),
        last_inference: v.last_inference.map_or(0, |t| u64::try_from(t.millis()).unwrap_or(0)),
        inference_count: v.inference_count,
        execution_count: v.execution_count,
        inference_stats: Some(pb::InferStatistics {
            success: Some(counted(v.success)),
            fail: Some(counted(v.fail)),
            queue: Some(histogram(&v.queue)),
            compute_input: Some(duration(0, 0)),
            compute_infer: Some(histogram(&v.engine)),
            compute_output: Some(histogram(&v.encode)),
            cache_hit: Some(counted(v.cache.hits)),
            cache_miss: Some(counted(v.cache.misses)),
        }),
        batch_stats: v
            .batches
            .iter()
            .map(|b| pb::InferBatchStatistics {
                batch_size: b.rows as u64,
                compute_input: Some(duration(b.executions, 0)),
                compute_infer: Some(duration(b.executions, b.engine_ns)),
                compute_output: Some(duration(b.executions, 0)),
            })
            .collect(),
        memory_usage: vec![pb::MemoryUsage { r#type: "CPU".to_owned(), id: 0, byte_size: v.memory_bytes }],
        response_stats: HashMap::new(),
    }
}
