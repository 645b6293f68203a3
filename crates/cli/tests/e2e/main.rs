//! The real binary from outside: started, called, killed, restarted.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends, and its tasks end with it"
)]

mod access;
mod attacks;
mod crash;
mod harness;
mod journey;
mod operate;
mod replicas;
mod shared;
mod stop;
mod traces;
