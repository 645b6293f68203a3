use super::*;
use proptest::prelude::*;

/// A fixed pseudo-random sequence in [0, 1).
fn uniform(seed: u64, n: usize) -> Vec<f64> {
    let mut s = seed;
    (0..n)
        .map(|_| {
            s = s.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (s >> 11) as f64 / (1_u64 << 53) as f64
        })
        .collect()
}

fn sketch(k: u16, values: &[f64]) -> Kll {
    let mut s = Kll::new(k);
    for v in values {
        s.push(*v);
    }
    s
}

fn exact_rank(sorted: &[f64], v: f64) -> f64 {
    sorted.partition_point(|x| *x <= v) as f64 / sorted.len() as f64
}

/// Largest difference between the sketch's rank and the exact one over many points.
fn worst_rank_error(s: &Kll, values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let view = s.view();
    (0..=200)
        .map(|i| sorted[(i * (sorted.len() - 1)) / 200])
        .map(|v| (view.rank(v).unwrap() - exact_rank(&sorted, v)).abs())
        .fold(0.0, f64::max)
}

fn distributions(n: usize) -> Vec<(&'static str, Vec<f64>)> {
    let u = uniform(7, n);
    let mut ascending = u.clone();
    ascending.sort_unstable_by(f64::total_cmp);
    let descending: Vec<f64> = ascending.iter().rev().copied().collect();
    vec![
        ("uniform", u.clone()),
        ("ascending", ascending),
        ("descending", descending),
        ("exponential", u.iter().map(|x| -(1.0 - x).ln()).collect()),
        ("heavy tail", u.iter().map(|x| (1.0 - x).powf(-2.0)).collect()),
        ("few values", u.iter().map(|x| (x * 5.0).floor()).collect()),
        ("constant", vec![42.0; n]),
        ("two far clusters", u.iter().map(|x| if *x < 0.5 { x * 1e-9 } else { 1e12 + x }).collect()),
        ("sawtooth", (0..n).map(|i| (i % 1000) as f64).collect()),
    ]
}

#[test]
fn ranks_stay_within_the_bound_on_every_distribution() {
    for n in [100, 5_000, 200_000] {
        for (name, values) in distributions(n) {
            for k in [64, 128, 200] {
                let s = sketch(k, &values);
                // The worst of 200 ranks, so a double-sided bound: 1.65 times the single-sided one
                // is what Apache DataSketches states for it.
                let bound = 1.65 * s.rank_error();
                let worst = worst_rank_error(&s, &values);
                assert!(worst <= bound, "{name}, n {n}, k {k}: {worst} over {bound}");
            }
        }
    }
}

#[test]
fn merged_parts_stay_within_the_bound_in_any_order_of_merging() {
    for (name, values) in distributions(100_000) {
        let parts: Vec<Kll> = values.chunks(1_237).map(|c| sketch(128, c)).collect();
        let left = parts.iter().fold(Kll::new(128), |mut a, b| {
            a.merge(b);
            a
        });
        let right = parts.iter().rev().fold(Kll::new(128), |mut a, b| {
            let mut b = b.clone();
            b.merge(&a);
            a = b;
            a
        });
        let mut tree = parts;
        while tree.len() > 1 {
            tree = tree
                .chunks(2)
                .map(|pair| {
                    let mut a = pair[0].clone();
                    if let Some(b) = pair.get(1) {
                        a.merge(b);
                    }
                    a
                })
                .collect();
        }
        for (how, s) in [("left", &left), ("right", &right), ("tree", &tree[0])] {
            let worst = worst_rank_error(s, &values);
            assert_eq!(s.count(), values.len() as u64, "{name} {how}");
            assert!(worst <= 1.65 * s.rank_error(), "{name} {how}: {worst}");
        }
    }
}

/// Weights, sortedness and places are what a stored sketch is checked for.
fn checked(s: &Kll) -> Kll {
    serde_json::from_str(&serde_json::to_string(s).unwrap()).unwrap()
}

#[test]
fn many_merged_at_once_stay_within_the_bound_whatever_their_sizes() {
    for (name, values) in distributions(300_000) {
        // Equal ones, tiny ones, one that outweighs all others, and sizes far from each other.
        let sizes: [&dyn Fn(usize) -> usize; 4] =
            [&|_| 1_237, &|_| 7, &|i| if i == 3 { 250_000 } else { 100 }, &|i| 1 << (i % 15)];
        for (how, size) in sizes.into_iter().enumerate() {
            let (mut parts, mut at) = (Vec::new(), 0);
            while at < values.len() && parts.len() < 600 {
                let end = (at + size(parts.len())).min(values.len());
                parts.push(sketch(128, &values[at..end]));
                at = end;
            }
            let mut whole = sketch(128, &values[at..]);
            whole.merge_all(&parts.iter().collect::<Vec<_>>());
            assert_eq!(whole.count(), values.len() as u64, "{name} {how}");
            let worst = worst_rank_error(&whole, &values);
            assert!(worst <= 1.65 * whole.rank_error(), "{name} {how}: {worst}");
            assert_eq!((whole.min(), whole.max()), (Some(least(&values)), Some(greatest(&values))));
            assert!(whole.retained() < 4 * 128 + BASE_CAPACITY, "{name} {how}: {}", whole.retained());
            assert_eq!(checked(&whole).count(), whole.count());
            // It goes on as any other.
            whole.extend(&values[..10_000]);
            assert_eq!(checked(&whole).count(), values.len() as u64 + 10_000);
        }
    }
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn greatest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// The mean error of merging at once is that of merging one after the other, not twice it.
#[test]
fn merging_at_once_is_no_less_exact() {
    let (mut at_once, mut in_turn) = (0.0, 0.0);
    for seed in 0..40 {
        let values = uniform(seed, 187 * 400);
        let parts: Vec<Kll> = values.chunks(400).map(|c| sketch(128, c)).collect();
        let (mut a, mut b) = (Kll::new(128), Kll::new(128));
        a.merge_all(&parts.iter().collect::<Vec<_>>());
        for part in &parts {
            b.merge(part);
        }
        at_once += worst_rank_error(&a, &values);
        in_turn += worst_rank_error(&b, &values);
    }
    assert!(at_once < 1.3 * in_turn, "{at_once} against {in_turn}");
}

#[test]
fn sampled_streams_merge_at_once() {
    let values = uniform(5, 3_000_000);
    let parts: Vec<Kll> = values
        .chunks(500_001)
        .map(|c| {
            let mut s = Kll::new(128);
            c.chunks(4_999).for_each(|c| s.extend(c));
            s
        })
        .collect();
    assert!(parts.iter().any(|part| part.block.seen > 0) && parts.len() >= 5);
    let mut whole = Kll::new(128);
    whole.merge_all(&parts.iter().collect::<Vec<_>>());
    assert_eq!(checked(&whole).count(), values.len() as u64);
    assert!(worst_rank_error(&whole, &values) <= 1.65 * whole.rank_error());
}

#[test]
fn memory_grows_with_the_logarithm_of_the_stream() {
    let s = sketch(200, &uniform(1, 2_000_000));
    assert!(s.retained() < 4 * 200 + BASE_CAPACITY, "{}", s.retained());
}

#[test]
fn a_long_stream_is_sampled_and_stays_within_the_bound() {
    for (name, values) in distributions(3_000_000) {
        let mut s = Kll::new(128);
        values.chunks(4_999).for_each(|c| s.extend(c));
        assert!(s.block.base >= 4, "{name}: the sampler begins at {}", s.block.base);
        let worst = worst_rank_error(&s, &values);
        assert!(worst <= 1.65 * s.rank_error(), "{name}: {worst}");
        // A part that was never sampled, and one that is in the middle of a block.
        let mut whole = sketch(128, &values[..1_001]);
        whole.merge(&s);
        s.extend(&values[..7]);
        whole.merge(&s);
        assert_eq!(whole.count(), 2 * values.len() as u64 + 1_008, "{name}");
        assert!(worst_rank_error(&whole, &values) <= 1.65 * s.rank_error(), "{name} merged");
        let back: Kll = postcard::from_bytes(&postcard::to_stdvec(&whole).unwrap()).unwrap();
        assert_eq!(back, whole, "{name}");
    }
}

#[test]
fn small_streams_are_exact() {
    let values: Vec<f64> = (1..=50).map(f64::from).collect();
    let s = sketch(200, &values);
    assert_eq!(s.quantile(0.5), Some(25.0));
    assert_eq!(s.quantile(0.0), Some(1.0));
    assert_eq!(s.quantile(1.0), Some(50.0));
    assert_eq!(s.rank(25.0), Some(0.5));
    assert_eq!(Kll::new(200).quantile(0.5), None);
}

#[test]
fn the_same_stream_gives_the_same_sketch() {
    let values = uniform(3, 30_000);
    assert_eq!(sketch(128, &values), sketch(128, &values));
}

#[test]
fn a_stored_sketch_that_lies_is_refused() {
    let mut s = sketch(64, &uniform(5, 10_000));
    s.n += 1;
    let bytes = postcard::to_stdvec(&s).unwrap();
    assert!(postcard::from_bytes::<Kll>(&bytes).is_err());
}

proptest! {
    #[test]
    fn counts_extremes_and_weights_are_exact(
        a in prop::collection::vec(prop::num::f64::ANY, 0..600),
        b in prop::collection::vec(prop::num::f64::ANY, 0..600),
        k in 8_u16..64,
    ) {
        let mut s = sketch(k, &a);
        s.merge(&sketch(k, &b));
        let finite: Vec<f64> = a.iter().chain(&b).copied().filter(|v| v.is_finite()).collect();
        prop_assert_eq!(s.count(), finite.len() as u64);
        prop_assert_eq!(s.min(), finite.iter().copied().reduce(f64::min));
        prop_assert_eq!(s.max(), finite.iter().copied().reduce(f64::max));
        let weight: u64 = s.levels.iter().enumerate().map(|(h, l)| (l.len() as u64) << h).sum();
        prop_assert_eq!(weight + s.block.seen, s.count());
        let back: Kll = postcard::from_bytes(&postcard::to_stdvec(&s).unwrap()).unwrap();
        prop_assert_eq!(back, s);
    }

    #[test]
    fn stored_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(s) = postcard::from_bytes::<Kll>(&bytes) {
            let _view = s.view();
        }
    }
}
