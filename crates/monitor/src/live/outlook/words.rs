//! What is told of an estimate, in words and numbers.

use super::{Look, Outlook};
use crate::live::spec::MonitorSpec;
use crate::live::watch::{Transition, TransitionKind, Watch};
use crate::live::words::{clock, query, short, subject};
use mainspring_core::Timestamp;
use serde_json::{Value, json};

/// `accuracy below 0.9`: what is looked out for.
fn passed(outlook: &Outlook, look: &Look) -> String {
    let metric = outlook.spec.metric.as_str();
    look.limit.map_or_else(|| metric.to_owned(), |limit| format!("{metric} {} {}", limit.side(), short(limit.value())))
}

/// The numbers of a window.
fn window_numbers(outlook: &Outlook, look: &Look) -> Value {
    json!({
        "metric": outlook.spec.metric.as_str(), "estimate": look.value, "low": look.low, "high": look.high,
        "limit": look.limit, "rows": look.rows, "labeled": look.labeled, "realized": look.realized,
        "fromMicros": look.from.micros(), "untilMicros": look.until.micros(),
    })
}

/// A metric that is probably beyond its limit, or is not any more.
pub(in crate::live) fn estimated(
    (kind, at): (TransitionKind, Timestamp),
    watch: &Watch,
    spec: &MonitorSpec,
) -> Transition {
    let of = subject(spec, watch);
    let (mut sentence, mut numbers) = (format!("of {of} nothing is estimated"), Value::Null);
    if let Some((outlook, look)) = watch.outlook.as_ref().and_then(|outlook| Some((outlook, outlook.last()?))) {
        let Look { value, low, high, rows, .. } = *look;
        let window = outlook.spec.window.unwrap_or(spec.window);
        let over = format!("over the {rows} rows of {window} from {}", clock(look.from));
        let value = format!("{} ({} to {})", short(value), short(low), short(high));
        let (metric, passed) = (outlook.spec.metric.as_str(), passed(outlook, look));
        sentence = if kind == TransitionKind::Degraded {
            format!(
                "{of} is surely at {passed} by its estimate without labels: {metric} is {value} {over}; look at which inputs have drifted, and have rows of this time labelled before you trust or retire the version"
            )
        } else {
            let long = spec.recover_after;
            format!("by its estimate {of} has not been at {passed} for {long}: {metric} is {value} {over}")
        };
        numbers = window_numbers(outlook, look);
    }
    if let Some(object) = numbers.as_object_mut() {
        let from = watch.outlook.as_ref().and_then(|outlook| Some(outlook.last()?.from));
        let shown = spec.label.as_ref().and_then(|label| label.prediction.as_deref());
        let columns = std::iter::once("version").chain(shown);
        let segment = (!spec.segment.is_all()).then_some(&spec.segment);
        let more = json!({
            "deployment": spec.deployment, "variant": spec.variant, "segment": segment, "model": watch.model,
            "version": watch.version, "query": query(spec, from, columns),
        });
        object.extend(more.as_object().cloned().unwrap_or_default());
    }
    Transition { kind, at, drifting: watch.drifting, detecting: watch.detecting, sentence, numbers }
}

/// Nothing is known any more of a metric that was beyond its limit.
pub(in crate::live) fn no_longer_estimated(
    at: Timestamp,
    why: &str,
    (watch, was): (&Watch, &Outlook),
    spec: &MonitorSpec,
) -> Transition {
    let of = subject(spec, watch);
    let at_what = was.last().map_or_else(|| was.spec.metric.as_str().to_owned(), |look| passed(was, look));
    let sentence = format!("{of} was at {at_what} by its estimate until {why}");
    let numbers = json!({
        "deployment": spec.deployment, "variant": spec.variant, "model": watch.model, "version": watch.version,
        "metric": was.spec.metric.as_str(),
    });
    Transition {
        kind: TransitionKind::Restored,
        at,
        drifting: watch.drifting,
        detecting: watch.detecting,
        sentence,
        numbers,
    }
}
