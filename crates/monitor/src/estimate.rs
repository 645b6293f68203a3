//! Performance of rows whose labels are not known, from rows whose labels are: files, or live rows.

mod error;
mod live;
mod read;
mod window;

pub use error::Unanswered;
pub use live::{Asked, Source, estimate_sources};
pub use window::{EstimateError, Reference, Report, Request};

use crate::column::{Kind, numbers};
use crate::error::MonitorError;
use crate::said::follows;
use crate::table::Table;
use mainspring_core::Timestamp;
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
    /// What the metrics of the reference's rows really are.
    pub reference: Vec<Realized>,
    /// All of the current file.
    pub whole: Chunk,
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
    /// Of live rows, when the first and the last of them came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub between: Option<[Timestamp; 2]>,
    /// Its metrics.
    pub metrics: Vec<Estimate>,
    /// Rows whose label is known already.
    pub labeled: u64,
    /// What the metrics of these really are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub realized: Vec<Realized>,
}

/// A metric of labelled rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Realized {
    /// As an [`Estimate`] names it.
    pub metric: &'static str,
    /// Its value.
    pub value: f64,
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

/// Parts of as many rows, and what is left over. Those of live rows are as long as the reference's, however many there are: a
/// metric of fewer rows would be beyond what the reference's parts are by chance alone.
fn parts(current: &Table, rows: [usize; 2], chunks: usize) -> Vec<(usize, usize)> {
    let [reference, rows] = rows;
    let of = if current.is_live() { reference } else { rows };
    let size = (of / chunks.max(1)).max(1);
    let mut parts: Vec<(usize, usize)> = (0..rows).step_by(size).map(|from| (from, (from + size).min(rows))).collect();
    if current.is_live()
        && parts.len() > 1
        && let Some((from, until)) = parts.pop_if(|(from, until)| 2 * (*until - *from) < size)
        && let Some(last) = parts.last_mut()
    {
        debug_assert_eq!(last.1, from);
        last.1 = until;
    }
    parts
}

/// What is known of the rows of a part beside what is estimated.
struct Beside<'a> {
    /// When each row came, microseconds; nothing of a file.
    at: &'a [f64],
    labeled: usize,
    realized: Vec<(&'static str, f64)>,
}

impl Chunk {
    fn new((from, until): (usize, usize), metrics: Vec<Estimate>, beside: Beside<'_>) -> Self {
        let moment = |row: usize| beside.at.get(row).map(|at| Timestamp(*at as i64));
        Self {
            from: from as u64,
            rows: (until - from) as u64,
            between: moment(from).zip(moment(until.saturating_sub(1))).map(|(first, last)| [first, last]),
            metrics,
            labeled: beside.labeled as u64,
            realized: realized(beside.realized),
        }
    }
}

fn realized(of: Vec<(&'static str, f64)>) -> Vec<Realized> {
    of.into_iter().map(|(metric, value)| Realized { metric, value }).collect()
}

/// When the rows came; nothing of a file.
fn moments(table: &Table) -> Result<Vec<f64>, MonitorError> {
    if table.is_live() { column(table, live::AT) } else { Ok(Vec::new()) }
}

/// Of all rows those that are kept; of none, none.
fn of_kept(values: Vec<f64>, kept: &[bool]) -> Vec<f64> {
    if values.is_empty() { values } else { those(values, kept) }
}

/// Rows of a classifier that have everything.
struct Usable {
    given: Vec<f64>,
    said: Vec<u32>,
    /// Of the reference, of each row.
    truth: Vec<Option<u32>>,
    /// Which of all rows they are.
    kept: Vec<bool>,
}

impl Usable {
    fn left_out(&self) -> u64 {
        self.kept.iter().filter(|kept| !**kept).count() as u64
    }

    /// The rows of a part, and those of them that are labelled with what is true of them.
    fn labelled(&self, classes: usize, (from, until): (usize, usize)) -> (Vec<f64>, Vec<u32>, Vec<u32>) {
        let (mut given, mut said, mut truth) = (Vec::new(), Vec::new(), Vec::new());
        for row in from..until {
            if let Some(Some(class)) = self.truth.get(row) {
                given.extend_from_slice(&self.given[row * classes..(row + 1) * classes]);
                said.push(self.said[row]);
                truth.push(*class);
            }
        }
        (given, said, truth)
    }
}

/// The rows of `table` with a prediction and probabilities, and with a label where each `must` have one. A label that the
/// reference does not have is none.
fn usable(
    table: &Table,
    question: &Question,
    known: &HashMap<&str, u32>,
    (labels, must): (Option<&[Option<String>]>, bool),
) -> Result<Usable, MonitorError> {
    let said = words(table, &question.prediction)?;
    let scores = columns(table, &question.scores.iter().map(String::as_str).collect::<Vec<_>>())?;
    let mut made = Usable { given: Vec::new(), said: Vec::new(), truth: Vec::new(), kept: Vec::new() };
    for (row, said) in said.iter().enumerate() {
        let truth = labels.and_then(|labels| labels[row].as_deref());
        let kept = said.is_some() && !scores.iter().any(|s| s[row].is_nan()) && (truth.is_some() || !must);
        made.kept.push(kept);
        let (Some(said), true) = (said, kept) else { continue };
        let unknown = || Unanswered::Class { file: named(table), class: said.clone() };
        made.said.push(known.get(said.as_str()).copied().ok_or_else(unknown)?);
        made.truth.push(truth.and_then(|truth| known.get(truth).copied()));
        if let [one] = &scores[..] {
            made.given.extend([1.0 - one[row], one[row]]);
        } else {
            made.given.extend(scores.iter().map(|s| s[row]));
        }
    }
    Ok(made)
}

/// The labels of a current table that has some.
fn known_labels(table: &Table, question: &Question) -> Result<Option<Vec<Option<String>>>, MonitorError> {
    kind(table, &question.label).ok().map(|_| words(table, &question.label)).transpose()
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
    let before = usable(reference, question, &known, (Some(&labels), true))?;
    if let [score] = &question.scores[..] {
        let rows = before.given.chunks(2).zip(&before.said).map(|(given, said)| (given[1], *said == 1));
        follows(rows).map_err(|why| Unanswered::Whose { score: score.clone(), class: classes[1].clone(), why })?;
    }
    let labels = known_labels(current, question)?;
    let now = usable(current, question, &known, (labels.as_deref(), false))?;
    if now.said.is_empty() {
        return Err(Unanswered::Empty(named(current)).into());
    }
    let at = of_kept(moments(current)?, &now.kept);
    let k = classes.len();
    let learnt = Classified { classes: k, given: &before.given, said: &before.said };
    let truth: Vec<u32> = before.truth.iter().copied().flatten().collect();
    let cbpe = Cbpe::fit(learnt, &truth, question.chunks).map_err(Unanswered::from)?;
    let chunk = |part: (usize, usize)| {
        let (from, until) = part;
        let rows = Classified { classes: k, given: &now.given[from * k..until * k], said: &now.said[from..until] };
        let (given, said, truth) = now.labelled(k, part);
        let known = Classified { classes: k, given: &given, said: &said };
        let realized = if truth.is_empty() { Vec::new() } else { Cbpe::realized(known, &truth) };
        Chunk::new(part, cbpe.estimate(rows), Beside { at: &at, labeled: truth.len(), realized })
    };
    let rows = [before.said.len(), now.said.len()];
    let chunks: Vec<Chunk> = parts(current, rows, question.chunks).into_iter().map(chunk).collect();
    Ok(Estimated {
        method: "cbpe",
        calibrated: Some(cbpe.is_calibrated()),
        explained: None,
        features: Vec::new(),
        reference: realized(Cbpe::realized(learnt, &truth)),
        rows: rows.map(|rows| rows as u64),
        left_out: [before.left_out(), now.left_out()],
        alert: chunks.iter().any(|c| c.metrics.iter().any(|m| m.alert)),
        whole: chunk((0, now.said.len())),
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
    let has_labels = kind(current, &question.label).is_ok_and(Kind::is_numeric);
    let wanted = [question.prediction.as_str()].into_iter().chain(has_labels.then_some(question.label.as_str()));
    let mut there = columns(current, &wanted.collect::<Vec<_>>())?.into_iter();
    let (said, labels) = (there.next().unwrap_or_default(), there.next());
    let kept: Vec<bool> = said.iter().map(|said| said.is_finite()).collect();
    // A text that the reference does not have is as if it were missing.
    let now = rows(current, &features, (said, &kept), |at, word| known[at].get(&word).copied().unwrap_or(MISSING))?;
    if now.said.is_empty() {
        return Err(Unanswered::Empty(named(current)).into());
    }
    let at = of_kept(moments(current)?, &kept);
    let labels = labels.map_or_else(Vec::new, |labels| those(labels, &kept));
    let columns = before.columns(0, before.said.len());
    let learnt = Predicted { said: &before.said, features: &columns };
    let dle = Dle::fit(learnt, &truth, question.chunks).map_err(Unanswered::from)?;
    let chunk = |part: (usize, usize)| {
        let (from, until) = part;
        let columns = now.columns(from, until);
        let metrics = dle.estimate(Predicted { said: &now.said[from..until], features: &columns });
        let known = |row: &usize| labels.get(*row).is_some_and(|label| label.is_finite());
        let (said, truth): (Vec<f64>, Vec<f64>) =
            (from..until).filter(known).map(|row| (now.said[row], labels[row])).unzip();
        let realized = Dle::realized(&said, &truth);
        Chunk::new(part, metrics, Beside { at: &at, labeled: truth.len(), realized })
    };
    let rows = [before.said.len(), now.said.len()];
    let chunks: Vec<Chunk> = parts(current, rows, question.chunks).into_iter().map(chunk).collect();
    Ok(Estimated {
        method: "dle",
        classes: Vec::new(),
        calibrated: None,
        explained: dle.explained(),
        features: names,
        reference: realized(Dle::realized(&before.said, &truth)),
        rows: rows.map(|rows| rows as u64),
        left_out: [before.left_out, now.left_out],
        alert: chunks.iter().any(|c| c.metrics.iter().any(|m| m.alert)),
        whole: chunk((0, now.said.len())),
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
