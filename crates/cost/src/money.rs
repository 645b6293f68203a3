//! Amounts of money, exact: whole numbers of 10⁻¹² of a currency.
//!
//! A second of a small machine costs about 10⁻⁵ of a currency and an answer about 10⁻⁹, so millionths are too coarse to
//! add answers up from; sums of floating-point numbers are no sums of money at all.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};
use std::str::FromStr;

/// Digits behind the point.
const DIGITS: usize = 12;
/// Parts of one.
const ONE: i128 = 1_000_000_000_000;
/// The largest amount that may be written down; what follows from it cannot overflow.
const MOST: i128 = 1_000_000_000 * ONE;

/// An amount of some currency, in 10⁻¹² of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(pub i128);

impl Money {
    /// One of the currency.
    pub const ONE: Self = Self(ONE);

    /// An amount as machines write it: with any number of digits, of which those beyond the twelfth are rounded, and with a
    /// power of ten behind it, `4.1666666e-05`.
    ///
    /// # Errors
    /// When it is none.
    pub fn rounded(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no amount");
        let (sign, rest) = text.trim().strip_prefix('-').map_or((1, text.trim()), |rest| (-1, rest));
        let (number, power) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
        let power: i32 = power.parse().map_err(|_| wrong())?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || digits.len() > 64 || power.abs() > 40 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        // Where the last digit that counts stands.
        let end = whole.len() as i32 + power + DIGITS as i32;
        let at =
            |i: i32| usize::try_from(i).ok().and_then(|i| digits.as_bytes().get(i)).map_or(0, |b| i128::from(b - b'0'));
        let mut amount: i128 = 0;
        for i in 0..end.max(0) {
            amount = amount * 10 + at(i);
            if amount > MOST {
                return Err(format!("{text:?} is more than {}", Self(MOST)));
            }
        }
        Ok(Self(sign * (amount + i128::from(at(end) >= 5))))
    }

    /// `amount × of ÷ per`, towards zero, exact however large the product is. `per` is not 0.
    #[must_use]
    pub fn share(self, of: u128, per: u128) -> Self {
        let (amount, per) = (self.0.unsigned_abs(), per.max(1));
        let shared = amount.checked_mul(of).map_or_else(|| divided(amount, of, per), |product| product / per);
        let shared = i128::try_from(shared).unwrap_or(i128::MAX);
        Self(if self.0 < 0 { -shared } else { shared })
    }

    /// `amount × n`.
    #[must_use]
    pub fn times(self, n: u64) -> Self {
        Self(self.0.saturating_mul(i128::from(n)))
    }

    /// As a floating-point number, for statistics and charts; never for sums.
    pub fn approximate(self) -> f64 {
        self.0 as f64 / ONE as f64
    }
}

/// `a × b ÷ per`, digit by binary digit of `b`, since the product may have more than 128 of them.
fn divided(a: u128, b: u128, per: u128) -> u128 {
    let (whole, part) = (a / per, a % per);
    let (mut quotient, mut rest) = (0_u128, 0_u128);
    // What is added is less than `per`, and so is the sum after it.
    let add = |rest: u128, more: u128| if more >= per - rest { (more - (per - rest), 1) } else { (rest + more, 0) };
    for digit in (0..u128::BITS - b.leading_zeros()).rev() {
        let (doubled, over) = add(rest, rest);
        (rest, quotient) = (doubled, quotient.saturating_mul(2).saturating_add(over));
        if (b >> digit) & 1 == 1 {
            let (sum, over) = add(rest, part);
            (rest, quotient) = (sum, quotient.saturating_add(whole).saturating_add(over));
        }
    }
    quotient
}

impl Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Money {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

/// All digits that there are: `12.5`, `-0.00000416`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, rest) = (self.0.unsigned_abs() / ONE.unsigned_abs(), self.0.unsigned_abs() % ONE.unsigned_abs());
        if rest == 0 {
            return write!(f, "{sign}{whole}");
        }
        let digits = format!("{rest:0DIGITS$}");
        write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl FromStr for Money {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("{text:?} is no amount; write digits with at most {DIGITS} behind the point, in quotes: \"0.0416\"")
        };
        let rest = text.trim().strip_prefix('-').unwrap_or(text.trim());
        let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let sized = !whole.is_empty() && whole.len() <= 12 && fraction.len() <= DIGITS;
        if !sized || !digits(whole) || !digits(fraction) || rest.ends_with('.') {
            return Err(wrong());
        }
        Self::rounded(text)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_str(Digits)
    }
}

/// Reads an amount, and says to whoever writes a number that it stands in quotes.
struct Digits;

impl Visitor<'_> for Digits {
    type Value = Money;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount in quotes, such as \"0.0416\"")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Money, E> {
        text.parse().map_err(E::custom)
    }
}

impl JsonSchema for Money {
    fn schema_name() -> Cow<'static, str> {
        "Money".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,12})?$",
            "description": "An exact amount as text, such as \"0.0416\".",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn money(text: &str) -> Money {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        for text in ["0", "1", "12.5", "0.000000000001", "-0.25", "1000000000", "0.0416"] {
            assert_eq!(money(text).to_string(), text);
        }
        assert_eq!(money("007.500").to_string(), "7.5");
        for text in ["", ".5", "1.", "1e3", "0.0000000000001", "1,5", "--1", "+1", "1000000000.1", "1 EUR", "٣"] {
            assert!(text.parse::<Money>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_tenth_ten_times_is_one() {
        assert_eq!((0..10).map(|_| money("0.1")).sum::<Money>(), money("1"));
        assert_eq!(money("0.0416").share(1_800, 3_600), money("0.0208"));
    }

    #[test]
    fn a_number_is_told_to_stand_in_quotes() {
        let error = serde_json::from_str::<Money>("0.4").unwrap_err().to_string();
        assert!(error.contains("expected an amount in quotes"), "{error}");
    }

    proptest! {
        #[test]
        fn any_amount_comes_back(amount in -MOST..MOST) {
            prop_assert_eq!(money(&Money(amount).to_string()), Money(amount));
        }

        #[test]
        fn a_share_is_exact_where_the_product_is_not(amount in 0..MOST, n in 0_u128..1_000_000, half in 1_u128..1 << 90) {
            let per = half * 2;
            let expected = amount * i128::try_from(n).unwrap() + amount / 2;
            prop_assert_eq!(Money(amount).share(n * per + half, per), Money(expected));
            prop_assert_eq!(Money(-amount).share(n * per + half, per), Money(-expected));
        }

        #[test]
        fn shares_never_add_up_to_more(amount in 0..MOST, parts in proptest::collection::vec(0_u64..1_000_000_000, 1..20)) {
            let all: u64 = parts.iter().sum();
            prop_assume!(all > 0);
            let shared: Money = parts.iter().map(|p| Money(amount).share(u128::from(*p), u128::from(all))).sum();
            prop_assert!(shared <= Money(amount) && Money(amount).0 - shared.0 <= parts.len() as i128);
        }
    }
}
