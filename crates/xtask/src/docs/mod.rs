//! `cargo xtask docs`: what the documentation names exists.

mod cli;
mod markdown;
mod names;
mod settings;
#[cfg(test)]
mod tests;

use crate::report::{Checked, Finding, Trouble};
use cli::Cli;
use markdown::Page;
use names::Names;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What people read, from the root of the repository; folders are read whole.
const PAGES: &[&str] =
    &["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "docs", "examples", "bench/README.md", "clients/README.md"];

/// Checks the documentation of the repository at `root`; with a `mainspring` binary also the
/// commands, flags and settings that it names.
///
/// # Errors
/// [`Trouble`] when a page cannot be read or the binary does not answer.
pub fn run(root: &Path, binary: Option<&Path>) -> Result<Checked, Trouble> {
    let cli = binary.map(Cli::ask).transpose()?;
    let names = Names::read(root)?;
    let pages = pages(root)?;
    let mut findings = Vec::new();
    for (file, page) in &pages {
        findings.extend(links(root, &pages, file, page));
        findings.extend(names.check(file, page));
        findings.extend(declarations(file, page));
        if let Some(cli) = &cli {
            findings.extend(cli.check(file, page));
        }
    }
    if let Some(cli) = &cli {
        findings.extend(settings::check(root, cli)?);
    }
    let mut notes = Vec::new();
    if cli.is_none() {
        notes.push("commands, flags and settings are not checked without --binary".to_owned());
    }
    Ok(Checked { findings, notes, summary: format!("{} pages", pages.len()) })
}

fn pages(root: &Path) -> Result<BTreeMap<String, Page>, Trouble> {
    let mut files = Vec::new();
    for name in PAGES {
        collect(&root.join(name), &mut files)?;
    }
    let mut pages = BTreeMap::new();
    for file in files {
        let shown = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        pages.insert(shown, Page::parse(&crate::read(&file)?));
    }
    Ok(pages)
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Trouble> {
    if path.is_dir() {
        let trouble = |source| Trouble::Read { path: path.to_path_buf(), source };
        for entry in std::fs::read_dir(path).map_err(trouble)? {
            collect(&entry.map_err(trouble)?.path(), files)?;
        }
    } else if path.extension().is_some_and(|e| e == "md") && path.is_file() {
        files.push(path.to_path_buf());
    }
    Ok(())
}

/// Links to files of the repository, and to headings in them.
fn links(root: &Path, pages: &BTreeMap<String, Page>, file: &str, page: &Page) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, link) in &page.links {
        if link.contains("://") || link.starts_with("mailto:") {
            continue;
        }
        let (path, heading) = link.split_once('#').map_or((link.as_str(), None), |(p, h)| (p, Some(h)));
        let target = if path.is_empty() { file.to_owned() } else { beside(file, path) };
        if !root.join(&target).exists() {
            findings.push(Finding::line(
                file,
                *line,
                format!("the link `{link}` leads to {target}, which is not there"),
            ));
            continue;
        }
        let missing = heading.filter(|h| pages.get(&target).is_some_and(|p| !p.headings.contains(*h)));
        if let Some(heading) = missing {
            findings.push(Finding::line(file, *line, format!("{target} has no heading `#{heading}`")));
        }
    }
    findings
}

/// A relative path as seen from the root.
fn beside(file: &str, path: &str) -> String {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Declarations in YAML blocks: they parse, and carry what each must carry.
fn declarations(file: &str, page: &Page) -> Vec<Finding> {
    let mut findings = Vec::new();
    for block in page.blocks.iter().filter(|b| matches!(b.language.as_str(), "yaml" | "yml")) {
        for text in block.text.split("\n---").filter(|t| t.lines().any(|l| l.starts_with("kind:"))) {
            if let Err(what) = declaration(text) {
                findings.push(Finding::line(file, block.line, what));
            }
        }
    }
    findings
}

fn declaration(text: &str) -> Result<(), String> {
    let value: serde_json::Value =
        serde_saphyr::from_str(text).map_err(|e| format!("this block is no YAML: {}", e.to_string().trim()))?;
    if value.get("apiVersion").and_then(|v| v.as_str()) != Some("mainspring/v1") {
        return Err("this declaration needs `apiVersion: mainspring/v1`".to_owned());
    }
    for key in ["kind", "name"] {
        if value.get(key).and_then(|v| v.as_str()).is_none_or(str::is_empty) {
            return Err(format!("this declaration needs `{key}`"));
        }
    }
    Ok(())
}
