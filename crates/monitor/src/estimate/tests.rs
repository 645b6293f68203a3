//! Files of predictions, with labels and without.

use super::*;
use std::path::Path;

fn write(folder: &Path, name: &str, head: &str, line: impl Fn(u64) -> String, rows: u64) -> Table {
    let path = folder.join(name);
    let lines: Vec<String> = (0..rows).map(line).collect();
    std::fs::write(&path, format!("{head}\n{}\n", lines.join("\n"))).unwrap();
    Table::open(&path).unwrap()
}

/// Numbers in an order without chance: a golden-ratio sequence.
fn even(i: u64) -> f64 {
    (i as f64 * 0.618_033_988_749_894_9).fract()
}

fn question() -> Question {
    let (label, prediction) = ("label".to_owned(), "said".to_owned());
    Question { label, prediction, scores: vec!["p".into()], positive: None, features: vec![], chunks: 4 }
}

/// The class is `yes` in as many rows as the score says.
fn scored(i: u64) -> String {
    let p = even(i);
    format!("{p},{},{}", if p >= 0.5 { "yes" } else { "no" }, if even(7 * i + 3) < p { "yes" } else { "no" })
}

#[test]
fn classes_are_named_and_rows_that_lack_something_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let reference = write(folder.path(), "a.csv", "p,said,label", scored, 800);
    let line = |i: u64| if i.is_multiple_of(10) { ",yes,".into() } else { scored(i) };
    let current = write(folder.path(), "b.csv", "p,said,label", line, 400);
    let found = estimate(&reference, &current, &question()).unwrap();
    assert_eq!((found.method, &found.classes[..]), ("cbpe", &["no".to_owned(), "yes".into()][..]));
    assert_eq!((found.rows, found.left_out, found.chunks.len()), ([800, 360], [0, 40], 4));
    let accuracy = found.chunks[0].metrics.iter().find(|m| m.metric == "accuracy").unwrap();
    assert!((accuracy.value - 0.75).abs() < 0.05, "{accuracy:?}");
}

#[test]
fn a_regressions_errors_are_learnt_from_texts_too() {
    let folder = tempfile::tempdir().unwrap();
    // Off by 1 in one city, by 5 in the other.
    let off = |i: u64| if i.is_multiple_of(3) { 5.0 } else { 1.0 };
    let city = |i: u64| if i.is_multiple_of(3) { "7" } else { "zug" };
    let line = |i: u64| format!("{},{},{},{}", city(i), even(i), 10.0 + even(i), 10.0 + even(i) + off(i));
    let reference = write(folder.path(), "a.csv", "city,x,label,said", line, 900);
    // Alone it looks like a number.
    let all = |_: u64| "7,0.5,10.5".to_owned();
    let current = write(folder.path(), "b.csv", "city,x,said", all, 100);
    let asked = Question { scores: vec![], chunks: 1, ..question() };
    let found = estimate(&reference, &current, &asked).unwrap();
    assert_eq!((found.method, &found.features[..]), ("dle", &["city".to_owned(), "x".into()][..]));
    assert!(found.explained.unwrap() > 0.99, "{:?}", found.explained);
    let mae = found.chunks[0].metrics[0];
    assert!(mae.metric == "mae" && (mae.value - 5.0).abs() < 0.05 && mae.alert, "{mae:?}");
    let asked = Question { features: vec!["x".into()], ..asked };
    assert_eq!(estimate(&reference, &current, &asked).unwrap().features, ["x"]);
}

/// A column that says of each row which one it is tells nothing of rows to come.
#[test]
fn an_id_of_each_row_explains_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let line = |i: u64| format!("row-{i},{},{}", 10.0 + even(i), 10.0 + even(i) + even(i * i));
    let reference = write(folder.path(), "a.csv", "id,said,label", line, 1_500);
    let later = |i: u64| format!("row-{},{}", i + 1_500, 10.0 + even(i));
    let current = write(folder.path(), "b.csv", "id,said", later, 200);
    let asked = Question { scores: vec![], features: vec!["id".into()], chunks: 1, ..question() };
    let found = estimate(&reference, &current, &asked).unwrap();
    assert!(found.explained.unwrap() < 0.1, "{:?}", found.explained);
    let mae = found.chunks[0].metrics[0];
    assert!((mae.value - 0.5).abs() < 0.1, "{mae:?}");
}

#[test]
fn a_probability_is_that_of_the_class_that_is_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let reference = write(folder.path(), "a.csv", "p,said,label", scored, 800);
    let of_no = |i: u64| {
        let line = scored(i);
        let (p, rest) = line.split_once(',').unwrap();
        format!("{},{rest}", 1.0 - p.parse::<f64>().unwrap())
    };
    let other = write(folder.path(), "b.csv", "p,said,label", of_no, 800);
    let said = |table: &Table, question: &Question| estimate(table, table, question).unwrap_err().to_string();
    assert!(said(&other, &question()).contains("not the probability of \"yes\": rows predicted"));
    let no = Question { positive: Some("no".into()), ..question() };
    assert!(said(&reference, &no).contains("not the probability of \"no\""));
    let [yes, no] = [estimate(&reference, &reference, &question()), estimate(&other, &other, &no)].map(Result::unwrap);
    assert_eq!(no.classes, ["yes", "no"]);
    let accuracy = |of: &Estimated| of.chunks[0].metrics.iter().find(|m| m.metric == "accuracy").unwrap().value;
    assert!((accuracy(&yes) - accuracy(&no)).abs() < 0.01);
    // How sure it is of what it says.
    let sure = |i: u64| {
        let line = scored(i);
        let (p, rest) = line.split_once(',').unwrap();
        let p = p.parse::<f64>().unwrap();
        format!("{},{rest}", p.max(1.0 - p))
    };
    let sure = write(folder.path(), "c.csv", "p,said,label", sure, 800);
    assert!(said(&sure, &question()).contains("not the probability of \"yes\""));
    let none = Question { positive: Some("maybe".into()), ..question() };
    assert!(said(&reference, &none).contains("there are no, yes"));
}

#[test]
fn what_does_not_fit_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let reference = write(folder.path(), "a.csv", "p,said,label", scored, 200);
    let current = write(folder.path(), "b.csv", "p,said", |i| format!("{},maybe", even(i)), 9);
    let said = |question: &Question, current: &Table| estimate(&reference, current, question).unwrap_err().to_string();
    assert!(said(&question(), &current).contains("predicts \"maybe\""));
    let label = Question { label: "truth".into(), ..question() };
    assert!(said(&label, &current).ends_with("has no column \"truth\""));
    let scores = Question { scores: vec!["p".into(), "p".into(), "p".into()], ..question() };
    assert!(said(&scores, &current).contains("3 columns of probabilities and 2 classes"));
    let text = Question { scores: vec!["said".into()], ..question() };
    assert!(said(&text, &current).contains("holds no numbers"));
    let none = write(folder.path(), "c.csv", "p,said", |_| ",yes".into(), 5);
    assert!(estimate(&reference, &none, &question()).is_err());
    let few = write(folder.path(), "d.csv", "p,said,label", scored, 20);
    assert!(estimate(&few, &reference, &question()).unwrap_err().to_string().contains("at least 40 are needed"));
}

#[test]
fn all_features_are_read_in_one_pass() {
    let folder = tempfile::tempdir().unwrap();
    let features =
        |i: u64| (0..12).map(|at| format!("{},w{}", even(i * (at + 1)), i % (at + 2))).collect::<Vec<_>>().join(",");
    let head: Vec<String> = (0..12).map(|at| format!("x{at},t{at}")).collect();
    let line = |i: u64| format!("{},{},{}", features(i), 10.0 + even(i), 10.0 + even(i) + even(i * i));
    let open = |name: &str| write(folder.path(), name, &format!("{},said,label", head.join(",")), line, 300);
    let (reference, current) = (open("a.csv"), open("b.csv"));
    let asked = Question { scores: vec![], chunks: 1, ..question() };
    assert_eq!(estimate(&reference, &current, &asked).unwrap().features.len(), 24);
    let passes = [&reference, &current].map(|table| table.passes.load(std::sync::atomic::Ordering::Relaxed));
    assert_eq!(passes, [3, 2], "the label, the prediction, and all features");
}

/// Of fewer rows than the reference's parts have, an estimate would be beyond them by chance.
#[test]
fn parts_of_live_rows_are_as_long_as_the_references() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "a.csv", "p", |i| even(i).to_string(), 3);
    let live = Table::live("deployment:churn", Vec::new(), Vec::new());
    assert_eq!(parts(&file, [400, 24], 4), [(0, 6), (6, 12), (12, 18), (18, 24)]);
    assert_eq!(parts(&live, [400, 24], 4), [(0, 24)]);
    assert_eq!(parts(&live, [400, 240], 4), [(0, 100), (100, 240)], "what is left over is less than a half");
    assert_eq!(parts(&live, [400, 260], 4), [(0, 100), (100, 200), (200, 260)]);
}
