//! Parts of the traffic.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How many buckets the traffic has: a share is a whole number of them, one part per million.
pub const BUCKETS: u32 = 1_000_000;

/// A part of the traffic: 0 to 1 in steps of one millionth. Whole numbers, so that shares add up
/// exactly and mean the same on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Share(u32);

/// A number is no part of the traffic.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{given} is not a share of the traffic: give 0 to 1, in steps of one millionth")]
pub struct ShareError {
    /// What was given, as a fraction.
    pub given: f64,
}

impl Share {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Everything.
    pub const ALL: Self = Self(BUCKETS);

    /// From parts per million.
    pub fn from_ppm(ppm: u32) -> Result<Self, ShareError> {
        if ppm > BUCKETS {
            return Err(ShareError { given: f64::from(ppm) / f64::from(BUCKETS) });
        }
        Ok(Self(ppm))
    }

    /// From a fraction, to the nearest millionth. A positive fraction that would round to nothing is
    /// refused, since a variant with a weight must get traffic.
    pub fn from_fraction(fraction: f64) -> Result<Self, ShareError> {
        let error = || ShareError { given: fraction };
        if !(0.0..=1.0).contains(&fraction) {
            return Err(error());
        }
        let ppm = (fraction * f64::from(BUCKETS)).round() as u32;
        if ppm == 0 && fraction > 0.0 {
            return Err(error());
        }
        Ok(Self(ppm))
    }

    /// What the candidates leave to stable; an error when they want more than everything.
    pub fn rest(candidates: &[Self]) -> Result<Self, ShareError> {
        let used: u64 = candidates.iter().map(|share| u64::from(share.0)).sum();
        let rest = u64::from(BUCKETS).checked_sub(used).and_then(|ppm| u32::try_from(ppm).ok());
        rest.map(Self).ok_or(ShareError { given: used as f64 / f64::from(BUCKETS) })
    }

    /// Fractions that add up to 1, as a bandit computes them, to shares that add up to everything: each
    /// is rounded down, and what is left goes to the largest remainders, the first of equal ones first.
    /// `None` when a fraction is negative or not finite, or when they do not add up to 1 within 10⁻⁶.
    pub fn apportion(fractions: &[f64]) -> Option<Vec<Self>> {
        let total: f64 = fractions.iter().sum();
        if fractions.iter().any(|f| !(0.0..=1.0 + 1e-6).contains(f)) || (total - 1.0).abs() > 1e-6 {
            return None;
        }
        let exact: Vec<f64> = fractions.iter().map(|f| f / total * f64::from(BUCKETS)).collect();
        let mut ppm: Vec<u32> = exact.iter().map(|e| e.floor() as u32).collect();
        let mut order: Vec<usize> = (0..exact.len()).collect();
        order.sort_by(|&a, &b| exact[b].fract().total_cmp(&exact[a].fract()));
        let left = BUCKETS.saturating_sub(ppm.iter().sum());
        for &i in order.iter().cycle().take(left as usize) {
            ppm[i] += 1;
        }
        Some(ppm.into_iter().map(Self).collect())
    }

    /// Parts per million.
    pub fn ppm(self) -> u32 {
        self.0
    }

    /// As a fraction.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(BUCKETS)
    }
}

impl TryFrom<u32> for Share {
    type Error = ShareError;

    fn try_from(ppm: u32) -> Result<Self, ShareError> {
        Self::from_ppm(ppm)
    }
}

impl From<Share> for u32 {
    fn from(share: Share) -> Self {
        share.0
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.fraction() * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_becomes_millionths_and_back() {
        assert_eq!(Share::from_fraction(0.05).unwrap().ppm(), 50_000);
        assert_eq!(Share::from_fraction(0.29).unwrap().fraction(), 0.29);
        assert_eq!(Share::from_fraction(1.0).unwrap(), Share::ALL);
    }

    #[test]
    fn fractions_are_shared_out_to_the_last_bucket() {
        let thirds = Share::apportion(&[1.0 / 3.0; 3]).unwrap();
        assert_eq!(thirds.iter().map(|s| s.ppm()).collect::<Vec<_>>(), [333_334, 333_333, 333_333]);
        let floor = Share::apportion(&[0.01, 0.0, 0.989_999_5, 0.000_000_5]).unwrap();
        assert_eq!(floor.iter().map(|s| s.ppm()).sum::<u32>(), BUCKETS);
        for bad in [&[0.5, 0.4][..], &[1.5, -0.5], &[f64::NAN, 1.0], &[]] {
            assert_eq!(Share::apportion(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn stable_gets_what_the_candidates_leave() {
        let share = |f| Share::from_fraction(f).unwrap();
        assert_eq!(Share::rest(&[share(0.3), share(0.2)]), Ok(share(0.5)));
        assert!(Share::rest(&[share(0.6), share(0.5)]).is_err());
    }

    #[test]
    fn what_is_no_share_is_refused_with_the_number() {
        for bad in [-0.1, 1.000_001, f64::NAN, 1e-7] {
            assert!(Share::from_fraction(bad).is_err(), "{bad}");
        }
        assert_eq!(
            Share::from_ppm(2_000_000).unwrap_err().to_string(),
            "2 is not a share of the traffic: give 0 to 1, in steps of one millionth"
        );
    }
}
