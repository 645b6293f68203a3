//! Why performance cannot be estimated.

/// Why a file's performance cannot be estimated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// No such column.
    #[error("{file} has no column {name:?}")]
    Column {
        /// The file.
        file: String,
        /// The column.
        name: String,
    },
    /// A column of another kind.
    #[error("column {name:?} of {file} holds no numbers")]
    Numbers {
        /// The file.
        file: String,
        /// The column.
        name: String,
    },
    /// Probabilities and classes do not go together.
    #[error("there are {scores} columns of probabilities and {classes} classes in the reference's labels: {names}")]
    Classes {
        /// Columns.
        scores: usize,
        /// Classes.
        classes: usize,
        /// Their names.
        names: String,
    },
    /// A probability that is not that of the positive class.
    #[error("column {score:?} is not the probability of {class:?}: {why}")]
    Whose {
        /// The column.
        score: String,
        /// The class.
        class: String,
        /// How that is known.
        why: String,
    },
    /// A class that is looked for, and none of two.
    #[error("a positive class is one of two; there are {names}, and not {class:?} of two")]
    Positive {
        /// What was asked for.
        class: String,
        /// What there is.
        names: String,
    },
    /// A prediction that the reference's labels do not have.
    #[error("{file} predicts {class:?}, which is none of the reference's labels")]
    Class {
        /// The file.
        file: String,
        /// The prediction.
        class: String,
    },
    /// Classes whose probabilities nobody knows.
    #[error("{0} has no output with probabilities, and what was true are classes")]
    Scores(String),
    /// Live rows without such an output, or with several that may be meant.
    #[error("{of} has no output called {name:?}; there are {}", .there.join(", "))]
    Output {
        /// Whose rows.
        of: String,
        /// What is looked for.
        name: String,
        /// What there is.
        there: Vec<String>,
    },
    /// A file beside live rows as a reference.
    #[error("{0} is a file, and live rows are a reference for live rows only")]
    Reference(String),
    /// Nothing to go by.
    #[error(transparent)]
    Little(#[from] mainspring_stats::estimate::NoEstimate),
    /// A current file without a row that can be used.
    #[error("{0} has no row with everything that is needed")]
    Empty(String),
}
