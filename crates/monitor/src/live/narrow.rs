//! Numbers that are kept by the thousand: half as wide while each is what a narrow number can say.

/// Numbers by their bits, NaN for one that is missing: half as wide while each is what a narrow number can say, as those
/// that a model takes as such are.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kept {
    Narrow(Vec<u32>),
    Wide(Vec<u64>),
}

/// Room that is made at a time. Doubling would hold more than is ever filled.
const MORE: usize = 128;

fn push<T>(into: &mut Vec<T>, value: T) {
    if into.len() == into.capacity() {
        into.reserve_exact(MORE);
    }
    into.push(value);
}

fn every_other<T>(values: &mut Vec<T>) {
    let mut at = 0_usize;
    values.retain(|_| {
        at += 1;
        at % 2 == 1
    });
}

impl Kept {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Narrow(bits) => bits.len(),
            Self::Wide(bits) => bits.len(),
        }
    }

    pub(super) fn values(&self) -> impl Iterator<Item = f64> {
        let (narrow, wide) = match self {
            Self::Narrow(bits) => (bits.as_slice(), [].as_slice()),
            Self::Wide(bits) => ([].as_slice(), bits.as_slice()),
        };
        let narrow = narrow.iter().map(|bits| f64::from(f32::from_bits(*bits)));
        narrow.chain(wide.iter().map(|bits| f64::from_bits(*bits)))
    }

    /// One more, NaN for one that is missing.
    pub(super) fn push(&mut self, value: f64) {
        let missing = value.is_nan();
        if let Self::Narrow(bits) = self {
            let narrow = value as f32;
            if missing || f64::from(narrow).to_bits() == value.to_bits() {
                push(bits, if missing { f32::NAN } else { narrow }.to_bits());
                return;
            }
            *self = Self::Wide(self.values().map(wide).collect());
        }
        if let Self::Wide(bits) = self {
            push(bits, wide(value));
        }
    }

    /// Keeps every other one.
    pub(super) fn thin(&mut self) {
        match self {
            Self::Narrow(bits) => every_other(bits),
            Self::Wide(bits) => every_other(bits),
        }
    }

    /// Those at some places, in that order.
    pub(super) fn arrange(&mut self, order: &[usize]) {
        match self {
            Self::Narrow(bits) => *bits = order.iter().map(|at| bits[*at]).collect(),
            Self::Wide(bits) => *bits = order.iter().map(|at| bits[*at]).collect(),
        }
    }
}

impl Default for Kept {
    fn default() -> Self {
        Self::Narrow(Vec::new())
    }
}

/// A number's bits, the same for every NaN.
pub(super) fn wide(value: f64) -> u64 {
    if value.is_nan() { f64::NAN } else { value }.to_bits()
}

impl FromIterator<f64> for Kept {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut kept = Self::default();
        kept.extend(values);
        kept
    }
}

impl Extend<f64> for Kept {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, values: I) {
        values.into_iter().for_each(|value| self.push(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Narrow numbers are kept as such, and nothing is lost of those that are not.
    #[test]
    fn numbers_are_as_wide_as_they_need_to_be() {
        let of = |values: &[f64]| {
            let mut kept: Kept = values.iter().copied().collect();
            let bits = |kept: &Kept| kept.values().map(f64::to_bits).collect::<Vec<u64>>();
            assert_eq!(bits(&kept), values.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
            let was = bits(&kept);
            kept.arrange(&[1, 0]);
            assert_eq!(bits(&kept), [was[1], was[0]]);
            matches!(kept, Kept::Narrow(_))
        };
        assert!(of(&[0.5, -0.0, f64::NAN, f64::from(0.1_f32), 16_777_216.0]));
        assert!(!of(&[0.5, f64::NAN, 0.1]) && !of(&[16_777_217.0, 1.0]) && !of(&[f64::MAX, 1.0]));
    }
}
