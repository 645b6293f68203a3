//! Alerts as they go over the wire.

use crate::dto::alerts::{AlertChannelView, AlertView, DeliveryView, SilenceView, SloView, SloWindow};
use mainspring_alert::slo::Standing;
use mainspring_alert::{Alert, ChannelView, Delivery, DeliveryState, Silence};
use mainspring_core::Timestamp;

/// An alert, with the silence that covers it now.
pub(crate) fn alert(alert: &Alert, silences: &[Silence], now: Timestamp) -> AlertView {
    let subject = &alert.subject;
    AlertView {
        fingerprint: alert.fingerprint.clone(),
        phase: alert.phase.as_str().to_owned(),
        since: alert.since.into(),
        started: alert.started.into(),
        name: subject.name.clone(),
        source: subject.source.to_string(),
        severity: subject.severity.to_string(),
        labels: subject.labels.clone(),
        summary: subject.sentence.clone(),
        numbers: subject.numbers.clone(),
        query: subject.query.clone(),
        runbook: subject.runbook.clone(),
        page: subject.page.clone(),
        silenced_by: silences.iter().find(|s| s.covers(subject, now)).map(|s| s.id.clone()),
    }
}

impl From<&Silence> for SilenceView {
    fn from(s: &Silence) -> Self {
        Self {
            id: s.id.clone(),
            matching: s.matching.iter().map(ToString::to_string).collect(),
            from: s.from.into(),
            until: s.until.into(),
            reason: s.reason.clone(),
            by: s.by.clone(),
        }
    }
}

impl From<&Delivery> for DeliveryView {
    fn from(d: &Delivery) -> Self {
        Self {
            id: d.notice.id.to_string(),
            at: d.created_at.into(),
            state: d.state.as_str().to_owned(),
            title: d.notice.title(),
            attempts: d.attempts,
            next_at: (d.state == DeliveryState::Waiting).then(|| d.next_at.into()),
            error: d.error.clone(),
        }
    }
}

impl From<&ChannelView> for AlertChannelView {
    fn from(c: &ChannelView) -> Self {
        Self {
            name: c.name.to_string(),
            way: c.spec.way().map_or("none", mainspring_alert::spec::Way::as_str).to_owned(),
            on: c.spec.on.iter().map(ToString::to_string).collect(),
            severity: c.spec.severity.to_string(),
            deliveries: c.deliveries.iter().map(Into::into).collect(),
        }
    }
}

impl From<&Standing> for SloView {
    fn from(s: &Standing) -> Self {
        let windows = s.burns.iter().map(|b| SloWindow {
            seconds: b.window.as_secs(),
            requests: b.total,
            bad: b.bad,
            burn_rate: b.rate,
        });
        Self {
            deployment: s.objective.deployment.to_string(),
            objective: s.objective.name.clone(),
            target: s.objective.target,
            within_ms: s.objective.within.map(|w| w.as_secs_f64() * 1e3),
            budget_left: s.left,
            severity: s.severity.map(|severity| severity.to_string()),
            windows: windows.collect(),
            runbook: s.objective.runbook.clone(),
        }
    }
}
