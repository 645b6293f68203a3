//! A small forest of regression trees, each grown from rows drawn by chance (bagging, Breiman 1996): what it learns is
//! checked on the rows that a tree did not see.

use crate::stream::Coin;

const TREES: usize = 50;
const DEPTH: usize = 10;
/// Rows that a leaf has at least.
const LEAF: usize = 20;
const BINS: usize = 64;
/// Rows that a tree is grown from at most.
const LARGEST: usize = 50_000;

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

/// Trees over features that are numbers; NaN is a value of its own.
#[derive(Debug, Clone)]
pub struct Forest {
    edges: Vec<Vec<f64>>,
    trees: Vec<Vec<Node>>,
    explained: Option<f64>,
}

impl Forest {
    /// Learns the mean of `target` from columns of features, the same for the same seed.
    pub fn fit(features: &[Vec<f64>], target: &[f64], seed: u64) -> Self {
        let edges: Vec<Vec<f64>> = features.iter().map(|column| edges(column)).collect();
        let binned: Vec<Vec<u8>> = features
            .iter()
            .zip(&edges)
            .map(|(column, edges)| column.iter().map(|x| bin(edges, *x)).collect())
            .collect();
        let (n, mut coin) = (target.len(), Coin::new(seed));
        let mut outside = vec![(0.0, 0.0); n];
        let trees = (0..TREES).map(|_| {
            let mut rows: Vec<u32> = (0..n.min(LARGEST)).map(|_| coin.below(n as u64) as u32).collect();
            let mut seen = vec![false; n];
            for row in &rows {
                seen[*row as usize] = true;
            }
            let mut tree = Vec::new();
            grow(&mut tree, &Growing { binned: &binned, target }, &mut rows, DEPTH);
            for row in (0..n).filter(|row| !seen[*row]) {
                let said = walk(&tree, |feature| binned[feature][row]);
                outside[row] = (outside[row].0 + said, outside[row].1 + 1.0);
            }
            tree
        });
        let trees: Vec<Vec<Node>> = trees.collect();
        let explained = explained(target, &outside);
        Self { edges, trees, explained }
    }

    /// The mean at a row with a value for each feature.
    pub fn at(&self, row: &[f64]) -> f64 {
        let bins: Vec<u8> = self.edges.iter().zip(row).map(|(edges, x)| bin(edges, *x)).collect();
        let sum: f64 = self.trees.iter().map(|tree| walk(tree, |feature| bins[feature])).sum();
        sum / self.trees.len() as f64
    }

    /// The share of the target's variance that trees explain of rows that they did not see; below zero they are worse
    /// than the mean.
    pub fn explained(&self) -> Option<f64> {
        self.explained
    }
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

fn walk(tree: &[Node], bin: impl Fn(usize) -> u8) -> f64 {
    let mut at = 0;
    loop {
        match tree[at] {
            Node::Leaf(mean) => return mean,
            Node::Split { feature, bin: until, right } => at = if bin(feature) <= until { at + 1 } else { right },
        }
    }
}

struct Growing<'a> {
    binned: &'a [Vec<u8>],
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
