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
use crate::tolerate::{Failure, OnError, Piece};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use mainspring_core::tensor::NamedTensor;
use mainspring_engine::{EngineError, RunCx};
use std::io::Write;
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
    /// Those of them that are not the input's.
    pub added: SchemaRef,
    pub format: Format,
    pub id: String,
    pub batch_rows: usize,
    /// Rows done by now, for whoever watches.
    pub rows: AtomicU64,
    /// Another thread failed.
    pub stop: AtomicBool,
    pub on_error: OnError,
    /// Rows that failed by now, and how many may.
    pub failures: AtomicU64,
    pub max_errors: Option<u64>,
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

    /// One call, as the engine answers it.
    pub fn run(&self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>, EngineError> {
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

    /// Runs one shard and leaves its part at `part`, and beside it what is told of rows that failed.
    pub fn shard(
        &self,
        shard: &Shard,
        sheet: &Sheet,
        (part, told): (&Path, &Path),
    ) -> Result<Option<Done>, BatchError> {
        let unfinished = part.with_extension("next");
        let carried = self.source.read.is_some();
        let mut out = if carried {
            Part::carry(&unfinished, &self.source, shard, (&sheet.schema, &sheet.added))?
        } else {
            Part::create(&unfinished, sheet.format, &sheet.schema)?
        };
        let mut done = Done { rows: 0, engine_ns: 0, failed: 0 };
        let mut failures = Vec::new();
        for rows in Rows::open(&self.source, shard, sheet.batch_rows.max(READ))? {
            let (first, rows) = rows?;
            let mut from = 0;
            while from < rows.num_rows() {
                if sheet.stop.load(Ordering::Relaxed) {
                    return Ok(None);
                }
                let slice = rows.slice(from, sheet.batch_rows.min(rows.num_rows() - from));
                let at = first + from as u64;
                if sheet.on_error == OnError::Fail {
                    let inputs = self.inputs(&slice, at)?;
                    let began = Instant::now();
                    let answer = self.call(&inputs, slice.num_rows(), at)?;
                    done.engine_ns += nanos(began);
                    out.write(&if carried {
                        Self::added(slice.num_rows(), Some(&answer), sheet, (at, None))?
                    } else {
                        Self::joined(&slice, Some(&answer), sheet, (at, None))?
                    })?;
                } else {
                    let began = Instant::now();
                    let before = failures.len();
                    self.tolerant((&slice, at), sheet, &mut out, &mut failures)?;
                    // With the joining of its answers, which is little beside it.
                    done.engine_ns += nanos(began);
                    sheet.failed(&failures[before..])?;
                }
                from += slice.num_rows();
                sheet.rows.fetch_add(slice.num_rows() as u64, Ordering::Relaxed);
            }
            done.rows += rows.num_rows() as u64;
        }
        if done.rows != shard.rows {
            return Err(BatchError::Count { first: shard.first, counted: shard.rows, read: done.rows });
        }
        done.failed = failures.len() as u64;
        if !failures.is_empty() {
            tell(told, &failures)?;
        }
        out.finish()?;
        std::fs::rename(&unfinished, part).map_err(|e| BatchError::writing(part, e))?;
        Ok(Some(done))
    }

    /// Rows of which some may fail.
    fn tolerant(
        &self,
        rows: (&RecordBatch, u64),
        sheet: &Sheet,
        out: &mut Part,
        failures: &mut Vec<Failure>,
    ) -> Result<(), BatchError> {
        let answered = |answer: &[NamedTensor], n: usize, at: u64| sheet.outputs.columns(answer, n, at).map(drop);
        self.pieces(rows, &answered, &mut |piece| match piece {
            Piece::Good { rows, first, answer } => {
                out.write(&Self::joined(&rows, Some(&answer), sheet, (first, None))?)
            }
            Piece::Bad { row, failure } => {
                if sheet.on_error == OnError::Keep {
                    out.write(&Self::joined(&row, None, sheet, (failure.row, Some(&failure)))?)?;
                }
                failures.push(failure);
                Ok(())
            }
        })
    }

    /// The input's columns, the model's, which prediction it is, and why a row has no answer.
    fn joined(
        rows: &RecordBatch,
        answer: Option<&[NamedTensor]>,
        sheet: &Sheet,
        (first, failure): (u64, Option<&Failure>),
    ) -> Result<RecordBatch, BatchError> {
        let n = rows.num_rows();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(sheet.schema.fields().len());
        for (column, field) in rows.columns().iter().zip(sheet.schema.fields()) {
            let typed = (column.data_type() != field.data_type())
                .then(|| csv::typed(column.as_string_opt()?, field.data_type()))
                .flatten();
            columns.push(typed.unwrap_or_else(|| Arc::clone(column)));
        }
        columns.extend(Self::added(n, answer, sheet, (first, failure))?.columns().iter().cloned());
        RecordBatch::try_new(Arc::clone(&sheet.schema), columns).map_err(|e| BatchError::Broken(e.to_string()))
    }

    /// The columns that are not the input's.
    fn added(
        n: usize,
        answer: Option<&[NamedTensor]>,
        sheet: &Sheet,
        (first, failure): (u64, Option<&Failure>),
    ) -> Result<RecordBatch, BatchError> {
        let mut columns = match answer {
            Some(answer) => sheet.outputs.columns(answer, n, first)?,
            None => sheet.outputs.gap(),
        };
        columns.push(Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&sheet.id, n))));
        let numbers = (first..first + n as u64).map(|row| i64::try_from(row).unwrap_or(i64::MAX));
        columns.push(Arc::new(Int64Array::from_iter_values(numbers)));
        if sheet.on_error == OnError::Keep {
            let why = std::iter::repeat_n(failure.map(Failure::in_words), n);
            columns.push(Arc::new(why.collect::<StringArray>()));
        }
        RecordBatch::try_new(Arc::clone(&sheet.added), columns).map_err(|e| BatchError::Broken(e.to_string()))
    }
}

fn nanos(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Writes down rows that failed, a JSON object a line, on disk before their part counts.
fn tell(path: &Path, failures: &[Failure]) -> Result<(), BatchError> {
    let mut text = Vec::new();
    for failure in failures {
        serde_json::to_writer(&mut text, failure).map_err(|e| BatchError::Broken(e.to_string()))?;
        text.push(b'\n');
    }
    let write = || std::fs::File::create(path).and_then(|mut f| f.write_all(&text).and_then(|()| f.sync_all()));
    write().map_err(|e| BatchError::writing(path, e))
}

impl Sheet {
    /// Counts rows that failed.
    fn failed(&self, more: &[Failure]) -> Result<(), BatchError> {
        let Some(last) = more.last() else { return Ok(()) };
        let failed = self.failures.fetch_add(more.len() as u64, Ordering::Relaxed) + more.len() as u64;
        match self.max_errors {
            Some(allowed) if failed > allowed => {
                Err(BatchError::TooMany { failed, allowed, row: last.row, reason: last.in_words() })
            }
            _ => Ok(()),
        }
    }
}
