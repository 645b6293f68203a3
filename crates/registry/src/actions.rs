//! What one can do to the registry. Each action names what it is about.
//!
//! Creations, deletions, renames, stage and alias moves are audited in their own transaction.
//! Logging (metrics, params, tags, inputs) is authorised but not audited line by line: the run's
//! own history is the record of it, and a trail of every step would bury the changes that matter.

use mainspring_core::{Action, Effect, Resource};

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $effect:ident, $kind:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name(String);

        impl $name {
            /// The action on one thing, by its name or id.
            pub fn on(name: impl Into<String>) -> Self {
                Self(name.into())
            }

            /// The action on all things of its kind.
            pub fn any() -> Self {
                Self("*".into())
            }
        }

        impl Action for $name {
            const NAME: &'static str = $text;
            const EFFECT: Effect = Effect::$effect;

            fn resource(&self) -> Resource {
                Resource { kind: $kind, name: self.0.clone() }
            }
        }
    )+};
}

actions! {
    /// Looks at experiments.
    ReadExperiment = "experiment.read", Read, "experiment";
    /// Creates an experiment.
    CreateExperiment = "experiment.create", Write, "experiment";
    /// Renames or tags an experiment.
    UpdateExperiment = "experiment.update", Write, "experiment";
    /// Marks an experiment deleted.
    DeleteExperiment = "experiment.delete", Write, "experiment";
    /// Brings a deleted experiment back.
    RestoreExperiment = "experiment.restore", Write, "experiment";
    /// Looks at runs, their metrics and inputs.
    ReadRun = "run.read", Read, "run";
    /// Creates a run.
    CreateRun = "run.create", Write, "run";
    /// Changes a run's status, end time or name.
    UpdateRun = "run.update", Write, "run";
    /// Marks a run deleted.
    DeleteRun = "run.delete", Write, "run";
    /// Brings a deleted run back.
    RestoreRun = "run.restore", Write, "run";
    /// Logs metrics, params, tags, inputs or outputs of a run.
    LogRun = "run.log", Write, "run";
    /// Looks at logged models.
    ReadLoggedModel = "logged-model.read", Read, "logged-model";
    /// Creates a logged model.
    CreateLoggedModel = "logged-model.create", Write, "logged-model";
    /// Finalises or tags a logged model, or logs its params.
    UpdateLoggedModel = "logged-model.update", Write, "logged-model";
    /// Marks a logged model deleted.
    DeleteLoggedModel = "logged-model.delete", Write, "logged-model";
    /// Looks at registered models, versions and aliases.
    ReadModel = "model.read", Read, "model";
    /// Creates a registered model.
    CreateModel = "model.create", Write, "model";
    /// Renames, describes or tags a registered model.
    UpdateModel = "model.update", Write, "model";
    /// Deletes a registered model with its versions.
    DeleteModel = "model.delete", Write, "model";
    /// Creates a model version.
    CreateVersion = "model-version.create", Write, "model";
    /// Describes or tags a model version.
    UpdateVersion = "model-version.update", Write, "model";
    /// Moves a model version to another stage.
    TransitionStage = "model-version.transition", Write, "model";
    /// Freezes a model version: nothing new may take it.
    FreezeVersion = "model-version.freeze", Write, "model";
    /// Ends that.
    UnfreezeVersion = "model-version.unfreeze", Write, "model";
    /// Deletes a model version.
    DeleteVersion = "model-version.delete", Write, "model";
    /// Points an alias at a version.
    SetAlias = "model-alias.set", Write, "model";
    /// Points an alias back at the version that a promotion took it from, frozen or not. No protocol asks for it.
    ReturnAlias = "model-alias.return", Write, "model";
    /// Removes an alias.
    DeleteAlias = "model-alias.delete", Write, "model";
    /// Reads artifacts.
    ReadArtifact = "artifact.read", Read, "artifact";
    /// Writes artifacts.
    WriteArtifact = "artifact.write", Write, "artifact";
    /// Deletes artifacts.
    DeleteArtifact = "artifact.delete", Write, "artifact";
    /// Removes deleted experiments, runs and models for good, with their artifacts.
    Purge = "registry.purge", Admin, "registry";
}
