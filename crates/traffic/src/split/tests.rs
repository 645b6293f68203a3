use super::*;
use proptest::prelude::*;

fn share(ppm: u32) -> Share {
    Share::from_ppm(ppm).unwrap()
}

/// Weights of `n` owners that add up to everything.
fn weights(n: usize) -> impl Strategy<Value = Vec<Share>> {
    prop::collection::vec(0..=BUCKETS, n - 1).prop_map(|mut cuts| {
        cuts.sort_unstable();
        let mut last = 0;
        let mut all: Vec<Share> = cuts
            .iter()
            .map(|cut| {
                let part = share(cut - last);
                last = *cut;
                part
            })
            .collect();
        all.push(share(BUCKETS - last));
        all
    })
}

/// Buckets that change hands between two splits.
fn moved(from: &Split, to: &Split) -> u64 {
    let mut edges: Vec<u32> = from.ends.iter().chain(&to.ends).copied().collect();
    edges.sort_unstable();
    edges.dedup();
    let mut start = 0;
    let mut count = 0;
    for end in edges {
        if from.owner(start) != to.owner(start) {
            count += u64::from(end - start);
        }
        start = end;
    }
    count
}

proptest! {
    #[test]
    fn a_change_gives_the_weights_asked_for_and_moves_the_least(
        steps in (2_usize..7).prop_flat_map(|n| prop::collection::vec(weights(n), 2..8)),
        probe in prop::collection::vec(0..BUCKETS, 50),
    ) {
        let mut split = Split::new(&steps[0]).unwrap();
        prop_assert_eq!(split.weights(), steps[0].clone());
        for next in &steps[1..] {
            let after = split.reweighted(next).unwrap();
            prop_assert_eq!(&after.weights(), next);
            let least: u64 = split.weights().iter().zip(next).map(|(a, b)| u64::from(b.ppm().saturating_sub(a.ppm()))).sum();
            prop_assert_eq!(moved(&split, &after), least);
            for bucket in &probe {
                let owner = split.owner(*bucket);
                if after.weight(owner) >= split.weight(owner) {
                    prop_assert_eq!(after.owner(*bucket), owner, "a unit left a variant that lost nothing");
                }
            }
            split = after;
        }
    }

    #[test]
    fn two_owners_are_a_threshold_whatever_came_before(steps in prop::collection::vec(0..=BUCKETS, 1..12), bucket in 0..BUCKETS) {
        let two = |w: u32| [share(BUCKETS - w), share(w)];
        let mut split = Split::new(&two(steps[0])).unwrap();
        for w in &steps {
            split = split.reweighted(&two(*w)).unwrap();
            prop_assert_eq!(split.owner(bucket), u16::from(bucket < *w));
        }
    }

    #[test]
    fn a_stored_split_is_the_same_split(w in weights(5), v in weights(5)) {
        let split = Split::new(&w).unwrap().reweighted(&v).unwrap();
        let text = serde_json::to_string(&split).unwrap();
        prop_assert_eq!(serde_json::from_str::<Split>(&text).unwrap(), split);
    }
}

#[test]
fn ten_owners_that_change_for_ten_thousand_periods_stay_small() {
    let mut state = 7_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    };
    let mut split = Split::new(&[share(100_000); 10]).unwrap();
    let mut most = 0;
    for _ in 0..10_000 {
        let mut cuts: Vec<u32> = (0..9).map(|_| next() % (BUCKETS + 1)).collect();
        cuts.sort_unstable();
        cuts.push(BUCKETS);
        let mut last = 0;
        let weights: Vec<Share> = cuts.iter().map(|cut| share(cut - std::mem::replace(&mut last, *cut))).collect();
        split = split.reweighted(&weights).unwrap();
        most = most.max(split.spans());
    }
    assert!(most < 200, "{most} spans");
}

#[test]
fn what_is_no_split_is_refused() {
    assert_eq!(Split::new(&[share(1), share(2)]), Err(SplitError::Sum { ppm: 3 }));
    assert_eq!(Split::new(&[]), Err(SplitError::Owners(0)));
    let split = Split::new(&[Share::ALL, Share::NONE]).unwrap();
    assert_eq!(split.reweighted(&[Share::ALL]), Err(SplitError::Changed { have: 2, given: 1 }));
    for (bad, why) in [
        (r#"{"owners":2,"spans":[]}"#, "cover"),
        (r#"{"owners":2,"spans":[[5,0]]}"#, "cover"),
        (r#"{"owners":2,"spans":[[0,1],[1000000,0]]}"#, "cover"),
        (r#"{"owners":2,"spans":[[7,1],[7,1],[1000000,0]]}"#, "ascending"),
        (r#"{"owners":2,"spans":[[1000000,2]]}"#, "owner that is not there"),
        (r#"{"owners":0,"spans":[[1000000,0]]}"#, "0 weights"),
    ] {
        let error = serde_json::from_str::<Split>(bad).unwrap_err().to_string();
        assert!(error.contains(why), "{bad}: {error}");
    }
}
