//! An open language model.

use crate::folder::{Folder, Task};
use crate::head;
use crate::split::{Rows, Splitter};
use crate::tags;
use bytes::Bytes;
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{DType, Tensor, Tokens};
use mainspring_engine::{AnswerForm, Counted, EngineError, Model, RunCx, Signature, TensorSpec};
use std::sync::Arc;
use tokenizers::Encoding;

/// Tokens of one call of the graph, padding included: its activations grow with them, and so does the
/// memory that a request of many long texts would take.
const TOKENS: usize = 4096;
/// What a tokenizer takes in memory, beside the size of its file.
const UNPACKED: u64 = 6;

/// An open language model.
#[derive(Debug)]
pub(crate) struct TextModel {
    graph: Arc<dyn Model>,
    splitter: Splitter,
    task: Task,
    labels: Vec<String>,
    shown: Option<Arc<[Arc<str>]>>,
    signature: Signature,
    feeds: Feeds,
    /// Which output of the graph is read.
    read: Read,
    /// Tokens of each row, when the graph takes one length only.
    length: Option<usize>,
    memory: u64,
}

/// What an input of the graph takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Feed {
    Ids,
    Mask,
    Types,
}

/// By name, what each input of the graph takes and as which type.
type Feeds = Vec<(Arc<str>, Feed, DType)>;

/// The output that is read.
#[derive(Debug, Clone, Copy)]
struct Read {
    at: usize,
    /// Whether it has a vector for each text already.
    whole: bool,
    /// Values of its last dimension, where the graph says so.
    width: i64,
}

fn failed(reason: impl Into<String>) -> EngineError {
    EngineError::Run { reason: reason.into(), bad_input: false }
}

impl TextModel {
    /// # Errors
    /// Why this graph cannot be called with texts.
    pub fn open(folder: Folder, graph: Arc<dyn Model>) -> Result<Self, String> {
        let (feeds, length) = feeds(graph.signature())?;
        let read = read(graph.signature(), &folder.task)?;
        let longest = length.map_or(folder.longest, |n| n.min(folder.longest));
        let splitter = Splitter::new(&folder, longest)?;
        let labels = named(&folder, read.width)?;
        let width = if labels.is_empty() { read.width } else { labels.len() as i64 };
        let shown = labels.iter().map(|l| Arc::from(l.as_str())).collect();
        let memory = graph.memory_bytes().saturating_add(folder.bytes.saturating_mul(UNPACKED));
        Ok(Self {
            signature: signature(&folder.task, width),
            shown: matches!(folder.task, Task::Classify(_)).then_some(shown),
            task: folder.task,
            graph,
            splitter,
            labels,
            feeds,
            read,
            length,
            memory,
        })
    }

    /// Rows of one call of the graph, as inputs of its own.
    fn inputs(&self, rows: &Rows) -> Result<Vec<NamedTensor>, EngineError> {
        let tensor = |(name, feed, dtype): &(Arc<str>, Feed, DType)| {
            let values = match feed {
                Feed::Ids => &rows.ids,
                Feed::Mask => &rows.mask,
                Feed::Types => &rows.types,
            };
            let shape = vec![rows.count, rows.length];
            let tensor = match dtype {
                DType::Int32 => Tensor::from_vec(*dtype, shape, values.iter().map(|v| *v as i32).collect::<Vec<_>>()),
                _ => Tensor::from_vec(*dtype, shape, values.clone()),
            };
            Ok(NamedTensor { name: Arc::clone(name), tensor: tensor? })
        };
        self.feeds.iter().map(tensor).collect()
    }

    /// One call of the graph: the values that are read, each row's after the other, and how many each
    /// row has.
    fn call(&self, rows: &Rows, cx: &RunCx) -> Result<(Vec<f32>, Vec<usize>), EngineError> {
        let outputs = self.graph.run(&self.inputs(rows)?, cx)?;
        let output =
            outputs.get(self.read.at).ok_or_else(|| failed("its graph gave fewer outputs than it declares"))?;
        let shape = output.tensor.shape().to_vec();
        let wanted: &[usize] = match (&self.task, self.read.whole) {
            (Task::Classify(_), _) | (Task::Embed { .. }, true) => &[rows.count],
            (Task::Tag | Task::Embed { .. }, _) => &[rows.count, rows.length],
        };
        if shape.len() != wanted.len() + 1 || !shape.starts_with(wanted) {
            let text = format!("its graph answered with the shape {shape:?} to texts of the shape {wanted:?}");
            return Err(failed(text));
        }
        Ok((head::floats(&output.tensor)?, shape))
    }

    /// Fills `found` with what the graph says of these rows.
    fn answer(&self, rows: &Rows, cx: &RunCx) -> Result<Vec<Vec<f32>>, EngineError> {
        let (values, shape) = self.call(rows, cx)?;
        let width = shape.last().copied().unwrap_or(0);
        let each = values.len() / rows.count.max(1);
        if !self.labels.is_empty() && width != self.labels.len() {
            let text = format!("its graph answered with {width} classes, config.json names {}", self.labels.len());
            return Err(failed(text));
        }
        let rows_of = values.chunks_exact(each.max(1)).zip(rows.mask.chunks_exact(rows.length.max(1)));
        Ok(rows_of
            .map(|(row, mask)| match &self.task {
                Task::Classify(how) => {
                    let mut row = row.to_vec();
                    head::score(*how, &mut row);
                    row
                }
                // The tokens of the row alone, whichever side is filled.
                Task::Tag => {
                    let tokens = row.chunks_exact(width.max(1)).zip(mask);
                    tokens.filter(|(_, on)| **on != 0).flat_map(|(token, _)| token.to_vec()).collect()
                }
                Task::Embed { pooling, normalize } => {
                    let mut row = if self.read.whole { row.to_vec() } else { head::pool(*pooling, row, mask, width) };
                    if *normalize {
                        head::normalize(&mut row);
                    }
                    row
                }
            })
            .collect())
    }

    /// What the graph says of each text, in their order.
    fn all(&self, encodings: &[Encoding], cx: &RunCx) -> Result<Vec<Vec<f32>>, EngineError> {
        let mut order: Vec<usize> = (0..encodings.len()).collect();
        // Texts of a like length together, so that little of a call is padding.
        order.sort_by_key(|i| std::cmp::Reverse(encodings[*i].len()));
        let mut found = vec![Vec::new(); encodings.len()];
        let mut rest = order.as_slice();
        while let Some(first) = rest.first() {
            let length = self.length.unwrap_or(encodings[*first].len()).max(1);
            let (some, more) = rest.split_at((TOKENS / length).clamp(1, rest.len()));
            let together: Vec<&Encoding> = some.iter().map(|i| &encodings[*i]).collect();
            let answers = self.answer(&self.splitter.rows(&together, self.length), cx)?;
            for (place, answer) in some.iter().zip(answers) {
                found[*place] = answer;
            }
            rest = more;
        }
        Ok(found)
    }

    fn classified(&self, found: &[Vec<f32>]) -> Result<Vec<Tensor>, EngineError> {
        let width = found.first().map_or(self.labels.len(), Vec::len);
        let best: Vec<usize> = found.iter().map(|row| head::highest(row)).collect();
        let label = |place: usize| self.labels.get(place).map_or_else(Bytes::new, |l| Bytes::from(l.clone()));
        let scores = found.iter().zip(&best).map(|(row, at)| row.get(*at).copied().unwrap_or(f32::NAN)).collect();
        Ok(vec![
            Tensor::from_strings(vec![found.len()], best.iter().map(|at| label(*at)).collect())?,
            Tensor::from_vec::<f32>(DType::Fp32, vec![found.len()], scores)?,
            Tensor::from_vec(DType::Fp32, vec![found.len(), width], found.concat())?,
        ])
    }

    fn tagged(&self, texts: &[Bytes], encodings: &[Encoding], found: &[Vec<f32>]) -> Result<Vec<Tensor>, EngineError> {
        let one = |((text, encoding), values): ((&Bytes, &Encoding), &Vec<f32>)| {
            let chars: Vec<char> = String::from_utf8_lossy(text).chars().collect();
            let entities = tags::entities(self.splitter.tokenizer(), &chars, encoding, values, &self.labels);
            serde_json::to_vec(&entities).map(Bytes::from).map_err(|e| failed(e.to_string()))
        };
        let rows = texts.iter().zip(encodings).zip(found).map(one).collect::<Result<Vec<_>, _>>()?;
        Ok(vec![Tensor::from_strings(vec![rows.len()], rows)?])
    }
}

/// What each input of the graph takes, and the one length of a text that it takes.
fn feeds(graph: &Signature) -> Result<(Feeds, Option<usize>), String> {
    let (mut feeds, mut length) = (Vec::new(), None);
    for input in &graph.inputs {
        let feed = match &*input.name {
            "input_ids" => Feed::Ids,
            "attention_mask" => Feed::Mask,
            "token_type_ids" => Feed::Types,
            other => {
                return Err(format!(
                    "its graph takes {other:?}, which no text gives; input_ids, attention_mask and token_type_ids are \
                     given. Take tokenizer.json out of the folder to serve the graph's own tensors"
                ));
            }
        };
        if !matches!(input.dtype, DType::Int32 | DType::Int64) {
            return Err(format!("{:?} of its graph is {}; tokens are INT64 or INT32", input.name, input.dtype));
        }
        match input.shape.as_slice() {
            [] | [-1, -1] => {}
            [-1, fixed] => length = usize::try_from(*fixed).ok(),
            other => {
                return Err(format!(
                    "{:?} of its graph has the shape {other:?}; export it with a free number of texts and tokens \
                     (dynamic_shapes, or dynamic_axes, for the dimensions 0 and 1)",
                    input.name
                ));
            }
        }
        feeds.push((Arc::clone(&input.name), feed, input.dtype));
    }
    if feeds.iter().any(|(_, feed, _)| *feed == Feed::Ids) {
        Ok((feeds, length))
    } else {
        Err("its graph takes no input_ids".into())
    }
}

/// The output that the task is read from.
fn read(graph: &Signature, task: &Task) -> Result<Read, String> {
    let names: &[&str] = match task {
        Task::Classify(_) | Task::Tag => &["logits"],
        Task::Embed { .. } => &["sentence_embedding", "token_embeddings", "last_hidden_state"],
    };
    let by_name = names.iter().find_map(|name| graph.outputs.iter().position(|o| *o.name == **name));
    let at = by_name.unwrap_or(0);
    let output = graph.outputs.get(at).ok_or("its graph has no output")?;
    let rank = output.shape.len();
    if matches!(task, Task::Embed { .. }) && by_name.is_none() && rank != 3 {
        return Err(format!(
            "its graph's output {:?} is no embedding, and config.json does not say what else it is: its architectures \
             name the class that was exported (BertForSequenceClassification, …)",
            output.name
        ));
    }
    let whole = match task {
        Task::Classify(_) => true,
        Task::Tag => false,
        Task::Embed { .. } => rank == 2 || (rank == 0 && &*output.name == "sentence_embedding"),
    };
    if rank != 0 && rank != if whole { 2 } else { 3 } {
        return Err(format!("its graph's output {:?} has the shape {:?}", output.name, output.shape));
    }
    Ok(Read { at, whole, width: output.shape.last().copied().unwrap_or(-1) })
}

/// The classes' names: those of the configuration, or LABEL_0 and so on, as `transformers` calls them.
fn named(folder: &Folder, width: i64) -> Result<Vec<String>, String> {
    let given = folder.labels.len();
    match (&folder.task, usize::try_from(width)) {
        (Task::Embed { .. }, _) => Ok(Vec::new()),
        (_, Ok(width)) if given == 0 => Ok((0..width).map(|i| format!("LABEL_{i}")).collect()),
        (_, Err(_)) if given == 0 => {
            Err("config.json names no classes (id2label), and its graph does not say how many there are".into())
        }
        (_, Ok(width)) if given != width => {
            Err(format!("config.json names {given} classes, its graph answers with {width}"))
        }
        _ => Ok(folder.labels.clone()),
    }
}

fn signature(task: &Task, width: i64) -> Signature {
    let outputs = match task {
        Task::Classify(_) => vec![
            TensorSpec::new("label", DType::Bytes, &[-1]),
            TensorSpec::new("score", DType::Fp32, &[-1]),
            TensorSpec::new("scores", DType::Fp32, &[-1, width]),
        ],
        Task::Tag => vec![TensorSpec::new("entities", DType::Bytes, &[-1])],
        Task::Embed { .. } => vec![TensorSpec::new("embedding", DType::Fp32, &[-1, width])],
    };
    Signature { inputs: vec![TensorSpec::new("text", DType::Bytes, &[-1])], outputs }
}

impl Model for TextModel {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn answer(&self) -> AnswerForm {
        match self.task {
            Task::Classify(_) => AnswerForm::Frame,
            Task::Tag | Task::Embed { .. } => AnswerForm::Array,
        }
    }

    /// The warm-up's texts say nothing of a request's: a text may be a word or a page.
    fn waits(&self) -> bool {
        true
    }

    fn run(&self, inputs: &[NamedTensor], cx: &RunCx) -> Result<Vec<NamedTensor>, EngineError> {
        Ok(self.run_counted(inputs, cx)?.outputs)
    }

    fn run_counted(&self, inputs: &[NamedTensor], cx: &RunCx) -> Result<Counted, EngineError> {
        let texts =
            inputs.first().and_then(|i| i.tensor.strings()).ok_or_else(|| failed("the input holds no texts"))?;
        let encodings = self.splitter.split(texts)?;
        let found = self.all(&encodings, cx)?;
        let tensors = match self.task {
            Task::Classify(_) => self.classified(&found)?,
            Task::Tag => self.tagged(texts, &encodings, &found)?,
            Task::Embed { .. } => {
                let width = found.first().map_or_else(|| usize::try_from(self.read.width).unwrap_or(0), Vec::len);
                vec![Tensor::from_vec(DType::Fp32, vec![found.len(), width], found.concat())?]
            }
        };
        let names = self.signature.outputs.iter().map(|o| Arc::clone(&o.name));
        let outputs = names.zip(tensors).map(|(name, tensor)| NamedTensor { name, tensor }).collect();
        // What it read, with the marks that its tokenizer puts around a text, cut to its longest.
        let tokens = encodings.iter().map(|e| Tokens { input: e.len() as u64, output: 0 }).collect();
        Ok(Counted { outputs, tokens })
    }

    fn labels(&self, output: usize) -> Option<Arc<[Arc<str>]>> {
        (output == 2).then(|| self.shown.clone()).flatten()
    }

    fn instances(&self) -> usize {
        self.graph.instances()
    }

    fn memory_bytes(&self) -> u64 {
        self.memory
    }
}
