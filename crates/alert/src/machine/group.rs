//! One group of alerts on one channel: when a message goes out, and what is in it.

use super::alert::{Alert, Phase};
use mainspring_core::Timestamp;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often a group is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The first alert waits this long for others.
    pub wait: Duration,
    /// Between two messages with news.
    pub interval: Duration,
    /// Between two messages without.
    pub repeat: Duration,
}

/// What a channel was told of a group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// The labels that its alerts have in common.
    pub labels: BTreeMap<String, String>,
    /// Fingerprints that it was told are firing, and was not told are over.
    pub told: BTreeSet<String>,
    /// When it was last told.
    pub last: Option<Timestamp>,
}

/// An alert of a group now.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// The alert; firing, or resolved and perhaps not told yet.
    pub alert: &'a Alert,
    /// Whether somebody silenced it, or the channel no longer asks for it.
    pub silenced: bool,
}

/// A message that is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Firing ones, the most severe first, of these the oldest.
    pub firing: Vec<Alert>,
    /// Those that are over since the last message, the most severe first.
    pub resolved: Vec<Alert>,
    /// Whether nothing of it is new.
    pub repeated: bool,
    /// The group once the message is on its way; nothing when the group is over.
    pub group: Option<Group>,
}

fn after(at: Timestamp, time: Duration) -> Timestamp {
    at.plus_micros(i64::try_from(time.as_micros()).unwrap_or(i64::MAX))
}

/// The message that is due, if one is. `all` are the alerts of the group that fire, and those of [`Group::told`] that no
/// longer do.
///
/// A silenced alert is not told, and its going on is not repeated; that it is over is told when its beginning was. While only
/// silenced ones go on of what was told, nothing is: a message would have to say that something fires, and not what.
pub fn due(group: &Group, all: &[Standing<'_>], now: Timestamp, timing: Timing) -> Option<Message> {
    let firing = |s: &&Standing<'_>| s.alert.phase == Phase::Firing;
    let mut loud: Vec<&Alert> = all.iter().filter(firing).filter(|s| !s.silenced).map(|s| s.alert).collect();
    loud.sort_by_key(|a| (Reverse(a.subject.severity), a.started, a.fingerprint.clone()));
    let going: BTreeSet<&str> = all.iter().filter(firing).map(|s| s.alert.fingerprint.as_str()).collect();
    let gone: BTreeSet<&str> = group.told.iter().map(String::as_str).filter(|f| !going.contains(f)).collect();
    let news = !gone.is_empty() || loud.iter().any(|a| !group.told.contains(&a.fingerprint));
    let mut told: BTreeSet<String> = group.told.iter().filter(|f| going.contains(f.as_str())).cloned().collect();
    if loud.is_empty() && (!news || !told.is_empty()) {
        return None;
    }
    let first = loud.iter().map(|a| a.started).min().unwrap_or(now);
    let from = match group.last.filter(|_| !group.told.is_empty()) {
        None => after(first, timing.wait),
        Some(last) if news => after(last, timing.interval),
        Some(last) => after(last, timing.repeat),
    };
    if now < from {
        return None;
    }
    let over = all.iter().map(|s| s.alert).filter(|a| gone.contains(a.fingerprint.as_str()));
    let mut resolved: Vec<Alert> = over.cloned().collect();
    resolved.sort_by_key(|a| Reverse(a.subject.severity));
    told.extend(loud.iter().map(|a| a.fingerprint.clone()));
    let group = (!told.is_empty()).then(|| Group { labels: group.labels.clone(), told, last: Some(now) });
    Some(Message { firing: loud.into_iter().cloned().collect(), resolved, repeated: !news, group })
}
