//! Performance of a file whose labels are not known, from one whose labels are.

use crate::column::{Kind, numbers, texts};
use crate::error::MonitorError;
use crate::table::Table;
use mainspring_stats::estimate::{Cbpe, Classified, Dle, Estimate, Predicted};
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

fn named(table: &Table) -> String {
    table.file().display().to_string()
}

fn kind(table: &Table, name: &str) -> Result<Kind, MonitorError> {
    let field = table.schema().field_with_name(name);
    let unknown = || Unanswered::Column { file: named(table), name: name.to_owned() };
    Ok(field.map(|f| Kind::of(f.data_type())).map_err(|_| unknown())?)
}

/// A column of numbers; what is missing is NaN.
fn column(table: &Table, name: &str) -> Result<Vec<f64>, MonitorError> {
    if !kind(table, name)?.is_numeric() {
        return Err(Unanswered::Numbers { file: named(table), name: name.to_owned() }.into());
    }
    let mut found = Vec::new();
    each(table, name, |column| numbers(column, |v| found.push(v.unwrap_or(f64::NAN))))?;
    Ok(found)
}

/// A column as texts; whole numbers of either type are the same text.
fn words(table: &Table, name: &str) -> Result<Vec<Option<String>>, MonitorError> {
    let mut found = Vec::new();
    if kind(table, name)?.is_numeric() {
        each(table, name, |column| numbers(column, |v| found.push(v.filter(|v| !v.is_nan()).map(|v| v.to_string()))))?;
    } else {
        each(table, name, |column| texts(column, |t| found.push(t.map(str::to_owned))))?;
    }
    Ok(found)
}

fn each(
    table: &Table,
    name: &str,
    mut see: impl FnMut(&arrow::array::ArrayRef) -> Result<(), arrow::error::ArrowError>,
) -> Result<(), MonitorError> {
    let Ok(at) = table.schema().index_of(name) else { return Ok(()) };
    for part in 0..table.parts() {
        for batch in table.rows(part, Some(at))? {
            batch.and_then(|batch| see(batch.column(0))).map_err(|e| table.wrong(&e))?;
        }
    }
    Ok(())
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
    let scores = question.scores.iter().map(|s| column(table, s)).collect::<Result<Vec<_>, _>>()?;
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

fn classifier(reference: &Table, current: &Table, question: &Question) -> Result<Estimated, MonitorError> {
    let labels = words(reference, &question.label)?;
    let mut classes: Vec<String> = labels.iter().flatten().cloned().collect();
    classes.sort_unstable();
    classes.dedup();
    if classes.iter().all(|c| c.parse::<f64>().is_ok()) {
        let number = |c: &String| c.parse::<f64>().unwrap_or(f64::NAN);
        classes.sort_by(|a, b| number(a).total_cmp(&number(b)));
    }
    let scores = question.scores.len();
    if classes.len() < 2 || (scores != classes.len() && !(scores == 1 && classes.len() == 2)) {
        const SHOWN: usize = 10;
        let names = classes.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
        return Err(Unanswered::Classes { scores, classes: classes.len(), names }.into());
    }
    let known: HashMap<&str, u32> = classes.iter().enumerate().map(|(at, c)| (c.as_str(), at as u32)).collect();
    let before = usable(reference, question, &known, Some(&labels))?;
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

/// Features of a table: numbers as they are, texts by their place in the order of the reference's mean error.
struct Features {
    columns: Vec<Vec<f64>>,
    said: Vec<f64>,
    left_out: u64,
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
    let errors: Vec<f64> = truth.iter().zip(&said).map(|(t, s)| (t - s).abs()).collect();
    let mut encoded = Vec::with_capacity(names.len());
    for name in &names {
        let codes =
            if kind(reference, name)?.is_numeric() { None } else { Some(codes(&words(reference, name)?, &errors)) };
        encoded.push((name, codes));
    }
    let mut truth_kept = Vec::new();
    let before = features(reference, question, &encoded, Some((&truth, &mut truth_kept)))?;
    let now = features(current, question, &encoded, None)?;
    if now.said.is_empty() {
        return Err(Unanswered::Empty(named(current)).into());
    }
    let rows = Predicted { said: &before.said, features: &before.columns };
    let dle = Dle::fit(rows, &truth_kept, question.chunks).map_err(Unanswered::from)?;
    let chunk = |(from, until): (usize, usize)| {
        let columns: Vec<Vec<f64>> = now.columns.iter().map(|c| c[from..until].to_vec()).collect();
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

/// Texts in the order of the mean error of their rows.
fn codes(texts: &[Option<String>], errors: &[f64]) -> HashMap<String, f64> {
    let mut sums: HashMap<&str, (f64, f64)> = HashMap::new();
    for (text, error) in texts.iter().zip(errors) {
        if let (Some(text), true) = (text, error.is_finite()) {
            let sum = sums.entry(text).or_default();
            *sum = (sum.0 + error, sum.1 + 1.0);
        }
    }
    let mut order: Vec<(&str, f64)> = sums.into_iter().map(|(text, (sum, n))| (text, sum / n)).collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.cmp(b.0)));
    order.into_iter().enumerate().map(|(at, (text, _))| (text.to_owned(), at as f64)).collect()
}

fn features(
    table: &Table,
    question: &Question,
    encoded: &[(&String, Option<HashMap<String, f64>>)],
    mut truth: Option<(&[f64], &mut Vec<f64>)>,
) -> Result<Features, MonitorError> {
    let said = column(table, &question.prediction)?;
    let all = encoded.iter().map(|(name, codes)| match codes {
        None => column(table, name),
        // A text that the reference does not have is as if it were missing.
        Some(codes) => {
            let code = |text: Option<String>| text.and_then(|t| codes.get(&t).copied()).unwrap_or(f64::NAN);
            Ok(words(table, name)?.into_iter().map(code).collect())
        }
    });
    let all = all.collect::<Result<Vec<Vec<f64>>, MonitorError>>()?;
    let mut made = Features { columns: vec![Vec::new(); all.len()], said: Vec::new(), left_out: 0 };
    for (row, said) in said.into_iter().enumerate() {
        let known = truth.as_ref().is_none_or(|(truth, _)| truth[row].is_finite());
        if !said.is_finite() || !known {
            made.left_out += 1;
            continue;
        }
        made.said.push(said);
        made.columns.iter_mut().zip(&all).for_each(|(mine, theirs)| mine.push(theirs[row]));
        if let Some((truth, kept)) = &mut truth {
            kept.push(truth[row]);
        }
    }
    Ok(made)
}

#[cfg(test)]
mod tests;
