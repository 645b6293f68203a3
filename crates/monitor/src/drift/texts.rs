//! Texts that are nearly all different: told apart by their words, and by their form.

use super::{Outcome, Told};
use mainspring_stats::multivariate::{Form, drawn, texts_apart};
use mainspring_stats::presets::{self, Finding, MISSING, NoFinding, Preset, Values};
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// Texts of a side that are looked at, and bytes of each.
const TEXTS: usize = 5_000;
const BYTES: usize = 4_096;
/// Words that are named.
const SHOWN: usize = 10;
const SEED: u64 = 0x776f_7264;

/// How the form of texts has changed.
#[derive(Debug, Serialize)]
pub struct Shape {
    /// `length`, `words`, `sentences` or `non-letters %`.
    pub name: &'static str,
    /// What the preset says of these numbers.
    pub finding: Finding,
}

/// Whether texts are prose: more than half of those of a side differ, as Evidently has it.
pub(super) fn prose(values: &Values) -> bool {
    let Values::Categories { values, text: true } = values else { return false };
    let there = || values.iter().filter(|v| **v != MISSING);
    2 * there().collect::<HashSet<_>>().len() > there().count()
}

/// What was found in texts.
pub(super) struct Found {
    pub(super) outcome: Outcome,
    pub(super) apart: Option<Told>,
    pub(super) shape: Vec<Shape>,
}

/// Compares the texts of both sides, which `labels` numbers.
pub(super) fn compare(preset: Preset, sides: [&Values; 2], labels: &HashMap<String, u32>, level: f64) -> Found {
    let names: HashMap<u32, &str> = labels.iter().map(|(text, label)| (*label, cut(text))).collect();
    let [(a, before), (b, now)] = sides.map(|side| some(side, &names));
    let found = match (before, now) {
        (0, _) => Err(NoFinding::Empty("reference")),
        (_, 0) => Err(NoFinding::Empty("current data")),
        _ => texts_apart(&a, &b, SHOWN, SEED).map_err(NoFinding::from),
    };
    let judged = found.and_then(|(found, by)| Ok((presets::classified(preset, &found, before, level)?, found, by)));
    match judged {
        Ok((finding, found, by)) => Found {
            outcome: Outcome::Finding(finding),
            apart: Some(Told::new(&found, by)),
            shape: shapes(preset, [&a, &b], level),
        },
        Err(why) => Found { outcome: Outcome::Skipped(why.to_string()), apart: None, shape: Vec::new() },
    }
}

/// Some of a side's texts by chance, and how many there are.
fn some<'a>(side: &Values, names: &HashMap<u32, &'a str>) -> (Vec<&'a str>, usize) {
    let Values::Categories { values, .. } = side else { return (Vec::new(), 0) };
    let there: Vec<u32> = values.iter().copied().filter(|v| *v != MISSING).collect();
    let chosen = drawn(there.len(), TEXTS, SEED);
    (chosen.into_iter().filter_map(|at| names.get(&there[at]).copied()).collect(), there.len())
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(BYTES)).unwrap_or(text)
}

fn shapes(preset: Preset, sides: [&[&str]; 2], level: f64) -> Vec<Shape> {
    let forms = sides.map(|side| side.iter().map(|text| Form::of(text).numbers()).collect::<Vec<_>>());
    let judged = |(at, name): (usize, &'static str)| {
        let [a, b] = forms
            .each_ref()
            .map(|side| Values::Numbers { values: side.iter().map(|form| form[at]).collect(), whole: false });
        Some(Shape { name, finding: presets::judge(preset, &a, &b, level).ok()? })
    };
    Form::NAMES.into_iter().enumerate().filter_map(judged).collect()
}
