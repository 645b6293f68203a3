//! Reading a sketch.

/// A [`Kll`](super::Kll) flattened for queries.
#[derive(Debug, Clone)]
pub struct KllView {
    /// Items with the weight at or below them, ascending.
    items: Vec<(f64, u64)>,
    n: u64,
    min: f64,
    max: f64,
}

impl KllView {
    /// From items with their weights, how many the stream had, and its least and greatest.
    pub(super) fn new(mut items: Vec<(f64, u64)>, n: u64, (min, max): (f64, f64)) -> Self {
        items.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut total = 0;
        for item in &mut items {
            total += item.1;
            item.1 = total;
        }
        Self { items, n, min, max }
    }

    /// The smallest held item with at least `q·n` items at or below it; exact at 0 and 1.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        if self.n == 0 || q.is_nan() {
            return None;
        }
        if q <= 0.0 {
            return Some(self.min);
        }
        if q >= 1.0 {
            return Some(self.max);
        }
        let wanted = (q * self.n as f64).ceil() as u64;
        let at = self.items.partition_point(|(_, cumulative)| *cumulative < wanted);
        Some(self.items.get(at).map_or(self.max, |(v, _)| *v))
    }

    /// Share of items at or below `value`.
    pub fn rank(&self, value: f64) -> Option<f64> {
        if self.n == 0 {
            return None;
        }
        let at = self.items.partition_point(|(v, _)| *v <= value);
        let below = if at == 0 { 0 } else { self.items[at - 1].1 };
        Some(below as f64 / self.n as f64)
    }

    /// Items and the share of the stream at or below each: the steps of the distribution function,
    /// what a histogram or a two-sample test reads.
    pub fn steps(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.items.iter().map(|(v, c)| (*v, *c as f64 / self.n as f64))
    }
}
