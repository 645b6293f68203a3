mod jobs;

use crate::decide::{conversion, disagreement, optimisation};
use crate::lineage::{Derived, newest};
use crate::report::{Converted, Optimized, Report};
use crate::run::{packages_for, tags};
use crate::{Gate, Order, Rows, Task, Tolerance};
use mainspring_engine::Environment;
use serde_json::{Value, json};

fn measured(name: &str, agreeing: u64, share: f64, one_ns: u64, batch_ns: u64) -> Value {
    json!({
        "name": name, "path": format!("/w/{name}.onnx"), "bytes": 1000, "agreeing": agreeing, "one_ns": one_ns,
        "batch_ns": batch_ns, "batch_rows": 100, "python_one_ns": 1_000_000, "python_batch_ns": 2_000_000,
        "outputs": [{
            "name": "output", "rule": "close", "differing": 100 - agreeing, "share": share,
            "worst": {"row": 7, "expected": "1.0", "got": "1.5", "difference": 0.5},
        }],
    })
}

fn converted(candidates: Vec<Value>, failed: Vec<Value>) -> Converted {
    serde_json::from_value(json!({
        "framework": "scikit-learn", "what": "Ridge", "form": "array", "rows": {"from": "the input example", "count": 100},
        "candidates": candidates, "failed": failed,
    }))
    .unwrap()
}

fn convert(candidates: Vec<Value>) -> crate::Findings {
    conversion("models:/m/1".into(), converted(candidates, vec![]), Tolerance::default())
}

#[test]
fn the_closest_export_is_chosen_and_of_equals_the_faster() {
    let findings = convert(vec![measured("float32", 100, 0.5, 10, 20), measured("float64", 100, 1e-9, 30, 40)]);
    assert_eq!(findings.winner().unwrap().name, "float64");
    assert_eq!(findings.times(&findings.winner().unwrap().speed), (1_000_000.0 / 30.0, 50_000.0));
    let findings = convert(vec![measured("float64", 100, 0.0, 30, 40), measured("float32", 100, 0.0, 10, 20)]);
    assert_eq!(findings.winner().unwrap().name, "float32");
    // A row that took a little longer is noise; that the batch takes twice as long is not.
    let findings = convert(vec![measured("float64", 100, 0.0, 10, 40), measured("float32", 100, 0.0, 12, 20)]);
    assert_eq!(findings.winner().unwrap().name, "float32");
}

#[test]
fn of_equally_close_and_fast_exports_the_smaller_is_chosen() {
    let sized = |name: &str, one: u64, bytes: u64| {
        let mut made = measured(name, 100, 0.0, one, 100);
        made["bytes"] = bytes.into();
        made
    };
    for (doubles, singles) in [(100, 100), (95, 100), (100, 95)] {
        for wide in [sized("float64", doubles, 2000), sized("float64", doubles, 1000)] {
            let smaller = if wide["bytes"] == 2000 { "float32" } else { "float64" };
            let narrow = sized("float32", singles, 1500);
            assert_eq!(convert(vec![wide.clone(), narrow.clone()]).winner().unwrap().name, smaller);
            assert_eq!(convert(vec![narrow, wide]).winner().unwrap().name, smaller);
        }
    }
    let findings = convert(vec![sized("float64", 50, 2000), sized("float32", 100, 1000)]);
    assert_eq!(findings.winner().unwrap().name, "float64", "twice as fast");
}

#[test]
fn one_row_that_differs_refuses_an_export() {
    let findings = convert(vec![measured("float64", 99, 1.01, 10, 20), measured("float32", 60, 900.0, 10, 20)]);
    assert_eq!(findings.chosen, None);
    let reason = disagreement(&findings).unwrap();
    assert_eq!(reason, "1 of 100 rows differ; output \"output\" of row 7 is 1.5, the model says 1.0");
    let findings = convert(vec![measured("float64", 99, 1.01, 10, 20), measured("float32", 100, 0.9, 10, 20)]);
    assert_eq!(findings.winner().unwrap().name, "float32");
}

#[test]
fn without_rows_nothing_is_proven() {
    let mut report = converted(vec![measured("float64", 0, 0.0, 10, 20)], vec![]);
    report.rows.count = 0;
    let findings = conversion("models:/m/1".into(), report, Tolerance::default());
    assert_eq!((findings.chosen, disagreement(&findings).unwrap().as_str()), (None, "no row was compared"));
    let report: Optimized = serde_json::from_value(json!({
        "rows": {"from": "rows.csv", "count": 0}, "measure": null, "failed": [],
        "variants": [measured("as it is", 0, 0.0, 1000, 1000), measured("int8", 0, 0.0, 10, 10)],
    }))
    .unwrap();
    assert_eq!(optimisation("models:/m/1".into(), report, &Gate::default()).chosen, None);
}

#[test]
fn a_proof_on_few_rows_is_warned_of() {
    let of = |count: u64, agreeing: u64| {
        let mut report = converted(vec![measured("float64", agreeing, 0.0, 10, 20)], vec![]);
        report.rows.count = count;
        conversion("models:/m/1".into(), report, Tolerance::default())
    };
    let warned = of(5, 5);
    assert_eq!(
        warned.warnings(),
        ["only 5 rows were compared, from the input example, and the proof holds for no others; \
          give more with --data FILE"]
    );
    assert!(of(1, 1).warnings()[0].starts_with("only 1 row was compared"));
    // What is registered keeps the number.
    let said = tags(&Task::Convert(Tolerance::default()), &warned, warned.winner().unwrap());
    assert!(said.contains(&("mainspring.proof.rows".to_owned(), "5 of the input example".to_owned())));
    // Enough rows, or none that agree: there is nothing to rely on by mistake.
    for (count, agreeing) in [(30, 30), (100, 100), (5, 4), (0, 0)] {
        assert!(of(count, agreeing).warnings().is_empty(), "{count} {agreeing}");
    }
    let report: Optimized = serde_json::from_value(json!({
        "rows": {"from": "rows.csv", "count": 3}, "measure": null, "failed": [],
        "variants": [measured("as it is", 3, 0.0, 1000, 1000), measured("int8", 3, 0.0, 10, 10)],
    }))
    .unwrap();
    let found = optimisation("models:/m/1".into(), report, &Gate::default());
    assert!(found.warnings()[0].starts_with("only 3 rows were compared, from rows.csv"));
}

#[test]
fn what_no_exporter_can_do_is_said_once() {
    let failed = |name: &str| json!({"name": name, "reason": "no exporter knows step 'log'"});
    let report = converted(vec![], vec![failed("float64"), failed("float32")]);
    let findings = conversion("models:/m/1".into(), report, Tolerance::default());
    assert_eq!(disagreement(&findings).unwrap_err(), "no exporter knows step 'log'");
}

fn optimize(variants: Vec<Value>, measure: Option<&str>, gate: &Gate) -> crate::Findings {
    let report: Optimized = serde_json::from_value(json!({
        "rows": {"from": "rows.csv", "count": 100}, "measure": measure, "variants": variants, "failed": [],
    }))
    .unwrap();
    optimisation("models:/m/2".into(), report, gate)
}

#[test]
fn the_fastest_variant_behind_the_gate_is_chosen() {
    let own = measured("as it is", 100, 0.0, 1000, 1000);
    let variants = vec![
        own.clone(),
        measured("graph", 100, 0.0, 900, 950),
        measured("int8-dynamic", 98, 4.0, 100, 100),
        measured("fp16", 99, 2.0, 500, 800),
    ];
    let findings = optimize(variants.clone(), None, &Gate::default());
    assert_eq!(findings.winner().unwrap().name, "fp16");
    assert!(findings.candidates[1].refused.as_ref().unwrap().starts_with("2 of 100 rows differ"));
    let loose = Gate { agreement: 0.98, ..Gate::default() };
    assert_eq!(optimize(variants, None, &loose).winner().unwrap().name, "int8-dynamic");
    // Faster by less than the noise of a clock is not faster.
    assert_eq!(optimize(vec![own, measured("graph", 100, 0.0, 980, 985)], None, &Gate::default()).chosen, None);
}

#[test]
fn with_labels_the_accuracy_decides() {
    let scored = |mut variant: Value, score: f64| {
        variant["score"] = json!(score);
        variant
    };
    let own = scored(measured("as it is", 100, 0.0, 1000, 1000), 0.95);
    let gate = Gate { label: Some("y".into()), ..Gate::default() };
    let worse = scored(measured("int8-dynamic", 100, 0.0, 10, 10), 0.94);
    // Half of the answers are others, and they are right as often.
    let as_good = scored(measured("int8-static", 50, 9.0, 20, 20), 0.946);
    let findings = optimize(vec![own, worse, as_good], Some("accuracy"), &gate);
    assert_eq!(findings.winner().unwrap().name, "int8-static");
    assert_eq!(findings.candidates[0].refused.as_deref(), Some("0.9400 instead of 0.9500"));
    let said = tags(&Task::Optimize(gate), &findings, findings.winner().unwrap());
    let tag = |key: &str| said.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
    assert_eq!(tag("optimized_from"), Some("models:/m/2"));
    assert_eq!(tag("mainspring.proof"), Some("passed"));
    assert_eq!(tag("mainspring.proof.accuracy"), Some("0.9460, before 0.9500"));
    assert_eq!(tag("mainspring.proof.rows"), Some("100 of rows.csv"));
}

fn version(number: u32, from: Option<&str>, proven: bool) -> Derived {
    Derived { version: number.to_string(), from: from.map(str::to_owned), proven }
}

#[test]
fn the_newest_proven_version_stands_for_the_one_it_comes_from() {
    let all = [
        version(11, Some("4"), true),
        version(5, Some("3"), true),
        version(4, Some("2"), true),
        version(3, Some("1"), true),
        version(2, None, false),
        version(1, None, false),
    ];
    assert_eq!(newest(&all, "1"), Some("5"));
    assert_eq!(newest(&all, "2"), Some("11"));
    assert_eq!(newest(&all, "3"), Some("5"));
    assert_eq!(newest(&all, "5"), None);
    // What nobody proved counts for nothing, nor does what was made from it.
    assert_eq!(newest(&[version(3, Some("2"), true), version(2, Some("1"), false)], "1"), None);
    // A loop that somebody tagged ends.
    assert_eq!(newest(&[version(2, Some("3"), true), version(3, Some("2"), true)], "1"), None);
}

#[test]
fn lineage_is_read_from_tags_of_the_same_model() {
    let read = |tags: &[(&'static str, &'static str)]| Derived::read("a/b", "3".into(), tags.iter().copied());
    let proven = read(&[("converted_from", "models:/a/b/2"), ("mainspring.proof", "passed")]);
    assert_eq!(proven, version(3, Some("2"), true));
    for other in ["models:/a/2", "models:/a/b/x", "models:/a/b/", "a/b/2"] {
        assert_eq!(read(&[("converted_from", other)]).from, None, "{other}");
    }
    assert!(!read(&[("optimized_from", "models:/a/b/2"), ("mainspring.proof", "failed")]).proven);
}

#[test]
fn orders_that_make_no_sense_are_refused_by_name() {
    let order = |task: Task, name: &str| Order {
        model: "m@a".into(),
        task,
        environment: Environment::Own,
        rows: Some(Rows { name: name.into(), content: bytes::Bytes::new() }),
    };
    let convert = |relative, absolute| Task::Convert(Tolerance { relative, absolute });
    assert!(order(convert(0.0, 0.0), "a.PARQUET").validate().is_ok());
    assert!(order(convert(2.0, 0.0), "a.csv").validate().unwrap_err().contains("relative tolerance is 2"));
    assert!(order(convert(0.0, f64::NAN), "a.csv").validate().unwrap_err().contains("NaN"));
    assert!(order(convert(0.0, 0.0), "a.pickle").validate().unwrap_err().contains("csv, parquet"));
    let gate = Gate { agreement: -1.0, ..Gate::default() };
    assert!(order(Task::Optimize(gate), "a.csv").validate().unwrap_err().contains("agreement is -1"));
}

#[test]
fn a_refusal_is_told_from_a_report() {
    let refused: Report<Optimized> = serde_json::from_str(r#"{"refused": "no rows"}"#).unwrap();
    assert!(matches!(refused, Report::Refused { refused } if refused == "no rows"));
}

#[test]
fn exporters_are_chosen_by_the_loader() {
    let of = |loader: &str| {
        packages_for(
            &Task::Convert(Tolerance::default()),
            &format!("flavors:\n  python_function:\n    loader_module: {loader}\n"),
        )
    };
    assert!(of("mlflow.xgboost").contains(&"onnxmltools"));
    assert!(of("mlflow.pytorch").contains(&"onnxscript"));
    assert_eq!(packages_for(&Task::Optimize(Gate::default()), ""), ["onnx", "onnxruntime"]);
}
