//! Vectors of a column, as they are gathered.

use super::Vectors;
use super::lane::{K, QUANTILES};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mainspring_stats::{Kll, Moments};

/// Numbers of a vector up to which its components are kept apart: no longer one is in the journal.
const LONGEST: usize = 4_096;

/// What is known of them so far.
#[derive(Clone)]
pub(super) struct Gathered {
    components: Vec<Moments>,
    norms: Kll,
    count: u64,
    uneven: u64,
}

impl Default for Gathered {
    fn default() -> Self {
        Self { components: Vec::new(), norms: Kll::new(K), count: 0, uneven: 0 }
    }
}

impl Gathered {
    /// Sees one; the first that has no hole decides on the dimension.
    pub(super) fn push(&mut self, vector: &[f64]) {
        if vector.is_empty() || vector.iter().any(|x| !x.is_finite()) {
            return;
        }
        if self.components.is_empty() && vector.len() <= LONGEST {
            self.components = vec![Moments::default(); vector.len()];
        }
        if vector.len() != self.components.len() {
            self.uneven += 1;
            return;
        }
        self.components.iter_mut().zip(vector).for_each(|(component, x)| component.push(*x));
        self.norms.extend(&[vector.iter().map(|x| x * x).sum::<f64>().sqrt()]);
        self.count += 1;
    }

    /// Adds what another has seen. Of two dimensions the one that more vectors have stays.
    pub(super) fn merge(&mut self, other: &Self) {
        let uneven = self.uneven + other.uneven;
        if self.components.len() == other.components.len() {
            self.components.iter_mut().zip(&other.components).for_each(|(mine, theirs)| mine.merge(theirs));
            self.norms.merge(&other.norms);
            self.count += other.count;
            self.uneven = uneven;
        } else {
            let fewer = self.count.min(other.count);
            if other.count > self.count {
                *self = other.clone();
            }
            self.uneven = uneven + fewer;
        }
    }

    pub(super) fn told(&self) -> Vectors {
        let view = self.norms.view();
        Vectors {
            dimension: self.components.len(),
            count: self.count,
            uneven: self.uneven,
            means: self.components.iter().filter_map(Moments::mean).collect(),
            deviations: self.components.iter().map(|c| c.stddev().unwrap_or(0.0)).collect(),
            norms: QUANTILES.iter().filter_map(|q| Some((*q, view.quantile(*q)?))).collect(),
            norm_kll: STANDARD.encode(self.norms.to_datasketches()),
        }
    }
}
