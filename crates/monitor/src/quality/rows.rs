//! The columns of a batch, each made ready once.

use super::arguments::PairInSet;
use super::judge::Cells;
use crate::column::{Kind, texts, values};
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, LargeStringArray, LargeStringBuilder, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use twox_hash::XxHash3_128;

/// A column as rules see it. What is no number is missing, as in pandas.
pub(super) enum Column {
    Numbers(Float64Array),
    Texts(LargeStringArray),
    /// Lists, records: only whether there is something.
    Other(ArrayRef),
}

impl Column {
    fn of(column: &ArrayRef) -> Result<Self, ArrowError> {
        let kind = Kind::of(column.data_type());
        Ok(match kind {
            Kind::Integer | Kind::Number => {
                Self::Numbers(cast(column, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
            }
            Kind::Boolean | Kind::Text | Kind::Time => Self::Texts(as_texts(column)?),
            Kind::Other => Self::Other(column.clone()),
        })
    }

    pub fn is_missing(&self, row: usize) -> bool {
        match self {
            Self::Numbers(values) => values.is_null(row) || values.value(row).is_nan(),
            Self::Texts(values) => values.is_null(row),
            Self::Other(values) => values.is_null(row),
        }
    }

    pub fn number(&self, row: usize) -> Option<f64> {
        match self {
            Self::Numbers(values) if !self.is_missing(row) => Some(values.value(row)),
            _ => None,
        }
    }

    pub fn text(&self, row: usize) -> Option<&str> {
        match self {
            Self::Texts(values) if !values.is_null(row) => Some(values.value(row)),
            _ => None,
        }
    }
}

fn as_texts(column: &ArrayRef) -> Result<LargeStringArray, ArrowError> {
    let mut made = LargeStringBuilder::with_capacity(column.len(), column.len() * 8);
    texts(column, |text| made.append_option(text))?;
    Ok(made.finish())
}

/// The columns of one batch.
pub(super) struct Columns<'a> {
    batch: &'a RecordBatch,
    ready: RefCell<HashMap<String, Rc<Column>>>,
    keys: RefCell<HashMap<String, Rc<Vec<Option<u128>>>>>,
}

impl<'a> Columns<'a> {
    pub fn new(batch: &'a RecordBatch) -> Self {
        Self { batch, ready: RefCell::default(), keys: RefCell::default() }
    }

    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    pub fn names(&self) -> Vec<String> {
        self.batch.schema().fields().iter().map(|f| f.name().clone()).collect()
    }

    fn raw(&self, name: &str) -> Result<ArrayRef, ArrowError> {
        values(self.batch, name)?.ok_or_else(|| ArrowError::SchemaError(format!("there is no column {name:?}")))
    }

    /// A column, made ready when it is asked for first.
    pub fn get(&self, name: &str) -> Result<Rc<Column>, ArrowError> {
        if let Some(column) = self.ready.borrow().get(name) {
            return Ok(Rc::clone(column));
        }
        let column = Rc::new(Column::of(&self.raw(name)?)?);
        self.ready.borrow_mut().insert(name.to_owned(), Rc::clone(&column));
        Ok(column)
    }

    /// What tells values apart: floating-point numbers by their bits, whole numbers and times by their digits, so that
    /// large ones are not rounded together. `None` of a missing one.
    pub fn keys(&self, name: &str) -> Result<Rc<Vec<Option<u128>>>, ArrowError> {
        if let Some(keys) = self.keys.borrow().get(name) {
            return Ok(Rc::clone(keys));
        }
        let raw = self.raw(name)?;
        let keys: Vec<Option<u128>> = if raw.data_type().is_floating() {
            let column = self.get(name)?;
            let key = |row| column.number(row).map(|v| XxHash3_128::oneshot(&(v + 0.0).to_bits().to_le_bytes()));
            (0..self.len()).map(key).collect()
        } else {
            let texts = cast_text(&raw)?;
            texts.iter().map(|text| text.map(|t| XxHash3_128::oneshot(t.as_bytes()))).collect()
        };
        let keys = Rc::new(keys);
        self.keys.borrow_mut().insert(name.to_owned(), Rc::clone(&keys));
        Ok(keys)
    }

    /// A value as it is shown in an example.
    pub fn shown(&self, name: &str, row: usize) -> Value {
        let Ok(column) = self.get(name) else { return Value::Null };
        match &*column {
            _ if column.is_missing(row) => Value::Null,
            Column::Numbers(values) => {
                let x = values.value(row);
                // Whole numbers without a fraction.
                if x == x.trunc() && x.abs() < 9e15 { Value::from(x as i64) } else { Value::from(x) }
            }
            Column::Texts(values) => Value::from(values.value(row)),
            Column::Other(_) => Value::from("…"),
        }
    }
}

fn cast_text(column: &ArrayRef) -> Result<LargeStringArray, ArrowError> {
    if Kind::of(column.data_type()) == Kind::Other {
        let reason = format!("a column of {} has no values that can be told apart", column.data_type());
        return Err(ArrowError::NotYetImplemented(reason));
    }
    as_texts(column)
}

/// Several keys as one; `None` of a missing value is a key of its own.
pub(super) fn together(keys: impl Iterator<Item = Option<u128>>) -> u128 {
    let mut bytes = Vec::with_capacity(64);
    for key in keys {
        bytes.push(u8::from(key.is_some()));
        bytes.extend_from_slice(&key.unwrap_or(0).to_le_bytes());
    }
    XxHash3_128::oneshot(&bytes)
}

/// Where a value is in a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// There is no value.
    Missing,
    Outside,
    At(usize),
}

/// Values of a set, as both kinds of columns may have them. Each has a place as a number and one as a text; what stands
/// there twice, or is the same number, has one.
#[derive(Debug, Clone)]
pub(super) struct Set {
    texts: HashMap<String, usize>,
    numbers: HashMap<u64, usize>,
    /// Of each value the places it may be met at.
    places: Vec<(Option<usize>, usize)>,
}

impl Set {
    pub fn new(values: &[Value]) -> Self {
        let mut set = Self { texts: HashMap::new(), numbers: HashMap::new(), places: Vec::new() };
        for (at, value) in values.iter().enumerate() {
            let number = match value {
                Value::Bool(yes) => Some(f64::from(u8::from(*yes))),
                Value::String(text) => text.parse().ok(),
                other => other.as_f64(),
            };
            let number = number.map(|x: f64| *set.numbers.entry((x + 0.0).to_bits()).or_insert(at));
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let text = *set.texts.entry(text).or_insert(values.len() + at);
            set.places.push((number, text));
        }
        set
    }

    /// How many places there are.
    pub fn size(&self) -> usize {
        2 * self.places.len()
    }

    /// The values of which no place was met, each once.
    pub fn absent(&self, met: &[bool]) -> Vec<usize> {
        let is_first = |at: usize| self.places[at].1 == self.places.len() + at;
        let is_met = |at: usize| self.places[at].0.is_some_and(|place| met[place]) || met[self.places[at].1];
        (0..self.places.len()).filter(|at| is_first(*at) && !is_met(*at)).collect()
    }

    /// The places that a value of the set may be met at.
    fn places_of(&self, at: usize) -> impl Iterator<Item = usize> {
        let (number, text) = self.places[at];
        number.into_iter().chain([text])
    }

    /// Which of the values it is.
    pub fn place<C: Cells>(&self, column: C, row: usize) -> Place {
        if column.is_missing(row) {
            return Place::Missing;
        }
        let found = match (column.number(row), column.text(row)) {
            (Some(number), _) => self.numbers.get(&(number + 0.0).to_bits()),
            (None, Some(text)) => self.texts.get(text),
            (None, None) => None,
        };
        found.map_or(Place::Outside, |at| Place::At(*at))
    }
}

/// Pairs of values, as two columns may have them.
#[derive(Debug, Clone)]
pub(super) struct Pairs {
    sides: (Set, Set),
    /// By their places; a missing value has none.
    among: HashSet<(Option<usize>, Option<usize>)>,
    pub ignore: Option<String>,
}

impl Pairs {
    /// `held` makes of the values of each side, the first or the second, what its column holds of them.
    pub fn new(written: &PairInSet, held: impl Fn(usize, Vec<Value>) -> Vec<Value>) -> Self {
        let (a, b): (Vec<Value>, Vec<Value>) = written.value_pairs_set.iter().cloned().unzip();
        let (a, b) = (held(0, a), held(1, b));
        let sides = (Set::new(&a), Set::new(&b));
        let places = |set: &Set, values: &[Value], at: usize| -> Vec<Option<usize>> {
            if values[at].is_null() { vec![None] } else { set.places_of(at).map(Some).collect() }
        };
        let mut among = HashSet::new();
        for at in 0..a.len() {
            for place in places(&sides.0, &a, at) {
                among.extend(places(&sides.1, &b, at).into_iter().map(|other| (place, other)));
            }
        }
        Self { sides, among, ignore: written.ignore_row_if.clone() }
    }

    /// Whether the two values of a row are one of them.
    pub fn have<C: Cells>(&self, a: C, b: C, row: usize) -> bool {
        let place = |set: &Set, column: C| match set.place(column, row) {
            Place::Missing => Some(None),
            Place::Outside => None,
            Place::At(at) => Some(Some(at)),
        };
        place(&self.sides.0, a).zip(place(&self.sides.1, b)).is_some_and(|pair| self.among.contains(&pair))
    }
}
