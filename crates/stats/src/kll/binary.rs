//! DataSketches' binary form of a sketch of doubles, which its Java, C++ and Python libraries read and write.

use super::{Block, Kll, MAX_LEVELS, MIN_CAPACITY, Stored, merge_sorted};
use crate::InvalidSketch;

const FAMILY: u8 = 15;
const EMPTY: u8 = 1;
const SORTED: u8 = 2;
const SINGLE: u8 = 4;
/// The least capacity of a level, which DataSketches calls m.
const LEAST: u8 = 8;

/// Capacity of each level there: k · (2/3)^depth, rounded in whole numbers.
fn capacity(k: u16, levels: usize, level: usize) -> usize {
    fn shallow(k: u64, depth: u32) -> u64 {
        (((k << (depth + 1)) / 3_u64.pow(depth)) + 1) >> 1
    }
    let depth = (levels - level - 1) as u32;
    let wide = if depth <= 30 {
        shallow(u64::from(k), depth)
    } else {
        shallow(shallow(u64::from(k), depth / 2), depth - depth / 2)
    };
    (wide as usize).max(usize::from(LEAST))
}

fn total(k: u16, levels: usize) -> usize {
    (0..levels).map(|level| capacity(k, levels, level)).sum()
}

impl Kll {
    /// The sketch as DataSketches stores it. Where it holds more than DataSketches would, it is compacted first, within
    /// the same error.
    pub fn to_datasketches(&self) -> Vec<u8> {
        let mut bytes = vec![2, 1, FAMILY, SORTED];
        bytes.extend(self.k.to_le_bytes());
        bytes.extend([LEAST, 0]);
        match self.n {
            0 => {
                bytes[3] |= EMPTY;
                return bytes;
            }
            1 => {
                bytes[1] = 2;
                bytes[3] |= SINGLE;
                bytes.extend(self.min.to_le_bytes());
                return bytes;
            }
            _ => bytes[0] = 5,
        }
        let levels = self.clone().fitted();
        let held: usize = levels.iter().map(Vec::len).sum();
        bytes.extend(self.n.to_le_bytes());
        bytes.extend(self.k.to_le_bytes());
        bytes.extend([levels.len() as u8, 0]);
        let mut offset = total(self.k, levels.len()) - held;
        for level in &levels {
            bytes.extend((offset as u32).to_le_bytes());
            offset += level.len();
        }
        let items = [self.min, self.max].into_iter().chain(levels.into_iter().flatten());
        items.for_each(|item| bytes.extend(item.to_le_bytes()));
        bytes
    }

    /// Sorted levels that fit DataSketches' capacities.
    fn fitted(mut self) -> Vec<Vec<f64>> {
        self.end_block();
        self.levels[usize::from(self.block.base)].sort_unstable_by(f64::total_cmp);
        loop {
            while self.levels.len() > 1 && self.levels.last().is_some_and(Vec::is_empty) {
                self.levels.pop();
            }
            let levels = self.levels.len();
            if self.levels.iter().map(Vec::len).sum::<usize>() <= total(self.k, levels) {
                return self.levels;
            }
            let full = (0..levels).find(|h| self.levels[*h].len() >= capacity(self.k, levels, *h));
            let Some(level) = full else { return self.levels };
            if level + 1 == levels {
                self.levels.push(Vec::new());
            }
            let odd = usize::from(self.random() & 1 == 1);
            let mut items = std::mem::take(&mut self.levels[level]);
            let left = (items.len() % 2 == 1).then(|| items.pop()).flatten();
            let promoted: Vec<f64> = items.into_iter().skip(odd).step_by(2).collect();
            self.levels[level].extend(left);
            merge_sorted(&mut self.levels[level + 1], &promoted);
        }
    }

    /// From DataSketches' form of a sketch of doubles.
    ///
    /// # Errors
    /// [`InvalidSketch`] when the bytes are not one.
    pub fn from_datasketches(bytes: &[u8]) -> Result<Self, InvalidSketch> {
        let mut rest = Reader(bytes);
        let [preamble, version, family, flags] = rest.take::<4>()?;
        let k = u16::from_le_bytes(rest.take()?);
        let [least, _] = rest.take::<2>()?;
        let (empty, single) = (flags & EMPTY != 0, flags & SINGLE != 0);
        let whole = !empty && !single;
        if family != FAMILY || least != LEAST || k < MIN_CAPACITY as u16 {
            return Err(invalid(format!("its family is {family}, its m {least} and its k {k}")));
        }
        if preamble != if whole { 5 } else { 2 } || version != if single { 2 } else { 1 } {
            return Err(invalid(format!("its preamble is {preamble} and its version {version}")));
        }
        let block = Block { base: 0, seen: 0, drawn: 0, item: 0.0 };
        let coin = Self::new(k).coin;
        if empty {
            return Ok(Self::new(k));
        }
        if single {
            let item = rest.number()?;
            return Stored { k, n: 1, min: item, max: item, coin, block, levels: vec![vec![item]] }.try_into();
        }
        let n = u64::from_le_bytes(rest.take()?);
        let _min_k = rest.take::<2>()?;
        let [count, _] = rest.take::<2>()?;
        let count = usize::from(count);
        if count == 0 || count >= MAX_LEVELS {
            return Err(invalid(format!("it has {count} levels")));
        }
        let mut offsets = (0..count).map(|_| rest.take().map(u32::from_le_bytes)).collect::<Result<Vec<u32>, _>>()?;
        offsets.push(total(k, count) as u32);
        let (min, max) = (rest.number()?, rest.number()?);
        let mut levels = Vec::with_capacity(count);
        for pair in offsets.windows(2) {
            let Some(length) = pair[1].checked_sub(pair[0]) else {
                return Err(invalid("its levels are not in order".into()));
            };
            let level = (0..length).map(|_| rest.number()).collect::<Result<Vec<f64>, _>>()?;
            levels.push(level);
        }
        let ends = levels.iter().flatten().any(|v| *v < min || *v > max);
        if !rest.0.is_empty() || ends || !(min.is_finite() && max.is_finite()) {
            return Err(invalid("its items are not between its ends, or more than it says".into()));
        }
        Stored { k, n, min, max, coin, block, levels }.try_into()
    }
}

fn invalid(why: String) -> InvalidSketch {
    InvalidSketch { sketch: "KLL", why }
}

/// What is left of the bytes.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], InvalidSketch> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or_else(|| invalid("it ends early".into()))?;
        self.0 = rest;
        Ok(*head)
    }

    fn number(&mut self) -> Result<f64, InvalidSketch> {
        self.take().map(f64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cases, list, near, number};
    use serde_json::Value;

    fn bytes(value: &Value) -> Vec<u8> {
        let hex = value.as_str().unwrap();
        (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect()
    }

    fn stream(n: u64) -> Vec<f64> {
        let mut coin = crate::stream::Coin::new(n);
        (0..n).map(|_| coin.unit()).collect()
    }

    /// What the Python library wrote, we read; what we wrote, it read, and found this in it.
    #[test]
    fn datasketches_reads_ours_and_we_read_its() {
        for case in list(&cases(include_str!("../../oracles/datasketches.json"))["kll"]) {
            let theirs = Kll::from_datasketches(&bytes(&case["theirs"])).unwrap();
            let n = case["n"].as_u64().unwrap();
            let values = stream(n);
            assert_eq!(theirs.count(), n);
            for pair in list(&case["ranks"]) {
                near(theirs.rank(number(&pair[0])).unwrap(), number(&pair[1]), 1e-12, "rank");
            }
            let mut ours = Kll::new(200);
            ours.extend(&values);
            let written = ours.to_datasketches();
            assert_eq!(written, bytes(&case["ours"]), "the form of {n} values has changed: write the oracle anew");
            let back = Kll::from_datasketches(&written).unwrap();
            assert_eq!((back.count(), back.min(), back.max()), (n, ours.min(), ours.max()));
            for pair in list(&case["read"]) {
                let rank = number(&pair[1]);
                near(back.rank(number(&pair[0])).unwrap(), rank, 1e-12, "rank that it read");
                let truth = values.iter().filter(|v| **v <= number(&pair[0])).count() as f64 / n as f64;
                assert!((rank - truth).abs() <= 2.0 * ours.rank_error(), "{n}: {pair}");
            }
        }
    }

    #[test]
    fn a_sketch_that_came_back_goes_on() {
        let mut sketch = Kll::new(200);
        sketch.extend(&stream(300_000));
        let mut back = Kll::from_datasketches(&sketch.to_datasketches()).unwrap();
        back.extend(&stream(300_001));
        back.merge(&sketch);
        assert_eq!(back.count(), 900_001);
        assert!((back.rank(0.25).unwrap() - 0.25).abs() < 2.0 * back.rank_error());
        for n in [0, 1, 2] {
            let mut small = Kll::default();
            small.extend(&stream(n));
            assert_eq!(Kll::from_datasketches(&small.to_datasketches()).unwrap().count(), n);
        }
    }

    /// Any byte that is cut off or changed gives an error or a sketch whose parts belong together.
    #[test]
    fn damaged_bytes_are_refused() {
        let mut sketch = Kll::default();
        sketch.extend(&stream(5_000));
        let whole = sketch.to_datasketches();
        for end in 0..whole.len() {
            assert!(Kll::from_datasketches(&whole[..end]).is_err(), "{end}");
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x81;
            if let Ok(read) = Kll::from_datasketches(&damaged) {
                assert!(read.rank(0.5).is_some_and(|r| (0.0..=1.0).contains(&r)));
            }
        }
    }
}
