//! Decimal numbers: one pass over the text gives digits and exponent, from which most values follow
//! by one exact multiplication; the rest go through the standard library's parser.

/// Powers of ten that a 64-bit float holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// A number as it was written.
#[derive(Debug, Clone, Copy)]
pub struct Decimal<'a> {
    /// The text of it.
    pub text: &'a str,
    pub(crate) negative: bool,
    /// The digits without the point.
    pub(crate) mantissa: u64,
    /// How many digits there are from the first that is not zero; the mantissa is right up to 19.
    pub(crate) digits: u32,
    /// Power of ten that the mantissa is multiplied by.
    pub(crate) exponent: i32,
    /// Whether it has neither point nor exponent.
    pub(crate) whole: bool,
    /// `NaN`, `Infinity` or `-Infinity`.
    pub(crate) word: bool,
}

impl Decimal<'_> {
    fn exact_digits(&self) -> bool {
        self.digits <= 19 && !self.word
    }

    /// The 64-bit float within 2 units in the last place of the value; `None` when digits or exponent
    /// are outside of what one multiplication does.
    fn near(&self) -> Option<f64> {
        let power = POWERS.get(self.exponent.unsigned_abs() as usize)?;
        if !self.exact_digits() {
            return None;
        }
        let mantissa = self.mantissa as f64;
        let value = if self.exponent < 0 { mantissa / power } else { mantissa * power };
        Some(if self.negative { -value } else { value })
    }

    /// As a 32-bit float, correctly rounded. `None` when the value is beyond its range.
    pub fn f32(&self) -> Option<f32> {
        // A 64-bit float has 29 bits more. Where they are clear of the middle between two 32-bit
        // floats by more than the error, cutting them off rounds as the exact value would.
        const MIDDLE: u64 = 1 << 28;
        if let Some(near) = self.near() {
            let low = near.to_bits() & ((1 << 29) - 1);
            let size = near.abs();
            if low.abs_diff(MIDDLE) > 4 && size >= f64::from(f32::MIN_POSITIVE) && size < f64::from(f32::MAX) {
                return Some(near as f32);
            }
        }
        self.text.parse::<f32>().ok().filter(|v| v.is_finite() || self.word)
    }

    /// As a 64-bit float, correctly rounded. `None` when the value is beyond its range.
    pub fn f64(&self) -> Option<f64> {
        // With an exact mantissa one multiplication rounds once (Clinger 1990).
        if self.mantissa < 1 << 53
            && let Some(exact) = self.near()
        {
            return Some(exact);
        }
        self.text.parse::<f64>().ok().filter(|v| v.is_finite() || self.word)
    }

    /// As a whole number. `None` when it has a fraction, an exponent, or does not fit.
    pub fn whole<T: TryFrom<u64> + TryFrom<i64> + std::str::FromStr>(&self) -> Option<T> {
        if !self.whole {
            return None;
        }
        if self.digits > 18 {
            return self.text.parse().ok();
        }
        if self.negative {
            // 18 digits fit a signed 64-bit number.
            i64::try_from(self.mantissa).ok().and_then(|m| T::try_from(-m).ok())
        } else {
            T::try_from(self.mantissa).ok()
        }
    }
}
