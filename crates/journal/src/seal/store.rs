//! Sealed files in the artifact store: `journal/tenant=…/kind=…/deployment=…/date=…/<file>.parquet`.

use super::parquet::Made;
use crate::error::JournalError;
use crate::journal::Shared;
use crate::log::segment::SegmentId;
use crate::readers::Reading;
use crate::snapshot::{Kind, SealedFile};
use mainspring_artifact::{ArtifactError, ArtifactPath, Artifacts};
use mainspring_core::Tenant;

/// Folder of the journal in the artifact store.
pub(crate) const ROOT: &str = "journal";
/// Hive's name for a partition without a value, which DuckDB and Spark read as NULL.
const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// A partition value as a folder name. Names of tenants and deployments pass unchanged; anything else
/// is percent-encoded, as Hive does.
fn partition(name: &str, value: Option<&str>) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let encoded: String = value.unwrap_or(NO_VALUE).bytes().fold(String::new(), |mut out, b| {
        if plain(b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
        out
    });
    format!("{name}={encoded}")
}

/// The value in a folder name `<name>=<value>`; [`NO_VALUE`] as it stands.
fn value_of(folder: &str, name: &str) -> Option<String> {
    let value = folder.rsplit('/').next()?.strip_prefix(name)?.strip_prefix('=')?;
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(b) = rest.next() {
        if b == b'%' {
            let hex = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?);
        } else {
            bytes.push(b);
        }
    }
    String::from_utf8(bytes).ok()
}

fn path(text: &str) -> Result<ArtifactPath, JournalError> {
    ArtifactPath::parse(text).map_err(|e| JournalError::artifact("name")(e.into()))
}

fn kind_folder(tenant: &str, kind: Kind) -> String {
    format!("{ROOT}/{}/{}", partition("tenant", Some(tenant)), partition("kind", Some(kind.as_str())))
}

/// Puts a file into its partition, replacing what an interrupted attempt left, and removes it here.
/// Returns its bytes.
pub(crate) async fn put(artifacts: &Artifacts, made: &Made) -> Result<u64, JournalError> {
    let h = &made.header;
    let to = path(&format!(
        "{}/{}/{}/{}",
        kind_folder(&h.tenant, h.kind),
        partition("deployment", h.deployment.as_deref()),
        partition("date", Some(&made.date)),
        made.name
    ))?;
    let bytes = artifacts.put_file(&to, &made.file).await.map_err(JournalError::artifact("store"))?;
    tokio::fs::remove_file(&made.file).await.map_err(JournalError::io("remove", &made.file))?;
    Ok(bytes)
}

/// One day of one deployment.
#[derive(Debug, Clone)]
pub(crate) struct Day {
    pub folder: ArtifactPath,
    pub deployment: Option<String>,
    pub date: String,
}

/// The days that a tenant has of a kind.
pub(crate) async fn days(artifacts: &Artifacts, tenant: &str, kind: Kind) -> Result<Vec<Day>, JournalError> {
    let mut days = Vec::new();
    for deployment in folders(artifacts, &path(&kind_folder(tenant, kind))?).await? {
        let Some(name) = value_of(deployment.as_str(), "deployment") else { continue };
        for day in folders(artifacts, &deployment).await? {
            if let Some(date) = value_of(day.as_str(), "date") {
                let deployment = Some(name.clone()).filter(|n| n != NO_VALUE);
                days.push(Day { folder: day, deployment, date });
            }
        }
    }
    days.sort_by(|a, b| a.date.cmp(&b.date));
    Ok(days)
}

/// Tenants that have sealed files.
pub(crate) async fn tenants(artifacts: &Artifacts) -> Result<Vec<String>, JournalError> {
    let found = folders(artifacts, &path(ROOT)?).await?;
    Ok(found.iter().filter_map(|f| value_of(f.as_str(), "tenant")).collect())
}

async fn folders(artifacts: &Artifacts, of: &ArtifactPath) -> Result<Vec<ArtifactPath>, JournalError> {
    let entries = artifacts.list(of).await.map_err(JournalError::artifact("list"))?;
    Ok(entries.into_iter().filter(|e| e.is_dir).map(|e| e.path).collect())
}

/// Files of one day with their sizes, oldest first: names begin with the time of their segment.
pub(crate) async fn files(artifacts: &Artifacts, day: &Day) -> Result<Vec<(ArtifactPath, u64)>, JournalError> {
    let entries = artifacts.list(&day.folder).await.map_err(JournalError::artifact("list"))?;
    let mut files: Vec<_> = entries.into_iter().filter(|e| !e.is_dir).map(|e| (e.path, e.size)).collect();
    files.sort_by(|a, b| a.0.as_str().cmp(b.0.as_str()));
    Ok(files)
}

/// Every sealed file of a tenant and kind that a reader sees, where it can be read on this machine.
pub(crate) async fn list(
    shared: &Shared,
    reading: &Reading,
    tenant: &Tenant,
    kind: Kind,
) -> Result<Vec<SealedFile>, JournalError> {
    let mut tries = 3;
    loop {
        tries -= 1;
        match list_once(shared, reading, tenant, kind).await {
            // Another replica's retention removed one since it was listed.
            Err(JournalError::Artifact { source: ArtifactError::NotFound { .. }, .. }) if tries > 0 => {}
            done => return done,
        }
    }
}

async fn list_once(
    shared: &Shared,
    reading: &Reading,
    tenant: &Tenant,
    kind: Kind,
) -> Result<Vec<SealedFile>, JournalError> {
    let artifacts = &shared.artifacts;
    let (mut found, mut days_of) = (Vec::new(), Vec::new());
    for day in days(artifacts, tenant.as_str(), kind).await? {
        let wanted = |file: &ArtifactPath| file.as_str().ends_with(".parquet") && shared.readers.sees(reading, file);
        for (file, bytes) in files(artifacts, &day).await?.into_iter().filter(|(file, _)| wanted(file)) {
            found.push((file, bytes));
            days_of.push((day.deployment.clone(), day.date.clone()));
        }
    }
    let sizes: Vec<u64> = found.iter().map(|(_, bytes)| *bytes).collect();
    // A sealed file never changes.
    let paths = artifacts.local_files(found).await.map_err(JournalError::artifact("read"))?;
    let each = paths.into_iter().zip(sizes).zip(days_of);
    Ok(each.map(|((path, bytes), (deployment, date))| SealedFile { path, deployment, date, bytes }).collect())
}

/// Whether a file was made from a segment.
pub(crate) fn is_made_of(file: &SealedFile, segment: &SegmentId) -> bool {
    let prefix = segment.id.to_string();
    file.path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with(&prefix))
}
