//! Rows that fail while the others go on: what is a row's own failure, which rows of a call it is, and where it is
//! told.

use crate::error::BatchError;
use crate::run::MEASURED;
use crate::work::Work;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use mainspring_core::tensor::NamedTensor;
use mainspring_engine::EngineError;
use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// Rows of a call by which rows are looked for that do not fail: enough to be quick, few to try again one by one.
const TRIED: usize = 4096;

/// What becomes of a row that does not fit the model, or that the model refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// It ends the run.
    #[default]
    Fail,
    /// It is left out of the output and told in a file beside it.
    Skip,
    /// It stays, without an answer, and a column says why.
    Keep,
}

impl OnError {
    /// The word for it: `skip`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Skip => "skip",
            Self::Keep => "keep",
        }
    }
}

impl fmt::Display for OnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for OnError {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Fail, Self::Skip, Self::Keep];
        all.into_iter().find(|o| o.as_str() == text).ok_or_else(|| format!("{text:?} is none of fail, skip and keep"))
    }
}

/// Whether an answer to so many rows, the first of which has that number, can be joined to them.
pub(crate) type Answered<'a> = &'a dyn Fn(&[NamedTensor], usize, u64) -> Result<(), BatchError>;
/// What is done with rows whose fate is known.
pub(crate) type Take<'a> = &'a mut dyn FnMut(Piece) -> Result<(), BatchError>;

/// Consecutive rows that share their fate.
#[derive(Debug)]
pub(crate) enum Piece {
    /// They have an answer.
    Good {
        /// The input's columns.
        rows: RecordBatch,
        /// Number of the first of them.
        first: u64,
        /// The model's.
        answer: Vec<NamedTensor>,
    },
    /// One that has none.
    Bad {
        /// The input's columns.
        row: RecordBatch,
        /// Why.
        failure: Failure,
    },
}

/// Why a row has no answer: a line of the file that tells of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Failure {
    /// From 0.
    pub row: u64,
    /// The column, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    pub error: String,
}

impl Failure {
    /// `column "income": the model takes double, the row has "plenty"`.
    pub fn in_words(&self) -> String {
        match &self.column {
            Some(column) => format!("column {column:?}: {}", self.error),
            None => self.error.clone(),
        }
    }
}

/// The row that an error is about, when it says one.
fn row_of(error: &BatchError) -> Option<u64> {
    match error {
        BatchError::Value { row, .. } | BatchError::Row { row, .. } | BatchError::NotText { row, .. } => Some(*row),
        _ => None,
    }
}

/// Whether other rows may do better: not when the worker is gone, the columns are others, the disk is full.
fn is_a_rows(error: &BatchError) -> bool {
    match error {
        BatchError::Rows { source, .. } | BatchError::Row { source, .. } => matches!(source, EngineError::Run { .. }),
        other => row_of(other).is_some(),
    }
}

fn failure(row: u64, error: &BatchError) -> Failure {
    match error {
        BatchError::Value { column, expected, got, .. } => Failure {
            row,
            column: Some(column.clone()),
            error: format!("the model takes {expected}, the row has {got}"),
        },
        BatchError::Row { source, .. } | BatchError::Rows { source, .. } => {
            Failure { row, column: None, error: source.to_string() }
        }
        other => Failure { row, column: None, error: other.to_string() },
    }
}

impl Work {
    /// Runs rows, the first of which is row `first`, and hands out what becomes of them, in their order.
    ///
    /// # Errors
    /// What is no single row's failure, and what `take` says.
    pub fn pieces(
        &self,
        (rows, first): (&RecordBatch, u64),
        answered: Answered<'_>,
        take: Take<'_>,
    ) -> Result<(), BatchError> {
        let n = rows.num_rows();
        if n == 0 {
            return Ok(());
        }
        let tried = self.inputs(rows, first).and_then(|inputs| {
            let answer = self.run(&inputs).map_err(|source| match source {
                EngineError::Run { .. } => BatchError::Rows { first, last: first + n as u64 - 1, source },
                other => BatchError::Engine(other),
            })?;
            answered(&answer, n, first).map(|()| answer)
        });
        let error = match tried {
            Ok(answer) => return take(Piece::Good { rows: rows.clone(), first, answer }),
            Err(error) if !is_a_rows(&error) => return Err(error),
            Err(error) => error,
        };
        if n == 1 {
            return take(Piece::Bad { row: rows.clone(), failure: failure(first, &error) });
        }
        let at = row_of(&error).and_then(|row| usize::try_from(row.checked_sub(first)?).ok()).filter(|at| *at < n);
        let (from, to) = match at {
            // It is told already; what is around it is tried.
            Some(at) => (at, at + 1),
            None => (n / 2, n / 2),
        };
        self.pieces((&rows.slice(0, from), first), answered, take)?;
        if from < to {
            let row = rows.slice(from, 1);
            take(Piece::Bad { row, failure: failure(first + from as u64, &error) })?;
        }
        self.pieces((&rows.slice(to, n - to), first + to as u64), answered, take)
    }

    /// Of the first rows, those that do not fail: to measure with, and to learn from.
    pub fn good_rows(&self, first: &RecordBatch) -> Result<RecordBatch, BatchError> {
        let call = self.model.fixed_rows()?.unwrap_or(TRIED);
        let mut good = Vec::new();
        for from in (0..first.num_rows().min(MEASURED)).step_by(call) {
            let rows = first.slice(from, call.min(first.num_rows() - from));
            self.pieces((&rows, 0), &|_, _, _| Ok(()), &mut |piece| {
                if let Piece::Good { rows, .. } = piece {
                    good.push(rows);
                }
                Ok(())
            })?;
        }
        concat_batches(&self.source.schema, &good).map_err(|e| BatchError::Broken(e.to_string()))
    }
}
