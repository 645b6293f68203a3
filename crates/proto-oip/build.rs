//! Compiles the protocol's .proto files without protoc.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let files = protox::compile(["grpc_service.proto"], [&root])?;
    // `bytes` fields share the message's buffer instead of copying it.
    tonic_prost_build::configure().build_client(true).bytes(".").compile_fds(files)?;
    Ok(())
}
