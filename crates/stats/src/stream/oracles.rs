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
fn same(mut push: impl FnMut(f64) -> bool, theirs: &Value) {
    let ours: Vec<f64> = stream().into_iter().enumerate().filter_map(|(i, x)| push(x).then_some(i as f64)).collect();
    assert_eq!(ours, numbers(theirs));
}

#[test]
fn river_has_the_same_changes() {
    let cases = cases(include_str!("../../oracles/river.json"));
    let mut adwin = Adwin::default();
    same(|x| adwin.push(x), &cases["adwin"]);
    assert!(adwin.width() < 500 && (adwin.mean().unwrap() - 3.5).abs() < 0.05, "{adwin:?}");
    let mut often = Adwin::new(0.05, 1).unwrap();
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
            Level::Drift => drifts.push(i as f64),
            Level::Warning => warnings.push(i as f64),
            Level::Steady => {}
        }
    }
    assert_eq!(drifts, numbers(&cases["ddm"]));
    assert_eq!(warnings, numbers(&cases["ddm_warning"]));
}

#[test]
fn settings_out_of_range_are_refused() {
    assert!(Adwin::new(0.0, 32).is_err() && Adwin::new(1.0, 32).is_err());
    assert!(Kswin::new(0.01, 59, 30, 0).is_err() && Kswin::new(0.01, 60, 0, 0).is_err());
    assert!(Conformal::new(&[], 0).is_err());
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
