//! What a file's columns look like: sketches of each, from which any later comparison can be made.
//!
//! The file's parts (row groups, record batches) are dealt out to a fixed number of lanes, which threads take; each lane
//! keeps sketches of its own, and these merge in the lanes' order. So the profile of a file is the same whatever the
//! number of threads is, and memory is that of the lanes' sketches and one batch for each thread.

mod gathered;
mod lane;

use crate::column::Kind;
use crate::error::MonitorError;
use crate::table::Table;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lane::{Lane, Plan};
use mainspring_stats::presets::{Calibration, Values};
use serde::{Deserialize, Serialize};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const LANES: usize = 8;

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
    /// Of lists of numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vectors: Option<Vectors>,
    /// DataSketches' HLL in base 64; empty where there is no value.
    pub hll: String,
    /// What live traffic is tested against: of numbers by a random sample of the rows, of texts by all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

/// What vectors look like: lists of as many numbers each, such as embeddings. Lists with a hole or an infinite number in them
/// are none.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Vectors {
    /// Numbers of a vector.
    pub dimension: usize,
    /// Vectors.
    pub count: u64,
    /// Lists of another length, which are left out.
    pub uneven: u64,
    /// Mean of each component.
    pub means: Vec<f64>,
    /// Standard deviation of each, divided by n − 1.
    pub deviations: Vec<f64>,
    /// Quantiles of the vectors' lengths in space (Euclidean norms).
    pub norms: Vec<(f64, f64)>,
    /// DataSketches' KLL of these in base 64.
    pub norm_kll: String,
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
    /// The most frequent ones with the most rows that each may have, the most frequent first. Only those that surely have
    /// more rows than `count_error`: none where all are rare, such as ids.
    pub frequent: Vec<(String, u64)>,
    /// Rows by which a count of `frequent` may be above the truth, never below; zero where all values were counted.
    pub count_error: u64,
    /// Bytes of the longest.
    pub longest: u64,
    /// Mean length in bytes.
    pub mean_length: Option<f64>,
    /// DataSketches' frequent items of texts in base 64.
    pub frequent_items: String,
    /// Their form, of 4,096 random rows at most; nothing of truth values, and in profiles that were made before it was looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub form: Vec<Shape>,
}

/// A number that a text has: its characters, words, sentences, or the characters of a hundred that are neither letters nor
/// spaces.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Shape {
    /// One of [`NAMES`](mainspring_stats::multivariate::Form::NAMES).
    pub name: String,
    /// Mean.
    pub mean: f64,
    /// (share, value): so much of the sampled texts is at or below it.
    pub quantiles: Vec<(f64, f64)>,
    /// The bins that live texts are compared in; nothing in profiles that were made before there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
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
    let known = whole.columns.iter().zip(&whole.sampled).zip(&whole.forms);
    let columns =
        fields.iter().zip(&plan.kinds).zip(known).map(|((field, kind), ((sketches, sampled), forms))| Column {
            name: field.name().clone(),
            kind: *kind,
            stored_as: field.data_type().to_string(),
            present: sketches.present,
            missing: sketches.missing,
            distinct: sketches.distinct.estimate(),
            numbers: kind.is_numeric().then(|| sketches.numbers()),
            texts: matches!(kind, Kind::Text | Kind::Boolean).then(|| sketches.texts(forms)),
            vectors: sketches.vectors(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use mainspring_stats::multivariate::Form;

    /// Profiles a file of one column, `plan`, with the rows' values.
    fn texts(rows: impl Iterator<Item = String>) -> Texts {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.csv");
        std::fs::write(&file, format!("plan\n{}\n", rows.collect::<Vec<_>>().join("\n"))).unwrap();
        let mut profile = profile(&Table::open(&file).unwrap(), 2).unwrap();
        profile.columns.remove(0).texts.unwrap()
    }

    #[test]
    fn texts_have_a_form_whatever_of_them_is_frequent() {
        let said = texts((0..60_000).map(|i| format!("{} is no. {i}. So what?", ["Ada", "Grace Hopper"][i % 2])));
        let form = |name: &str| said.form.iter().find(|shape| shape.name == name).unwrap();
        let (words, sentences) = (form("words"), form("sentences"));
        let median = |shape: &Shape| shape.quantiles.iter().find(|(share, _)| *share == 0.5).unwrap().1;
        assert!((words.mean - 5.5).abs() < 0.1 && [5.0, 6.0].contains(&median(words)), "{words:?}");
        assert_eq!((sentences.mean, median(sentences)), (3.0, 3.0));
        assert_eq!(words.quantiles.first().map(|(_, x)| *x), Some(5.0));
        assert_eq!(words.quantiles.last().map(|(_, x)| *x), Some(6.0));
        let names: Vec<&str> = said.form.iter().map(|shape| shape.name.as_str()).collect();
        assert_eq!(names, Form::NAMES);
        // Of fewer rows than are sampled all of them, and those without a text are not of the form.
        let few = texts(["a b".to_owned(), String::new(), "1".to_owned()].into_iter());
        let means: Vec<f64> = few.form.iter().map(|shape| shape.mean).collect();
        assert_eq!(means, [2.0, 1.0, 1.0, 50.0]);
    }

    #[test]
    fn a_profile_from_before_forms_were_looked_at_is_read() {
        let text = r#"{"frequent": [], "countError": 0, "longest": 1, "meanLength": 1.0, "frequentItems": ""}"#;
        assert!(serde_json::from_str::<Texts>(text).unwrap().form.is_empty());
    }

    #[test]
    fn values_that_came_once_are_not_frequent() {
        let ids = texts((0..3_000).map(|i| format!("id-{i}")));
        assert!(ids.frequent.is_empty() && ids.count_error > 1, "{:?} ± {}", ids.frequent, ids.count_error);
    }

    #[test]
    fn a_count_is_at_most_its_error_above_the_truth() {
        let mixed = texts((0..6_000).map(|i| if i % 3 == 0 { "gold".to_owned() } else { format!("id-{i}") }));
        let [(value, most)] = &mixed.frequent[..] else { panic!("{:?}", mixed.frequent) };
        assert_eq!(value, "gold");
        assert!((most - mixed.count_error..=*most).contains(&2_000), "{most} less {}", mixed.count_error);
        let few = texts((0..60).map(|i| if i < 40 { "gold".to_owned() } else { "free".to_owned() }));
        assert_eq!((few.frequent, few.count_error), (vec![("gold".to_owned(), 40), ("free".to_owned(), 20)], 0));
    }
}
