//! What a rule has seen.

use super::arguments::Range;
use super::end;
use super::judge::{in_pairs, in_set, judge, measured, several};
use super::rows::{Column, Columns, Pairs, Place, Set, together};
use super::rules::Check;
use super::suite::Rule;
use arrow::error::ArrowError;
use mainspring_stats::{Kll, Moments};
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Values outside a set that are named.
const NAMED: usize = 20;
/// k of the sketch that quantiles come from: 0.2 % of the rows to either side.
const K: u16 = 2_000;

/// What a row is to a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Row {
    /// It is not about it.
    Apart,
    Kept,
    Broken,
}

/// What is kept of the rows.
pub(super) enum State {
    /// Decided by each row alone, or by the table's form.
    Rows,
    /// Values that were met, those that were met more than once, and rows with a value.
    Unique {
        met: HashSet<u128>,
        again: HashSet<u128>,
        rows: u64,
    },
    Numbers {
        moments: Moments,
        sum: f64,
        sketch: Kll,
    },
    Pairs(Pairs),
    /// The last value that was not missing.
    Order(Last),
    /// How often each value was met, with the value.
    Common {
        set: Set,
        met: HashMap<u128, Common>,
    },
    Values {
        set: Set,
        met: Vec<bool>,
        outside: BTreeSet<String>,
        others: u64,
    },
}

/// The value before.
pub(super) enum Last {
    None,
    Number(f64),
    Text(String),
}

/// A value that was met.
pub(super) struct Common {
    times: u64,
    value: Value,
    in_set: bool,
}

impl State {
    pub fn new(check: &Check) -> Self {
        match check {
            Check::ExpectTableRowsToBeUnique(_)
            | Check::ExpectColumnValuesToBeUnique(_)
            | Check::ExpectCompoundColumnsToBeUnique(_)
            | Check::ExpectColumnUniqueValueCountToBeBetween(_)
            | Check::ExpectColumnProportionOfUniqueValuesToBeBetween(_) => {
                Self::Unique { met: HashSet::new(), again: HashSet::new(), rows: 0 }
            }
            Check::ExpectColumnMeanToBeBetween(_)
            | Check::ExpectColumnMedianToBeBetween(_)
            | Check::ExpectColumnQuantileValuesToBeBetween(_)
            | Check::ExpectColumnStdevToBeBetween(_)
            | Check::ExpectColumnMinToBeBetween(_)
            | Check::ExpectColumnMaxToBeBetween(_)
            | Check::ExpectColumnSumToBeBetween(_) => {
                Self::Numbers { moments: Moments::default(), sum: 0.0, sketch: Kll::new(K) }
            }
            Check::ExpectColumnPairValuesToBeInSet(p) => Self::Pairs(Pairs::new(p, |_, values| values)),
            Check::ExpectColumnValuesToBeIncreasing(_) | Check::ExpectColumnValuesToBeDecreasing(_) => {
                Self::Order(Last::None)
            }
            Check::ExpectColumnMostCommonValueToBeInSet(c) => {
                Self::Common { set: Set::new(&c.value_set), met: HashMap::new() }
            }
            Check::ExpectColumnValuesToBeInSet(s)
            | Check::ExpectColumnValuesToNotBeInSet(s)
            | Check::ExpectColumnDistinctValuesToBeInSet(s)
            | Check::ExpectColumnDistinctValuesToContainSet(s)
            | Check::ExpectColumnDistinctValuesToEqualSet(s) => {
                let set = Set::new(&s.value_set);
                Self::Values { met: vec![false; set.size()], set, outside: BTreeSet::new(), others: 0 }
            }
            _ => Self::Rows,
        }
    }

    /// Looks at the rows of a batch that `about` names.
    pub fn see(&mut self, rule: &Rule, columns: &Columns<'_>, about: &[bool]) -> Result<Vec<Row>, ArrowError> {
        let mut rows = vec![Row::Apart; about.len()];
        match self {
            Self::Unique { met, again, rows: all } => {
                for (at, key) in unique_keys(&rule.check, columns)?.into_iter().enumerate() {
                    let (Some(key), true) = (key, about[at]) else { continue };
                    *all += 1;
                    // The first of equal rows is known to be broken only when the second comes.
                    rows[at] = if met.insert(key) {
                        Row::Kept
                    } else {
                        again.insert(key);
                        Row::Broken
                    };
                }
            }
            Self::Numbers { moments, sum, sketch } => {
                let column = columns.get(rule.check.columns()[0])?;
                let number = |at| match &rule.check {
                    Check::ExpectColumnMinToBeBetween(b) | Check::ExpectColumnMaxToBeBetween(b) => {
                        measured(b, &*column, at)
                    }
                    _ => column.number(at),
                };
                for at in (0..about.len()).filter(|at| about[*at]) {
                    if let Some(x) = number(at).filter(|x| x.is_finite()) {
                        rows[at] = Row::Kept;
                        moments.push(x);
                        *sum += x;
                        sketch.extend(&[x]);
                    }
                }
            }
            Self::Values { set, met, outside, others } => {
                let column = columns.get(rule.check.columns()[0])?;
                for at in (0..about.len()).filter(|at| about[*at]) {
                    let place = set.place(&*column, at);
                    rows[at] = match in_set(&rule.check, place) {
                        None => Row::Apart,
                        Some(true) => Row::Kept,
                        Some(false) => Row::Broken,
                    };
                    match place {
                        Place::Missing => {}
                        Place::At(place) => met[place] = true,
                        Place::Outside => {
                            *others += 1;
                            if outside.len() < NAMED {
                                let shown = columns.shown(rule.check.columns()[0], at);
                                outside.insert(shown.as_str().map_or_else(|| shown.to_string(), str::to_owned));
                            }
                        }
                    }
                }
            }
            Self::Pairs(pairs) => {
                let (a, b) = (columns.get(rule.check.columns()[0])?, columns.get(rule.check.columns()[1])?);
                each(about, &mut rows, |at| in_pairs(pairs, (&*a, &*b), at));
            }
            Self::Order(last) => {
                let column = columns.get(rule.check.columns()[0])?;
                each(about, &mut rows, |at| last.keeps(&rule.check, &column, at));
            }
            Self::Common { set, met } => {
                let name = rule.check.columns()[0];
                let column = columns.get(name)?;
                for (at, key) in columns.keys(name)?.iter().enumerate().filter(|(at, _)| about[*at]) {
                    let Some(key) = key else { continue };
                    rows[at] = Row::Kept;
                    match met.entry(*key) {
                        Entry::Occupied(mut there) => there.get_mut().times += 1,
                        Entry::Vacant(free) => {
                            let in_set = matches!(set.place(&*column, at), Place::At(_));
                            free.insert(Common { times: 1, value: columns.shown(name, at), in_set });
                        }
                    }
                }
            }
            Self::Rows => by_row(&rule.check, columns, about, &mut rows)?,
        }
        Ok(rows)
    }

    /// What was observed, and whether it is as expected; `None` for rules that count rows.
    pub fn told(&self, rule: &Rule) -> Option<(Value, bool)> {
        match self {
            Self::Rows | Self::Pairs(_) | Self::Order(_) => None,
            Self::Common { met, .. } => {
                let Check::ExpectColumnMostCommonValueToBeInSet(c) = &rule.check else { return None };
                let most = met.values().map(|one| one.times).max()?;
                let common: Vec<&Common> = met.values().filter(|one| one.times == most).collect();
                let holds = common.iter().any(|one| one.in_set) && (c.ties_okay || common.len() == 1);
                let mut values: Vec<&Value> = common.iter().map(|one| &one.value).collect();
                values.sort_by_key(ToString::to_string);
                values.truncate(NAMED);
                Some((json!({ "values": values, "as_common": common.len(), "times": most }), holds))
            }
            Self::Unique { met, again: _, rows } => {
                let InRangeOf(range) = range_of(&rule.check)?;
                let share = matches!(rule.check, Check::ExpectColumnProportionOfUniqueValuesToBeBetween(_));
                let found = if share { met.len() as f64 / (*rows).max(1) as f64 } else { met.len() as f64 };
                Some((json!(found), range.holds(found)))
            }
            Self::Numbers { sketch, .. } if let Check::ExpectColumnQuantileValuesToBeBetween(q) = &rule.check => {
                let view = sketch.view();
                let values: Vec<Option<f64>> =
                    q.quantile_ranges.quantiles.iter().map(|at| view.quantile(*at)).collect();
                let each = q.quantile_ranges.ranges().zip(&values);
                let holds = each.map(|((_, range), x)| x.is_some_and(|x| range.holds(x))).collect::<Vec<_>>();
                let said = json!({ "quantiles": q.quantile_ranges.quantiles, "values": values, "in_range": holds });
                Some((said, holds.iter().all(|holds| *holds)))
            }
            Self::Numbers { moments, sum, sketch } => {
                let InRangeOf(range) = range_of(&rule.check)?;
                let found = match rule.check {
                    Check::ExpectColumnMeanToBeBetween(_) => moments.mean(),
                    Check::ExpectColumnStdevToBeBetween(_) => moments.stddev(),
                    Check::ExpectColumnMinToBeBetween(_) => sketch.min(),
                    Check::ExpectColumnMaxToBeBetween(_) => sketch.max(),
                    Check::ExpectColumnSumToBeBetween(_) => Some(*sum),
                    _ => sketch.view().quantile(0.5),
                };
                let told = match &rule.check {
                    Check::ExpectColumnMinToBeBetween(b) | Check::ExpectColumnMaxToBeBetween(b) if b.is_of_times() => {
                        json!(found.map(end::shown))
                    }
                    _ => json!(found),
                };
                Some((told, found.is_some_and(|x| range.holds(x))))
            }
            Self::Values { set, met, outside, others } => {
                let missing = set.absent(met);
                let (inside, all) = (*others == 0, missing.is_empty());
                let holds = match rule.check {
                    Check::ExpectColumnDistinctValuesToBeInSet(_) => inside,
                    Check::ExpectColumnDistinctValuesToContainSet(_) => all,
                    Check::ExpectColumnDistinctValuesToEqualSet(_) => inside && all,
                    _ => return None,
                };
                let absent: Vec<Value> =
                    missing.iter().filter_map(|at| rule.kwargs["value_set"].get(at).cloned()).collect();
                Some((json!({ "outside": outside, "absent": absent }), holds))
            }
        }
    }

    /// New values, for rules about sets.
    pub fn outside(&self) -> Option<Value> {
        match self {
            Self::Values { outside, .. } if !outside.is_empty() => Some(json!({ "outside": outside })),
            _ => None,
        }
    }

    /// How many rows were the first of several equal ones: as broken as the others.
    pub fn first_of_many(&self) -> u64 {
        if let Self::Unique { again, .. } = self { again.len() as u64 } else { 0 }
    }
}

struct InRangeOf(Range);

fn range_of(check: &Check) -> Option<InRangeOf> {
    match check {
        Check::ExpectColumnMeanToBeBetween(b)
        | Check::ExpectColumnMedianToBeBetween(b)
        | Check::ExpectColumnStdevToBeBetween(b)
        | Check::ExpectColumnMinToBeBetween(b)
        | Check::ExpectColumnMaxToBeBetween(b)
        | Check::ExpectColumnSumToBeBetween(b)
        | Check::ExpectColumnUniqueValueCountToBeBetween(b)
        | Check::ExpectColumnProportionOfUniqueValuesToBeBetween(b) => Some(InRangeOf(Range::from(b))),
        _ => None,
    }
}

fn unique_keys(check: &Check, columns: &Columns<'_>) -> Result<Vec<Option<u128>>, ArrowError> {
    let names = match check {
        Check::ExpectTableRowsToBeUnique(_) => columns.names(),
        other => other.columns().into_iter().map(str::to_owned).collect(),
    };
    if let ([one], false) = (&names[..], matches!(check, Check::ExpectTableRowsToBeUnique(_))) {
        return Ok(columns.keys(one)?.to_vec());
    }
    let ignore =
        if let Check::ExpectCompoundColumnsToBeUnique(c) = check { c.ignore_row_if.as_deref() } else { Some("never") };
    let keys = names.iter().map(|name| columns.keys(name)).collect::<Result<Vec<_>, _>>()?;
    let key = |row: usize| {
        let each = || keys.iter().map(|k| k[row]);
        several(each().map(|key| key.is_none()), ignore).map(|()| together(each()))
    };
    Ok((0..columns.len()).map(key).collect())
}

/// Judges the rows that `about` names.
fn each(about: &[bool], rows: &mut [Row], mut judge: impl FnMut(usize) -> Option<bool>) {
    for at in (0..about.len()).filter(|at| about[*at]) {
        rows[at] = match judge(at) {
            None => Row::Apart,
            Some(true) => Row::Kept,
            Some(false) => Row::Broken,
        };
    }
}

impl Last {
    /// Whether a row's value keeps the order to the one before, as the first does; `None` where it is missing.
    fn keeps(&mut self, check: &Check, column: &Column, row: usize) -> Option<bool> {
        let (wanted, strictly) = match check {
            Check::ExpectColumnValuesToBeIncreasing(c) => (Ordering::Greater, c.strictly),
            Check::ExpectColumnValuesToBeDecreasing(c) => (Ordering::Less, c.strictly),
            _ => return None,
        };
        if column.is_missing(row) {
            return None;
        }
        let now = match (column.number(row), column.text(row)) {
            (Some(number), _) => Self::Number(number),
            (None, Some(text)) => Self::Text(text.to_owned()),
            (None, None) => Self::None,
        };
        let order = match (&*self, &now) {
            (Self::Number(before), Self::Number(now)) => now.partial_cmp(before),
            // Dates and times as ISO 8601 are in the order of their texts.
            (Self::Text(before), Self::Text(now)) => Some(now.cmp(before)),
            _ => None,
        };
        *self = now;
        Some(order.is_none_or(|order| order == wanted || (order == Ordering::Equal && !strictly)))
    }
}

/// Rules that a row keeps or breaks by itself.
fn by_row(check: &Check, columns: &Columns<'_>, about: &[bool], rows: &mut [Row]) -> Result<(), ArrowError> {
    let names = match check {
        // It is about rows, and not what is in them.
        Check::ExpectTableRowCountToBeBetween(_) | Check::ExpectTableRowCountToEqual(_) => Vec::new(),
        other => other.columns(),
    };
    if names.is_empty() {
        each(about, rows, |_| Some(true));
        return Ok(());
    }
    let sides = names.iter().map(|name| columns.get(name)).collect::<Result<Vec<_>, _>>()?;
    let pair = matches!(
        check,
        Check::ExpectColumnPairValuesToBeEqual(_) | Check::ExpectSelectColumnValuesToBeUniqueWithinRecord(_)
    );
    let keys = if pair { names.iter().map(|name| columns.keys(name)).collect::<Result<_, _>>()? } else { Vec::new() };
    let same = |at: usize| keys[0][at].is_some() && keys[0][at] == keys[1][at];
    each(about, rows, |at| judge(check, |side| &*sides[side], at, || same(at)));
    Ok(())
}
