use crate::tensor::element_count;
use crate::*;
use bytes::Bytes;
use proptest::prelude::*;
use std::sync::{Arc, Mutex};

#[test]
fn names_refuse_what_cannot_stand_in_a_path_or_a_url() {
    for bad in ["", ".hidden", "-x", "a/b", "a b", "..", "ä", "a\0", &"x".repeat(129)] {
        assert!(Name::new(bad).is_err(), "{bad:?}");
    }
    for good in ["churn", "Churn_v2", "a.b-c", "0", &"x".repeat(128)] {
        assert_eq!(Name::new(good).unwrap().as_str(), good);
    }
    assert!(serde_json::from_str::<Name>("\"a/b\"").unwrap_err().to_string().contains('/'));
}

#[test]
fn seeded_ids_repeat_and_sort_by_time() {
    let make = || {
        let ids = SeededIds::new(7);
        (0..100_i64).map(|i| ids.event(Timestamp::from_millis(1_700_000_000_000 + i))).collect::<Vec<_>>()
    };
    let ids = make();
    assert_eq!(ids, make());
    assert!(ids.is_sorted());
    assert!(ids.iter().all(|id| id.0.get_version_num() == 7));
    let parsed: EventId = ids[3].to_string().parse().unwrap();
    assert_eq!(parsed, ids[3]);
}

#[test]
fn ids_sort_by_the_microsecond_of_their_event() {
    let at = |micros| Timestamp::from_millis(1_700_000_000_000).plus_micros(micros);
    let ids: Vec<EventId> = (0..3000).map(|micros| SystemIds.event(at(micros))).collect();
    assert!(ids.is_sorted());
    assert!(ids.iter().all(|id| id.0.get_version_num() == 7 && id.0.get_variant() == uuid::Variant::RFC4122));
    let (seconds, nanos) = ids[2999].0.get_timestamp().unwrap().to_unix();
    assert_eq!((seconds, nanos / 1_000_000), (1_700_000_000, 2));
    let same: Vec<EventId> = (0..1000).map(|_| SystemIds.event(at(5000))).collect();
    assert!(same.is_sorted(), "made in one microsecond, in the order in which they were made");
    let back = SystemIds.event(at(0)).0.get_timestamp().unwrap().to_unix();
    assert_eq!(back, (1_700_000_000, 0), "a clock that is set back is believed");
}

#[test]
fn system_randomness_does_not_repeat() {
    let mut seen: Vec<_> = (0..10_000).map(|_| SystemIds.hex32()).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 10_000);
    assert!(seen.iter().all(|s| s.len() == 32));
}

#[derive(Debug)]
struct Deploy(&'static str);

impl Action for Deploy {
    const NAME: &'static str = "deployment.apply";
    const EFFECT: Effect = Effect::Write;
    fn resource(&self) -> Resource {
        Resource { kind: "deployment", name: self.0.into() }
    }
}

struct ByRole;

impl Policy for ByRole {
    fn decide(&self, who: &Principal, _: &'static str, effect: Effect, _: &Resource) -> Decision {
        if effect == Effect::Write && who.role < Role::Write {
            Decision::Deny("too low".into())
        } else {
            Decision::Allow
        }
    }
}

#[derive(Default)]
struct Heard(Mutex<Vec<AuditRecord>>);

impl AuditSink for Heard {
    fn record(&self, record: AuditRecord) {
        self.0.lock().unwrap().push(record);
    }
}

#[test]
fn a_refusal_is_audited_and_gives_no_proof() {
    let heard = Arc::new(Heard::default());
    let gate = Gate::new(Arc::new(ByRole), heard.clone(), Arc::new(ManualClock::at(Timestamp(5))));
    let reader = Arc::new(Principal { role: Role::Read, ..Principal::loopback() });
    let denied = gate.authorize(&reader, Deploy("churn")).unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::Denied);
    assert!(denied.to_string().contains("churn"));
    let record = heard.0.lock().unwrap().pop().unwrap();
    assert!(!record.allowed && record.at == Timestamp(5) && record.action == "deployment.apply");

    let writer = Arc::new(Principal { role: Role::Write, ..Principal::loopback() });
    let proof = gate.authorize(&writer, Deploy("churn")).unwrap();
    assert!(heard.0.lock().unwrap().is_empty(), "a change is audited in its own transaction");
    assert!(proof.audit().allowed);
}

#[tokio::test]
async fn shutdown_cancels_tasks_and_waits_for_the_graceful_ones() {
    let tasks = Tasks::new();
    let (tx, rx) = tokio::sync::oneshot::channel();
    let _forever = tasks.spawn("forever", std::future::pending());
    let stop = tasks.cancelled();
    let _last_words = tasks.spawn_graceful(async move {
        stop.cancelled().await;
        tx.send("flushed").unwrap();
    });
    assert!(tasks.shutdown(std::time::Duration::from_mins(1)).await);
    assert_eq!(rx.await.unwrap(), "flushed");
}

#[tokio::test]
async fn a_task_that_panics_says_why_to_who_waits_for_it() {
    let tasks = Tasks::new();
    for ended in [tasks.spawn("breaks", async { panic!("at {}", 3) }), tasks.spawn_graceful(async { panic!("at 3") })] {
        let panic = ended.await.unwrap_err().into_panic();
        assert_eq!(panic_words(&*panic), "at 3");
    }
    assert!(tasks.shutdown(std::time::Duration::from_mins(1)).await, "it holds up nothing");
}

#[test]
fn tensors_check_their_bytes() {
    let t = Tensor::from_vec(DType::Fp32, vec![2, 3], vec![0_f32, 1., 2., 3., 4., 5.]).unwrap();
    assert_eq!(t.rows(), 2);
    assert_eq!(t.slice_rows(1, 2).to_vec::<f32>().unwrap(), [3., 4., 5.]);
    assert_eq!(t.as_slice::<f32>().unwrap()[4], 4.);
    assert!(t.as_slice::<f64>().is_none());
    assert!(Tensor::from_raw(DType::Fp32, vec![2], Bytes::from_static(&[0; 7])).is_err());
    assert!(Tensor::from_raw(DType::Fp32, vec![usize::MAX, 2], Bytes::new()).is_err());
    assert!(Tensor::from_vec(DType::Fp64, vec![1], vec![0_f32]).is_err());
}

#[test]
fn a_column_is_nested_or_not_and_anything_else_stays() {
    let of =
        |shape: &[usize]| Tensor::from_vec(DType::Fp32, shape.to_vec(), vec![1_f32; shape.iter().product()]).unwrap();
    let shape = |of: &Tensor, nested| {
        let mut of = of.clone();
        of.column(nested);
        of.shape().to_vec()
    };
    assert_eq!((shape(&of(&[3, 1]), false), shape(&of(&[3]), true)), (vec![3], vec![3, 1]));
    for same in [&[][..], &[3, 2], &[3, 1, 1]] {
        assert_eq!((shape(&of(same), true), shape(&of(same), false)), (same.to_vec(), same.to_vec()));
    }
    assert_eq!((shape(&of(&[3, 1]), true), shape(&of(&[3]), false)), (vec![3, 1], vec![3]));
}

#[test]
fn numbers_that_are_copied_are_the_same_and_aligned() {
    for count in 0..12 {
        let values: Vec<f64> = (0..count).map(|n| f64::from(n) / 3.0).collect();
        let shape = vec![values.len(), 1];
        let copied = Tensor::from_slice(DType::Fp64, shape.clone(), &values).unwrap();
        assert_eq!(copied.as_slice::<f64>(), Some(&values[..]), "{count} numbers");
        assert_eq!(copied, Tensor::from_vec(DType::Fp64, shape, values).unwrap());
    }
    assert!(Tensor::from_slice(DType::Fp64, vec![2], &[0_f64]).is_err());
    assert!(Tensor::from_slice(DType::Fp64, vec![1], &[0_f32]).is_err());
}

#[test]
fn a_data_type_is_found_by_its_name() {
    for dtype in DType::ALL {
        assert_eq!(DType::parse(dtype.as_str()), Some(dtype));
    }
    assert_eq!((DType::parse("fp32"), DType::parse("FP8")), (None, None));
}

#[test]
fn nearest_helps_only_when_it_is_near() {
    assert_eq!(nearest("modle", ["model", "name"]), Some("model"));
    assert_eq!(nearest("elephant", ["model", "name"]), None);
}

proptest! {
    #[test]
    fn strings_survive_the_wire(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..20)) {
        let values: Vec<Bytes> = values.into_iter().map(Bytes::from).collect();
        let t = Tensor::from_strings(vec![values.len()], values).unwrap();
        prop_assert_eq!(&Tensor::from_wire(DType::Bytes, t.shape().to_vec(), t.to_wire()).unwrap(), &t);
    }

    #[test]
    fn no_wire_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), dims in prop::collection::vec(0_usize..6, 0..4)) {
        for dtype in DType::ALL {
            if let Ok(t) = Tensor::from_wire(dtype, dims.clone(), Bytes::from(bytes.clone())) {
                prop_assert_eq!(Some(t.len()), element_count(&dims));
                let _cut = t.slice_rows(1, 3);
            }
        }
    }
}
