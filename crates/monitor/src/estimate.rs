//! Performance of a file whose labels are not known, from one whose labels are.

mod read;

use crate::column::{Kind, numbers};
use crate::error::MonitorError;
use crate::said::follows;
use crate::table::Table;
use mainspring_stats::estimate::{Cbpe, Classified, Dle, Estimate, Feature, Predicted};
use mainspring_stats::presets::MISSING;
use read::{column, columns, each, each_word, kind, named, numeric, words};
use serde::Serialize;
use std::collections::HashMap;

/// What the columns are, and how the files are cut.
#[derive(Debug, Clone)]
pub struct Question {
    /// Column of the reference with what was true.
    pub label: String,
    /// Column with the prediction.
    pub prediction: String,
    /// Columns with probabilities: of two classes that of the second, else one for each class in their order. None for
    /// a regression.
    pub scores: Vec<String>,
    /// Of two classes the one that is looked for, whose probability a single column has; the second in order when left
    /// out.
    pub positive: Option<String>,
    /// For a regression, columns of inputs; all others when empty.
    pub features: Vec<String>,
    /// Parts that a file is cut into.
    pub chunks: usize,
}

/// What a file's performance probably is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Estimated {
    /// `cbpe`, or `dle`.
    pub method: &'static str,
    /// Of a classification, its classes in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// Whether probabilities were calibrated on the reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibrated: Option<bool>,
    /// Share of the variance of absolute errors that was learnt, on rows that were not seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explained: Option<f64>,
    /// Columns that the errors were learnt from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// Rows of the reference and of the current file that were used.
    pub rows: [u64; 2],
    /// Rows that were not, since something was missing.
    pub left_out: [u64; 2],
    /// Part after part of the current file.
    pub chunks: Vec<Chunk>,
    /// Whether any estimate is beyond its thresholds.
    pub alert: bool,
}

/// A part of the current file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Chunk {
    /// First row, from 0, among the rows that were used.
    pub from: u64,
    /// Rows.
    pub rows: u64,
    /// Its metrics.
    pub metrics: Vec<Estimate>,
}

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
    /// Nothing to go by.
    #[error(transparent)]
    Little(#[from] mainspring_stats::estimate::NoEstimate),
    /// A current file without a row that can be used.
    #[error("{0} has no row with everything that is needed")]
    Empty(String),
}

/// Learns from the reference and estimates the current file. Blocks.
///
/// # Errors
/// [`MonitorError`] when a file cannot be read, or there is nothing to go by.
pub fn estimate(reference: &Table, current: &Table, question: &Question) -> Result<Estimated, MonitorError> {
    if question.scores.is_empty() {
        regression(reference, current, question)
    } else {
        classifier(reference, current, question)
    }
}

/// Parts of as many rows, and what is left over.
fn parts(rows: usize, chunks: usize) -> impl Iterator<Item = (usize, usize)> {
    let size = (rows / chunks.max(1)).max(1);
    (0..rows).step_by(size).map(move |from| (from, (from + size).min(rows)))
}

/// Rows of a classifier that have everything.
struct Usable {
    given: Vec<f64>,
    said: Vec<u32>,
    truth: Vec<u32>,
    left_out: u64,
}

fn usable(
    table: &Table,
    question: &Question,
    known: &HashMap<&str, u32>,
    labels: Option<&[Option<String>]>,
) -> Result<Usable, MonitorError> {
    let said = words(table, &question.prediction)?;
    let scores = columns(table, &question.scores.iter().map(String::as_str).collect::<Vec<_>>())?;
    let mut made = Usable { given: Vec::new(), said: Vec::new(), truth: Vec::new(), left_out: 0 };
    for (row, said) in said.iter().enumerate() {
        let class = |text: &String| -> Result<u32, MonitorError> {
            let unknown = || Unanswered::Class { file: named(table), class: text.clone() };
            Ok(known.get(text.as_str()).copied().ok_or_else(unknown)?)
        };
        let truth = labels.map(|l| l[row].as_ref());
        let (Some(said), false) = (said, scores.iter().any(|s| s[row].is_nan()) || truth == Some(None)) else {
            made.left_out += 1;
            continue;
        };
        made.said.push(class(said)?);
        if let Some(Some(truth)) = truth {
            made.truth.push(class(truth)?);
        }
        if let [one] = &scores[..] {
            made.given.extend([1.0 - one[row], one[row]]);
        } else {
            made.given.extend(scores.iter().map(|s| s[row]));
        }
    }
    Ok(made)
}

/// The classes in their order, the positive one of two last; and whether it was the first.
fn classes(labels: &[Option<String>], question: &Question) -> Result<(Vec<String>, bool), MonitorError> {
    const SHOWN: usize = 10;
    let mut classes: Vec<String> = labels.iter().flatten().cloned().collect();
    classes.sort_unstable();
    classes.dedup();
    if classes.iter().all(|c| c.parse::<f64>().is_ok()) {
        let number = |c: &String| c.parse::<f64>().unwrap_or(f64::NAN);
        classes.sort_by(|a, b| number(a).total_cmp(&number(b)));
    }
    let names = || classes.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    let scores = question.scores.len();
    if classes.len() < 2 || (scores != classes.len() && !(scores == 1 && classes.len() == 2)) {
        return Err(Unanswered::Classes { scores, classes: classes.len(), names: names() }.into());
    }
    let Some(positive) = &question.positive else { return Ok((classes, false)) };
    match &classes[..] {
        [first, second] if positive == first || positive == second => {
            let turned = positive == first;
            if turned {
                classes.reverse();
            }
            Ok((classes, turned))
        }
        _ => Err(Unanswered::Positive { class: positive.clone(), names: names() }.into()),
    }
}

fn classifier(reference: &Table, current: &Table, question: &Question) -> Result<Estimated, MonitorError> {
    let labels = words(reference, &question.label)?;
    let (classes, turned) = classes(&labels, question)?;
    let mut question = question.clone();
    if turned {
        // A column for each class is in the classes' own order.
        question.scores.reverse();
    }
    let question = &question;
    let known: HashMap<&str, u32> = classes.iter().enumerate().map(|(at, c)| (c.as_str(), at as u32)).collect();
    let before = usable(reference, question, &known, Some(&labels))?;
    if let [score] = &question.scores[..] {
        let rows = before.given.chunks(2).zip(&before.said).map(|(given, said)| (given[1], *said == 1));
        follows(rows).map_err(|why| Unanswered::Whose { score: score.clone(), class: classes[1].clone(), why })?;
    }
    let now = usable(current, question, &known, None)?;
    if now.said.is_empty() {
        return Err(Unanswered::Empty(named(current)).into());
    }
    let k = classes.len();
    let rows = Classified { classes: k, given: &before.given, said: &before.said };
    let cbpe = Cbpe::fit(rows, &before.truth, question.chunks).map_err(Unanswered::from)?;
    let chunk = |(from, until): (usize, usize)| {
        let rows = Classified { classes: k, given: &now.given[from * k..until * k], said: &now.said[from..until] };
        Chunk { from: from as u64, rows: (until - from) as u64, metrics: cbpe.estimate(rows) }
    };
    let chunks: Vec<Chunk> = parts(now.said.len(), question.chunks).map(chunk).collect();
    Ok(Estimated {
        method: "cbpe",
        calibrated: Some(cbpe.is_calibrated()),
        explained: None,
        features: Vec::new(),
        rows: [before.said.len() as u64, now.said.len() as u64],
        left_out: [before.left_out, now.left_out],
        alert: chunks.iter().any(|c| c.metrics.iter().any(|m| m.alert)),
        chunks,
        classes,
    })
}

/// A column of features.
enum Column {
    Numbers(Vec<f64>),
    Words(Vec<u32>),
}

impl Column {
    fn part(&self, from: usize, until: usize) -> Feature<'_> {
        match self {
            Self::Numbers(values) => Feature::Numbers(&values[from..until]),
            Self::Words(values) => Feature::Words(&values[from..until]),
        }
    }
}

fn those<T>(values: Vec<T>, kept: &[bool]) -> Vec<T> {
    values.into_iter().zip(kept).filter(|(_, kept)| **kept).map(|(value, _)| value).collect()
}

/// Rows of a table that have a prediction and, of the reference, a label.
struct Rows {
    columns: Vec<Column>,
    said: Vec<f64>,
    left_out: u64,
}

impl Rows {
    fn columns(&self, from: usize, until: usize) -> Vec<Feature<'_>> {
        self.columns.iter().map(|column| column.part(from, until)).collect()
    }
}

fn regression(reference: &Table, current: &Table, question: &Question) -> Result<Estimated, MonitorError> {
    let truth = column(reference, &question.label)?;
    let said = column(reference, &question.prediction)?;
    let mut names = question.features.clone();
    if names.is_empty() {
        let apart = [&question.label, &question.prediction];
        let fit = |name: &String| !apart.contains(&name) && current.schema().field_with_name(name).is_ok();
        names = reference.schema().fields().iter().map(|f| f.name().clone()).filter(fit).collect();
        names.retain(|n| kind(reference, n).is_ok_and(|k| k != Kind::Other && k != Kind::Time));
    }
    let kept: Vec<bool> = truth.iter().zip(&said).map(|(truth, said)| truth.is_finite() && said.is_finite()).collect();
    let mut known: Vec<HashMap<String, u32>> = vec![HashMap::new(); names.len()];
    let is_text = names.iter().map(|name| Ok(!kind(reference, name)?.is_numeric()));
    let is_text = is_text.collect::<Result<Vec<bool>, MonitorError>>()?;
    let features: Vec<(&str, bool)> = names.iter().map(String::as_str).zip(is_text).collect();
    let before = rows(reference, &features, (said, &kept), |at, word| {
        let next = known[at].len() as u32;
        *known[at].entry(word).or_insert(next)
    })?;
    let truth = those(truth, &kept);
    let said = column(current, &question.prediction)?;
    let kept: Vec<bool> = said.iter().map(|said| said.is_finite()).collect();
    // A text that the reference does not have is as if it were missing.
    let now = rows(current, &features, (said, &kept), |at, word| known[at].get(&word).copied().unwrap_or(MISSING))?;
    if now.said.is_empty() {
        return Err(Unanswered::Empty(named(current)).into());
    }
    let columns = before.columns(0, before.said.len());
    let learnt = Predicted { said: &before.said, features: &columns };
    let dle = Dle::fit(learnt, &truth, question.chunks).map_err(Unanswered::from)?;
    let chunk = |(from, until): (usize, usize)| {
        let columns = now.columns(from, until);
        let metrics = dle.estimate(Predicted { said: &now.said[from..until], features: &columns });
        Chunk { from: from as u64, rows: (until - from) as u64, metrics }
    };
    let chunks: Vec<Chunk> = parts(now.said.len(), question.chunks).map(chunk).collect();
    Ok(Estimated {
        method: "dle",
        classes: Vec::new(),
        calibrated: None,
        explained: dle.explained(),
        features: names,
        rows: [before.said.len() as u64, now.said.len() as u64],
        left_out: [before.left_out, now.left_out],
        alert: chunks.iter().any(|c| c.metrics.iter().any(|m| m.alert)),
        chunks,
    })
}

/// The rows of `table` that are kept, read in one pass, of `features` by name and whether they are texts, as in the reference; a text
/// becomes what `number` makes of it in the feature at that place.
fn rows(
    table: &Table,
    features: &[(&str, bool)],
    (said, kept): (Vec<f64>, &[bool]),
    mut number: impl FnMut(usize, String) -> u32,
) -> Result<Rows, MonitorError> {
    for (name, is_text) in features {
        if *is_text { kind(table, name).map(|_| ())? } else { numeric(table, name)? }
    }
    let empty = |(_, is_text): &(&str, bool)| {
        if *is_text { Column::Words(Vec::new()) } else { Column::Numbers(Vec::new()) }
    };
    let mut columns: Vec<Column> = features.iter().map(empty).collect();
    // Rows of each column that were seen.
    let mut seen = vec![0_usize; features.len()];
    let names: Vec<&str> = features.iter().map(|(name, _)| *name).collect();
    each(table, &names, |at, column| {
        let mut next = kept.iter().skip(seen[at]);
        let mut keeps = || next.next().copied().unwrap_or(false);
        seen[at] += column.len();
        match &mut columns[at] {
            Column::Numbers(values) => numbers(column, |v| {
                if keeps() {
                    values.push(v.unwrap_or(f64::NAN));
                }
            }),
            Column::Words(words) => each_word(column, |word| {
                if keeps() {
                    words.push(word.map_or(MISSING, |word| number(at, word)));
                }
            }),
        }
    })?;
    let left_out = kept.iter().filter(|kept| !**kept).count() as u64;
    Ok(Rows { columns, said: those(said, kept), left_out })
}

#[cfg(test)]
mod tests;
