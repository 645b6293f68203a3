use super::*;
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{DType, Tensor, Timing};
use proptest::prelude::*;

#[test]
fn quantiles_are_at_most_an_eighth_too_high() {
    let histogram = Histogram::default();
    (1..=1000_u64).for_each(|us| histogram.record(us * 1000));
    let view = histogram.view();
    assert_eq!((view.count, view.sum_ns, view.mean_ns()), (1000, 500_500_000, 500_500));
    for (q, exact) in [(0.5, 500_000_u64), (0.95, 950_000), (0.99, 990_000), (1.0, 1_000_000)] {
        let got = view.quantile(q).unwrap();
        assert!(got >= exact && got <= exact + exact / 8, "{q}: {got}");
    }
    assert_eq!(HistogramView::default().quantile(0.5), None);
    assert_eq!(view.at_most(Duration::from_secs(1)), 1000);
    assert_eq!(view.at_most(Duration::ZERO), 0);
}

proptest! {
    #[test]
    fn any_value_lies_in_its_bucket(ns in any::<u64>()) {
        let histogram = Histogram::default();
        histogram.record(ns);
        let view = histogram.view();
        prop_assert_eq!(view.quantile(1.0), Some(ns), "a value alone is its own quantile");
        let (bound, _) = view.buckets[0];
        prop_assert!(bound > ns || bound == u64::MAX);
        if (256..1 << 37).contains(&ns) {
            prop_assert!(bound - ns <= ns / 8 + 1, "{ns} in a bucket up to {bound}");
        }
    }
}

#[test]
fn a_recorder_counts_by_kind_size_and_reason() {
    let recorder = Recorder::default();
    recorder.executed(3, 1_000, ClosedBy::Idle);
    recorder.executed(3, 3_000, ClosedBy::Size);
    recorder.executed(1000, 5_000, ClosedBy::Alone);
    let timing = Timing { total_ns: 900, ..Timing::default() };
    recorder.answered(Sample { at: Timestamp(7_000), rows: 3, timing, cached: false });
    recorder.failed(ErrorKind::Overloaded, 10);
    let target = Arc::new(Target {
        deployment: "d".into(),
        variant: "stable".into(),
        model: "m".into(),
        version: "1".into(),
        columns: Arc::default(),
    });
    let view = recorder.view(target);
    assert_eq!((view.inference_count, view.execution_count), (3, 3));
    assert_eq!((view.success, view.fail), (Counted { count: 1, ns: 900 }, Counted { count: 1, ns: 10 }));
    assert_eq!(view.failures, [FailureCount { kind: ErrorKind::Overloaded, count: 1 }]);
    assert_eq!(view.last_inference, Some(Timestamp(7_000)));
    assert_eq!(view.batches[0], BatchStats { rows: 3, executions: 2, engine_ns: 4_000 });
    assert_eq!(view.batches[1].rows, 1024);
    assert_eq!(recorder.mean_engine_ns(), 3_000);
    assert!(recorder.closed().contains(&(ClosedBy::Size, 1)));
}

#[test]
fn nan_is_counted_wherever_the_bytes_lie() {
    let recorder = Recorder::default();
    let values: Vec<u8> = [1.0_f64, f64::NAN, f64::NAN].iter().flat_map(|v| v.to_le_bytes()).collect();
    for before in 0..8 {
        let body = bytes::Bytes::from([vec![0; before], values.clone()].concat());
        let tensor = Tensor::from_raw(DType::Fp64, vec![3], body.slice(before..)).unwrap();
        recorder.count_nans(&[NamedTensor { name: "y".into(), tensor }]);
    }
    let target = Target {
        deployment: "d".into(),
        variant: "stable".into(),
        model: "m".into(),
        version: "1".into(),
        columns: Arc::default(),
    };
    assert_eq!(recorder.view(Arc::new(target.clone())).nan_outputs, 16);
    // More than are looked at together, at the ends of what is.
    let places = [0, 1_023, 1_024, 2_047, 2_500];
    for dtype in [DType::Fp16, DType::Bf16, DType::Fp32] {
        let recorder = Recorder::default();
        let value = |at| if places.contains(&at) { f32::NAN } else { 1.0 };
        let bytes = |at| match dtype {
            DType::Fp16 => half::f16::from_f32(value(at)).to_le_bytes().to_vec(),
            DType::Bf16 => half::bf16::from_f32(value(at)).to_le_bytes().to_vec(),
            _ => value(at).to_le_bytes().to_vec(),
        };
        let raw: Vec<u8> = (0..2_501).flat_map(bytes).collect();
        let tensor = Tensor::from_raw(dtype, vec![2_501], bytes::Bytes::from(raw)).unwrap();
        recorder.count_nans(&[NamedTensor { name: "y".into(), tensor }]);
        assert_eq!(recorder.view(Arc::new(target.clone())).nan_outputs, 5, "{dtype:?}");
    }
}
