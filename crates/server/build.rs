//! The console is embedded when this crate is compiled, so a new build of it asks for a new build of
//! this crate.
#![allow(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]

fn main() {
    println!("cargo:rerun-if-changed=../../console/dist");
}
