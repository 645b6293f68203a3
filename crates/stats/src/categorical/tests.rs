use super::*;
use proptest::prelude::*;

#[test]
fn distinct_counts_stay_within_four_standard_errors() {
    for n in [1_usize, 10, 1_000, 100_000] {
        let mut whole = Distinct::default();
        let (mut even, mut odd) = (Distinct::default(), Distinct::default());
        for i in 0..n {
            let text = format!("value-{i}");
            for _ in 0..2 {
                whole.push(text.as_bytes());
            }
            if i % 2 == 0 { even.push(text.as_bytes()) } else { odd.push(text.as_bytes()) }
        }
        even.merge(&odd);
        for (how, d) in [("whole", &whole), ("merged", &even)] {
            let error = (d.estimate() - n as f64).abs() / n as f64;
            assert!(error < 4.0 * 0.033, "{how} {n}: {}", d.estimate());
        }
    }
}

#[test]
fn frequent_values_are_found_and_bounded() {
    let mut f = Frequent::default();
    for i in 0..20_000_u32 {
        f.push(if i % 4 == 0 { "often" } else { "other" }, 1);
        f.push(&format!("rare-{i}"), 1);
    }
    let top = f.top(2);
    assert_eq!(top[0].value, "other");
    assert_eq!(top[1].value, "often");
    assert!(top[0].at_least <= 15_000 && 15_000 <= top[0].at_most, "{top:?}");
    assert_eq!(f.count(), 40_000);
}

/// Ids that come once each have no count that can be told, though their upper bounds are tens.
#[test]
fn what_came_once_is_not_surely_frequent() {
    let mut ids = Frequent::default();
    (0..3_000).for_each(|i| ids.push(&format!("id-{i}"), 1));
    assert!(ids.error() > 1 && ids.surely(9).is_empty());
    (0..1_000).for_each(|i| ids.push(["often", "other"][i % 2], 1));
    let mut sure: Vec<String> = ids.surely(9).into_iter().map(|i| i.value).collect();
    sure.sort();
    assert_eq!(sure, ["often", "other"]);
    assert!(ids.surely(9).iter().all(|i| i.at_least <= 500 && i.at_most >= 500 && i.at_least > ids.error()));
    assert!(ids.surely(9).iter().all(|i| i.at_most - i.at_least == ids.error()));
}

#[test]
fn few_values_are_counted_exactly_and_merge() {
    let (mut a, mut b) = (Frequent::default(), Frequent::default());
    a.push("x", 3);
    b.push("x", 4);
    b.push("y", 1);
    a.merge(&b);
    assert_eq!(a.top(9).iter().map(|i| (i.value.as_str(), i.count)).collect::<Vec<_>>(), [("x", 7), ("y", 1)]);
    assert_eq!((a.error(), a.surely(9)), (0, a.top(9)));
    let back = Frequent::from_bytes(&a.to_bytes()).unwrap();
    assert_eq!(back.top(9), a.top(9));
}

proptest! {
    #[test]
    fn stored_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _hll = Distinct::from_bytes(&bytes);
        let _items = Frequent::from_bytes(&bytes);
    }
}
