//! Many sketches into one.

use super::{Block, Kll, merge_sorted};

/// As many sketches at a time are merged one after the other.
const FEW: usize = 4;
/// What compacting each by itself may add to the error, as a part of the sketch's own: 1 in 16·k of a rank, a standard
/// deviation, where the sketch's is about 1 in k.
const PART: f64 = 16.0;

impl Kll {
    /// Adds everything that `others` have seen. Of many this costs a fraction of what merging each does, and is no less
    /// exact: each is compacted by itself as far as that adds nothing that counts, and what is left is sorted once.
    pub fn merge_all(&mut self, others: &[&Self]) {
        let there: Vec<&Self> = others.iter().copied().filter(|other| other.n > 0).collect();
        if there.len() < FEW {
            for other in there {
                self.merge(other);
            }
            return;
        }
        let mine = (self.n > 0).then(|| std::mem::replace(self, Self::new(self.k)));
        let parts: Vec<&Self> = mine.iter().chain(there).collect();
        for part in &parts {
            self.k = self.k.min(part.k);
            self.n += part.n;
            self.min = self.min.min(part.min);
            self.max = self.max.max(part.max);
            self.coin = self.coin.rotate_left(32) ^ part.coin;
        }
        let top = parts.iter().map(|part| part.levels.len()).max().unwrap_or(1);
        let base = parts.iter().map(|part| part.block.base).max().unwrap_or(0);
        self.levels = vec![Vec::new(); top];
        let apart = self.apart(parts.len()).min(top - 1);
        let mut scratch = Apart::default();
        for part in parts {
            self.gather(part, apart, &mut scratch);
        }
        for level in &mut self.levels {
            level.sort_unstable_by(f64::total_cmp);
        }
        self.block = Block { base, seen: 0, drawn: self.random() & ((1 << base) - 1), item: 0.0 };
        self.compress();
        self.shrink();
    }

    /// Up to which level each of `parts` sketches may be compacted by itself. Each compaction of a level `h` moves a rank by
    /// at most 2^h either way, independently of the others, so that all of all parts below level `g` have a standard
    /// deviation of at most √(parts / 12) · 2^g.
    fn apart(&self, parts: usize) -> usize {
        let allowed = self.n as f64 / (PART * f64::from(self.k));
        let weight = allowed / (parts as f64 / 12.0).sqrt();
        if weight < 2.0 { 0 } else { weight.log2() as usize }
    }

    /// Takes the items of `part`, those below the level `apart` compacted up to it.
    fn gather(&mut self, part: &Self, apart: usize, scratch: &mut Apart) {
        let ended = |level: usize| part.block.seen >> level & 1 == 1;
        scratch.up.clear();
        for level in 0..apart {
            let items = &mut scratch.items;
            items.clear();
            if let Some(held) = part.levels.get(level) {
                items.extend_from_slice(held);
            }
            if level == usize::from(part.block.base) {
                items.sort_unstable_by(f64::total_cmp);
            }
            if ended(level) {
                merge_sorted(items, &[part.block.item]);
            }
            merge_sorted(items, &scratch.up);
            // An odd one out stays: weights must add up to n.
            if items.len() % 2 == 1 {
                self.levels[level].extend(items.pop());
            }
            let odd = usize::from(!items.is_empty() && self.random() & 1 == 1);
            scratch.up.clear();
            scratch.up.extend(items.iter().skip(odd).step_by(2));
        }
        self.levels[apart].extend_from_slice(&scratch.up);
        for level in apart..self.levels.len() {
            if let Some(held) = part.levels.get(level) {
                self.levels[level].extend_from_slice(held);
            }
            if ended(level) {
                self.levels[level].push(part.block.item);
            }
        }
    }
}

/// Room to compact in.
#[derive(Default)]
struct Apart {
    items: Vec<f64>,
    /// What goes up to the next level.
    up: Vec<f64>,
}
