//! Names, ids, time, principals, errors, authorisation, tensors, events and tasks: the words every
//! other crate speaks. Nothing here opens a file, a socket or a database.

pub mod auth;
pub mod clock;
pub mod ctx;
pub mod error;
pub mod event;
pub mod id;
pub mod name;
mod plain;
pub mod principal;
pub mod secret;
pub mod tasks;
pub mod tensor;
#[cfg(test)]
mod tests;

pub use auth::{Action, AuditRecord, AuditSink, Authorized, Decision, Denied, Effect, Gate, Policy, Resource};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use ctx::Ctx;
pub use error::{ErrorKind, Failure};
pub use event::{Assignment, Cached, Outcome, Prediction, Protocol, Target, Timing, Tokens};
pub use id::{EventId, IdGen, SeededIds, SystemIds};
pub use name::{Name, NameError};
pub use plain::in_plain_words;
pub use principal::{Principal, Role, Tenant};
pub use secret::Secret;
pub use tasks::{Tasks, panic_words};
pub use tensor::{DType, NamedTensor, Tensor, TensorError};

/// Something nearest to what was meant, for error messages: `models` for `modles`.
///
/// Returns a candidate only when it is near enough that suggesting it helps.
pub fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|c| (strsim::damerau_levenshtein(&given.to_lowercase(), &c.to_lowercase()), c))
        .filter(|(d, c)| *d <= 1 + c.len() / 4)
        .min_by_key(|(d, _)| *d)
        .map(|(_, c)| c)
}
