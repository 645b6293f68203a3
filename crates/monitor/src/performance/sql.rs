//! The queries.

use super::Request;
use super::columns::{Chosen, Cut};
use mainspring_core::Timestamp;
use mainspring_query::{feedback, identifier as name, literal};

/// How long before the first prediction a label may be of, µs: clocks differ.
const EARLY: i64 = 3_600_000_000;
/// For so long a caller's own id is of one prediction, µs.
const UNIQUE: i64 = 30 * 86_400_000_000;

fn instant(at: Timestamp) -> String {
    format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", at.micros())
}

/// Which rows of `predictions p` are looked at.
pub(super) fn scope(request: &Request) -> String {
    // Shadows are of variants and versions that others answered for.
    let apart = request.by.iter().any(|by| ["variant", "version", "model"].contains(&by.as_str()));
    let shadows = if apart { "" } else { " AND p.shadow_of IS NULL" };
    format!(
        "p.deployment = {} AND p.at >= {} AND p.at < {} AND p.outcome = 'ok' AND NOT p.forced{shadows}",
        literal(request.deployment.as_str()),
        instant(request.from),
        instant(request.until),
    )
}

/// Names of columns of predictions.
pub(super) const COLUMNS: &str =
    "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'predictions'";

/// How many rows, and how many have each output.
pub(super) fn present(request: &Request, outputs: &[String]) -> String {
    let counts: Vec<String> =
        std::iter::once("count(*)".to_owned()).chain(outputs.iter().map(|o| format!("count(p.{})", name(o)))).collect();
    format!("SELECT {} FROM predictions p WHERE {}", counts.join(", "), scope(request))
}

/// The length of the longest list in a column.
pub(super) fn longest(request: &Request, column: &str) -> String {
    format!("SELECT max(array_length(p.{})) FROM predictions p WHERE {}", name(column), scope(request))
}

/// Names of feedback about these predictions.
pub(super) fn names(request: &Request) -> String {
    format!(
        "SELECT DISTINCT f.name FROM predictions p JOIN ({}) f ON f.prediction_id = coalesce(p.shadow_of, p.event_id) \
         AND f.\"row\" = p.\"row\" WHERE {} ORDER BY 1 LIMIT 20",
        feedback(&since(request), &own(request)),
        scope(request)
    )
}

/// Feedback `f` that may be of the request's predictions.
fn since(request: &Request) -> String {
    format!("f.at >= {}", instant(request.from.plus_micros(-EARLY)))
}

/// From when on predictions matter: those that a caller's own id could be of, and those that could carry it too.
pub(super) fn begins(request: &Request) -> Timestamp {
    request.from.plus_micros(-UNIQUE)
}

/// Among them those of the deployment.
fn own(request: &Request) -> String {
    format!(
        "deployment = {} AND at >= {} AND at < {}",
        literal(request.deployment.as_str()),
        instant(begins(request)),
        instant(request.until.plus_micros(UNIQUE)),
    )
}

/// How many different numbers there are of `column`, about, and their quartiles.
pub(super) fn quartiles(request: &Request, column: &str) -> String {
    let column = format!("CAST(p.{} AS DOUBLE)", name(column));
    let at = |share| format!("approx_percentile_cont({column}, {share})");
    format!(
        "SELECT count(DISTINCT {column}), {}, {}, {} FROM predictions p WHERE {}",
        at(0.25),
        at(0.5),
        at(0.75),
        scope(request)
    )
}

/// A row for each predicted row: what was predicted, what was true, and which group it is of.
pub(super) fn rows(request: &Request, chosen: &Chosen) -> String {
    let score = chosen.score.as_ref().map_or("NULL".into(), |s| format!("p.{}", name(s)));
    let groups = chosen.by.iter().enumerate().map(|(i, (by, cut))| format!("{} AS by{i}", group(by, cut)));
    let groups = std::iter::once(String::new()).chain(groups).collect::<Vec<_>>().join(", ");
    format!(
        "SELECT p.event_id, p.at, p.{prediction} AS prediction, {score} AS score, f.at AS labeled_at, f.value, \
         f.value_type, f.value_number{groups} FROM predictions p \
         LEFT JOIN ({labels}) f \
         ON f.prediction_id = coalesce(p.shadow_of, p.event_id) AND f.\"row\" = p.\"row\" WHERE {scope}",
        prediction = name(&chosen.prediction),
        labels = feedback(&format!("f.name = {} AND {}", literal(&request.label), since(request)), &own(request)),
        scope = scope(request),
    )
}

fn group(by: &str, cut: &Cut) -> String {
    match cut {
        Cut::Values => format!("CAST(p.{} AS VARCHAR)", name(by)),
        Cut::Time => format!("CAST(date_trunc('{by}', p.at) AS VARCHAR)"),
        Cut::Quarters(at) => {
            let column = format!("CAST(p.{} AS DOUBLE)", name(by));
            let [a, b, c] = at;
            let [low, middle, high] = at.map(shown);
            format!(
                "CASE WHEN {column} IS NULL THEN NULL WHEN {column} < {a:?} THEN '< {low}' WHEN {column} < {b:?} THEN \
                 '{low} to {middle}' WHEN {column} < {c:?} THEN '{middle} to {high}' ELSE '>= {high}' END"
            )
        }
    }
}

/// What was a 32-bit number, as short as that is.
fn shown(x: f64) -> String {
    let short = x as f32;
    if f64::from(short) == x { short.to_string() } else { x.to_string() }
}
