//! Which numbers: one, or those from one up to another.

/// `3`, `30..40` (from 30 on, below 40), `30..` and `..40`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Range {
    One(f64),
    /// From the first on, below the second; either may be left out.
    Span(Option<f64>, Option<f64>),
}

fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|n| n.is_finite())
}

impl Range {
    /// Nothing where it is no number and no two of them in their order.
    pub(super) fn read(text: &str) -> Option<Self> {
        let Some((from, below)) = text.split_once("..") else { return number(text).map(Self::One) };
        let end = |text: &str| if text.is_empty() { Some(None) } else { number(text).map(Some) };
        match (end(from)?, end(below)?) {
            (None, None) => None,
            (Some(from), Some(below)) if from >= below => None,
            (from, below) => Some(Self::Span(from, below)),
        }
    }

    /// As a condition of SQL on `column`; `end` writes a number.
    pub(super) fn condition(self, column: &str, end: impl Fn(f64) -> String) -> String {
        match self {
            Self::One(number) => format!("{column} = {}", end(number)),
            Self::Span(from, below) => {
                let from = from.map(|from| format!("{column} >= {}", end(from)));
                let below = below.map(|below| format!("{column} < {}", end(below)));
                from.into_iter().chain(below).collect::<Vec<_>>().join(" AND ")
            }
        }
    }

    pub(super) fn holds(self, number: f64) -> bool {
        match self {
            Self::One(one) => number == one,
            Self::Span(from, below) => {
                from.is_none_or(|from| number >= from) && below.is_none_or(|below| number < below)
            }
        }
    }

    /// With ends as 32 bits have them, for a column of such numbers.
    pub(super) fn short(self) -> Self {
        let short = |number: f64| f64::from(number as f32);
        match self {
            Self::One(one) => Self::One(short(one)),
            Self::Span(from, below) => Self::Span(from.map(short), below.map(short)),
        }
    }

    /// Whether a number may be in both.
    pub(super) fn meets(self, other: Self) -> bool {
        match (self, other) {
            (Self::One(one), range) | (range, Self::One(one)) => range.holds(one),
            (Self::Span(a, b), Self::Span(c, d)) => {
                let before =
                    |below: Option<f64>, from: Option<f64>| below.zip(from).is_some_and(|(below, from)| below <= from);
                !before(b, c) && !before(d, a)
            }
        }
    }
}
