//! Where ONNX Runtime is.

use std::path::{Path, PathBuf};

/// The library that `make setup` brought into the repository's `.venv`; nothing where `ORT_DYLIB_PATH` names one, which
/// whoever opens it looks for.
pub fn onnxruntime() -> Option<PathBuf> {
    if std::env::var_os("ORT_DYLIB_PATH").is_some() {
        return None;
    }
    let libs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/lib");
    std::fs::read_dir(libs).into_iter().flatten().flatten().find_map(|python| {
        let capi = python.path().join("site-packages/onnxruntime/capi");
        let files = std::fs::read_dir(capi).ok()?.flatten().map(|f| f.path());
        files.filter(|p| p.to_string_lossy().contains("libonnxruntime.so.")).max()
    })
}
