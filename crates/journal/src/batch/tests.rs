use super::*;
use crate::testing::*;
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int32Type, Int64Type, UInt64Type};
use half::{bf16, f16};
use mainspring_core::tensor::Data;
use mainspring_core::{DType, NamedTensor, Tensor};
use proptest::prelude::*;

fn batch_of(p: &Prediction) -> RecordBatch {
    let mut batch = Batch::new(p.tenant.clone(), Arc::clone(&p.target), Layout::of(p));
    assert!(batch.layout.matches(p));
    // In two parts, as a request that does not fit one batch is.
    let middle = lines(p) / 2;
    batch.push(p, 0..middle, true);
    batch.push(p, middle..lines(p), true);
    batch.finish().unwrap()
}

fn with(rows: u32, inputs: Vec<NamedTensor>, outputs: Vec<NamedTensor>) -> Prediction {
    Prediction { rows, inputs: inputs.into(), outputs: outputs.into(), ..prediction(1, &target("d", "1")) }
}

#[test]
fn the_envelope_says_everything_about_the_request() {
    let mut p = prediction(9, &target("churn", "3"));
    p.client_id = Some("mine".into());
    p.assignment = mainspring_core::Assignment {
        forced: true,
        propensity: 0.25,
        unit: Some(u64::MAX),
        generation: Some(7),
        context: Some(5),
        shadow_of: Some(id(8)),
    };
    let b = batch_of(&p);
    let text = |name: &str| b[name].as_string::<i32>().value(0).to_owned();
    assert_eq!(text("event_id"), p.id.to_string());
    assert_eq!((text("variant"), text("model"), text("version")), ("stable".into(), "churn".into(), "3".into()));
    assert_eq!((text("protocol"), text("client_id")), ("oip-rest".into(), "mine".into()));
    assert_eq!((text("outcome"), text("payload")), ("ok".into(), "kept".into()));
    assert!(b["error"].is_null(0) && b["error_kind"].is_null(0));
    assert_eq!(b["unit"].as_primitive::<UInt64Type>().value(0), u64::MAX);
    assert_eq!(b["generation"].as_primitive::<UInt64Type>().value(0), 7);
    assert_eq!(b["context"].as_primitive::<arrow::datatypes::UInt16Type>().value(0), 5);
    assert_eq!(text("shadow_of"), id(8).to_string());
    assert!(b["forced"].as_boolean().value(0));
    assert_eq!(b["queue_us"].as_primitive::<arrow::datatypes::Float64Type>().value(0), 1.0);
}

#[test]
fn parameters_stand_with_row_0_and_go_with_the_payload() {
    let two = || with(2, vec![tensor("x", DType::Fp32, &[2], vec![1_f32, 2.0])], vec![]);
    let of = |p: &Prediction| {
        let b = batch_of(p);
        b["params"].as_string::<i32>().iter().map(|t| t.map(str::to_owned)).collect::<Vec<_>>()
    };
    let plain = two();
    let given = Prediction { params: Some(r#"{"heat":1.5}"#.into()), ..two() };
    assert_eq!((of(&plain), of(&given)), (vec![None, None], vec![Some(r#"{"heat":1.5}"#.to_owned()), None]));
    assert_eq!(payload_bytes(&given) - payload_bytes(&plain), 12);
    let mut batch = Batch::new(given.tenant.clone(), Arc::clone(&given.target), Layout::of(&given));
    batch.push(&given, 0..2, false);
    let dropped = batch.finish().unwrap();
    assert_eq!((dropped["params"].null_count(), dropped["payload"].as_string::<i32>().value(0)), (2, "dropped"));
}

#[test]
fn each_row_says_which_rules_it_broke_whether_its_payload_is_kept_or_not() {
    let mut p = with(3, vec![tensor("x", DType::Fp32, &[3], vec![1_f32, 2.0, 3.0])], vec![]);
    p.flags = Some([None, Some("age:between,plan:in_set".into()), None].into());
    let mut batch = Batch::new(p.tenant.clone(), Arc::clone(&p.target), Layout::of(&p));
    batch.push(&p, 0..3, false);
    let flags =
        batch.finish().unwrap()["flags"].as_string::<i32>().iter().map(|f| f.map(str::to_owned)).collect::<Vec<_>>();
    assert_eq!(flags, [None, Some("age:between,plan:in_set".to_owned()), None]);
}

#[test]
fn an_answer_that_was_kept_says_whose_it_was_and_what_it_saved() {
    let mut p = with(2, vec![tensor("x", DType::Fp32, &[2], vec![1_f32, 2.0])], vec![]);
    p.tokens = Some(Tokens { input: 12, output: 3 });
    let computed = batch_of(&p);
    assert_eq!((computed["cached_from"].null_count(), computed["saved_us"].null_count()), (2, 2));
    let numbers = |b: &RecordBatch, name: &str| b[name].as_primitive::<Int64Type>().iter().collect::<Vec<_>>();
    assert_eq!(numbers(&computed, "tokens_in"), [Some(12), None], "the request has them, and not each row");
    assert_eq!(numbers(&computed, "tokens_out"), [Some(3), None]);
    p.cached = Some(Cached { from: id(7), saved_ns: 4_250 });
    let kept = batch_of(&p);
    let from = kept["cached_from"].as_string::<i32>().iter().flatten().collect::<Vec<_>>();
    assert_eq!(from, [id(7).to_string(), id(7).to_string()]);
    assert_eq!(kept["saved_us"].as_primitive::<Float64Type>().values().to_vec(), [4.25, 4.25]);
    assert_eq!(numbers(&kept, "tokens_in"), [Some(12), None]);
}

#[test]
fn a_failed_request_has_one_line_and_no_payload() {
    let mut p = with(50_000, vec![tensor("x", DType::Fp32, &[1], vec![1_f32])], vec![]);
    p.outcome = Outcome::Failed { kind: mainspring_core::ErrorKind::InvalidInput, message: "no such column".into() };
    let b = batch_of(&p);
    assert_eq!(b.num_rows(), 1);
    assert_eq!(b["error_kind"].as_string::<i32>().value(0), "invalid_input");
    assert_eq!(b["error"].as_string::<i32>().value(0), "no such column");
    assert_eq!(b["payload"].as_string::<i32>().value(0), "absent");
}

#[test]
fn shapes_decide_between_scalars_lists_and_columns() {
    let p = with(
        2,
        vec![
            tensor("flat", DType::Fp32, &[2], vec![1_f32, 2.0]),
            tensor("one", DType::Fp32, &[2, 1], vec![3_f32, 4.0]),
            tensor("wide", DType::Fp32, &[2, 3], vec![1_f32, 2.0, 3.0, 4.0, 5.0, 6.0]),
            tensor("whole", DType::Fp32, &[3], vec![7_f32, 8.0, 9.0]),
        ],
        vec![],
    );
    let b = batch_of(&p);
    let floats = |name: &str| b[name].as_primitive::<Float32Type>().values().to_vec();
    assert_eq!((floats("in.flat"), floats("in.one")), (vec![1.0, 2.0], vec![3.0, 4.0]));
    let list =
        |name: &str, row: usize| b[name].as_list::<i32>().value(row).as_primitive::<Float32Type>().values().to_vec();
    assert_eq!((list("in.wide", 0), list("in.wide", 1)), (vec![1.0, 2.0, 3.0], vec![4.0, 5.0, 6.0]));
    assert_eq!(list("in.whole", 0), [7.0, 8.0, 9.0]);
    assert!(b["in.whole"].is_null(1));
    assert_eq!(b["row"].as_primitive::<Int32Type>().values().to_vec(), [0, 1]);
}

#[test]
fn the_one_input_of_a_model_with_named_columns_is_a_column_each() {
    let named = Arc::new(Target { columns: ["age".into(), "income".into()].into(), ..(*target("d", "1")).clone() });
    let of = |inputs: Vec<NamedTensor>| Prediction { target: Arc::clone(&named), ..with(2, inputs, vec![]) };
    let x = || tensor("x", DType::Fp32, &[2, 2], vec![10_f32, 20.0, 30.0, 40.0]);
    let mut both = Batch::new(Tenant::default(), Arc::clone(&named), Layout::of(&of(vec![x()])));
    both.push(&of(vec![x()]), 0..2, true);
    both.push(&of(vec![x()]), 0..1, false);
    let texts = strings("x", &[2, 2], &[b"a", b"b", b"c", b"d"]);
    let b = both.finish().unwrap();
    let floats = |name: &str| b[name].as_primitive::<Float32Type>().iter().collect::<Vec<_>>();
    assert_eq!(floats("in.age"), [Some(10.0), Some(30.0), None]);
    assert_eq!(floats("in.income"), [Some(20.0), Some(40.0), None]);
    let b = batch_of(&of(vec![texts]));
    assert_eq!(b["in.income"].as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["b", "d"]);
    // Any other width, or a second input, is not what the names are of.
    let wide = batch_of(&of(vec![tensor("x", DType::Fp32, &[2, 3], vec![0_f32; 6])]));
    assert!(matches!(wide["in.x"].data_type(), DataType::List(_)));
    let two = batch_of(&of(vec![x(), tensor("y", DType::Fp32, &[2], vec![0_f32; 2])]));
    assert!(matches!(two["in.x"].data_type(), DataType::List(_)));
}

#[test]
fn big_rows_leave_a_digest() {
    let wide = crate::layout::DIGEST_OVER / 4 + 1;
    let same = vec![1_f32; wide];
    let values: Vec<f32> = same.iter().chain(&same).copied().collect();
    let b = batch_of(&with(2, vec![tensor("image", DType::Fp32, &[2, wide], values)], vec![]));
    let digests = b["in.image.digest"].as_string::<i32>();
    assert!(digests.value(0).starts_with("xxh3:"));
    assert!(digests.value(0).ends_with(&format!(";FP32[{wide}]")));
    assert_eq!(digests.value(0), digests.value(1));
}

#[test]
fn half_floats_bools_texts_and_bytes_keep_their_values() {
    let halves: Vec<u16> = vec![f16::from_f32(1.5).to_bits(), f16::from_f32(-2.0).to_bits()];
    let brains: Vec<u16> = vec![bf16::from_f32(0.5).to_bits(), bf16::from_f32(4.0).to_bits()];
    let p = with(
        2,
        vec![
            tensor("h", DType::Fp16, &[2], halves),
            tensor("b", DType::Bf16, &[2], brains),
            tensor("f", DType::Bool, &[2], vec![1_u8, 0]),
            strings("t", &[2], &["ä".as_bytes(), b""]),
            strings("r", &[2], &[b"\xff\x00", b"ok"]),
        ],
        vec![],
    );
    let b = batch_of(&p);
    assert_eq!(b["in.h"].as_primitive::<Float32Type>().values().to_vec(), [1.5, -2.0]);
    assert_eq!(b["in.b"].as_primitive::<Float32Type>().values().to_vec(), [0.5, 4.0]);
    assert_eq!(b["in.f"].as_boolean().iter().flatten().collect::<Vec<_>>(), [true, false]);
    assert_eq!(b["in.t"].as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["ä", ""]);
    assert_eq!(b["in.r"].as_binary::<i32>().iter().flatten().collect::<Vec<_>>(), [b"\xff\x00".as_slice(), b"ok"]);
}

#[test]
fn two_tensors_of_one_name_keep_both_columns() {
    let x = || tensor("x", DType::Fp32, &[1], vec![1_f32]);
    let b = batch_of(&with(1, vec![x(), x()], vec![x()]));
    let envelope = layout::envelope_fields().len();
    let names: Vec<_> = b.schema().fields().iter().map(|f| f.name().clone()).skip(envelope).collect();
    assert_eq!(names, ["in.x", "in.x#2", "out.x"]);
}

/// Bytes of any fixed-width type, as many as a shape needs.
fn any_tensor() -> impl Strategy<Value = (u32, Tensor)> {
    let fixed =
        DType::ALL.into_iter().filter(|d| !matches!(d, DType::Bytes | DType::Fp16 | DType::Bf16)).collect::<Vec<_>>();
    (prop::sample::select(fixed), 1_u32..5, prop::option::of(0_usize..5)).prop_flat_map(|(dtype, rows, wide)| {
        let n = rows as usize * wide.unwrap_or(1) * dtype.size().unwrap();
        let byte = if dtype == DType::Bool { 0..=1_u8 } else { 0..=255_u8 };
        prop::collection::vec(byte, n).prop_map(move |bytes| {
            let shape: Vec<usize> = std::iter::once(rows as usize).chain(wide).collect();
            (rows, Tensor::from_raw(dtype, shape, bytes::Bytes::from(bytes)).unwrap())
        })
    })
}

proptest! {
    /// The bytes of a column are the bytes of the tensor.
    #[test]
    fn what_goes_in_comes_out((rows, t) in any_tensor()) {
        let Data::Raw(raw) = t.data().clone() else { unreachable!() };
        let (dtype, per_row) = (t.dtype(), t.len() / rows as usize);
        let b = batch_of(&with(rows, vec![NamedTensor { name: "t".into(), tensor: t }], vec![]));
        let column = &b["in.t"];
        let values = match column.data_type() {
            DataType::List(_) => {
                prop_assert!(per_row != 1);
                prop_assert!(column.as_list::<i32>().offsets().lengths().all(|n| n == per_row));
                Arc::clone(column.as_list::<i32>().values())
            }
            _ => Arc::clone(column),
        };
        prop_assert_eq!(values.null_count(), 0);
        if dtype == DType::Bool {
            let back: Vec<u8> = values.as_boolean().iter().flatten().map(u8::from).collect();
            prop_assert_eq!(&back[..], &raw[..]);
        } else {
            let data = values.to_data();
            prop_assert_eq!(&data.buffers()[0].as_slice()[..raw.len()], &raw[..]);
        }
    }
}
