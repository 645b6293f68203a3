use super::*;

#[test]
fn every_value_lands_in_exactly_one_count() {
    let mut p = NumericProfile::default();
    p.extend(&mut vec![1.0, f64::NAN, f64::INFINITY, 3.0]);
    p.missing += 2;
    let mut q = NumericProfile::default();
    q.extend(&mut vec![f64::NEG_INFINITY, 5.0]);
    p.merge(&q);
    assert_eq!((p.count(), p.missing, p.nan, p.infinite), (8, 2, 1, 2));
    assert_eq!(p.moments.mean(), Some(3.0));
    assert_eq!((p.quantiles.min(), p.quantiles.max()), (Some(1.0), Some(5.0)));
    let back: NumericProfile = postcard::from_bytes(&postcard::to_stdvec(&p).unwrap()).unwrap();
    assert_eq!(back, p);
}

#[test]
fn texts_merge_and_survive_storage() {
    let mut p = TextProfile::default();
    for v in ["a", "b", "a"] {
        p.push(v);
    }
    let mut q = TextProfile { missing: 1, ..TextProfile::default() };
    q.push("c");
    p.merge(&q);
    let back: TextProfile = postcard::from_bytes(&postcard::to_stdvec(&p).unwrap()).unwrap();
    assert_eq!(back.count(), 5);
    assert_eq!(back.distinct.estimate().round(), 3.0);
    assert_eq!(back.frequent.top(1)[0].value, "a");
}
