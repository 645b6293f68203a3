//! Distinct and frequent values, over Apache DataSketches' HyperLogLog and frequent-items sketches.
//! Their stored forms are DataSketches' own, which its Java, C++ and Python libraries read.

use crate::InvalidSketch;
use datasketches::frequencies::{ErrorType, FrequentItemsSketch};
use datasketches::hll::{HllSketch, HllType, HllUnion};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// 2^10 registers: 1 KiB, relative standard error about 3.2 %.
const LG_REGISTERS: u8 = 10;
/// Slots of the frequent-items map; 3/4 of them hold values.
const MAP_SIZE: usize = 128;

/// How many different values a stream has.
#[derive(Clone, Default)]
pub struct Distinct(Option<Box<HllSketch>>);

impl Distinct {
    /// Sees one value.
    pub fn push(&mut self, value: &[u8]) {
        if self.0.is_none() {
            self.0 = HllSketch::new(LG_REGISTERS, HllType::Hll8).ok().map(Box::new);
        }
        if let Some(s) = &mut self.0 {
            s.update(value);
        }
    }

    /// Adds everything that `other` has seen.
    pub fn merge(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (_, None) => {}
            (mine @ None, Some(theirs)) => *mine = Some(theirs.clone()),
            (Some(mine), Some(theirs)) => {
                if let Ok(mut union) = HllUnion::new(LG_REGISTERS) {
                    union.update(mine);
                    union.update(theirs);
                    **mine = union.to_sketch(HllType::Hll8);
                }
            }
        }
    }

    /// The estimate.
    pub fn estimate(&self) -> f64 {
        self.0.as_ref().map_or(0.0, |s| s.estimate())
    }

    /// DataSketches' bytes; empty when nothing was seen.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.as_ref().map(|s| s.serialize()).unwrap_or_default()
    }

    /// From [`Distinct::to_bytes`].
    ///
    /// # Errors
    /// [`InvalidSketch`] when the bytes are not one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidSketch> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let s = HllSketch::deserialize(bytes).map_err(|e| InvalidSketch { sketch: "HLL", why: e.to_string() })?;
        Ok(Self(Some(Box::new(s))))
    }
}

impl std::fmt::Debug for Distinct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Distinct({:.0})", self.estimate())
    }
}

impl Serialize for Distinct {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.to_bytes().serialize(s)
    }
}

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::from_bytes(&Vec::<u8>::deserialize(d)?).map_err(D::Error::custom)
    }
}

/// The most frequent values of a stream, with bounds on how often each came.
#[derive(Debug, Clone, Default)]
pub struct Frequent(Option<Box<FrequentItemsSketch<String>>>);

/// One frequent value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrequentItem {
    /// The value; cut after [`Frequent::MAX_VALUE_BYTES`].
    pub value: String,
    /// DataSketches' estimate: the upper bound, so that values which came once may be told as frequent.
    pub count: u64,
    /// The true count is at least this.
    pub at_least: u64,
    /// The true count is at most this.
    pub at_most: u64,
}

impl Frequent {
    /// Bytes of a value that are kept: longer ones count as their prefix.
    pub const MAX_VALUE_BYTES: usize = 128;

    /// Sees one value `count` times.
    pub fn push(&mut self, value: &str, count: u64) {
        if self.0.is_none() {
            self.0 = FrequentItemsSketch::new(MAP_SIZE).ok().map(Box::new);
        }
        let end = value.floor_char_boundary(Self::MAX_VALUE_BYTES);
        if let Some(s) = &mut self.0 {
            s.update_with_count_ref(&value[..end], count);
        }
    }

    /// Adds everything that `other` has seen.
    pub fn merge(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (_, None) => {}
            (mine @ None, Some(theirs)) => *mine = Some(theirs.clone()),
            (Some(mine), Some(theirs)) => mine.merge(theirs),
        }
    }

    /// Values seen, counted with repetition.
    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, |s| s.total_weight())
    }

    /// How far the two bounds of each count are apart; what [`Frequent::top`] does not list came at most so often. Zero
    /// as long as there were no more different values than the sketch holds.
    pub fn error(&self) -> u64 {
        self.0.as_ref().map_or(0, |s| s.maximum_error())
    }

    /// The values that may be frequent, most frequent first, at most `limit`.
    pub fn top(&self, limit: usize) -> Vec<FrequentItem> {
        self.items(ErrorType::NoFalseNegatives, limit)
    }

    /// Those that surely are: each came more often than [`Frequent::error`], most frequent first, at most `limit`. None
    /// where all values are rare.
    pub fn surely(&self, limit: usize) -> Vec<FrequentItem> {
        self.items(ErrorType::NoFalsePositives, limit)
    }

    fn items(&self, which: ErrorType, limit: usize) -> Vec<FrequentItem> {
        let Some(s) = &self.0 else { return Vec::new() };
        let mut rows: Vec<FrequentItem> = s
            .frequent_items(which)
            .iter()
            .map(|r| FrequentItem {
                value: r.item().clone(),
                count: r.estimate(),
                at_least: r.lower_bound(),
                at_most: r.upper_bound(),
            })
            .collect();
        rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
        rows.truncate(limit);
        rows
    }

    /// DataSketches' bytes; empty when nothing was seen.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.as_ref().map(|s| s.serialize()).unwrap_or_default()
    }

    /// From [`Frequent::to_bytes`].
    ///
    /// # Errors
    /// [`InvalidSketch`] when the bytes are not one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidSketch> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let s = FrequentItemsSketch::deserialize(bytes)
            .map_err(|e| InvalidSketch { sketch: "frequent items", why: e.to_string() })?;
        Ok(Self(Some(Box::new(s))))
    }
}

impl Serialize for Frequent {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.to_bytes().serialize(s)
    }
}

impl<'de> Deserialize<'de> for Frequent {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::from_bytes(&Vec::<u8>::deserialize(d)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
