//! Columns that a model would join are joined before it sees them.
//!
//! Exporters of pipelines give a model an input for each column of a table, and its first node makes one matrix of them.
//! ONNX Runtime takes longer to be given thirty values than to run such a model. So [`split`] takes those nodes out of
//! the graph, and the matrix, which is then an input, is filled here. Whoever asks the model sees its own inputs.

mod cast;
mod edit;
mod graph;
mod split;
#[cfg(test)]
mod tests;

use cast::Fill;
use mainspring_core::tensor::{Data, NamedTensor, Raw};
use mainspring_core::{DType, Tensor};
use mainspring_engine::{EngineError, TensorSpec, stacked, together};
use std::borrow::Cow;
use std::sync::Arc;

pub(crate) use split::split;

/// Rows that are filled column by column at a time: they stay in the processor's nearest memory meanwhile.
const ROWS: usize = 256;

/// A model without the nodes that joined its columns.
pub(crate) struct Split {
    /// As `onnx.proto` has it.
    pub model: Vec<u8>,
    /// What its inputs are made of, in their order.
    pub feeds: Vec<Feed>,
}

/// An input of the model that runs.
#[derive(Debug)]
pub(crate) enum Feed {
    /// The input of the whole model that stands at this place.
    Plain(usize),
    /// Several of them, side by side.
    Matrix(Matrix),
}

/// Columns side by side.
#[derive(Debug)]
pub(crate) struct Matrix {
    name: Arc<str>,
    dtype: DType,
    /// Bytes of a row.
    stride: usize,
    pub columns: Vec<Column>,
}

/// One of the whole model's inputs.
#[derive(Debug)]
pub(crate) struct Column {
    /// Its place among them.
    pub at: usize,
    /// `[-1]` or `[-1, width]`.
    pub spec: TensorSpec,
    /// Bytes of a row of it.
    row: usize,
    /// Where it begins in a row of the matrix.
    offset: usize,
    fill: Fill,
}

impl Matrix {
    /// What a call for these requests brings: `[rows, width]`.
    fn filled(&self, requests: &[&[NamedTensor]]) -> Result<NamedTensor, EngineError> {
        // Before there is room for so many rows of all of them.
        let rows = requests.iter().try_fold(0, |rows, inputs| Ok::<_, EngineError>(rows + self.rows(inputs)?))?;
        let mut words = vec![0_u64; (rows * self.stride).div_ceil(8)];
        let mut rest = &mut bytemuck::cast_slice_mut::<_, u8>(&mut words)[..rows * self.stride];
        for inputs in requests {
            let (mine, after) = rest.split_at_mut(self.rows(inputs)? * self.stride);
            self.fill(inputs, mine)?;
            rest = after;
        }
        let width = self.stride / self.dtype.size().unwrap_or(1);
        let tensor = Tensor::from_raw(self.dtype, vec![rows, width], Raw::of_words(words, rows * self.stride))?;
        Ok(NamedTensor { name: Arc::clone(&self.name), tensor })
    }

    /// Rows of a request, whose columns all have as many.
    fn rows(&self, inputs: &[NamedTensor]) -> Result<usize, EngineError> {
        let first = self.columns.first().and_then(|column| inputs.get(column.at));
        let rows = first.map_or(0, |input| input.tensor.rows());
        self.columns.iter().try_for_each(|column| column.of(inputs, rows).map(drop))?;
        Ok(rows)
    }

    /// Writes a request's rows.
    fn fill(&self, inputs: &[NamedTensor], bytes: &mut [u8]) -> Result<(), EngineError> {
        let rows = bytes.len() / self.stride.max(1);
        for (block, into) in bytes.chunks_mut(ROWS * self.stride).enumerate() {
            for column in &self.columns {
                let raw = column.of(inputs, rows)?;
                (column.fill)(&raw[block * ROWS * column.row..], &mut into[column.offset..], column.row, self.stride);
            }
        }
        Ok(())
    }
}

impl Column {
    /// Its values in a call of so many rows.
    fn of<'a>(&self, inputs: &'a [NamedTensor], rows: usize) -> Result<&'a [u8], EngineError> {
        let refused = |reason: String| EngineError::Run { reason, bad_input: true };
        let Some(NamedTensor { tensor, .. }) = inputs.get(self.at) else {
            return Err(refused(format!("input {:?} is missing", self.spec.name)));
        };
        match tensor.data() {
            Data::Raw(raw) if tensor.dtype() == self.spec.dtype && raw.len() == rows * self.row => Ok(raw),
            _ => Err(refused(format!(
                "input {:?} is {} of the shape {:?}, beside {rows} rows of others; it is {} of the shape {:?}",
                self.spec.name,
                tensor.dtype(),
                tensor.shape(),
                self.spec.dtype,
                self.spec.shape,
            ))),
        }
    }
}

/// What the model that runs is given, of what requests bring to the whole one.
pub(crate) fn joined<'a>(
    feeds: &[Feed],
    requests: &[&'a [NamedTensor]],
) -> Result<Cow<'a, [NamedTensor]>, EngineError> {
    if let (true, [only]) = (feeds.is_empty(), requests) {
        return Ok(Cow::Borrowed(only));
    }
    if feeds.is_empty() {
        return Ok(Cow::Owned(together(requests)?));
    }
    let fed = feeds.iter().map(|feed| match feed {
        Feed::Plain(at) => stacked(requests, *at)?.ok_or_else(|| EngineError::Run {
            reason: format!("input {at} is missing, and the model has more"),
            bad_input: true,
        }),
        Feed::Matrix(matrix) => matrix.filled(requests),
    });
    fed.collect::<Result<_, _>>().map(Cow::Owned)
}

/// The inputs of the whole model, of those of the one that runs.
pub(crate) fn whole(feeds: &[Feed], inputs: Vec<TensorSpec>) -> Vec<TensorSpec> {
    if feeds.is_empty() {
        return inputs;
    }
    let mut whole = Vec::new();
    for (feed, input) in feeds.iter().zip(inputs) {
        match feed {
            Feed::Plain(at) => whole.push((*at, input)),
            Feed::Matrix(matrix) => whole.extend(matrix.columns.iter().map(|c| (c.at, c.spec.clone()))),
        }
    }
    whole.sort_by_key(|(at, _)| *at);
    whole.into_iter().map(|(_, spec)| spec).collect()
}
