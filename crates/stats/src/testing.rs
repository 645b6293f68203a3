//! What several rooms' tests share: the oracles' columns, made by the same arithmetic as `oracles/drift.py`.

use crate::presets::{MISSING, Values};
use crate::stream::Coin;
use serde_json::Value;

pub(crate) fn cases(text: &str) -> Value {
    serde_json::from_str::<Value>(text).unwrap()["cases"].take()
}

pub(crate) fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}

pub(crate) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    list(value).iter().map(number).collect()
}

#[track_caller]
pub(crate) fn near(ours: f64, theirs: f64, within: f64, what: &str) {
    assert!((ours - theirs).abs() <= within * (1.0 + theirs.abs()), "{what}: {ours} is not {theirs}");
}

/// A column of numbers; what is missing is NaN.
#[expect(clippy::many_single_char_names, reason = "the names of the formula")]
pub(crate) fn column(spec: &Value) -> Vec<f64> {
    let [seed, n, scale, shift, grid, hole] = numbers(spec)[..] else { unreachable!("six numbers") };
    let mut coin = Coin::new(seed as u64);
    (0..n as u64)
        .map(|i| {
            let (a, b, c) = (coin.unit(), coin.unit(), coin.unit());
            let x = (a + b * c - 0.75) * scale + shift;
            let x = if grid > 0.0 { (x * grid).floor() / grid } else { x };
            if hole > 0.0 && i % hole as u64 == 0 { f64::NAN } else { x }
        })
        .collect()
}

/// A column of categories.
pub(crate) fn labels(spec: &Value) -> Vec<u32> {
    let [seed, n, k, tilt, hole] = numbers(spec)[..] else { unreachable!("five numbers") };
    let mut coin = Coin::new(seed as u64);
    (0..n as u64)
        .map(|i| {
            let u = coin.unit();
            let label = ((u + (u * u - u) * tilt) * k) as u32;
            if hole > 0.0 && i % hole as u64 == 0 { MISSING } else { label }
        })
        .collect()
}

/// Both sides of a preset's case.
pub(crate) fn sides(case: &Value) -> [Values; 2] {
    let whole = case["kind"] == "whole";
    [0, 1].map(|i| {
        let spec = &case["specs"][i];
        if case["kind"] == "categories" {
            Values::Categories { values: labels(spec), text: true }
        } else {
            let mut values = column(spec);
            if whole {
                for x in &mut values {
                    *x = x.trunc();
                }
            }
            Values::Numbers { values, whole }
        }
    })
}
