//! What answers cost.

use super::Time;
use super::performance::MeasureDto;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Answers that are told together.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CostLine {
    /// The value of each that was asked by.
    pub by: BTreeMap<String, String>,
    /// Answers, shadows and failures among them.
    pub answers: u64,
    /// Those that somebody asked for: all but shadows.
    pub requests: u64,
    /// Rows of those that stand in the journal.
    pub rows: u64,
    /// Compute: each answer's share of its engine call, nanoseconds.
    pub compute_nanos: u64,
    /// The same in seconds.
    pub compute_seconds: f64,
    /// Waiting for admission and a batch, seconds; it costs nothing.
    pub queue_seconds: f64,
    /// Tokens that models read, where they count them.
    pub tokens_in: u64,
    /// Tokens that models wrote.
    pub tokens_out: u64,
    /// What kept answers saved; none where none was given again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved: Option<CostSaved>,
    /// What that costs; none without a price table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<CostAmounts>,
}

/// Exact amounts, as text: `0.000416`.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CostAmounts {
    /// All of it.
    pub total: String,
    /// For compute.
    pub compute: String,
    /// For each request.
    pub requests: String,
    /// For tokens.
    pub tokens: String,
}

/// What answers that were kept did not take: what each took when it was computed.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CostSaved {
    /// Answers that were kept and given again.
    pub answers: u64,
    /// Compute, seconds.
    pub compute_seconds: f64,
    /// Tokens that were not read.
    pub tokens_in: u64,
    /// Tokens that were not written.
    pub tokens_out: u64,
    /// What that would have cost; none without a price table. Exact, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<String>,
}

/// Bytes that are kept.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CostStorage {
    /// `model` or `journal`.
    pub what: String,
    /// The model version, `churn/3`, or the deployment whose journal it is.
    pub of: String,
    /// Bytes now.
    pub bytes: u64,
    /// What it costs to keep that for as long as the report is of, up to now; none without a price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<String>,
}

/// The paid machines, and what no answer took of them.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CostHost {
    /// Seconds of all their CPUs.
    pub cpu_seconds: f64,
    /// Seconds of compute that the report attributes to answers.
    pub used_seconds: f64,
    /// What the machines cost.
    pub paid: String,
    /// What of that is attributed to answers.
    pub used: String,
    /// What no answer of the report took: idle, the system itself, and other tenants.
    pub unallocated: String,
}

/// What answers cost.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CostReport {
    /// Answers from then on.
    pub from: Time,
    /// And before then.
    pub until: Time,
    /// By what lines are told apart.
    pub by: Vec<String>,
    /// The price table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prices: Option<String>,
    /// Its currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Lines, the one with the most compute first; by time where that is first asked for.
    pub lines: Vec<CostLine>,
    /// All lines together.
    pub total: CostLine,
    /// What is kept now.
    pub storage: Vec<CostStorage>,
    /// The paid machines; none where no table prices them, or the report is of one deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<CostHost>,
    /// What must be known to read this.
    pub notes: Vec<String>,
}

/// Where a budget stands.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BudgetView {
    /// The budget.
    pub name: String,
    /// Of this deployment alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// Of this caller alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// `day` or `month`.
    pub per: String,
    /// When the period began.
    pub from: Time,
    /// When it ends.
    pub until: Time,
    /// What may be spent, of money; exact, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// What may be used, of compute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub may_compute_seconds: Option<u64>,
    /// What is spent; exact, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spent: Option<String>,
    /// Its currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Compute that was used.
    pub compute_seconds: f64,
    /// Spent of what may be, per cent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
    /// That at the end of the period at the pace so far; none while it is too early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forecast_percent: Option<f64>,
    /// Per cent at which somebody is told.
    pub thresholds: Vec<u32>,
    /// Why it cannot be reckoned, or what is missing in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Budgets.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct BudgetList {
    /// As they stood at the last look, a minute ago at most; a budget or price that is declared is looked at at once.
    pub budgets: Vec<BudgetView>,
}

/// What could be otherwise, by what was measured.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CostHint {
    /// `instances`, `machines`, `committed` or `interruptible`.
    pub kind: String,
    /// Of which deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// In words.
    pub sentence: String,
    /// The numbers that justify it.
    pub numbers: Value,
}

/// Hints.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CostHints {
    /// Demand from then on.
    pub from: Time,
    /// And before then.
    pub until: Time,
    /// What could be otherwise.
    pub hints: Vec<CostHint>,
    /// What must be known to read them.
    pub notes: Vec<String>,
}

/// A kind of answers, and what they took.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoiPart {
    /// Answers.
    pub answers: u64,
    /// Compute, seconds.
    pub compute_seconds: f64,
    /// What that cost; exact, as text. None without a price table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<String>,
}

/// What the predictions of a variant and version brought.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoiGroup {
    /// The variant; none for all together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The model and version; none for all together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Predicted rows that can bring something: answered, not forced, no shadows.
    pub predictions: u64,
    /// Those with feedback that has a value.
    pub known: u64,
    /// Those that brought more than nothing.
    pub successes: u64,
    /// What all of them brought; exact, as text.
    pub value: String,
    /// The mean of that over predictions, with a confidence sequence of 95 %.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<MeasureDto>,
    /// What all answers cost; exact, as text. None without a price table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<String>,
    /// What one success cost, all other answers included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_per_success: Option<String>,
    /// Value less cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub net: Option<String>,
    /// By `succeeded`, `failed`, `unanswered` (refused, late or given up), `forced`, `shadow`, `unstored`.
    pub parts: BTreeMap<String, RoiPart>,
}

/// What a deployment's predictions brought, beside what they cost.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoiReport {
    /// Whose.
    pub deployment: String,
    /// Predictions from then on.
    pub from: Time,
    /// And before then.
    pub until: Time,
    /// Currency of values and costs.
    pub currency: String,
    /// The price table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prices: Option<String>,
    /// All together.
    pub overall: RoiGroup,
    /// By variant and version, the one with the most predictions first.
    pub groups: Vec<RoiGroup>,
    /// What must be known to read this.
    pub notes: Vec<String>,
}
