//! An open ONNX model.

use crate::classes::{self, Labels};
use crate::convert::{self, Form};
use crate::join::{self, Feed, Split};
use crate::kept::Kept;
use crate::pool::Pool;
use crate::scan::{Scan, scan};
use mainspring_core::Tensor;
use mainspring_core::tensor::{Data, NamedTensor};
use mainspring_engine::{AnswerForm, Counted, EngineError, LoadOptions, Model, RunCx, Signature, TensorSpec, zeros};
use ort::environment::Environment;
use ort::ep;
use ort::session::builder::{GraphOptimizationLevel, PrepackedWeights, SessionBuilder};
use ort::session::{Session, SessionInputValue};
use ort::value::Outlet;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Above this many bytes a model's calls share the one thread pool; below it, a call that takes
/// microseconds would pay more for waking threads than it gains.
const LARGE: u64 = 16 << 20;
/// Beyond this many bytes each further session would hold the weights again: one session that uses
/// all threads is opened unless more are asked for.
const HUGE: u64 = 64 << 20;
/// What a session takes beside the model: measured with ONNX Runtime 1.32 and models of a few kB.
const SESSION: u64 = 300_000;

/// An open ONNX model: one session an instance.
#[derive(Debug)]
pub(crate) struct OnnxModel {
    signature: Signature,
    forms: Vec<Form>,
    labels: Vec<Labels>,
    /// What the sessions are given where columns are joined beforehand; else empty.
    feeds: Vec<Feed>,
    sessions: Pool<Instance>,
    memory: u64,
}

#[derive(Debug)]
struct Instance {
    session: Session,
    kept: Kept,
}

impl OnnxModel {
    pub(crate) fn open(environment: &Environment, path: &Path, options: &LoadOptions) -> Result<Self, EngineError> {
        let fail = |reason: String| EngineError::Load { path: path.display().to_string(), reason };
        let scan = scan(path).map_err(fail)?;
        let small = scan.whole && scan.bytes <= LARGE;
        let split = if small { std::fs::read(path).ok().and_then(|model| join::split(&model)) } else { None };
        if let Some(split) = split {
            match Self::of(environment, path, options, &scan, Some(split)) {
                Err(error) => tracing::debug!(%error, "the model joins its columns itself"),
                opened => return opened,
            }
        }
        Self::of(environment, path, options, &scan, None)
    }

    /// The model at `path`, or what is left of it where its columns are joined beforehand.
    pub(crate) fn of(
        environment: &Environment,
        path: &Path,
        options: &LoadOptions,
        scan: &Scan,
        split: Option<Split>,
    ) -> Result<Self, EngineError> {
        let fail = |reason: String| EngineError::Load { path: path.display().to_string(), reason };
        let size = scan.bytes;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let instances = match options.instances {
            0 if size > HUGE => 1,
            0 => cores,
            n => n,
        };
        let threads = match options.threads {
            0 if size > LARGE => None,
            0 => Some(1),
            n => Some(n),
        };
        let weights = PrepackedWeights::new();
        let mut sessions = Vec::with_capacity(instances);
        for _ in 0..instances {
            let session = builder(environment, threads, &weights)
                .and_then(|b| if size > LARGE { Ok(b) } else { without_arena(b) })
                .and_then(|mut b| match &split {
                    Some(split) => b.commit_from_memory(&split.model),
                    None => b.commit_from_file(path),
                })
                .map_err(|e| fail(explained(e.message())))?;
            sessions.push(session);
        }
        let feeds = split.map(|split| split.feeds).unwrap_or_default();
        let (inputs, _) = sessions.first().map(|s| specs(s.inputs())).transpose().map_err(fail)?.unwrap_or_default();
        let (outputs, forms) =
            sessions.first().map(|s| specs(s.outputs())).transpose().map_err(fail)?.unwrap_or_default();
        // Each session holds the weights that could not be shared, a copy of the graph, and what it keeps of calls.
        let memory = (size + SESSION + Kept::most(inputs.len())).saturating_mul(instances as u64);
        let inputs = join::whole(&feeds, inputs);
        let classes = |spec: &TensorSpec| scan.classes.iter().find(|(name, _)| **name == *spec.name);
        let labels =
            outputs.iter().map(|o| classes(o).map_or_else(Labels::new, |(_, c)| Arc::clone(c).into())).collect();
        let signature = Signature { inputs, outputs };
        let instance = |session| Instance { session, kept: Kept::default() };
        let sessions = Pool::new(sessions.into_iter().map(instance).collect());
        let mut model = Self { signature, forms, labels, feeds, sessions, memory };
        model.learn_batch();
        model.learn_classes();
        Ok(model)
    }

    /// Exporters that are told of a free first dimension for the inputs alone leave the batch of their
    /// example in the outputs. What comes of two rows of zeros shows it: the output is then declared as
    /// it is.
    fn learn_batch(&mut self) {
        let fixed = |s: &TensorSpec| s.shape.first().is_some_and(|d| *d >= 0);
        let free = !self.signature.inputs.is_empty() && self.signature.inputs.iter().all(TensorSpec::batched);
        if !free || !self.signature.outputs.iter().any(fixed) {
            return;
        }
        let two = zeros(&self.signature, 2).map_err(EngineError::from);
        let Ok(outputs) = two.and_then(|z| self.call(&[&z], &RunCx::default(), |_, _| Ok(()))) else { return };
        for (spec, output) in self.signature.outputs.iter_mut().zip(outputs) {
            if let (Some(first), Some(2)) = (spec.shape.first_mut(), output.tensor.shape().first())
                && *first != 2
            {
                *first = -1;
            }
        }
    }

    /// Where the model's file does not say the classes of an output of maps, an answer shows them.
    fn learn_classes(&self) {
        if self.forms.iter().zip(&self.labels).all(|(f, l)| *f == Form::Tensor || l.get().is_some()) {
            return;
        }
        let learned =
            zeros(&self.signature, 1).map_err(EngineError::from).and_then(|z| self.run(&z, &RunCx::default()));
        if let Err(error) = learned {
            tracing::debug!(%error, "a row of zeros does not show the classes; the first answer will");
        }
    }

    /// One call for these requests; `check` looks at each output before it is given out.
    fn call(
        &self,
        requests: &[&[NamedTensor]],
        cx: &RunCx,
        check: impl Fn(&TensorSpec, &Tensor) -> Result<(), EngineError>,
    ) -> Result<Vec<NamedTensor>, EngineError> {
        let inputs = &*join::joined(&self.feeds, requests)?;
        // Filled only for tensors that are not aligned.
        let mut spare: Vec<Vec<u64>> = Vec::new();
        let mut views: Vec<SessionInputValue<'_>> = Vec::new();
        let copied = Kept::takes(inputs);
        if !copied {
            spare.resize_with(inputs.len(), Vec::new);
            views.reserve_exact(inputs.len());
            for (given, spare) in inputs.iter().zip(&mut spare) {
                views.push(convert::input(&given.tensor, spare)?);
            }
        }
        let mut instance = self.sessions.take();
        let Instance { session, kept } = &mut *instance;
        if cx.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(EngineError::Deadline);
        }
        let values = if copied { kept.filled(inputs)? } else { &views[..] };
        let outputs = convert::failed(session.run::<0>(values))?;
        drop(views);
        let lent = |bytes: &[u8]| {
            let inputs = inputs.iter().filter_map(|input| match input.tensor.data() {
                Data::Raw(raw) => Some(&**raw),
                Data::Strings(_) => None,
            });
            inputs.chain(spare.iter().map(|copy| bytemuck::cast_slice(copy))).any(|input| within(bytes, input))
        };
        let mut named = Vec::with_capacity(self.signature.outputs.len());
        for (i, (_, value)) in outputs.into_iter().enumerate() {
            let spec = &self.signature.outputs[i];
            let tensor = match self.forms[i] {
                Form::Tensor => convert::output(value, lent)?,
                Form::Maps { text: true } => classes::output::<String>(spec, value, &self.labels[i])?,
                Form::Maps { text: false } => classes::output::<i64>(spec, value, &self.labels[i])?,
            };
            check(spec, &tensor)?;
            named.push(NamedTensor { name: Arc::clone(&spec.name), tensor });
        }
        Ok(named)
    }
}

/// Whether bytes stand in others.
fn within(bytes: &[u8], others: &[u8]) -> bool {
    others.as_ptr_range().contains(&bytes.as_ptr())
}

/// What ONNX Runtime said, and what to do where it only tells what it found.
fn explained(message: &str) -> String {
    let newer = ["Unsupported model IR version", "is under development and support for this is limited"];
    if newer.iter().any(|text| message.contains(text)) {
        return format!(
            "{message}; it was exported for a newer ONNX: export it with a lower target_opset, or install a newer onnxruntime"
        );
    }
    if message.contains("is not a registered function/op") {
        return format!("{message}; operators of other libraries cannot be served: export the model with ONNX's own");
    }
    message.to_owned()
}

/// A small model needs no arena: it would keep what a call took for as long as the model is loaded.
fn without_arena(builder: SessionBuilder) -> ort::Result<SessionBuilder> {
    Ok(builder.with_execution_providers([ep::CPU::default().with_arena_allocator(false).build()])?)
}

fn builder(
    environment: &Environment,
    threads: Option<usize>,
    weights: &PrepackedWeights,
) -> ort::Result<SessionBuilder> {
    let builder = Session::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        // Patterns are kept per shape; batches have as many shapes as they have sizes.
        .with_memory_pattern(false)?
        .with_prepacked_weights(weights)?;
    Ok(match threads {
        None => builder,
        Some(n) => builder.with_independent_thread_pool()?.with_intra_threads(n)?,
    })
}

fn specs(outlets: &[Outlet]) -> Result<(Vec<TensorSpec>, Vec<Form>), String> {
    let spec =
        |o: &Outlet| convert::spec(o).map(|(dtype, shape, form)| (TensorSpec::new(o.name(), dtype, &shape), form));
    outlets.iter().map(spec).collect()
}

impl Model for OnnxModel {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn answer(&self) -> AnswerForm {
        AnswerForm::Tensors
    }

    fn waits(&self) -> bool {
        false
    }

    fn run(&self, inputs: &[NamedTensor], cx: &RunCx) -> Result<Vec<NamedTensor>, EngineError> {
        self.call(&[inputs], cx, declared)
    }

    fn run_together(&self, requests: &[&[NamedTensor]], cx: &RunCx) -> Result<Counted, EngineError> {
        Ok(Counted { outputs: self.call(requests, cx, declared)?, tokens: Vec::new() })
    }

    fn labels(&self, output: usize) -> Option<Arc<[Arc<str>]>> {
        self.labels.get(output)?.get().cloned()
    }

    fn instances(&self) -> usize {
        self.sessions.len()
    }

    fn memory_bytes(&self) -> u64 {
        self.memory
    }
}

/// Whether an output is what the model declares. ONNX Runtime only warns when it is not.
fn declared(spec: &TensorSpec, got: &Tensor) -> Result<(), EngineError> {
    let fits = spec.dtype == got.dtype()
        && spec.shape.len() == got.shape().len()
        && spec.shape.iter().zip(got.shape()).all(|(want, have)| *want < 0 || usize::try_from(*want) == Ok(*have));
    // Converters often leave the rank out: then the list of dimensions is empty.
    if fits || (spec.shape.is_empty() && spec.dtype == got.dtype()) {
        return Ok(());
    }
    Err(EngineError::WrongOutput {
        output: spec.name.to_string(),
        declared: format!("{} {:?}", spec.dtype, spec.shape),
        got: format!("{} {:?}", got.dtype(), got.shape()),
    })
}
