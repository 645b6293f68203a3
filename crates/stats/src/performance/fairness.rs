//! Whether groups are treated alike: what the greatest and the least of their rates are apart. Values are Fairlearn's
//! 0.15 (`between_groups`, `worst_case`).
//!
//! An interval holds the whole truth of the groups that are compared: each pair's is made at a level divided by the number
//! of pairs (Bonferroni), and the greatest difference is nowhere outside all of them. Of two groups it is the pair's own.

use super::interval::{Level, Measure, Method, difference, ratio, wilson};

/// Counts of one group, of one class of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Treated {
    /// Answers, labelled or not.
    pub answers: u64,
    /// Those that said the class.
    pub selected: u64,
    /// Labelled answers that said the class and were right.
    pub true_positives: u64,
    /// That said it and were wrong.
    pub false_positives: u64,
    /// That did not say it and were wrong.
    pub false_negatives: u64,
    /// That did not say it and were right.
    pub true_negatives: u64,
}

/// A rate of a group as a part of a whole.
type Rate = fn(&Treated) -> (u64, u64);

const SELECTED: Rate = |t| (t.selected, t.answers);
const FOUND: Rate = |t| (t.true_positives, t.true_positives + t.false_negatives);
const WRONGLY: Rate = |t| (t.false_positives, t.false_positives + t.true_negatives);
const RIGHT: Rate = |t| (t.true_positives, t.true_positives + t.false_positives);

/// How unlike groups are treated, by Fairlearn's names; predictive parity is that of the precision, which has none there.
pub const FAIRNESS: [(&str, &str, &[Rate]); 4] = [
    ("demographic_parity_difference", "demographic_parity_ratio", &[SELECTED]),
    ("equal_opportunity_difference", "equal_opportunity_ratio", &[FOUND]),
    ("equalized_odds_difference", "equalized_odds_ratio", &[FOUND, WRONGLY]),
    ("predictive_parity_difference", "predictive_parity_ratio", &[RIGHT]),
];

/// Every measure of [`FAIRNESS`] that these groups have: a rate that a group has no rows for is not that group's, and
/// takes two groups.
pub fn fairness(groups: &[Treated], level: Level) -> Vec<(&'static str, Measure)> {
    let mut found = Vec::new();
    for (apart, over, rates) in FAIRNESS {
        let all: Vec<Vec<(u64, u64)>> = rates.iter().map(|rate| with_rows(groups, *rate)).collect();
        if all.iter().any(|rate| rate.len() < 2) {
            continue;
        }
        let pairs: usize = all.iter().map(|rate| rate.len() * (rate.len() - 1) / 2).sum();
        let Some(rare) = Level::new(1.0 - (1.0 - level.confidence()) / pairs as f64) else { continue };
        let measured: Vec<Vec<Measure>> =
            all.iter().map(|rate| rate.iter().filter_map(|(part, n)| wilson(*part, *n, rare)).collect()).collect();
        let each = || measured.iter().flat_map(|rates| in_pairs(rates));
        found.extend(widest(each().map(|(a, b)| apart_by(a, b))).map(|measure| (apart, measure)));
        found.extend(narrowest(each().map(|(a, b)| over_by(a, b))).map(|measure| (over, measure)));
    }
    found
}

fn with_rows(groups: &[Treated], rate: Rate) -> Vec<(u64, u64)> {
    groups.iter().map(rate).filter(|(_, n)| *n > 0).collect()
}

/// The greater of each pair first.
fn in_pairs(rates: &[Measure]) -> impl Iterator<Item = (&Measure, &Measure)> {
    let pairs = rates.iter().enumerate().flat_map(|(at, a)| rates[at + 1..].iter().map(move |b| (a, b)));
    pairs.map(|(a, b)| if a.value >= b.value { (a, b) } else { (b, a) })
}

/// How far apart two rates are, whichever is the greater.
fn apart_by(a: &Measure, b: &Measure) -> (f64, f64, f64) {
    let found = difference(a, b);
    let Some(i) = found.interval else { return (found.value, 0.0, 1.0) };
    if i.low > 0.0 { (found.value, i.low, i.high) } else { (found.value, 0.0, i.high.max(-i.low)) }
}

/// The lesser over the greater, whichever that is; `None` where both are zero.
fn over_by(a: &Measure, b: &Measure) -> Option<(f64, f64, f64)> {
    let found = ratio(b, a)?;
    let Some(i) = found.interval else { return Some((found.value, 0.0, 1.0)) };
    if i.high < 1.0 {
        return Some((found.value, i.low, i.high));
    }
    Some((found.value, i.low.min(1.0 / i.high), 1.0))
}

fn widest(pairs: impl Iterator<Item = (f64, f64, f64)>) -> Option<Measure> {
    let most = pairs.reduce(|a, b| (a.0.max(b.0), a.1.max(b.1), a.2.max(b.2)));
    most.map(|(value, low, high)| Measure::between(value, (low, high), Method::Simultaneous))
}

/// Nothing where a pair has no ratio: Fairlearn has none, either.
fn narrowest(pairs: impl Iterator<Item = Option<(f64, f64, f64)>>) -> Option<Measure> {
    let all: Vec<(f64, f64, f64)> = pairs.flatten().collect();
    let least = all.into_iter().reduce(|a, b| (a.0.min(b.0), a.1.min(b.1), a.2.min(b.2)));
    least.map(|(value, low, high)| Measure::between(value, (low, high), Method::Simultaneous))
}
