//! Whether the whole distribution of a value is another one with a candidate than with stable.

use super::Stratum;
use super::metric::share;
use super::report::{MetricReport, Scale};
use mainspring_stats::decision::Finding;
use mainspring_stats::sequential::{Interval, StabilityIndex};

/// Stable's units whose values say what is usual, before any is counted: bins that were chosen by what they count would
/// show a difference where there is none.
const FIRST: usize = 200;
/// Quantiles between which as many of stable's values lie, about.
const PARTS: usize = 10;

/// Units by the bin of their first value, of each variant in each stratum.
#[derive(Debug)]
pub(crate) struct Shape {
    /// Stable's first values, until there are enough for the ends of the bins.
    usual: Vec<f64>,
    /// The upper ends of all bins but the last, which they contain.
    ends: Box<[f64]>,
    /// Of each stratum, of each variant, of each bin.
    counts: Vec<Vec<Vec<u64>>>,
    variants: usize,
    /// Of each candidate, as of the last look.
    found: Vec<Option<Interval>>,
    changed: bool,
}

impl Shape {
    pub fn new(variants: usize) -> Self {
        Self {
            usual: Vec::new(),
            ends: Box::default(),
            counts: Vec::new(),
            variants,
            found: vec![None; variants.saturating_sub(1)],
            changed: false,
        }
    }

    /// A unit's first value.
    pub fn first(&mut self, stratum: usize, variant: usize, value: f64) {
        if self.ends.is_empty() {
            // Units that come meanwhile are left out whosever they are.
            if variant == 0 {
                self.usual.push(value);
            }
            if self.usual.len() == FIRST {
                self.ends = ends(std::mem::take(&mut self.usual));
            }
            return;
        }
        let bins = self.ends.len() + 1;
        if self.counts.len() <= stratum {
            self.counts.resize(stratum + 1, vec![vec![0; bins]; self.variants]);
        }
        let bin = self.ends.partition_point(|end| *end < value);
        if let Some(count) = self.counts[stratum].get_mut(variant).and_then(|counts| counts.get_mut(bin)) {
            *count += 1;
            self.changed = true;
        }
    }

    pub fn look(&mut self, alpha: f64, strata: &[Stratum]) {
        if !std::mem::take(&mut self.changed) {
            return;
        }
        for (at, found) in self.found.iter_mut().enumerate() {
            let mut index = StabilityIndex::new(self.ends.len() + 1);
            for (stratum, counts) in strata.iter().zip(&self.counts) {
                if let (Some(share), [stable, ..]) = (share(stratum, at + 1), &counts[..]) {
                    let units = stable.iter().zip(&counts[at + 1]).map(|(stable, candidate)| [*stable, *candidate]);
                    // The share lies between 0 and 1, which is all that could be refused.
                    let _ = index.observe(units, share);
                }
            }
            *found = index.interval(alpha).ok();
        }
    }

    pub fn report(&self, most: f64, candidate: usize, report: &mut MetricReport) {
        let units = |variant: usize| self.counts.iter().map(|counts| counts[variant].iter().sum::<u64>()).sum();
        report.units = [units(0), units(candidate)];
        report.scale = Scale::Index;
        let found = self.found[candidate - 1];
        report.effect = found.map(Into::into);
        report.finding = match found {
            _ if report.units.contains(&0) => Finding::NoData,
            Some(found) if found.low > most => Finding::Worse,
            Some(_) | None => Finding::Unclear,
        };
        if self.ends.is_empty() {
            let left = FIRST - self.usual.len();
            report.why = Some(format!("{left} more units of stable are needed to know what is usual"));
        } else if report.finding == Finding::NoData {
            report.why = Some("a variant has no values".to_owned());
        }
    }
}

/// Ends of bins with about as many values each. A value that fills a part alone gets a bin of its own.
fn ends(mut values: Vec<f64>) -> Box<[f64]> {
    values.sort_by(f64::total_cmp);
    let part = values.len() / PARTS;
    let mut ends = Vec::new();
    for end in (1..PARTS).filter_map(|i| values.get(i * part - 1)) {
        // 0 and −0 are one value.
        let end = end + 0.0;
        let equal = values.iter().filter(|value| **value == end).count();
        if equal >= part {
            ends.push(end.next_down());
        }
        ends.push(end);
    }
    ends.sort_by(f64::total_cmp);
    ends.dedup();
    ends.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bin_has_as_many_and_what_is_frequent_has_its_own() {
        let even = ends((0..200).map(f64::from).collect());
        assert_eq!(even[..], [19.0, 39.0, 59.0, 79.0, 99.0, 119.0, 139.0, 159.0, 179.0]);
        let truth = ends((0..200).map(|i| f64::from(u8::from(i % 20 == 0))).collect());
        assert_eq!(truth[..], [0_f64.next_down(), 0.0]);
        let bin = |value: f64| truth.partition_point(|end| *end < value);
        assert_eq!([bin(-1.0), bin(-0.0), bin(0.0), bin(1.0)], [0, 1, 1, 2]);
        assert_eq!(ends(vec![7.0; 200])[..], [7_f64.next_down(), 7.0]);
    }

    #[test]
    fn units_are_left_out_until_it_is_known_what_is_usual() {
        let mut shape = Shape::new(2);
        for i in 0..FIRST {
            shape.first(0, 1, 1e9);
            assert!(shape.ends.is_empty(), "{i}");
            shape.first(0, 0, i as f64);
        }
        assert_eq!((shape.ends.len(), shape.counts.len()), (9, 0));
        shape.first(2, 1, 150.0);
        assert_eq!((shape.counts.len(), shape.counts[2][1][7]), (3, 1));
    }
}
