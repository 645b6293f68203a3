//! A uniform sample of rows: those with the smallest marks.
//!
//! A row's mark is a hash of what it is called, so that the sample is the same in whatever order and in however many
//! parts the rows come, also when some come twice, and that the sample of a union is made of the samples.

/// SplitMix64's last step (Steele, Lea, Flood 2014): every bit of the mark depends on every bit of `name`.
pub(crate) fn mark(name: u64) -> u64 {
    let z = (name ^ (name >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The marks of the rows that are kept. Whoever holds their values keeps them in the same order.
#[derive(Debug, Clone)]
pub(crate) struct Lowest {
    most: usize,
    more: usize,
    bound: u64,
    marks: Vec<u64>,
}

impl Lowest {
    /// Keeps `most` rows, and up to half as many again between two calls of [`Lowest::crowded`].
    pub(crate) fn new(most: usize) -> Self {
        Self { most, more: most / 2, bound: u64::MAX, marks: Vec::new() }
    }

    /// Keeps up to `more` beyond them between two calls of [`Lowest::crowded`], not half as many.
    pub(crate) fn and(self, more: usize) -> Self {
        Self { more, ..self }
    }

    /// Rows that are held now.
    pub(crate) fn len(&self) -> usize {
        self.marks.len()
    }

    /// Whether a row with this mark can still be among the kept ones.
    pub(crate) fn wants(&self, mark: u64) -> bool {
        mark < self.bound
    }

    /// Takes a row's mark.
    pub(crate) fn push(&mut self, mark: u64) {
        self.marks.push(mark);
    }

    /// Takes all that `other` holds; its values go behind one's own.
    pub(crate) fn extend(&mut self, other: &Self) {
        self.marks.extend_from_slice(&other.marks);
    }

    /// Whether [`Lowest::settle`] is worth its while.
    pub(crate) fn crowded(&self) -> bool {
        self.marks.len() > self.most + self.more
    }

    /// Lets go of what is not kept. Returns the old places of the rows that stay, in the order of their marks, which is
    /// an order by chance; the values are to be put in it. A row that came twice stays once.
    pub(crate) fn settle(&mut self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.marks.len()).collect();
        order.sort_unstable_by_key(|at| (self.marks[*at], *at));
        order.dedup_by_key(|at| self.marks[*at]);
        if order.len() >= self.most {
            order.truncate(self.most);
            self.bound = order.last().map_or(u64::MAX, |at| self.marks[*at]);
        }
        self.marks = order.iter().map(|at| self.marks[*at]).collect();
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(parts: &[Vec<u64>], most: usize) -> Vec<u64> {
        let mut whole = Lowest::new(most);
        for part in parts {
            let mut one = Lowest::new(most);
            for name in part {
                let mark = mark(*name);
                if one.wants(mark) {
                    one.push(mark);
                }
                if one.crowded() {
                    one.settle();
                }
            }
            whole.extend(&one);
        }
        whole.settle();
        whole.marks
    }

    #[test]
    fn the_sample_is_the_same_however_the_rows_come() {
        let all: Vec<u64> = (0..10_000).collect();
        let one = kept(std::slice::from_ref(&all), 200);
        let back: Vec<u64> = all.iter().rev().copied().collect();
        let thirds: Vec<Vec<u64>> = (0..3).map(|i| all.iter().copied().filter(|n| n % 3 == i).collect()).collect();
        assert_eq!(one.len(), 200);
        assert_eq!(one, kept(&[back], 200));
        assert_eq!(one, kept(&thirds, 200));
        assert_eq!(one, kept(&[all.clone(), all], 200), "rows that come twice are one");
    }

    #[test]
    fn each_row_has_the_same_chance() {
        // Of 20 rows 5, over 4,000 sets of names: each place is drawn about 1,000 times (standard deviation 27).
        let mut drawn = [0_u32; 20];
        for set in 0..4_000_u64 {
            let names: Vec<u64> = (0..20).map(|i| set * 20 + i).collect();
            let sample = kept(std::slice::from_ref(&names), 5);
            names.iter().zip(&mut drawn).for_each(|(n, d)| *d += u32::from(sample.contains(&mark(*n))));
        }
        assert!(drawn.iter().all(|n| (880..1_120).contains(n)), "{drawn:?}");
    }

    #[test]
    fn fewer_rows_than_are_kept_all_stay() {
        assert_eq!(kept(&[vec![1, 2, 3]], 5).len(), 3);
    }
}
