//! Sentences for people.

use crate::ledger::{MetricReport, Range, Report, Scale};
use mainspring_core::Timestamp;
use mainspring_stats::decision::{Finding, Role};

/// A stretch of time, in the two largest units.
pub(super) fn span(from: Timestamp, to: Timestamp) -> String {
    let seconds = (to.micros() - from.micros()).max(0) / 1_000_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, m) => format!("{m} min {} s", seconds % 60),
        (0, h, m) => format!("{h} h {m} min"),
        (d, h, _) => format!("{d} d {h} h"),
    }
}

/// Three significant digits.
fn short(x: f64) -> String {
    if x == 0.0 || !x.is_finite() {
        return if x == 0.0 { "0".to_owned() } else { "unbounded".to_owned() };
    }
    let digits = 2 - x.abs().log10().floor() as i32;
    if digits > 9 {
        return format!("{x:.2e}");
    }
    format!("{x:.*}", digits.clamp(0, 9) as usize)
}

/// An estimate with its confidence sequence.
pub(super) fn effect(range: &Range) -> String {
    let ends = [range.low, range.high].map(|e| e.map_or_else(|| "unbounded".to_owned(), short));
    format!("{}, from {} to {}", short(range.estimate), ends[0], ends[1])
}

/// What one metric says, with its confidence sequence.
pub(super) fn metric(m: &MetricReport) -> String {
    let finding = match m.finding {
        Finding::Better => "better",
        Finding::NonInferior => "within its margin",
        Finding::Unclear => "unclear",
        Finding::Worse if m.role == Role::Signal => "beyond its limit",
        Finding::Worse => "worse",
        Finding::NoData => "without data",
    };
    let of = m.variant.as_ref().map(|v| format!(" of {v}")).unwrap_or_default();
    let mut text = format!("{}{of} is {finding}", m.name);
    if let (Some(stable), Some(candidate)) = (m.stable, m.candidate) {
        text.push_str(&format!(", {} against {}", short(candidate), short(stable)));
    }
    if let Some(range) = &m.effect {
        let what = match m.scale {
            Scale::Difference => "difference",
            Scale::Ratio => "ratio",
            Scale::Mean => "mean",
            Scale::Index => "stability index",
        };
        text.push_str(&format!(" ({what} {})", effect(range)));
    }
    if let Some(looks) = m.tested.as_ref().and_then(|tested| tested.looks) {
        text.push_str(&format!(", at look {} of {}", looks.due, looks.of));
    }
    if let Some(narrowed) = m.cuped.filter(|n| n.variance > 0.0) {
        text.push_str(&format!(
            ", {:.0} % of its variance explained by what was known before",
            narrowed.variance * 100.0
        ));
    }
    text
}

/// The named metrics of a candidate, joined.
pub(super) fn metrics(report: &Report, candidate: &str, names: &[String]) -> String {
    let all: Vec<String> = names.iter().filter_map(|n| report.metric_of(n, candidate)).map(metric).collect();
    all.join("; ")
}
