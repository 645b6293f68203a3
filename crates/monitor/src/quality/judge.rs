//! Rules that a row keeps or breaks by itself.

use super::rows::{Column, Place, Set};
use super::rules::{Check, Range};
use std::cmp::Ordering;

/// The values of a column, whatever holds them. A value is a number, a text or missing.
pub(super) trait Cells: Copy {
    fn is_missing(self, row: usize) -> bool;
    fn number(self, row: usize) -> Option<f64>;
    fn text<'a>(self, row: usize) -> Option<&'a str>
    where
        Self: 'a;
}

impl Cells for &Column {
    fn is_missing(self, row: usize) -> bool {
        Column::is_missing(self, row)
    }

    fn number(self, row: usize) -> Option<f64> {
        Column::number(self, row)
    }

    fn text<'a>(self, row: usize) -> Option<&'a str>
    where
        Self: 'a,
    {
        Column::text(self, row)
    }
}

/// Whether the row keeps the rule; `None` where the rule is not about it. `sides` are the rule's columns in the order of
/// [`Check::columns`]; `same` says whether the two values of a pair that are no numbers are the same.
pub(super) fn judge<C: Cells>(
    check: &Check,
    sides: impl Fn(usize) -> C,
    row: usize,
    same: impl Fn() -> bool,
) -> Option<bool> {
    let one = sides(0);
    let given = || (!one.is_missing(row)).then_some(());
    match check {
        Check::ExpectColumnValuesToNotBeNull(_) => Some(!one.is_missing(row)),
        Check::ExpectColumnValuesToBeNull(_) => Some(one.is_missing(row)),
        Check::ExpectColumnValuesToBeBetween(b) => {
            given().map(|()| one.number(row).is_some_and(|x| Range::from(b).holds(x)))
        }
        Check::ExpectColumnValuesToMatchRegex(m) => {
            given().map(|()| one.text(row).is_some_and(|t| m.regex.0.is_match(t)))
        }
        Check::ExpectColumnValuesToNotMatchRegex(m) => {
            given().map(|()| one.text(row).is_none_or(|t| !m.regex.0.is_match(t)))
        }
        Check::ExpectColumnValueLengthsToBeBetween(b) => {
            given().map(|()| length(one.text(row)).is_some_and(|n| Range::from(b).holds(n)))
        }
        Check::ExpectColumnValueLengthsToEqual(c) => given().map(|()| length(one.text(row)) == Some(c.value as f64)),
        Check::ExpectColumnPairValuesAToBeGreaterThanB(pair) => {
            let other = sides(1);
            both((one.is_missing(row), other.is_missing(row)), pair.ignore_row_if.as_deref())?;
            // Dates and times as ISO 8601 are in the order of their texts.
            let order = match (one.number(row), other.number(row)) {
                (Some(a), Some(b)) => a.partial_cmp(&b),
                _ => one.text(row).zip(other.text(row)).map(|(a, b)| a.cmp(b)),
            };
            Some(order == Some(Ordering::Greater) || (pair.or_equal && order == Some(Ordering::Equal)))
        }
        Check::ExpectColumnPairValuesToBeEqual(pair) => {
            let other = sides(1);
            both((one.is_missing(row), other.is_missing(row)), pair.ignore_row_if.as_deref())?;
            Some(match (one.number(row), other.number(row)) {
                (Some(a), Some(b)) => a == b,
                _ => same(),
            })
        }
        Check::ExpectMulticolumnSumToEqual(s) => {
            let count = s.column_list.len();
            let missing = (0..count).filter(|at| sides(*at).is_missing(row)).count();
            let ignored = match s.ignore_row_if.as_deref() {
                Some("never") => false,
                Some("any_value_is_missing") => missing > 0,
                _ => missing == count,
            };
            let sum: Option<f64> = (0..count).map(|at| sides(at).number(row)).sum();
            // Decimal fractions do not add up to the last digit.
            let close = |sum: f64| (sum - s.total).abs() <= 1e-9 * (1.0 + s.total.abs());
            (!ignored).then(|| sum.is_some_and(close))
        }
        _ => Some(true),
    }
}

/// Whether the row keeps a rule about a set.
pub(super) fn in_set(check: &Check, place: Place) -> Option<bool> {
    let excluded = matches!(check, Check::ExpectColumnValuesToNotBeInSet(_));
    match place {
        Place::Missing => None,
        place => Some((place == Place::Outside) == excluded),
    }
}

/// Whether a row is one of those that a rule is about.
pub(super) fn is_about<C: Cells>(set: &Set, column: C, row: usize) -> bool {
    matches!(set.place(column, row), Place::At(_))
}

fn length(text: Option<&str>) -> Option<f64> {
    text.map(|t| t.chars().count() as f64)
}

/// `None` where the row is ignored.
fn both(missing: (bool, bool), ignore: Option<&str>) -> Option<()> {
    let ignored = match ignore {
        Some("neither") => false,
        Some("either_value_is_missing") => missing.0 || missing.1,
        _ => missing.0 && missing.1,
    };
    (!ignored).then_some(())
}
