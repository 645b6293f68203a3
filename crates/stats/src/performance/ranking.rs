//! Orders of items: what a search or a recommendation puts first.

use super::interval::{Level, Measure, wilson};
use super::regression::mean;
use crate::moments::Moments;
use serde::{Deserialize, Serialize};

/// An item of a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Item {
    /// By which items were ordered, the highest first; what has the same is in the given order.
    pub score: f64,
    /// How good it was; above zero it is relevant, below it counts as zero.
    pub relevance: f64,
}

/// Metrics of the first `k` items of queries.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    k: usize,
    ndcg: Moments,
    reciprocal: Moments,
    precision: Moments,
    recall: Moments,
    average: Moments,
    hits: u64,
    without: u64,
}

impl Ranking {
    /// Nothing seen yet, of the first `k` ≥ 1 items.
    pub fn new(k: usize) -> Self {
        let none = Moments::default();
        let k = k.max(1);
        Self { k, ndcg: none, reciprocal: none, precision: none, recall: none, average: none, hits: 0, without: 0 }
    }

    /// Adds a query; sorts its items. One without a relevant item says nothing and is counted apart.
    pub fn push(&mut self, items: &mut [Item]) {
        items.sort_by(|a, b| b.score.total_cmp(&a.score));
        // A gain below zero has no share of the best order's: it may be anything, infinite too.
        for item in items.iter_mut() {
            item.relevance = item.relevance.max(0.0);
        }
        let relevant = items.iter().filter(|i| i.relevance > 0.0).count();
        if relevant == 0 {
            self.without += 1;
            return;
        }
        let mut ideal: Vec<f64> = items.iter().map(|i| i.relevance).collect();
        ideal.sort_by(|a, b| b.total_cmp(a));
        let best: f64 = ideal.iter().take(self.k).enumerate().map(|(at, gain)| gain * discount(at)).sum();
        self.ndcg.push(self.gained(items) / best);
        let (mut hits, mut precisions) = (0_usize, 0.0);
        for (at, item) in items.iter().take(self.k).enumerate() {
            if item.relevance > 0.0 {
                hits += 1;
                precisions += hits as f64 / (at + 1) as f64;
            }
        }
        let first = items.iter().position(|i| i.relevance > 0.0).filter(|at| *at < self.k);
        self.reciprocal.push(first.map_or(0.0, |at| 1.0 / (at + 1) as f64));
        self.precision.push(hits as f64 / self.k as f64);
        self.recall.push(hits as f64 / relevant as f64);
        self.average.push(precisions / relevant.min(self.k) as f64);
        self.hits += u64::from(hits > 0);
    }

    /// Discounted gain of the first k; items of the same score share their places, as in scikit-learn.
    fn gained(&self, sorted: &[Item]) -> f64 {
        let mut at = 0;
        let mut sum = 0.0;
        for tie in sorted.chunk_by(|a, b| a.score == b.score) {
            let gain = tie.iter().map(|i| i.relevance).sum::<f64>() / tie.len() as f64;
            sum += gain * (at..(at + tie.len()).min(self.k)).map(discount).sum::<f64>();
            at += tie.len();
            if at >= self.k {
                break;
            }
        }
        sum
    }

    /// Adds what `other` has seen of as many items.
    pub fn merge(&mut self, other: &Self) {
        debug_assert_eq!(self.k, other.k);
        self.ndcg.merge(&other.ndcg);
        self.reciprocal.merge(&other.reciprocal);
        self.precision.merge(&other.precision);
        self.recall.merge(&other.recall);
        self.average.merge(&other.average);
        self.hits += other.hits;
        self.without += other.without;
    }

    /// Queries with a relevant item, and queries without one, which nothing here counts.
    pub fn queries(&self) -> (u64, u64) {
        (self.ndcg.count(), self.without)
    }

    fn share(of: &Moments, level: Level) -> Option<Measure> {
        mean(of, level).map(|m| m.map(|x| x.clamp(0.0, 1.0)))
    }

    /// Discounted gain over that of the best order; the gain is the relevance itself.
    pub fn ndcg(&self, level: Level) -> Option<Measure> {
        Self::share(&self.ndcg, level)
    }

    /// One over the place of the first relevant item; zero where that is not among the first k.
    pub fn reciprocal_rank(&self, level: Level) -> Option<Measure> {
        Self::share(&self.reciprocal, level)
    }

    /// Relevant items among the first k, over k.
    pub fn precision(&self, level: Level) -> Option<Measure> {
        Self::share(&self.precision, level)
    }

    /// Relevant items among the first k, over all that are relevant.
    pub fn recall(&self, level: Level) -> Option<Measure> {
        Self::share(&self.recall, level)
    }

    /// The mean of the precisions at the places of relevant items among the first k, over as many as could be there.
    pub fn average_precision(&self, level: Level) -> Option<Measure> {
        Self::share(&self.average, level)
    }

    /// Share of queries with a relevant item among the first k.
    pub fn hit_rate(&self, level: Level) -> Option<Measure> {
        wilson(self.hits, self.ndcg.count(), level)
    }
}

fn discount(at: usize) -> f64 {
    1.0 / (at as f64 + 2.0).log2()
}
