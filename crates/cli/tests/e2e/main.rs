//! The real binary from outside: started, called, killed, restarted.

mod access;
mod crash;
mod harness;
mod journey;
mod operate;
