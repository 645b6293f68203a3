//! Monitors: what they see of each column, and what they have told; and the profiles of versions.

use super::Time;
use super::performance::MeasureDto;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// A monitor in a line.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitorSummary {
    /// Its name.
    pub name: String,
    /// The deployment whose rows it watches.
    pub deployment: String,
    /// Which variant of it.
    pub variant: String,
    /// Which of these rows, `in.plan = gold`; all when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// Whose rows they are compared with, where these are answered meanwhile: `stable of churn where in.plan = free`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared_with: Option<String>,
    /// The model that answers; nothing until it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `waiting` for rows, `learning` a reference, `steady`, `shifted` (sure and small), `drifting`,
    /// `degraded`, where nothing drifts and what is estimated is beyond its limit, `detected`, where neither is so and a stream
    /// detector calls a change, or `stopped`.
    pub state: String,
    /// Since when it is drifting, or is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Why it does not go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Columns that are watched.
    pub watched: u64,
    /// Names of those that have drifted, whole or in a segment, or of which a stream detector says so.
    pub drifted: Vec<String>,
    /// Where the metric stands that is estimated; nothing where the file names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated: Option<MonitorProspect>,
    /// Rows of the version that counted so far.
    pub rows: u64,
    /// Rows before this moment are in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen_until: Option<Time>,
}

/// What a monitor sees of a column.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitorColumn {
    /// Its name: `in.age`, `out.score`; an element of a list is `in.list[2]`, the form of a text `in.comment:words`; of labels
    /// `label.NAME` and `error.NAME`.
    pub name: String,
    /// The journal's column that holds it: `in.list`, `in.comment`.
    pub journal_column: String,
    /// Which rows of it, `in.plan = gold`; all when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// What its drift is: `covariate` of inputs, `prediction` of outputs, `label` of what was true (`label.NAME`),
    /// `concept` of the error that shows (`error.NAME`).
    pub drift: String,
    /// `learning`, `waiting`, `steady`, `shifted`, `drift`, or `unlike`, where it cannot be compared.
    pub standing: String,
    /// Since when.
    pub since: Time,
    /// When the change that is seen began, about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Time>,
    /// What it is compared with: `profile`, `first-rows`, `window`, or `beside`, what is answered meanwhile.
    pub reference: String,
    /// Rows of the reference so far, while it is being made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learned: Option<u64>,
    /// Sampled rows that the test has seen.
    pub tested: u64,
    /// Sampled rows in the window.
    pub window_rows: u64,
    /// The share of the window's rows that would have to move for it to be as the reference, 0 to 1.
    pub distance: f64,
    /// What chance alone brings on average with so many rows.
    pub chance: f64,
    /// ln of the most that the bet on a change has won.
    pub log_e: f64,
    /// ln of what it must have won to be sure.
    pub log_sure: f64,
}

/// A stream detector on a column. It bounds no rate of false alarms: what it calls may be nothing, unlike what is said of the
/// monitor's columns.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitorDetector {
    /// The column.
    pub name: String,
    /// Which rows of it, `in.plan = gold`; all when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// What its change would be: `covariate`, `prediction`, `label` or `concept`.
    pub drift: String,
    /// `adwin`, `kswin`, `pageHinkley` or `ddm`.
    pub detector: String,
    /// `waiting` for values, `steady`, `warning` (DDM alone), `drift`, from a call until `recoverAfter` after the last one, or
    /// `unlike`, where it can see none of the column's values.
    pub standing: String,
    /// Since when.
    pub since: Time,
    /// Values of the sample that it has seen.
    pub seen: u64,
    /// Values that are no numbers, or for DDM neither 0 nor 1, and that it has not seen.
    pub skipped: u64,
    /// Changes that it has called.
    pub detections: u64,
    /// The last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<MonitorDetection>,
}

/// A change that a detector called.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitorDetection {
    /// When the row came at which it was called.
    pub at: Time,
    /// That row's value.
    pub value: f64,
    /// When the change began, about.
    pub begun_at: Time,
    /// The mean of what the detector knew of before.
    pub before: f64,
    /// The mean since.
    pub since: f64,
}

/// Where a metric stands that a monitor has estimated without labels.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitorProspect {
    /// Which: `accuracy`, `mae`, …
    pub metric: String,
    /// What must not be passed: `below 0.9`, `above 3`, or `drop 0.05`, from what it was on the rows that are learnt from.
    pub limit: String,
    /// `waiting` for a window with enough rows, `steady`, `doubtful`, where the estimate is beyond the limit and its interval
    /// holds it, or `degraded`, from a window whose whole interval is beyond it until none was for `recoverAfter`.
    pub standing: String,
}

/// A metric that a monitor has estimated without labels, window after window.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitorEstimate {
    /// Where it stands.
    #[serde(flatten)]
    pub prospect: MonitorProspect,
    /// How long each window is.
    pub window: String,
    /// Since which window it stands so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Why the last window has no estimate, or nothing follows from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The latest windows that had rows, the oldest first; at most 168.
    pub windows: Vec<MonitorEstimateWindow>,
}

/// A window that was estimated.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitorEstimateWindow {
    /// Its rows came from here on,
    pub since: Time,
    /// and before then.
    pub until: Time,
    /// How many they were.
    pub rows: u64,
    /// Whether they were enough (`minRows`) for anything to follow.
    pub enough: bool,
    /// The estimate.
    pub value: f64,
    /// Three sampling errors below it.
    pub low: f64,
    /// And above it.
    pub high: f64,
    /// The value that it must not pass; nothing where there is nothing to have dropped from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// Rows of it whose label had come when it was looked at.
    pub labeled: u64,
    /// What the metric of these really is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realized: Option<f64>,
    /// Whether the labels' wait was over by then; it is looked at again when it is.
    pub settled: bool,
}

/// What a monitor does with labels.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitorLabel {
    /// The feedback that says what was true.
    pub name: String,
    /// How long after its prediction a label counts.
    pub wait: String,
    /// Labelled rows so far.
    pub rows: u64,
    /// Labels of predictions before this moment are in it.
    pub seen_until: Time,
    /// How wrong the model was over the window, by these labels: of all rows first, then of each segment.
    pub errors: Vec<MonitorError>,
}

/// How wrong the model was over a monitor's window.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitorError {
    /// Which rows, `in.plan = gold`; all when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// `error_rate`, the share of answers that were another value, or `mean_absolute_error`.
    pub metric: String,
    /// Labelled rows of the sample that were compared.
    pub rows: u64,
    /// Its value, and what it is in 95 % of cases.
    #[serde(flatten)]
    pub measure: MeasureDto,
}

/// What a column's drift does to the answers.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitorCause {
    /// The column.
    pub name: String,
    /// The share of its rows that are elsewhere, beyond chance.
    pub moved: f64,
    /// Mean absolute change of an answer when the column's values are dealt out to other rows.
    pub importance: f64,
    /// The two multiplied: what causes are ordered by.
    pub weight: f64,
    /// How far the mean answer is from where it would be with the column as in its reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shift: Option<f64>,
}

/// Why a monitor drifts.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitorWhy {
    /// In sentences: which columns, segments and version, since when, what it does to the answers, what to do. Empty while
    /// nothing drifts.
    pub sentences: Vec<String>,
    /// When the model was asked again; nothing while it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    /// The output that is meant: `out.score`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// What its change is measured in: `number`, `probability`, or `class`, the share of rows that get another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Rows that it was asked about again.
    pub rows: u64,
    /// The mean of its answers, where it is one number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// By weight, the greatest first.
    pub causes: Vec<MonitorCause>,
    /// What could not be told, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// How far a column had moved when it was looked at.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitorEffect {
    /// The column.
    pub name: String,
    /// Which rows of it, `in.plan = gold`; all when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// The share of the window's rows that would have had to move, 0 to 1.
    pub distance: f32,
    /// What chance alone brought with so many rows.
    pub chance: f32,
    /// What was said of it.
    pub standing: String,
}

/// One look at a monitor.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitorPoint {
    /// Rows before this moment were in it.
    pub at: Time,
    /// Its columns, those first that had moved most; at most 64.
    pub columns: Vec<MonitorEffect>,
}

/// What a monitor saw, look by look.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitorHistory {
    /// The oldest first: each minute of the last six hours, and the last look of each hour before that, for thirty days.
    pub points: Vec<MonitorPoint>,
}

/// Of which column, and since when.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MonitorHistoryQuery {
    /// How far back from now: `6h`, `30d`; a day when left out.
    pub last: Option<String>,
    /// Of this column alone; all when left out.
    pub column: Option<String>,
    /// Which rows of it, `in.plan = gold`; all when left out.
    pub segment: Option<String>,
}

/// A monitor.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitorView {
    /// The line of it.
    #[serde(flatten)]
    pub summary: MonitorSummary,
    /// The probability of a false alarm for a version, over all columns and looks.
    pub level: f64,
    /// From how much on a change is drift.
    pub min_effect: f64,
    /// How far back it is measured how much has changed.
    pub window: String,
    /// Rows of which the columns were sampled.
    pub sampled: u64,
    /// Rows that came too late to be looked at, since the server that watches has watched.
    pub late: u64,
    /// Columns, of all rows or of a segment, that are not watched, because a monitor watches at most 2,000.
    pub left_out: u64,
    /// Why columns are not compared with the data that the version was trained on, and what to do; where its run names that
    /// data, and no profile is saved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unused_dataset: Option<String>,
    /// What is watched of labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<MonitorLabel>,
    /// Since when this version is watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begun_at: Option<Time>,
    /// Its columns, whole first, then by segment.
    pub columns: Vec<MonitorColumn>,
    /// Its stream detectors, one a column of all rows or of a segment; none where the file names none.
    pub detectors: Vec<MonitorDetector>,
    /// Columns that detectors do not watch, because they are 128 already.
    pub undetected: u64,
    /// What is estimated of its answers; nothing where the file names no metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate: Option<MonitorEstimate>,
}

/// Monitors by name.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitorList {
    /// Each in a line.
    pub monitors: Vec<MonitorSummary>,
}

/// What a monitor has told.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitorEvent {
    /// Counts from 1.
    pub seq: u64,
    /// When.
    pub at: Time,
    /// `drifted`, `detected`, when stream detectors call a change, `quieted`, when they do no longer, `recovered`, or `replaced`, when another version answers or another profile was saved with it;
    /// of what is estimated `degraded` and `restored`.
    pub kind: String,
    /// Whether anything was drifting then, by the monitor's own test.
    pub drifting: bool,
    /// In words.
    pub sentence: String,
    /// The numbers that it rests on, and the query that shows the rows.
    #[schema(value_type = Object)]
    pub numbers: Value,
}

/// What a monitor has told, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitorEvents {
    /// Newest first.
    pub events: Vec<MonitorEvent>,
}

/// Which events.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MonitorEventQuery {
    /// Only those before this number.
    pub before: Option<u64>,
    /// How many at most; 100 when left out.
    pub limit: Option<u32>,
}

/// Which column.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MonitorColumnQuery {
    /// Its name: `in.age`.
    pub column: String,
    /// Which rows, `in.plan = gold`; all when left out.
    pub segment: Option<String>,
}

/// A column's distribution beside its reference's.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitorDistribution {
    /// What is seen of it.
    #[serde(flatten)]
    pub column: MonitorColumn,
    /// Upper edges of the bins of numbers, of each but the last and the one of missing values; none where bins are of
    /// hashed texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edges: Option<Vec<f64>>,
    /// Rows of the reference by bin; the last is of missing values.
    pub reference_counts: Vec<u64>,
    /// Sampled rows of the window by bin.
    pub window_counts: Vec<u64>,
}

/// Which window of a deployment's rows.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WindowQuery {
    /// How far back from `until`: `24h`, `30d`; an hour when left out. Not with `from`.
    pub last: Option<String>,
    /// From then on, RFC 3339.
    pub from: Option<String>,
    /// Before then, RFC 3339; now when left out.
    pub until: Option<String>,
    /// Which variant; all when left out.
    pub variant: Option<String>,
    /// Which version; all when left out.
    pub version: Option<String>,
    /// Which of these rows: a JSON object of columns with their values, `{"in.plan": "gold"}`; all when left out.
    pub segment: Option<String>,
    /// Of all rows that are not of the segment instead.
    #[serde(default)]
    pub others: bool,
}

/// With which label the rows of a window come.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RowsQuery {
    /// Name of the feedback that says what was true, as the column `label`; without it there is none.
    pub label: Option<String>,
    /// Only rows that it has come for, so that the newest of them are read however many came after them; false when left out.
    #[serde(default)]
    pub labelled: bool,
}

/// What is kept of a column of live rows.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WindowColumn {
    /// Its name: `in.age`, `out.score`.
    pub name: String,
    /// Values that there are.
    pub present: u64,
    /// Rows without one.
    pub missing: u64,
    /// Mean of the finite numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// Their standard deviation, divided by n − 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deviation: Option<f64>,
    /// The least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The median, about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median: Option<f64>,
    /// The greatest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// DataSketches' KLL of doubles in base 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kll: Option<String>,
    /// Different texts, about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distinct: Option<f64>,
    /// DataSketches' frequent items of texts in base 64; of whole numbers that come out, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequent_items: Option<String>,
}

/// What a deployment's rows looked like in a window: of all rows, whose tiles begin in it; of a segment, whose rows are read
/// for it, the newest million at most, and but for the columns that tell its rows from others.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WindowProfile {
    /// The deployment.
    pub deployment: String,
    /// From here on; before the last ninety minutes to the hour, before the last three days to the day. Of a segment with more
    /// rows than are read, later than was asked for.
    pub since: Time,
    /// Up to here.
    pub until: Time,
    /// Requests, however they ended; not counted of a segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Rows answered.
    pub rows: u64,
    /// Whether a segment has more rows in the window than are read.
    pub partial: bool,
    /// By name.
    pub columns: Vec<WindowColumn>,
}

/// A profile to be saved with a version.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SaveProfileRequest {
    /// The version: `churn@champion` or `churn/3`.
    pub model: String,
    /// What `mainspring profile FILE -o profile.json` wrote.
    #[schema(value_type = Object)]
    pub profile: Value,
}

/// Which version.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ProfileQuery {
    /// `churn@champion` or `churn/3`.
    pub model: String,
}

/// Whether a version has a profile that its live rows are compared with.
#[derive(Debug, Clone, PartialEq, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProfileState {
    /// The registered model.
    pub model: String,
    /// Its version.
    pub version: String,
    /// What it is a profile of; nothing where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Who saved it; `the server` when it made it from the run's dataset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved_by: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved_at: Option<Time>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Whether the data that the version was trained on is being read: ask again.
    pub reading: bool,
}

/// The profile of a version.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProfileView {
    /// The registered model.
    pub model: String,
    /// Its version.
    pub version: String,
    /// What it is a profile of.
    pub source: String,
    /// Who saved it; `the server` when it made it from the run's dataset.
    pub saved_by: String,
    /// When.
    pub saved_at: Time,
    /// The profile.
    #[schema(value_type = Object)]
    pub profile: Value,
}
