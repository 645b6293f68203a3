//! Artifacts up and down, streamed: memory use does not depend on their size.

use super::MlflowState;
use super::error::Failed;
use super::json::empty;
use super::range::{Wanted, wanted};
use super::request::Fields;
use axum::body::Body;
use axum::extract::{Path, RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderValue,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, StatusCode};
use mainspring_core::Principal;
use mainspring_http::{Caller, read_body, stream_body};
use mainspring_registry::actions::{DeleteArtifact, ReadArtifact, WriteArtifact};
use mainspring_registry::{ArtifactRoot, Download, RegistryError};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::sync::Arc;

/// Most bytes of an upload by the web page's route.
const PAGE_UPLOAD: usize = 10 << 20;

/// What RFC 5987 lets stand unescaped beside letters and digits.
const ATTR_CHAR: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// Extensions, and whole names, that MLflow shows as text.
const TEXT: [&str; 25] = [
    "txt",
    "log",
    "err",
    "cfg",
    "conf",
    "cnf",
    "cf",
    "ini",
    "properties",
    "prop",
    "hocon",
    "toml",
    "yaml",
    "yml",
    "xml",
    "json",
    "js",
    "py",
    "py3",
    "csv",
    "tsv",
    "md",
    "rst",
    "MLmodel",
    "MLproject",
];

fn content_type(name: &str) -> String {
    let extension = name.rsplit_once('.').map_or(name, |(_, e)| e);
    if TEXT.contains(&extension) || extension == "ipynb" {
        return "text/plain; charset=utf-8".into();
    }
    mime_guess::from_path(name).first_or_octet_stream().to_string()
}

fn disposition(name: &str) -> String {
    let plain: String = name.chars().filter(|c| c.is_ascii() && !c.is_ascii_control()).collect();
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let quoted = if !plain.is_empty() && plain.chars().all(token) {
        plain.clone()
    } else {
        format!("\"{}\"", plain.replace('\\', "\\\\").replace('"', "\\\""))
    };
    if plain == name {
        format!("attachment; filename={quoted}")
    } else {
        let quoted = if plain.trim_matches(['.', ' ']).is_empty() { "download".into() } else { quoted };
        format!("attachment; filename={quoted}; filename*=UTF-8''{}", utf8_percent_encode(name, ATTR_CHAR))
    }
}

/// What a request asks a file for.
struct Asked {
    root: ArtifactRoot,
    path: String,
    headers: HeaderMap,
}

/// A file, or the part of it that was asked for, as an attachment, so that a browser does not run it
/// on this server's name.
async fn send(s: &MlflowState, who: &Arc<Principal>, asked: Asked) -> Result<Response, Failed> {
    let auth = s.may(who, ReadArtifact::on(&asked.path))?;
    let Download { name, file } = s.registry.open_artifact(&auth, &asked.root, &asked.path).await?;
    let (size, etag) = (file.size(), format!("\"{}\"", file.tag()));
    let text = |t: &str, or: &'static str| HeaderValue::from_str(t).unwrap_or(HeaderValue::from_static(or));
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(ETAG, text(&etag, ""));
    let (status, part) = match wanted(&asked.headers, size, &etag) {
        Wanted::Nothing => return Ok((StatusCode::NOT_MODIFIED, headers).into_response()),
        Wanted::Outside => {
            let failed = Failed::invalid(format!("the range asked for is outside the file, which has {size} bytes"));
            let everything = [(CONTENT_RANGE, format!("bytes */{size}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, everything, failed).into_response());
        }
        Wanted::Whole => (StatusCode::OK, 0..size),
        Wanted::Part(part) => {
            let range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
            headers.insert(CONTENT_RANGE, text(&range, ""));
            (StatusCode::PARTIAL_CONTENT, part)
        }
    };
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(part.end - part.start));
    headers.insert(CONTENT_TYPE, text(&content_type(&name), "application/octet-stream"));
    headers.insert(CONTENT_DISPOSITION, text(&disposition(&name), "attachment"));
    let content = file.part(part).map_err(RegistryError::from)?;
    Ok((status, headers, Body::from_stream(content)).into_response())
}

fn query(raw: Option<String>) -> Fields {
    Fields::from_query(raw.as_deref().unwrap_or_default())
}

pub(super) async fn download(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    send(&s, &who, Asked { root: ArtifactRoot::Store, path, headers }).await
}

pub(super) async fn get_artifact(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let f = query(raw);
    let (id, path) = (f.run_id()?, f.required("path")?);
    send(&s, &who, Asked { root: ArtifactRoot::Run(id), path, headers }).await
}

pub(super) async fn get_version_artifact(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let f = query(raw);
    let (name, version) = (f.required("name")?, super::versions::number(&f)?);
    let path = f.required("path")?;
    send(&s, &who, Asked { root: ArtifactRoot::Version(name, version), path, headers }).await
}

pub(super) async fn get_logged_model_artifact(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    Path(id): Path<String>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let path = query(raw)
        .text("artifact_file_path")?
        .filter(|p| !p.is_empty())
        .ok_or_else(|| Failed::bad_request("Request must include the \"artifact_file_path\" query parameter."))?;
    send(&s, &who, Asked { root: ArtifactRoot::LoggedModel(id), path, headers }).await
}

pub(super) async fn put(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    Path(path): Path<String>,
    request: Request,
) -> Result<Response, Failed> {
    let auth = s.may(&who, WriteArtifact::on(&path))?;
    let content = stream_body(request.into_body());
    s.registry.write_artifact(&auth, &ArtifactRoot::Store, &path, content).await?;
    Ok(empty())
}

pub(super) async fn remove(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    Path(path): Path<String>,
) -> Result<Response, Failed> {
    let auth = s.may(&who, DeleteArtifact::on(&path))?;
    s.registry.delete_artifacts(&auth, &path).await?;
    Ok(empty())
}

/// The web page's upload: small files into a run.
pub(super) async fn upload(
    State(s): State<MlflowState>,
    Caller(who): Caller,
    RawQuery(raw): RawQuery,
    request: Request,
) -> Result<Response, Failed> {
    let f = query(raw);
    let need = |name: &str| -> Result<String, Failed> {
        f.text(name)?.filter(|t| !t.is_empty()).ok_or_else(|| Failed::invalid(format!("Request must specify {name}.")))
    };
    let (run, path) = (need("run_uuid")?, need("path")?);
    let data = read_body(request.into_body(), PAGE_UPLOAD).await.map_err(|e| match e {
        mainspring_http::BodyError::TooLarge { .. } => Failed::invalid("Artifact size is too large. Max size is 10MB."),
        other => other.into(),
    })?;
    if data.is_empty() {
        return Err(Failed::invalid("Request must specify data."));
    }
    let auth = s.may(&who, WriteArtifact::on(&run))?;
    let content = futures::stream::once(async move { Ok(data) });
    s.registry.write_artifact(&auth, &ArtifactRoot::Run(run), &path, content).await?;
    Ok(empty())
}
