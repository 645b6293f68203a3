//! What is asked for.

use bytes::Bytes;
use mainspring_engine::Environment;

/// A conversion or an optimisation to be run.
#[derive(Debug, Clone)]
pub struct Order {
    /// The model: `churn@champion`, `churn/3`, or the same behind `models:/`.
    pub model: String,
    /// What to do with it.
    pub task: Task,
    /// Where the packages of the model come from; the exporters are put beside them.
    pub environment: Environment,
    /// Rows to compare on, instead of the run's dataset or the input example.
    pub rows: Option<Rows>,
}

/// What to do with a model.
#[derive(Debug, Clone, PartialEq)]
pub enum Task {
    /// Export it to ONNX; answers may differ by the tolerance.
    Convert(Tolerance),
    /// Make variants of an ONNX model; the fastest behind the gate is registered.
    Optimize(Gate),
}

impl Task {
    /// `convert` or `optimize`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Convert(_) => "convert",
            Self::Optimize(_) => "optimize",
        }
    }
}

/// How far numbers may be apart: by `absolute + relative * |the model's own value|`. Labels, whole numbers
/// and truth values may not differ at all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Share of the value.
    pub relative: f64,
    /// Beside it.
    pub absolute: f64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { relative: 1e-4, absolute: 1e-5 }
    }
}

/// What a variant must reach.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// Share of rows, 0 to 1, that must get the same answer: the same label, or numbers within `closeness`.
    pub agreement: f64,
    /// How far numbers may be apart, as a share of the value and of the spread of the answers.
    pub closeness: f64,
    /// Column of the rows with the true answers; with it, the accuracy decides instead of the agreement.
    pub label: Option<String>,
    /// How much accuracy (or R², for numbers) may be lost, 0 to 1.
    pub drop: f64,
}

impl Default for Gate {
    fn default() -> Self {
        Self { agreement: 0.99, closeness: 0.01, label: None, drop: 0.005 }
    }
}

/// A file of rows.
#[derive(Debug, Clone)]
pub struct Rows {
    /// Its name; the ending says the format.
    pub name: String,
    /// Its content.
    pub content: Bytes,
}

/// The formats of rows, by the endings of their files.
const FORMATS: [(&str, &str); 8] = [
    ("csv", "csv"),
    ("parquet", "parquet"),
    ("pq", "parquet"),
    ("json", "json"),
    ("jsonl", "json"),
    ("ndjson", "json"),
    ("npy", "npy"),
    ("npz", "npz"),
];

impl Rows {
    /// The format, by the name's ending.
    pub fn format(&self) -> Option<&'static str> {
        let ending = self.name.rsplit_once('.')?.1.to_ascii_lowercase();
        FORMATS.iter().find(|(e, _)| *e == ending).map(|(_, format)| *format)
    }
}

impl Order {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// What is wrong, naming the field and its value.
    pub fn validate(&self) -> Result<(), String> {
        let share = |name: &str, value: f64| {
            if (0.0..=1.0).contains(&value) {
                Ok(())
            } else {
                Err(format!("{name} is {value}; it must be between 0 and 1"))
            }
        };
        match &self.task {
            Task::Convert(tolerance) => {
                share("the relative tolerance", tolerance.relative)?;
                if !(tolerance.absolute >= 0.0 && tolerance.absolute.is_finite()) {
                    return Err(format!("the absolute tolerance is {}; it must be 0 or more", tolerance.absolute));
                }
            }
            Task::Optimize(gate) => {
                share("agreement", gate.agreement)?;
                share("closeness", gate.closeness)?;
                share("the accuracy that may be lost", gate.drop)?;
            }
        }
        match &self.rows {
            Some(rows) if rows.format().is_none() => {
                let known: Vec<&str> = FORMATS.iter().map(|(ending, _)| *ending).collect();
                Err(format!(
                    "{:?} does not say its format; its name must end in one of {}",
                    rows.name,
                    known.join(", ")
                ))
            }
            _ => Ok(()),
        }
    }
}
