//! What a drift does to the answers: the very model is asked again about recent rows, with one column changed at a time.
//!
//! A column's importance is how much an answer changes on average when the column's values are dealt out to other rows. What
//! its drift did is seen when its values are put back to where the reference has them, rank by rank, so that what the column
//! goes together with stays. Both are of the model and the rows as they are: they explain answers, not the world.

use super::form;
use super::ports::{Answer, Answered, Asked, PortError, PortResult};
use super::rows::Cells;
use super::track::Standing;
use super::watch::Watch;
use crate::lowest::mark;
use mainspring_core::{ErrorKind, Timestamp};
use mainspring_stats::presets::Calibration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Rows that are asked about again.
pub(super) const ROWS: usize = 128;
/// Rows of one call: what waits behind it waits no longer than for a request of so many.
const CALL: usize = 32;
/// Columns that are looked at.
const COLUMNS: usize = 16;
/// How long it may take in all.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);

/// What a column's drift does to the answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// The column.
    pub column: String,
    /// The share of its rows that are elsewhere, beyond chance.
    pub moved: f64,
    /// Mean absolute change of an answer when the column's values are dealt out to other rows.
    pub importance: f64,
    /// How far the mean answer is from where it would be with the column as in its reference; nothing where the reference
    /// keeps too little to put it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shift: Option<f64>,
}

impl Cause {
    /// Drift times importance.
    pub fn weight(&self) -> f64 {
        self.moved * self.importance
    }
}

/// Why a monitor drifts, as far as the model can tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// When it was looked at.
    pub at: Timestamp,
    /// The output that is meant, `out.score`.
    pub output: String,
    /// What a change of it is: `number`, `probability` or `class`, where it is a share of rows.
    pub unit: Unit,
    /// Rows that were asked about again.
    pub rows: u64,
    /// The mean answer to them as they are, where it is one number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// By drift times importance, the greatest first.
    pub causes: Vec<Cause>,
    /// What was not looked at, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Why {
    /// Nothing was asked, and this is why.
    pub(super) fn none(at: Timestamp, problem: String) -> Self {
        let (output, unit) = (String::new(), Unit::Number);
        Self { at, output, unit, rows: 0, mean: None, causes: Vec::new(), problem: Some(problem) }
    }
}

/// What an answer's change is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// The output's own.
    Number,
    /// Of the last class of two, or the half of all changes of more.
    Probability,
    /// The share of rows that get another class.
    Class,
}

impl Unit {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Probability => "probability",
            Self::Class => "class",
        }
    }

    fn of(answers: &[Answer]) -> Self {
        match answers.first() {
            Some(Answer::Numbers(values)) if values.len() > 1 => Self::Probability,
            Some(Answer::Numbers(_)) | None => Self::Number,
            Some(Answer::Class(_)) => Self::Class,
        }
    }
}

/// The inputs of some rows by column.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Given {
    /// Rows.
    pub rows: usize,
    /// `in.NAME`; of lists `in.NAME[0]` and so on.
    pub columns: BTreeMap<String, Cells>,
    /// Inputs that are not among them because they are redacted.
    pub hidden: Vec<String>,
}

impl Given {
    /// At most [`ROWS`] of the rows, in an order by chance that is always the same.
    pub(super) fn drawn(&self) -> Self {
        let mut order: Vec<usize> = (0..self.rows).collect();
        order.sort_by_key(|row| mark(*row as u64));
        order.truncate(ROWS);
        self.at(&order)
    }

    fn at(&self, rows: &[usize]) -> Self {
        let columns = self.columns.iter().map(|(name, cells)| (name.clone(), cells.at(rows))).collect();
        Self { rows: rows.len(), columns, hidden: self.hidden.clone() }
    }

    fn with(&self, column: &str, cells: Cells) -> Self {
        let mut columns = self.columns.clone();
        columns.insert(column.to_owned(), cells);
        Self { rows: self.rows, columns, hidden: self.hidden.clone() }
    }
}

/// A model that can be asked again, beside its traffic.
pub trait Answers: Send + Sync + 'static {
    /// The answers to the rows by the version that is named. No request in any count, and not in the journal.
    fn again<'a>(&'a self, of: &'a Asked, rows: Given) -> PortResult<'a, Answered>;
}

async fn ask(answers: &dyn Answers, of: &Asked, given: &Given) -> Result<Answered, PortError> {
    let mut whole = Answered::default();
    let all: Vec<usize> = (0..given.rows).collect();
    for part in all.chunks(CALL) {
        let answered = answers.again(of, given.at(part)).await?;
        if answered.rows.len() != part.len() {
            let message = format!("the model gave {} answers to {} rows", answered.rows.len(), part.len());
            return Err(PortError { kind: ErrorKind::Internal, message });
        }
        whole.output = answered.output;
        whole.rows.extend(answered.rows);
    }
    Ok(whole)
}

/// What the drift of a watch's inputs does to the answers to `given`, rows as they come now.
pub(super) async fn explain(
    answers: &dyn Answers,
    of: &Asked,
    (watch, given): (&Watch, &Given),
    patience: Duration,
) -> Why {
    let at = watch.position;
    let none = |problem: String| Why::none(at, problem);
    if let Some(hidden) = given.hidden.first() {
        return none(format!("{hidden} is redacted in the journal, and without it the model cannot be asked again"));
    }
    let mut moved = moved(watch, given);
    if given.rows < 2 || moved.is_empty() {
        let what = if given.rows < 2 { "no recent rows are kept" } else { "no single input has drifted" };
        return none(format!("{what}, so that there is nothing to ask the model again"));
    }
    let left_out = moved.split_off(moved.len().min(COLUMNS)).len();
    let ends = tokio::time::Instant::now() + patience;
    let base = match tokio::time::timeout_at(ends, ask(answers, of, given)).await {
        Ok(Ok(base)) => base,
        Ok(Err(error)) => return none(format!("the model could not be asked again: {error}")),
        Err(_) => return none(format!("the model takes over {patience:?} for {} rows", given.rows)),
    };
    let unit = Unit::of(&base.rows);
    let (mut causes, mut problem) = (Vec::new(), None);
    let all = moved.len();
    for (at, column) in moved.into_iter().enumerate() {
        match tokio::time::timeout_at(ends, cause(answers, of, (given, &base), column)).await {
            Ok(Ok(cause)) => causes.push(cause),
            Ok(Err(error)) => problem = Some(format!("{}: {error}", column.0)),
            Err(_) => {
                problem = Some(format!("{} columns were not reached in {patience:?}", all - at));
                break;
            }
        }
    }
    if left_out > 0 && problem.is_none() {
        problem = Some(format!("{left_out} more columns have drifted less, and were not looked at"));
    }
    causes.sort_by(|a, b| b.weight().total_cmp(&a.weight()));
    let mean = (unit != Unit::Class).then(|| single(&base.rows)).flatten().filter(|mean| mean.is_finite());
    Why { at, output: base.output, unit, rows: given.rows as u64, mean, causes, problem }
}

/// Inputs that have drifted or shifted, whole or in a segment, those that moved most first, with their whole reference.
/// Where the form of a text has moved, the text: it is what is dealt out to other rows, and no form says what to put it back to.
fn moved<'a>(watch: &'a Watch, given: &Given) -> Vec<(&'a str, f64, Option<&'a Calibration>)> {
    let mut most: BTreeMap<&str, (f64, Option<&Calibration>)> = BTreeMap::new();
    let sure = |standing| matches!(standing, Standing::Drift | Standing::Shifted);
    for (name, of, track) in watch.tracks().filter(|(name, _, track)| name.starts_with("in.") && sure(track.standing)) {
        let is_given = |name: &&str| given.columns.contains_key(*name);
        let Some(input) = Some(name).filter(is_given).or_else(|| form::text_of(name).filter(is_given)) else {
            continue;
        };
        let entry = most.entry(input).or_insert((0.0, None));
        entry.0 = entry.0.max(track.moved.beyond());
        if of.is_none() && input == name {
            entry.1 = track.reference();
        }
    }
    let mut all: Vec<_> = most.into_iter().map(|(name, (moved, reference))| (name, moved, reference)).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all
}

async fn cause(
    answers: &dyn Answers,
    of: &Asked,
    (given, base): (&Given, &Answered),
    (name, moved, reference): (&str, f64, Option<&Calibration>),
) -> Result<Cause, PortError> {
    let Some(cells) = given.columns.get(name) else {
        return Err(PortError { kind: ErrorKind::NotFound, message: "it is no input of its own".into() });
    };
    let half = given.rows / 2;
    let others: Vec<usize> = (0..given.rows).map(|row| (row + half.max(1)) % given.rows).collect();
    let dealt = ask(answers, of, &given.with(name, cells.at(&others))).await?;
    // An answer that is no number is no further from another than from itself; such rows tell nothing.
    let changes = base.rows.iter().zip(&dealt.rows).map(|(a, b)| a.change(b)).filter(|change| change.is_finite());
    let (count, sum) = changes.fold((0_u64, 0.0), |(count, sum), change| (count + 1, sum + change));
    if count == 0 {
        return Err(PortError { kind: ErrorKind::InvalidInput, message: "the answers are no numbers".into() });
    }
    let shift = match reference.and_then(|reference| put_back(cells, reference)) {
        Some(back) => {
            let before = ask(answers, of, &given.with(name, back)).await?;
            Some(shift(&before.rows, &base.rows)).filter(|shift| shift.is_finite())
        }
        None => None,
    };
    Ok(Cause { column: name.to_owned(), moved, importance: sum / count as f64, shift })
}

/// The mean of one number, or of the last of two.
fn single(answers: &[Answer]) -> Option<f64> {
    let mut sum = 0.0;
    for answer in answers {
        match answer {
            Answer::Numbers(values) if values.len() <= 2 => sum += values.last()?,
            _ => return None,
        }
    }
    Some(sum / answers.len().max(1) as f64)
}

/// How far the mean answer went: with a sign where it is one number, otherwise the share that moved.
fn shift(before: &[Answer], now: &[Answer]) -> f64 {
    if let (Some(before), Some(now)) = (single(before), single(now)) {
        return now - before;
    }
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    for (all, sign) in [(before, -1.0), (now, 1.0)] {
        for answer in all {
            match answer {
                Answer::Numbers(values) => {
                    for (at, value) in values.iter().enumerate() {
                        *sums.entry(at.to_string()).or_default() += sign * value / all.len() as f64;
                    }
                }
                Answer::Class(class) => *sums.entry(class.clone()).or_default() += sign / all.len() as f64,
            }
        }
    }
    sums.values().map(|v| v.abs()).sum::<f64>() / 2.0
}

/// The column's values where the reference has them: numbers rank by rank at its quantiles; of texts those rows that are too
/// many get values that are too few.
fn put_back(cells: &Cells, reference: &Calibration) -> Option<Cells> {
    match (cells, &reference.edges) {
        (Cells::Numbers(values), Some(edges))
            if !edges.is_empty() && reference.counts[..=edges.len()].iter().any(|n| *n > 0) =>
        {
            Some(Cells::Numbers(quantiles(values, edges, reference)))
        }
        (Cells::Texts(values), None) => Some(Cells::Texts(dealt(values, reference)?)),
        _ => None,
    }
}

fn quantiles(values: &[f64], edges: &[f64], reference: &Calibration) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).filter(|i| !values[*i].is_nan()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let counts = &reference.counts[..=edges.len()];
    let all = counts.iter().sum::<u64>().max(1) as f64;
    let whole = order.iter().all(|i| values[*i].fract() == 0.0) && edges.iter().all(|e| e.fract() == 0.0);
    let mut back = values.to_vec();
    let (n, mut bin, mut below) = (order.len() as f64, 0, 0.0);
    for (rank, i) in order.into_iter().enumerate() {
        let wanted = (rank as f64 + 0.5) / n * all;
        while bin < edges.len() && below + counts[bin] as f64 <= wanted {
            below += counts[bin] as f64;
            bin += 1;
        }
        let inside = ((wanted - below) / (counts[bin] as f64).max(1.0)).clamp(0.0, 1.0);
        // Beyond the outer edges nothing is known of it.
        let value = match (bin.checked_sub(1).map(|at| edges[at]), edges.get(bin)) {
            (Some(low), Some(high)) => low + inside * (high - low),
            (Some(low), None) => low,
            (None, Some(high)) => *high,
            (None, None) => values[i],
        };
        back[i] = if whole { value.round() } else { value };
    }
    back
}

fn dealt(values: &[Option<Box<str>>], reference: &Calibration) -> Option<Vec<Option<Box<str>>>> {
    let bin = |value: &Option<Box<str>>| reference.bin_of_text(value.as_deref());
    let mut here: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (row, value) in values.iter().enumerate() {
        here.entry(bin(value)).or_default().push(row);
    }
    let all: u64 = here.keys().map(|bin| reference.counts[*bin]).sum();
    if all == 0 {
        return None;
    }
    let quota = |bin: usize| (reference.counts[bin] as f64 / all as f64 * values.len() as f64).round() as usize;
    let mut free: Vec<usize> = here.iter().flat_map(|(bin, rows)| rows.iter().skip(quota(*bin)).copied()).collect();
    let mut back = values.to_vec();
    for (bin, rows) in &here {
        for _ in rows.len()..quota(*bin).max(rows.len()) {
            let Some(row) = free.pop() else { break };
            back[row].clone_from(&values[rows[row % rows.len()]]);
        }
    }
    Some(back)
}

#[cfg(test)]
mod tests;
