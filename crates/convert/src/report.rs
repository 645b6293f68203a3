//! What the Python programs report: measurements, without a verdict.

use serde::Deserialize;

/// A report, or a sentence why there is none.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Report<T> {
    Refused { refused: String },
    Whole(T),
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RowsUsed {
    pub from: String,
    pub count: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct FailedWay {
    pub name: String,
    pub reason: String,
}

/// What `convert.py` found out.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Converted {
    pub framework: String,
    pub what: String,
    /// `array`, `frame` or `map`: what the Python model answers with.
    pub form: String,
    pub rows: RowsUsed,
    pub candidates: Vec<Measured>,
    pub failed: Vec<FailedWay>,
}

/// What `optimize.py` found out; the first variant is the model as it is.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Optimized {
    pub rows: RowsUsed,
    /// `accuracy` or `r2`, when there are labels.
    pub measure: Option<String>,
    pub variants: Vec<Measured>,
    pub failed: Vec<FailedWay>,
}

/// One exported file.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Measured {
    pub name: String,
    pub path: String,
    pub bytes: u64,
    /// Rows in which every output agrees.
    pub agreeing: u64,
    pub outputs: Vec<Compared>,
    pub one_ns: u64,
    pub batch_ns: u64,
    pub batch_rows: u64,
    #[serde(default)]
    pub python_one_ns: u64,
    #[serde(default)]
    pub python_batch_ns: u64,
    #[serde(default)]
    pub score: Option<f64>,
}

impl Measured {
    /// How much of the tolerance the worst value takes, over all outputs.
    pub fn share(&self) -> f64 {
        self.outputs.iter().map(|o| o.share).fold(0.0, f64::max)
    }
}

/// One output of it beside the model's own.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Compared {
    pub name: String,
    /// `equal` or `close`.
    pub rule: String,
    pub differing: u64,
    /// How much of the tolerance the worst value takes; above 1 it differs.
    pub share: f64,
    pub worst: Worst,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Worst {
    pub row: u64,
    pub expected: String,
    pub got: String,
    #[serde(default)]
    pub difference: Option<f64>,
}
