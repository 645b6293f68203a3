//! Names and units as OpenTelemetry has them. Whoever turns them into Prometheus' names gets ours back, so that the
//! dashboard and the rules work behind a collector, too.

use crate::metrics::{Family, Kind};

/// First words of names that stand for what the rest is about.
const SPACES: [&str; 14] = [
    "alerts",
    "budget",
    "cache",
    "inference",
    "journal",
    "monitor",
    "rollout",
    "variant",
    "shadow",
    "deployment",
    "model",
    "slo",
    "tokens",
    "version",
];

/// Endings of names, and the unit that each is.
const UNITS: [(&str, &str); 3] = [("_seconds", "s"), ("_bytes", "By"), ("_ratio", "1")];

/// What is counted, by the last word of a name; OpenTelemetry writes it in braces.
const COUNTED: [(&str, &str); 21] = [
    ("requests", "{request}"),
    ("in_flight", "{request}"),
    ("unserved", "{request}"),
    ("rows", "{row}"),
    ("rows_lost", "{row}"),
    ("executions", "{call}"),
    ("appended", "{event}"),
    ("payloads_dropped", "{event}"),
    ("events_dropped", "{event}"),
    ("late_events", "{event}"),
    ("units", "{unit}"),
    ("segments_open", "{segment}"),
    ("rows_seen", "{row}"),
    ("rows_sampled", "{row}"),
    ("drifted_columns", "{column}"),
    ("alerts_firing", "{alert}"),
    ("cache_hits", "{request}"),
    ("cache_misses", "{request}"),
    ("cache_entries", "{answer}"),
    ("tokens_input", "{token}"),
    ("tokens_output", "{token}"),
];

/// A family's name and unit; `None` for what is told in another way: Triton's names of the same numbers, and the
/// version, which the resource has.
pub fn named(family: &Family) -> Option<(String, &'static str)> {
    if family.name == "process_resident_memory_bytes" {
        return Some(("process.memory.usage".to_owned(), "By"));
    }
    let name = family.name.strip_prefix("mainspring_").filter(|name| *name != "build_info")?;
    let name = if family.kind == Kind::Counter { name.strip_suffix("_total").unwrap_or(name) } else { name };
    let spaced = |name: &str| match name.split_once('_') {
        Some((space, rest)) if SPACES.contains(&space) => format!("mainspring.{space}.{rest}"),
        _ => format!("mainspring.{name}"),
    };
    let unit = UNITS.iter().find(|(ending, _)| name.ends_with(ending));
    if let Some((ending, unit)) = unit {
        let bare = name.strip_suffix(ending).unwrap_or(name);
        // A name that would be a space alone keeps its unit.
        return Some((spaced(if SPACES.contains(&bare) { name } else { bare }), unit));
    }
    let counted = |word: &str| name == word || name.strip_suffix(word).is_some_and(|rest| rest.ends_with('_'));
    let unit = COUNTED.iter().find(|(word, _)| counted(word)).map_or("", |(_, unit)| unit);
    Some((spaced(name), unit))
}
