//! What two sides look like beside each other: shares of the same bins, of the same values.

use super::{Column, Sketches};
use crate::column::Kind;
use mainspring_stats::presets::Sketched;
use mainspring_stats::{Frequent, Kll};
use std::collections::HashMap;

/// Bins of numbers.
const BINS: usize = 24;
/// Whole numbers that have a bin each.
const WHOLE: f64 = 30.0;
/// Share of the values at either end that have no bin of their own: one far away would leave nothing to see.
const TAIL: f64 = 0.01;
/// Values of texts that are named.
const NAMED: usize = 8;

/// A column of both sides.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Its name, as the current side has it.
    pub name: String,
    /// Share of the rows without a value, where it is known: of the reference, and now.
    pub missing: [Option<f64>; 2],
    /// Of numbers: the medians.
    pub medians: Option<[f64; 2]>,
    /// What can be drawn of it; nothing where one side has no values, or another kind of them.
    pub shares: Option<Shares>,
}

/// Shares of a column's values: of the reference, and now.
#[derive(Debug, Clone, PartialEq)]
pub enum Shares {
    /// Of numbers, in bins that are equally wide.
    Bins {
        /// Edges, one more than bins; what is beyond the outer ones is in the outer bins.
        edges: Vec<f64>,
        /// Share of each bin on each side.
        shares: [Vec<f64>; 2],
    },
    /// Of texts: the most frequent of either side, and, named by `None`, the rest.
    Values(Vec<(Option<String>, [f64; 2])>),
}

impl Sketches {
    /// The columns that both sides have, paired as [`compare_sketches`](super::compare_sketches) pairs them.
    pub fn pictures(&self, now: &Self) -> Vec<Picture> {
        self.columns.iter().filter_map(|was| Some(picture(was, now.column(&was.name)?))).collect()
    }
}

fn picture(was: &Column, now: &Column) -> Picture {
    let (mut medians, mut shares) = (None, None);
    match [(&was.numbers, &now.numbers), (&was.texts, &now.texts)] {
        [(Some(Sketched::Numbers { quantiles: a, .. }), Some(Sketched::Numbers { quantiles: b, .. })), _]
            if a.count() > 0 && b.count() > 0 =>
        {
            medians = a.quantile(0.5).zip(b.quantile(0.5)).map(|(a, b)| [a, b]);
            shares = bins([a, b], was.kind == Kind::Integer);
        }
        [_, (Some(Sketched::Texts(a)), Some(Sketched::Texts(b)))] if a.count() > 0 && b.count() > 0 => {
            shares = Some(values([a, b]));
        }
        _ => {}
    }
    Picture { name: now.name.clone(), missing: [was.missing, now.missing], medians, shares }
}

fn bins(sides: [&Kll; 2], whole: bool) -> Option<Shares> {
    let views = sides.map(Kll::view);
    let ends = |q: f64| views.each_ref().map(|view| view.quantile(q));
    let [a, b] = ends(TAIL);
    let low = a?.min(b?);
    let [a, b] = ends(1.0 - TAIL);
    let high = a?.max(b?);
    if !(low.is_finite() && high.is_finite() && (high - low).is_finite()) {
        return None;
    }
    let edges: Vec<f64> = if whole && high - low <= WHOLE {
        (0..=(high - low) as usize + 1).map(|at| low - 0.5 + at as f64).collect()
    } else {
        // Where all values are one, its bin is as wide as a bin must be to be one.
        let (low, high) = if high > low { (low, high) } else { (low - 0.5, high + 0.5) };
        (0..=BINS).map(|at| low + (high - low) * at as f64 / BINS as f64).collect()
    };
    let last = edges.len() - 1;
    let shares = views.map(|view| {
        let below = |at: usize| match at {
            0 => 0.0,
            at if at == last => 1.0,
            at => view.rank(edges[at]).unwrap_or(0.0),
        };
        (0..last).map(|at| (below(at + 1) - below(at)).max(0.0)).collect()
    });
    Some(Shares::Bins { edges, shares })
}

fn values(sides: [&Frequent; 2]) -> Shares {
    let known: [HashMap<String, f64>; 2] = sides.map(|side| {
        let all = side.count() as f64;
        // The rows that each surely has: what a sketch cannot tell apart is among the others.
        side.surely(usize::MAX).into_iter().map(|item| (item.value, item.at_least as f64 / all)).collect()
    });
    let share = |name: &str| [0, 1].map(|side| known[side].get(name).copied().unwrap_or(0.0));
    let mut found: Vec<(String, [f64; 2])> = known[0].keys().map(|name| (name.clone(), share(name))).collect();
    found.extend(known[1].keys().filter(|name| !known[0].contains_key(*name)).map(|name| (name.clone(), share(name))));
    let most = |shares: &[f64; 2]| shares[0].max(shares[1]);
    found.sort_by(|a, b| most(&b.1).total_cmp(&most(&a.1)).then_with(|| a.0.cmp(&b.0)));
    found.truncate(NAMED);
    let rest = [0, 1].map(|side| (1.0 - found.iter().map(|(_, s)| s[side]).sum::<f64>()).max(0.0));
    let mut bars: Vec<(Option<String>, [f64; 2])> = found.into_iter().map(|(name, s)| (Some(name), s)).collect();
    if rest.iter().any(|share| *share > 1e-9) {
        bars.push((None, rest));
    }
    Shares::Values(bars)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kll(values: impl Iterator<Item = f64>) -> Kll {
        let mut sketch = Kll::new(200);
        values.for_each(|v| sketch.push(v));
        sketch
    }

    fn column(name: &str, kind: Kind, numbers: Option<Kll>, texts: Option<Frequent>) -> Sketches {
        let numbers = numbers.map(|quantiles| Sketched::Numbers { quantiles, deviation: None });
        let texts = texts.map(Sketched::Texts);
        let column = Column { name: name.into(), kind, numbers, texts, missing: Some(0.25), vectors: None };
        Sketches { columns: vec![column], ..Sketches::new(1) }
    }

    #[test]
    fn whole_numbers_have_a_bin_each_and_the_shares_are_theirs() {
        let side = |values: &[f64]| column("in.n", Kind::Integer, Some(kll(values.iter().copied())), None);
        let pictures = side(&[1.0, 1.0, 2.0, 4.0]).pictures(&side(&[4.0, 4.0, 3.0, 3.0]));
        let Some(Shares::Bins { edges, shares }) = &pictures[0].shares else { panic!("{pictures:?}") };
        assert_eq!(edges, &[0.5, 1.5, 2.5, 3.5, 4.5]);
        assert_eq!(shares, &[vec![0.5, 0.25, 0.0, 0.25], vec![0.0, 0.0, 0.5, 0.5]]);
        assert_eq!((pictures[0].medians, pictures[0].missing), (Some([1.0, 3.0]), [Some(0.25), Some(0.25)]));
    }

    #[test]
    fn one_value_far_away_leaves_the_others_to_be_seen_and_every_value_is_in_a_bin() {
        let far = |far: f64| kll((0..1_000).map(f64::from).map(|i| i / 1_000.0).chain([far]));
        let pictures =
            column("x", Kind::Number, Some(far(1e9)), None).pictures(&column("x", Kind::Number, Some(far(-1e9)), None));
        let Some(Shares::Bins { edges, shares }) = &pictures[0].shares else { panic!("{pictures:?}") };
        assert!(edges[0] > -0.1 && edges[BINS] < 1.1, "{edges:?}");
        for side in shares {
            assert!((side.iter().sum::<f64>() - 1.0).abs() < 1e-9 && side.iter().all(|s| *s < 0.1), "{side:?}");
        }
    }

    #[test]
    fn frequent_texts_of_either_side_are_named_and_the_rest_is_counted() {
        let texts = |of: &[(&str, u64)]| {
            let mut sketch = Frequent::default();
            for (value, count) in of {
                sketch.push(value, *count);
            }
            column("plan", Kind::Text, None, Some(sketch))
        };
        let many: Vec<(String, u64)> = (0..20).map(|i| (format!("v{i:02}"), 1)).collect();
        let many: Vec<(&str, u64)> = many.iter().map(|(v, c)| (v.as_str(), *c)).chain([("gold", 80)]).collect();
        let pictures = texts(&many).pictures(&texts(&[("gold", 1), ("new", 3)]));
        let Some(Shares::Values(bars)) = &pictures[0].shares else { panic!("{pictures:?}") };
        assert_eq!(bars.len(), NAMED + 1);
        assert_eq!(bars[0], (Some("gold".into()), [0.8, 0.25]));
        assert_eq!(bars[1], (Some("new".into()), [0.0, 0.75]));
        assert!(bars[NAMED].0.is_none() && (bars[NAMED].1[0] - 0.14).abs() < 1e-9, "{:?}", bars[NAMED]);
    }

    #[test]
    fn nothing_is_drawn_of_what_has_no_values_or_others() {
        let number = || column("x", Kind::Number, Some(kll([1.0].into_iter())), None);
        let text = column("x", Kind::Text, None, Some(Frequent::default()));
        let none = column("x", Kind::Number, Some(kll(std::iter::empty())), None);
        for (a, b) in [(number(), text.clone()), (number(), none.clone()), (none, number()), (text.clone(), text)] {
            assert_eq!(a.pictures(&b)[0].shares, None);
        }
        assert!(matches!(number().pictures(&number())[0].shares, Some(Shares::Bins { .. })));
    }
}
