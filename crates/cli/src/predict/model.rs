//! The files of a model, from the server.

use crate::client::{Server, segment};
use crate::error::CliError;
use mainspring_batch::ModelId;
use mainspring_core::ErrorKind;
use serde_json::Value;
use std::path::{Component, Path, PathBuf};

const API: &str = "/api/2.0/mlflow";
const FILES: &str = "/api/2.0/mlflow-artifacts/artifacts";

/// The version that `model` means now, and a folder with its files. A copy is kept for each state of
/// them, so that they are fetched once.
///
/// # Errors
/// [`CliError`] when there is no such version, or its files cannot be fetched.
pub async fn fetch(server: &Server, model: &str, cache: &Path) -> Result<(ModelId, PathBuf), CliError> {
    let (name, version) = version(server, model).await?;
    let query = format!("name={}&version={}", segment(&name), segment(&version));
    let answer = server.get(&format!("{API}/model-versions/get-download-uri?{query}")).await?;
    let uri = answer["artifact_uri"].as_str().unwrap_or_default();
    let root = uri.strip_prefix("mlflow-artifacts:").map(|p| p.trim_start_matches('/')).filter(|p| !p.is_empty());
    let Some(root) = root else {
        let message = format!("the files of {name} version {version} are at {uri:?}, which the server does not hold");
        return Err(
            CliError::new(ErrorKind::Unimplemented, message).hint("register the model with its files on this server")
        );
    };
    let mut files = list(server, root).await?;
    if files.is_empty() {
        return Err(CliError::new(ErrorKind::NotFound, format!("{name} version {version} has no files")));
    }
    files.sort();
    let mut state = format!("{}\n{name}\n{version}\n{root}\n", server.base());
    for (path, size) in &files {
        state.push_str(&format!("{size} {path}\n"));
    }
    let key = format!("{:032x}", twox_hash::XxHash3_128::oneshot(state.as_bytes()));
    let folder = cache.join(&key);
    if !folder.is_dir() {
        download(server, root, &files, &folder).await?;
    }
    Ok((ModelId { name, version }, folder))
}

async fn version(server: &Server, model: &str) -> Result<(String, String), CliError> {
    let plain = model.strip_prefix("models:/").unwrap_or(model);
    if let Some((name, alias)) = plain.split_once('@') {
        let query = format!("name={}&alias={}", segment(name), segment(alias));
        let answer = server.get(&format!("{API}/registered-models/alias?{query}")).await?;
        let version = match &answer["model_version"]["version"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        return Ok((name.to_owned(), version));
    }
    match plain.split_once('/') {
        Some((name, version))
            if !name.is_empty() && version.bytes().all(|b| b.is_ascii_digit()) && !version.is_empty() =>
        {
            Ok((name.to_owned(), version.to_owned()))
        }
        _ => Err(CliError::new(ErrorKind::InvalidInput, format!("{model:?} does not say which version"))
            .hint("name it as NAME@alias or NAME/3")),
    }
}

/// Every file below `root`, with its size.
async fn list(server: &Server, root: &str) -> Result<Vec<(String, u64)>, CliError> {
    let mut files = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let path = if folder.is_empty() { root.to_owned() } else { format!("{root}/{folder}") };
        let answer = server.get(&format!("{FILES}?path={}", segment(&path))).await?;
        for file in answer["files"].as_array().into_iter().flatten() {
            let name = file["path"].as_str().unwrap_or_default();
            // Names are relative to the folder that was asked for.
            let below = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            if !Path::new(&below).components().all(|c| matches!(c, Component::Normal(_))) || below.is_empty() {
                let message = format!("the server names a file {below:?}, which is no path inside a model");
                return Err(CliError::new(ErrorKind::Internal, message));
            }
            if file["is_dir"].as_bool() == Some(true) {
                folders.push(below);
            } else {
                let size = file["file_size"].as_u64().or_else(|| file["file_size"].as_str()?.parse().ok());
                files.push((below, size.unwrap_or(0)));
            }
        }
    }
    Ok(files)
}

/// Fetches the files into `folder`, which is there whole or not at all.
async fn download(server: &Server, root: &str, files: &[(String, u64)], folder: &Path) -> Result<(), CliError> {
    let failed = |path: &Path, e: std::io::Error| {
        CliError::new(ErrorKind::Internal, format!("cannot write {}: {e}", path.display()))
    };
    let part = folder.with_extension(format!("part-{}", std::process::id()));
    for (below, size) in files {
        let to = part.join(below);
        let parent = to.parent().unwrap_or(&part);
        std::fs::create_dir_all(parent).map_err(|e| failed(parent, e))?;
        let path: Vec<String> = format!("{root}/{below}").split('/').map(segment).collect();
        let got = server.download(&format!("{FILES}/{}", path.join("/")), &to).await?;
        if got != *size {
            let message = format!("{below} of the model has {size} bytes, and {got} came");
            return Err(CliError::new(ErrorKind::Unavailable, message).hint("run the command again"));
        }
    }
    match std::fs::rename(&part, folder) {
        Ok(()) => Ok(()),
        // Another process was quicker.
        Err(_) if folder.is_dir() => std::fs::remove_dir_all(&part).map_err(|e| failed(&part, e)),
        Err(e) => Err(failed(folder, e)),
    }
}
