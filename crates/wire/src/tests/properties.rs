//! What must hold for every body, number and text.

use super::{assert_same, parse, reply};
use crate::{InferBody, Selection, render};
use bytes::Bytes;
use mainspring_core::{DType, NamedTensor, Tensor};
use proptest::prelude::*;

proptest! {
    #[test]
    fn any_decimal_is_rounded_as_the_standard_library_rounds_it(text in "-?(0|[1-9][0-9]{0,21})(\\.[0-9]{1,21})?(e[+-]?[0-9]{1,2})?") {
        assert_same(&text);
    }

    #[test]
    fn middles_between_floats_are_rounded_right(bits in any::<u32>(), places in 15_usize..22) {
        let low = f32::from_bits(bits & 0x7f7f_ffff);
        let middle = f64::midpoint(f64::from(low), f64::from(low.next_up()));
        assert_same(&format!("{middle:.places$e}"));
        assert_same(&format!("{middle}"));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), header in 0_usize..420) {
        let body = Bytes::from(bytes);
        let _ = InferBody::parse(&body, header);
    }

    #[test]
    fn arbitrary_json_like_text_never_panics(text in r#"[\[\]{}",:0-9a-z\\ .eE+NIu-]{0,200}"#) {
        let _ = parse(&text);
        let _ = parse(&format!(r#"{{"inputs":[{{"datatype":"FP32","shape":[2],"name":"x","data":{text}}}]}}"#));
    }

    #[test]
    fn a_mutated_request_never_panics(at in 0_usize..400, byte in any::<u8>(), cut in 0_usize..400) {
        let json = concat!(
            r#"{"id":"a\u00e9","parameters":{"binary_data_output":true,"timeout":10},"inputs":["#,
            r#"{"name":"x","shape":[2,2],"datatype":"FP32","data":[[1.5,-2e3],[0,NaN]]},"#,
            r#"{"data":["a","b\n"],"name":"s","shape":[2],"datatype":"BYTES"},"#,
            r#"{"name":"b","shape":[1],"datatype":"INT16","parameters":{"binary_data_size":2}}],"#,
            r#""outputs":[{"name":"y","parameters":{"binary_data":false}}]}"#
        );
        let mut bytes = [json.as_bytes(), &[1, 2]].concat();
        let len = bytes.len();
        bytes[at % len] = byte;
        bytes.truncate(len - cut.min(len) % len);
        let body = Bytes::from(bytes);
        let _ = InferBody::parse(&body, json.len());
        let _ = InferBody::parse(&body, body.len());
    }

    #[test]
    fn the_accepted_grammar_is_serde_jsons(text in r#"[\[\]{}",:0-9tf\\ .eE+-]{0,24}"#) {
        // A member that nobody reads must still be JSON, no more and no less.
        let ours = parse(&format!(r#"{{"inputs":[],"x":{text}}}"#));
        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text);
        if theirs.is_ok() {
            prop_assert!(ours.is_ok(), "{text}: {ours:?}");
        }
        // The text may close the object itself and open other members, so only whole values count.
        if ours.is_ok() && !text.contains(['{', '}', ',']) {
            prop_assert!(theirs.is_ok(), "{text}");
        }
    }

    #[test]
    fn numbers_survive_the_round_trip(singles in proptest::collection::vec(any::<f32>(), 1..20), wholes in proptest::collection::vec(any::<i64>(), 1..20)) {
        let floats = NamedTensor { name: "f".into(), tensor: Tensor::from_vec(DType::Fp32, vec![singles.len()], singles.clone()).unwrap() };
        let ints = NamedTensor { name: "i".into(), tensor: Tensor::from_vec(DType::Int64, vec![wholes.len()], wholes.clone()).unwrap() };
        let outputs = [floats, ints];
        let rendered = render(reply(&outputs), Selection { wanted: None, binary: false }).unwrap();
        let request = std::str::from_utf8(&rendered.json).unwrap().replace("\"outputs\"", "\"inputs\"");
        let back = parse(&request).unwrap();
        let read = back.inputs[0].tensor.to_vec::<f32>().unwrap();
        prop_assert!(read.iter().zip(&singles).all(|(a, b)| a == b || (a.is_nan() && b.is_nan())));
        prop_assert_eq!(back.inputs[1].tensor.to_vec::<i64>().unwrap(), wholes);
    }

    #[test]
    fn strings_survive_the_round_trip(texts in proptest::collection::vec(any::<String>(), 1..6)) {
        let values = texts.iter().map(|t| Bytes::from(t.clone())).collect();
        let outputs = [NamedTensor { name: "s".into(), tensor: Tensor::from_strings(vec![texts.len()], values).unwrap() }];
        for binary in [false, true] {
            let rendered = render(reply(&outputs), Selection { wanted: None, binary }).unwrap();
            let json = std::str::from_utf8(&rendered.json).unwrap().replacen("\"outputs\"", "\"inputs\"", 1);
            let body = Bytes::from([json.as_bytes(), &rendered.blobs.concat()].concat());
            let back = InferBody::parse(&body, json.len()).unwrap();
            prop_assert_eq!(back.inputs[0].tensor.strings().unwrap(), outputs[0].tensor.strings().unwrap());
        }
    }
}
