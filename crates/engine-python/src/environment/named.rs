//! Files that requirements name: other lists, constraints, packages that come with the model.

use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The requirements of the model in `root`, followed by a line with the digest of each file that they name. Where they
/// name none it is the requirements alone. A file that cannot be read is left to the installer, which says so.
pub(super) fn with_files(root: &Path, requirements: &str) -> String {
    let mut found = Found { root, seen: BTreeSet::new(), lists: BTreeSet::new(), lines: String::new() };
    found.list(root, requirements);
    format!("{requirements}{}", found.lines)
}

struct Found<'a> {
    root: &'a Path,
    seen: BTreeSet<PathBuf>,
    lists: BTreeSet<PathBuf>,
    lines: String,
}

impl Found<'_> {
    /// What a list in `folder` names.
    fn list(&mut self, folder: &Path, text: &str) {
        for line in text.lines().map(str::trim).filter(|l| !l.starts_with('#')) {
            let mut is_list = false;
            for word in line.split([' ', '\t', '=', '@', ';', '[']).filter(|w| !w.is_empty()) {
                if word.starts_with('#') {
                    break;
                }
                let attached = word.strip_prefix("-r").or_else(|| word.strip_prefix("-c"));
                let word = match (word, attached) {
                    ("-r" | "-c" | "--requirement" | "--constraint", _) => {
                        is_list = true;
                        continue;
                    }
                    (_, Some(name)) => {
                        is_list = true;
                        name
                    }
                    _ => word,
                };
                self.word(folder, word.trim_matches(['"', '\'']), is_list);
            }
        }
    }

    /// A word of a list, which may be the name of something.
    fn word(&mut self, folder: &Path, word: &str, is_list: bool) {
        let name = word.strip_prefix("file://").or_else(|| word.strip_prefix("file:")).unwrap_or(word);
        // Lists are looked for beside the one that names them, packages where the installer runs.
        let Some(path) = [folder, self.root].map(|at| at.join(name)).into_iter().find(|path| path.exists()) else {
            return;
        };
        if path.is_file() {
            self.file(&path, name);
            if is_list
                && let Ok(text) = std::fs::read_to_string(&path)
                && self.lists.insert(path.clone())
            {
                self.list(path.parent().unwrap_or(folder), &text);
            }
        } else if (name.contains('/') || name == ".") && path.canonicalize().is_ok_and(|p| p.starts_with(self.root)) {
            // A package as its sources, or a folder of packages, that came with the model. A bare word is the name of a
            // package of an index.
            self.folder(&path, name);
        }
    }

    fn folder(&mut self, path: &Path, name: &str) {
        if !self.seen.insert(path.to_owned()) {
            return;
        }
        let Ok(entries) = std::fs::read_dir(path) else { return };
        // What is a link is not followed: it may lead around in a circle.
        let mut entries: Vec<_> = entries.flatten().filter(|e| e.file_type().is_ok_and(|t| !t.is_symlink())).collect();
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let (path, name) = (entry.path(), format!("{name}/{}", entry.file_name().to_string_lossy()));
            if path.is_dir() {
                self.folder(&path, &name);
            } else if path.is_file() {
                self.file(&path, &name);
            }
        }
    }

    fn file(&mut self, path: &Path, name: &str) {
        if self.seen.insert(path.to_owned())
            && let Ok(digest) = digest(path)
        {
            self.lines.push_str(&format!("\n{name} is {digest}"));
        }
    }
}

fn digest(path: &Path) -> std::io::Result<String> {
    let (mut file, mut hash, mut buffer) = (File::open(path)?, Sha256::new(), vec![0_u8; 1 << 16]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}
