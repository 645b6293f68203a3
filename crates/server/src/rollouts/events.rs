//! rollout asks for the events of its traffic; the journal has them: what is sealed or in the log by SQL, then what comes.
//!
//! Only this process's log can be followed as it grows, and what other replicas answered is there once it is sealed; until
//! then they tell of it themselves ([`super::news`]).

mod before;
#[cfg(test)]
mod tests;

use crate::deployments::acting_for;
use crate::listen::Listener;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int32Type, TimestampMicrosecondType, UInt16Type, UInt64Type};
use mainspring_core::{Ctx, ErrorKind, EventId, Gate, Name, Tenant, Timestamp};
use mainspring_journal::log::StreamHeader;
use mainspring_journal::{Journal, Kind, MicroBatch, Slice};
use mainspring_query::{Answer, Limits, Query, QueryError, QueryJournal, identifier, literal};
use mainspring_rollout::{
    Batch, Before, Earlier, Event, EventStream, Events, Exposure, Label, PortError, PortResult, ShadowAnswer, Unitless,
    Wanted,
};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// How long after its arrival an answer may reach the journal and still be counted in its place. What comes later is
/// counted as late.
const SETTLES: i64 = 2_000_000;

/// Until when all that this process answered, and all feedback that it took, is in the journal.
pub(super) fn settled(journal: &Journal, now: Timestamp) -> Timestamp {
    Timestamp(now.min(journal.fed_until()).micros() - SETTLES)
}
/// How long after the reading of the past the journal may bring parts of it again, microseconds.
const AGAIN: i64 = 30_000_000;
/// Lines of answers, and of labels, that one query may give: the past of a long rollout is read in parts.
const PART: usize = 200_000;
/// No request lasts longer, microseconds: what arrived earlier is in the journal, and is read before one listens to what comes.
const LONGEST: i64 = 300_000_000;
/// The shortest time that is asked for at once, microseconds.
const SHORTEST: i64 = 1_000_000;
/// The first time that is asked for, microseconds.
const FIRST: i64 = 3_600_000_000;

/// A rollout that is not told of its traffic holds: rather than that, it waits longer for an answer than a person does.
fn limits() -> Limits {
    let (timeout, wait) = (Duration::from_secs(60), Duration::from_secs(60));
    Limits { rows: before::MOST_UNITS, timeout, wait, ..Limits::default() }
}

/// The journal of this process.
#[derive(Debug, Clone)]
pub struct JournalEvents {
    /// Keeps them.
    pub journal: Journal,
    /// Reads what it keeps.
    query: Query,
    /// Decides who may do what.
    pub gate: Gate,
    /// Time.
    pub ctx: Ctx,
    /// Lines that one query may give.
    pub part: usize,
}

impl Events for JournalEvents {
    fn follow(&self, wanted: Wanted) -> PortResult<'_, Box<dyn EventStream>> {
        Box::pin(async move {
            let mut stream = Following {
                journal: self.of_deployment(&wanted.deployment, wanted.from),
                reading: None,
                past: None,
                wanted: Arc::new(wanted),
                live: None,
                seen: HashSet::new(),
                until: self.ctx.now(),
            };
            let first = Reading { from: stream.wanted.from, span: FIRST };
            stream.past = Some(stream.read(first).await?);
            let stream: Box<dyn EventStream> = Box::new(stream);
            Ok(stream)
        })
    }

    fn before(&self, wanted: Before) -> PortResult<'_, Vec<Earlier>> {
        Box::pin(before::read(self, wanted))
    }
}

/// What tells events apart; labels of one answer that came together by their name.
pub(super) type Key = (u8, EventId, u32, Timestamp, Option<Arc<str>>);

pub(super) fn key(event: &Event) -> Key {
    match event {
        Event::Exposure(e) => (0, e.id, 0, e.at, None),
        Event::Shadow(s) => (1, s.id, 0, s.at, None),
        Event::Label(l) => (2, l.about, l.row, l.at, Some(Arc::clone(&l.name))),
        Event::Unitless(u) => (3, u.id, 0, u.at, None),
    }
}

impl JournalEvents {
    /// A journal, who may do what, and time.
    pub(crate) fn new(journal: Journal, gate: Gate, ctx: Ctx) -> Self {
        let query = Query::new(journal.clone(), limits());
        Self { journal, query, gate, ctx, part: PART }
    }

    /// The journal of these parts.
    pub(crate) fn of(parts: &crate::start::Parts, ctx: &Ctx) -> Self {
        Self::new(parts.journal.clone(), parts.gate.clone(), ctx.clone())
    }

    /// With the predictions of one deployment alone, of the day of `from` and later: what others call by the same name may be
    /// of another type.
    fn of_deployment(&self, deployment: &Name, from: Timestamp) -> Self {
        Self { query: self.query.of_deployment(deployment.as_str()).since(from), ..self.clone() }
    }

    /// Everything that is kept from a time on, until another one or to the end; less where it is more than fits.
    async fn part(&self, wanted: &Wanted, (from, until): (Timestamp, Option<Timestamp>)) -> Result<Part, Missed> {
        let auth =
            self.gate.authorize(&acting_for(&wanted.tenant), QueryJournal).map_err(|e| PortError(e.to_string()))?;
        let (query, most) = (&self.query, self.part);
        // An output that nothing was journaled of yet is no column.
        let known = query
            .sql(&auth, "SELECT column_name FROM information_schema.columns WHERE table_name = 'predictions'")
            .await?;
        let known: HashSet<String> =
            known.values().into_iter().filter_map(|row| Some(row.first()?.as_str()?.to_owned())).collect();
        let mut columns = ENVELOPE.map(str::to_owned).to_vec();
        columns.extend(payload(wanted).filter(|c| known.contains(c)));
        let columns: Vec<String> = columns.iter().map(|c| identifier(c)).collect();
        let answers = format!(
            "SELECT {} FROM predictions WHERE deployment = '{}' AND {} AND (generation >= {} OR shadow_of IS NOT NULL \
             OR {UNITLESS}) ORDER BY at, event_id, \"row\" LIMIT {}",
            columns.join(", "),
            wanted.deployment,
            between(from, until),
            wanted.generation,
            most + 1
        );
        let answer = query.sql_limited(&auth, &answers, most).await?;
        let mut end = cut(&answer, from)?;
        let mut events = Vec::new();
        for batch in answer.batches() {
            answered(batch, wanted, &mut events);
        }
        if !wanted.labels.is_empty() {
            let names: Vec<String> = wanted.labels.iter().map(|n| literal(n)).collect();
            let labels = format!(
                "SELECT at, prediction_id, \"row\", name, value_type, value_number FROM feedback_log \
                 WHERE {} AND prediction_id IS NOT NULL AND name IN ({}) ORDER BY at LIMIT {}",
                between(from, end.or(until)),
                names.join(", "),
                most + 1
            );
            let labels = query.sql_limited(&auth, &labels, most).await?;
            end = cut(&labels, from)?.or(end);
            let mut said = Vec::new();
            for batch in labels.batches() {
                labelled(batch, &wanted.labels, &mut said);
            }
            events.extend(said.into_iter().map(Event::Label));
        }
        if let Some(end) = end {
            events.retain(|event| event.at() < end);
        }
        Ok(Part { events, end })
    }
}

/// A part of the past.
struct Part {
    events: Vec<Event>,
    /// Until when it is whole, where that is less than what was asked for.
    end: Option<Timestamp>,
}

/// Why a part was not read.
enum Missed {
    /// It takes too long.
    Slow(QueryError),
    Other(PortError),
}

impl From<QueryError> for Missed {
    fn from(error: QueryError) -> Self {
        if let QueryError::Timeout(_) = error { Self::Slow(error) } else { PortError(error.to_string()).into() }
    }
}

impl From<PortError> for Missed {
    fn from(error: PortError) -> Self {
        Self::Other(error)
    }
}

fn between(from: Timestamp, until: Option<Timestamp>) -> String {
    let time = |at: Timestamp| format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", at.micros());
    let until = until.map(|until| format!(" AND at < {}", time(until))).unwrap_or_default();
    format!("at >= {}{until}", time(from))
}

/// Where an answer in the order of time that was cut ends: before the last of its times, of which something may be missing.
fn cut(answer: &Answer, from: Timestamp) -> Result<Option<Timestamp>, PortError> {
    if !answer.truncated() {
        return Ok(None);
    }
    let last = |batch: &RecordBatch| {
        let at = batch.column_by_name("at")?.as_primitive_opt::<TimestampMicrosecondType>()?;
        at.iter().last().flatten().map(Timestamp)
    };
    let end = answer.batches().iter().rev().find_map(last).filter(|end| *end > from);
    let rows = answer.rows();
    end.map(Some).ok_or_else(|| PortError(format!("the journal has over {rows} lines of one moment, {from:?}")))
}

/// The columns of what is measured.
fn payload(wanted: &Wanted) -> impl Iterator<Item = String> + '_ {
    let outputs = wanted.outputs.iter().map(|name| format!("out.{name}"));
    outputs.chain(wanted.inputs.iter().map(|name| format!("in.{name}")))
}

/// Answers that nobody chose and whose requests had no unit; where a rollout decides they are those that lack it.
const UNITLESS: &str = "(unit IS NULL AND generation IS NULL AND NOT forced AND outcome = 'ok')";

const ENVELOPE: [&str; 12] = [
    "event_id",
    "row",
    "at",
    "variant",
    "unit",
    "generation",
    "context",
    "forced",
    "shadow_of",
    "outcome",
    "error_kind",
    "total_us",
];

/// Where the reading of a long past is.
#[derive(Debug, Clone, Copy)]
struct Reading {
    from: Timestamp,
    /// How much time is asked for, microseconds: about as much as the last part had room for.
    span: i64,
}

impl Reading {
    /// The last moment of which nothing is missing.
    fn whole(self) -> Timestamp {
        self.from.plus_micros(-1)
    }
}

struct Following {
    journal: JournalEvents,
    wanted: Arc<Wanted>,
    /// What comes; nothing while what is long ago is read.
    live: Option<Listener<Event>>,
    /// The first part of the past, until it is asked for.
    past: Option<Batch>,
    /// Whether there is more of it.
    reading: Option<Reading>,
    /// What the query gave, which the first micro-batches may bring again.
    seen: HashSet<Key>,
    /// Until when it is kept in mind.
    until: Timestamp,
}

impl Following {
    /// The next part of a long past. What is long ago is read before one listens to what comes, which would have to be kept
    /// for as long as that takes; a request that began by then has been answered.
    async fn read(&mut self, Reading { from, span }: Reading) -> Result<Batch, PortError> {
        let now = self.journal.ctx.now();
        let until = from.plus_micros(span.max(SHORTEST));
        let until = (until.micros() < settled(&self.journal.journal, now).micros() - LONGEST).then_some(until);
        if until.is_some() {
            (self.live, self.seen) = (None, HashSet::new());
        } else if self.live.is_none() {
            // Before it is read, so that nothing falls between.
            let JournalEvents { journal, ctx, .. } = &self.journal;
            let wanted = Arc::clone(&self.wanted);
            self.live = Some(Listener::new(journal, &ctx.tasks, move |batch, events| heard(batch, &wanted, events)));
        }
        let Part { events, end } = match self.journal.part(&self.wanted, (from, until)).await {
            Ok(part) => part,
            // Of less time there is less to read.
            Err(Missed::Slow(_)) if until.is_some() && span > SHORTEST => {
                let reading = Reading { from, span: span / 4 };
                self.reading = Some(reading);
                return Ok(Batch { events: Vec::new(), complete_until: reading.whole(), reading: true });
            }
            Err(Missed::Slow(error)) => return Err(PortError(error.to_string())),
            Err(Missed::Other(error)) => return Err(error),
        };
        if until.is_none() {
            self.seen.extend(events.iter().map(key));
        }
        let span = end.map_or(span.saturating_mul(2), |end| end.micros() - from.micros());
        self.reading = end.or(until).map(|from| Reading { from, span });
        self.until = self.journal.ctx.now().plus_micros(AGAIN);
        let complete_until = self.reading.map_or(from, Reading::whole);
        Ok(Batch { events, complete_until, reading: self.reading.is_some() })
    }
}

impl EventStream for Following {
    fn next(&mut self) -> PortResult<'_, Batch> {
        Box::pin(async move {
            if let Some(past) = self.past.take() {
                return Ok(past);
            }
            if let Some(reading) = self.reading {
                return self.read(reading).await;
            }
            let now = self.journal.ctx.now();
            // Before what came is taken: that is all until then.
            let complete_until = settled(&self.journal.journal, now);
            let mut events = self.live.as_ref().map_or_else(|| Ok(Vec::new()), Listener::take).map_err(PortError)?;
            if !self.seen.is_empty() {
                events.retain(|e| !self.seen.contains(&key(e)));
            }
            // Only now: whoever asks late is given all at once.
            if now > self.until {
                self.seen = HashSet::new();
            }
            Ok(Batch { events, complete_until, reading: false })
        })
    }
}

/// About as many bytes as an event takes.
const EVENT: usize = 200;

/// What is wanted of rows that have just been journaled; answers with its bytes.
fn heard(batch: &MicroBatch, wanted: &Wanted, events: &mut Vec<Event>) -> usize {
    let before = events.len();
    answers(batch, wanted, events);
    events.extend(labels(batch, &wanted.tenant, &wanted.labels).into_iter().map(Event::Label));
    EVENT * (events.len() - before)
}

/// The answers that are wanted of rows that have just been journaled.
pub(super) fn answers(batch: &MicroBatch, wanted: &Wanted, events: &mut Vec<Event>) {
    let of = |slice: &&Slice| slice.header.kind == Kind::Prediction;
    for slice in batch.slices.iter().filter(of).filter(|s| is_of(&s.header, &wanted.tenant, &wanted.deployment)) {
        answered(&slice.batch, wanted, events);
    }
}

/// The labels of these names among rows of a tenant that have just been journaled.
pub(super) fn labels(batch: &MicroBatch, tenant: &Tenant, names: &[String]) -> Vec<Label> {
    let mut labels = Vec::new();
    for slice in batch.slices.iter().filter(|s| s.header.kind == Kind::Feedback) {
        if slice.header.tenant == tenant.as_str() {
            labelled(&slice.batch, names, &mut labels);
        }
    }
    labels
}

fn is_of(header: &StreamHeader, tenant: &Tenant, deployment: &Name) -> bool {
    header.tenant == tenant.as_str() && header.deployment.as_deref() == Some(deployment.as_str())
}

fn text<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a arrow::array::StringArray> {
    batch.column_by_name(name)?.as_string_opt::<i32>()
}

fn present(column: Option<&arrow::array::StringArray>, at: usize) -> Option<&str> {
    column.filter(|c| !c.is_null(at)).map(|c| c.value(at))
}

/// Answers and shadow answers; the lines of one event stand together.
fn answered(batch: &RecordBatch, wanted: &Wanted, events: &mut Vec<Event>) {
    let number = |name: &str| batch.column_by_name(name).and_then(|c| c.as_primitive_opt::<UInt64Type>());
    let (Some(id), Some(at), Some(row), Some(variant), Some(total)) = (
        text(batch, "event_id"),
        batch.column_by_name("at").and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>()),
        batch.column_by_name("row").and_then(|c| c.as_primitive_opt::<Int32Type>()),
        text(batch, "variant"),
        batch.column_by_name("total_us").and_then(|c| c.as_primitive_opt::<Float64Type>()),
    ) else {
        return;
    };
    let (unit, generation) = (number("unit"), number("generation"));
    let forced = batch.column_by_name("forced").and_then(|c| c.as_boolean_opt());
    // What was journaled before there were contexts has none.
    let context = batch.column_by_name("context").and_then(|c| c.as_primitive_opt::<UInt16Type>());
    let (shadow_of, outcome, kind) = (text(batch, "shadow_of"), text(batch, "outcome"), text(batch, "error_kind"));
    let outputs = numbers(batch, ("out", &wanted.outputs));
    let inputs = numbers(batch, ("in", &wanted.inputs));
    let mut last: Option<EventId> = None;
    for i in 0..batch.num_rows() {
        let Ok(id) = id.value(i).parse::<EventId>() else { continue };
        let of = |columns: &[(Arc<str>, Vec<Option<f64>>)]| -> Vec<(Arc<str>, f64)> {
            let value = |(name, column): &(Arc<str>, Vec<Option<f64>>)| {
                Some((Arc::clone(name), column.get(i).copied().flatten()?))
            };
            columns.iter().filter_map(value).collect()
        };
        let values = of(&outputs);
        if row.value(i) > 0 {
            // Another row of the request before.
            if last == Some(id) {
                more(events.last_mut(), values);
            }
            continue;
        }
        last = None;
        let failed = (present(outcome, i) == Some("failed"))
            .then(|| present(kind, i).and_then(error_kind).unwrap_or(ErrorKind::Internal));
        let (at, variant) = (Timestamp(at.value(i)), Arc::from(variant.value(i)));
        let latency_ns = (total.value(i) * 1e3) as u64;
        if at < wanted.from {
            continue;
        }
        let event = if let Some(of) = present(shadow_of, i).and_then(|of| of.parse().ok()) {
            Event::Shadow(ShadowAnswer { at, id, of, variant, failed, latency_ns, outputs: values })
        } else {
            let counted = |c: Option<&arrow::array::UInt64Array>| c.filter(|c| !c.is_null(i)).map(|c| c.value(i));
            let (Some(generation), Some(unit)) = (counted(generation), counted(unit)) else {
                let named = forced.is_none_or(|f| f.value(i));
                if counted(unit).is_none() && counted(generation).is_none() && !named && failed.is_none() {
                    events.push(Event::Unitless(Unitless { at, id }));
                }
                continue;
            };
            if generation < wanted.generation {
                continue;
            }
            let (outputs, inputs) = (values, of(&inputs));
            let context = context.filter(|c| !c.is_null(i)).map(|c| c.value(i));
            Event::Exposure(Exposure {
                at,
                id,
                unit,
                variant,
                generation,
                context,
                failed,
                latency_ns,
                outputs,
                inputs,
            })
        };
        last = Some(id);
        events.push(event);
    }
}

fn more(event: Option<&mut Event>, values: Vec<(Arc<str>, f64)>) {
    match event {
        Some(Event::Exposure(e)) => e.outputs.extend(values),
        Some(Event::Shadow(s)) => s.outputs.extend(values),
        Some(Event::Label(_) | Event::Unitless(_)) | None => {}
    }
}

/// The wanted columns of inputs or outputs as numbers; a list is left out, for it has no one number.
fn numbers(batch: &RecordBatch, (side, names): (&str, &[String])) -> Vec<(Arc<str>, Vec<Option<f64>>)> {
    let column = |name: &String| {
        let column = batch.column_by_name(&format!("{side}.{name}"))?;
        let numbers = cast(column, &DataType::Float64).ok()?;
        let numbers = numbers.as_primitive_opt::<Float64Type>()?.iter().collect();
        Some((Arc::from(name.as_str()), numbers))
    };
    names.iter().filter_map(column).collect()
}

/// Labels by prediction; those about an id that was not known yet wait for the next reading.
fn labelled(batch: &RecordBatch, names: &[String], labels: &mut Vec<Label>) {
    let (Some(at), Some(about), Some(row), Some(name), Some(value)) = (
        batch.column_by_name("at").and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>()),
        text(batch, "prediction_id"),
        batch.column_by_name("row").and_then(|c| c.as_primitive_opt::<Int32Type>()),
        text(batch, "name"),
        batch.column_by_name("value_number").and_then(|c| c.as_primitive_opt::<Float64Type>()),
    ) else {
        return;
    };
    let kind = text(batch, "value_type");
    for i in 0..batch.num_rows() {
        let named = names.iter().find(|l| *l == name.value(i));
        let about = present(Some(about), i).and_then(|id| id.parse().ok());
        let number = (!value.is_null(i)).then(|| value.value(i)).filter(|v| v.is_finite());
        let (Some(named), Some(about), Some(value)) = (named, about, number) else { continue };
        let row = u32::try_from(row.value(i)).unwrap_or(0);
        let (at, truth) = (Timestamp(at.value(i)), present(kind, i) == Some("bool"));
        labels.push(Label { at, about, row, name: Arc::from(named.as_str()), value, truth });
    }
}

fn error_kind(word: &str) -> Option<ErrorKind> {
    ErrorKind::ALL.into_iter().find(|kind| kind.as_str() == word)
}
