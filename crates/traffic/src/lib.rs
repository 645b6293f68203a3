//! Which variant a unit gets: pure functions of the unit and of one routing row. No I/O, no clock, no
//! randomness but the hash of the unit.
//!
//! A *unit* is what is assigned and analysed: a user, a session, a device, or the request itself when
//! nothing better is known. Its place is its [`bucket`] under a salt. A [`Route`] is the row that one
//! rollout writes and every replica reads: the variants with their [`Split`] of the buckets, the
//! [`Holdout`] and [`LayerPlace`] that come first, and a generation. [`Route::choose`] answers a
//! [`Choice`]: the variant, why, and the probability with which it was chosen. A [`Row`] is what is stored
//! and read: the route, the models of the variants, where a request carries its unit, the shadow and the
//! hard limits; and a [`Policy`] where the weights depend on what a request carries.
//!
//! | promise | where it comes from |
//! |---|---|
//! | the same answer on every machine and in every release | the hash is XXH3-128, whose values are fixed by its specification; golden vectors in the tests |
//! | sticky | no state but the row |
//! | monotone: who is in a variant stays while its weight does not fall | [`Split::reweighted`] moves only what a falling weight gives up |
//! | rollouts do not see each other | each salt is hashed with what it is for, then seeds the hash of the unit |
//! | an older row never comes back | [`Row::replaces`] compares generations |

mod cookie;
mod hash;
mod head;
mod policy;
mod route;
mod row;
mod share;
mod split;
mod unit;

pub use hash::{Purpose, Salt, bucket, unit_id};
pub use head::{RequestHead, VARIANT_HEADER, named};
pub use policy::{Contexts, Feature, Levels, MOST_CONTEXTS, Policy, PolicyError};
pub use route::{Choice, Holdout, Layer, LayerPlace, Route, RouteError, RouteSpec, Variant, Why};
pub use row::{HardLimits, Row, RowError, RowVariant, Shadow, StaleRow};
pub use share::{BUCKETS, Share, ShareError};
pub use split::{Split, SplitError};
pub use unit::{UnitError, UnitFrom};
