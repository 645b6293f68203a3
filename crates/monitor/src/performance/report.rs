//! What is said of predictions.

use mainspring_core::Timestamp;
use mainspring_stats::performance::{Bin, Measure};

/// What a model does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Says which class.
    Classification,
    /// Says a number.
    Regression,
    /// Orders the rows of a request.
    Ranking,
}

impl Task {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Classification => "classification",
            Self::Regression => "regression",
            Self::Ranking => "ranking",
        }
    }
}

impl std::str::FromStr for Task {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Classification, Self::Regression, Self::Ranking]
            .into_iter()
            .find(|t| t.as_str() == text)
            .ok_or_else(|| format!("{text:?} is no task; there are classification, regression and ranking"))
    }
}

/// Performance of a deployment in a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Found out or given.
    pub task: Task,
    /// Column with the predictions.
    pub prediction: String,
    /// Column with the probabilities, where there is one.
    pub score: Option<String>,
    /// The classes in their order.
    pub classes: Vec<String>,
    /// The one that is looked for, of two.
    pub positive: Option<String>,
    /// From the request.
    pub from: Timestamp,
    /// From the request.
    pub until: Timestamp,
    /// How late labels were; `None` without one.
    pub delay: Option<Delay>,
    /// All predictions together.
    pub overall: Group,
    /// By the columns of the request, the largest first.
    pub groups: Vec<Group>,
    /// Each group beside the largest.
    pub comparisons: Vec<Comparison>,
    /// Whether groups of inputs or outputs are treated alike, by Fairlearn's names; of two classes.
    pub fairness: Vec<Metric>,
    /// What must be known to read this.
    pub notes: Vec<String>,
}

/// How long after their predictions labels came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Delay {
    /// Half of them came earlier, seconds.
    pub median: f64,
    /// 95 % came earlier, seconds.
    pub most: f64,
    /// Predictions without a label that are younger than that: theirs may come yet.
    pub may_come: u64,
}

/// Predictions that are measured together.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Column and value of each that the request groups by.
    pub by: Vec<(String, String)>,
    /// Predicted rows.
    pub rows: u64,
    /// Those with a label.
    pub labeled: u64,
    /// Labels or predictions that could not be compared: no value, or another kind.
    pub unfit: u64,
    /// In a fixed order.
    pub metrics: Vec<Metric>,
    /// A row for each true class.
    pub confusion: Vec<Vec<u64>>,
    /// The calibration curve of the positive class.
    pub calibration: Vec<Bin>,
    /// Where the calibration error would be by chance alone.
    pub calibration_by_chance: Option<f64>,
}

/// A metric of a group.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Its name, as scikit-learn or common use has it.
    pub name: &'static str,
    /// Of which class, where it is of one.
    pub class: Option<String>,
    /// Its value with its interval.
    pub measure: Measure,
}

/// How far a group's metric is from the largest group's.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The group, by its place in the report.
    pub group: usize,
    /// The metric.
    pub name: &'static str,
    /// Of which class.
    pub class: Option<String>,
    /// This group's less the largest's.
    pub difference: Measure,
    /// This group's over the largest's; `None` where it makes no sense.
    pub ratio: Option<Measure>,
    /// Whether there is a difference, however many comparisons the report makes: all that it says this of are right
    /// together as often as an interval is (Bonferroni).
    pub differs: bool,
}
