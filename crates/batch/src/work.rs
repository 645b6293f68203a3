//! What a thread does with a shard.

use crate::columns::Columns;
use crate::csv;
use crate::error::BatchError;
use crate::format::Format;
use crate::manifest::Done;
use crate::model::LoadedModel;
use crate::outputs::Outputs;
use crate::part::Part;
use crate::plan::{Shard, Source};
use crate::read::Rows;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use mainspring_core::tensor::NamedTensor;
use mainspring_engine::{EngineError, RunCx};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// Rows that are read at a time at least: readers are slow with few.
const READ: usize = 8192;

/// A model and the input that it runs over.
pub(crate) struct Work {
    pub source: Source,
    pub model: LoadedModel,
    pub columns: Columns,
}

/// Everything a thread needs beside.
pub(crate) struct Sheet {
    pub outputs: Outputs,
    /// The output's columns.
    pub schema: SchemaRef,
    pub format: Format,
    pub id: String,
    pub batch_rows: usize,
    /// Rows done by now, for whoever watches.
    pub rows: AtomicU64,
    /// Another thread failed.
    pub stop: AtomicBool,
}

impl Work {
    /// The inputs that rows make.
    pub fn inputs(&self, rows: &RecordBatch, first: u64) -> Result<Vec<NamedTensor>, BatchError> {
        let mut inputs = self.columns.tensors(rows, first)?;
        self.model.contract.signature.accept(&mut inputs)?;
        Ok(inputs)
    }

    /// One call. An error names the row, where rows can be told apart.
    pub fn call(&self, inputs: &[NamedTensor], rows: usize, first: u64) -> Result<Vec<NamedTensor>, BatchError> {
        match self.run(inputs) {
            Ok(outputs) => Ok(outputs),
            Err(error) => Err(self.blame(inputs, (rows, first), error)),
        }
    }

    fn run(&self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>, EngineError> {
        let model = &self.model.model;
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| model.run(inputs, &RunCx::default())))
            .unwrap_or_else(|_| Err(EngineError::Run { reason: "the engine panicked".into(), bad_input: false }))
    }

    /// Halves the rows that failed until one is left.
    fn blame(&self, inputs: &[NamedTensor], (rows, first): (usize, u64), error: EngineError) -> BatchError {
        if !matches!(error, EngineError::Run { .. }) {
            return BatchError::Rows { first, last: first + rows.saturating_sub(1) as u64, source: error };
        }
        let cut = |from: usize, to: usize| -> Vec<NamedTensor> {
            let slice =
                |t: &NamedTensor| NamedTensor { name: Arc::clone(&t.name), tensor: t.tensor.slice_rows(from, to) };
            inputs.iter().map(slice).collect()
        };
        let (mut from, mut to, mut source) = (0, rows, error);
        while to - from > 1 {
            let middle = from + (to - from) / 2;
            match (self.run(&cut(from, middle)), self.run(&cut(middle, to))) {
                (Err(e), _) => (to, source) = (middle, e),
                (Ok(_), Err(e)) => (from, source) = (middle, e),
                // They fail together only.
                (Ok(_), Ok(_)) => {
                    return BatchError::Rows { first: first + from as u64, last: first + to as u64 - 1, source };
                }
            }
        }
        BatchError::Row { row: first + from as u64, source }
    }

    /// Runs one shard and leaves its part at `part`.
    pub fn shard(&self, shard: &Shard, sheet: &Sheet, part: &Path) -> Result<Option<Done>, BatchError> {
        let unfinished = part.with_extension("next");
        let mut out = Part::create(&unfinished, sheet.format, &sheet.schema)?;
        let mut done = Done { rows: 0, engine_ns: 0 };
        for rows in Rows::open(&self.source, shard, sheet.batch_rows.max(READ))? {
            let (first, rows) = rows?;
            let mut from = 0;
            while from < rows.num_rows() {
                if sheet.stop.load(Ordering::Relaxed) {
                    return Ok(None);
                }
                let slice = rows.slice(from, sheet.batch_rows.min(rows.num_rows() - from));
                let at = first + from as u64;
                let inputs = self.inputs(&slice, at)?;
                let began = Instant::now();
                let answer = self.call(&inputs, slice.num_rows(), at)?;
                done.engine_ns += u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
                out.write(&Self::joined(&slice, &answer, sheet, at)?)?;
                from += slice.num_rows();
                sheet.rows.fetch_add(slice.num_rows() as u64, Ordering::Relaxed);
            }
            done.rows += rows.num_rows() as u64;
        }
        if done.rows != shard.rows {
            return Err(BatchError::Count { first: shard.first, counted: shard.rows, read: done.rows });
        }
        out.finish()?;
        std::fs::rename(&unfinished, part).map_err(|e| BatchError::writing(part, e))?;
        Ok(Some(done))
    }

    /// The input's columns, the model's, and which prediction it is.
    fn joined(
        rows: &RecordBatch,
        answer: &[NamedTensor],
        sheet: &Sheet,
        first: u64,
    ) -> Result<RecordBatch, BatchError> {
        let n = rows.num_rows();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(sheet.schema.fields().len());
        for (column, field) in rows.columns().iter().zip(sheet.schema.fields()) {
            let typed = (column.data_type() != field.data_type())
                .then(|| csv::typed(column.as_string_opt()?, field.data_type()))
                .flatten();
            columns.push(typed.unwrap_or_else(|| Arc::clone(column)));
        }
        columns.extend(sheet.outputs.columns(answer, n, first)?);
        columns.push(Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&sheet.id, n))));
        let numbers = (first..first + n as u64).map(|row| i64::try_from(row).unwrap_or(i64::MAX));
        columns.push(Arc::new(Int64Array::from_iter_values(numbers)));
        RecordBatch::try_new(Arc::clone(&sheet.schema), columns).map_err(|e| BatchError::Broken(e.to_string()))
    }
}
