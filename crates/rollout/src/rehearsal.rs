//! The rehearsal of a candidate: what it answers to requests that stable has answered, before it answers anybody.

use crate::spec::{ReplaySpec, ToleranceSpec};
use bytes::Bytes;
use mainspring_core::{DType, NamedTensor, Tensor};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The worst rows that are shown.
const SHOWN: usize = 5;
/// Characters of a value that are shown.
const WIDE: usize = 60;

/// Requests that were not asked again, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LeftOut {
    /// Something of their inputs is hidden by `journal.redact`.
    pub redacted: u64,
    /// `journal.sample` did not keep them.
    pub sampled: u64,
    /// The journal had no memory for them.
    pub dropped: u64,
    /// Only a digest of an input is kept.
    pub too_large: u64,
    /// Their inputs are none of what the model takes now.
    pub unreadable: u64,
}

impl LeftOut {
    fn words(self) -> Vec<String> {
        let all = [
            (self.redacted, "hidden by journal.redact"),
            (self.sampled, "not kept by journal.sample"),
            (self.dropped, "dropped by the journal for want of memory"),
            (self.too_large, "too large to be kept"),
            (self.unreadable, "not what the model takes"),
        ];
        all.iter().filter(|(n, _)| *n > 0).map(|(n, why)| format!("{n} {why}")).collect()
    }
}

/// A row whose answer is far from what it should be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorstRow {
    /// The id of the recorded prediction, or the line of the golden file.
    pub request: String,
    /// The row of the request, from 0.
    pub row: u64,
    /// The output; empty where the candidate failed.
    pub output: String,
    /// What stable answered, or what the file says.
    pub stable: String,
    /// What the candidate answered.
    pub candidate: String,
    /// How far they are apart, where both are numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<f64>,
}

/// What a rehearsal has shown.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rehearsed {
    /// `journal`, or the golden file.
    pub from: String,
    /// Requests that were compared.
    pub requests: u64,
    /// Their rows.
    pub rows: u64,
    /// Rows all of whose values are within the tolerance; without one, equal.
    pub within: u64,
    /// Rows with a label.
    pub labelled: u64,
    /// Those of them that got the same one.
    pub same_label: u64,
    /// Requests that the candidate failed, and stable did not.
    pub failed: u64,
    /// Requests that stable failed too: they show nothing.
    pub unanswered: u64,
    /// The mean of the absolute differences of floating-point numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_abs_diff: Option<f64>,
    /// The largest of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_abs_diff: Option<f64>,
    /// Median time in queue and engine of stable and of the candidate, microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_us: Option<[f64; 2]>,
    /// What was not asked again.
    pub left_out: LeftOut,
    /// The worst rows, the worst first.
    pub worst: Vec<WorstRow>,
}

/// An answer.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// What was answered.
    pub outputs: &'a [NamedTensor],
    /// How long it took; nothing of what a file says.
    pub took: Option<Duration>,
}

/// A rehearsal under way: pairs of answers come, a verdict is asked for at the end.
#[derive(Debug)]
pub struct Rehearsal {
    spec: ReplaySpec,
    found: Rehearsed,
    times: [Vec<f64>; 2],
    differences: (f64, u64),
    /// How bad, and what; the worst first.
    worst: Vec<(f64, WorstRow)>,
}

/// How one row came out.
#[derive(Default)]
struct Row {
    /// The worst of its values that is not good.
    bad: Option<(f64, WorstRow)>,
    /// Whether its labels agree; nothing where it has none.
    label: Option<bool>,
}

impl Row {
    fn worse(&mut self, badness: f64, what: impl FnOnce() -> WorstRow) {
        if self.bad.as_ref().is_none_or(|(known, _)| badness > *known) {
            self.bad = Some((badness, what()));
        }
    }

    fn labelled(&mut self, same: bool) {
        self.label = Some(self.label.unwrap_or(true) && same);
    }
}

impl Rehearsal {
    /// Nothing was asked yet; `from` says where the requests are from.
    pub fn new(spec: ReplaySpec, from: &str, left_out: LeftOut) -> Self {
        let found = Rehearsed { from: from.to_owned(), left_out, ..Rehearsed::default() };
        Self { spec, found, times: [Vec::new(), Vec::new()], differences: (0.0, 0), worst: Vec::new() }
    }

    /// Requests that were asked so far.
    pub fn asked(&self) -> u64 {
        self.found.requests + self.found.failed + self.found.unanswered
    }

    /// A request could not be made from what is recorded.
    pub fn left_out(&mut self, count: impl FnOnce(&mut LeftOut)) {
        count(&mut self.found.left_out);
    }

    /// Stable failed to answer, so there is nothing to compare with.
    pub fn unanswered(&mut self) {
        self.found.unanswered += 1;
    }

    /// The candidate failed to answer what stable answered.
    pub fn failed(&mut self, request: &str, why: &str) {
        self.found.failed += 1;
        let (stable, candidate) = ("an answer".to_owned(), shown(why));
        let row = WorstRow {
            request: request.to_owned(),
            row: 0,
            output: String::new(),
            stable,
            candidate,
            difference: None,
        };
        self.rank(f64::INFINITY, row);
    }

    /// Both answered a request of so many rows.
    pub fn pair(&mut self, request: &str, rows: usize, stable: Answered<'_>, candidate: Answered<'_>) {
        let mut all: Vec<Row> = (0..rows.max(1)).map(|_| Row::default()).collect();
        for expected in stable.outputs {
            let got = candidate.outputs.iter().find(|o| o.name == expected.name).map(|o| &o.tensor);
            self.output((request, &expected.name), &mut all, &expected.tensor, got);
        }
        self.found.requests += 1;
        for row in all {
            self.found.rows += 1;
            self.found.within += u64::from(row.bad.is_none());
            self.found.labelled += u64::from(row.label.is_some());
            self.found.same_label += u64::from(row.label == Some(true));
            if let Some((badness, row)) = row.bad {
                self.rank(badness, row);
            }
        }
        if let (Some(a), Some(b)) = (stable.took, candidate.took) {
            self.times[0].push(a.as_secs_f64() * 1e6);
            self.times[1].push(b.as_secs_f64() * 1e6);
        }
    }

    /// One output, row by row; one without a dimension of rows belongs to the first.
    fn output(&mut self, (request, name): (&str, &str), rows: &mut [Row], expected: &Tensor, got: Option<&Tensor>) {
        let line = |row: usize, stable: String, candidate: String, difference: Option<f64>| WorstRow {
            request: request.to_owned(),
            row: row as u64,
            output: name.to_owned(),
            stable,
            candidate,
            difference: difference.filter(|d| d.is_finite()),
        };
        let parts = if expected.shape().first() == Some(&rows.len()) { rows.len() } else { 1 };
        let width = expected.len() / parts;
        let values = got
            .filter(|got| got.shape() == expected.shape())
            .and_then(|got| Some((Values::of(expected)?, Values::of(got)?)));
        let Some((a, b)) = values else {
            let what = got.map_or_else(|| "no such output".to_owned(), described);
            for (at, row) in rows.iter_mut().enumerate().take(parts) {
                row.worse(f64::INFINITY, || line(at, described(expected), what.clone(), None));
            }
            return;
        };
        let exact = !(a.close() && b.close());
        for (at, row) in rows.iter_mut().enumerate().take(parts) {
            let range = at * width..(at + 1) * width;
            let mut same = true;
            for i in range.clone() {
                let (badness, difference) = apart(self.spec.tolerance, exact, (&a, &b), i);
                if !exact && let Some(difference) = difference.filter(|d| d.is_finite()) {
                    self.differences.0 += difference;
                    self.differences.1 += 1;
                    self.found.max_abs_diff = Some(self.found.max_abs_diff.unwrap_or(0.0).max(difference));
                }
                same &= badness == 0.0;
                if badness > 1.0 {
                    row.worse(badness, || line(at, a.shown(i), b.shown(i), difference));
                }
            }
            if exact && width == 1 {
                row.labelled(same);
            } else if !exact && width > 1 && expected.shape().len() == 2 {
                row.labelled(a.largest(range.clone()) == b.largest(range));
            }
        }
    }

    fn rank(&mut self, badness: f64, row: WorstRow) {
        let at = self.worst.partition_point(|(known, _)| *known >= badness);
        if at < SHOWN {
            self.worst.insert(at, (badness, row));
            self.worst.truncate(SHOWN);
        }
    }

    /// What was shown, whether it is enough, and in words.
    pub fn verdict(mut self) -> (Rehearsed, bool, String) {
        let (sum, n) = self.differences;
        self.found.mean_abs_diff = (n > 0).then(|| sum / n as f64);
        self.found.median_us = median(&mut self.times[0]).zip(median(&mut self.times[1])).map(|(a, b)| [a, b]);
        self.found.worst = std::mem::take(&mut self.worst).into_iter().map(|(_, row)| row).collect();
        let Self { spec, found, .. } = self;
        let (said, faults) = judge(&spec, &found);
        let left = found.left_out.words();
        let left = if left.is_empty() { String::new() } else { format!("; not asked again: {}", left.join(", ")) };
        let detail = if faults.is_empty() {
            format!("{}{left}", said.join(", "))
        } else {
            format!("{}; {}{left}{}", faults.join("; "), said.join(", "), worst(&found))
        };
        (found, faults.is_empty(), detail)
    }
}

/// What was seen, and what of it must not be.
fn judge(spec: &ReplaySpec, found: &Rehearsed) -> (Vec<String>, Vec<String>) {
    let percent = |part: u64, all: u64| if all == 0 { 0.0 } else { part as f64 * 100.0 / all as f64 };
    let mut said =
        vec![format!("{} requests of {} ({} rows) were answered by both", found.requests, found.from, found.rows)];
    let mut faults = Vec::new();
    let answered = found.requests + found.failed;
    if answered < spec.least() {
        faults.push(format!("{answered} requests could be asked again, and {} are wanted", spec.least()));
    }
    if found.unanswered > 0 {
        said.push(format!("{} failed with stable too", found.unanswered));
    }
    if found.failed > 0 {
        faults.push(format!("{} failed with the candidate alone", found.failed));
    }
    if let Some(tolerance) = spec.tolerance {
        let share = percent(found.within, found.rows);
        let words = format!("{share:.2} % of the rows are within the tolerance");
        let fits = found.within as f64 * 100.0 >= tolerance.min_rows * found.rows as f64;
        if fits { said.push(words) } else { faults.push(format!("{words}, at least {} % must be", tolerance.min_rows)) }
    }
    if let Some(least) = spec.min_label_agreement {
        let words = format!("{:.2} % of {} labels agree", percent(found.same_label, found.labelled), found.labelled);
        let fits = found.labelled > 0 && found.same_label as f64 * 100.0 >= least * found.labelled as f64;
        if fits { said.push(words) } else { faults.push(format!("{words}, at least {least} % must")) }
    }
    if let (Some(mean), Some(max)) = (found.mean_abs_diff, found.max_abs_diff) {
        said.push(format!("the absolute difference is {mean:.3e} in the mean and {max:.3e} at most"));
    }
    let ratio = found.median_us.map(|[stable, candidate]| candidate / stable.max(f64::MIN_POSITIVE));
    if let (Some(ratio), Some([stable, candidate])) = (ratio, found.median_us) {
        let words = format!("the median took {candidate:.0} µs, {stable:.0} µs in stable");
        let slow = spec.max_latency_ratio.filter(|most| ratio > *most);
        match slow {
            Some(most) => faults.push(format!("{words}: {ratio:.2} times as long, at most {most} is tolerable")),
            None => said.push(words),
        }
    } else if spec.max_latency_ratio.is_some() {
        faults.push("no request was timed with both, so how much slower one is was not seen".to_owned());
    }
    (said, faults)
}

fn worst(found: &Rehearsed) -> String {
    let Some(row) = found.worst.first() else { return String::new() };
    let WorstRow { request, row, output, stable, candidate, .. } = row;
    let output = if output.is_empty() { String::new() } else { format!(", {output}") };
    format!("; the worst is request {request}, row {row}{output}: {candidate} against {stable}")
}

fn median(times: &mut [f64]) -> Option<f64> {
    let middle = times.len() / 2;
    (!times.is_empty()).then(|| *times.select_nth_unstable_by(middle, f64::total_cmp).1)
}

/// How bad the value at a place is (above 1 it is not good, 0 is equal), and how far apart the two are.
fn apart(tolerance: Option<ToleranceSpec>, exact: bool, (a, b): (&Values, &Values), at: usize) -> (f64, Option<f64>) {
    if exact {
        return (if a.equal(b, at) { 0.0 } else { f64::INFINITY }, None);
    }
    let (Some(a), Some(b)) = (a.number(at), b.number(at)) else { return (f64::INFINITY, None) };
    if a == b || (a.is_nan() && b.is_nan()) {
        return (0.0, Some(0.0));
    }
    let difference = (a - b).abs();
    let allowed = tolerance.map_or(0.0, |t| t.absolute + t.relative * a.abs());
    // Where one of the two is no number, they differ by more than any tolerance.
    let badness = if allowed > 0.0 { difference / allowed } else { 1.0 + difference };
    (if badness.is_nan() || !difference.is_finite() { f64::INFINITY } else { badness }, Some(difference))
}

/// The values of an output.
enum Values {
    Close(Vec<f64>),
    Whole(Vec<i128>),
    Texts(Vec<Bytes>),
}

impl Values {
    fn of(tensor: &Tensor) -> Option<Self> {
        macro_rules! whole {
            ($type:ty) => {
                Self::Whole(tensor.to_vec::<$type>()?.into_iter().map(i128::from).collect())
            };
        }
        Some(match tensor.dtype() {
            DType::Bytes => Self::Texts(tensor.strings()?.to_vec()),
            DType::Bool | DType::Uint8 => whole!(u8),
            DType::Uint16 => whole!(u16),
            DType::Uint32 => whole!(u32),
            DType::Uint64 => whole!(u64),
            DType::Int8 => whole!(i8),
            DType::Int16 => whole!(i16),
            DType::Int32 => whole!(i32),
            DType::Int64 => whole!(i64),
            DType::Fp16 => Self::Close(tensor.to_vec::<half::f16>()?.into_iter().map(f64::from).collect()),
            DType::Bf16 => Self::Close(tensor.to_vec::<half::bf16>()?.into_iter().map(f64::from).collect()),
            DType::Fp32 => Self::Close(tensor.to_vec::<f32>()?.into_iter().map(f64::from).collect()),
            DType::Fp64 => Self::Close(tensor.to_vec::<f64>()?),
        })
    }

    /// Whether they are numbers that may be a little off.
    fn close(&self) -> bool {
        matches!(self, Self::Close(_))
    }

    fn number(&self, at: usize) -> Option<f64> {
        match self {
            Self::Close(values) => values.get(at).copied(),
            Self::Whole(values) => values.get(at).map(|v| *v as f64),
            Self::Texts(_) => None,
        }
    }

    fn equal(&self, other: &Self, at: usize) -> bool {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => a.get(at) == b.get(at),
            (Self::Texts(a), Self::Texts(b)) => a.get(at) == b.get(at),
            _ => self.number(at).is_some_and(|a| Some(a) == other.number(at)),
        }
    }

    /// The place of the largest number.
    fn largest(&self, range: std::ops::Range<usize>) -> Option<usize> {
        let start = range.start;
        let by = |a: &usize, b: &usize| {
            self.number(*a).unwrap_or(f64::NEG_INFINITY).total_cmp(&self.number(*b).unwrap_or(f64::NEG_INFINITY))
        };
        // The first of equal ones.
        range.rev().max_by(by).map(|at| at - start)
    }

    fn shown(&self, at: usize) -> String {
        match self {
            Self::Close(values) => values.get(at).map_or_else(String::new, ToString::to_string),
            Self::Whole(values) => values.get(at).map_or_else(String::new, ToString::to_string),
            Self::Texts(values) => values.get(at).map_or_else(String::new, |t| shown(&String::from_utf8_lossy(t))),
        }
    }
}

fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(WIDE).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn described(tensor: &Tensor) -> String {
    format!("{} {:?}", tensor.dtype().as_str(), tensor.shape())
}

#[cfg(test)]
mod tests;
