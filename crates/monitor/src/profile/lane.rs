//! What one lane of a file gathers.

use super::gathered::Gathered;
use super::{LANES, Numbers, Shape, Texts, Vectors};
use crate::column::{Kind, numbers, texts};
use crate::drift::{are_vectors, each_vector};
use crate::lowest::{Lowest, mark};
use crate::table::Table;
use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mainspring_stats::multivariate::Form;
use mainspring_stats::presets::{Calibration, Values};
use mainspring_stats::{Distinct, Frequent, Kll, Moments};

/// k of the quantile sketches: that of DataSketches by default, a rank error of 1.9 % in 99 % of cases.
pub(super) const K: u16 = 200;
const SHOWN_VALUES: usize = 20;
pub(super) const QUANTILES: [f64; 9] = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99];
/// Numeric columns up to which correlations are kept: their number grows with the square.
const CORRELATED: usize = 64;
/// Rows of a random sample that numbers are calibrated by: live traffic is ranked among nine tenths of them.
const SAMPLED: usize = 4_096;

/// What a lane has of a column.
#[derive(Clone, Default)]
pub(super) struct Sketches {
    pub(super) present: u64,
    pub(super) missing: u64,
    pub(super) distinct: Distinct,
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
    /// Of lists of numbers.
    gathered: Option<Gathered>,
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
        if let Some(theirs) = &other.gathered {
            self.gathered.get_or_insert_default().merge(theirs);
        }
        if let Some(theirs) = &other.binned {
            let mine = self.binned.get_or_insert_with(Calibration::hashed);
            mine.counts.iter_mut().zip(&theirs.counts).for_each(|(a, b)| *a += b);
        }
    }

    pub(super) fn vectors(&self) -> Option<Vectors> {
        self.gathered.as_ref().map(Gathered::told)
    }

    /// Texts with the rows that have none.
    pub(super) fn binned(&self) -> Option<Calibration> {
        let mut binned = self.binned.clone()?;
        let missing = binned.bin_of_text(None);
        binned.counts[missing] += self.missing;
        Some(binned)
    }

    pub(super) fn numbers(&self) -> Numbers {
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

    /// `forms` are those of some of them.
    pub(super) fn texts(&self, forms: &[Option<[f64; 4]>]) -> Texts {
        let frequent = self.frequent.surely(SHOWN_VALUES);
        Texts {
            count_error: self.frequent.error(),
            frequent: frequent.into_iter().map(|i| (i.value, i.at_most)).collect(),
            longest: self.longest,
            mean_length: self.lengths.mean(),
            frequent_items: STANDARD.encode(self.frequent.to_bytes()),
            form: shapes(forms),
        }
    }
}

/// What is told of forms, in the order of their numbers.
fn shapes(forms: &[Option<[f64; 4]>]) -> Vec<Shape> {
    let there: Vec<[f64; 4]> = forms.iter().flatten().copied().collect();
    if there.is_empty() {
        return Vec::new();
    }
    let shape = |(at, name): (usize, &&str)| {
        let mut values: Vec<f64> = there.iter().map(|form| form[at]).collect();
        let with_missing = forms.iter().map(|form| form.map_or(f64::NAN, |form| form[at])).collect();
        let calibration = Calibration::new(&Values::Numbers { values: with_missing, whole: false }).ok();
        values.sort_by(f64::total_cmp);
        let quantile = |share: f64| values[((share * values.len() as f64).ceil() as usize).clamp(1, values.len()) - 1];
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let quantiles = QUANTILES.map(|share| (share, quantile(share))).to_vec();
        Shape { name: (*name).to_owned(), mean, quantiles, calibration }
    };
    Form::NAMES.iter().enumerate().map(shape).collect()
}

/// Sums of products of two columns, over rows that have both.
#[derive(Clone, Copy, Default)]
pub(super) struct Together {
    n: f64,
    means: [f64; 2],
    squares: [f64; 2],
    product: f64,
}

/// A batch's numbers of one column, NaN where there is none.
struct Centred {
    /// Less their mean where all are finite; else as they are.
    values: Vec<f64>,
    /// Their mean, where all are finite.
    mean: Option<f64>,
    /// The sum of the squares of the centred values.
    square: f64,
}

impl Centred {
    fn new(mut values: Vec<f64>) -> Self {
        // Without an early end, so that it runs over many at once.
        if values.is_empty() || !values.iter().fold(true, |all, v| all & v.is_finite()) {
            return Self { values, mean: None, square: 0.0 };
        }
        let mean = dot(&values, None) / values.len() as f64;
        for v in &mut values {
            *v -= mean;
        }
        let square = dot(&values, Some(&values));
        Self { mean: Some(mean), square, values }
    }
}

/// Σ aᵢ·bᵢ, or Σ aᵢ, in eight parts side by side: one after the other, each addition would wait for the one before.
fn dot(a: &[f64], b: Option<&[f64]>) -> f64 {
    let mut parts = [0.0; 8];
    let (eights, rest) = a.as_chunks::<8>();
    let Some(b) = b else {
        for eight in eights {
            parts.iter_mut().zip(eight).for_each(|(part, x)| *part += x);
        }
        return parts.iter().sum::<f64>() + rest.iter().sum::<f64>();
    };
    let (others, left) = b.as_chunks::<8>();
    for (eight, other) in eights.iter().zip(others) {
        parts.iter_mut().zip(eight.iter().zip(other)).for_each(|(part, (x, y))| *part += x * y);
    }
    parts.iter().sum::<f64>() + rest.iter().zip(left).map(|(x, y)| x * y).sum::<f64>()
}

impl Together {
    /// Of one batch: two columns without holes by one product; others in two passes over the rows that have both.
    fn extend(&mut self, a: &Centred, b: &Centred) {
        if let (Some(x), Some(y)) = (a.mean, b.mean) {
            let product = dot(&a.values, Some(&b.values));
            let n = a.values.len() as f64;
            self.merge(&Self { n, means: [x, y], squares: [a.square, b.square], product });
            return;
        }
        let both = || a.values.iter().zip(&b.values).filter(|(x, y)| x.is_finite() && y.is_finite());
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
        // A column that was centred has its mean elsewhere.
        batch.means = [batch.means[0] + a.mean.unwrap_or(0.0), batch.means[1] + b.mean.unwrap_or(0.0)];
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

    pub(super) fn pearson(&self) -> Option<f64> {
        let scale = (self.squares[0] * self.squares[1]).sqrt();
        (self.n > 1.0 && scale > 0.0).then(|| (self.product / scale).clamp(-1.0, 1.0))
    }
}

/// What a lane has of the file.
pub(super) struct Lane {
    /// Which one.
    number: u64,
    pub(super) rows: u64,
    pub(super) columns: Vec<Sketches>,
    pub(super) together: Vec<Together>,
    sample: Lowest,
    /// Numbers of the sample's rows by column, NaN where there is none; nothing for columns of other kinds.
    pub(super) sampled: Vec<Vec<f64>>,
    /// The forms of their texts, `None` where there is none; nothing for columns of other kinds.
    pub(super) forms: Vec<Vec<Option<[f64; 4]>>>,
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
        for forms in self.forms.iter_mut().filter(|forms| !forms.is_empty()) {
            *forms = order.iter().map(|at| forms[*at]).collect();
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.columns.iter_mut().zip(&other.columns).for_each(|(mine, theirs)| mine.merge(theirs));
        self.together.iter_mut().zip(&other.together).for_each(|(mine, theirs)| mine.merge(theirs));
        self.sample.extend(&other.sample);
        self.sampled.iter_mut().zip(&other.sampled).for_each(|(mine, theirs)| mine.extend_from_slice(theirs));
        self.forms.iter_mut().zip(&other.forms).for_each(|(mine, theirs)| mine.extend_from_slice(theirs));
        self.settle();
    }
}

/// The columns as they are read.
pub(super) struct Plan {
    pub(super) kinds: Vec<Kind>,
    /// Places of those that are correlated.
    pub(super) numeric: Vec<usize>,
}

impl Plan {
    pub(super) fn new(table: &Table) -> Self {
        let kinds: Vec<Kind> = table.schema().fields().iter().map(|f| Kind::of(f.data_type())).collect();
        let is = |at: &usize| matches!(kinds[*at], Kind::Integer | Kind::Number);
        let mut numeric: Vec<usize> = (0..kinds.len()).filter(is).collect();
        if numeric.len() > CORRELATED {
            numeric.clear();
        }
        Self { kinds, numeric }
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let n = self.numeric.len();
        (0..n).flat_map(move |i| (i + 1..n).map(move |j| (i, j)))
    }

    pub(super) fn lane(&self, number: usize) -> Lane {
        let n = self.kinds.len();
        Lane {
            number: number as u64,
            rows: 0,
            columns: vec![Sketches::default(); n],
            together: vec![Together::default(); self.pairs().count()],
            sample: Lowest::new(SAMPLED),
            sampled: vec![Vec::new(); n],
            forms: vec![Vec::new(); n],
        }
    }

    pub(super) fn see(&self, lane: &mut Lane, batch: &RecordBatch) -> Result<(), ArrowError> {
        let drawn = lane.draw(batch.num_rows());
        lane.rows += batch.num_rows() as u64;
        let (mut there, mut scratch) = (Vec::new(), Vec::new());
        let mut numeric: Vec<Centred> = Vec::with_capacity(self.numeric.len());
        let lanes = lane.columns.iter_mut().zip(&mut lane.sampled).zip(&mut lane.forms);
        for ((column, kind), ((sketches, sampled), forms)) in batch.columns().iter().zip(&self.kinds).zip(lanes) {
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
                        numeric.push(Centred::new(all));
                    }
                }
            } else if *kind == Kind::Other {
                let missing = column.logical_null_count() as u64;
                sketches.missing += missing;
                sketches.present += batch.num_rows() as u64 - missing;
                if are_vectors(column.data_type()) {
                    let gathered = sketches.gathered.get_or_insert_default();
                    each_vector(column, |vector| gathered.push(vector))?;
                }
            } else {
                let (mut row, mut next) = (0, drawn.iter().copied().peekable());
                texts(column, |text| {
                    match text {
                        Some(text) => sketches.see_text(text),
                        None => sketches.missing += 1,
                    }
                    if *kind == Kind::Text && next.next_if_eq(&row).is_some() {
                        forms.push(text.map(|text| Form::of(text).numbers()));
                    }
                    row += 1;
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
