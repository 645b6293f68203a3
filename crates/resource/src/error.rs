//! Why declared state was not changed or shown.

use mainspring_core::{ErrorKind, Failure, NameError};
use mainspring_store::StoreError;

/// Why declared state was not changed or shown.
#[derive(Debug, thiserror::Error)]
pub enum ResourceError {
    /// The text is not YAML or JSON, or breaks a limit.
    #[error("{at}: {reason}")]
    Syntax {
        /// `file:line:column`.
        at: String,
        /// What is wrong.
        reason: String,
    },
    /// A key that does not exist there.
    #[error("{at}: unknown key {key:?}{}{}", .within.as_ref().map(|w| format!(" in {w}")).unwrap_or_default(), .nearest.as_ref().map(|n| format!("; did you mean {n:?}?")).unwrap_or_default())]
    UnknownKey {
        /// `file:line:column`.
        at: String,
        /// Kind of the document.
        kind: &'static str,
        /// Key given.
        key: String,
        /// Path of the mapping it stands in; `None` at the top.
        within: Option<String>,
        /// Nearest key there is.
        nearest: Option<String>,
    },
    /// A value that the kind does not accept.
    #[error("{at}: {path}: {reason}")]
    Invalid {
        /// `file:line:column`.
        at: String,
        /// Kind of the document.
        kind: &'static str,
        /// Path of the value: `engine.batch.maxRows`.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A kind nobody registered.
    #[error("{}there is no kind {kind:?}{} (kinds: {known})", .at.as_ref().map(|at| format!("{at}: ")).unwrap_or_default(), .nearest.as_ref().map(|n| format!("; did you mean {n:?}?")).unwrap_or_default())]
    UnknownKind {
        /// `file:line:column`, when a document is at hand.
        at: Option<String>,
        /// Kind given.
        kind: String,
        /// Nearest kind there is.
        nearest: Option<String>,
        /// Every kind.
        known: String,
    },
    /// A name that is none.
    #[error("{at}: {source}")]
    Name {
        /// `file:line:column`.
        at: String,
        /// What is wrong with it.
        source: NameError,
    },
    /// Nothing to apply.
    #[error("{0}: there is no document in it")]
    Empty(String),
    /// The same thing twice in one apply.
    #[error("{at}: {kind} {name:?} is declared twice")]
    Twice {
        /// `file:line:column` of the second.
        at: String,
        /// Kind.
        kind: String,
        /// Name.
        name: String,
    },
    /// Two things want what only one may have.
    #[error("{}{key}: {kind} {other:?} has {key}: true, and only one may", .at.as_ref().map(|at| format!("{at}: ")).unwrap_or_default())]
    Exclusive {
        /// `file:line:column`, when a document is at hand.
        at: Option<String>,
        /// Kind.
        kind: String,
        /// The key.
        key: &'static str,
        /// The thing that has it.
        other: String,
    },
    /// No such thing.
    #[error("there is no {kind} {name:?}")]
    NotFound {
        /// Kind.
        kind: String,
        /// Name.
        name: String,
    },
    /// No such generation.
    #[error("{kind} {name:?} has no generation {generation}")]
    NoGeneration {
        /// Kind.
        kind: String,
        /// Name.
        name: String,
        /// Generation asked for.
        generation: i64,
    },
    /// Nothing was declared before what is there now.
    #[error("{kind} {name:?} was declared once, so there is nothing before that to go back to")]
    NothingBefore {
        /// Kind.
        kind: String,
        /// Name.
        name: String,
    },
    /// Somebody else changed it first.
    #[error("{kind} {name:?} was changed by somebody else at the same time")]
    Raced {
        /// Kind.
        kind: String,
        /// Name.
        name: String,
    },
    /// What is stored is not what was written.
    #[error("the stored spec of {kind} {name:?} cannot be read: {reason}")]
    Stored {
        /// Kind.
        kind: String,
        /// Name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A page token that nobody gave out.
    #[error("the page token is not one of this list's")]
    PageToken,
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failure for ResourceError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Syntax { .. }
            | Self::UnknownKey { .. }
            | Self::Invalid { .. }
            | Self::UnknownKind { .. }
            | Self::Name { .. }
            | Self::Empty(_)
            | Self::Twice { .. }
            | Self::PageToken => ErrorKind::InvalidInput,
            Self::NotFound { .. } | Self::NoGeneration { .. } | Self::NothingBefore { .. } => ErrorKind::NotFound,
            Self::Raced { .. } | Self::Exclusive { .. } => ErrorKind::Conflict,
            Self::Stored { .. } => ErrorKind::Internal,
            Self::Store(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { kind, .. } | Self::Invalid { kind, .. } => {
                Some(format!("see the schema: mainspring schema {kind}"))
            }
            Self::UnknownKind { .. } => Some("list the kinds: mainspring schema".into()),
            Self::NoGeneration { kind, name, .. } => Some(format!("list them: mainspring history {kind} {name}")),
            Self::NothingBefore { kind, name } => Some(format!(
                "declare what it is to be: mainspring apply -f FILE; or delete it: mainspring delete {kind} {name}"
            )),
            Self::Exclusive { kind, key, other, .. } => {
                Some(format!("apply {kind} {other:?} with {key}: false as well; one file may hold both"))
            }
            Self::Raced { .. } => Some("look at the difference and apply again: mainspring diff -f FILE".into()),
            Self::Store(e) => e.hint(),
            _ => None,
        }
    }
}
