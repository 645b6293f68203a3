//! Live rows as a side of an estimate: which of their columns is what.

use super::{Estimated, Question, Unanswered, estimate};
use crate::column::{Kind, numbers};
use crate::error::MonitorError;
use crate::performance::{predicted, scored};
use crate::segment::{Kept, LABEL};
use crate::table::Table;
use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use std::collections::HashSet;

/// The column with the moment at which a live row came.
pub(super) const AT: &str = "at";
/// What the columns of a file are called where nobody says.
const PREDICTION: &str = "prediction";
/// Whole numbers up to which labels are classes.
const MOST_CLASSES: usize = 20;

/// One side.
#[derive(Debug)]
pub enum Source {
    /// A table in a file.
    File(Table),
    /// Live rows, and what they are called.
    Live(Kept, String),
}

/// What is asked; what is left out is found out of live rows.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Column of a file with what was true.
    pub label: String,
    /// The prediction. Beside a reference in a file it may be `NAME=OUTPUT`: the file's column, and the live rows' output.
    pub prediction: Option<String>,
    /// The probabilities, likewise; of a file without them it is a regression.
    pub scores: Vec<String>,
    /// As [`Question::positive`].
    pub positive: Option<String>,
    /// As [`Question::features`], of a file.
    pub features: Vec<String>,
    /// As [`Question::chunks`].
    pub chunks: usize,
}

/// `NAME=OUTPUT` as both; the output is the name where there is one.
fn pair(text: &str) -> (&str, &str) {
    text.split_once('=').unwrap_or((text, text))
}

/// Learns from the reference and estimates the current side. Blocks.
///
/// # Errors
/// [`MonitorError`] when a file cannot be read, something is not there, or there is nothing to go by.
pub fn estimate_sources(reference: Source, current: Source, asked: &Asked) -> Result<Estimated, MonitorError> {
    match (reference, current) {
        (Source::File(reference), Source::File(current)) => estimate(&reference, &current, &of_file(asked)),
        (Source::File(reference), Source::Live(kept, name)) => {
            let question = of_file(asked);
            let current = like_file(&kept, &name, (&reference, &question), asked)?;
            estimate(&reference, &current, &question)
        }
        (Source::Live(reference, name), Source::Live(current, other)) => {
            let question = of_live(&reference, &name, asked)?;
            let columns = columns(&question).map(|column| (column.clone(), column)).collect::<Vec<_>>();
            let tables = [(&reference, &name), (&current, &other)].map(|(kept, name)| called(kept, name, &columns));
            let [reference, current] = tables;
            estimate(&reference?, &current?, &question)
        }
        (Source::Live(..), Source::File(current)) => {
            Err(Unanswered::Reference(current.file().display().to_string()).into())
        }
    }
}

fn of_file(asked: &Asked) -> Question {
    let own = |text: &String| pair(text).0.to_owned();
    Question {
        label: asked.label.clone(),
        prediction: asked.prediction.as_ref().map_or_else(|| PREDICTION.to_owned(), own),
        scores: asked.scores.iter().map(own).collect(),
        positive: asked.positive.clone(),
        features: asked.features.clone(),
        chunks: asked.chunks,
    }
}

/// All columns that are asked about, without the label.
fn columns(question: &Question) -> impl Iterator<Item = String> {
    let all = std::iter::once(&question.prediction).chain(&question.scores).chain(&question.features);
    all.cloned()
}

/// Those of live rows, in the place of the columns that a file has.
fn like_file(
    kept: &Kept,
    name: &str,
    (file, question): (&Table, &Question),
    asked: &Asked,
) -> Result<Table, MonitorError> {
    let find = |text: &str, sides: [&str; 2]| {
        let there = |column: &String| kept.gives(column);
        std::iter::once(text.to_owned()).chain(sides.map(|side| format!("{side}{text}"))).find(there)
    };
    let mut found = Vec::new();
    let prediction = asked.prediction.as_deref().unwrap_or(PREDICTION);
    for text in std::iter::once(prediction).chain(asked.scores.iter().map(String::as_str)) {
        let (column, output) = pair(text);
        let live = find(output, ["out.", "in."]).ok_or_else(|| Unanswered::Output {
            of: name.to_owned(),
            name: output.to_owned(),
            there: kept.outputs(),
        })?;
        found.push((column.to_owned(), live));
    }
    // Only a regression asks for inputs, and takes those that both sides have unless they are named.
    let inputs: Vec<String> = match &question.features[..] {
        [] => file.schema().fields().iter().map(|field| field.name().clone()).collect(),
        named => named.to_vec(),
    };
    let taken: HashSet<String> = found.iter().map(|(column, _)| column.clone()).collect();
    for column in inputs.into_iter().filter(|column| !taken.contains(column) && *column != question.label) {
        found.extend(find(&column, ["in.", "out."]).map(|live| (column, live)));
    }
    if kept.has(LABEL) {
        found.push((question.label.clone(), LABEL.to_owned()));
    }
    called(kept, name, &found)
}

/// What is asked of live rows that are the reference.
fn of_live(kept: &Kept, name: &str, asked: &Asked) -> Result<Question, MonitorError> {
    let outputs = || kept.outputs().into_iter().map(|output| (output.clone(), kept.kind(&output)));
    let named: Vec<(String, String)> =
        outputs().filter_map(|(output, kind)| Some((output, kind?.to_string()))).collect();
    let named = || named.iter().map(|(output, kind)| (output.as_str(), kind.clone()));
    let output = |text: &String| {
        let there = [text.clone(), format!("out.{text}")].into_iter().find(|column| kept.gives(column));
        there.ok_or_else(|| Unanswered::Output { of: name.to_owned(), name: text.clone(), there: kept.outputs() })
    };
    let prediction = match &asked.prediction {
        Some(text) => output(text)?,
        None => predicted(named()).ok_or_else(|| Unanswered::Output {
            of: name.to_owned(),
            name: PREDICTION.to_owned(),
            there: kept.outputs(),
        })?,
    };
    let mut scores = asked.scores.iter().map(output).collect::<Result<Vec<_>, _>>()?;
    if scores.is_empty() && are_classes(kept, &prediction) {
        let found = scored(named()).filter(|score| *score != prediction);
        scores.push(found.ok_or_else(|| Unanswered::Scores(name.to_owned()))?);
    }
    let scores = scores.into_iter().flat_map(|score| kept.elements(&score)).collect::<Vec<_>>();
    let features = if scores.is_empty() { kept.scalars("in.") } else { Vec::new() };
    let (positive, chunks) = (asked.positive.clone(), asked.chunks);
    Ok(Question { label: LABEL.to_owned(), prediction, scores, positive, features, chunks })
}

/// Whether what was true and what was predicted are classes: texts, true and false, or a few whole numbers.
fn are_classes(kept: &Kept, prediction: &str) -> bool {
    let kinds = [LABEL, prediction].map(|column| kept.kind(column).map(|kind| Kind::of(&kind)));
    if kinds.iter().flatten().any(|kind| matches!(kind, Kind::Text | Kind::Boolean)) {
        return true;
    }
    let (mut different, mut whole) = (HashSet::new(), true);
    for column in [LABEL, prediction].into_iter().flat_map(|name| kept.column(name)) {
        let seen = numbers(&column, |value| {
            if let Some(value) = value.filter(|value| value.is_finite()) {
                whole &= value == value.trunc();
                if different.len() <= MOST_CLASSES {
                    different.insert(value.to_bits());
                }
            }
        });
        whole &= seen.is_ok();
    }
    whole && different.len() <= MOST_CLASSES
}

/// Live rows with these of their columns, each by its new name, with the moments at which they came and with their labels, where
/// these are known. The first column is the prediction: labels that are true and false are numbers beside numbers, and the other way round.
fn called(kept: &Kept, name: &str, columns: &[(String, String)]) -> Result<Table, MonitorError> {
    let kind = |column: &str| kept.kind(column).map(|kind| Kind::of(&kind));
    let written = match (columns.first().and_then(|(_, live)| kind(live)), kind(LABEL)) {
        (Some(Kind::Integer | Kind::Number), Some(Kind::Boolean)) => Some(DataType::Float64),
        (Some(Kind::Boolean), Some(Kind::Number)) => Some(DataType::Boolean),
        _ => None,
    };
    let mut all: Vec<(&str, &str, Option<&DataType>)> =
        columns.iter().map(|(column, live)| (column.as_str(), live.as_str(), None)).collect();
    for more in [AT, LABEL] {
        if kept.has(more) && !all.iter().any(|(column, live, _)| *column == more || *live == more) {
            all.push((more, more, None));
        }
    }
    for (_, live, kind) in &mut all {
        if *live == LABEL {
            *kind = written.as_ref();
        }
    }
    kept.called(name, &all).map_err(|e| MonitorError::read(name.as_ref(), "journal", e))
}

impl Kept {
    /// Whether it is an input or an output: what turned out to be true is called `label` beside them, and so may an output be.
    fn gives(&self, column: &str) -> bool {
        (column.starts_with("in.") || column.starts_with("out.")) && self.has(column)
    }

    /// The names of its outputs.
    fn outputs(&self) -> Vec<String> {
        self.names().into_iter().filter(|name| name.starts_with("out.")).collect()
    }

    /// Inputs (`in.`) that hold one value a row.
    fn scalars(&self, side: &str) -> Vec<String> {
        let plain = |name: &String| self.kind(name).is_some_and(|kind| Kind::of(&kind) != Kind::Other);
        self.names().into_iter().filter(|name| name.starts_with(side) && plain(name)).collect()
    }

    /// A column for each element of a list of numbers; what is no list is itself.
    fn elements(&self, column: &str) -> Vec<String> {
        let width = |list: &arrow::array::ArrayRef| {
            let list = list.as_list_opt::<i32>()?;
            (0..list.len()).map(|row| list.value_length(row)).max()
        };
        match self.kind(column) {
            Some(DataType::List(_)) => {
                let most = self.column(column).iter().filter_map(width).max().unwrap_or(0);
                (0..most).map(|place| format!("{column}[{place}]")).collect()
            }
            _ => vec![column.to_owned()],
        }
    }
}
