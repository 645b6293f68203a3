//! Who may depend on whom.

use super::rules::Rules;
use crate::report::{Finding, Trouble};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// How our packages' names begin; the rest is the folder.
const PREFIX: &str = "mainspring-";
const RULES: &str = "layers.toml";

/// The part of `cargo metadata` (format 1) that is read here.
#[derive(Debug, Clone, Deserialize)]
pub struct Metadata {
    /// Members of the workspace.
    pub packages: Vec<Package>,
}

/// One of our packages.
#[derive(Debug, Clone, Deserialize)]
pub struct Package {
    /// Name in its manifest.
    pub name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

/// One line of a manifest.
#[derive(Debug, Clone, Deserialize)]
struct Dependency {
    name: String,
    /// `dev`, `build` or nothing.
    kind: Option<String>,
    /// Where it lies, when it is one of ours.
    path: Option<PathBuf>,
}

impl Metadata {
    /// Reads what `cargo metadata` printed.
    ///
    /// # Errors
    /// [`Trouble::Parse`].
    pub fn parse(text: &str) -> Result<Self, Trouble> {
        serde_json::from_str(text).map_err(|e| Trouble::Parse { what: "cargo metadata".to_owned(), why: e.to_string() })
    }
}

impl Package {
    /// Name without the prefix.
    pub fn folder(&self) -> &str {
        folder(&self.name)
    }

    /// Path of the manifest from the root of the repository.
    pub fn manifest(&self, root: &Path) -> String {
        self.manifest_path.strip_prefix(root).unwrap_or(&self.manifest_path).display().to_string()
    }
}

fn folder(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}

/// Every dependency that breaks a rule.
pub fn check(rules: &Rules, metadata: &Metadata) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &metadata.packages {
        let from = package.folder();
        let manifest = format!("crates/{from}/Cargo.toml");
        let Some(tier) = rules.tier(from) else {
            findings.push(Finding::file(RULES, format!("`{from}` stands in no tier; add it to the one it belongs to")));
            continue;
        };
        let on_disk = package.manifest_path.parent().and_then(Path::file_name).and_then(|n| n.to_str());
        if on_disk != Some(from) {
            findings
                .push(Finding::file(&manifest, format!("package `{}` must lie in a folder `{from}`", package.name)));
        }
        for dependency in &package.dependencies {
            let what = if dependency.path.is_some() {
                ours(rules, (from, tier), dependency)
            } else {
                foreign(rules, from, dependency)
            };
            findings.extend(what.map(|what| Finding::file(&manifest, what)));
        }
    }
    findings.extend(stale(rules, metadata));
    findings
}

fn ours(rules: &Rules, (from, tier): (&str, usize), dependency: &Dependency) -> Option<String> {
    let to = folder(&dependency.name);
    let below = rules.tier(to)?;
    let dev = dependency.kind.as_deref() == Some("dev");
    if dev && rules.tiers.get(below).is_some_and(|t| t.for_tests) {
        return None;
    }
    let names = |n: usize| rules.tiers.get(n).map_or("?", |t| t.name.as_str());
    if below > tier {
        let more = if dev { ", not even in tests" } else { "" };
        return Some(format!(
            "`{from}` ({}) must not depend on `{to}` ({}): dependencies point down{more}",
            names(tier),
            names(below)
        ));
    }
    // Tests of one crate may look at its neighbours.
    if below < tier || dev {
        return None;
    }
    let allowed = rules.same_tier.iter().any(|s| s.from == from && s.to.iter().any(|t| t == to));
    (!allowed).then(|| {
        format!(
            "`{from}` must not depend on `{to}`: both are {}; let them meet in a tier below, or in a port that `{from}` owns",
            names(tier)
        )
    })
}

fn foreign(rules: &Rules, from: &str, dependency: &Dependency) -> Option<String> {
    // Tests may use anything: they make requests, databases and models.
    if dependency.kind.as_deref() == Some("dev") {
        return None;
    }
    let rule = rules.restricted.iter().find(|r| r.crates.contains(&dependency.name))?;
    let allowed = rule.only.iter().any(|owner| match owner.strip_suffix('*') {
        Some(start) => from.starts_with(start),
        None => owner == from,
    });
    (!allowed).then(|| {
        format!("`{from}` must not name `{}`: only {} may, because {}", dependency.name, rule.only.join(", "), rule.why)
    })
}

/// Rules about crates that are not there any more, or dependencies that nobody has.
fn stale(rules: &Rules, metadata: &Metadata) -> Vec<Finding> {
    let exists = |folder: &str| metadata.packages.iter().any(|p| p.folder() == folder);
    let mut findings = Vec::new();
    let mut say = |what: String| findings.push(Finding::file(RULES, what));
    for tier in &rules.tiers {
        for krate in tier.crates.iter().filter(|k| !exists(k)) {
            say(format!("`{krate}` in tier {} is no crate of the workspace", tier.name));
        }
    }
    for rule in &rules.same_tier {
        let package = metadata.packages.iter().find(|p| p.folder() == rule.from);
        for to in &rule.to {
            let used = package.is_some_and(|p| p.dependencies.iter().any(|d| folder(&d.name) == to));
            if !used {
                say(format!("`{}` no longer depends on `{to}`; remove the exception", rule.from));
            }
        }
        if rule.why.trim().is_empty() {
            say(format!("the exception of `{}` says no why", rule.from));
        }
    }
    findings
}

/// Whether a manifest takes the lints of the workspace.
pub fn check_lints(rules: &Rules, folder: &str, path: &str, manifest: &str) -> Vec<Finding> {
    if rules.own_lints.iter().any(|own| own.krate == folder && !own.why.trim().is_empty()) {
        return Vec::new();
    }
    let inherits = manifest.parse::<toml::Table>().ok().is_some_and(|table| {
        table.get("lints").and_then(|l| l.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
    });
    if inherits { Vec::new() } else { vec![Finding::file(path, "add `[lints]` with `workspace = true`")] }
}
