//! Rules over rows that come one at a time: nothing is kept of them, and nothing is allocated for a row that keeps them.

use super::arguments::{MatchOn, Range};
use super::end;
use super::judge::{Cells, in_pairs, in_set, is_about, judge, measured};
use super::rows::{Pairs, Set};
use super::rules::Check;
use super::suite::{Rule, Severity, SuiteError};
use super::{checker::is_type, suite::Condition};
use crate::column::Kind;
use arrow::datatypes::DataType;
use serde_json::{Map, Value};
use std::fmt::Write;

/// Rows as somebody else holds them: each value is a number, a text or missing. Texts for true and false.
pub trait Rows {
    /// The number in a column of [`RowChecker::new`]; `None` when it is missing, NaN or no number.
    fn number(&self, column: usize, row: usize) -> Option<f64>;
    /// The text; `None` when it is missing or no text.
    fn text(&self, column: usize, row: usize) -> Option<&str>;
}

/// A column of such rows.
#[derive(Debug, Clone)]
pub struct RowColumn {
    /// Its name.
    pub name: String,
    /// Its type; one that is neither number, text nor true and false cannot be judged.
    pub kind: DataType,
}

/// A rule as it is declared for rows that come one at a time.
#[derive(Debug, Clone)]
pub struct RowRule {
    rule: Rule,
}

#[derive(Debug, Clone)]
struct Bound {
    rule: Rule,
    /// Places of its columns.
    columns: Vec<usize>,
    set: Option<Set>,
    pairs: Option<Pairs>,
    when: Vec<(usize, Set)>,
    /// It holds for every row of these types.
    kept: bool,
}

/// Judges rows.
#[derive(Debug, Clone)]
pub struct RowChecker {
    rules: Vec<Bound>,
    columns: Vec<RowColumn>,
}

struct At<'a, R>(&'a R, usize);

impl<R> Clone for At<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for At<'_, R> {}

impl<R: Rows> Cells for At<'_, R> {
    fn is_missing(self, row: usize) -> bool {
        self.0.number(self.1, row).is_none() && self.0.text(self.1, row).is_none()
    }

    fn number(self, row: usize) -> Option<f64> {
        self.0.number(self.1, row)
    }

    fn text<'a>(self, row: usize) -> Option<&'a str>
    where
        Self: 'a,
    {
        self.0.text(self.1, row)
    }
}

impl RowRule {
    /// A rule of these arguments. `whole` says that a row must keep it: a share of the rows is then no rule.
    ///
    /// # Errors
    /// In words, what is wrong with it, or why a row cannot keep or break it by itself.
    pub fn new(
        kind: &str,
        kwargs: &Map<String, Value>,
        when: &[(String, Vec<Value>)],
        whole: bool,
    ) -> Result<Self, String> {
        let when = when.iter().map(|(column, among)| Condition { column: column.clone(), among: among.clone() });
        let rule = Rule::told(kind, kwargs.clone(), when.collect(), Severity::Critical).map_err(|e| match e {
            SuiteError::Arguments { reason, .. } | SuiteError::Form(reason) => reason,
            SuiteError::Unknown { kind, nearest, .. } => {
                format!(
                    "{kind:?} is not known{}",
                    nearest.map(|n| format!("; did you mean {n:?}?")).unwrap_or_default()
                )
            }
        })?;
        if !rule.check.is_of_rows() {
            return Err(format!(
                "{kind} is about many rows together, and requests bring a few at a time; watch it with a Monitor, or check \
                 files with mainspring validate"
            ));
        }
        if whole && rule.mostly < 1.0 {
            return Err("a row keeps a rule or breaks it, so what is rejected has no mostly; leave it out, or say \
                        action: flag or count"
                .into());
        }
        Ok(Self { rule })
    }

    /// The columns that it names, as it names them.
    pub fn columns(&self) -> Vec<&str> {
        let when = self.rule.when.iter().map(|c| c.column.as_str());
        self.rule.check.columns().into_iter().chain(when).collect()
    }
}

impl RowChecker {
    /// For rows of these columns.
    ///
    /// # Errors
    /// The place of the first rule that such rows cannot be held to, and why.
    pub fn new(rules: &[RowRule], columns: &[RowColumn]) -> Result<Self, (usize, String)> {
        let bound = |(at, rule): (usize, &RowRule)| Bound::new(&rule.rule, columns).map_err(|why| (at, why));
        let rules = rules.iter().enumerate().map(bound).collect::<Result<_, _>>()?;
        Ok(Self { rules, columns: columns.to_vec() })
    }

    /// Judges every row by every rule, and calls `tell` with rule, row and whether it is broken: of rows that break a
    /// rule, and of those that it is not about.
    pub fn look(&self, rows: &impl Rows, count: usize, tell: &mut dyn FnMut(usize, usize, bool)) {
        for (at, rule) in self.rules.iter().enumerate().filter(|(_, rule)| !rule.kept) {
            for row in 0..count {
                match rule.judge(rows, row) {
                    Some(true) => {}
                    Some(false) => tell(at, row, true),
                    None => tell(at, row, false),
                }
            }
        }
    }

    /// What is wrong with a row that breaks a rule. Values of the row are not told: they may be nobody's business.
    pub fn why(&self, rule: usize, rows: &impl Rows, row: usize) -> String {
        let Some(rule) = self.rules.get(rule) else { return String::new() };
        let mut said = match rule.columns.as_slice() {
            [one] => format!("column {:?} ", self.columns[*one].name),
            many => {
                let names: Vec<String> = many.iter().map(|at| format!("{:?}", self.columns[*at].name)).collect();
                format!("columns {} ", names.join(", "))
            }
        };
        said.push_str(&rule.what(rows, row));
        for (condition, (n, _)) in rule.rule.when.iter().zip(rule.when.iter().enumerate()) {
            let word = if n == 0 { "where" } else { "and" };
            let _infallible = write!(said, " {word} {:?} is one of its values", condition.column);
        }
        said
    }
}

impl Bound {
    fn new(rule: &Rule, columns: &[RowColumn]) -> Result<Self, String> {
        let find = |name: &str| {
            let plain = name.strip_prefix("in.").unwrap_or(name);
            let found =
                columns.iter().position(|c| c.name == name).or_else(|| columns.iter().position(|c| c.name == plain));
            found.ok_or_else(|| {
                let near = mainspring_core::nearest(name, columns.iter().map(|c| c.name.as_str()));
                let near = near.map(|n| format!("; did you mean {n:?}?")).unwrap_or_default();
                format!("the model takes no column {name:?}{near}")
            })
        };
        let places = rule.check.columns().into_iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let when = |c: &Condition| {
            let at = find(&c.column)?;
            judged(&columns[at])?;
            Ok::<_, String>((at, Set::new(&as_held(&c.among, &columns[at].kind))))
        };
        let when = rule.when.iter().map(when).collect::<Result<Vec<_>, _>>()?;
        let mut rule = rule.clone();
        let kept = fits(&rule.check, &places.iter().map(|at| &columns[*at]).collect::<Vec<_>>())?;
        let set = match &rule.check {
            Check::ExpectColumnValuesToBeInSet(s) | Check::ExpectColumnValuesToNotBeInSet(s) => {
                Some(Set::new(&as_held(&s.value_set, &columns[places[0]].kind)))
            }
            _ => None,
        };
        let pairs = match &rule.check {
            Check::ExpectColumnPairValuesToBeInSet(p) => {
                Some(Pairs::new(p, |side, values| as_held(&values, &columns[places[side]].kind)))
            }
            _ => None,
        };
        if let (Check::ExpectColumnValuesToBeBetween(b), true) =
            (&mut rule.check, places.first().is_some_and(|at| columns[*at].kind == DataType::Float32))
        {
            // 0.1 is not the same number in 32 bits as in 64: a bound is what the column holds of it.
            for end in [&mut b.min_value, &mut b.max_value].into_iter().flatten() {
                end.at = single(end.at);
            }
        }
        Ok(Self { rule, columns: places, set, pairs, when, kept })
    }

    fn judge(&self, rows: &impl Rows, row: usize) -> Option<bool> {
        if !self.when.iter().all(|(column, set)| is_about(set, At(rows, *column), row)) {
            return None;
        }
        let side = |n: usize| At(rows, self.columns[n]);
        if let Some(set) = &self.set {
            return in_set(&self.rule.check, set.place(side(0), row));
        }
        if let Some(pairs) = &self.pairs {
            return in_pairs(pairs, (side(0), side(1)), row);
        }
        judge(&self.rule.check, side, row, || match (side(0).text(row), side(1).text(row)) {
            (Some(a), Some(b)) => a == b,
            _ => false,
        })
    }

    fn what(&self, rows: &impl Rows, row: usize) -> String {
        let first = At(rows, self.columns[0]);
        let bound =
            |range: &Range, x: f64, (said, unit): (fn(f64) -> String, &str)| match (range.min_value, range.max_value) {
                (Some(min), _) if x < min || (range.strict_min && x <= min) => {
                    let word = if range.strict_min { "not above" } else { "below" };
                    format!("is {word} {}{unit}", said(min))
                }
                (_, Some(max)) if x > max || (range.strict_max && x >= max) => {
                    let word = if range.strict_max { "not below" } else { "above" };
                    format!("is {word} {}{unit}", said(max))
                }
                _ => "is outside its range".into(),
            };
        match &self.rule.check {
            Check::ExpectColumnValuesToNotBeNull(_) => "is missing".into(),
            Check::ExpectColumnValuesToBeNull(_) => "has a value and must have none".into(),
            Check::ExpectColumnValuesToBeBetween(b) => {
                let (none, said): (&str, fn(f64) -> String) =
                    if b.is_of_times() { ("is no date or time", end::shown) } else { ("is no number", shown) };
                measured(b, first, row).map_or_else(|| none.into(), |x| bound(&Range::from(b), x, (said, "")))
            }
            Check::ExpectColumnValueLengthsToBeBetween(b) => {
                let length = first.text(row).map_or(0.0, |t| t.chars().count() as f64);
                format!("has a length that {}", bound(&Range::from(b), length, (shown, " characters")))
            }
            Check::ExpectColumnValueLengthsToEqual(c) => format!("does not have {} characters", c.value),
            Check::ExpectColumnValuesToBeInSet(_) => "has a value that is not in its set".into(),
            Check::ExpectColumnValuesToNotBeInSet(_) => "has a value that it must not have".into(),
            Check::ExpectColumnValuesToMatchRegex(m) => format!("does not match {:?}", m.regex.as_str()),
            Check::ExpectColumnValuesToNotMatchRegex(m) => format!("matches {:?}", m.regex.as_str()),
            Check::ExpectColumnValuesToMatchRegexList(m) if m.match_on == Some(MatchOn::All) => {
                "does not match all of its expressions".into()
            }
            Check::ExpectColumnValuesToMatchRegexList(_) => "matches none of its expressions".into(),
            Check::ExpectColumnValuesToNotMatchRegexList(_) => "matches an expression that it must not".into(),
            Check::ExpectColumnValuesToBeJsonParseable(_) => "is no JSON".into(),
            Check::ExpectColumnPairValuesToBeInSet(_) => "are a pair that is not in their set".into(),
            Check::ExpectSelectColumnValuesToBeUniqueWithinRecord(_) => "are not all different".into(),
            Check::ExpectColumnPairValuesAToBeGreaterThanB(p) if p.or_equal => "are the wrong way round".into(),
            Check::ExpectColumnPairValuesAToBeGreaterThanB(_) => "are the same or the wrong way round".into(),
            Check::ExpectColumnPairValuesToBeEqual(_) => "are not the same".into(),
            Check::ExpectMulticolumnSumToEqual(s) => format!("do not add up to {}", s.total),
            _ => "breaks it".into(),
        }
    }
}

/// What was a 32-bit number, as short as that is.
fn shown(x: f64) -> String {
    let short = x as f32;
    if f64::from(short) == x { short.to_string() } else { x.to_string() }
}

fn single(x: f64) -> f64 {
    f64::from(x as f32)
}

/// The values of a set as a column of this type holds them.
fn as_held(values: &[Value], kind: &DataType) -> Vec<Value> {
    if *kind != DataType::Float32 {
        return values.to_vec();
    }
    values.iter().map(|v| v.as_f64().map_or_else(|| v.clone(), |x| Value::from(single(x)))).collect()
}

fn judged(column: &RowColumn) -> Result<(), String> {
    match Kind::of(&column.kind) {
        Kind::Integer | Kind::Number | Kind::Boolean | Kind::Text => Ok(()),
        Kind::Other if column.kind.is_list() => Err(format!(
            "column {:?} has several values a row; name one of them, {:?} is the first",
            column.name,
            format!("{}[0]", column.name)
        )),
        Kind::Time | Kind::Other => {
            Err(format!("column {:?} has bytes or documents, and rules are about numbers and texts", column.name))
        }
    }
}

/// Whether rows of these columns can be held to a rule; `true` when they all keep it by their type.
fn fits(check: &Check, columns: &[&RowColumn]) -> Result<bool, String> {
    columns.iter().try_for_each(|c| judged(c))?;
    let number = |c: &&RowColumn| Kind::of(&c.kind).is_numeric();
    let text = |c: &&RowColumn| Kind::of(&c.kind) == Kind::Text;
    let must = |holds: bool, what: &str| {
        let types: Vec<String> = columns.iter().map(|c| format!("{:?} is {}", c.name, c.kind)).collect();
        if holds { Ok(false) } else { Err(format!("it is about {what}, and column {}", types.join(", column "))) }
    };
    match check {
        Check::ExpectColumnValuesToBeBetween(b) if b.is_of_times() => must(columns.iter().all(text), "dates and times"),
        Check::ExpectColumnValuesToBeBetween(_) | Check::ExpectMulticolumnSumToEqual(_) => {
            must(columns.iter().all(number), "numbers")
        }
        Check::ExpectColumnValuesToMatchRegex(_)
        | Check::ExpectColumnValuesToNotMatchRegex(_)
        | Check::ExpectColumnValuesToMatchRegexList(_)
        | Check::ExpectColumnValuesToNotMatchRegexList(_)
        | Check::ExpectColumnValuesToBeJsonParseable(_)
        | Check::ExpectColumnValueLengthsToBeBetween(_)
        | Check::ExpectColumnValueLengthsToEqual(_) => must(columns.iter().all(text), "texts"),
        Check::ExpectColumnPairValuesAToBeGreaterThanB(_) | Check::ExpectColumnPairValuesToBeEqual(_) => {
            must(columns.iter().all(number) || !columns.iter().any(number), "two columns of one kind")
        }
        Check::ExpectColumnToExist(_) => Ok(true),
        Check::ExpectColumnValuesToBeOfType(t) => {
            must(is_type(&columns[0].kind, &t.type_), &format!("the type {:?}", t.type_)).map(|_| true)
        }
        Check::ExpectColumnValuesToBeInTypeList(t) => {
            let one = t.type_list.iter().any(|wanted| is_type(&columns[0].kind, wanted));
            must(one, &format!("the types {}", t.type_list.join(", "))).map(|_| true)
        }
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests;
