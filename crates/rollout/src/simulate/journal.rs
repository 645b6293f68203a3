//! What a journal says of a deployment's traffic: the questions in SQL, and how their answers are read.

use super::Labelling;
use crate::spec::RolloutSpec;
use mainspring_traffic::UnitFrom;
use serde_json::Value;
use std::collections::HashMap;

/// Quantiles of what labels take, the middle of each tenth.
const TENTHS: [f64; 10] = [0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95];
/// Of fewer answers a part says too little.
const FEW: f64 = 100.0;
/// What is asked first: the columns and their types.
const COLUMNS: &str = "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'predictions'";

/// The columns of a journal's predictions that hold one value a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns(HashMap<String, bool>);

/// How many different units there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Units {
    /// Requests whose unit is known.
    pub requests: u64,
    /// Different units among them.
    pub different: u64,
}

/// What is known of a label.
#[derive(Debug, Clone, PartialEq)]
pub struct ObservedLabel {
    /// Its mean.
    pub mean: f64,
    /// Its standard deviation; 0 where it is always 0 or 1.
    pub deviation: f64,
    /// Which answers get it, and when.
    pub labelling: Labelling,
    /// When the first answer arrived that has it, and the last label was received; microseconds since 1970.
    pub between: (i64, i64),
}

/// What a journal says of a deployment's traffic.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// Requests of the last day that there is, and how much of it they span, seconds.
    pub requests: u64,
    /// From the first of them to the last, seconds.
    pub seconds: f64,
    /// When the last of them arrived, microseconds since 1970.
    pub last: i64,
    /// The part of the answers that failed.
    pub error_rate: Option<f64>,
    /// The median of the time to answer, seconds.
    pub latency: Option<f64>,
    /// The standard deviation of the logarithm of that time.
    pub spread: Option<f64>,
    /// The units of these requests, where the journal knows them.
    pub units: Option<Units>,
    /// Labels by their names.
    pub labels: HashMap<String, ObservedLabel>,
    /// Mean and standard deviation of outputs by their names.
    pub outputs: HashMap<String, (f64, f64)>,
}

/// A text in single quotes.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn number(row: &[Value], at: usize) -> Option<f64> {
    row.get(at).and_then(Value::as_f64)
}

fn cells(rows: &[Value]) -> &[Value] {
    rows.first().and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Answers of the last day there is, so that nights and mornings are both in it; those of callers alone.
fn lately(deployment: &str) -> String {
    let of = literal(deployment);
    format!(
        "deployment = {of} AND shadow_of IS NULL AND at > (SELECT max(at) FROM predictions WHERE deployment = {of}) - \
         INTERVAL '1 day'"
    )
}

impl Columns {
    /// What asks for them.
    pub fn statement() -> &'static str {
        COLUMNS
    }

    /// From the rows of the answer.
    pub fn read(rows: &[Value]) -> Self {
        let text = |row: &Value, at: usize| row.get(at).and_then(Value::as_str).map(str::to_owned);
        let column = |row: &Value| Some((text(row, 0)?, !text(row, 1)?.contains("List")));
        Self(rows.iter().filter_map(column).collect())
    }

    /// The column in double quotes, where there is one and it holds one value a row.
    fn quoted(&self, name: &str) -> Option<String> {
        self.0.get(name).filter(|single| **single).map(|_| format!("\"{}\"", name.replace('"', "\"\"")))
    }

    /// What asks for the traffic of a rollout's deployment, and for its units.
    pub fn traffic(&self, spec: &RolloutSpec) -> String {
        let unit = match spec.assignment.unit.parse() {
            // Each request is one, and that needs no asking.
            Ok(UnitFrom::Request) | Err(_) => None,
            Ok(UnitFrom::Field(name)) => self.quoted(&format!("in.{name}")),
            Ok(UnitFrom::Header(_) | UnitFrom::Cookie(_) | UnitFrom::Key) => Some("unit".to_owned()),
        };
        let nothing = || "0 AS known, 0 AS different".to_owned();
        let units = unit.map_or_else(nothing, |unit| format!("count({unit}), count(DISTINCT {unit})"));
        let of = lately(spec.deployment.as_str());
        format!(
            "SELECT count(*), date_part('epoch', max(at)) - date_part('epoch', min(at)), CAST(max(at) AS BIGINT), \
             avg(CASE WHEN outcome = 'failed' THEN 1.0 ELSE 0.0 END), median(total_us), \
             stddev(ln(greatest(total_us, 1))), {units} FROM predictions WHERE \"row\" = 0 AND {of}"
        )
    }

    /// What asks for mean and deviation of an output; `None` where it is no single number.
    pub fn output(&self, deployment: &str, name: &str) -> Option<String> {
        let value = format!("CAST({} AS DOUBLE)", self.quoted(&format!("out.{name}"))?);
        let of = lately(deployment);
        Some(format!(
            "SELECT avg({value}), stddev({value}) FROM predictions WHERE outcome = 'ok' AND NOT isnan({value}) AND {of}"
        ))
    }
}

impl Observed {
    /// From the rows of the answer to [`Columns::traffic`].
    pub fn read(rows: &[Value]) -> Self {
        let row = cells(rows);
        let count = |at: usize| number(row, at).unwrap_or_default() as u64;
        let units = Units { requests: count(6), different: count(7) };
        Self {
            requests: count(0),
            seconds: number(row, 1).unwrap_or_default(),
            last: row.get(2).and_then(Value::as_i64).unwrap_or_default(),
            error_rate: number(row, 3),
            latency: number(row, 4).map(|us| us / 1e6),
            spread: number(row, 5),
            units: Some(units).filter(|units| units.different > 0),
            ..Self::default()
        }
    }

    /// Requests an hour; nothing of less than a minute.
    pub fn per_hour(&self) -> Option<f64> {
        (self.seconds >= 60.0).then(|| self.requests as f64 / self.seconds * 3600.0)
    }

    /// What asks for the labels of a deployment.
    pub fn labels_statement(deployment: &str) -> String {
        let tenths: Vec<String> = TENTHS.iter().map(|q| format!("approx_percentile_cont(delay, {q})")).collect();
        format!(
            "SELECT name, avg(value), stddev(value), bool_and(value = 0 OR value = 1), min(asked), max(told), {} FROM \
             (SELECT feedback_name AS name, feedback_number AS value, CAST(at AS BIGINT) AS asked, \
             CAST(feedback_at AS BIGINT) AS told, \
             CAST(greatest(CAST(feedback_at AS BIGINT) - CAST(at AS BIGINT), 0) AS DOUBLE) AS delay \
             FROM labeled WHERE deployment = {} AND shadow_of IS NULL AND feedback_number IS NOT NULL) GROUP BY name",
            tenths.join(", "),
            literal(deployment)
        )
    }

    /// Takes the rows of the answer to it. Every answer seems to have its label until [`Observed::covered`] says more.
    pub fn labelled(&mut self, rows: &[Value]) {
        for row in rows.iter().filter_map(Value::as_array) {
            let delays = (6..6 + TENTHS.len()).filter_map(|at| number(row, at)).map(|us| us as i64).collect();
            let time = |at: usize| row.get(at).and_then(Value::as_i64);
            let (Some(name), Some(mean)) = (row.first().and_then(Value::as_str), number(row, 1)) else { continue };
            // One that is always 0 or 1 is drawn as such.
            let spread = if row.get(3) == Some(&Value::Bool(true)) { None } else { number(row, 2) };
            let label = ObservedLabel {
                mean,
                deviation: spread.unwrap_or_default(),
                labelling: Labelling { delays, ..Labelling::default() },
                between: (time(4).unwrap_or_default(), time(5).unwrap_or_default()),
            };
            self.labels.insert(name.to_owned(), label);
        }
    }

    /// What asks which part of a deployment's answers has a label, of those since the first that has it: first of those that
    /// are so old that nearly all labels would have come, then, where [`Observed::covered`] finds them too few, of all.
    pub fn coverage_statements(&self, deployment: &str, label: &str) -> Vec<String> {
        let Some(known) = self.labels.get(label) else { return Vec::new() };
        let ((first, told), of) = (known.between, literal(deployment));
        let end = self.last.max(told);
        let slowest = known.labelling.delays.last().copied().unwrap_or_default();
        let among = |until: i64| {
            format!("deployment = {of} AND shadow_of IS NULL AND CAST(at AS BIGINT) BETWEEN {first} AND {until}")
        };
        let statement = |until: i64| {
            let (among, label) = (among(until), literal(label));
            format!(
                "SELECT (SELECT count(*) FROM predictions WHERE \"row\" = 0 AND {among}), (SELECT count(DISTINCT event_id) \
                 FROM labeled WHERE feedback_name = {label} AND feedback_number IS NOT NULL AND {among})"
            )
        };
        [end - slowest, end].into_iter().map(statement).collect()
    }

    /// Takes the rows of the answer to one of them; false where it is of too few answers.
    pub fn covered(&mut self, label: &str, rows: &[Value]) -> bool {
        let row = cells(rows);
        let (all, with) = (number(row, 0).unwrap_or_default(), number(row, 1).unwrap_or_default());
        if let Some(known) = self.labels.get_mut(label).filter(|_| all > 0.0) {
            known.labelling.coverage = (with / all).min(1.0);
        }
        all >= FEW
    }

    /// Takes the rows of the answer to [`Columns::output`].
    pub fn put_out(&mut self, name: &str, rows: &[Value]) {
        let row = cells(rows);
        if let Some(mean) = number(row, 0) {
            self.outputs.insert(name.to_owned(), (mean, number(row, 1).unwrap_or_default()));
        }
    }
}

/// How many units there are, where each is as likely as any other to ask and so many different ones were seen: n requests of N
/// units come from N·(1 − e^(−n/N)) of them. `None` where no unit came twice: each request is then one of its own.
pub fn population(seen: Units) -> Option<u64> {
    let (requests, different) = (seen.requests as f64, seen.different as f64);
    if seen.different >= seen.requests {
        return None;
    }
    // The part of the requests that are of new units falls with the requests of each unit, from 1 towards 0.
    let (mut low, mut high) = (0.0_f64, 2.0 * requests / different.max(1.0));
    for _ in 0..100 {
        let each = f64::midpoint(low, high);
        if -(-each).exp_m1() / each > different / requests { low = each } else { high = each }
    }
    Some(((requests / high).round() as u64).max(1))
}
