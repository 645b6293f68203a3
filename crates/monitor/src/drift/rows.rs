//! Rows as wholes: what no column shows alone.

use super::read::{kind, label};
use super::{Outcome, Told};
use crate::column::{Kind, numbers, texts};
use crate::error::MonitorError;
use crate::table::Table;
use arrow::array::RecordBatch;
use mainspring_stats::multivariate::{self, Cells, Covariance, Drawn, Survey};
use mainspring_stats::presets::{self, MISSING, Preset, Values};
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// Rows of a side that a classifier sees.
const ROWS: usize = 5_000;
/// Cells of both sides: fewer rows where there are many columns.
const CELLS: usize = 4_000_000;
/// Features that are named.
const SHOWN: usize = 5;
pub(super) const SEED: u64 = 0x726f_7773;

/// What was found in rows as wholes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Together {
    /// What the preset says of them, or why it says nothing.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// How well they can be told apart, and by what; of a classifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apart: Option<Told>,
}

/// Which of so many rows a table of so many columns is judged by.
pub(super) fn chosen(rows: usize, columns: usize) -> Vec<usize> {
    multivariate::drawn(rows, ROWS.min(CELLS / (2 * columns.max(1))), SEED)
}

/// A column's rows at these places; `None` where the sides differ in kind.
pub(super) fn drawn(sides: [&Values; 2], places: [&[usize]; 2], labels: &HashMap<String, u32>) -> Option<Drawn> {
    match sides {
        [Values::Numbers { values: a, .. }, Values::Numbers { values: b, .. }] => {
            let rows = [a, b].into_iter().zip(places).flat_map(|(side, at)| at.iter().map(|at| side[*at]));
            Some(Drawn::Numbers(rows.collect()))
        }
        [Values::Categories { values: a, .. }, Values::Categories { values: b, .. }] => {
            let rows = [a, b].into_iter().zip(places).flat_map(|(side, at)| at.iter().map(|at| side[*at]));
            let rows: Vec<u32> = rows.collect();
            let there: HashSet<u32> = rows.iter().copied().collect();
            let known = labels.iter().filter(|(_, label)| there.contains(label));
            let names = known.map(|(text, label)| (*label, text.clone())).collect();
            Some(Drawn::Categories(rows, names))
        }
        _ => None,
    }
}

/// A classifier's answer about the whole table.
pub(super) fn classified(
    preset: Preset,
    columns: &[(String, Drawn)],
    (rows, all): ([usize; 2], u64),
    level: f64,
) -> Together {
    let table = multivariate::Table::new(columns);
    let found = multivariate::apart(&table.rows, rows, SEED).map_err(presets::NoFinding::from);
    let judged = found.and_then(|found| {
        let finding = presets::classified(preset, &found, all as usize, level)?;
        Ok((finding, found))
    });
    match judged {
        Ok((finding, found)) => {
            let by = table.heaviest(&found.weights, SHOWN);
            Together { outcome: Outcome::Finding(finding), apart: Some(Told::new(&found, by)) }
        }
        Err(why) => Together { outcome: Outcome::Skipped(why.to_string()), apart: None },
    }
}

/// A batch's columns, as the reconstruction takes them.
enum Held {
    Numbers(Vec<f64>),
    Categories(Vec<u32>),
}

impl Held {
    fn cells(&self) -> Cells<'_> {
        match self {
            Self::Numbers(values) => Cells::Numbers(values),
            Self::Categories(values) => Cells::Categories(values),
        }
    }
}

/// Columns by name, with whether they are of numbers, and the numbers of their texts.
struct Reader {
    names: Vec<(String, bool)>,
    labels: Vec<HashMap<String, u32>>,
}

impl Reader {
    fn each(&mut self, table: &Table, mut f: impl FnMut(&[Cells])) -> Result<(), MonitorError> {
        for part in 0..table.parts() {
            for batch in table.rows(part, None)? {
                let batch = batch.map_err(|e| table.wrong(&e))?;
                let held = self.held(&batch).map_err(|e| table.wrong(&e))?;
                let cells: Vec<Cells> = held.iter().map(Held::cells).collect();
                f(&cells);
            }
        }
        Ok(())
    }

    fn held(&mut self, batch: &RecordBatch) -> Result<Vec<Held>, arrow::error::ArrowError> {
        let mut all = Vec::with_capacity(self.names.len());
        for ((name, numeric), labels) in self.names.iter().zip(&mut self.labels) {
            let Some(column) = batch.column_by_name(name) else { continue };
            if *numeric {
                let mut values = Vec::with_capacity(batch.num_rows());
                numbers(column, |v| values.push(v.unwrap_or(f64::NAN)))?;
                all.push(Held::Numbers(values));
            } else {
                let mut values = Vec::with_capacity(batch.num_rows());
                texts(column, |t| values.push(t.map_or(MISSING, |t| label(labels, t))))?;
                all.push(Held::Categories(values));
            }
        }
        Ok(all)
    }
}

/// `NannyML`'s error of reconstruction over the columns that both sides have as numbers, or both as categories.
pub(super) fn reconstructed(reference: &Table, current: &Table, shared: &[&String]) -> Result<Outcome, MonitorError> {
    let usable = |name: &&&String| -> Option<(String, bool)> {
        let kinds = [reference, current].map(|table| kind(table, name));
        let plain = |kind: Kind| !matches!(kind, Kind::Time | Kind::Other);
        (kinds.into_iter().all(plain) && kinds[0].is_numeric() == kinds[1].is_numeric())
            .then(|| ((**name).clone(), kinds[0].is_numeric()))
    };
    let names: Vec<(String, bool)> = shared.iter().filter_map(|name| usable(&name)).collect();
    if names.len() < 2 {
        return Ok(Outcome::Skipped("fewer than two columns can be taken together".into()));
    }
    let mut survey = Survey::new(&names.iter().map(|(_, numeric)| *numeric).collect::<Vec<_>>());
    let mut reader = Reader { labels: vec![HashMap::new(); names.len()], names };
    reader.each(reference, |cells| survey.push(cells))?;
    let texts: Vec<Vec<&String>> = reader.labels.iter().map(in_order).collect();
    let encoding = survey.encoding(|at, a, b| texts[at].get(a as usize).cmp(&texts[at].get(b as usize)));
    let mut sums = Covariance::new(&encoding);
    reader.each(reference, |cells| sums.push(&encoding, cells))?;
    let Some(pca) = sums.reconstruction(encoding) else {
        return Ok(Outcome::Skipped("no column of the reference varies".into()));
    };
    let (mut before, mut now) = (Vec::new(), Vec::new());
    reader.each(reference, |cells| pca.errors(cells, &mut before))?;
    reader.each(current, |cells| pca.errors(cells, &mut now))?;
    Ok(match presets::reconstruction(&before, &now) {
        Ok(finding) => Outcome::Finding(finding),
        Err(why) => Outcome::Skipped(why.to_string()),
    })
}

/// Texts by their number.
fn in_order(labels: &HashMap<String, u32>) -> Vec<&String> {
    let mut pairs: Vec<(u32, &String)> = labels.iter().map(|(text, label)| (*label, text)).collect();
    pairs.sort_unstable_by_key(|(label, _)| *label);
    pairs.into_iter().map(|(_, text)| text).collect()
}
