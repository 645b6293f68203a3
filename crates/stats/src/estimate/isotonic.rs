//! The rising steps that are nearest to zeros and ones, which make probabilities of scores.

/// A rising line through the means of pools of neighbours.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Isotonic {
    /// Rising; straight between them, level beyond.
    places: Vec<f64>,
    values: Vec<f64>,
}

impl Isotonic {
    /// Fits by pooling neighbours that fall (Ayer et al. 1955); equal scores are one place. Scores that are not finite
    /// are passed over.
    pub fn fit(rows: impl Iterator<Item = (f64, bool)>) -> Self {
        let mut rows: Vec<(f64, bool)> = rows.filter(|(score, _)| score.is_finite()).collect();
        rows.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let tied: Vec<(f64, f64, f64)> = rows
            .chunk_by(|a, b| a.0 == b.0)
            .map(|tie| (tie[0].0, tie.iter().filter(|r| r.1).count() as f64, tie.len() as f64))
            .collect();
        // (sum, weight, places)
        let mut pools: Vec<(f64, f64, usize)> = Vec::new();
        for (_, sum, weight) in &tied {
            let mut pool = (*sum, *weight, 1);
            while let Some(last) = pools.last()
                && last.0 / last.1 >= pool.0 / pool.1
            {
                pool = (pool.0 + last.0, pool.1 + last.1, pool.2 + last.2);
                pools.pop();
            }
            pools.push(pool);
        }
        let values = pools.iter().flat_map(|(sum, weight, places)| std::iter::repeat_n(sum / weight, *places));
        Self { places: tied.iter().map(|t| t.0).collect(), values: values.collect() }
    }

    /// The probability at a score; what is beyond the fitted ones has the value at the end.
    pub fn at(&self, score: f64) -> f64 {
        let (Some(first), Some(last)) = (self.places.first(), self.places.last()) else { return score };
        if score.is_nan() {
            return f64::NAN;
        }
        let score = score.clamp(*first, *last);
        let above = self.places.partition_point(|p| *p < score).min(self.places.len() - 1);
        if above == 0 {
            return self.values[0];
        }
        let (low, high) = (self.places[above - 1], self.places[above]);
        let share = (score - low) / (high - low);
        self.values[above - 1] + share * (self.values[above] - self.values[above - 1])
    }
}
