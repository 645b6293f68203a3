//! A small forest of regression trees, each grown from rows drawn by chance (bagging, Breiman 1996): what it learns is
//! checked on the rows that a tree did not see.
//!
//! Words are put in the order of the mean of their rows, by each tree anew and from its own rows only: else the order
//! would tell of the rows that it is checked on, and a column in which every word stands once would explain everything.

use crate::presets::MISSING;
use crate::stream::Coin;
use std::borrow::Cow;

const TREES: usize = 50;
const DEPTH: usize = 10;
/// Rows that a leaf has at least.
const LEAF: usize = 20;
const BINS: usize = 64;
/// Rows that a tree is grown from at most.
const LARGEST: usize = 50_000;
/// Rows that a word has at least to be one, as LightGBM's `min_data_per_group`; with fewer it is as if it were missing.
const WORD: usize = 100;

/// A column of features.
#[derive(Debug, Clone, Copy)]
pub enum Feature<'a> {
    /// Numbers; NaN is missing.
    Numbers(&'a [f64]),
    /// Words by number, in any order; [`MISSING`] is missing, as is what the reference does not have.
    Words(&'a [u32]),
}

/// How columns fall into bins: made once of the rows that are learnt from.
#[derive(Debug, Clone)]
pub struct Cuts(Vec<Cut>);

#[derive(Debug, Clone)]
enum Cut {
    /// Edges between bins.
    Numbers(Vec<f64>),
    /// By a word's number its number among those with enough rows, and how many these are.
    Words(Vec<u32>, usize),
}

/// Rows in the bins of some [`Cuts`].
#[derive(Debug)]
pub struct Binned(Vec<Column>);

#[derive(Debug)]
enum Column {
    Bins(Vec<u8>),
    /// Words, whose bins are each tree's own.
    Words(Vec<u32>),
}

impl Cuts {
    /// Of columns with as many rows each.
    pub fn of(features: &[Feature<'_>]) -> Self {
        let cut = |feature: &Feature<'_>| match feature {
            Feature::Numbers(column) => Cut::Numbers(edges(column)),
            Feature::Words(column) => frequent(column),
        };
        Self(features.iter().map(cut).collect())
    }

    /// The rows of the same columns.
    pub fn bins(&self, features: &[Feature<'_>]) -> Binned {
        let put = |(cut, feature): (&Cut, &Feature<'_>)| match (cut, feature) {
            (Cut::Numbers(edges), Feature::Numbers(column)) => {
                Column::Bins(column.iter().map(|x| bin(edges, *x)).collect())
            }
            (Cut::Words(known, _), Feature::Words(column)) => {
                let word = |number: &u32| known.get(*number as usize).copied().unwrap_or(MISSING);
                Column::Words(column.iter().map(word).collect())
            }
            // Of another kind than it was: all of it is missing.
            (_, Feature::Numbers(column)) => Column::Bins(vec![0; column.len()]),
            (_, Feature::Words(column)) => Column::Bins(vec![0; column.len()]),
        };
        Binned(self.0.iter().zip(features).map(put).collect())
    }
}

#[derive(Debug, Clone, Copy)]
enum Node {
    Leaf(f64),
    /// Bins of `feature` up to and with `bin` go to the next node, others to `right`.
    Split {
        feature: usize,
        bin: u8,
        right: usize,
    },
}

#[derive(Debug, Clone)]
struct Tree {
    nodes: Vec<Node>,
    /// Of each column the bins of its words; none of numbers.
    places: Vec<Vec<u8>>,
}

/// Trees over features; what is missing is a value of its own.
#[derive(Debug, Clone)]
pub struct Forest {
    trees: Vec<Tree>,
    explained: Option<f64>,
}

impl Forest {
    /// Learns the mean of `target` from rows in the bins of `cuts`, the same for the same seed.
    pub fn fit(cuts: &Cuts, rows: &Binned, target: &[f64], seed: u64) -> Self {
        let (n, mut coin) = (target.len(), Coin::new(seed));
        let mut outside = vec![(0.0, 0.0); n];
        let trees = (0..TREES).map(|_| {
            let mut drawn: Vec<u32> = (0..n.min(LARGEST)).map(|_| coin.below(n as u64) as u32).collect();
            let mut seen = vec![false; n];
            for row in &drawn {
                seen[*row as usize] = true;
            }
            let mut tree = Tree { nodes: Vec::new(), places: places(cuts, rows, (target, &drawn)) };
            let binned = tree.columns(rows);
            grow(&mut tree.nodes, &Growing { binned: &binned, target }, &mut drawn, DEPTH);
            for row in (0..n).filter(|row| !seen[*row]) {
                outside[row] = (outside[row].0 + tree.at(rows, row), outside[row].1 + 1.0);
            }
            tree
        });
        let trees: Vec<Tree> = trees.collect();
        let explained = explained(target, &outside);
        Self { trees, explained }
    }

    /// The mean at a row.
    pub fn at(&self, rows: &Binned, row: usize) -> f64 {
        self.trees.iter().map(|tree| tree.at(rows, row)).sum::<f64>() / self.trees.len() as f64
    }

    /// The share of the target's variance that trees explain of rows that they did not see; below zero they are worse
    /// than the mean.
    pub fn explained(&self) -> Option<f64> {
        self.explained
    }
}

impl Tree {
    fn at(&self, rows: &Binned, row: usize) -> f64 {
        let bin = |feature: usize| match &rows.0[feature] {
            Column::Bins(bins) => bins[row],
            Column::Words(words) => place(&self.places[feature], words[row]),
        };
        let mut at = 0;
        loop {
            match self.nodes[at] {
                Node::Leaf(mean) => return mean,
                Node::Split { feature, bin: until, right } => at = if bin(feature) <= until { at + 1 } else { right },
            }
        }
    }

    /// All columns as this tree sees them.
    fn columns<'a>(&self, rows: &'a Binned) -> Vec<Cow<'a, [u8]>> {
        let seen = |(column, places): (&'a Column, &Vec<u8>)| match column {
            Column::Bins(bins) => Cow::Borrowed(&bins[..]),
            Column::Words(words) => Cow::Owned(words.iter().map(|word| place(places, *word)).collect()),
        };
        rows.0.iter().zip(&self.places).map(seen).collect()
    }
}

/// 0 of what has none.
fn place(places: &[u8], word: u32) -> u8 {
    places.get(word as usize).copied().unwrap_or(0)
}

/// Of each column of words their bins, in the order of the mean of the rows that were drawn; a word with too few of
/// these for a leaf is as if it were missing.
fn places(cuts: &Cuts, rows: &Binned, (target, drawn): (&[f64], &[u32])) -> Vec<Vec<u8>> {
    let of = |(cut, column): (&Cut, &Column)| {
        let (Cut::Words(_, known), Column::Words(words)) = (cut, column) else { return Vec::new() };
        let mut sums = vec![(0.0, 0_usize); *known];
        for row in drawn {
            if let Some(sum) = sums.get_mut(words[*row as usize] as usize) {
                *sum = (sum.0 + target[*row as usize], sum.1 + 1);
            }
        }
        let mut order: Vec<usize> = (0..*known).filter(|word| sums[*word].1 >= LEAF).collect();
        let mean = |word: usize| sums[word].0 / sums[word].1 as f64;
        order.sort_by(|a, b| mean(*a).total_cmp(&mean(*b)));
        let all: usize = order.iter().map(|word| sums[*word].1).sum();
        let (mut places, mut before) = (vec![0; *known], 0);
        for (at, word) in order.iter().enumerate() {
            // One bin a word, or bins of about as many rows.
            let bin = if order.len() <= BINS { at } else { before * BINS / all };
            places[*word] = 1 + bin as u8;
            before += sums[*word].1;
        }
        places
    };
    cuts.0.iter().zip(&rows.0).map(of).collect()
}

/// Words with enough rows, numbered anew.
fn frequent(column: &[u32]) -> Cut {
    let words = column.iter().filter(|word| **word != MISSING).max().map_or(0, |most| *most as usize + 1);
    let mut counts = vec![0_usize; words];
    for word in column.iter().filter(|word| **word != MISSING) {
        counts[*word as usize] += 1;
    }
    let mut known = 0;
    let number = |count: usize| {
        if count < WORD {
            return MISSING;
        }
        known += 1;
        known - 1
    };
    let numbers = counts.into_iter().map(number).collect();
    Cut::Words(numbers, known as usize)
}

/// Between as many rows each.
fn edges(column: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = column.iter().copied().filter(|x| !x.is_nan()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let mut edges: Vec<f64> = (1..BINS).filter_map(|i| sorted.get(i * sorted.len() / BINS).copied()).collect();
    edges.dedup();
    edges
}

/// 0 of what is no number.
fn bin(edges: &[f64], x: f64) -> u8 {
    if x.is_nan() { 0 } else { 1 + edges.partition_point(|edge| *edge <= x) as u8 }
}

struct Growing<'a> {
    binned: &'a [Cow<'a, [u8]>],
    target: &'a [f64],
}

fn grow(tree: &mut Vec<Node>, from: &Growing<'_>, rows: &mut [u32], depth: usize) {
    let sum: f64 = rows.iter().map(|row| from.target[*row as usize]).sum();
    let mean = sum / rows.len().max(1) as f64;
    let at = tree.len();
    tree.push(Node::Leaf(mean));
    if depth == 0 || rows.len() < 2 * LEAF {
        return;
    }
    let Some((feature, until)) = from.split(rows, sum) else { return };
    // Those of the left side first.
    let mut left = 0;
    for i in 0..rows.len() {
        if from.binned[feature][rows[i] as usize] <= until {
            rows.swap(i, left);
            left += 1;
        }
    }
    let (mine, theirs) = rows.split_at_mut(left);
    grow(tree, from, mine, depth - 1);
    tree[at] = Node::Split { feature, bin: until, right: tree.len() };
    grow(tree, from, theirs, depth - 1);
}

impl Growing<'_> {
    /// The split that leaves the least variance.
    fn split(&self, rows: &[u32], sum: f64) -> Option<(usize, u8)> {
        let n = rows.len() as f64;
        let mut best = (sum * sum / n * (1.0 + 1e-12), None);
        for (feature, column) in self.binned.iter().enumerate() {
            let mut bins = [(0.0_f64, 0_usize); BINS + 1];
            for row in rows {
                let slot = &mut bins[column[*row as usize] as usize];
                slot.0 += self.target[*row as usize];
                slot.1 += 1;
            }
            let (mut left, mut count) = (0.0, 0);
            for (bin, (part, size)) in bins.iter().enumerate().take(BINS) {
                left += part;
                count += size;
                if *size == 0 || count < LEAF || rows.len() - count < LEAF {
                    continue;
                }
                let right = sum - left;
                let gain = left * left / count as f64 + right * right / (n - count as f64);
                if gain > best.0 {
                    best = (gain, Some((feature, bin as u8)));
                }
            }
        }
        best.1
    }
}

fn explained(target: &[f64], outside: &[(f64, f64)]) -> Option<f64> {
    let known: Vec<(f64, f64)> =
        target.iter().zip(outside).filter(|(_, o)| o.1 > 0.0).map(|(t, o)| (*t, o.0 / o.1)).collect();
    let n = known.len() as f64;
    let mean = known.iter().map(|k| k.0).sum::<f64>() / n;
    let all: f64 = known.iter().map(|k| (k.0 - mean).powi(2)).sum();
    let left: f64 = known.iter().map(|k| (k.0 - k.1).powi(2)).sum();
    (all > 0.0).then(|| 1.0 - left / all)
}
