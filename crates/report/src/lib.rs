//! A report as one HTML file, to be sent, kept and printed: sentences, tables and charts.
//!
//! Who has something to tell makes a [`Report`] of plain words and numbers; [`Report::html`] draws it. The page runs no
//! script, asks nobody for anything and says so to the browser; every chart has its numbers in a table behind it. Every
//! text of the model is taken for a stranger's: it is escaped, cut where it is endless, and kept from turning the
//! direction of what stands around it.

mod chart;
mod escape;
mod html;
#[cfg(test)]
mod tests;

/// A whole report.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// What it is about: `Drift of current.parquet`.
    pub title: String,
    /// What came out, in a sentence.
    pub verdict: String,
    /// How that is to be taken.
    pub mood: Mood,
    /// Names and values: who is compared, how many rows, by which methods.
    pub facts: Vec<(String, String)>,
    /// The command that made it, without secrets.
    pub command: String,
    /// What made it, and when.
    pub made: String,
    /// Its parts.
    pub sections: Vec<Section>,
}

/// How something is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mood {
    /// Neither.
    #[default]
    Plain,
    /// Fine.
    Good,
    /// To be looked at.
    Warn,
    /// Wrong.
    Bad,
}

/// A part of a report.
#[derive(Debug, Clone, Default)]
pub struct Section {
    /// Its heading.
    pub title: String,
    /// Sentences before what it shows.
    pub says: Vec<String>,
    /// A table.
    pub table: Option<Table>,
    /// Things side by side, each with its chart.
    pub cards: Vec<Card>,
}

/// A table.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// What it shows, for who does not see it.
    pub caption: String,
    /// Its head; the first column names the rows.
    pub head: Vec<String>,
    /// Its rows.
    pub rows: Vec<Vec<Cell>>,
}

/// A cell of a table.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    /// What it says.
    pub text: String,
    /// How that is to be taken.
    pub mood: Mood,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), mood: Mood::Plain }
    }
}

impl Cell {
    /// A cell that is more than its text.
    pub fn new(text: impl Into<String>, mood: Mood) -> Self {
        Self { text: text.into(), mood }
    }
}

/// One thing with its chart: a column.
#[derive(Debug, Clone, Default)]
pub struct Card {
    /// Its name.
    pub title: String,
    /// What came out, in a word.
    pub badge: String,
    /// How that is to be taken.
    pub mood: Mood,
    /// Names and values.
    pub facts: Vec<(String, String)>,
    /// Sentences below its chart.
    pub says: Vec<String>,
    /// Its chart.
    pub chart: Option<Chart>,
}

/// A chart.
#[derive(Debug, Clone)]
pub enum Chart {
    /// Shares of numbers, in bins that are equally wide.
    Bins {
        /// Edges of the bins, one more than there are bins. What is beyond the first and the last is in those bins.
        edges: Vec<f64>,
        /// Share of each bin: before, and now.
        shares: [Vec<f64>; 2],
    },
    /// Shares of what has a name.
    Bars {
        /// The name of each, with its share before and now.
        bars: Vec<(String, [f64; 2])>,
    },
    /// Values with their intervals, one above the other on one axis.
    Intervals {
        /// Of each its name, its value, and the ends where there are some.
        rows: Vec<(String, f64, Option<[f64; 2]>)>,
    },
}

/// A number as people read it, at four significant digits.
pub fn number(value: f64) -> String {
    match value {
        v if !v.is_finite() => "–".to_owned(),
        v if v == v.trunc() && v.abs() < 1e15 => format!("{v}"),
        v if v.abs() >= 1e6 || v.abs() < 1e-3 => format!("{v:.2e}"),
        v => {
            let digits = (3 - v.abs().log10().floor() as i32).clamp(0, 6) as usize;
            format!("{v:.digits$}")
        }
    }
}

/// A share as per cent.
pub fn percent(share: f64) -> String {
    if !share.is_finite() {
        return "–".to_owned();
    }
    if share > 0.0 && share < 0.001 { "< 0.1 %".to_owned() } else { format!("{:.1} %", 100.0 * share) }
}
