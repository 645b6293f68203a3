//! The queries.

use super::Request;
use super::columns::{By, Chosen, Cut};
use mainspring_core::Timestamp;
use mainspring_query::{feedback, identifier as name, literal};

/// How long before the first prediction a label may be of, µs: clocks differ.
const EARLY: i64 = 3_600_000_000;
/// For so long a caller's own id is of one prediction, µs.
const UNIQUE: i64 = 30 * 86_400_000_000;

fn instant(at: Timestamp) -> String {
    format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", at.micros())
}

/// What is asked for, and the condition of its segment: from `AND` on, of `p`.
pub(super) type Asked<'a> = (&'a Request, &'a str);

/// Which rows of `predictions p` are looked at.
pub(super) fn scope((request, within): Asked<'_>) -> String {
    // Shadows are of variants and versions that others answered for.
    let apart = request.by.iter().any(|by| ["variant", "version", "model"].contains(&by.as_str()));
    let shadows = if apart { "" } else { " AND p.shadow_of IS NULL" };
    format!(
        "p.deployment = {} AND p.at >= {} AND p.at < {} AND p.outcome = 'ok' AND NOT p.forced{shadows}{within}",
        literal(request.deployment.as_str()),
        instant(request.from),
        instant(request.until),
    )
}

/// Names of columns of predictions.
pub(super) const COLUMNS: &str =
    "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'predictions'";

/// How many rows, and how many have each output.
pub(super) fn present(asked: Asked<'_>, outputs: &[String]) -> String {
    let counts: Vec<String> =
        std::iter::once("count(*)".to_owned()).chain(outputs.iter().map(|o| format!("count(p.{})", name(o)))).collect();
    format!("SELECT {} FROM predictions p WHERE {}", counts.join(", "), scope(asked))
}

/// The length of the longest list in a column.
pub(super) fn longest(asked: Asked<'_>, column: &str) -> String {
    format!("SELECT max(array_length(p.{})) FROM predictions p WHERE {}", name(column), scope(asked))
}

/// Names of feedback about these predictions.
pub(super) fn names(asked: Asked<'_>) -> String {
    let (request, _) = asked;
    format!(
        "SELECT DISTINCT f.name FROM predictions p JOIN ({}) f ON f.prediction_id = coalesce(p.shadow_of, p.event_id) \
         AND f.\"row\" = p.\"row\" WHERE {} ORDER BY 1 LIMIT 20",
        feedback(&since(of(request)), &own(of(request))),
        scope(asked)
    )
}

/// From when on predictions matter for the labels of those from `from` on: those that a caller's own id could be of, and
/// those that could carry it too.
pub(crate) fn begins(from: Timestamp) -> Timestamp {
    from.plus_micros(-UNIQUE)
}

/// The feedback of this name that may be of a deployment's predictions from `from` on and before `until`.
pub(crate) fn labels(label: &str, of: (&str, Timestamp, Timestamp)) -> String {
    feedback(&format!("f.name = {} AND {}", literal(label), since(of)), &own(of))
}

fn since((_, from, _): (&str, Timestamp, Timestamp)) -> String {
    format!("f.at >= {}", instant(from.plus_micros(-EARLY)))
}

/// Among the predictions that matter those of the deployment.
fn own((deployment, from, until): (&str, Timestamp, Timestamp)) -> String {
    format!(
        "deployment = {} AND at >= {} AND at < {}",
        literal(deployment),
        instant(begins(from)),
        instant(until.plus_micros(UNIQUE)),
    )
}

fn of(request: &Request) -> (&str, Timestamp, Timestamp) {
    (request.deployment.as_str(), request.from, request.until)
}

/// How many different numbers there are of a column, about, and their quartiles.
pub(super) fn quartiles(asked: Asked<'_>, column: &str) -> String {
    let column = format!("CAST({column} AS DOUBLE)");
    let at = |share| format!("approx_percentile_cont({column}, {share})");
    format!(
        "SELECT count(DISTINCT {column}), {}, {}, {} FROM predictions p WHERE {}",
        at(0.25),
        at(0.5),
        at(0.75),
        scope(asked)
    )
}

/// A row for each predicted row: what was predicted, what was true, and which group it is of.
pub(super) fn rows(asked: Asked<'_>, chosen: &Chosen) -> String {
    let (request, _) = asked;
    let score = chosen.score.as_ref().map_or("NULL".into(), |s| format!("p.{}", name(s)));
    let groups = chosen.by.iter().enumerate().map(|(i, by)| format!("{} AS by{i}", group(by)));
    let groups = std::iter::once(String::new()).chain(groups).collect::<Vec<_>>().join(", ");
    format!(
        "SELECT p.event_id, p.at, p.{prediction} AS prediction, {score} AS score, f.at AS labeled_at, f.value, \
         f.value_type, f.value_number{groups} FROM predictions p \
         LEFT JOIN ({labels}) f \
         ON f.prediction_id = coalesce(p.shadow_of, p.event_id) AND f.\"row\" = p.\"row\" WHERE {scope}",
        prediction = name(&chosen.prediction),
        labels = labels(&request.label, of(request)),
        scope = scope(asked),
    )
}

fn group(By { name, column, cut }: &By) -> String {
    match cut {
        Cut::Values => format!("CAST({column} AS VARCHAR)"),
        Cut::Time => format!("CAST(date_trunc('{name}', p.at) AS VARCHAR)"),
        Cut::Quarters(at) => {
            let column = format!("CAST({column} AS DOUBLE)");
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
