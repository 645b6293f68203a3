//! How long files are.

use super::rules::Lengths;
use crate::report::{Finding, Trouble};
use std::path::Path;

/// What was found.
#[derive(Debug, Default)]
pub struct Measured {
    /// Files over the hard limit or over their ratchet.
    pub findings: Vec<Finding>,
    /// Files over the soft limit.
    pub notes: Vec<String>,
    /// Files looked at.
    pub files: usize,
}

/// Folders that hold nothing that people wrote.
const NOT_OURS: &[&str] = &["node_modules", "dist", "target", "__pycache__"];

/// Measures the files under `root`.
///
/// # Errors
/// [`Trouble::Read`].
pub fn check(rules: &Lengths, root: &Path) -> Result<Measured, Trouble> {
    let mut all = Vec::new();
    for folder in &rules.folders {
        walk(rules, root, &root.join(folder), &mut all)?;
    }
    all.sort();
    let mut measured = Measured { files: all.len(), ..Measured::default() };
    for (path, lines) in &all {
        judge(rules, path, *lines, &mut measured);
    }
    for path in rules.ratchet.keys().filter(|p| !all.iter().any(|(file, _)| file == *p)) {
        measured.findings.push(Finding::file("layers.toml", format!("`{path}` in the ratchet is not there any more")));
    }
    Ok(measured)
}

fn judge(rules: &Lengths, path: &str, lines: usize, measured: &mut Measured) {
    match rules.ratchet.get(path) {
        Some(_) if lines <= rules.hard => {
            let what = format!("`{path}` has {lines} lines now: take it off the ratchet");
            measured.findings.push(Finding::file("layers.toml", what));
        }
        Some(limit) if lines > *limit => {
            measured.findings.push(Finding::file(path, format!("{lines} lines; it had {limit} and may only shrink")));
        }
        None if lines > rules.hard => {
            let what = format!("{lines} lines; the limit is {}: split it by what its parts do", rules.hard);
            measured.findings.push(Finding::file(path, what));
        }
        None if lines > rules.soft => {
            measured.notes.push(format!("{path} has {lines} lines; aim for under {}", rules.soft));
        }
        Some(_) | None => {}
    }
}

fn walk(rules: &Lengths, root: &Path, folder: &Path, all: &mut Vec<(String, usize)>) -> Result<(), Trouble> {
    if !folder.is_dir() {
        return Ok(());
    }
    let trouble = |source| Trouble::Read { path: folder.to_path_buf(), source };
    for entry in std::fs::read_dir(folder).map_err(trouble)? {
        let path = entry.map_err(trouble)?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        if name.starts_with('.') || NOT_OURS.contains(&name) || rules.skip.iter().any(|s| shown.starts_with(s)) {
            continue;
        }
        if path.is_dir() {
            walk(rules, root, &path, all)?;
        } else if rules.endings.iter().any(|e| name.ends_with(e)) {
            all.push((shown, crate::read(&path)?.lines().count()));
        }
    }
    Ok(())
}
