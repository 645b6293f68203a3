//! Our detectors beside `river`'s, on one stream, to the very value.

use super::*;
use crate::testing::{cases, numbers};
use serde_json::Value;

fn stream() -> Vec<f64> {
    let parts = [(0.0, 700), (0.8, 500), (0.8, 300), (0.1, 900), (3.0, 400)];
    let mut made = Vec::new();
    for (seed, (level, n)) in (80..).zip(parts) {
        let mut coin = Coin::new(seed);
        made.extend((0..n).map(|_| coin.unit() + level));
    }
    made
}

#[track_caller]
fn same(mut push: impl FnMut(f64) -> Option<Change>, theirs: &Value) {
    let ours: Vec<f64> = stream().into_iter().enumerate().filter_map(|(i, x)| push(x).map(|_| i as f64)).collect();
    assert_eq!(ours, numbers(theirs));
}

#[test]
fn river_has_the_same_changes() {
    let cases = cases(include_str!("../../oracles/river.json"));
    let mut adwin = Adwin::default();
    same(|x| adwin.push(x), &cases["adwin"]);
    assert!(adwin.width() < 500 && (adwin.mean().unwrap() - 3.5).abs() < 0.05, "{adwin:?}");
    let mut often = Adwin::new(AdwinLimits { delta: 0.05, clock: 1, ..AdwinLimits::default() }).unwrap();
    same(|x| often.push(x), &cases["adwin_often"]);
    let mut both = PageHinkley::new(PageHinkleyLimits { threshold: 5.0, ..PageHinkleyLimits::default() });
    same(|x| both.push(x), &cases["page_hinkley"]);
    let mut up = PageHinkley::new(PageHinkleyLimits {
        threshold: 20.0,
        delta: 0.05,
        direction: Direction::Up,
        ..PageHinkleyLimits::default()
    });
    same(|x| up.push(x), &cases["page_hinkley_up"]);
    let mut down = PageHinkley::new(PageHinkleyLimits {
        threshold: 5.0,
        direction: Direction::Down,
        ..PageHinkleyLimits::default()
    });
    same(|x| down.push(x), &cases["page_hinkley_down"]);
    let mut kswin = Kswin::new(0.0001, 60, 30, 1).unwrap();
    same(|x| kswin.push(x), &cases["kswin"]);
    let (mut ddm, mut drifts, mut warnings) = (Ddm::default(), Vec::new(), Vec::new());
    for (i, x) in stream().into_iter().enumerate() {
        match ddm.push(x % 1.0 < if i >= 1200 { 0.1 + 0.2 } else { 0.1 }) {
            Level::Drift(_) => drifts.push(i as f64),
            Level::Warning => warnings.push(i as f64),
            Level::Steady => {}
        }
    }
    assert_eq!(drifts, numbers(&cases["ddm"]));
    assert_eq!(warnings, numbers(&cases["ddm_warning"]));
}

#[test]
fn settings_out_of_range_are_refused() {
    let adwin = AdwinLimits::default();
    for wrong in [
        AdwinLimits { delta: 0.0, ..adwin },
        AdwinLimits { delta: 1.0, ..adwin },
        AdwinLimits { clock: 0, ..adwin },
        AdwinLimits { max_buckets: 0, ..adwin },
        AdwinLimits { min_window_length: 0, ..adwin },
    ] {
        assert!(Adwin::new(wrong).is_err(), "{wrong:?}");
    }
    assert!(Kswin::new(0.01, 59, 30, 0).is_err() && Kswin::new(0.01, 60, 0, 0).is_err());
    assert!(Conformal::new(&[], 0).is_err());
}

/// What a change says of itself: about when it began, and the means on both sides of it.
#[test]
fn a_change_says_when_it_began_and_what_the_means_are() {
    let mut coin = Coin::new(7);
    let mut value = |i: usize| coin.unit() + if i < 900 { 0.0 } else { 4.0 };
    let (mut adwin, mut kswin) = (Adwin::default(), Kswin::default());
    let limits = PageHinkleyLimits { threshold: 20.0, ..PageHinkleyLimits::default() };
    let mut page = PageHinkley::new(limits);
    let mut found = [None; 3];
    for i in 0..1_000 {
        let x = value(i);
        for (found, change) in found.iter_mut().zip([adwin.push(x), kswin.push(x), page.push(x)]) {
            // Of KSWIN chance calls some before.
            *found = found.or(change.filter(|_| i >= 900).map(|change| (i, change)));
        }
    }
    for (at, Change { values, before, since }) in found.map(Option::unwrap) {
        let begun = at + 1 - values as usize;
        assert!((870..=905).contains(&begun), "{at} {values}");
        assert!((0.4..0.7).contains(&before) && since > 1.0 && since < 5.0, "{before} {since}");
    }
    let mut ddm = Ddm::default();
    let mut errors = (0..2_000).map(|i| (i, if i < 1_000 { i % 10 == 0 } else { i % 2 == 0 }));
    let (at, change) = errors
        .find_map(|(i, error)| match ddm.push(error) {
            Level::Drift(change) => Some((i, change)),
            _ => None,
        })
        .unwrap();
    assert!((990..=1_000).contains(&(at + 1 - change.values as usize)), "{at} {change:?}");
    assert!((change.before - 0.1).abs() < 0.01 && (change.since - 0.5).abs() < 0.05, "{change:?}");
}

/// The same stream gives the same wealth, also through storage.
#[test]
fn a_martingale_goes_on_where_it_was_stored() {
    let mut whole = Conformal::new(&[30, 40, 50], 7).unwrap();
    let mut first = whole.clone();
    let bins: Vec<usize> = (0..400).map(|i| (i * i + i / 7) % 3).collect();
    for bin in &bins {
        whole.push(*bin);
    }
    for bin in &bins[..200] {
        first.push(*bin);
    }
    let text = serde_json::to_string(&first).unwrap();
    let mut second: Conformal = serde_json::from_str(&text).unwrap();
    for bin in &bins[200..] {
        second.push(*bin);
    }
    assert_eq!(second, whole);
    assert_eq!(whole.seen(), 400);
    let broken = text.replacen("\"total\":320", "\"total\":321", 1);
    assert!(broken != text && serde_json::from_str::<Conformal>(&broken).is_err());
}

/// Counts without an order are evidence as well.
#[test]
fn counts_of_a_drifted_batch_win_the_bet() {
    let mut test = Conformal::new(&[500, 500, 500, 500], 1).unwrap();
    test.push_counts(&[50, 50, 50, 50]);
    assert!(test.p_value() > 0.05, "{}", test.p_value());
    test.push_counts(&[150, 150, 10, 10]);
    assert!(test.p_value() < 1e-4, "{}", test.p_value());
    assert_eq!(test.seen(), 520);
}
