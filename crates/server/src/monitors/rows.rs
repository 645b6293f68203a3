//! monitor asks for a deployment's rows; the journal has them: what is sealed or in the log by SQL, then what comes.
//!
//! Only this process's log can be followed as it grows. What other replicas answered is there once it is sealed, and is
//! then in the past of a monitor that leads here: see `docs/how-to/monitor.md`.

use crate::deployments::acting_for;
use crate::listen::Listener;
use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use mainspring_core::{Authorized, Ctx, ErrorKind, Failure, Gate, Timestamp};
use mainspring_journal::log::StreamHeader;
use mainspring_journal::{Journal, Kind, MicroBatch};
use mainspring_monitor::live::{Asked, PortError, PortResult, RowStream, Rows, Traffic, Wanted};
use mainspring_monitor::segment::FIELDS;
use mainspring_query::{Answer, Query, QueryError, QueryJournal, feedback_in_time, identifier, literal};
use mainspring_serving::{Describe, Serving};
use serde_json::Value;
use std::collections::HashSet;
use std::ops::RangeInclusive;

/// How long after its arrival an answer may reach the journal and still be counted in its minute, microseconds.
const SETTLES: i64 = 5_000_000;
/// The past is read in parts of so long, longer ones where there is little in them, microseconds.
const SHORTEST: i64 = 50_000;
const FIRST: i64 = 60_000_000;
const LONGEST: i64 = 3_600_000_000;
/// Rows of one part: so many that it has about so many values, within these bounds.
const VALUES: usize = 1_000_000;
const ROWS: RangeInclusive<usize> = 20_000..=super::MOST_ROWS;

const MINUTE: i64 = 60_000_000;
/// How far back the latest rows are looked for first, microseconds.
const NEAREST: i64 = 5 * MINUTE;
/// How long before its prediction a label may seem to have come, microseconds: clocks differ.
const EARLY: i64 = 3_600_000_000;

const COLUMNS: &str = "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'predictions'";

const ENVELOPE: [&str; 10] =
    ["event_id", "row", "at", "variant", "model", "version", "forced", "shadow_of", "outcome", "payload"];

/// The journal of this process.
#[derive(Debug, Clone)]
pub struct JournalRows {
    /// Keeps them.
    pub journal: Journal,
    /// Reads what is not followed.
    pub query: Query,
    /// Knows what a deployment redacts.
    pub serving: Serving,
    /// Decides who may do what.
    pub gate: Gate,
    /// Time.
    pub ctx: Ctx,
}

impl JournalRows {
    /// The columns of the deployment that have NaN and `[redacted]` in the place of what came.
    fn hidden(&self, wanted: &Wanted) -> Result<Vec<String>, PortError> {
        let describe = Describe { deployment: Some(wanted.spec.deployment.clone()) };
        let auth = self.gate.authorize(&acting_for(&wanted.tenant), describe).map_err(|e| port(&e))?;
        let redacted = self.serving.describe(&auth).map(|view| view.spec.journal.redact.clone()).unwrap_or_default();
        Ok(redacted.iter().map(|name| format!("in.{name}")).collect())
    }
}

impl Traffic for JournalRows {
    fn follow(&self, wanted: Wanted) -> PortResult<'_, Box<dyn RowStream>> {
        // Before the past is read, so that nothing falls between.
        let of = wanted.clone();
        let live = Listener::new(&self.journal, &self.ctx.tasks, move |batch, rows| heard(batch, &of, rows));
        let begun = self.ctx.now();
        let past = Some(Past { next: wanted.from, step: FIRST });
        // Its own columns and types: where another deployment has texts under a name, the numbers here stay numbers.
        // What a column was in an earlier version is forgotten with the days of that version.
        let query = self.query.of_deployment(wanted.spec.deployment.as_str()).since(wanted.from);
        let of = Self { query, ..self.clone() };
        let stream: Box<dyn RowStream> =
            Box::new(Following { of, wanted, live, past, begun, seen: HashSet::new(), hidden: Vec::new() });
        Box::pin(async move { Ok(stream) })
    }

    fn recent(&self, wanted: Wanted, of: Asked, most: usize) -> PortResult<'_, Rows> {
        Box::pin(async move {
            let auth = self.gate.authorize(&acting_for(&wanted.tenant), QueryJournal).map_err(|e| port(&e))?;
            let query = self.query.of_deployment(wanted.spec.deployment.as_str()).since(wanted.from);
            let known = query.sql(&auth, COLUMNS).await.map_err(|e| port(&e))?.values();
            let known = columns(&known);
            let inputs = known.iter().map(|(name, _)| *name).filter(|n| n.starts_with("in.") && wanted.spec.needs(n));
            let mut hidden = self.hidden(&wanted)?;
            let (without, inputs): (Vec<&str>, Vec<&str>) = inputs.partition(|name| hidden.iter().any(|of| of == name));
            hidden.retain(|of| without.contains(&of.as_str()));
            let inputs: Vec<String> = inputs.into_iter().map(identifier).collect();
            // Without what is redacted nothing can be asked again.
            if inputs.is_empty() || !hidden.is_empty() {
                return Ok(Rows { hidden, ..Rows::default() });
            }
            let segment = wanted.spec.in_segment(&known, "");
            let since = self.began(&auth, (&wanted, &of), (most, &segment)).await.map_err(|e| port(&e))?;
            let query = self.query.of_deployment(wanted.spec.deployment.as_str()).since(since);
            let sql = latest(&Wanted { from: since, ..wanted }, &of, (&inputs, most), &segment);
            let answer = query.sql_limited(&auth, &sql, most).await.map_err(|e| port(&e))?;
            Ok(Rows { batches: answer.batches().to_vec(), complete_until: self.ctx.now(), hidden, more: false })
        })
    }

    fn labels(&self, wanted: Wanted, until: Timestamp) -> PortResult<'_, Rows> {
        Box::pin(async move {
            let query = self.query.of_deployment(wanted.spec.deployment.as_str()).since(wanted.from);
            let auth = self.gate.authorize(&acting_for(&wanted.tenant), QueryJournal).map_err(|e| port(&e))?;
            let Some(label) = &wanted.spec.label else { return Ok(Rows::default()) };
            let known = query.sql(&auth, COLUMNS).await.map_err(|e| port(&e))?.values();
            let known = columns(&known);
            let told_apart = |name: &str| {
                let list =
                    |of: &str| of.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('['));
                wanted.spec.segments.iter().any(|of| list(of))
            };
            let is_wanted = |(name, kind): &&(&str, &str)| {
                name.starts_with("out.") && !kind.contains("List") || is_payload(name) && told_apart(name)
            };
            let outputs: Vec<&str> = known.iter().filter(is_wanted).map(|(name, _)| *name).collect();
            let segment = wanted.spec.in_segment(&known, "p.");
            let mut until = until;
            loop {
                let sql = labelled(&wanted, (until, &label.name), (&outputs, &segment));
                let answer = query.sql_limited(&auth, &sql, super::MOST_ROWS).await.map_err(|e| port(&e))?;
                let minutes = (until.micros() - wanted.from.micros()) / MINUTE;
                if answer.truncated() && minutes > 1 {
                    until = wanted.from.plus_micros(minutes / 4 * MINUTE).max(wanted.from.plus_micros(MINUTE));
                    continue;
                }
                if answer.truncated() {
                    let (deployment, at) = (&wanted.spec.deployment, wanted.from.micros());
                    tracing::warn!(%deployment, at, "more labels of a minute than are read; further ones are left out");
                }
                let batches = answer.batches().to_vec();
                return Ok(Rows { batches, complete_until: until, ..Rows::default() });
            }
        })
    }
}

impl JournalRows {
    /// From when on the latest `most` rows are, or as many as there are since `wanted.from`: looked for further and further
    /// back, each time among what is new, and by columns of the envelope and the segment alone. So of a long window with
    /// little in it, and of one whose traffic has dwindled, no more inputs are read than are wanted.
    async fn began(
        &self,
        auth: &Authorized<QueryJournal>,
        (wanted, of): (&Wanted, &Asked),
        (most, segment): (usize, &str),
    ) -> Result<Timestamp, QueryError> {
        let (mut to, mut step, mut left) = (self.ctx.now(), NEAREST, most);
        while to > wanted.from {
            let from = to.plus_micros(-step).max(wanted.from);
            let query = self.query.of_deployment(wanted.spec.deployment.as_str()).since(from);
            // The nearest part has no end: what was answered since is the latest.
            let before = if step == NEAREST { String::new() } else { format!(" AND at < {}", instant(to)) };
            let more = format!("{before}{segment}");
            let part = Wanted { from, ..wanted.clone() };
            let sql = latest(&part, of, (&["CAST(at AS BIGINT) AS moment".to_owned()], left), &more);
            let rows = query.sql_limited(auth, &sql, left).await?.values();
            left -= rows.len().min(left);
            if left == 0 {
                let last = rows.last().and_then(|row| row.first()?.as_i64());
                return Ok(last.map_or(from, Timestamp));
            }
            (to, step) = (from, step.saturating_mul(4));
        }
        Ok(wanted.from)
    }
}

/// The latest rows of a version that count, with these of their columns.
fn latest(wanted: &Wanted, of: &Asked, (columns, most): (&[String], usize), more: &str) -> String {
    format!(
        "SELECT {} FROM predictions WHERE deployment = {} AND variant = {} AND version = {} AND at >= {}{more} \
         AND outcome = 'ok' AND payload = 'kept' AND NOT forced AND shadow_of IS NULL ORDER BY at DESC LIMIT {most}",
        columns.join(", "),
        literal(wanted.spec.deployment.as_str()),
        literal(&wanted.spec.variant),
        literal(&of.version),
        instant(wanted.from),
    )
}

/// Labelled rows of `wanted.from` up to `until`, whose labels came in time, with their outputs and what tells segments apart.
fn labelled(wanted: &Wanted, (until, label): (Timestamp, &str), (outputs, segment): (&[&str], &str)) -> String {
    let wait = wanted.spec.label.as_ref().map_or(0, |l| i64::try_from(l.wait.0.as_micros()).unwrap_or(i64::MAX));
    let envelope = ENVELOPE.into_iter().chain(outputs.iter().copied());
    let columns: Vec<String> = envelope.map(|name| format!("p.{}", identifier(name))).collect();
    let (from, to) = (instant(wanted.from), instant(until));
    let among = |of: &str| format!("{of}at >= {from} AND {of}at < {to}");
    let deployment = literal(wanted.spec.deployment.as_str());
    let (early, late) = (instant(wanted.from.plus_micros(-EARLY)), instant(until.plus_micros(wait)));
    let filter = format!("f.name = {} AND f.at >= {early} AND f.at < {late}", literal(label));
    let these = format!("p.deployment = {deployment} AND {}", among("p."));
    // A label that is corrected after the wait is what it was, whoever looks, and whenever.
    let all = feedback_in_time((&filter, &among("")), (&these, wait));
    format!(
        "SELECT {}, f.value AS label_value, f.value_type AS label_type, f.value_number AS label_number \
         FROM predictions p JOIN ({all}) f ON f.prediction_id = p.event_id AND f.\"row\" = p.\"row\" \
         WHERE {these} AND p.variant = {}{segment}",
        columns.join(", "),
        literal(&wanted.spec.variant),
    )
}

/// Names and types.
fn columns(known: &[Vec<Value>]) -> Vec<(&str, &str)> {
    known.iter().filter_map(|row| Some((row.first()?.as_str()?, row.get(1)?.as_str()?))).collect()
}

fn is_payload(name: &str) -> bool {
    name.starts_with("in.") || name.starts_with("out.")
}

fn instant(at: Timestamp) -> String {
    format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", at.micros())
}

fn port(e: &dyn Failure) -> PortError {
    PortError { kind: e.kind(), message: e.to_string() }
}

/// Where the reading of what is kept stands.
#[derive(Clone, Copy)]
struct Past {
    next: Timestamp,
    step: i64,
}

struct Following {
    of: JournalRows,
    wanted: Wanted,
    live: Listener<RecordBatch>,
    past: Option<Past>,
    begun: Timestamp,
    /// Events that the past gave and the first micro-batches may bring again.
    seen: HashSet<String>,
    /// What the deployment redacts now.
    hidden: Vec<String>,
}

impl RowStream for Following {
    fn next(&mut self) -> PortResult<'_, Rows> {
        Box::pin(async move {
            let rows = match self.past {
                Some(past) => {
                    self.hidden = self.of.hidden(&self.wanted)?;
                    self.read(past).await
                }
                None => self.follow(),
            };
            rows.map(|rows| Rows { hidden: self.hidden.clone(), ..rows })
        })
    }
}

impl Following {
    /// The next part of what is kept; the last has no end.
    async fn read(&mut self, past: Past) -> Result<Rows, PortError> {
        let now = self.of.ctx.now();
        let to = past.next.plus_micros(past.step);
        let last = to >= now;
        let (answer, most) = self.select(past.next, (!last).then_some(to)).await?;
        if answer.truncated() && past.step > SHORTEST {
            self.past = Some(Past { step: (past.step / 4).max(SHORTEST), ..past });
            return Ok(Rows { complete_until: past.next, more: true, ..Rows::default() });
        }
        if answer.truncated() {
            let (deployment, at) = (&self.wanted.spec.deployment, past.next.micros());
            tracing::warn!(%deployment, at, most, "more rows of the past in a moment than are read; further ones are left out");
        }
        let step = if answer.rows() < most / 4 { (past.step * 2).min(LONGEST) } else { past.step };
        self.past = (!last).then_some(Past { next: to, step });
        let batches = with_values(&answer);
        // What was journaled after the subscription, and was received long before it, is rare enough to be read twice.
        let recent = self.begun.micros() - FIRST;
        if to.micros() >= recent {
            for ids in batches.iter().filter_map(|b| text(b, "event_id")) {
                self.seen.extend(ids.iter().flatten().map(str::to_owned));
            }
        }
        let until = if last { settled(now) } else { to.min(settled(now)) };
        Ok(Rows { batches, complete_until: until, more: true, ..Rows::default() })
    }

    /// The columns that are needed and that the journal has.
    async fn payload(&self, auth: &Authorized<QueryJournal>) -> Result<Vec<String>, PortError> {
        let known = self.of.query.sql(auth, COLUMNS).await.map_err(|e| port(&e))?.values();
        let known = known.iter().filter_map(|row| row.first()?.as_str());
        let needed = |name: &&str| {
            (is_payload(name) || FIELDS.contains(name) && !ENVELOPE.contains(name))
                && self.wanted.spec.needs(name)
                && !self.hidden.iter().any(|of| of == name)
        };
        Ok(known.filter(needed).map(str::to_owned).collect())
    }

    /// The rows of a time with the columns that are needed, and how many rows there can be at most.
    async fn select(&self, from: Timestamp, to: Option<Timestamp>) -> Result<(Answer, usize), PortError> {
        let auth = self.of.gate.authorize(&acting_for(&self.wanted.tenant), QueryJournal).map_err(|e| port(&e))?;
        let before = to.map(|to| format!(" AND at < {}", instant(to))).unwrap_or_default();
        let mut payload = self.payload(&auth).await?;
        loop {
            let most = (VALUES / payload.len().max(1)).clamp(*ROWS.start(), *ROWS.end());
            let columns: Vec<String> =
                ENVELOPE.into_iter().chain(payload.iter().map(String::as_str)).map(identifier).collect();
            let sql = format!(
                "SELECT {} FROM predictions WHERE deployment = '{}' AND at >= {}{before}",
                columns.join(", "),
                self.wanted.spec.deployment,
                instant(from)
            );
            let answer = self.of.query.sql_limited(&auth, &sql, most).await.map_err(|e| port(&e))?;
            // A column that came between the two queries has no value in rows that came there, too, and that would be drift.
            let now = self.payload(&auth).await?;
            if answer.rows() == 0 || now == payload {
                return Ok((answer, most));
            }
            payload = now;
        }
    }

    /// What has come since the last call.
    fn follow(&mut self) -> Result<Rows, PortError> {
        // Before it is taken: that is all until then.
        let complete_until = settled(self.of.ctx.now());
        let unavailable = |message| PortError { kind: ErrorKind::Unavailable, message };
        let came = self.live.take().map_err(unavailable)?;
        let mut batches: Vec<RecordBatch> = came.iter().filter_map(|batch| self.unseen(batch)).collect();
        // All of the past was shown before it could be read.
        self.seen = HashSet::new();
        if !batches.is_empty() {
            // Not each second of each monitor, but whenever there is something to hide.
            self.hidden = self.of.hidden(&self.wanted)?;
            batches = batches.into_iter().map(|batch| without(batch, &self.hidden)).collect();
        }
        Ok(Rows { batches, complete_until, ..Rows::default() })
    }

    fn unseen(&self, batch: &RecordBatch) -> Option<RecordBatch> {
        if self.seen.is_empty() {
            return Some(batch.clone());
        }
        let ids = text(batch, "event_id")?;
        let mask = ids.iter().map(|id| Some(id.is_some_and(|id| !self.seen.contains(id)))).collect();
        filter_record_batch(batch, &mask).ok()
    }
}

/// The rows of the deployment that have just been journaled; answers with their bytes.
fn heard(batch: &MicroBatch, wanted: &Wanted, rows: &mut Vec<RecordBatch>) -> usize {
    let of = |header: &StreamHeader| {
        header.kind == Kind::Prediction
            && header.tenant == wanted.tenant.as_str()
            && header.deployment.as_deref() == Some(wanted.spec.deployment.as_str())
    };
    let mine = batch.slices.iter().filter(|s| of(&s.header));
    mine.map(|s| {
        rows.push(s.batch.clone());
        s.batch.get_array_memory_size()
    })
    .sum()
}

/// The batch without these columns.
fn without(batch: RecordBatch, hidden: &[String]) -> RecordBatch {
    if hidden.is_empty() {
        return batch;
    }
    let fields = batch.schema();
    let stays = |at: &usize| !hidden.iter().any(|of| of == fields.field(*at).name());
    let kept: Vec<usize> = (0..batch.num_columns()).filter(stays).collect();
    batch.project(&kept).unwrap_or(batch)
}

fn settled(now: Timestamp) -> Timestamp {
    now.plus_micros(-SETTLES)
}

fn text<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a StringArray> {
    batch.column_by_name(name)?.as_string_opt::<i32>()
}

/// The answer without columns that have no value in it: of other versions.
fn with_values(answer: &Answer) -> Vec<RecordBatch> {
    let batches = answer.batches();
    let Some(first) = batches.first() else { return Vec::new() };
    let there = |at: &usize| batches.iter().any(|b| b.column(*at).logical_null_count() < b.num_rows());
    let kept: Vec<usize> = (0..first.num_columns()).filter(|at| *at < ENVELOPE.len() || there(at)).collect();
    batches.iter().filter_map(|b| b.project(&kept).ok()).collect()
}

#[cfg(test)]
mod tests;
