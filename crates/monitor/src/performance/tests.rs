//! Rows as the journal's queries give them, measured.

use super::columns::{By, Chosen, Cut};
use super::*;
use arrow::array::{
    Array, ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, ListArray, RecordBatch, StringArray,
};
use arrow::datatypes::Float32Type;
use report::Metric;
use std::sync::Arc;

fn request() -> Request {
    Request {
        deployment: Name::new("churn").unwrap(),
        from: Timestamp(0),
        until: Timestamp(1_000_000_000),
        segment: Segment::default(),
        now: Timestamp(1_000_000_000),
        label: "label".into(),
        prediction: None,
        score: None,
        task: None,
        by: vec![],
        positive: None,
        k: 3,
        worth: None,
        level: Level::default(),
    }
}

/// Labels by kind; `None` is a prediction without one.
enum Labels<'a> {
    Truths(Vec<Option<bool>>),
    Numbers(Vec<Option<f64>>),
    Texts(Vec<Option<&'a str>>),
}

struct Sent<'a> {
    prediction: ArrayRef,
    score: Option<ArrayRef>,
    labels: Labels<'a>,
    by: Vec<&'a str>,
}

impl Sent<'_> {
    fn measured(self, request: &Request) -> Result<Report, PerformanceError> {
        let n = self.prediction.len();
        let (value, kind, number): (Vec<Option<String>>, _, Vec<Option<f64>>) = match &self.labels {
            Labels::Truths(v) => (
                v.iter().map(|v| v.map(|v| v.to_string())).collect(),
                "bool",
                v.iter().map(|v| v.map(|v| f64::from(u8::from(v)))).collect(),
            ),
            Labels::Numbers(v) => (v.iter().map(|v| v.map(|v| v.to_string())).collect(), "number", v.clone()),
            Labels::Texts(v) => (v.iter().map(|v| v.map(str::to_owned)).collect(), "text", vec![None; n]),
        };
        let kinds: StringArray = value.iter().map(|v| v.is_some().then_some(kind)).collect();
        let at =
            |late: i64| -> ArrayRef { Arc::new((0..n as i64).map(|i| Some(i * 10 + late)).collect::<Int64Array>()) };
        let score = self.score.clone().unwrap_or_else(|| Arc::new(Int64Array::from(vec![None; n])));
        let columns: Vec<(&str, ArrayRef)> = vec![
            (
                "event_id",
                Arc::new(
                    (0..n).map(|i| Some(format!("0190a000-0000-7000-8000-{:012x}", i / 4))).collect::<StringArray>(),
                ),
            ),
            ("at", at(0)),
            ("prediction", self.prediction),
            ("score", score),
            ("labeled_at", at(5_000_000)),
            ("value", Arc::new(StringArray::from(value))),
            ("value_type", Arc::new(kinds)),
            ("value_number", Arc::new(Float64Array::from(number))),
            ("by0", Arc::new(StringArray::from(if self.by.is_empty() { vec!["all"; n] } else { self.by.clone() }))),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
        let longest = |lists: &ListArray| lists.iter().flatten().map(|list| list.len()).max().unwrap_or(0);
        let width = self.score.as_ref().map_or(1, |s| s.as_any().downcast_ref().map_or(1, longest));
        let chosen = Chosen {
            prediction: "out.label".into(),
            score: self.score.map(|_| "out.probabilities".into()),
            width,
            notes: vec![],
            by: if self.by.is_empty() {
                vec![]
            } else {
                vec![By { name: "in.sex".into(), column: "p.\"in.sex\"".into(), cut: Cut::Values }]
            },
            within: String::new(),
        };
        // In two batches, as it may come.
        let batches = [batch.slice(0, n / 3), batch.slice(n / 3, n - n / 3)];
        let ordered = request.task == Some(Task::Ranking);
        measure::measured(rows::Rows::read(&batches, &chosen, ordered).unwrap(), &chosen, request)
    }
}

fn pairs(rows: &[[f32; 2]]) -> ArrayRef {
    Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(
        rows.iter().map(|row| Some(row.iter().copied().map(Some).collect::<Vec<_>>())),
    ))
}

fn find<'a>(group: &'a Group, name: &str) -> &'a Metric {
    group.metrics.iter().find(|m| m.name == name).unwrap_or_else(|| panic!("no {name}"))
}

fn value(group: &Group, name: &str) -> f64 {
    find(group, name).measure.value
}

#[test]
fn truths_as_labels_meet_numbers_as_predictions() {
    let sent = Sent {
        prediction: Arc::new(Int64Array::from(vec![1, 1, 0, 0, 1, 0])),
        score: Some(pairs(&[[0.1, 0.9], [0.4, 0.6], [0.7, 0.3], [0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])),
        labels: Labels::Truths(vec![Some(true), Some(false), Some(false), Some(true), Some(true), None]),
        by: vec![],
    };
    let found = sent.measured(&request()).unwrap();
    assert_eq!((found.task, found.classes.clone()), (Task::Classification, vec!["0".to_owned(), "1".into()]));
    assert_eq!(found.positive.as_deref(), Some("1"));
    assert_eq!((found.overall.rows, found.overall.labeled, found.overall.unfit), (6, 5, 0));
    assert_eq!(value(&found.overall, "accuracy"), 0.6);
    assert_eq!(found.overall.confusion, [vec![1, 1], vec![1, 2]]);
    // Of all six answers: it needs no label.
    assert_eq!(value(&found.overall, "selection_rate"), 0.5);
    // Of six pairs, four are in order.
    assert!((value(&found.overall, "roc_auc") - 4.0 / 6.0).abs() < 1e-12);
    assert_eq!(found.delay.unwrap().median, 5.0);
    assert!(found.notes.is_empty(), "{:?}", found.notes);
}

#[test]
fn the_positive_class_may_be_the_other_one() {
    let sent = || Sent {
        prediction: Arc::new(StringArray::from(vec!["good", "bad", "bad", "good"])),
        score: Some(pairs(&[[0.2, 0.8], [0.7, 0.3], [0.9, 0.1], [0.4, 0.6]])),
        labels: Labels::Texts(vec![Some("good"), Some("bad"), Some("good"), Some("good")]),
        by: vec![],
    };
    let found = sent().measured(&request()).unwrap();
    assert_eq!((found.positive.as_deref(), value(&found.overall, "recall")), (Some("good"), 2.0 / 3.0));
    let bad = Request { positive: Some("bad".into()), ..request() };
    let other = sent().measured(&bad).unwrap();
    assert_eq!((value(&other.overall, "recall"), value(&other.overall, "precision")), (1.0, 0.5));
    for name in ["roc_auc", "brier", "log_loss"] {
        assert!((value(&found.overall, name) - value(&other.overall, name)).abs() < 1e-6, "{name}");
    }
    let none = Request { positive: Some("ugly".into()), ..request() };
    assert!(matches!(sent().measured(&none), Err(PerformanceError::Unfit(why)) if why.contains("bad, good")));
}

#[test]
fn probabilities_of_another_order_are_not_used() {
    let sent = Sent {
        prediction: Arc::new(StringArray::from(vec!["cat", "dog", "dog"])),
        // That of dog first.
        score: Some(pairs(&[[0.1, 0.9], [0.8, 0.2], [0.7, 0.3]])),
        labels: Labels::Texts(vec![Some("cat"), Some("dog"), Some("cat")]),
        by: vec![],
    };
    let found = sent.measured(&request()).unwrap();
    assert!(found.overall.metrics.iter().all(|m| m.name != "roc_auc"));
    assert!(found.notes[0].contains("in 0 % of the rows"), "{:?}", found.notes);
}

#[test]
fn one_probability_and_no_class_is_yes_from_one_half_on() {
    let sent = Sent {
        prediction: Arc::new(Float32Array::from(vec![0.9, 0.2, 0.6, 0.1])),
        score: None,
        labels: Labels::Numbers(vec![Some(1.0), Some(0.0), Some(0.0), Some(0.0)]),
        by: vec![],
    };
    let found = sent.measured(&request()).unwrap();
    assert_eq!((found.task, value(&found.overall, "accuracy")), (Task::Classification, 0.75));
    assert_eq!(value(&found.overall, "roc_auc"), 1.0);
    assert!(found.notes[0].contains("probability"));
}

#[test]
fn three_classes_have_a_metric_each_and_outcomes_are_worth_what_was_said() {
    let given = [[0.8_f32, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7], [0.5, 0.3, 0.2], [0.3, 0.4, 0.3]];
    let lists = ListArray::from_iter_primitive::<Float32Type, _, _>(
        given.iter().map(|row| Some(row.iter().copied().map(Some).collect::<Vec<_>>())),
    );
    let sent = Sent {
        // Nothing but the probabilities.
        prediction: Arc::new(lists.clone()),
        score: Some(Arc::new(lists)),
        labels: Labels::Numbers(vec![Some(0.0), Some(1.0), Some(2.0), Some(1.0), Some(1.0)]),
        by: vec![],
    };
    let worth = [("1", [("1", 10.0), ("0", -4.0)])];
    let worth = worth.map(|(t, row)| (t.to_owned(), row.map(|(p, v)| (p.to_owned(), v)).into())).into();
    let found = sent.measured(&Request { worth: Some(worth), ..request() }).unwrap();
    assert_eq!(found.classes, ["0", "1", "2"]);
    assert_eq!(value(&found.overall, "accuracy"), 0.8);
    let recall = found.overall.metrics.iter().find(|m| m.name == "recall" && m.class.as_deref() == Some("1")).unwrap();
    assert_eq!(recall.measure.value, 2.0 / 3.0);
    assert!((value(&found.overall, "worth") - (20.0 - 4.0) / 5.0).abs() < 1e-12);
    assert!(find(&found.overall, "log_loss").measure.interval.is_some());
}

#[test]
fn groups_are_compared_with_the_largest() {
    let n = 90;
    let sent = Sent {
        prediction: Arc::new((0..n).map(|i| Some(i % 2 == 0)).collect::<BooleanArray>()),
        score: None,
        // Wrong each fifth time, and each third time for the smaller group.
        labels: Labels::Truths((0..n).map(|i| Some((i % 2 == 0) != (i % if i < 60 { 5 } else { 3 } == 0))).collect()),
        by: (0..n).map(|i| if i < 60 { "m" } else { "f" }).collect(),
    };
    let found = sent.measured(&request()).unwrap();
    assert_eq!(found.groups.len(), 2);
    assert_eq!((found.groups[0].by[0].1.as_str(), found.groups[0].labeled), ("m", 60));
    let accuracy = found.comparisons.iter().find(|c| c.name == "accuracy").unwrap();
    let want = 20.0 / 30.0 - 48.0 / 60.0;
    assert!((accuracy.difference.value - want).abs() < 1e-12);
    let interval = accuracy.difference.interval.unwrap();
    assert!(interval.low < want && interval.high > want && interval.low > -0.35, "{interval:?}");
    assert!((accuracy.ratio.unwrap().value - (20.0 / 30.0) / 0.8).abs() < 1e-12);
    assert!(found.comparisons.iter().find(|c| c.name == "matthews").unwrap().ratio.is_none());
}

#[test]
fn numbers_are_no_classes_and_texts_no_numbers() {
    let sent = |labels| Sent {
        prediction: Arc::new(Float64Array::from(vec![10.5, 20.0, 31.0])),
        score: None,
        labels,
        by: vec![],
    };
    let numbers = sent(Labels::Numbers(vec![Some(10.0), Some(20.0), Some(30.0)])).measured(&request()).unwrap();
    assert_eq!((numbers.task, value(&numbers.overall, "mae")), (Task::Regression, 0.5));
    assert_eq!(value(&numbers.overall, "median_absolute_error"), 0.5);
    let texts = Request { task: Some(Task::Regression), ..request() };
    let refused = sent(Labels::Texts(vec![Some("a"), None, None])).measured(&texts);
    assert!(matches!(refused, Err(PerformanceError::Unfit(why)) if why.contains("are texts")));
}

#[test]
fn the_rows_of_a_request_are_an_order() {
    let sent = Sent {
        prediction: Arc::new(Float64Array::from(vec![0.9, 0.8, 0.1, 0.2, 0.5, 0.4, 0.3, 0.2, 1.0, 0.0, 0.0, 0.0])),
        score: None,
        // The second of the first request, the first of the second; nothing is known of the third.
        labels: Labels::Numbers((0..12).map(|i| if i == 1 || i == 4 { Some(1.0) } else { None }).collect()),
        by: vec![],
    };
    let found = sent.measured(&Request { task: Some(Task::Ranking), ..request() }).unwrap();
    assert_eq!(value(&found.overall, "mean_reciprocal_rank"), 0.75);
    assert_eq!(value(&found.overall, "hit_rate"), 1.0);
    assert_eq!(value(&found.overall, "precision_at_k"), 1.0 / 3.0);
}

#[test]
fn a_thousand_numbers_are_no_classes() {
    let sent = || Sent {
        prediction: Arc::new((0..1000).map(Some).collect::<Int64Array>()),
        score: None,
        labels: Labels::Numbers((0..1000).map(|i| Some(f64::from(i))).collect()),
        by: vec![],
    };
    assert_eq!(sent().measured(&request()).unwrap().task, Task::Regression);
    let asked = Request { task: Some(Task::Classification), ..request() };
    assert!(matches!(sent().measured(&asked), Err(PerformanceError::Classes)));
}

#[test]
fn one_probability_is_used_where_it_is_that_of_the_second_class() {
    // The same predictions, with the probability of 1, with that of 0, and with that of what is predicted.
    let of_one = [0.9, 0.2, 0.7, 0.4, 0.6, 0.1];
    let sent = |score: fn(f64) -> f64, from: f64| Sent {
        prediction: Arc::new(of_one.iter().map(|p| Some(i64::from(*p >= from))).collect::<Int64Array>()),
        score: Some(Arc::new(of_one.iter().map(|p| Some(score(*p))).collect::<Float64Array>())),
        labels: Labels::Numbers([1.0, 0.0, 0.0, 0.0, 1.0, 1.0].map(Some).to_vec()),
        by: vec![],
    };
    let has_area = |report: &Report| report.overall.metrics.iter().any(|m| m.name == "roc_auc");
    // Whatever the threshold is.
    for from in [0.5, 0.65] {
        let right = sent(|p| p, from).measured(&request()).unwrap();
        assert!(has_area(&right) && right.notes.is_empty(), "{:?}", right.notes);
    }
    let wrong: [fn(f64) -> f64; 2] = [|p| 1.0 - p, |p| p.max(1.0 - p)];
    for score in wrong {
        let found = sent(score, 0.5).measured(&request()).unwrap();
        assert!(!has_area(&found) && found.notes[0].contains("not that of 1: rows predicted"), "{:?}", found.notes);
    }
    let first = Request { positive: Some("0".into()), ..request() };
    let found = sent(|p| p, 0.5).measured(&first).unwrap();
    assert!(!has_area(&found) && found.notes[0].contains("0 is looked for"), "{:?}", found.notes);
}

#[test]
fn one_probability_of_rows_that_are_all_predicted_the_same_is_on_its_side_of_one_half() {
    let sent = |scores: [f64; 4]| Sent {
        prediction: Arc::new(Int64Array::from(vec![0; 4])),
        score: Some(Arc::new(Float64Array::from(scores.to_vec()))),
        labels: Labels::Numbers([1.0, 0.0, 0.0, 0.0].map(Some).to_vec()),
        by: vec![],
    };
    let right = sent([0.4, 0.1, 0.2, 0.1]).measured(&request()).unwrap();
    assert_eq!(value(&right.overall, "roc_auc"), 1.0);
    let sure = sent([0.6, 0.9, 0.8, 0.9]).measured(&request()).unwrap();
    assert!(sure.notes[0].contains("all rows are predicted the same"), "{:?}", sure.notes);
}

#[test]
fn rows_of_another_length_do_not_decide_how_many_probabilities_there_are() {
    let list = |row: &[f32]| Some(row.iter().copied().map(Some).collect::<Vec<_>>());
    // The first batch has none, and then only one of another model.
    let lists = [None, list(&[1.0]), None, list(&[0.2, 0.8]), list(&[0.9, 0.1]), list(&[0.4, 0.6])];
    let sent = Sent {
        prediction: Arc::new(Int64Array::from(vec![0, 0, 0, 1, 0, 1])),
        score: Some(Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(lists))),
        labels: Labels::Numbers([0.0, 0.0, 0.0, 1.0, 0.0, 1.0].map(Some).to_vec()),
        by: vec![],
    };
    let found = sent.measured(&request()).unwrap();
    assert_eq!(value(&found.overall, "roc_auc"), 1.0);
    assert!(found.notes[0].starts_with("1 answers do not have 2 values"), "{:?}", found.notes);
}

#[test]
fn a_difference_is_one_however_many_comparisons_there_are() {
    let wrong = |at: usize| match at {
        0..300 => at.is_multiple_of(5),
        300..400 => at < 331,
        _ => true,
    };
    let sent = Sent {
        prediction: Arc::new((0..500).map(|at| Some(at % 2 == 0)).collect::<BooleanArray>()),
        score: None,
        labels: Labels::Truths((0..500).map(|at| Some((at % 2 == 0) != wrong(at))).collect()),
        by: (0..500).map(|at| ["m", "m", "m", "f", "x"][at / 100]).collect(),
    };
    let found = sent.measured(&request()).unwrap();
    let accuracy = |of: &str| {
        let group = found.groups.iter().position(|g| g.by[0].1 == of).unwrap();
        found.comparisons.iter().find(|c| c.name == "accuracy" && c.group == group).unwrap()
    };
    // Beyond its own interval, as one in twenty is by chance; and beyond all.
    assert!(accuracy("f").difference.interval.unwrap().high < 0.0 && !accuracy("f").differs);
    assert!(accuracy("x").differs);
}

#[test]
fn labels_may_come_of_what_is_young_now() {
    let may_come = |until: i64, now: i64| {
        let sent = Sent {
            prediction: Arc::new(Int64Array::from(vec![1, 1, 0])),
            score: None,
            labels: Labels::Truths(vec![Some(true), Some(false), None]),
            by: vec![],
        };
        let asked = Request { until: Timestamp(until), now: Timestamp(now), ..request() };
        sent.measured(&asked).unwrap().delay.unwrap().may_come
    };
    // Labels come after five seconds.
    assert_eq!((may_come(30, 1_000), may_come(30, 60_000_000)), (1, 0));
}

#[tokio::test]
async fn there_is_one_report_at_a_time() {
    let turns = Arc::new(Semaphore::new(1));
    let first = turn(&turns, WAIT).await.unwrap();
    assert!(matches!(turn(&turns, Duration::ZERO).await, Err(PerformanceError::Busy(_))));
    drop(first);
    assert!(turn(&turns, Duration::ZERO).await.is_ok());
}

#[test]
fn only_feedback_that_may_be_of_these_predictions_is_joined() {
    let asked = Request { from: Timestamp(7_200_000_000), label: "o'clock".into(), ..request() };
    let chosen =
        Chosen { prediction: "out.y".into(), score: None, width: 1, by: vec![], within: String::new(), notes: vec![] };
    let since = "f.at >= arrow_cast(3600000000, ";
    assert!(sql::rows((&asked, ""), &chosen).contains(&format!("WHERE f.name = 'o''clock' AND {since}")));
    let within = " AND p.\"in.plan\" = 'gold'";
    for sql in [sql::rows((&asked, within), &chosen), sql::names((&asked, within)), sql::present((&asked, within), &[])]
    {
        assert!(sql.contains("AND NOT p.forced AND p.shadow_of IS NULL AND p.\"in.plan\" = 'gold'"), "{sql}");
    }
    assert!(sql::names((&asked, "")).contains(&format!("WHERE {since}")));
}

#[test]
fn what_groups_are_apart_is_said_by_the_names_of_fairlearn() {
    let sent = || Sent {
        prediction: Arc::new(Int64Array::from(vec![1, 1, 0, 0, 1, 0, 0, 0])),
        score: None,
        labels: Labels::Numbers([1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0].map(Some).to_vec()),
        by: vec!["f", "f", "f", "f", "m", "m", "m", "m"],
    };
    let found = sent().measured(&request()).unwrap();
    let value = |name: &str| found.fairness.iter().find(|m| m.name == name).unwrap_or_else(|| panic!("{name}")).measure;
    // f says 2 of 4 and finds 1 of 2, m says 1 of 4 and finds 1 of 2; of the others f says 1 of 2, m none.
    assert_eq!(value("demographic_parity_difference").value, 0.25);
    assert_eq!(value("demographic_parity_ratio").value, 0.5);
    assert_eq!((value("equal_opportunity_difference").value, value("equalized_odds_difference").value), (0.0, 0.5));
    assert_eq!((value("equalized_odds_ratio").value, value("predictive_parity_difference").value), (0.0, 0.5));
    assert!(value("demographic_parity_difference").interval.is_some_and(|i| i.low == 0.0 && i.high > 0.25));
    assert!(found.fairness.iter().all(|m| m.class.as_deref() == Some("1")));
    let alone = Sent { by: vec![], ..sent() }.measured(&request()).unwrap();
    assert!(alone.fairness.is_empty(), "without groups nobody is treated unlike another");
}
