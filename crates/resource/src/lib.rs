//! Declared state. A document names a kind and a thing and says what it should be; a domain
//! registers the kind, checks its spec and carries it out; this crate keeps each thing's generations
//! and hands them over in order. It knows no kind itself.

mod action;
mod carry;
mod document;
mod error;
mod kind;
mod not_built;
mod resources;
mod sql;
#[cfg(test)]
mod tests;
mod units;

pub use action::{Apply, Delete, Read, Rollback};
pub use carry::{Controller, Declaration};
pub use document::{Document, Place, parse};
pub use error::ResourceError;
pub use kind::{Invalid, Kind, Kinds};
pub use resources::{Applied, Change, Diff, FieldChange, Generation, Page, Resource, Resources};
pub use sql::MIGRATIONS;
pub use units::{ByteSize, HumanDuration};

/// The only `apiVersion` there is.
pub const API_VERSION: &str = "mainspring/v1";
