//! Batches as the journal lays them out.

use super::*;
use arrow::array::{Float32Array, Int64Array, ListArray};
use arrow::datatypes::Float32Type;
use mainspring_core::EventId;
use serde_json::json;
use std::sync::Arc;

pub(crate) fn spec(more: serde_json::Value) -> MonitorSpec {
    let mut whole = json!({"deployment": "churn"});
    whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let spec: MonitorSpec = serde_json::from_value(whole).unwrap();
    spec.validate().unwrap();
    spec
}

/// Rows of one batch; each with its number as the random part of its id.
pub(crate) struct Lines {
    pub at: Vec<i64>,
    pub first_id: u64,
    pub variant: &'static str,
    pub version: &'static str,
}

pub(crate) fn batch(lines: &Lines, columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let n = lines.at.len();
    let id = |i: usize| {
        let random = crate::lowest::mark(lines.first_id + i as u64);
        let uuid = u128::from(random) | (0x0198_0000_0000_7000 << 64);
        format!("{uuid:032x}")
    };
    let ids: StringArray = (0..n)
        .map(|i| {
            let hex = id(i);
            Some(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
        })
        .collect();
    assert!(ids.value(0).parse::<EventId>().is_ok());
    let same = |word: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(std::iter::repeat_n(word, n))) };
    let mut all: Vec<(&str, ArrayRef)> = vec![
        ("event_id", Arc::new(ids)),
        ("row", Arc::new(Int32Array::from(vec![0; n]))),
        ("at", Arc::new(TimestampMicrosecondArray::from(lines.at.clone()).with_timezone("UTC"))),
        ("variant", same(lines.variant)),
        ("model", same("churn")),
        ("version", same(lines.version)),
        ("forced", Arc::new(BooleanArray::from(vec![false; n]))),
        ("shadow_of", Arc::new(StringArray::new_null(n))),
        ("outcome", same("ok")),
        ("payload", same("kept")),
    ];
    all.extend(columns);
    RecordBatch::try_from_iter_with_nullable(all.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

fn lines(minute: i64, first: u64, n: usize) -> Lines {
    Lines { at: vec![minute * MINUTE + 5; n], first_id: first, variant: "stable", version: "3" }
}

fn floats(n: usize, value: f32) -> ArrayRef {
    Arc::new(Float32Array::from(vec![value; n]))
}

#[test]
fn a_minute_is_given_once_and_whole_and_late_rows_are_counted() {
    let spec = spec(json!({}));
    let mut sampler = Sampler::from(Timestamp(0));
    sampler.take(&batch(&lines(0, 0, 100), vec![("in.x", floats(100, 1.0))]), &spec).unwrap();
    sampler.take(&batch(&lines(1, 100, 50), vec![("in.x", floats(50, 2.0))]), &spec).unwrap();
    assert!(sampler.close(Timestamp(MINUTE - 1)).is_empty());
    let first = sampler.close(Timestamp(MINUTE + 10));
    assert_eq!((first.len(), first[0].at, first[0].seen, first[0].rows), (1, Timestamp(0), 100, 100));
    assert_eq!(first[0].columns["in.x"], Cells::Numbers(vec![1.0; 100]));
    sampler.take(&batch(&lines(0, 150, 7), vec![("in.x", floats(7, 1.0))]), &spec).unwrap();
    assert_eq!(sampler.late(), 7);
    let second = sampler.close(Timestamp(2 * MINUTE));
    assert_eq!((second.len(), second[0].seen, second[0].version.as_str()), (1, 50, "3"));
    assert!(sampler.close(Timestamp(2 * MINUTE)).is_empty());
}

#[test]
fn what_is_shorter_than_a_minute_is_given_when_it_is_over() {
    let spec = spec(json!({"every": "10s"}));
    let mut sampler = Sampler::from(Timestamp(0)).every(spec.step());
    for at in [0, 9_999_999, 10_000_000, 59_000_000] {
        let lines = Lines { at: vec![at; 3], first_id: at as u64, variant: "stable", version: "3" };
        sampler.take(&batch(&lines, vec![("in.x", floats(3, 1.0))]), &spec).unwrap();
    }
    let given = |looks: Vec<Minute>| looks.iter().map(|m| (m.at.micros(), m.seen)).collect::<Vec<_>>();
    assert_eq!(given(sampler.close(Timestamp(19_000_000))), [(0, 6)]);
    assert_eq!(given(sampler.close(Timestamp(60_000_000))), [(10_000_000, 3), (50_000_000, 3)]);
}

#[test]
fn the_sample_is_the_same_in_any_order_and_its_rows_stay_together() {
    let spec = spec(json!({}));
    let n = 5_000;
    let numbered = |first: u64| -> Vec<(&'static str, ArrayRef)> {
        let values = |scale: f64| -> ArrayRef {
            Arc::new((0..n).map(|i| Some((first + i) as f64 * scale)).collect::<arrow::array::Float64Array>())
        };
        vec![("in.x", values(1.0)), ("out.y", values(-2.0))]
    };
    let parts: Vec<RecordBatch> = (0..3).map(|p| batch(&lines(0, p * n, n as usize), numbered(p * n))).collect();
    let sample = |order: &[usize]| {
        let mut sampler = Sampler::from(Timestamp(0));
        for p in order {
            sampler.take(&parts[*p], &spec).unwrap();
        }
        sampler.close(Timestamp(MINUTE)).remove(0)
    };
    let one = sample(&[0, 1, 2]);
    assert_eq!((one.seen, one.rows), (15_000, SAMPLED));
    assert_eq!(one, sample(&[2, 0, 1]));
    let (Cells::Numbers(x), Cells::Numbers(y)) = (&one.columns["in.x"], &one.columns["out.y"]) else { unreachable!() };
    assert!(x.iter().zip(y).all(|(x, y)| -2.0 * x == *y), "a row's values belong together");
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    // Uniform over 15,000 rows: a standard deviation of 4,330 over 16.
    assert!((mean - 7_500.0).abs() < 4.0 * 271.0, "{mean}");
}

#[test]
fn what_no_caller_got_by_chance_is_left_out() {
    let spec = spec(json!({}));
    let whole = batch(&lines(0, 0, 6), vec![("in.x", floats(6, 1.0))]);
    let with = |name: &str, column: ArrayRef| {
        let at = whole.schema().index_of(name).unwrap();
        let mut columns = whole.columns().to_vec();
        columns[at] = column;
        RecordBatch::try_new(whole.schema(), columns).unwrap()
    };
    let words = |word: &'static str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..6).map(|i| if i < 2 { word } else { "ok" })))
    };
    let kept: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..6).map(|i| if i < 2 { "dropped" } else { "kept" })));
    let shadow: ArrayRef = Arc::new((0..6).map(|i| (i < 2).then_some("x")).collect::<StringArray>());
    let forced: ArrayRef = Arc::new((0..6).map(|i| Some(i < 2)).collect::<BooleanArray>());
    let other: ArrayRef = Arc::new(StringArray::from_iter_values((0..6).map(|i| if i < 2 { "v8" } else { "stable" })));
    for (name, column) in
        [("outcome", words("failed")), ("payload", kept), ("shadow_of", shadow), ("forced", forced), ("variant", other)]
    {
        let mut sampler = Sampler::from(Timestamp(0));
        sampler.take(&with(name, column), &spec).unwrap();
        assert_eq!(sampler.close(Timestamp(MINUTE))[0].seen, 4, "{name}");
    }
}

#[test]
fn columns_of_every_kind_and_of_changing_layouts_line_up() {
    let spec = spec(json!({"columns": ["in.*"], "segments": ["out.class"]}));
    let mut sampler = Sampler::from(Timestamp(0));
    let lists = ListArray::from_iter_primitive::<Float32Type, _, _>([
        Some(vec![Some(1.0), Some(2.0)]),
        None,
        Some(vec![Some(3.0), Some(4.0)]),
    ]);
    let words: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("b")]));
    let whole: ArrayRef = Arc::new(Int64Array::from(vec![Some(7), None, Some(9)]));
    let truth: ArrayRef = Arc::new(BooleanArray::from(vec![true, false, true]));
    let columns = vec![
        ("in.list", Arc::new(lists) as ArrayRef),
        ("in.word", words),
        ("in.count", whole.clone()),
        ("in.yes", truth),
        ("out.class", whole),
        ("out.other", floats(3, 1.0)),
        ("in.big.digest", Arc::new(arrow::array::BinaryArray::from(vec![b"x".as_slice(); 3]))),
    ];
    sampler.take(&batch(&lines(0, 0, 3), columns), &spec).unwrap();
    sampler.take(&batch(&lines(0, 3, 2), vec![("in.late", floats(2, f32::INFINITY))]), &spec).unwrap();
    let minute = sampler.close(Timestamp(MINUTE)).remove(0);
    let names: Vec<&str> = minute.columns.keys().map(String::as_str).collect();
    assert_eq!(names, ["in.count", "in.late", "in.list[0]", "in.list[1]", "in.word", "in.yes", "out.class"]);
    assert!(minute.columns.values().all(|cells| cells.len() == 5));
    let numbers = |name: &str| {
        let Cells::Numbers(values) = &minute.columns[name] else { unreachable!("{name}") };
        let mut there: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
        there.sort_by(f64::total_cmp);
        there
    };
    assert_eq!((numbers("in.list[1]"), numbers("in.count")), (vec![2.0, 4.0], vec![7.0, 9.0]));
    assert_eq!(numbers("in.late"), [f64::MAX; 2], "what has no end is the last number that has one");
    let Cells::Texts(yes) = &minute.columns["in.yes"] else { unreachable!() };
    assert_eq!(yes.iter().flatten().filter(|v| &***v == "true").count(), 2);
}

#[test]
fn around_a_swap_one_version_has_the_minute() {
    let minute = |at, version: &str, seen| Minute {
        at: Timestamp(at),
        model: "m".into(),
        version: version.into(),
        seen,
        rows: 0,
        in_time: Vec::new(),
        columns: BTreeMap::new(),
    };
    let given = vec![minute(0, "9", 10), minute(1, "10", 10), minute(1, "9", 4), minute(2, "10", 5), minute(2, "9", 5)];
    let kept: Vec<String> = most_of_each(given.clone(), ("m", "9")).into_iter().map(|m| m.version).collect();
    assert_eq!(kept, ["9", "10", "9"]);
    let kept: Vec<String> = most_of_each(given, ("m", "10")).into_iter().map(|m| m.version).collect();
    assert_eq!(kept, ["9", "10", "10"]);
}

/// A column may be called as an element of a list is.
#[test]
fn a_name_that_two_columns_have_has_the_values_of_one() {
    let spec = spec(json!({}));
    let lists = ListArray::from_iter_primitive::<Float32Type, _, _>([Some(vec![Some(1.0)]), Some(vec![Some(2.0)])]);
    let mut sampler = Sampler::from(Timestamp(0));
    for first in [0, 2] {
        let columns = vec![("in.x", Arc::new(lists.clone()) as ArrayRef), ("in.x[0]", floats(2, 9.0))];
        sampler.take(&batch(&lines(0, first, 2), columns), &spec).unwrap();
    }
    sampler.take(&batch(&lines(0, 4, 300), vec![("in.y", floats(300, 1.0))]), &spec).unwrap();
    let minute = sampler.close(Timestamp(MINUTE)).remove(0);
    assert!(minute.columns.values().all(|cells| cells.len() == minute.rows));
    let Cells::Numbers(x) = &minute.columns["in.x[0]"] else { unreachable!() };
    assert!(x.iter().all(|v| v.is_nan() || *v < 9.0), "{x:?}");
}

#[test]
fn lists_have_the_same_columns_whichever_rows_share_a_batch() {
    let spec = spec(json!({}));
    let rows = [Some(vec![Some(1.0)]), Some(vec![Some(2.0), Some(3.0)]), Some(vec![]), Some(vec![Some(4.0); 65]), None];
    let sample = |parts: &[&[usize]]| {
        let mut sampler = Sampler::from(Timestamp(0));
        for part in parts {
            let lists = ListArray::from_iter_primitive::<Float32Type, _, _>(part.iter().map(|i| rows[*i].clone()));
            let lines = lines(0, part[0] as u64, part.len());
            sampler.take(&batch(&lines, vec![("in.x", Arc::new(lists) as ArrayRef)]), &spec).unwrap();
        }
        let minute = sampler.close(Timestamp(MINUTE)).remove(0);
        minute.columns.into_iter().map(|(name, cells)| (name, format!("{cells:?}"))).collect::<Vec<_>>()
    };
    let whole = sample(&[&[0, 1, 2, 3, 4]]);
    assert_eq!(whole.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["in.x[0]", "in.x[1]"]);
    assert_eq!(whole, sample(&[&[0], &[1], &[2], &[3], &[4]]));
    assert_eq!(whole, sample(&[&[0, 1], &[2, 3, 4]]));
}

/// The sample stands in an order by chance, and says in which its rows came.
#[test]
fn a_sample_knows_the_order_in_which_its_rows_came() {
    let spec = spec(json!({}));
    let n = 1_000;
    let part = |first: i64| {
        let at = (0..n).map(|i| (first + 2 * i) * 10_000).collect();
        let values: ArrayRef =
            Arc::new((0..n).map(|i| Some((first + 2 * i) as f64)).collect::<arrow::array::Float64Array>());
        batch(&Lines { at, first_id: (first * n) as u64, variant: "stable", version: "3" }, vec![("in.x", values)])
    };
    let mut sampler = Sampler::from(Timestamp(0));
    for part in [part(1), part(0)] {
        sampler.take(&part, &spec).unwrap();
    }
    let minute = sampler.close(Timestamp(MINUTE)).remove(0);
    let Cells::Numbers(values) = &minute.columns["in.x"] else { unreachable!() };
    let in_time: Vec<f64> = minute.in_time.iter().map(|(row, _)| values[*row]).collect();
    assert!(in_time.len() == SAMPLED && in_time.is_sorted() && !values.is_sorted());
    assert!(minute.in_time.iter().zip(&in_time).all(|((_, at), x)| at.micros() == *x as i64 * 10_000));
}
