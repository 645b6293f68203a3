//! The classification extension, by what Triton answers.

use crate::{BodyError, Classes, Wanted, classified};
use bytes::Bytes;
use half::f16;
use mainspring_core::{DType, NamedTensor, Tensor};
use std::borrow::Cow;
use std::sync::Arc;

fn named(tensor: Tensor) -> [NamedTensor; 1] {
    [NamedTensor { name: "p".into(), tensor }]
}

fn top(tensor: Tensor, classes: usize, batched: bool) -> Result<(Vec<usize>, Vec<String>), BodyError> {
    let wanted = [Wanted { name: "p".into(), binary: None, classes }];
    let outputs = named(tensor);
    let turned = classified(&outputs, Some(&wanted), Classes { batched, labels: &[] })?;
    let tensor = &turned[0].tensor;
    let texts = tensor.strings().unwrap().iter().map(|t| String::from_utf8(t.to_vec()).unwrap()).collect();
    Ok((tensor.shape().to_vec(), texts))
}

#[test]
fn each_row_has_its_own_top() {
    let tensor = Tensor::from_vec(DType::Fp32, vec![2, 3], vec![0.1_f32, 0.7, 0.2, 0.5, 0.25, 0.25]).unwrap();
    let (shape, texts) = top(tensor.clone(), 2, true).unwrap();
    assert_eq!(shape, [2, 2]);
    assert_eq!(texts, ["0.700000:1", "0.200000:2", "0.500000:0", "0.250000:1"]);
    // More than there are gives all of them.
    assert_eq!(top(tensor.clone(), 99, true).unwrap().0, [2, 3]);
    // Without a batch the whole output is one row.
    assert_eq!(top(tensor, 1, false).unwrap(), (vec![1], vec!["0.700000:1".to_owned()]));
}

#[test]
fn whole_numbers_and_what_is_no_number() {
    let whole = Tensor::from_vec(DType::Int64, vec![1, 2], vec![i64::MAX - 1, i64::MAX]).unwrap();
    assert_eq!(top(whole, 2, true).unwrap().1, ["9223372036854775807:1", "9223372036854775806:0"]);
    let odd = vec![f32::NAN, f32::NEG_INFINITY, f32::INFINITY, f32::NAN];
    let odd = Tensor::from_vec(DType::Fp32, vec![1, 4], odd).unwrap();
    assert_eq!(top(odd, 4, true).unwrap().1, ["inf:2", "-inf:1", "nan:0", "nan:3"]);
    let half = Tensor::from_vec(DType::Fp16, vec![1, 2], vec![f16::from_f32(0.5), f16::ONE]).unwrap();
    assert_eq!(top(half, 1, true).unwrap().1, ["1.000000:1"]);
}

#[test]
fn labels_stand_behind_the_index() {
    let tensor = Tensor::from_vec(DType::Fp32, vec![1, 2], vec![0.25_f32, 0.75]).unwrap();
    let labels: Arc<[Arc<str>]> = vec![Arc::from("no"), Arc::from("yes")].into();
    let wanted = [Wanted { name: "p".into(), binary: None, classes: 1 }];
    let outputs = named(tensor);
    let how = Classes { batched: true, labels: &[Some(labels)] };
    let turned = classified(&outputs, Some(&wanted), how).unwrap();
    assert_eq!(turned[0].tensor.strings().unwrap(), [Bytes::from("0.750000:1:yes")]);
}

#[test]
fn nothing_is_copied_when_nothing_is_asked_for_and_texts_have_no_classes() {
    let how = Classes { batched: true, labels: &[] };
    let outputs = named(Tensor::from_strings(vec![1], vec![Bytes::from("a")]).unwrap());
    assert!(matches!(classified(&outputs, None, how), Ok(Cow::Borrowed(_))));
    let values = [Wanted { name: "p".into(), binary: None, classes: 0 }];
    assert!(matches!(classified(&outputs, Some(&values), how), Ok(Cow::Borrowed(_))));
    let error = top(outputs[0].tensor.clone(), 1, true).unwrap_err();
    assert_eq!(error.to_string(), "output \"p\" holds texts, which have no classes: ask for it without classification");
}

#[test]
fn no_rows_have_no_classes() {
    let none = Tensor::from_vec(DType::Fp32, vec![0, 3], Vec::<f32>::new()).unwrap();
    assert_eq!(top(none, 2, true).unwrap(), (vec![0, 0], vec![]));
    let scalar = Tensor::from_vec(DType::Fp32, vec![], vec![1.5_f32]).unwrap();
    assert_eq!(top(scalar, 2, true).unwrap(), (vec![1], vec!["1.500000:0".to_owned()]));
}
