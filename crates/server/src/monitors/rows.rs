//! monitor asks for a deployment's rows; the journal has them: what is sealed or in the log by SQL, then what comes.
//!
//! Only this process's log can be followed as it grows. What other replicas answered is there once it is sealed, and is
//! then in the past of a monitor that leads here: see `docs/how-to/monitor.md`.

use crate::deployments::acting_for;
use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use mainspring_core::{Ctx, ErrorKind, Failure, Gate, Timestamp};
use mainspring_journal::{Journal, Kind, MicroBatch};
use mainspring_monitor::live::{PortError, PortResult, RowStream, Rows, Traffic, Wanted};
use mainspring_query::{Answer, Query, QueryJournal};
use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

/// How long after its arrival an answer may reach the journal and still be counted in its minute, microseconds.
const SETTLES: i64 = 5_000_000;
/// Micro-batches taken at once.
const MOST: usize = 64;
/// The past is read in parts of so long, longer ones where there is little in them, microseconds.
const SHORTEST: i64 = 50_000;
const FIRST: i64 = 60_000_000;
const LONGEST: i64 = 3_600_000_000;
/// Rows of one part: so many that it has about so many values, within these bounds.
const VALUES: usize = 1_000_000;
const ROWS: RangeInclusive<usize> = 20_000..=super::MOST_ROWS;

const ENVELOPE: [&str; 10] =
    ["event_id", "row", "at", "variant", "model", "version", "forced", "shadow_of", "outcome", "payload"];

/// The journal of this process.
#[derive(Debug, Clone)]
pub struct JournalRows {
    /// Keeps them.
    pub journal: Journal,
    /// Reads what is not followed.
    pub query: Query,
    /// Decides who may do what.
    pub gate: Gate,
    /// Time.
    pub ctx: Ctx,
}

impl Traffic for JournalRows {
    fn follow(&self, wanted: Wanted) -> PortResult<'_, Box<dyn RowStream>> {
        // Before the past is read, so that nothing falls between.
        let live = self.journal.subscribe();
        let begun = self.ctx.now();
        let past = Some(Past { next: wanted.from, step: FIRST });
        // Its own columns and types: where another deployment has texts under a name, the numbers here stay numbers.
        // What a column was in an earlier version is forgotten with the days of that version.
        let query = self.query.of_deployment(wanted.spec.deployment.as_str()).since(wanted.from);
        let of = Self { query, ..self.clone() };
        let stream: Box<dyn RowStream> = Box::new(Following { of, wanted, live, past, begun, seen: HashSet::new() });
        Box::pin(async move { Ok(stream) })
    }
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
    live: Receiver<Arc<MicroBatch>>,
    past: Option<Past>,
    begun: Timestamp,
    /// Events that the past gave and the first micro-batches may bring again.
    seen: HashSet<String>,
}

impl RowStream for Following {
    fn next(&mut self) -> PortResult<'_, Rows> {
        Box::pin(async move {
            match self.past {
                Some(past) => self.read(past).await,
                None => self.follow(),
            }
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
            return Ok(Rows { batches: Vec::new(), complete_until: past.next, more: true });
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
        Ok(Rows { batches, complete_until: until, more: true })
    }

    /// The rows of a time with the columns that are needed, and how many rows there can be at most.
    async fn select(&self, from: Timestamp, to: Option<Timestamp>) -> Result<(Answer, usize), PortError> {
        let auth = self.of.gate.authorize(&acting_for(&self.wanted.tenant), QueryJournal).map_err(|e| port(&e))?;
        let known = "SELECT column_name FROM information_schema.columns WHERE table_name = 'predictions'";
        let known = self.of.query.sql(&auth, known).await.map_err(|e| port(&e))?;
        let known = known.values();
        let payload: Vec<&str> = known
            .iter()
            .filter_map(|row| row.first()?.as_str())
            .filter(|name| (name.starts_with("in.") || name.starts_with("out.")) && self.wanted.spec.needs(name))
            .collect();
        let most = (VALUES / payload.len().max(1)).clamp(*ROWS.start(), *ROWS.end());
        let columns: Vec<String> =
            ENVELOPE.into_iter().chain(payload).map(|c| format!("\"{}\"", c.replace('"', "\"\""))).collect();
        let at = |at: Timestamp| format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", at.micros());
        let before = to.map(|to| format!(" AND at < {}", at(to))).unwrap_or_default();
        let sql = format!(
            "SELECT {} FROM predictions WHERE deployment = '{}' AND at >= {}{before}",
            columns.join(", "),
            self.wanted.spec.deployment,
            at(from)
        );
        Ok((self.of.query.sql_limited(&auth, &sql, most).await.map_err(|e| port(&e))?, most))
    }

    /// What has come since the last call.
    fn follow(&mut self) -> Result<Rows, PortError> {
        let now = self.of.ctx.now();
        let mut batches = Vec::new();
        for _ in 0..MOST {
            match self.live.try_recv() {
                Ok(batch) => batches.extend(self.rows(&batch)),
                Err(TryRecvError::Empty) => {
                    // All of the past was shown before it could be read.
                    self.seen = HashSet::new();
                    return Ok(Rows { batches, complete_until: settled(now), more: false });
                }
                Err(TryRecvError::Lagged(missed)) => {
                    let message = format!("{missed} batches of the journal went by; it is read again");
                    return Err(PortError { kind: ErrorKind::Unavailable, message });
                }
                Err(TryRecvError::Closed) => {
                    return Err(PortError { kind: ErrorKind::Unavailable, message: "the journal is closed".into() });
                }
            }
        }
        // There is more, of which it is not known when it came.
        Ok(Rows { batches, complete_until: Timestamp::default(), more: true })
    }

    fn rows(&self, batch: &MicroBatch) -> Vec<RecordBatch> {
        let of = |header: &mainspring_journal::log::StreamHeader| {
            header.kind == Kind::Prediction
                && header.tenant == self.wanted.tenant.as_str()
                && header.deployment.as_deref() == Some(self.wanted.spec.deployment.as_str())
        };
        batch.slices.iter().filter(|s| of(&s.header)).filter_map(|s| self.unseen(&s.batch)).collect()
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
