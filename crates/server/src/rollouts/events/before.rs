//! What units did before a rollout began: the mean of each, by SQL over the journal.

use super::{JournalEvents, acting_for};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type, UInt64Type};
use mainspring_core::{Failure, Timestamp};
use mainspring_query::{QueryJournal, identifier, literal};
use mainspring_rollout::spec::Source;
use mainspring_rollout::{Before, Earlier, PortError};
use mainspring_traffic::{UnitFrom, unit_id};
use std::collections::HashSet;
use std::time::Duration;

/// Units that are read, as many as a ledger remembers.
pub(super) const MOST_UNITS: usize = 1_000_000;

/// Reads the means of all that are asked for. What was never journaled is known of nobody.
pub(super) async fn read(journal: &JournalEvents, wanted: Before) -> Result<Vec<Earlier>, PortError> {
    let port = |e: &dyn Failure| PortError(e.to_string());
    let auth = journal.gate.authorize(&acting_for(&wanted.tenant), QueryJournal).map_err(|e| port(&e))?;
    let longest = wanted.metrics.iter().map(|(_, _, window)| *window).max().unwrap_or_default();
    let query = journal.of_deployment(&wanted.deployment, begins(wanted.until, longest)).query;
    let columns = "SELECT column_name FROM information_schema.columns WHERE table_name = 'predictions'";
    let columns = query.sql(&auth, columns).await.map_err(|e| port(&e))?.values();
    let columns: HashSet<String> = columns.into_iter().filter_map(|r| Some(r.first()?.as_str()?.to_owned())).collect();
    let mut all = Vec::new();
    for (metric, source, window) in &wanted.metrics {
        let Some(sql) = statement(&wanted, (source, *window), &columns) else { continue };
        let answer = query.sql(&auth, &sql).await.map_err(|e| port(&e))?;
        all.push(Earlier { metric: metric.clone(), means: answer.batches().iter().flat_map(means).collect() });
    }
    Ok(all)
}

fn begins(until: Timestamp, window: Duration) -> Timestamp {
    until.plus_micros(-i64::try_from(window.as_micros()).unwrap_or(i64::MAX))
}

/// The statement for one metric; nothing where the journal has no such column.
fn statement(wanted: &Before, (source, window): (&Source, Duration), columns: &HashSet<String>) -> Option<String> {
    let column = |name: String| columns.contains(&name).then(|| format!("p.{}", identifier(&name)));
    let unit = match wanted.unit.parse::<UnitFrom>().ok()? {
        // What each request is alone has no past.
        UnitFrom::Request => return None,
        UnitFrom::Field(name) => column(format!("in.{name}"))?,
        UnitFrom::Header(_) | UnitFrom::Cookie(_) | UnitFrom::Key => "p.unit".to_owned(),
    };
    let time = |micros: i64| format!("arrow_cast({micros}, 'Timestamp(Microsecond, Some(\"UTC\"))')");
    let (from, until) = (begins(wanted.until, window).micros(), time(wanted.until.micros()));
    let (value, joined) = match source {
        Source::Latency => ("p.total_us / 1e6".to_owned(), String::new()),
        Source::Output(name) => (format!("CAST({} AS DOUBLE)", column(format!("out.{name}"))?), String::new()),
        Source::Label(name) => {
            let on = "JOIN feedback_log f ON f.prediction_id = p.event_id";
            ("f.value_number".to_owned(), format!("{on} AND f.name = {} AND f.at < {until}", literal(name)))
        }
    };
    Some(format!(
        "SELECT {unit} AS unit, avg({value}) AS mean FROM predictions p {joined} \
         WHERE p.deployment = {} AND p.\"row\" = 0 AND p.shadow_of IS NULL AND NOT p.forced AND p.outcome = 'ok' \
         AND p.at >= {} AND p.at < {until} AND {unit} IS NOT NULL GROUP BY {unit} ORDER BY {unit}",
        literal(wanted.deployment.as_str()),
        time(from),
    ))
}

/// Units and their means.
fn means(batch: &RecordBatch) -> Vec<(u64, f64)> {
    let Some(means) = batch.column(1).as_primitive_opt::<Float64Type>() else { return Vec::new() };
    let known = |(unit, mean): (Option<u64>, Option<f64>)| Some((unit?, mean.filter(|m| m.is_finite())?));
    units(batch.column(0)).into_iter().zip(means).filter_map(known).collect()
}

/// The hashes of units: as they are, or of what an input says, as text.
fn units(column: &ArrayRef) -> Vec<Option<u64>> {
    if let Some(hashes) = column.as_primitive_opt::<UInt64Type>() {
        return hashes.iter().collect();
    }
    let text = |text: String| unit_id(text.as_bytes());
    match column.data_type() {
        DataType::Float32 => {
            column.as_primitive::<Float32Type>().iter().map(|v| v.map(|v| text(v.to_string()))).collect()
        }
        DataType::Float64 => {
            column.as_primitive::<Float64Type>().iter().map(|v| v.map(|v| text(v.to_string()))).collect()
        }
        _ => match cast(column, &DataType::Utf8) {
            Ok(texts) => {
                let texts = texts.as_string::<i32>();
                (0..texts.len()).map(|i| texts.is_valid(i).then(|| unit_id(texts.value(i).as_bytes()))).collect()
            }
            Err(_) => vec![None; column.len()],
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float64Array, Int64Array, StringArray, UInt64Array};
    use mainspring_core::{Name, Tenant, Timestamp};
    use std::sync::Arc;

    fn wanted(unit: &str) -> Before {
        Before {
            tenant: Tenant::default(),
            deployment: Name::new("churn").unwrap(),
            until: Timestamp(10_000_000_000_000),
            unit: unit.to_owned(),
            metrics: Vec::new(),
        }
    }

    #[test]
    fn only_what_came_before_the_rollout_is_asked_for() {
        let columns: HashSet<String> = ["in.user", "out.score"].map(str::to_owned).into();
        let day = Duration::from_secs(86_400);
        let sql = |unit: &str, source: Source| statement(&wanted(unit), (&source, day), &columns);
        let label = sql("header:x-user-id", Source::Label("it's".into())).unwrap();
        assert!(
            label.contains("f.at < arrow_cast(10000000000000,") && label.contains("p.at < arrow_cast(10000000000000,")
        );
        assert!(label.contains("p.at >= arrow_cast(9913600000000,") && label.contains("f.name = 'it''s'"), "{label}");
        assert!(sql("field:user", Source::Output("score".into())).unwrap().contains("GROUP BY p.\"in.user\""));
        for unit in ["key", "cookie:uid"] {
            assert!(sql(unit, Source::Latency).unwrap().contains("GROUP BY p.unit"));
        }
        for (unit, source) in
            [("request", Source::Latency), ("field:nobody", Source::Latency), ("key", Source::Output("x".into()))]
        {
            assert_eq!(sql(unit, source), None);
        }
    }

    #[test]
    fn a_unit_is_hashed_as_serving_hashes_it() {
        let of = |column: ArrayRef| {
            let values = Arc::new(Float64Array::from(vec![0.5, f64::NAN])) as ArrayRef;
            means(&RecordBatch::try_from_iter([("unit", column), ("mean", values)]).unwrap())
        };
        assert_eq!(of(Arc::new(UInt64Array::from(vec![7, 8]))), [(7, 0.5)], "what is no number is not known");
        for column in [
            Arc::new(StringArray::from(vec!["42", "43"])) as ArrayRef,
            Arc::new(Int64Array::from(vec![42, 43])),
            Arc::new(Float64Array::from(vec![42.0, 43.0])),
        ] {
            assert_eq!(of(column), [(unit_id(b"42"), 0.5)]);
        }
    }
}
