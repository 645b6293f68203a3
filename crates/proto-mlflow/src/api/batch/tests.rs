//! The requests as clients write them.

use super::{read_batch, read_metric};
use proptest::prelude::*;

#[test]
fn doubles_keep_their_last_digit() {
    for value in [0.909_999_999_999_999_9_f64, 0.1 + 0.2, 1e-308, f64::MAX, -0.0, 5e-324] {
        let body = format!(r#"{{"run_id": "r", "metrics": [{{"key": "m", "value": {value:e}, "timestamp": 1}}]}}"#);
        let (_, batch) = read_batch(body.as_bytes()).unwrap();
        assert_eq!(batch.metrics[0].value.to_bits(), value.to_bits(), "{value:e}");
    }
}

#[test]
fn integers_may_be_text_and_special_values_are_text() {
    let body = br#"{"run_id":"r","metrics":[{"key":"m","value":"NaN","timestamp":"12","step":"-3","x":[1]}]}"#;
    let (_, batch) = read_batch(body).unwrap();
    let m = &batch.metrics[0];
    assert!(m.value.is_nan());
    assert_eq!((m.timestamp, m.step), (12, -3));
    let (run, m) =
        read_metric(br#"{"runId":"r","key":"m","value":"-Infinity","timestamp":1,"modelId":"m-1"}"#).unwrap();
    assert_eq!((run.as_str(), m.value, m.model_id.as_deref()), ("r", f64::NEG_INFINITY, Some("m-1")));
}

#[test]
fn the_old_name_of_the_run_is_read() {
    let (run, _) = read_batch(br#"{"run_uuid":"r"}"#).unwrap();
    assert_eq!(run, "r");
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_batch(&bytes);
        let _ = read_metric(&bytes);
    }

    #[test]
    fn no_json_makes_it_panic(text in r#"(\{|\}|\[|\]|"run_id"|"metrics"|"value"|"key"|:|,|1e9|"NaN"|null| ){0,30}"#) {
        let _ = read_batch(text.as_bytes());
        let _ = read_metric(text.as_bytes());
    }
}
