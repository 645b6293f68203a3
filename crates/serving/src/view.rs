//! What a deployment looks like to those who ask.

use crate::contract::Contract;
use crate::spec::DeploymentSpec;
use crate::traffic::Trip;
use mainspring_core::{Name, Timestamp};
use mainspring_traffic::Share;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Where a deployment or one of its versions stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// Being resolved, opened and warmed.
    Loading,
    /// Answers.
    Ready,
    /// Cannot answer; the reason says why.
    Failed,
    /// Another version took over; finishes what it has, then unloads.
    Draining,
}

impl State {
    /// The name in views and metrics: `READY`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Loading => "LOADING",
            Self::Ready => "READY",
            Self::Failed => "FAILED",
            Self::Draining => "DRAINING",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How requests of a version run, as warm-up measured it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Execution {
    /// Requests of up to this many rows run on the calling thread; larger ones are queued. 0 queues
    /// them all.
    pub inline_rows: usize,
    /// Whether queued requests share calls.
    pub batched: bool,
    /// Median time of a call with one row, nanoseconds; 0 when warm-up could not run the model.
    pub one_row_ns: u64,
    /// Time that each further row adds, nanoseconds.
    pub per_row_ns: u64,
}

/// One version of a deployment.
#[derive(Debug, Clone)]
pub struct VersionView {
    /// What answers: deployment, variant, model, version; and what it takes and gives.
    pub contract: Arc<Contract>,
    /// Where it stands.
    pub state: State,
    /// Whether it is what answers where no rollout chooses another: the current or stable version.
    pub current: bool,
    /// The engine that runs it: `onnxruntime`.
    pub engine: &'static str,
    /// Calls that may run at once.
    pub instances: usize,
    /// Memory held, bytes, as well as the engine can tell.
    pub memory_bytes: u64,
    /// When it was ready.
    pub loaded_at: Timestamp,
    /// How long resolving, opening and warming took, milliseconds.
    pub load_ms: u64,
    /// How its requests run.
    pub execution: Execution,
    /// What warm-up noticed, empty when nothing.
    pub warnings: Vec<String>,
}

/// Where a variant of a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum VariantState {
    /// Being resolved, opened and warmed; stable answers its units.
    Loading,
    /// Answers.
    Ready,
    /// Cannot be loaded; stable answers its units.
    Failed,
    /// Was beyond a hard limit; stable answers its units.
    Tripped,
    /// Ready, and asked only in the shadow of what others answer.
    ShadowOnly,
}

/// What a shadow did in this process since its rollout began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShadowView {
    /// Requests that it answered.
    pub answered: u64,
    /// Requests that it failed.
    pub failed: u64,
    /// Requests that came while it was busy.
    pub dropped: u64,
    /// Requests that it works on.
    pub in_flight: usize,
}

impl VariantState {
    /// The name in views and metrics: `READY`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Loading => "LOADING",
            Self::Ready => "READY",
            Self::Failed => "FAILED",
            Self::Tripped => "TRIPPED",
            Self::ShadowOnly => "SHADOW_ONLY",
        }
    }
}

/// One variant of the rollout that decides about a deployment's traffic.
#[derive(Debug, Clone, PartialEq)]
pub struct VariantView {
    /// Its name.
    pub name: String,
    /// The URI of its model, pinned to a version.
    pub model: String,
    /// The version that answers for it, once one is loaded.
    pub version: Option<Arc<str>>,
    /// Where it stands in this process.
    pub state: VariantState,
    /// Why it does not answer, or what it does meanwhile.
    pub reason: Option<String>,
    /// Which hard limit it was beyond, and by how much.
    pub trip: Option<Trip>,
    /// What it did in the shadow of others, when the row has it there.
    pub shadow: Option<ShadowView>,
    /// Its part of the traffic that reaches the rollout.
    pub weight: Share,
    /// The generation of the row that says so.
    pub generation: u64,
}

/// A deployment: what is declared, and where it stands.
#[derive(Debug, Clone)]
pub struct DeploymentView {
    /// Its name.
    pub name: Name,
    /// What is declared.
    pub spec: Arc<DeploymentSpec>,
    /// Where it stands. `READY` while any version answers, even when a newer one failed to load; `FAILED` while the
    /// model of the current one is down.
    pub state: State,
    /// Why it is `LOADING` or `FAILED`, or why the newest version failed while an older one answers.
    pub reason: Option<String>,
    /// Which version serves and why, when what is declared leaves it open (`prefer`).
    pub choice: Option<String>,
    /// When the state last changed.
    pub since: Timestamp,
    /// Whether the latest declaration and the latest move of its alias were dealt with, well or not;
    /// before that, state and reason may still speak of the ones before.
    pub settled: bool,
    /// Versions held: the current one first, then those of candidates, then those that drain.
    pub versions: Vec<VersionView>,
    /// The rollout that decides about its traffic, if one does.
    pub rollout: Option<String>,
    /// The variants of that rollout, stable first; empty when there is none.
    pub variants: Vec<VariantView>,
}

impl DeploymentView {
    /// The version that answers requests which name none.
    pub fn current(&self) -> Option<&VersionView> {
        self.versions.iter().find(|v| v.current)
    }

    /// Whether it answers.
    pub fn ready(&self) -> bool {
        self.state == State::Ready
    }
}
