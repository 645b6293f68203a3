//! A table's rows as features for the classifier.

use super::Weighted;
use super::classifier::Dense;
use crate::Moments;
use crate::presets::MISSING;
use std::collections::HashMap;

/// How far a standardised number counts, so that one outlier does not outweigh the rest.
const FAR: f64 = 4.0;
/// Values of a column of categories that are features of their own.
const VALUES: usize = 16;
/// Columns of numbers up to which each two are multiplied.
const PAIRED: usize = 16;

/// A column's drawn rows, those of the reference first.
#[derive(Debug, Clone, PartialEq)]
pub enum Drawn {
    /// Numbers; what is missing is not finite.
    Numbers(Vec<f64>),
    /// Categories by their number, with their names; what is missing is [`MISSING`].
    Categories(Vec<u32>, HashMap<u32, String>),
}

/// A table's rows as features of one scale: of a number itself, its square and whether it is missing; products of each
/// two numbers where they are at most 16 columns, which show how they go together; of a category whether it is one of the
/// 16 most frequent, or missing. With their names. None of it looks at which side a row is of.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// A row each.
    pub rows: Dense,
    names: Vec<String>,
}

impl Table {
    /// Of named columns of one length.
    pub fn new(columns: &[(String, Drawn)]) -> Self {
        let mut features = Vec::new();
        let mut numbers: Vec<(&str, Vec<f64>)> = Vec::new();
        for (name, drawn) in columns {
            match drawn {
                Drawn::Numbers(values) => {
                    let scaled = scaled(values);
                    holes(name, values.iter().map(|v| !v.is_finite()), &mut features);
                    features.push((format!("{name}²"), scaled.iter().map(|x| x * x).collect()));
                    features.push((name.clone(), scaled.clone()));
                    numbers.push((name, scaled));
                }
                Drawn::Categories(values, labels) => categories(name, values, labels, &mut features),
            }
        }
        if numbers.len() <= PAIRED {
            for (i, (name, a)) in numbers.iter().enumerate() {
                for (other, b) in &numbers[..i] {
                    features.push((format!("{other} × {name}"), a.iter().zip(b).map(|(x, y)| x * y).collect()));
                }
            }
        }
        let rows = features.iter().map(|(_, values)| values.len()).min().unwrap_or(0);
        let cells = (0..rows).flat_map(|row| features.iter().map(move |(_, values)| values[row])).collect();
        let mut dense = Dense::new(features.len(), cells);
        dense.standardize();
        Self { rows: dense, names: features.into_iter().map(|(name, _)| name).collect() }
    }

    /// The features that weigh most, `shown` at most.
    pub fn heaviest(&self, weights: &[f64], shown: usize) -> Vec<Weighted> {
        let mut all: Vec<Weighted> =
            self.names.iter().zip(weights).map(|(name, w)| Weighted { name: name.clone(), weight: *w }).collect();
        all.retain(|w| w.weight != 0.0);
        all.sort_by(|a, b| b.weight.abs().total_cmp(&a.weight.abs()));
        all.truncate(shown);
        all
    }
}

/// To mean 0 and deviation 1; a hole is 0.
fn scaled(values: &[f64]) -> Vec<f64> {
    let mut moments = Moments::default();
    values.iter().filter(|v| v.is_finite()).for_each(|v| moments.push(*v));
    let (mean, deviation) = (moments.mean().unwrap_or(0.0), moments.stddev().unwrap_or(0.0));
    let one = |v: f64| if v.is_finite() && deviation > 0.0 { ((v - mean) / deviation).clamp(-FAR, FAR) } else { 0.0 };
    values.iter().map(|v| one(*v)).collect()
}

fn holes(name: &str, missing: impl Iterator<Item = bool> + Clone, features: &mut Vec<(String, Vec<f64>)>) {
    if missing.clone().any(|m| m) {
        features.push((format!("{name} missing"), missing.map(|m| f64::from(u8::from(m))).collect()));
    }
}

fn categories(name: &str, values: &[u32], labels: &HashMap<u32, String>, features: &mut Vec<(String, Vec<f64>)>) {
    holes(name, values.iter().map(|v| *v == MISSING), features);
    let mut counts: HashMap<u32, usize> = HashMap::new();
    values.iter().filter(|v| **v != MISSING).for_each(|v| *counts.entry(*v).or_default() += 1);
    let mut usual: Vec<(u32, usize)> = counts.into_iter().collect();
    usual.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    for (value, _) in usual.into_iter().take(VALUES) {
        let label = labels.get(&value).map_or("", String::as_str);
        features.push((format!("{name} = {label}"), values.iter().map(|v| f64::from(u8::from(*v == value))).collect()));
    }
}
