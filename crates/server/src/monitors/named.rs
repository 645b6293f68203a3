//! Which file of the store a version names in a tag of its own or of its run.

use crate::conversions::{format_of, place};
use mainspring_registry::{ArtifactRoot, Lineage, uri};

/// What the version was trained on.
pub(super) const TRAINING: &str = "mainspring.training_data";
/// Predictions with labels that it was not trained on.
pub(super) const REFERENCE: &str = "mainspring.reference_data";

/// A table that a tag names.
#[derive(Debug)]
pub(super) struct Place {
    pub root: ArtifactRoot,
    /// Below it.
    pub path: String,
    pub format: &'static str,
}

/// What the tag says: the version's before its run's.
pub(super) fn tagged<'a>(of: &'a Lineage, key: &str) -> Option<&'a str> {
    let run = of.run.iter().flat_map(|run| &run.tags);
    of.version.tags.iter().chain(run).find(|tag| tag.key == key).map(|tag| tag.value.trim())
}

/// Where that is. A file of the server's own disk is not read for a client, nor what it can reach.
///
/// # Errors
/// Why it is not read, as the end of a sentence.
pub(super) fn located(of: &Lineage, text: &str) -> Result<Place, String> {
    let (root, path) = if let Some(found) = place(text) {
        found
    } else if let Some(rest) = text.strip_prefix("models:/") {
        of_version(rest).ok_or("which is no models:/NAME/VERSION/PATH")?
    } else if text.starts_with('/') || text.contains(":/") {
        return Err("which is not in this server's store".to_owned());
    } else {
        let run = of.run.as_ref().ok_or("and the version has no run that it could be an artifact of")?;
        (ArtifactRoot::Run(run.info.id.clone()), text.to_owned())
    };
    uri::safe(&path).map_err(|_| "which leaves the folder that it is in")?;
    let format = format_of(&path).ok_or("which is no table (Parquet, CSV, JSON Lines, Arrow)")?;
    Ok(Place { root, path, format })
}

/// `churn/3/data/train.parquet`: a version's number and a path below its files.
fn of_version(rest: &str) -> Option<(ArtifactRoot, String)> {
    let (name, below) = rest.trim_start_matches('/').split_once('/')?;
    let (version, path) = below.split_once('/')?;
    Some((ArtifactRoot::Version(name.to_owned(), version.parse().ok()?), path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_below_a_version_has_its_number() {
        let Some((ArtifactRoot::Version(name, version), path)) = of_version("churn/3/data/train.parquet") else {
            unreachable!("a version's path")
        };
        assert_eq!((name.as_str(), version, path.as_str()), ("churn", 3, "data/train.parquet"));
        for wrong in ["churn/3", "churn@champion/x.csv", "churn/latest/x.csv", ""] {
            assert!(of_version(wrong).is_none(), "{wrong}");
        }
    }
}
