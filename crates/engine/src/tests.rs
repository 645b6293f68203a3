use crate::{Signature, SignatureError, TensorSpec, zeros};
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{DType, Tensor};

fn spec(name: &str, dtype: DType, shape: &[i64]) -> TensorSpec {
    TensorSpec::new(name, dtype, shape)
}

fn signature() -> Signature {
    Signature {
        inputs: vec![spec("age", DType::Fp32, &[-1, 1]), spec("city", DType::Bytes, &[-1, 1])],
        outputs: vec![spec("score", DType::Fp32, &[-1])],
    }
}

fn given(name: &str, rows: usize) -> NamedTensor {
    let tensor = if name == "city" {
        Tensor::from_strings(vec![rows, 1], vec!["x".into(); rows]).unwrap()
    } else {
        Tensor::from_vec(DType::Fp32, vec![rows, 1], vec![0_f32; rows]).unwrap()
    };
    NamedTensor { name: name.into(), tensor }
}

#[test]
fn inputs_are_put_into_the_models_order() {
    let mut inputs = vec![given("city", 3), given("age", 3)];
    assert_eq!(signature().accept(&mut inputs).unwrap(), 3);
    assert_eq!(&*inputs[0].name, "age");
    assert_eq!(&*inputs[1].name, "city");
}

#[test]
fn every_refusal_names_the_input() {
    let wrong_type =
        NamedTensor { name: "age".into(), tensor: Tensor::from_vec(DType::Int64, vec![1, 1], vec![0_i64]).unwrap() };
    let wrong_shape =
        NamedTensor { name: "age".into(), tensor: Tensor::from_vec(DType::Fp32, vec![1, 2], vec![0_f32; 2]).unwrap() };
    let cases = [
        (vec![given("age", 1)], "city"),
        (vec![given("age", 1), given("city", 1), given("cty", 1)], "did you mean \"city\""),
        (vec![given("age", 1), given("age", 1), given("city", 1)], "twice"),
        (vec![wrong_type, given("city", 1)], "\"age\" is FP32, got INT64"),
        (vec![wrong_shape, given("city", 1)], "[-1, 1]"),
        (vec![given("age", 1), given("city", 2)], "rows"),
        (vec![], "\"age\" is missing"),
    ];
    for (mut inputs, expected) in cases {
        let e: SignatureError = signature().accept(&mut inputs).unwrap_err();
        assert!(e.to_string().contains(expected), "{e}");
    }
}

#[test]
fn zeros_fit_the_signature_they_are_made_for() {
    let mut inputs = zeros(&signature(), 4).unwrap();
    assert_eq!(signature().accept(&mut inputs).unwrap(), 4);
}

#[test]
fn an_input_whose_rank_the_model_leaves_open_takes_any_shape() {
    let open = Signature { inputs: vec![spec("x", DType::Fp32, &[])], outputs: vec![spec("y", DType::Fp32, &[])] };
    for shape in [vec![], vec![3], vec![1, 3]] {
        let count = shape.iter().product::<usize>();
        let tensor = Tensor::from_vec(DType::Fp32, shape, vec![0_f32; count]).unwrap();
        assert_eq!(open.accept(&mut [NamedTensor { name: "x".into(), tensor }]).unwrap(), 1);
    }
    assert!(!open.batchable());
}

#[test]
fn an_optional_input_may_stay_out_but_not_all_of_them() {
    let mut signature = signature();
    signature.inputs[0].optional = true;
    let mut inputs = vec![given("city", 3)];
    assert_eq!(signature.accept(&mut inputs), Ok(3));
    let mut both = vec![given("city", 3), given("age", 3)];
    assert_eq!(signature.accept(&mut both), Ok(3));
    assert_eq!(&*both[0].name, "age");
    signature.inputs[1].optional = true;
    assert!(signature.accept(&mut []).unwrap_err().to_string().contains("\"age\" is missing"));
}

#[test]
fn a_column_comes_in_either_of_its_two_shapes() {
    for (takes, comes) in [(&[-1_i64][..], vec![3, 1]), (&[-1, 1], vec![3]), (&[3], vec![3, 1])] {
        let signature = Signature { inputs: vec![spec("age", DType::Fp32, takes)], outputs: Vec::new() };
        let tensor = Tensor::from_vec(DType::Fp32, comes.clone(), vec![1.0_f32, 2.0, 3.0]).unwrap();
        let mut inputs = vec![NamedTensor { name: "age".into(), tensor }];
        signature.accept(&mut inputs).unwrap_or_else(|e| panic!("{takes:?} from {comes:?}: {e}"));
        assert_eq!(inputs[0].tensor.shape().len(), takes.len());
        assert_eq!(inputs[0].tensor.as_slice::<f32>(), Some(&[1.0, 2.0, 3.0][..]));
    }
    let signature = Signature { inputs: vec![spec("age", DType::Fp32, &[-1])], outputs: Vec::new() };
    let wide = Tensor::from_vec(DType::Fp32, vec![1, 3], vec![1.0_f32, 2.0, 3.0]).unwrap();
    assert!(signature.accept(&mut [NamedTensor { name: "age".into(), tensor: wide }]).is_err());
}
