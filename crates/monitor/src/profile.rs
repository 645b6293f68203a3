//! What a file's columns look like: sketches of each, from which any later comparison can be made.
//!
//! The file's parts (row groups, record batches) are dealt out to a fixed number of lanes, which threads take; each lane
//! keeps sketches of its own, and these merge in the lanes' order. So the profile of a file is the same whatever the
//! number of threads is, and memory is that of the lanes' sketches and one batch for each thread.

use crate::column::{Kind, numbers, texts};
use crate::error::MonitorError;
use crate::lowest::{Lowest, mark};
use crate::table::Table;
use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mainspring_stats::presets::{Calibration, Values};
use mainspring_stats::{Distinct, Frequent, Kll, Moments};
use serde::{Deserialize, Serialize};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const LANES: usize = 8;
/// k of the quantile sketches: that of DataSketches by default, a rank error of 1.9 % in 99 % of cases.
const K: u16 = 200;
const SHOWN_VALUES: usize = 20;
const QUANTILES: [f64; 9] = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99];
/// Numeric columns up to which correlations are kept: their number grows with the square.
const CORRELATED: usize = 64;
/// Rows of a random sample that numbers are calibrated by: live traffic is ranked among nine tenths of them.
const SAMPLED: usize = 4_096;

/// A file's profile.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// Of this form.
    pub version: u32,
    /// The file's name, without its folder.
    pub file: String,
    /// Its rows.
    pub rows: u64,
    /// Its columns in their order.
    pub columns: Vec<Column>,
    /// Pearson's correlations of numeric columns, over the rows that have both; none beyond 64 such columns.
    pub correlations: Vec<Correlation>,
}

/// How two columns go together.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Correlation {
    /// Their names.
    pub columns: [String; 2],
    /// −1 to 1.
    pub pearson: f64,
}

/// A column's profile.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// Its type in the file.
    pub stored_as: String,
    /// Rows with a value.
    pub present: u64,
    /// Rows without one.
    pub missing: u64,
    /// Different values, about: a relative standard error of 3.2 %.
    pub distinct: f64,
    /// Of numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Numbers>,
    /// Of texts and truth values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub texts: Option<Texts>,
    /// DataSketches' HLL in base 64; empty where there is no value.
    pub hll: String,
    /// What live traffic is tested against: of numbers by a random sample of the rows, of texts by all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

/// What numbers look like.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Numbers {
    /// Values that are no numbers.
    pub nan: u64,
    /// Values without end.
    pub infinite: u64,
    /// Zeros.
    pub zeros: u64,
    /// Mean of the finite values.
    pub mean: Option<f64>,
    /// Standard deviation, divided by n − 1.
    pub deviation: Option<f64>,
    /// Least value.
    pub min: Option<f64>,
    /// Greatest value.
    pub max: Option<f64>,
    /// (share, value): so much of the column is at or below it.
    pub quantiles: Vec<(f64, f64)>,
    /// How far a quantile's share may be off, in 99 % of cases.
    pub rank_error: f64,
    /// DataSketches' KLL of doubles in base 64.
    pub kll: String,
}

/// What texts look like.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Texts {
    /// The most frequent ones with their counts, the most frequent first.
    pub frequent: Vec<(String, u64)>,
    /// How far a count may be below the truth.
    pub count_error: u64,
    /// Bytes of the longest.
    pub longest: u64,
    /// Mean length in bytes.
    pub mean_length: Option<f64>,
    /// DataSketches' frequent items of texts in base 64.
    pub frequent_items: String,
}

/// What a lane has of a column.
#[derive(Clone, Default)]
struct Sketches {
    present: u64,
    missing: u64,
    distinct: Distinct,
    frequent: Frequent,
    quantiles: Option<Kll>,
    moments: Moments,
    lengths: Moments,
    longest: u64,
    nan: u64,
    infinite: u64,
    zeros: u64,
    /// Texts by their bins.
    binned: Option<Calibration>,
}

impl Sketches {
    fn see_numbers(&mut self, values: &[f64], scratch: &mut Vec<f64>) {
        scratch.clear();
        for value in values {
            // One bit pattern for each number.
            self.distinct.push(&(value + 0.0).to_bits().to_le_bytes());
            self.zeros += u64::from(*value == 0.0);
            match value {
                // Zero has one sign.
                v if v.is_finite() => scratch.push(*v + 0.0),
                v if v.is_nan() => self.nan += 1,
                _ => self.infinite += 1,
            }
        }
        self.present += values.len() as u64;
        self.moments.extend(scratch);
        self.quantiles.get_or_insert_with(|| Kll::new(K)).extend(scratch);
    }

    fn see_text(&mut self, text: &str) {
        self.present += 1;
        self.distinct.push(text.as_bytes());
        self.frequent.push(text, 1);
        self.lengths.push(text.len() as f64);
        self.longest = self.longest.max(text.len() as u64);
        let binned = self.binned.get_or_insert_with(Calibration::hashed);
        let bin = binned.bin_of_text(Some(text));
        binned.counts[bin] += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.present += other.present;
        self.missing += other.missing;
        self.distinct.merge(&other.distinct);
        self.frequent.merge(&other.frequent);
        if let Some(theirs) = &other.quantiles {
            self.quantiles.get_or_insert_with(|| Kll::new(K)).merge(theirs);
        }
        self.moments.merge(&other.moments);
        self.lengths.merge(&other.lengths);
        self.longest = self.longest.max(other.longest);
        self.nan += other.nan;
        self.infinite += other.infinite;
        self.zeros += other.zeros;
        if let Some(theirs) = &other.binned {
            let mine = self.binned.get_or_insert_with(Calibration::hashed);
            mine.counts.iter_mut().zip(&theirs.counts).for_each(|(a, b)| *a += b);
        }
    }

    /// Texts with the rows that have none.
    fn binned(&self) -> Option<Calibration> {
        let mut binned = self.binned.clone()?;
        let missing = binned.bin_of_text(None);
        binned.counts[missing] += self.missing;
        Some(binned)
    }

    fn numbers(&self) -> Numbers {
        let kll = self.quantiles.clone().unwrap_or_default();
        let view = kll.view();
        Numbers {
            nan: self.nan,
            infinite: self.infinite,
            zeros: self.zeros,
            mean: self.moments.mean(),
            deviation: self.moments.stddev(),
            min: kll.min(),
            max: kll.max(),
            quantiles: QUANTILES.iter().filter_map(|q| Some((*q, view.quantile(*q)?))).collect(),
            rank_error: kll.rank_error(),
            kll: STANDARD.encode(kll.to_datasketches()),
        }
    }

    fn texts(&self) -> Texts {
        let top = self.frequent.top(SHOWN_VALUES);
        Texts {
            count_error: top.iter().map(|i| i.at_most - i.at_least).max().unwrap_or(0),
            frequent: top.into_iter().map(|i| (i.value, i.count)).collect(),
            longest: self.longest,
            mean_length: self.lengths.mean(),
            frequent_items: STANDARD.encode(self.frequent.to_bytes()),
        }
    }
}

/// Sums of products of two columns, over rows that have both.
#[derive(Clone, Copy, Default)]
struct Together {
    n: f64,
    means: [f64; 2],
    squares: [f64; 2],
    product: f64,
}

impl Together {
    /// Of one batch, in two passes, then merged (Chan, Golub and LeVeque).
    fn extend(&mut self, a: &[f64], b: &[f64]) {
        let both = || a.iter().zip(b).filter(|(x, y)| x.is_finite() && y.is_finite());
        let (mut n, mut sums) = (0.0, [0.0; 2]);
        for (x, y) in both() {
            n += 1.0;
            sums = [sums[0] + x, sums[1] + y];
        }
        if n == 0.0 {
            return;
        }
        let mut batch = Self { n, means: [sums[0] / n, sums[1] / n], ..Self::default() };
        for (x, y) in both() {
            let (dx, dy) = (x - batch.means[0], y - batch.means[1]);
            batch.squares = [batch.squares[0] + dx * dx, batch.squares[1] + dy * dy];
            batch.product += dx * dy;
        }
        self.merge(&batch);
    }

    fn merge(&mut self, other: &Self) {
        if other.n == 0.0 {
            return;
        }
        let total = self.n + other.n;
        let weight = self.n * other.n / total;
        let apart = [0, 1].map(|i| other.means[i] - self.means[i]);
        for (i, apart) in apart.iter().enumerate() {
            self.squares[i] += other.squares[i] + apart * apart * weight;
            self.means[i] += apart * other.n / total;
        }
        self.product += other.product + apart[0] * apart[1] * weight;
        self.n = total;
    }

    fn pearson(&self) -> Option<f64> {
        let scale = (self.squares[0] * self.squares[1]).sqrt();
        (self.n > 1.0 && scale > 0.0).then(|| (self.product / scale).clamp(-1.0, 1.0))
    }
}

/// What a lane has of the file.
struct Lane {
    /// Which one.
    number: u64,
    rows: u64,
    columns: Vec<Sketches>,
    together: Vec<Together>,
    sample: Lowest,
    /// Numbers of the sample's rows by column, NaN where there is none; nothing for columns of other kinds.
    sampled: Vec<Vec<f64>>,
}

impl Lane {
    /// Places of a batch's rows that the sample takes. The columns' values are to follow.
    fn draw(&mut self, rows: usize) -> Vec<usize> {
        let name = |row: usize| self.rows.wrapping_add(row as u64).wrapping_mul(LANES as u64).wrapping_add(self.number);
        let mut drawn = Vec::new();
        for row in 0..rows {
            let mark = mark(name(row));
            if self.sample.wants(mark) {
                self.sample.push(mark);
                drawn.push(row);
            }
        }
        drawn
    }

    fn settle(&mut self) {
        let order = self.sample.settle();
        for values in self.sampled.iter_mut().filter(|v| !v.is_empty()) {
            *values = order.iter().map(|at| values[*at]).collect();
        }
    }

    fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.columns.iter_mut().zip(&other.columns).for_each(|(mine, theirs)| mine.merge(theirs));
        self.together.iter_mut().zip(&other.together).for_each(|(mine, theirs)| mine.merge(theirs));
        self.sample.extend(&other.sample);
        self.sampled.iter_mut().zip(&other.sampled).for_each(|(mine, theirs)| mine.extend_from_slice(theirs));
        self.settle();
    }
}

/// The columns as they are read.
struct Plan {
    kinds: Vec<Kind>,
    /// Places of those that are correlated.
    numeric: Vec<usize>,
}

impl Plan {
    fn new(table: &Table) -> Self {
        let kinds: Vec<Kind> = table.schema().fields().iter().map(|f| Kind::of(f.data_type())).collect();
        let is = |at: &usize| matches!(kinds[*at], Kind::Integer | Kind::Number);
        let mut numeric: Vec<usize> = (0..kinds.len()).filter(is).collect();
        if numeric.len() > CORRELATED {
            numeric.clear();
        }
        Self { kinds, numeric }
    }

    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let n = self.numeric.len();
        (0..n).flat_map(move |i| (i + 1..n).map(move |j| (i, j)))
    }

    fn lane(&self, number: usize) -> Lane {
        let n = self.kinds.len();
        Lane {
            number: number as u64,
            rows: 0,
            columns: vec![Sketches::default(); n],
            together: vec![Together::default(); self.pairs().count()],
            sample: Lowest::new(SAMPLED),
            sampled: vec![Vec::new(); n],
        }
    }

    fn see(&self, lane: &mut Lane, batch: &RecordBatch) -> Result<(), ArrowError> {
        let drawn = lane.draw(batch.num_rows());
        lane.rows += batch.num_rows() as u64;
        let (mut there, mut scratch) = (Vec::new(), Vec::new());
        let mut numeric: Vec<Vec<f64>> = Vec::with_capacity(self.numeric.len());
        let lanes = lane.columns.iter_mut().zip(&mut lane.sampled);
        for ((column, kind), (sketches, sampled)) in batch.columns().iter().zip(&self.kinds).zip(lanes) {
            if kind.is_numeric() {
                let keep = *kind != Kind::Time;
                let mut all = Vec::with_capacity(if keep { batch.num_rows() } else { 0 });
                there.clear();
                numbers(column, |value| {
                    if keep {
                        all.push(value.unwrap_or(f64::NAN));
                    }
                    there.extend(value);
                })?;
                sketches.missing += (batch.num_rows() - there.len()) as u64;
                sketches.see_numbers(&there, &mut scratch);
                if keep {
                    // What has no end is the last of what has one.
                    sampled.extend(drawn.iter().map(|row| all[*row].clamp(f64::MIN, f64::MAX)));
                    if !self.numeric.is_empty() {
                        numeric.push(all);
                    }
                }
            } else if *kind == Kind::Other {
                let missing = column.logical_null_count() as u64;
                sketches.missing += missing;
                sketches.present += batch.num_rows() as u64 - missing;
            } else {
                texts(column, |text| match text {
                    Some(text) => sketches.see_text(text),
                    None => sketches.missing += 1,
                })?;
            }
        }
        for ((i, j), together) in self.pairs().zip(&mut lane.together) {
            together.extend(&numeric[i], &numeric[j]);
        }
        if lane.sample.crowded() {
            lane.settle();
        }
        Ok(())
    }
}

/// Profiles a file. Blocks.
///
/// # Errors
/// [`MonitorError`] when it cannot be read.
pub fn profile(table: &Table, threads: usize) -> Result<Profile, MonitorError> {
    let plan = Plan::new(table);
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Result<Lane, MonitorError>)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, LANES) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= LANES {
                        return;
                    }
                    let lane = fill(table, &plan, at);
                    done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((at, lane));
                }
            });
        }
    });
    let mut lanes = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if lanes.len() != LANES {
        return Err(MonitorError::Thread(table.file().to_owned()));
    }
    lanes.sort_by_key(|(at, _)| *at);
    let mut whole = plan.lane(0);
    for (_, lane) in lanes {
        whole.merge(&lane?);
    }
    Ok(told(table, &plan, &whole))
}

/// Every LANES-th part of the file.
fn fill(table: &Table, plan: &Plan, at: usize) -> Result<Lane, MonitorError> {
    let mut lane = plan.lane(at);
    for part in (at..table.parts()).step_by(LANES) {
        for batch in table.rows(part, None)? {
            let seen = batch.and_then(|batch| plan.see(&mut lane, &batch));
            seen.map_err(|e| table.wrong(&e))?;
        }
    }
    Ok(lane)
}

fn told(table: &Table, plan: &Plan, whole: &Lane) -> Profile {
    let fields = table.schema().fields();
    let known = whole.columns.iter().zip(&whole.sampled);
    let columns = fields.iter().zip(&plan.kinds).zip(known).map(|((field, kind), (sketches, sampled))| Column {
        name: field.name().clone(),
        kind: *kind,
        stored_as: field.data_type().to_string(),
        present: sketches.present,
        missing: sketches.missing,
        distinct: sketches.distinct.estimate(),
        numbers: kind.is_numeric().then(|| sketches.numbers()),
        texts: matches!(kind, Kind::Text | Kind::Boolean).then(|| sketches.texts()),
        hll: STANDARD.encode(sketches.distinct.to_bytes()),
        calibration: match kind {
            Kind::Integer | Kind::Number => {
                Calibration::new(&Values::Numbers { values: sampled.clone(), whole: *kind == Kind::Integer }).ok()
            }
            Kind::Text | Kind::Boolean => sketches.binned(),
            Kind::Time | Kind::Other => None,
        },
    });
    let name = |at: usize| fields[plan.numeric[at]].name().clone();
    let pairs = plan.pairs().zip(&whole.together);
    Profile {
        version: 1,
        file: table.file().file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
        rows: whole.rows,
        columns: columns.collect(),
        correlations: pairs
            .filter_map(|((i, j), t)| Some(Correlation { columns: [name(i), name(j)], pearson: t.pearson()? }))
            .collect(),
    }
}
