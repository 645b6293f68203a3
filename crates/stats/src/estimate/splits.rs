//! The rows that scikit-learn's `StratifiedShuffleSplit(n_splits, test_size=0.1, random_state=42)` holds out: which they
//! are decides whether NannyML calibrates where it is a near thing. So numpy's old generator is here as well.

/// The Mersenne twister MT19937 (Matsumoto and Nishimura 1998), seeded as numpy's `RandomState(seed)`.
struct Twister {
    state: [u32; 624],
    next: usize,
}

impl Twister {
    fn new(seed: u32) -> Self {
        let mut state = [seed; 624];
        for i in 1..624 {
            let last = state[i - 1];
            state[i] = 1_812_433_253_u32.wrapping_mul(last ^ (last >> 30)).wrapping_add(i as u32);
        }
        Self { state, next: 624 }
    }

    fn draw(&mut self) -> u32 {
        if self.next == 624 {
            for i in 0..624 {
                let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % 624] & 0x7fff_ffff);
                let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[i] = self.state[(i + 397) % 624] ^ (y >> 1) ^ odd;
            }
            self.next = 0;
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// From 0 to and with `most`.
    fn up_to(&mut self, most: u32) -> u32 {
        if most == 0 {
            return 0;
        }
        let mask = u32::MAX >> most.leading_zeros();
        loop {
            let value = self.draw() & mask;
            if value <= most {
                return value;
            }
        }
    }

    fn shuffle(&mut self, values: &mut [usize]) {
        for i in (1..values.len()).rev() {
            values.swap(i, self.up_to(i as u32) as usize);
        }
    }
}

/// `n` draws shared out among classes in proportion, what is left over to the greatest remainders.
fn shared(counts: [usize; 2], n: usize, twister: &mut Twister) -> [usize; 2] {
    let total = (counts[0] + counts[1]) as f64;
    let exact = counts.map(|c| c as f64 / total * n as f64);
    let mut given = exact.map(|x| x.floor() as usize);
    let mut left = n - given[0] - given[1];
    let rest = [exact[0] - exact[0].floor(), exact[1] - exact[1].floor()];
    if left > 0 && rest[0] == rest[1] {
        let mut order = [0, 1];
        twister.shuffle(&mut order);
        order.iter().take(left).for_each(|class| given[*class] += 1);
        return given;
    }
    for class in if rest[0] > rest[1] { [0, 1] } else { [1, 0] } {
        let one = left.min(1);
        given[class] += one;
        left -= one;
    }
    given
}

/// The rows held out of each of `splits`; `truth` has rows of both classes.
pub(super) fn held_out(truth: &[bool], splits: usize) -> Vec<Vec<usize>> {
    let mut twister = Twister::new(42);
    let sides = [false, true].map(|class| (0..truth.len()).filter(|at| truth[*at] == class).collect::<Vec<_>>());
    let counts = sides.each_ref().map(Vec::len);
    let held = truth.len().div_ceil(10);
    let mut found = Vec::with_capacity(splits);
    for _ in 0..splits {
        let kept = shared(counts, truth.len() - held, &mut twister);
        let tested = shared([counts[0] - kept[0], counts[1] - kept[1]], held, &mut twister);
        let (mut train, mut test) = (Vec::new(), Vec::new());
        for class in 0..2 {
            let mut order: Vec<usize> = (0..counts[class]).collect();
            twister.shuffle(&mut order);
            let rows = order.iter().map(|at| sides[class][*at]);
            train.extend(rows.clone().take(kept[class]));
            test.extend(rows.skip(kept[class]).take(tested[class]));
        }
        // Their order means nothing here, but the generator moves on.
        twister.shuffle(&mut train);
        twister.shuffle(&mut test);
        found.push(test);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `numpy.random.RandomState(42).randint(0, 2**32, 3, dtype="uint32")` and `.permutation(10)` of a fresh one.
    #[test]
    fn it_is_numpys_generator() {
        let mut twister = Twister::new(42);
        assert_eq!([(); 3].map(|()| twister.draw()), [1_608_637_542, 3_421_126_067, 4_083_286_876]);
        let mut order: Vec<usize> = (0..10).collect();
        Twister::new(42).shuffle(&mut order);
        assert_eq!(order, [8, 1, 5, 0, 7, 2, 9, 4, 3, 6]);
    }
}
