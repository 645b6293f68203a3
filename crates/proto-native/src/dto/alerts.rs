//! Alerts: what is wrong, who was told, what is silenced, and the budgets of objectives.

use super::Time;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// An alert, or something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertView {
    /// The same for every report of the same.
    pub fingerprint: String,
    /// `firing`, `resolved` or `happened`.
    pub phase: String,
    /// When the phase began.
    pub since: Time,
    /// When it began.
    pub started: Time,
    /// What it is: `SloBurn`.
    pub name: String,
    /// `slo`, `drift`, `rollout` or `quality`.
    pub source: String,
    /// `info`, `ticket` or `page`.
    pub severity: String,
    /// What tells it from others of the name.
    pub labels: BTreeMap<String, String>,
    /// In words.
    pub summary: String,
    /// The numbers that justify it.
    pub numbers: Value,
    /// A query of the journal that shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// The console's page, below the server's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    /// The silence that covers it now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silenced_by: Option<String>,
}

/// Alerts: those that fire first, then by the last change.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertList {
    /// The alerts.
    pub alerts: Vec<AlertView>,
}

/// A silence.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SilenceView {
    /// Its id.
    pub id: String,
    /// All of these hold for what is silenced.
    pub matching: Vec<String>,
    /// From when on.
    pub from: Time,
    /// Until when.
    pub until: Time,
    /// Why.
    pub reason: String,
    /// Who said so.
    pub by: String,
}

/// Silences that have not ended.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SilenceList {
    /// The silences.
    pub silences: Vec<SilenceView>,
}

/// A silence to begin.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SilenceRequest {
    /// All of these hold for what is silenced: `deployment=churn`, `severity!=page`, `deployment=~eu-.*`.
    pub matching: Vec<String>,
    /// For how long from now on: `2h`.
    #[serde(rename = "for")]
    pub length: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// A notice on its way to a channel, or there.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryView {
    /// Its id, which the receiver sees.
    pub id: String,
    /// When it was made.
    pub at: Time,
    /// `waiting`, `sent`, `refused` or `expired`.
    pub state: String,
    /// One line.
    pub title: String,
    /// How often it was sent.
    pub attempts: u32,
    /// When it is sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Time>,
    /// Why it was not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A channel.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertChannelView {
    /// Its name.
    pub name: String,
    /// `webhook`, `slack`, `pagerduty`, `email`, `sns` or `freeze`.
    pub way: String,
    /// What it is told of; everything when empty.
    pub on: Vec<String>,
    /// The least severity that it is told of.
    pub severity: String,
    /// Its last notices, the newest first.
    pub deliveries: Vec<DeliveryView>,
}

/// Channels, by name.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertChannelList {
    /// The channels.
    pub channels: Vec<AlertChannelView>,
}

/// The receiver took a test notice.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertTest {
    /// The notice's id, which the receiver sees.
    pub id: String,
    /// What it said.
    pub title: String,
}

/// A window of an objective.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SloWindow {
    /// How long it is, seconds.
    pub seconds: u64,
    /// Requests that count in it, of all replicas.
    pub requests: u64,
    /// Those that were not good.
    pub bad: u64,
    /// Bad ones per allowed one; 1 uses the budget up in exactly 30 days.
    pub burn_rate: f64,
}

/// An objective of a deployment.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SloView {
    /// The deployment.
    pub deployment: String,
    /// `availability`, `p50`, `p90`, `p95` or `p99`.
    pub objective: String,
    /// The share of requests that are to be good.
    pub target: f64,
    /// For a latency: within which time, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within_ms: Option<f64>,
    /// What is left of the budget of 30 days: 1 is all of it, less than 0 is overdrawn.
    pub budget_left: f64,
    /// How severe it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// The windows that rules look at, the 30 days last.
    pub windows: Vec<SloWindow>,
    /// What to do when it burns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
}

/// Objectives, by deployment.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SloList {
    /// The objectives.
    pub slos: Vec<SloView>,
}
