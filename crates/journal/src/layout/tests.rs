use super::*;
use crate::testing::*;

#[test]
fn the_fingerprint_follows_names_and_types_and_nothing_else() {
    let to = target("d", "1");
    let of = |p: &Prediction| fingerprint(&Layout::of(p).schema());
    let a = of(&prediction(1, &to));
    assert_eq!(a, of(&prediction(2, &to)));
    let mut wider = prediction(1, &to);
    wider.inputs = Arc::new([tensor("x", DType::Fp32, &[1, 5], vec![0_f32; 5])]);
    assert_eq!(a, of(&wider), "lists of another length share a file");
    let mut renamed = prediction(1, &to);
    renamed.inputs = Arc::new([tensor("z", DType::Fp32, &[1, 2], vec![0_f32; 2])]);
    assert_ne!(a, of(&renamed));
    let mut retyped = prediction(1, &to);
    retyped.inputs = Arc::new([tensor("x", DType::Fp64, &[1, 2], vec![0_f64; 2])]);
    assert_ne!(a, of(&retyped));
}

#[test]
fn the_envelope_is_what_version_4_says() {
    // Changing this list needs a new ENVELOPE_VERSION.
    let names: Vec<_> = envelope_fields().iter().map(|f| f.name().clone()).collect();
    let expected = "event_id row at variant model version protocol client_id forced propensity unit generation context \
                    shadow_of outcome error_kind error rows batch_rows queue_us features_us engine_us encode_us total_us \
                    flags params payload caller cached_from saved_us tokens_in tokens_out";
    assert_eq!(names.join(" "), expected.split_whitespace().collect::<Vec<_>>().join(" "));
}
