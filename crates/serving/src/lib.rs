//! Deployments: routing, batching, admission, warm-up, version change.
//!
//! A [`Serving`] holds what is deployed. [`Serving::deploy`] declares a deployment; a task of its
//! own resolves the model URI, loads, warms and swaps versions, and does so again whenever the
//! [`ModelSource`] says that an alias moved. [`Serving::infer`] is the hot path: it takes no lock
//! that all requests share and, for a model that warm-up measured as quick, runs the engine on the
//! calling thread.
//!
//! A rollout decides with one routing row ([`Serving::route`]): its candidates are loaded beside what is
//! stable, and each request goes to the variant of its unit. Without a row nothing of that is looked at.

mod action;
mod assigned;
mod cache;
mod choice;
mod control;
mod deployment;
mod error;
mod event;
mod load;
mod pick;
mod request;
mod rules;
mod run;
mod serving;
mod source;
mod spec;
mod stats;
#[cfg(test)]
mod testing;
mod traffic;
mod usage;
mod view;
mod warm;

use mainspring_mlmodel::{contract, mlmodel, table};

pub use action::{Deploy, Describe, Infer, ReadStats, Undeploy};
pub use assigned::Assigned;
pub use cache::{CACHE_HEADER, Lookup};
pub use error::ServeError;
pub use mainspring_mlmodel::{
    Cell, ColumnError, ColumnSpec, ColumnType, Contract, GivenParams, MlflowInputs, MlflowSignature, Mlmodel,
    MlmodelError, ParamError, ParamSpec, Table, TensorColumn,
};
pub use pick::{Ask, Picked, VariantName};
pub use request::{Answer, Encoded, InferRequest, Refusal};
pub use rules::{FLAGS_HEADER, RowRules, RuleError, RuleMaker, RuleView, Seen};
pub use serving::{AnswerParts, Rehearsed, Serving};
pub use source::{Kept, ModelSource, NotKept, PredictionSink, Resolved, SourceError};
pub use spec::{
    BatchSpec, ByteSize, CacheSpec, DeploymentSpec, EngineSpec, HumanDuration, Instances, JournalSpec, LimitsSpec,
    MOST_RULES, Percent, Prefer, PythonEnv, PythonSpec, RuleAction, RuleAlert, RuleCondition, RuleSeverity, RuleSpec,
    RulesSpec, SloSpec, SpecError,
};
pub use stats::{
    BatchStats, Batches, CacheStats, ClosedBy, Counted, DeploymentStats, FailureCount, Histogram, HistogramView,
    VersionStats,
};
pub use traffic::{Over, Trip};
pub use view::{DeploymentView, Execution, ShadowView, State, VariantState, VariantView, VersionView};
