//! What every engine must do, checked on real models: each engine's tests run this with files of
//! their own.

use crate::{Engine, EngineError, LoadOptions, Model, ModelFiles, RunCx, zeros};
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{DType, Tensor};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Models that an engine brings to the suite.
#[derive(Debug, Clone)]
pub struct Fixtures {
    /// Takes one FP32 input `[-1, 4]` and answers with the same values.
    pub identity: ModelFiles,
    /// A file that is not a model.
    pub corrupt: ModelFiles,
    /// How its models are opened here, instances and threads apart.
    pub options: LoadOptions,
}

/// Runs the suite.
///
/// # Errors
/// The first promise of the port that the engine does not keep, in words.
pub fn check(engine: &dyn Engine, fixtures: &Fixtures) -> Result<(), String> {
    names(engine, fixtures)?;
    damaged_files(engine, fixtures)?;
    let options = LoadOptions { instances: 2, threads: 1, ..fixtures.options.clone() };
    let model = engine.load(&fixtures.identity, &options).map_err(|e| format!("the identity does not load: {e}"))?;
    signature(&*model)?;
    values(&*model)?;
    unaligned(&*model)?;
    deadline(&*model)?;
    together(&model)
}

fn ensure(kept: bool, promise: impl Into<String>) -> Result<(), String> {
    if kept { Ok(()) } else { Err(promise.into()) }
}

fn names(engine: &dyn Engine, fixtures: &Fixtures) -> Result<(), String> {
    ensure(!engine.name().is_empty() && !engine.platform().is_empty(), "an engine has a name and a platform")?;
    ensure(engine.flavors().contains(&&*fixtures.identity.flavor), "an engine names the flavors that it loads")
}

fn damaged_files(engine: &dyn Engine, fixtures: &Fixtures) -> Result<(), String> {
    let absent = ModelFiles { entry: "no-such-file".into(), ..fixtures.identity.clone() };
    for files in [&fixtures.corrupt, &absent] {
        let entry = files.entry.display().to_string();
        match engine.load(files, &fixtures.options) {
            Err(e @ EngineError::Load { .. }) => {
                ensure(e.to_string().contains(&entry), format!("{e:?} names {entry}"))?;
            }
            other => return Err(format!("{entry} is a load error, not {other:?}")),
        }
    }
    Ok(())
}

fn signature(model: &dyn Model) -> Result<(), String> {
    let signature = model.signature();
    let [input] = signature.inputs.as_slice() else { return Err("the identity has one input".into()) };
    ensure(signature.outputs.len() == 1, "the identity has one output")?;
    ensure(input.dtype == DType::Fp32 && input.shape == [-1, 4], "a free dimension is -1")?;
    ensure(signature.batchable(), "a free first dimension on both sides is a batch")?;
    ensure(model.instances() == 2, "instances are as many as asked for")?;
    ensure(model.memory_bytes() > 0, "an open model holds memory")?;
    ensure(model.labels(99).is_none(), "an output that is not there has no labels")
}

fn input(model: &dyn Model, tensor: Tensor) -> Vec<NamedTensor> {
    let name = model.signature().inputs.first().map_or_else(|| Arc::from(""), |i| Arc::clone(&i.name));
    vec![NamedTensor { name, tensor }]
}

fn batch(rows: usize, seed: usize) -> Result<Tensor, String> {
    let values: Vec<f32> = (0..rows * 4).map(|i| (seed * 1000 + i) as f32).collect();
    Tensor::from_vec(DType::Fp32, vec![rows, 4], values).map_err(|e| e.to_string())
}

/// Answers come back as they went in.
fn same(model: &dyn Model, given: &Tensor) -> Result<(), String> {
    let outputs =
        model.run(&input(model, given.clone()), &RunCx::default()).map_err(|e| format!("a call failed: {e}"))?;
    let [only] = outputs.as_slice() else { return Err("there are as many outputs as declared".into()) };
    ensure(only.name == model.signature().outputs[0].name, "outputs have their declared names")?;
    ensure(only.tensor.shape() == given.shape(), "the identity keeps the shape")?;
    ensure(only.tensor.to_wire() == given.to_wire(), "the identity keeps the values")
}

fn values(model: &dyn Model) -> Result<(), String> {
    // The last one is over any engine's limit for copying.
    for rows in [1, 2, 63, 5000] {
        same(model, &batch(rows, rows)?)?;
    }
    let odd = vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MIN_POSITIVE];
    same(model, &Tensor::from_vec(DType::Fp32, vec![1, 4], odd).map_err(|e| e.to_string())?)?;
    let zeros = zeros(model.signature(), 3).map_err(|e| e.to_string())?;
    model.run(&zeros, &RunCx::default()).map(drop).map_err(|e| format!("zeros fit the signature: {e}"))
}

fn unaligned(model: &dyn Model) -> Result<(), String> {
    let given = batch(3, 7)?;
    for shift in 1..4 {
        let mut padded = vec![0_u8; shift];
        padded.extend_from_slice(&given.to_wire());
        let bytes = bytes::Bytes::from(padded).slice(shift..);
        let shifted = Tensor::from_raw(DType::Fp32, vec![3, 4], bytes).map_err(|e| e.to_string())?;
        same(model, &shifted)?;
    }
    Ok(())
}

fn deadline(model: &dyn Model) -> Result<(), String> {
    let passed = Instant::now().checked_sub(Duration::from_millis(1));
    match model.run(&input(model, batch(1, 1)?), &RunCx { deadline: passed, ..RunCx::default() }) {
        Err(EngineError::Deadline) => Ok(()),
        other => Err(format!("a call whose deadline has passed does not start: {other:?}")),
    }
}

/// More threads than instances, each with values of its own.
fn together(model: &Arc<dyn Model>) -> Result<(), String> {
    let threads: Vec<_> = (0..6)
        .map(|thread| {
            let model = Arc::clone(model);
            std::thread::spawn(move || (0..50).try_for_each(|i| same(&*model, &batch(1 + i % 3, thread)?)))
        })
        .collect();
    threads.into_iter().try_for_each(|t| t.join().unwrap_or_else(|_| Err("a call panicked".into())))
}
