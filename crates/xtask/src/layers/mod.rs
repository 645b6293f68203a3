//! `cargo xtask layers`: the shape of the workspace.

mod dependencies;
mod lengths;
mod rules;
#[cfg(test)]
mod tests;

use crate::report::{Checked, Trouble};
use dependencies::Metadata;
use rules::Rules;
use std::path::Path;
use std::process::Command;

/// Checks the workspace at `root` against its `layers.toml`.
///
/// # Errors
/// [`Trouble`] when the rules or the workspace cannot be read.
pub fn run(root: &Path) -> Result<Checked, Trouble> {
    let rules = Rules::parse(&crate::read(&root.join("layers.toml"))?)?;
    let metadata = Metadata::parse(&metadata(root)?)?;
    let mut findings = dependencies::check(&rules, &metadata);
    for package in &metadata.packages {
        let manifest = package.manifest(root);
        findings.extend(dependencies::check_lints(
            &rules,
            package.folder(),
            &manifest,
            &crate::read(&root.join(&manifest))?,
        ));
    }
    let lengths = lengths::check(&rules.files, root)?;
    findings.extend(lengths.findings);
    let summary = format!("{} crates in {} tiers, {} files", metadata.packages.len(), rules.tiers.len(), lengths.files);
    Ok(Checked { findings, notes: lengths.notes, summary })
}

fn metadata(root: &Path) -> Result<String, Trouble> {
    let trouble = |why: String| Trouble::Command { command: "cargo metadata".to_owned(), why };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let out = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .map_err(|e| trouble(e.to_string()))?;
    if !out.status.success() {
        return Err(trouble(String::from_utf8_lossy(&out.stderr).trim().to_owned()));
    }
    String::from_utf8(out.stdout).map_err(|e| trouble(e.to_string()))
}
