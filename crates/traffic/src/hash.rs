//! From a unit to its bucket.

use crate::share::BUCKETS;
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_128;

/// What a salt is for. It goes into the seed, so that a rollout, a layer and a holdout that were given
/// the same text as their salt still assign independently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// The split of a rollout among its variants.
    Split,
    /// The places of mutually exclusive rollouts in a layer.
    Layer,
    /// The units that no rollout may touch.
    Holdout,
    /// The requests that a shadow is asked, too.
    Shadow,
}

impl Purpose {
    fn prefix(self) -> &'static [u8] {
        match self {
            Self::Split => b"mainspring/traffic/1/split\0",
            Self::Layer => b"mainspring/traffic/1/layer\0",
            Self::Holdout => b"mainspring/traffic/1/holdout\0",
            Self::Shadow => b"mainspring/traffic/1/shadow\0",
        }
    }
}

/// A salt, ready to hash with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Salt(u64);

impl Salt {
    /// The low 64 bits of XXH3-128 (seed 0) of the purpose's prefix followed by `text`.
    pub fn new(purpose: Purpose, text: &str) -> Self {
        let mut bytes = purpose.prefix().to_vec();
        bytes.extend_from_slice(text.as_bytes());
        Self(XxHash3_128::oneshot(&bytes) as u64)
    }
}

/// The bucket of a unit under a salt: 0 to [`BUCKETS`] − 1.
///
/// XXH3-128 of the unit's bytes, seeded with the salt, as its specification says
/// (<https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>, version 0.2.0 and later). Its low
/// 64 bits, taken as a fraction of 2⁶⁴, times [`BUCKETS`], rounded down. No bucket is likelier than
/// another by more than one part in 10¹³.
#[inline]
pub fn bucket(salt: Salt, unit: &[u8]) -> u32 {
    let place = XxHash3_128::oneshot_with_seed(salt.0, unit) as u64;
    ((u128::from(place) * u128::from(BUCKETS)) >> 64) as u32
}

/// The name of a unit in the journal and in statistics: the low 64 bits of XXH3-128 (seed 0).
///
/// The same in all rollouts, so that what a unit did before one can explain what it does in it. Of ten
/// million units, two share a name with a probability under 1 in 100,000. It is not a secret: who can
/// guess a unit can recognise it.
#[inline]
pub fn unit_id(unit: &[u8]) -> u64 {
    XxHash3_128::oneshot(unit) as u64
}

#[cfg(test)]
mod tests;
