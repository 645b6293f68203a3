//! Predictions with their labels, as columns.

use super::columns::Chosen;
use super::{MOST_GROUPS, PerformanceError};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use mainspring_core::EventId;
use std::collections::HashMap;

/// A value as labels and predictions have it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell {
    Missing,
    Number(f64),
    Truth(bool),
    /// A number among [`Rows::texts`].
    Text(u32),
}

/// Texts by number.
#[derive(Debug, Default)]
pub(super) struct Texts {
    numbers: HashMap<String, u32>,
    texts: Vec<String>,
}

impl Texts {
    pub fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.texts.len() as u32;
        self.numbers.insert(text.to_owned(), number);
        self.texts.push(text.to_owned());
        number
    }

    pub fn text(&self, number: u32) -> &str {
        &self.texts[number as usize]
    }
}

/// Probabilities of rows.
#[derive(Debug, Default)]
pub(super) struct Scores {
    /// Row-major; NaN where there is none.
    pub values: Vec<f64>,
    /// Values of a row; 0 without any.
    pub width: usize,
}

impl Scores {
    pub fn row(&self, at: usize) -> &[f64] {
        &self.values[at * self.width..(at + 1) * self.width]
    }
}

/// All rows; each column has as many values.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub texts: Texts,
    pub prediction: Vec<Cell>,
    pub label: Vec<Cell>,
    pub scores: Scores,
    /// Rows with another number of probabilities, which are not looked at.
    pub odd: u64,
    /// Which request; only of orders.
    pub event: Vec<u32>,
    /// When it was predicted and when the label came, µs; the same where there is none.
    pub times: Vec<(i64, i64)>,
    /// Which group.
    pub group: Vec<u32>,
    /// The groups' values.
    pub groups: Vec<Vec<String>>,
}

impl Rows {
    pub fn len(&self) -> usize {
        self.prediction.len()
    }

    /// Of orders, which rows are of one request is read as well.
    pub fn read(batches: &[RecordBatch], chosen: &Chosen, ordered: bool) -> Result<Self, PerformanceError> {
        let mut rows = Self::default();
        let (mut events, mut groups) = (HashMap::new(), HashMap::new());
        for batch in batches {
            let column = |name: &str| {
                batch.column_by_name(name).ok_or_else(|| PerformanceError::Broken(format!("no column {name}")))
            };
            rows.cells(column("prediction")?, &chosen.prediction)?;
            rows.labels([column("value")?, column("value_type")?, column("value_number")?])?;
            rows.score(column("score")?, chosen)?;
            if ordered {
                rows.requests(column("event_id")?, &mut events)?;
            }
            let [at, labeled] = [instants(column("at")?)?, instants(column("labeled_at")?)?];
            for (at, labeled) in at.as_primitive::<Int64Type>().iter().zip(labeled.as_primitive::<Int64Type>()) {
                let at = at.unwrap_or(0);
                rows.times.push((at, labeled.unwrap_or(at)));
            }
            let by =
                (0..chosen.by.len()).map(|i| as_text(column(&format!("by{i}"))?)).collect::<Result<Vec<_>, _>>()?;
            rows.grouped(&by, batch.num_rows(), &mut groups, chosen)?;
        }
        Ok(rows)
    }

    fn cells(&mut self, column: &ArrayRef, name: &str) -> Result<(), PerformanceError> {
        match column.data_type() {
            DataType::Boolean => {
                let cells = column.as_boolean().iter().map(|v| v.map_or(Cell::Missing, Cell::Truth));
                self.prediction.extend(cells);
            }
            kind if kind.is_numeric() => {
                let numbers = cast(column, &DataType::Float64).map_err(|e| broken(&e))?;
                let cells = numbers.as_primitive::<Float64Type>().iter();
                self.prediction.extend(cells.map(|v| v.map_or(Cell::Missing, Cell::Number)));
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                let texts = as_text(column)?;
                for text in texts.as_string::<i64>() {
                    let cell = text.map_or(Cell::Missing, |t| Cell::Text(self.texts.number(t)));
                    self.prediction.push(cell);
                }
            }
            // Only where the probabilities are all that there is: the greatest of them is the prediction.
            DataType::List(_) | DataType::LargeList(_) => {
                self.prediction.extend(std::iter::repeat_n(Cell::Missing, column.len()));
            }
            kind => return Err(PerformanceError::Type(name.to_owned(), kind.to_string())),
        }
        Ok(())
    }

    fn labels(&mut self, [value, kind, number]: [&ArrayRef; 3]) -> Result<(), PerformanceError> {
        let (value, kind) = (as_text(value)?, as_text(kind)?);
        let number = cast(number, &DataType::Float64).map_err(|e| broken(&e))?;
        let (value, kind, number) =
            (value.as_string::<i64>(), kind.as_string::<i64>(), number.as_primitive::<Float64Type>());
        for at in 0..value.len() {
            let cell = if value.is_null(at) || kind.is_null(at) {
                Cell::Missing
            } else {
                match kind.value(at) {
                    "bool" => Cell::Truth(number.value(at) != 0.0),
                    "number" => Cell::Number(number.value(at)),
                    _ => Cell::Text(self.texts.number(value.value(at))),
                }
            };
            self.label.push(cell);
        }
        Ok(())
    }

    fn requests(&mut self, ids: &ArrayRef, known: &mut HashMap<u128, u32>) -> Result<(), PerformanceError> {
        for id in as_text(ids)?.as_string::<i64>() {
            let id = id.unwrap_or_default().parse::<EventId>().map_err(|e| broken(&e))?;
            let next = known.len() as u32;
            self.event.push(*known.entry(id.0.as_u128()).or_insert(next));
        }
        Ok(())
    }

    fn score(&mut self, column: &ArrayRef, chosen: &Chosen) -> Result<(), PerformanceError> {
        let Some(name) = chosen.score.as_deref() else { return Ok(()) };
        let unfit = |kind: &DataType| PerformanceError::Type(name.to_owned(), kind.to_string());
        if column.data_type().is_numeric() {
            let numbers = cast(column, &DataType::Float64).map_err(|e| broken(&e))?;
            self.scores.width = 1;
            self.scores.values.extend(numbers.as_primitive::<Float64Type>().iter().map(|v| v.unwrap_or(f64::NAN)));
            return Ok(());
        }
        let lists =
            cast(column, &DataType::new_list(DataType::Float64, true)).map_err(|_| unfit(column.data_type()))?;
        let lists = lists.as_list::<i32>();
        let width = chosen.width;
        self.scores.width = width;
        for list in lists.iter() {
            match list {
                Some(list) if list.len() == width => {
                    let values = list.as_primitive::<Float64Type>().iter().map(|v| v.unwrap_or(f64::NAN));
                    self.scores.values.extend(values);
                }
                other => {
                    self.odd += u64::from(other.is_some_and(|list| !list.is_empty()));
                    self.scores.values.extend(std::iter::repeat_n(f64::NAN, width));
                }
            }
        }
        Ok(())
    }

    fn grouped(
        &mut self,
        by: &[ArrayRef],
        n: usize,
        known: &mut HashMap<Vec<String>, u32>,
        chosen: &Chosen,
    ) -> Result<(), PerformanceError> {
        for at in 0..n {
            let values: Vec<String> = by
                .iter()
                .map(|c| if c.is_null(at) { "(missing)".into() } else { c.as_string::<i64>().value(at).to_owned() })
                .collect();
            let next = known.len() as u32;
            let group = if let Some(group) = known.get(&values) {
                *group
            } else {
                if self.groups.len() == MOST_GROUPS {
                    return Err(PerformanceError::Groups { by: chosen.groups().join(", ") });
                }
                self.groups.push(values.clone());
                known.insert(values, next);
                next
            };
            self.group.push(group);
        }
        Ok(())
    }
}

fn broken(e: &dyn std::fmt::Display) -> PerformanceError {
    PerformanceError::Broken(e.to_string())
}

fn as_text(column: &ArrayRef) -> Result<ArrayRef, PerformanceError> {
    cast(column, &DataType::LargeUtf8).map_err(|e| broken(&e))
}

fn instants(column: &ArrayRef) -> Result<ArrayRef, PerformanceError> {
    cast(column, &DataType::Int64).map_err(|e| broken(&e))
}
