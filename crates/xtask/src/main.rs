//! `cargo xtask …`: checks of the repository itself.
//!
//! - `cargo xtask layers`: dependencies point down, heavy crates have one owner, files stay short;
//!   the rules are in `layers.toml`.
//! - `cargo xtask docs [--binary PATH]`: what the documentation names exists. With the path of a
//!   `mainspring` binary, its commands, flags and settings are checked too.

mod docs;
mod layers;
mod report;

use report::{Finding, Trouble};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask layers | docs [--binary PATH]";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(summary) => {
            say(&summary);
            ExitCode::SUCCESS
        }
        Err(text) => {
            say(&text);
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<String, String> {
    let root = root();
    let (name, outcome) = match words {
        ["layers"] => ("layers", layers::run(&root)),
        ["docs"] => ("docs", docs::run(&root, None)),
        ["docs", "--binary", path] => ("docs", docs::run(&root, Some(Path::new(path)))),
        _ => return Err(USAGE.to_owned()),
    };
    let checked = outcome.map_err(|trouble| format!("{name}: {trouble}"))?;
    for note in &checked.notes {
        say(&format!("{name}: {note}"));
    }
    if checked.findings.is_empty() {
        return Ok(format!("{name}: ok, {}", checked.summary));
    }
    let lines: Vec<String> = checked.findings.iter().map(Finding::to_string).collect();
    Err(format!("{}\n{name}: {} to mend", lines.join("\n"), checked.findings.len()))
}

/// The repository: two folders above this crate. As Cargo says it when it runs this; a clone elsewhere that shares the
/// folder of builds may have built it.
fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let here = PathBuf::from(here);
    here.ancestors().nth(2).unwrap_or(&here).to_path_buf()
}

fn say(text: &str) {
    // Nobody reads a closed pipe.
    let _closed = writeln!(std::io::stdout(), "{text}");
}

/// Reads one file of the repository.
pub(crate) fn read(path: &Path) -> Result<String, Trouble> {
    std::fs::read_to_string(path).map_err(|source| Trouble::Read { path: path.to_path_buf(), source })
}
