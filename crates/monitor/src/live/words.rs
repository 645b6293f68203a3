//! Transitions in words and numbers.

use super::detectors::{Detection, Detector};
use super::labels;
use super::monitors::View;
use super::spec::MonitorSpec;
use super::track::{Standing, Turn};
use super::watch::{Anew, Compared, Transition, TransitionKind, Turned, Watch};
use super::why::{Cause, Unit, Why};
use mainspring_core::Timestamp;
use mainspring_query::{identifier, literal};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Columns that a sentence names.
const NAMED: usize = 5;
/// Columns that drift whose numbers go with what is told.
const NUMBERED: usize = 64;

/// What a column's drift is called.
pub fn side(column: &str) -> &'static str {
    match column.split_once('.') {
        Some(("out", _)) => "prediction",
        Some(("label", _)) => "label",
        Some(("error", _)) => "concept",
        _ => "covariate",
    }
}

/// `14:02` of the day, in UTC.
pub(super) fn clock(at: Timestamp) -> String {
    let minutes = at.micros().div_euclid(60_000_000).rem_euclid(24 * 60);
    format!("{:02}:{:02} UTC", minutes / 60, minutes % 60)
}

fn name(turned: &Turned) -> String {
    match &turned.segment {
        Some(segment) => format!("{} where {segment}", turned.column),
        None => turned.column.clone(),
    }
}

fn column(turned: &Turned) -> Value {
    let (log_e, sure) = turned.evidence;
    json!({
        "column": turned.column, "segment": turned.segment, "drift": side(&turned.column),
        "distance": turned.moved.distance, "chance": turned.moved.chance, "rows": turned.moved.rows,
        "logE": log_e, "logSure": sure, "changedAtMicros": turned.changed_at.map(Timestamp::micros),
    })
}

fn list(these: &[&Turned]) -> String {
    let named: Vec<String> = these
        .iter()
        .take(NAMED)
        .map(|t| match t.turn {
            Turn::Drifted => format!("{} ({:.0} % of its rows are elsewhere)", name(t), 100.0 * t.moved.beyond()),
            Turn::Recovered => name(t),
        })
        .collect();
    match these.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// What to do, by what has drifted.
fn advice(these: &[&Turned]) -> &'static str {
    let any = |kind| these.iter().any(|t| side(&t.column) == kind);
    match (any("concept"), any("label"), any("covariate"), any("prediction")) {
        (true, false, true, _) => {
            "the inputs have changed and the model is no longer as wrong as it was: look at where these columns come from, compare `mainspring performance` by segment, then train on newer data and labels"
        }
        (true, false, false, _) => {
            "the model is no longer as wrong as it was and the watched inputs have not changed, so what follows from them has: compare `mainspring performance` by segment, then train on newer labels"
        }
        (true, true, true, _) => {
            "the inputs have changed, and with them what is true and how wrong the model is: look at where these columns come from, then train on newer data and labels"
        }
        (true, true, false, _) => {
            "what is true has changed, and how wrong the model is with it: train on newer labels, or set its threshold anew"
        }
        (false, true, true, _) => {
            "the inputs have changed and what is true with them, and not how wrong the model is: look at where these columns come from, and at thresholds that rest on shares of what is true"
        }
        (false, true, false, _) => {
            "what is true has changed, and not how wrong the model is: look at how labels are made, and at thresholds that rest on their shares"
        }
        (false, false, true, true) => {
            "the inputs have changed and the answers with them: look at where these columns come from, then train on newer data"
        }
        (false, false, true, false) => {
            "the inputs have changed and the watched answers not: look at where these columns come from"
        }
        (false, false, false, _) => {
            "the answers have changed and the watched inputs not: look at inputs that are not watched, and at labels"
        }
    }
}

/// The rows behind it.
pub(super) fn query<'a>(spec: &MonitorSpec, since: Option<Timestamp>, these: impl Iterator<Item = &'a str>) -> String {
    let (truth, these): (Vec<&str>, Vec<&str>) = these.partition(|column| labels::is_truth(column));
    let mut columns: Vec<String> = Vec::new();
    for name in these {
        let column = identifier(spec.journal_column(name));
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    columns.truncate(NAMED);
    // What was true is in another table, with the predictions that it is of.
    let label = spec.label.as_ref().filter(|_| !truth.is_empty());
    let from = label.map_or("predictions", |_| "labeled");
    let named = label.map(|l| format!(" AND feedback_name = {}", literal(&l.name))).unwrap_or_default();
    if let Some(label) = label {
        columns.push("feedback_value".to_owned());
        columns.extend(label.prediction.as_deref().map(identifier));
    }
    let since =
        since.map(|at| format!(" AND at >= arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", at.micros()));
    format!(
        "SELECT event_id, at, {} FROM {from} WHERE deployment = {} AND variant = {}{named}{}{} ORDER BY at LIMIT 100",
        columns.join(", "),
        literal(spec.deployment.as_str()),
        literal(&spec.variant),
        spec.segment.likely(),
        since.unwrap_or_default()
    )
}

/// Whose rows: `stable of churn version 3 where in.plan = gold`.
pub(super) fn subject(spec: &MonitorSpec, watch: &Watch) -> String {
    let segment = if spec.segment.is_all() { String::new() } else { format!(" where {}", spec.segment) };
    format!("{} of {} version {}{segment}", spec.variant, spec.deployment, watch.version)
}

/// From what, where that is another part of the rows: ` from stable of churn where in.plan = free`.
fn beside(spec: &MonitorSpec) -> String {
    let segment = spec.reference.segment.as_ref();
    segment.and(spec.compared()).map(|compared| format!(" from {compared}")).unwrap_or_default()
}

/// Those that moved most first.
fn by_distance(these: &mut [&Turned]) {
    these.sort_by(|a, b| b.moved.beyond().total_cmp(&a.moved.beyond()));
}

/// ` since about 14:02 UTC`, of the column that changed first.
fn since(these: &[&Turned]) -> String {
    let first = these.iter().filter_map(|t| t.changed_at).min();
    first.map(|at| format!(" since about {}", clock(at))).unwrap_or_default()
}

/// All columns that drift now, whichever look found them.
fn drifting(watch: &Watch) -> Vec<Turned> {
    let drifting = watch.tracks().filter(|(.., track)| track.standing == Standing::Drift);
    let turned = drifting.map(|(name, of, track)| Turned {
        column: name.to_owned(),
        segment: of.map(|(column, value)| format!("{column} = {value}")),
        turn: Turn::Drifted,
        moved: track.moved,
        evidence: track.evidence(),
        changed_at: track.changed_at,
    });
    turned.collect()
}

/// Of the columns that drift now, all but `these`.
fn besides<'a>(drifting: &'a [Turned], these: &[&Turned]) -> Vec<&'a Turned> {
    fn key(turned: &Turned) -> (&str, Option<&str>) {
        (&turned.column, turned.segment.as_deref())
    }
    let these: BTreeSet<_> = these.iter().map(|t| key(t)).collect();
    let mut others: Vec<&Turned> = drifting.iter().filter(|t| !these.contains(&key(t))).collect();
    by_distance(&mut others);
    others
}

/// What goes on after some columns are out of it: `; still drifting: …; ADVICE`, and nothing where nothing does.
fn still(going_on: &[&Turned], watch: &Watch) -> String {
    let drifting = match going_on {
        [] => String::new(),
        some => format!("; still drifting{}: {}; {}", since(some), list(some), advice(some)),
    };
    let detecting: Vec<&Detector> = watch.detecting().collect();
    match detecting.as_slice() {
        [] => drifting,
        some => format!("{drifting}; still called changed: {}", changes(some)),
    }
}

/// What a detector is called in a sentence.
fn title(detector: &Detector) -> &'static str {
    match detector.name() {
        "adwin" => "ADWIN",
        "kswin" => "KSWIN",
        "ddm" => "DDM",
        _ => "Page-Hinkley",
    }
}

/// `in.age by ADWIN`, and of which rows where it is not all.
fn by(detector: &Detector) -> String {
    let part = detector.part().map(|part| format!(" where {part}")).unwrap_or_default();
    format!("{}{part} by {}", detector.column, title(detector))
}

/// `in.age by ADWIN (mean 34.1 until about 14:02 UTC, 51.2 since)`, of each.
fn changes(these: &[&Detector]) -> String {
    let one = |detector: &&Detector| {
        let by = by(detector);
        match detector.last {
            Some(Detection { begun, before, since, .. }) => {
                format!("{by} (mean {} until about {}, {} since)", short(before), clock(begun), short(since))
            }
            None => by,
        }
    };
    let named = these.iter().take(NAMED).map(one).collect::<Vec<_>>().join(", ");
    match these.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// What detectors do not promise, and what to do about it.
const NO_PROMISE: &str = "a detector bounds no rate of false alarms: see how far the monitor's own test finds the column moved before you act";

/// Detectors that call a change, or have called none for a while.
pub(super) fn detected(
    (kind, at): (TransitionKind, Timestamp),
    watch: &Watch,
    spec: &MonitorSpec,
    these: &[&Detector],
) -> Transition {
    let of = subject(spec, watch);
    let drifting = drifting(watch);
    let others = besides(&drifting, &[]);
    let sentence = match kind {
        TransitionKind::Detected => {
            let already = match others.as_slice() {
                [] => String::new(),
                others => format!("; drifting by the monitor's own test{}: {}", since(others), list(others)),
            };
            format!("in {of} detectors call a change: {}{already}; {NO_PROMISE}", changes(these))
        }
        _ => {
            let named: Vec<String> = these.iter().map(|d| by(d)).collect();
            let long = spec.recover_after;
            format!("in {of} no further change was called for {long}: {}{}", names(&named), still(&others, watch))
        }
    };
    let first = these.iter().filter_map(|d| d.last.map(|last| last.begun)).min();
    let numbers = json!({
        "deployment": spec.deployment, "variant": spec.variant, "model": watch.model, "version": watch.version,
        "detections": these.iter().take(NUMBERED).map(|d| json!({
            "column": d.column, "segment": d.part(), "detector": d.name(), "seen": d.seen, "detections": d.detections,
            "atMicros": d.last.map(|last| last.at.micros()), "begunMicros": d.last.map(|last| last.begun.micros()),
            "value": d.last.map(|last| last.value), "before": d.last.map(|last| last.before),
            "since": d.last.map(|last| last.since),
        })).collect::<Vec<_>>(),
        "alsoDrifting": others.iter().take(NUMBERED).map(|t| column(t)).collect::<Vec<_>>(),
        "query": query(spec, first, these.iter().map(|d| d.column.as_str())),
    });
    Transition { kind, at, drifting: watch.drifting, detecting: watch.detecting, sentence, numbers }
}

/// Columns that have drifted, or have recovered. What is said of it, and what to do, is of all that drifts now: who reads only
/// this must not take what one look found for all there is.
pub(super) fn transition(
    (kind, at): (TransitionKind, Timestamp),
    watch: &Watch,
    spec: &MonitorSpec,
    these: &[&Turned],
) -> Transition {
    let drifting = drifting(watch);
    let others = besides(&drifting, these);
    let mut turned = these.to_vec();
    by_distance(&mut turned);
    let of = subject(spec, watch);
    let (sentence, shown) = match kind {
        TransitionKind::Drifted => {
            let all: Vec<&Turned> = turned.iter().chain(&others).copied().collect();
            let before = match others.as_slice() {
                [] => String::new(),
                others => format!("; already drifting{}: {}", since(others), list(others)),
            };
            let told = format!(
                "{of} has drifted{}{}: {}{before}; {}",
                beside(spec),
                since(&turned),
                list(&turned),
                advice(&all)
            );
            (told, all)
        }
        _ => {
            let part = if others.is_empty() { "" } else { " in part" };
            let told = format!("{of} is again as its reference{part}: {}{}", list(&turned), still(&others, watch));
            (told, if others.is_empty() { turned } else { others.clone() })
        }
    };
    let first = shown.iter().filter_map(|t| t.changed_at).min();
    let segment = (!spec.segment.is_all()).then_some(&spec.segment);
    let numbers = json!({
        "deployment": spec.deployment, "variant": spec.variant, "segment": segment, "comparedWith": spec.compared(), "model": watch.model, "version": watch.version,
        "level": spec.level, "minEffect": spec.min_effect, "rows": watch.rows[0], "sampled": watch.rows[1],
        "columns": these.iter().map(|t| column(t)).collect::<Vec<_>>(),
        "alsoDrifting": others.iter().take(NUMBERED).map(|t| column(t)).collect::<Vec<_>>(),
        "pictures": shown.iter().take(NAMED).filter_map(|t| picture(watch, t)).collect::<Vec<_>>(),
        "query": query(spec, first, shown.iter().map(|t| t.column.as_str())),
    });
    Transition { kind, at, drifting: watch.drifting, detecting: watch.detecting, sentence, numbers }
}

/// What a column is drawn from: rows by bin, of its reference and of the window, those without a value last. `edges` are
/// between the bins of numbers; of texts there are none, and the bins are of their hash.
fn picture(watch: &Watch, of: &Turned) -> Option<Value> {
    let segment = |part: Option<(&str, &str)>| part.map(|(column, value)| format!("{column} = {value}"));
    let (.., track) = watch.tracks().find(|(name, part, _)| *name == of.column && segment(*part) == of.segment)?;
    let reference = track.reference()?;
    Some(json!({
        "column": of.column, "segment": of.segment, "edges": reference.edges, "referenceCounts": reference.counts,
        "windowCounts": track.window()?,
    }))
}

/// Another profile counts now: columns that begin anew against it, and what that leaves.
pub(super) fn compared(watch: &Watch, spec: &MonitorSpec, (with, anew): (&Compared, &Anew)) -> Transition {
    let Compared { model, version, saved, .. } = with;
    let of = saved.as_ref().map(|saved| saved.source.as_str()).unwrap_or_default();
    let mut sentence = format!("the profile of {of} was saved with version {version} of {model}");
    if anew.is_empty() {
        sentence.push_str("; it has none of the watched columns, which go on as they were");
    }
    if !anew.against.is_empty() {
        sentence.push_str(&format!("; watched anew against it: {}", names(&anew.against)));
    }
    if !anew.without.is_empty() {
        sentence.push_str(&format!("; it does not have {}, of which first rows count anew", names(&anew.without)));
    }
    if anew.ended {
        sentence.push_str("; a drift ends with that");
    }
    let drifting = drifting(watch);
    let left = besides(&drifting, &[]);
    sentence.push_str(&still(&left, watch));
    let first = left.iter().filter_map(|t| t.changed_at).min();
    let numbers = json!({
        "deployment": spec.deployment, "variant": spec.variant, "model": watch.model, "version": watch.version,
        "reference": with, "anew": anew.against, "withoutProfile": anew.without, "before": {"drifting": anew.ended},
        "query": (!left.is_empty()).then(|| query(spec, first, left.iter().map(|t| t.column.as_str()))),
    });
    Transition {
        kind: TransitionKind::Replaced,
        at: watch.position,
        drifting: watch.drifting,
        detecting: watch.detecting,
        sentence,
        numbers,
    }
}

/// Names of columns in a sentence.
fn names(of: &[String]) -> String {
    let named = of.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match of.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// Why a version is watched without a profile of what it was trained on, and what to do; `fact` says what is the matter with
/// the data.
pub(super) fn unused(fact: &str, (model, version): (&str, &str)) -> String {
    format!(
        "{fact}: it is no reference; save its profile with `mainspring profile FILE --version {model}/{version}`, or, for the next version, name an artifact of the run as the dataset's source"
    )
}

/// Nothing drifts any more, or no detector calls a change, now that `column` is redacted.
pub(super) fn hidden(kind: TransitionKind, column: &str, watch: &Watch, spec: &MonitorSpec) -> Transition {
    let of = subject(spec, watch);
    let over = match kind {
        TransitionKind::Quieted => format!("in {of} no detector calls a change any more"),
        _ => format!("{of} no longer drifts"),
    };
    over_now(kind, format!("{over}: {column} is redacted now, and what is redacted is not watched"), watch, spec)
}

/// A state of an earlier version said that it drifts for what detectors alone called.
pub(super) fn called_alone(watch: &Watch, spec: &MonitorSpec) -> Transition {
    let of = subject(spec, watch);
    let sentence =
        format!("{of} has not drifted by the monitor's own test; what detectors call is told apart from it now");
    over_now(TransitionKind::Recovered, sentence, watch, spec)
}

/// Something is over without a column that has turned.
fn over_now(kind: TransitionKind, sentence: String, watch: &Watch, spec: &MonitorSpec) -> Transition {
    let numbers = json!({
        "deployment": spec.deployment, "variant": spec.variant, "model": watch.model, "version": watch.version,
    });
    let Watch { position: at, drifting, detecting, .. } = *watch;
    Transition { kind, at, drifting, detecting, sentence, numbers }
}

/// Detectors called a change, and begin anew now.
pub(super) fn detectors_anew(at: Timestamp, watch: &Watch, spec: &MonitorSpec, these: &[&Detector]) -> Transition {
    let named: Vec<String> = these.iter().map(|d| by(d)).collect();
    let of = subject(spec, watch);
    let sentence = format!("in {of} detectors called a change, and begin anew with another version: {}", names(&named));
    Transition { at, ..over_now(TransitionKind::Quieted, sentence, watch, spec) }
}

/// What a drift does to the answers, as a part of a sentence and as numbers, put to what is told of it.
pub(super) fn explained(told: &mut Transition, why: &Why) {
    if let Some(object) = told.numbers.as_object_mut() {
        object.insert("why".to_owned(), serde_json::to_value(why).unwrap_or_default());
    }
    let effects: Vec<String> = why.causes.iter().take(3).map(|cause| effect(why, cause)).collect();
    if !effects.is_empty() {
        told.sentence = format!("{}; by drift and importance: {}", told.sentence, effects.join(", "));
    }
}

/// A number as people read it: three digits that count.
pub(super) fn short(value: f64) -> String {
    let digits = if value == 0.0 { 2 } else { (2 - value.abs().log10().floor() as i32).clamp(0, 6) };
    format!("{value:.*}", usize::try_from(digits).unwrap_or(2))
}

fn effect(why: &Why, cause: &Cause) -> String {
    let Cause { column, shift, importance, .. } = cause;
    let output = &why.output;
    match (shift, why.unit) {
        (None, _) => format!("{column} (changes {output} by {} when dealt out anew)", short(*importance)),
        (Some(shift), Unit::Class) => format!("{column} (moves {:.0} % of {output} to another class)", 100.0 * shift),
        (Some(shift), _) => {
            format!("{column} (moves the mean of {output} by {}{})", if *shift > 0.0 { "+" } else { "" }, short(*shift))
        }
    }
}

/// Why a monitor drifts, in sentences: which columns, segments and version, since when, what it does to the answers, and what
/// to do. Nothing while it does not drift.
pub fn why(view: &View) -> Vec<String> {
    let Some(watch) = &view.watch else { return Vec::new() };
    let drifted = drifting(watch);
    let detecting: Vec<&Detector> = watch.detecting().collect();
    if drifted.is_empty() && detecting.is_empty() {
        return Vec::new();
    }
    let called = (!detecting.is_empty()).then(|| format!("Detectors call a change: {}.", changes(&detecting)));
    let all = besides(&drifted, &[]);
    if all.is_empty() {
        return called.into_iter().chain([format!("What to do: {NO_PROMISE}.")]).collect();
    }
    let (whole, parts): (Vec<&Turned>, Vec<&Turned>) = all.iter().partition(|t| t.segment.is_none());
    let (spec, of) = (&view.spec, subject(&view.spec, watch));
    let (from, since) = (beside(spec), since(&all));
    let mut said = Vec::new();
    if whole.is_empty() {
        said.push(format!("{of} has drifted{from}{since}, in segments alone."));
    } else {
        said.push(format!("{of} has drifted{from}{since}: {}.", list(&whole)));
    }
    if !parts.is_empty() {
        said.push(format!("Of the segments: {}.", list(&parts)));
    } else if !spec.segments.is_empty() {
        said.push("No segment has drifted by itself.".to_owned());
    }
    if let Some(why) = &watch.why {
        let mean = why.mean.map(|mean| format!("; the mean of {} is {}", why.output, short(mean))).unwrap_or_default();
        if !why.causes.is_empty() {
            let effects: Vec<String> = why.causes.iter().map(|cause| effect(why, cause)).collect();
            let rows = why.rows;
            said.push(format!("By drift and importance, over {rows} rows asked again: {}{mean}.", effects.join(", ")));
        }
        said.extend(why.problem.as_ref().map(|problem| format!("Not everything could be told: {problem}.")));
    }
    said.extend(called);
    said.push(format!("What to do: {}.", advice(&all)));
    said
}

/// The same where what it is compared with has changed, to `version`; `alone` says that nothing else has.
pub(super) fn other(mut told: Transition, version: &str, alone: bool) -> Transition {
    let compared = format!("what it is compared with is version {version} now");
    told.sentence = if alone {
        format!("{compared}; it is watched anew from the first row of both")
    } else {
        format!("{}; {compared}", told.sentence)
    };
    told
}

/// Another version answers.
pub(super) fn replaced(was: &Watch, now: &Watch) -> Transition {
    let ended = if was.drifting { ", whose drift ends with it" } else { "" };
    let sentence = format!(
        "version {} answers instead of version {}{ended}; it is watched from its first row",
        now.version, was.version
    );
    let numbers = json!({"model": now.model, "version": now.version, "before": {"model": was.model, "version": was.version, "drifting": was.drifting}});
    Transition { kind: TransitionKind::Replaced, at: now.begun, drifting: false, detecting: false, sentence, numbers }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::rows::tests::spec;

    #[test]
    fn the_query_names_columns_that_the_journal_has() {
        let of = ["out.p[0]", "in.x", "out.p[1]", "in.odd[name]", "in.said:words", "in.said:length"];
        let sql = query(&spec(json!({"texts": ["in.said"]})), None, of.into_iter());
        let columns = "\"out.p\", \"in.x\", \"in.odd[name]\", \"in.said\"";
        assert!(sql.starts_with(&format!("SELECT event_id, at, {columns} FROM predictions")), "{sql}");
    }
}
