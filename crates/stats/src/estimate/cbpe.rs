//! Performance of a classifier, read off its calibrated probabilities.

use super::isotonic::Isotonic;
use super::sampling::{self, Part, Spread};
use super::splits::held_out;
use super::thresholds;
use crate::performance::{Average, Confusion, Level, Probabilities, Scored};
use serde::Serialize;

/// Splits of the reference by which it is found out whether calibration helps, and bins of the error that it is to lower.
const SPLITS: usize = 10;
const BINS: usize = 10;
/// An area above which scores are not calibrated.
const PARTED: f64 = 0.999;
/// By how much NannyML widens the band of the mean area of many classes.
const WIDER: f64 = 1.2;

/// Why nothing can be estimated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoEstimate {
    /// Too few rows.
    #[error("the reference has {0} rows with everything that is needed; at least {1} are needed")]
    Rows(usize, usize),
    /// A class that was never true.
    #[error("class {0} never occurs in the reference's labels")]
    Class(usize),
}

/// Rows of a classifier. Probabilities are row-major, one for each class.
#[derive(Debug, Clone, Copy)]
pub struct Classified<'a> {
    /// How many.
    pub classes: usize,
    /// Probabilities.
    pub given: &'a [f64],
    /// Predicted classes.
    pub said: &'a [u32],
}

impl<'a> Classified<'a> {
    /// Rows.
    pub fn rows(&self) -> usize {
        self.said.len()
    }

    fn column(&self, class: usize) -> impl Iterator<Item = f64> + Clone + 'a {
        self.given.iter().skip(class).step_by(self.classes).copied()
    }

    fn slice(&self, from: usize, until: usize) -> Self {
        let given = &self.given[from * self.classes..until * self.classes];
        Self { classes: self.classes, given, said: &self.said[from..until] }
    }
}

/// A metric as it probably is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Estimate {
    /// `roc_auc`, `accuracy`, …
    pub metric: &'static str,
    /// The estimate.
    pub value: f64,
    /// Three sampling errors below it, as far as the metric goes.
    pub low: f64,
    /// And above it.
    pub high: f64,
    /// Mean less three standard deviations of the metric of the reference's chunks; none where that is impossible.
    pub lower_threshold: Option<f64>,
    /// And plus.
    pub upper_threshold: Option<f64>,
    /// Whether the estimate is beyond a threshold.
    pub alert: bool,
}

impl Estimate {
    pub(super) fn new(
        metric: &'static str,
        value: f64,
        error: f64,
        (range, limits): ((f64, f64), Option<(f64, f64)>),
    ) -> Self {
        // A threshold at the end of what is possible, or beyond it, is none.
        let lower = limits.map(|l| l.0).filter(|low| *low > range.0);
        let upper = limits.map(|l| l.1).filter(|high| *high < range.1);
        Self {
            metric,
            value,
            low: (value - super::DEVIATIONS * error).max(range.0),
            high: (value + super::DEVIATIONS * error).min(range.1),
            lower_threshold: lower,
            upper_threshold: upper,
            alert: lower.is_some_and(|low| value < low) || upper.is_some_and(|high| value > high),
        }
    }
}

const METRICS: [&str; 7] = ["roc_auc", "average_precision", "f1", "precision", "recall", "specificity", "accuracy"];

/// Estimates from a reference whose labels are known.
#[derive(Debug, Clone)]
pub struct Cbpe {
    classes: usize,
    calibrations: Vec<Option<Isotonic>>,
    /// Of each metric, of each class.
    spreads: Vec<Vec<Spread>>,
    accuracy: f64,
    thresholds: Vec<Option<(f64, f64)>>,
}

impl Cbpe {
    /// Learns from labelled rows in the order in which they came, cut into `chunks` for the thresholds. Of two classes
    /// the second is looked for.
    ///
    /// # Errors
    /// [`NoEstimate`] when there is too little to learn from.
    pub fn fit(reference: Classified<'_>, truth: &[u32], chunks: usize) -> Result<Self, NoEstimate> {
        let (classes, n, least) = (reference.classes, reference.rows(), 10 * chunks.max(2));
        if n < least {
            return Err(NoEstimate::Rows(n, least));
        }
        if let Some(absent) = (0..classes).find(|c| truth.iter().all(|t| *t as usize != *c)) {
            return Err(NoEstimate::Class(absent));
        }
        let of = |class: usize| truth.iter().map(|t| *t as usize == class).collect::<Vec<bool>>();
        let looked = Self::looked(classes);
        let calibrations = looked.iter().map(|class| {
            let (scores, truth) = (reference.column(*class).collect::<Vec<f64>>(), of(*class));
            helps(&scores, &truth).then(|| Isotonic::fit(scores.iter().copied().zip(truth.iter().copied())))
        });
        let mut made = Self {
            classes,
            calibrations: calibrations.collect(),
            spreads: Vec::new(),
            accuracy: 0.0,
            thresholds: Vec::new(),
        };
        made.spreads = METRICS.iter().map(|metric| made.spread(metric, reference, truth)).collect();
        let right = truth.iter().zip(reference.said).filter(|(t, s)| t == s).count() as f64 / n as f64;
        made.accuracy = (right * (1.0 - right)).sqrt();
        let size = n / chunks.max(1);
        let starts: Vec<usize> = (0..n).step_by(size.max(1)).collect();
        let realized: Vec<[f64; 7]> = starts
            .iter()
            .map(|from| {
                let until = (from + size).min(n);
                realized(reference.slice(*from, until), &truth[*from..until])
            })
            .collect();
        made.thresholds =
            (0..METRICS.len()).map(|m| thresholds(&realized.iter().map(|r| r[m]).collect::<Vec<_>>())).collect();
        Ok(made)
    }

    /// Of two classes only the second is calibrated and measured.
    fn looked(classes: usize) -> Vec<usize> {
        if classes == 2 { vec![1] } else { (0..classes).collect() }
    }

    /// Whether any class's probabilities were calibrated.
    pub fn is_calibrated(&self) -> bool {
        self.calibrations.iter().any(Option::is_some)
    }

    fn spread(&self, metric: &str, reference: Classified<'_>, truth: &[u32]) -> Vec<Spread> {
        let one = |class: usize| -> Option<Spread> {
            let truth: Vec<bool> = truth.iter().map(|t| *t as usize == class).collect();
            let said: Vec<bool> = reference.said.iter().map(|s| *s as usize == class).collect();
            let scores = || reference.column(class).collect::<Vec<f64>>();
            Some(match metric {
                "roc_auc" => sampling::area(&truth, &scores()),
                "average_precision" if self.classes == 2 => sampling::average_precision(&truth, &scores()),
                "f1" => sampling::part(Part::F1, &truth, &said, self.classes == 2),
                "precision" => sampling::part(Part::Precision, &truth, &said, true),
                "recall" => sampling::part(Part::Recall, &truth, &said, true),
                "specificity" => sampling::part(Part::Specificity, &truth, &said, true),
                _ => return None,
            })
        };
        Self::looked(self.classes).into_iter().filter_map(one).collect()
    }

    /// What the metrics of labelled rows really are, without those that have no value.
    pub fn realized(rows: Classified<'_>, truth: &[u32]) -> Vec<(&'static str, f64)> {
        METRICS.into_iter().zip(realized(rows, truth)).filter(|(_, value)| value.is_finite()).collect()
    }

    /// Metrics of rows that nobody has labelled; empty of none.
    pub fn estimate(&self, rows: Classified<'_>) -> Vec<Estimate> {
        let n = rows.rows();
        if n == 0 || rows.classes != self.classes {
            return Vec::new();
        }
        let calibrated = self.calibrated(rows);
        let looked = Self::looked(self.classes);
        let each: Vec<[f64; 6]> = looked
            .iter()
            .enumerate()
            .map(|(at, class)| {
                let scores: Vec<f64> = rows.column(*class).collect();
                expected(&scores, &calibrated[at], rows.said.iter().map(|s| *s as usize == *class))
            })
            .collect();
        let mean = |m: usize| each.iter().map(|e| e[m]).sum::<f64>() / each.len() as f64;
        let mut found = Vec::new();
        for (m, metric) in METRICS.iter().enumerate() {
            if *metric == "accuracy" || self.spreads[m].is_empty() {
                continue;
            }
            found.push(Estimate::new(metric, mean(m), self.error(m, n), ((0.0, 1.0), self.thresholds[m])));
        }
        let right: f64 = (0..n)
            .map(|row| {
                let said = rows.said[row] as usize;
                if self.classes == 2 {
                    let p = calibrated[0][row];
                    if said == 1 { p } else { 1.0 - p }
                } else {
                    calibrated.get(said).map_or(0.0, |c| c[row])
                }
            })
            .sum();
        let error = self.accuracy / (n as f64).sqrt();
        found.push(Estimate::new("accuracy", right / n as f64, error, ((0.0, 1.0), self.thresholds[6])));
        found
    }

    /// The sampling error of a metric of n rows.
    fn error(&self, metric: usize, n: usize) -> f64 {
        let n = n as f64;
        let spreads = &self.spreads[metric];
        if METRICS[metric] == "average_precision" {
            return spreads[0].0 * (spreads[0].1 / n).sqrt();
        }
        let variance: f64 = spreads.iter().map(|(deviation, share)| deviation * deviation / (n * share)).sum();
        let error = variance.sqrt() / spreads.len() as f64;
        if METRICS[metric] == "roc_auc" && self.classes > 2 { WIDER * error } else { error }
    }

    /// Calibrated probabilities, a column for each class that is looked at. Those of many classes add up to one.
    fn calibrated(&self, rows: Classified<'_>) -> Vec<Vec<f64>> {
        let one = |(at, class): (usize, usize)| -> Vec<f64> {
            rows.column(class).map(|p| self.calibrations[at].as_ref().map_or(p, |c| c.at(p))).collect()
        };
        let mut columns: Vec<Vec<f64>> = Self::looked(self.classes).into_iter().enumerate().map(one).collect();
        if columns.len() > 1 {
            for row in 0..rows.rows() {
                let sum: f64 = columns.iter().map(|c| c[row]).sum();
                let even = 1.0 / columns.len() as f64;
                for column in &mut columns {
                    column[row] = if sum == 0.0 { even } else { column[row] / sum };
                }
            }
        }
        columns
    }
}

/// As many decimals as NannyML keeps of sums, so that its steps are the same.
fn rounded(x: f64) -> f64 {
    (x * 1e5).round_ties_even() / 1e5
}

/// Metrics of one class if each row is of it with its probability, in the order of [`METRICS`].
fn expected(scores: &[f64], given: &[f64], said: impl Iterator<Item = bool>) -> [f64; 6] {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let (mut hits, mut last) = (0.0, (0.0, 0.0));
    let (mut area, mut precision) = (0.0, 0.0);
    for (place, row) in order.iter().enumerate() {
        hits += given[*row];
        let now = (rounded(hits), rounded((place + 1) as f64 - hits));
        area += (now.1 - last.1) * (now.0 + last.0) / 2.0;
        precision += (now.0 - last.0) * now.0 / (place + 1) as f64;
        last = now;
    }
    let [mut tp, mut fp, mut missed, mut tn] = [0.0; 4];
    for (p, said) in given.iter().zip(said) {
        if said {
            tp += p;
            fp += 1.0 - p;
        } else {
            missed += p;
            tn += 1.0 - p;
        }
    }
    let share = |part: f64, all: f64| if all == 0.0 { 0.0 } else { part / all };
    [
        area / (last.0 * last.1),
        precision / last.0,
        share(tp, tp + 0.5 * (fp + missed)),
        share(tp, tp + fp),
        share(tp, tp + missed),
        share(tn, tn + fp),
    ]
}

/// The same metrics of labelled rows; NaN where one has no value.
fn realized(rows: Classified<'_>, truth: &[u32]) -> [f64; 7] {
    let (level, classes) = (Level::default(), rows.classes);
    let mut confusion = Confusion::new(classes);
    truth.iter().zip(rows.said).for_each(|(t, s)| confusion.push(*t as usize, *s as usize));
    let value = |m: Option<crate::performance::Measure>| m.map_or(f64::NAN, |m| m.value);
    let zero = |m: Option<crate::performance::Measure>| m.map_or(0.0, |m| m.value);
    if classes == 2 {
        let mut scored = Scored::default();
        truth.iter().zip(rows.column(1)).for_each(|(t, p)| {
            scored.push(p, *t == 1);
        });
        return [
            value(scored.roc_auc(level)),
            value(scored.average_precision(level)),
            zero(confusion.f1(1, level)),
            zero(confusion.precision(1, level)),
            zero(confusion.recall(1, level)),
            zero(confusion.specificity(1, level)),
            value(confusion.accuracy(level)),
        ];
    }
    let mut given = Probabilities::new(classes);
    truth.iter().zip(rows.given.chunks(classes)).for_each(|(t, row)| {
        given.push(row, *t as usize);
    });
    let specificity = (0..classes).map(|c| zero(confusion.specificity(c, level))).sum::<f64>() / classes as f64;
    [
        value(given.roc_auc(level)),
        f64::NAN,
        value(confusion.f1_average(Average::Macro, level)),
        value(confusion.precision_average(Average::Macro, level)),
        value(confusion.recall_average(Average::Macro, level)),
        specificity,
        value(confusion.accuracy(level)),
    ]
}

/// Whether calibration lowers the calibration error of rows that it was not learnt from, of ten splits together.
fn helps(scores: &[f64], truth: &[bool]) -> bool {
    let mut all = Scored::default();
    scores.iter().zip(truth).for_each(|(s, t)| {
        all.push(*s, *t);
    });
    if all.roc_auc(Level::default()).is_none_or(|area| area.value > PARTED) {
        return false;
    }
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for test in held_out(truth, SPLITS) {
        let mut held = vec![false; scores.len()];
        for at in &test {
            held[*at] = true;
        }
        let kept = (0..scores.len()).filter(|at| !held[*at]).map(|at| (scores[at], truth[at]));
        let line = Isotonic::fit(kept);
        for at in test {
            before.push((scores[at], truth[at]));
            after.push((line.at(scores[at]), truth[at]));
        }
    }
    error(&mut before) > error(&mut after)
}

/// Expected calibration error over bins of as many rows each.
fn error(rows: &mut [(f64, bool)]) -> f64 {
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let bins = if rows.len() <= 2 * BINS { (rows.len() / 2).max(1) } else { BINS };
    let width = rows.len() / bins;
    let sum = |bin: &[(f64, bool)]| bin.iter().map(|(p, t)| p - f64::from(u8::from(*t))).sum::<f64>();
    let whole: f64 = (0..bins)
        .map(|bin| {
            let until = if bin + 1 == bins { rows.len() } else { (bin + 1) * width };
            sum(&rows[bin * width..until]).abs()
        })
        .sum();
    whole / rows.len() as f64
}
