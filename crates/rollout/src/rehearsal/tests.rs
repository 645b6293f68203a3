use super::*;
use std::sync::Arc;

fn spec(yaml: &str) -> ReplaySpec {
    serde_saphyr::from_str(yaml).unwrap()
}

fn floats(name: &str, shape: &[usize], values: &[f64]) -> NamedTensor {
    let tensor = Tensor::from_vec(DType::Fp64, shape.to_vec(), values.to_vec()).unwrap();
    NamedTensor { name: Arc::from(name), tensor }
}

fn wholes(name: &str, values: &[i64]) -> NamedTensor {
    let tensor = Tensor::from_vec(DType::Int64, vec![values.len()], values.to_vec()).unwrap();
    NamedTensor { name: Arc::from(name), tensor }
}

fn answer(outputs: &[NamedTensor], micros: u64) -> Answered<'_> {
    Answered { outputs, took: Some(Duration::from_micros(micros)) }
}

#[test]
fn what_is_near_passes_and_what_is_not_is_shown_with_the_worst_first() {
    let strict = spec("{requests: 4, minRequests: 1, tolerance: {absolute: 0.01, relative: 0.1}}");
    let compare = |second: f64| {
        let mut rehearsal = Rehearsal::new(strict.clone(), "journal", LeftOut::default());
        let stable = [floats("score", &[2], &[0.0, 1.0])];
        rehearsal.pair("a", 2, answer(&stable, 10), answer(&[floats("score", &[2], &[0.009, second])], 10));
        rehearsal.verdict()
    };
    // 0.01 + 0.1 * 1.
    let (found, passed, _) = compare(1.1);
    assert!(passed && found.within == 2 && found.worst.is_empty());
    assert!((found.max_abs_diff.unwrap() - 0.1).abs() < 1e-12 && (found.mean_abs_diff.unwrap() - 0.0545).abs() < 1e-12);
    let (found, passed, why) = compare(1.2);
    assert!(!passed && found.within == 1, "{why}");
    assert!(why.contains("50.00 % of the rows are within") && why.contains("request a, row 1, score: 1.2 against 1"));
    for unlike in [f64::NAN, f64::INFINITY] {
        let (found, passed, _) = compare(unlike);
        assert!(!passed && found.worst[0].difference.is_none());
        assert!(serde_json::from_str::<Rehearsed>(&serde_json::to_string(&found).unwrap()).unwrap() == found);
    }
    let mut rehearsal = Rehearsal::new(strict, "journal", LeftOut::default());
    for (n, off) in [0.3, 5.0, 0.2, 1.0, 2.0, 3.0, 4.0].into_iter().enumerate() {
        let (a, b) = ([floats("score", &[1], &[0.0])], [floats("score", &[1], &[off])]);
        rehearsal.pair(&n.to_string(), 1, answer(&a, 1), answer(&b, 1));
    }
    let worst: Vec<String> = rehearsal.verdict().0.worst.into_iter().map(|row| row.request).collect();
    assert_eq!(worst, ["1", "6", "5", "4", "3"]);
}

#[test]
fn labels_are_whole_numbers_texts_and_the_largest_of_several() {
    let labels = spec("{requests: 10, minRequests: 1, minLabelAgreement: 75}");
    let run = |got: [i64; 4], second: [f64; 4]| {
        let mut rehearsal = Rehearsal::new(labels.clone(), "journal", LeftOut::default());
        let stable = [wholes("label", &[0, 1, 1, 0]), floats("p", &[4, 2], &[0.9, 0.1, 0.2, 0.8, 0.3, 0.7, 0.6, 0.4])];
        let p: Vec<f64> = second.iter().flat_map(|p| [1.0 - p, *p]).collect();
        let candidate = [wholes("label", &got), floats("p", &[4, 2], &p)];
        rehearsal.pair("a", 4, answer(&stable, 1), answer(&candidate, 1));
        rehearsal.verdict()
    };
    let (found, passed, _) = run([0, 1, 1, 0], [0.4, 0.51, 0.9, 0.1]);
    assert_eq!((passed, found.labelled, found.same_label), (true, 4, 4));
    let (found, passed, _) = run([0, 1, 0, 0], [0.4, 0.51, 0.9, 0.1]);
    assert_eq!((passed, found.same_label), (true, 3), "one label differs");
    let (found, passed, why) = run([0, 1, 0, 0], [0.6, 0.51, 0.9, 0.1]);
    assert_eq!((passed, found.same_label), (false, 2), "and one order of two probabilities: {why}");
    // Numbers alone are no label.
    let mut none = Rehearsal::new(labels.clone(), "journal", LeftOut::default());
    let score = [floats("score", &[1], &[1.0])];
    none.pair("a", 1, answer(&score, 1), answer(&score, 1));
    assert!(!none.verdict().1);
}

#[test]
fn too_few_requests_a_failure_and_a_slow_candidate_do_not_pass() {
    let spec = spec("{requests: 10, minRequests: 2, maxLatencyRatio: 1.5}");
    let left = LeftOut { redacted: 7, sampled: 2, ..LeftOut::default() };
    let (_, passed, why) = Rehearsal::new(spec.clone(), "journal", left).verdict();
    assert!(!passed && why.contains("0 requests could be asked again, and 2 are wanted"), "{why}");
    assert!(why.contains("7 hidden by journal.redact, 2 not kept by journal.sample"), "{why}");
    let score = [floats("score", &[1], &[1.0])];
    let run = |slow: u64, fails: bool| {
        let mut rehearsal = Rehearsal::new(spec.clone(), "journal", LeftOut::default());
        for n in 0..5 {
            rehearsal.pair("a", 1, answer(&score, 100), answer(&score, if n < 2 { 10_000 } else { slow }));
        }
        if fails {
            rehearsal.failed("b", "it divides by zero");
        }
        rehearsal.unanswered();
        rehearsal.verdict()
    };
    let (found, passed, _) = run(150, false);
    assert_eq!((passed, found.median_us, found.unanswered), (true, Some([100.0, 150.0]), 1));
    assert!(!run(151, false).1);
    let (found, passed, why) = run(100, true);
    assert!(!passed && found.failed == 1 && why.contains("it divides by zero"), "{why}");
}

#[test]
fn another_shape_or_a_missing_output_is_no_agreement() {
    let spec = spec("{requests: 10, minRequests: 1, tolerance: {absolute: 100}}");
    for candidate in [vec![], vec![floats("score", &[2, 1], &[0.0, 0.0])], vec![wholes("score", &[5, 6])]] {
        let mut rehearsal = Rehearsal::new(spec.clone(), "journal", LeftOut::default());
        let stable = [floats("score", &[2], &[1.0, 2.0])];
        rehearsal.pair("a", 2, answer(&stable, 1), answer(&candidate, 1));
        let (found, passed, _) = rehearsal.verdict();
        assert_eq!((passed, found.within, found.worst.len()), (false, 0, 2));
    }
}
