//! Rules that a row keeps or breaks by itself.

use super::arguments::{InRange, MatchOn, Range};
use super::end::moment;
use super::rows::{Column, Pairs, Place, Set};
use super::rules::Check;
use serde::de::IgnoredAny;
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
        Check::ExpectColumnValuesToNotBeNull(_) | Check::ExpectColumnProportionOfNonNullValuesToBeBetween(_) => {
            Some(!one.is_missing(row))
        }
        Check::ExpectColumnValuesToBeNull(_) => Some(one.is_missing(row)),
        Check::ExpectColumnValuesToBeBetween(b) => {
            given().map(|()| measured(b, one, row).is_some_and(|x| Range::from(b).holds(x)))
        }
        Check::ExpectColumnValuesToMatchRegex(m) => {
            given().map(|()| one.text(row).is_some_and(|t| m.regex.is_in(t) == Some(true)))
        }
        Check::ExpectColumnValuesToNotMatchRegex(m) => {
            given().map(|()| one.text(row).is_none_or(|t| m.regex.is_in(t) == Some(false)))
        }
        Check::ExpectColumnValuesToMatchRegexList(m) => given().map(|()| {
            one.text(row).is_some_and(|t| {
                let mut found = m.regex_list.iter().map(|regex| regex.is_in(t) == Some(true));
                if m.match_on == Some(MatchOn::All) { found.all(|is| is) } else { found.any(|is| is) }
            })
        }),
        Check::ExpectColumnValuesToNotMatchRegexList(m) => given()
            .map(|()| one.text(row).is_none_or(|t| m.regex_list.iter().all(|regex| regex.is_in(t) == Some(false)))),
        Check::ExpectColumnValuesToBeJsonParseable(_) => {
            given().map(|()| one.text(row).is_some_and(|t| serde_json::from_str::<IgnoredAny>(t).is_ok()))
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
        Check::ExpectSelectColumnValuesToBeUniqueWithinRecord(c) => {
            let count = c.column_list.len();
            several((0..count).map(|at| sides(at).is_missing(row)), c.ignore_row_if.as_deref())?;
            let other = |a: C, b: C| match (a.number(row), b.number(row)) {
                (Some(a), Some(b)) => a != b,
                // Two missing values are the same.
                _ => a.text(row) != b.text(row) || a.is_missing(row) != b.is_missing(row),
            };
            Some((0..count).all(|b| (0..b).all(|a| other(sides(a), sides(b)))))
        }
        Check::ExpectMulticolumnSumToEqual(s) => {
            let count = s.column_list.len();
            several((0..count).map(|at| sides(at).is_missing(row)), s.ignore_row_if.as_deref())?;
            let sum: Option<f64> = (0..count).map(|at| sides(at).number(row)).sum();
            // Decimal fractions do not add up to the last digit.
            let close = |sum: f64| (sum - s.total).abs() <= 1e-9 * (1.0 + s.total.abs());
            Some(sum.is_some_and(close))
        }
        _ => Some(true),
    }
}

/// A value as a range measures it: the number, or of a range of dates and times the moment that a text is.
pub(super) fn measured<C: Cells>(range: &InRange, column: C, row: usize) -> Option<f64> {
    if range.is_of_times() { column.text(row).and_then(moment) } else { column.number(row) }
}

/// Whether the row keeps a rule about a set.
pub(super) fn in_set(check: &Check, place: Place) -> Option<bool> {
    let excluded = matches!(check, Check::ExpectColumnValuesToNotBeInSet(_));
    match place {
        Place::Missing => None,
        place => Some((place == Place::Outside) == excluded),
    }
}

/// Whether the row keeps a rule about pairs of values.
pub(super) fn in_pairs<C: Cells>(pairs: &Pairs, (a, b): (C, C), row: usize) -> Option<bool> {
    both((a.is_missing(row), b.is_missing(row)), pairs.ignore.as_deref())?;
    Some(pairs.have(a, b, row))
}

/// Whether a row is one of those that a rule is about.
pub(super) fn is_about<C: Cells>(set: &Set, column: C, row: usize) -> bool {
    matches!(set.place(column, row), Place::At(_))
}

fn length(text: Option<&str>) -> Option<f64> {
    text.map(|t| t.chars().count() as f64)
}

/// `None` where a row of several columns is ignored. `missing` says of each whether it lacks its value.
pub(super) fn several(mut missing: impl Iterator<Item = bool>, ignore: Option<&str>) -> Option<()> {
    let ignored = match ignore {
        Some("never") => false,
        Some("any_value_is_missing") => missing.any(|is| is),
        _ => missing.all(|is| is),
    };
    (!ignored).then_some(())
}

/// `None` where the row is ignored.
pub(super) fn both(missing: (bool, bool), ignore: Option<&str>) -> Option<()> {
    let ignored = match ignore {
        Some("neither") => false,
        Some("either_value_is_missing") => missing.0 || missing.1,
        _ => missing.0 && missing.1,
    };
    (!ignored).then_some(())
}
