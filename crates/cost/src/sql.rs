//! The queries.

use crate::prices::PriceSpec;
use crate::report::{By, Request};
use mainspring_core::Timestamp;
use mainspring_journal::OF_SHADOWS;
use mainspring_query::literal;

/// What an answer is, for cost: nobody waited for a shadow, and a failure counts as one whoever chose the version.
pub(crate) const OUTCOME: &str = "CASE WHEN shadow_of IS NOT NULL THEN 'shadow' WHEN outcome = 'failed' THEN 'failed' \
     WHEN forced THEN 'forced' ELSE 'succeeded' END";

/// The part of its engine call that an answer took, nanoseconds: `Prediction::compute_ns`. Journal times are
/// microseconds with three digits behind the point, so whole nanoseconds come back as they were.
pub(crate) const COMPUTE: &str = "CASE WHEN batch_rows <= rows OR protocol = 'batch' \
     THEN CAST(round(engine_us * 1000) AS BIGINT) \
     ELSE CAST(round(engine_us * 1000) AS BIGINT) * CAST(rows AS BIGINT) / CAST(batch_rows AS BIGINT) END";

pub(crate) fn instant(at: Timestamp) -> String {
    format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", at.micros())
}

/// Which rows count.
fn scope(request: &Request) -> String {
    let of = request.deployment.as_ref();
    let of = of.map_or(String::new(), |name| format!(" AND deployment = {}", literal(name.as_str())));
    format!("at >= {} AND at < {}{of}", instant(request.from), instant(request.until))
}

/// A line for each answer, and one for each gap: what found no room in the journal was counted with what it took.
fn answers(request: &Request) -> String {
    let (scope, shadows) = (scope(request), literal(OF_SHADOWS));
    format!(
        "SELECT deployment, variant, model, version, caller, error_kind, {OUTCOME} AS outcome, at, CAST(1 AS BIGINT) AS n, \
         CAST(rows AS BIGINT) AS n_rows, {COMPUTE} AS compute_ns, CAST(round(queue_us * 1000) AS BIGINT) AS queue_ns, \
         protocol = 'batch' AS away, cached_from IS NOT NULL AS kept, coalesce(tokens_in, 0) AS tokens_in, \
         coalesce(tokens_out, 0) AS tokens_out, CAST(round(coalesce(saved_us, 0) * 1000) AS BIGINT) AS saved_ns \
         FROM predictions WHERE \"row\" = 0 AND {scope} \
         UNION ALL \
         SELECT deployment, variant, model, version, NULL, NULL, CASE WHEN reason = {shadows} THEN 'shadow' \
         ELSE 'unstored' END, at, events, CAST(0 AS BIGINT), \
         CAST(round(coalesce(compute_us, 0) * 1000) AS BIGINT), CAST(0 AS BIGINT), false, false, \
         coalesce(tokens_in, 0), coalesce(tokens_out, 0), CAST(0 AS BIGINT) \
         FROM gaps WHERE events > 0 AND {scope}"
    )
}

fn column(by: By) -> &'static str {
    match by {
        By::Deployment => "deployment",
        By::Model => "model",
        By::Version => "model || '/' || version",
        By::Variant => "variant",
        // A query sees one tenant.
        By::Tenant => "'*'",
        By::Key => "coalesce(caller, 'unknown')",
        By::Outcome => "outcome",
        By::Error => "coalesce(error_kind, 'none')",
        By::Day => "CAST(CAST(at AS DATE) AS VARCHAR)",
        By::Hour => "CAST(date_trunc('hour', at) AS VARCHAR)",
    }
}

/// Usage by what was asked for and by what decides a price: the first column is how many of the entries have begun, the second
/// the model, where it is one that has prices of its own.
pub(crate) fn usage(request: &Request, priced: &Priced) -> String {
    let mut columns = vec![period(&priced.begins), model(&priced.models)];
    columns.extend(request.by.iter().map(|by| column(*by).to_owned()));
    let named: Vec<String> = columns.iter().enumerate().map(|(i, c)| format!("{c} AS k{i}")).collect();
    let groups: Vec<String> = (1..=columns.len()).map(|i| i.to_string()).collect();
    format!(
        "SELECT {}, CAST(sum(n) AS BIGINT), CAST(sum(CASE WHEN outcome <> 'shadow' THEN n ELSE 0 END) AS BIGINT), \
         CAST(sum(n_rows) AS BIGINT), CAST(sum(compute_ns) AS BIGINT), \
         CAST(sum(CASE WHEN away THEN compute_ns ELSE 0 END) AS BIGINT), CAST(sum(queue_ns) AS BIGINT), \
         CAST(sum(CASE WHEN kept THEN 0 ELSE tokens_in END) AS BIGINT), \
         CAST(sum(CASE WHEN kept THEN 0 ELSE tokens_out END) AS BIGINT), \
         CAST(sum(CASE WHEN kept THEN 1 ELSE 0 END) AS BIGINT), CAST(sum(saved_ns) AS BIGINT), \
         CAST(sum(CASE WHEN kept THEN tokens_in ELSE 0 END) AS BIGINT), \
         CAST(sum(CASE WHEN kept THEN tokens_out ELSE 0 END) AS BIGINT) \
         FROM ({}) GROUP BY {} ORDER BY {}",
        named.join(", "),
        answers(request),
        groups.join(", "),
        groups.join(", "),
    )
}

/// Compute on this server's machines by deployment, version and minute.
pub(crate) fn minutes(from: Timestamp, until: Timestamp) -> String {
    let request = Request { from, until, by: Vec::new(), deployment: None, prices: None };
    format!(
        "SELECT deployment, model || '/' || version, arrow_cast(date_trunc('minute', at), 'Int64') AS minute, \
         CAST(sum(compute_ns) AS BIGINT) FROM ({}) WHERE NOT away GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        answers(&request)
    )
}

/// What decides the price of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Priced {
    /// When the entries of a table begin.
    pub begins: Vec<Timestamp>,
    /// Models whose tokens have prices of their own.
    pub models: Vec<String>,
}

impl Priced {
    pub fn of(table: Option<&PriceSpec>) -> Self {
        let begins = table.into_iter().flat_map(|p| &p.entries).map(|e| e.from.begins()).collect();
        Self { begins, models: table.map(PriceSpec::models).unwrap_or_default() }
    }
}

/// The model, where it is one of these; any other one is none.
fn model(models: &[String]) -> String {
    if models.is_empty() {
        return "''".to_owned();
    }
    let names: Vec<String> = models.iter().map(|name| literal(name)).collect();
    format!("CASE WHEN model IN ({}) THEN model ELSE '' END", names.join(", "))
}

/// How many of the entries have begun at `at`.
fn period(begins: &[Timestamp]) -> String {
    if begins.is_empty() {
        return "CAST(0 AS BIGINT)".to_owned();
    }
    let cases: Vec<String> = begins
        .iter()
        .enumerate()
        .rev()
        .map(|(i, at)| format!("WHEN at >= {} THEN CAST({} AS BIGINT)", instant(*at), i + 1))
        .collect();
    format!("CASE {} ELSE CAST(0 AS BIGINT) END", cases.join(" "))
}
