//! Names of paths, crates and make targets.

use super::cli::{simple_commands, words};
use super::markdown::Page;
use crate::report::{Finding, Trouble};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What exists in the repository.
#[derive(Debug)]
pub struct Names {
    root: PathBuf,
    /// Folders and files at the root; a code span that begins with one of the folders is a path.
    top: BTreeSet<String>,
    packages: BTreeSet<String>,
    targets: BTreeSet<String>,
}

/// Names that look like packages of ours and are something else.
const NO_PACKAGES: &[&str] = &["mainspring-data", "mainspring-prediction-id"];

impl Names {
    /// Reads the names of the repository at `root`.
    ///
    /// # Errors
    /// [`Trouble::Read`].
    pub fn read(root: &Path) -> Result<Self, Trouble> {
        let list = |path: &Path| -> Result<BTreeSet<String>, Trouble> {
            let trouble = |source| Trouble::Read { path: path.to_path_buf(), source };
            let entries = std::fs::read_dir(path).map_err(trouble)?.flatten();
            Ok(entries.filter_map(|e| e.file_name().into_string().ok()).collect())
        };
        let packages = list(&root.join("crates"))?.into_iter().map(|folder| format!("mainspring-{folder}")).collect();
        let makefile = crate::read(&root.join("Makefile"))?;
        Ok(Self { root: root.to_path_buf(), top: list(root)?, packages, targets: targets(&makefile) })
    }

    /// What a page names that is not there.
    pub fn check(&self, file: &str, page: &Page) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (line, span) in &page.spans {
            findings.extend(self.path(span).or_else(|| self.package(span)).map(|w| Finding::line(file, *line, w)));
        }
        for (line, command) in page.commands() {
            for simple in simple_commands(&command) {
                findings.extend(self.target(&simple).map(|w| Finding::line(file, line, w)));
            }
        }
        findings
    }

    fn path(&self, span: &str) -> Option<String> {
        let (top, _) = span.split_once('/')?;
        let is_path = self.top.contains(top)
            && self.root.join(top).is_dir()
            && !span.contains(|c: char| c.is_whitespace() || "*<>{}…$()".contains(c));
        let path = span.trim_end_matches('/').split(':').next().unwrap_or(span);
        (is_path && !self.root.join(path).exists()).then(|| format!("`{path}` is not there"))
    }

    fn package(&self, span: &str) -> Option<String> {
        let looks = span.starts_with("mainspring-")
            && span.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && !NO_PACKAGES.contains(&span);
        (looks && !self.packages.contains(span)).then(|| format!("there is no crate `{span}`"))
    }

    fn target(&self, command: &str) -> Option<String> {
        let all = words(command);
        let (first, rest) = all.split_first()?;
        let named = rest.iter().find(|w| !w.starts_with('-') && !w.contains('='))?;
        let is_name = named.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        (first == "make" && is_name && !self.targets.contains(named))
            .then(|| format!("the Makefile has no target `{named}`"))
    }
}

/// Targets at the beginning of a line of a Makefile.
fn targets(makefile: &str) -> BTreeSet<String> {
    makefile
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name)
        .filter(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
        .map(str::to_owned)
        .collect()
}
