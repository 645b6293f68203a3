//! What a job found out, with the verdicts.

use serde::{Deserialize, Serialize};

/// How long calls take and how large the model is.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Speed {
    /// One row, nanoseconds.
    pub one_ns: u64,
    /// A batch, nanoseconds.
    pub batch_ns: u64,
    /// Bytes; 0 when that says nothing.
    pub bytes: u64,
}

/// What a job found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// The version looked at: `models:/churn/3`.
    pub source: String,
    /// Framework and model: `scikit-learn`, `Pipeline(StandardScaler, LogisticRegression)`.
    pub what: Option<(String, String)>,
    /// Where the rows are from.
    pub rows_from: String,
    /// How many there were.
    pub rows: u64,
    /// Rows of the batch that was measured.
    pub batch_rows: u64,
    /// What had to be reached, in words.
    pub rule: String,
    /// `accuracy` or `r2`, when labels decided.
    pub measure: Option<String>,
    /// What it was compared with: the Python model, or the ONNX model as it is.
    pub before: Speed,
    /// Accuracy of what it was compared with.
    pub score: Option<f64>,
    /// What was made, in the order in which it was tried.
    pub candidates: Vec<Candidate>,
    /// What could not be made, and why.
    pub failed: Vec<Failed>,
    /// Which candidate is the one to register.
    pub chosen: Option<usize>,
}

/// One thing that was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// How: `float64`, `int8-static`.
    pub name: String,
    /// Its file.
    pub path: String,
    /// Its speed and size.
    pub speed: Speed,
    /// Rows that got the same answer.
    pub agreeing: u64,
    /// Accuracy, when there are labels.
    pub score: Option<f64>,
    /// Its outputs beside the model's own, the one that is furthest from it first.
    pub outputs: Vec<Output>,
    /// Why it may not be used; `None` when it may.
    pub refused: Option<String>,
}

/// An output beside the model's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// Whether it has to be the same; else near.
    pub equal: bool,
    /// Rows that differ by more than is allowed.
    pub differing: u64,
    /// The worst row, from 0.
    pub row: u64,
    /// What the model says there.
    pub expected: String,
    /// What the candidate says there.
    pub got: String,
    /// How far apart the two numbers are.
    pub difference: Option<f64>,
}

/// One thing that could not be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// How it was tried.
    pub name: String,
    /// Why it failed.
    pub reason: String,
}

/// A proof on fewer rows than this says little of the others.
const FEW: u64 = 30;

impl Findings {
    /// What whoever relies on the proof should know.
    pub fn warnings(&self) -> Vec<String> {
        let passed = self.candidates.iter().any(|c| c.refused.is_none());
        if !passed || self.rows >= FEW {
            return Vec::new();
        }
        let were = if self.rows == 1 { "row was" } else { "rows were" };
        vec![format!(
            "only {} {were} compared, from {}, and the proof holds for no others; give more with --data FILE",
            self.rows, self.rows_from
        )]
    }

    /// What is to be registered.
    pub fn winner(&self) -> Option<&Candidate> {
        self.chosen.and_then(|at| self.candidates.get(at))
    }

    /// How many times as fast as before, for one row and for a batch.
    pub fn times(&self, speed: &Speed) -> (f64, f64) {
        let ratio = |before: u64, after: u64| before as f64 / after.max(1) as f64;
        (ratio(self.before.one_ns, speed.one_ns), ratio(self.before.batch_ns, speed.batch_ns))
    }
}
