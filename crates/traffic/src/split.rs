//! Who owns which buckets, and how that changes with as few moves as possible.

use crate::share::{BUCKETS, Share};
use serde::{Deserialize, Serialize};

/// Owners at most; SageMaker and others allow ten variants.
const MAX_OWNERS: usize = 1_000;

/// A partition of the buckets among owners 0, 1, 2, …: variants of a rollout, or places in a layer.
///
/// Stored as spans in ascending order; each goes from the end of the one before to its own end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Split {
    /// Exclusive ends, strictly ascending, the last is [`BUCKETS`].
    ends: Vec<u32>,
    /// The owner of each span.
    owners: Vec<u16>,
    /// Buckets of each owner.
    totals: Vec<u32>,
}

/// Weights or stored spans do not make a split.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// Weights that do not add up.
    #[error("the weights add up to {ppm} millionths of the traffic; they must add up to all of it, {BUCKETS}")]
    Sum {
        /// Their sum.
        ppm: u64,
    },
    /// None, or too many.
    #[error("{0} weights were given; 1 to {MAX_OWNERS} are possible")]
    Owners(usize),
    /// A change to another number of owners.
    #[error("the split has {have} owners and {given} weights were given; a change of weights keeps the owners")]
    Changed {
        /// Owners of the split.
        have: usize,
        /// Weights given.
        given: usize,
    },
    /// Stored bytes are no split.
    #[error("the stored split is not valid: {0}")]
    Stored(&'static str),
}

#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    owners: u16,
    /// (exclusive end, owner)
    spans: Vec<(u32, u16)>,
}

impl Split {
    /// The first split: owner 0 gets the upper end, the others their weights from bucket 0 upwards.
    /// With two owners it is a plain threshold: owner 1 has the buckets below its weight.
    pub fn new(weights: &[Share]) -> Result<Self, SplitError> {
        check(weights)?;
        let mut spans = Vec::with_capacity(weights.len());
        let mut end = 0;
        for (owner, weight) in weights.iter().enumerate().cycle().skip(1).take(weights.len()) {
            end += weight.ppm();
            spans.push((end, owner as u16));
        }
        Ok(Self::from_spans(spans, weights.len()))
    }

    /// The split with new weights that moves the fewest units: an owner whose weight falls gives up
    /// buckets, an owner whose weight rises takes them, and nothing else changes hands.
    ///
    /// Small spans are given up first, so that the number of spans stays small under many changes.
    pub fn reweighted(&self, weights: &[Share]) -> Result<Self, SplitError> {
        check(weights)?;
        if weights.len() != self.totals.len() {
            return Err(SplitError::Changed { have: self.totals.len(), given: weights.len() });
        }
        let mut pieces = self.pieces();
        let mut free = Vec::new();
        for (owner, weight) in weights.iter().enumerate() {
            let surplus = self.totals[owner].saturating_sub(weight.ppm());
            release(&mut pieces, owner as u16, surplus, &mut free);
        }
        // The largest free pieces to the largest needs: fewer cuts.
        free.sort_unstable_by_key(|&(start, end)| (std::cmp::Reverse(end - start), start));
        let mut needs: Vec<(u32, u16)> = weights
            .iter()
            .zip(&self.totals)
            .enumerate()
            .map(|(owner, (weight, total))| (weight.ppm().saturating_sub(*total), owner as u16))
            .filter(|(need, _)| *need > 0)
            .collect();
        needs.sort_unstable_by_key(|&(need, owner)| (std::cmp::Reverse(need), owner));
        let mut free = free.into_iter();
        let mut rest = (0, 0);
        for (mut need, owner) in needs {
            while need > 0 {
                if rest.0 == rest.1 {
                    let Some(next) = free.next() else { break };
                    rest = next;
                }
                let take = need.min(rest.1 - rest.0);
                pieces.push((rest.0, rest.0 + take, owner));
                rest.0 += take;
                need -= take;
            }
        }
        pieces.sort_unstable();
        Ok(Self::from_spans(pieces.into_iter().map(|(_, end, owner)| (end, owner)).collect(), weights.len()))
    }

    /// The owner of a bucket.
    #[inline]
    pub fn owner(&self, bucket: u32) -> u16 {
        let at = if self.ends.len() <= 8 {
            self.ends.iter().take_while(|end| **end <= bucket).count()
        } else {
            self.ends.partition_point(|end| *end <= bucket)
        };
        // A bucket beyond the last cannot come from `bucket()`; it belongs to the last span.
        self.owners[at.min(self.owners.len() - 1)]
    }

    /// The weight of an owner; nothing for one that does not exist.
    #[inline]
    pub fn weight(&self, owner: u16) -> Share {
        self.totals.get(usize::from(owner)).and_then(|ppm| Share::from_ppm(*ppm).ok()).unwrap_or_default()
    }

    /// The weights of all owners.
    pub fn weights(&self) -> Vec<Share> {
        (0..self.totals.len()).map(|owner| self.weight(owner as u16)).collect()
    }

    /// How many owners there are, with and without buckets.
    pub fn owners(&self) -> usize {
        self.totals.len()
    }

    /// How many spans it takes to write the split down.
    pub fn spans(&self) -> usize {
        self.ends.len()
    }

    /// (start, end, owner) of each span.
    fn pieces(&self) -> Vec<(u32, u32, u16)> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).zip(&self.owners).map(|((start, end), owner)| (start, *end, *owner)).collect()
    }

    /// Drops empty spans and joins neighbours of one owner.
    fn from_spans(spans: Vec<(u32, u16)>, owners: usize) -> Self {
        let mut split = Self { ends: Vec::new(), owners: Vec::new(), totals: vec![0; owners] };
        let mut start = 0;
        for (end, owner) in spans {
            if end == start {
                continue;
            }
            split.totals[usize::from(owner)] += end - start;
            if split.owners.last() == Some(&owner) {
                split.ends.pop();
                split.owners.pop();
            }
            split.ends.push(end);
            split.owners.push(owner);
            start = end;
        }
        split
    }
}

fn check(weights: &[Share]) -> Result<(), SplitError> {
    if weights.is_empty() || weights.len() > MAX_OWNERS {
        return Err(SplitError::Owners(weights.len()));
    }
    let ppm: u64 = weights.iter().map(|w| u64::from(w.ppm())).sum();
    if ppm != u64::from(BUCKETS) {
        return Err(SplitError::Sum { ppm });
    }
    Ok(())
}

/// Takes `surplus` buckets from an owner, the smallest spans first. The last one is cut at its lower end,
/// unless it begins at bucket 0: so two owners keep a single border between them.
fn release(pieces: &mut Vec<(u32, u32, u16)>, owner: u16, mut surplus: u32, free: &mut Vec<(u32, u32)>) {
    while surplus > 0 {
        let smallest = (0..pieces.len())
            .filter(|&i| pieces[i].2 == owner)
            .min_by_key(|&i| (pieces[i].1 - pieces[i].0, pieces[i].0));
        let Some(i) = smallest else { return };
        let (start, end, _) = pieces[i];
        let size = end - start;
        if size <= surplus {
            pieces.remove(i);
            free.push((start, end));
            surplus -= size;
        } else if start > 0 || owner == 0 {
            pieces[i].0 += surplus;
            free.push((start, start + surplus));
            surplus = 0;
        } else {
            pieces[i].1 -= surplus;
            free.push((end - surplus, end));
            surplus = 0;
        }
    }
}

impl TryFrom<Stored> for Split {
    type Error = SplitError;

    fn try_from(stored: Stored) -> Result<Self, SplitError> {
        let owners = usize::from(stored.owners);
        if owners == 0 || owners > MAX_OWNERS {
            return Err(SplitError::Owners(owners));
        }
        if stored.spans.iter().any(|(_, owner)| *owner >= stored.owners) {
            return Err(SplitError::Stored("a span belongs to an owner that is not there"));
        }
        if !stored.spans.windows(2).all(|pair| pair[0].0 < pair[1].0) {
            return Err(SplitError::Stored("the spans are not in ascending order"));
        }
        if stored.spans.first().is_none_or(|(end, _)| *end == 0)
            || stored.spans.last().is_none_or(|(end, _)| *end != BUCKETS)
        {
            return Err(SplitError::Stored("the spans do not cover the traffic"));
        }
        Ok(Self::from_spans(stored.spans, owners))
    }
}

impl From<Split> for Stored {
    fn from(split: Split) -> Self {
        Self { owners: split.totals.len() as u16, spans: split.ends.into_iter().zip(split.owners).collect() }
    }
}

#[cfg(test)]
mod tests;
