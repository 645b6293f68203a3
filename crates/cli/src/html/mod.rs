//! What commands found, as a report in one HTML file.

mod drift;
mod monitor;
mod performance;
mod validate;

pub use drift::drift;
pub use monitor::{ASKED, monitor, ordered};
pub use performance::performance;
pub use validate::validate;

use crate::error::CliError;
use crate::monitor::write;
use crate::output::{moment, note, size};
use mainspring_core::{Ctx, ErrorKind};
use mainspring_report::Report;
use std::path::Path;

/// Columns that are drawn: those that moved most. A browser shows more of them with pain.
const DRAWN: usize = 200;
/// Rows of a table.
const LISTED: usize = 20_000;

/// The report, with the command and the time at which it was made.
pub fn page(mut report: Report) -> String {
    report.made = format!("mainspring {}, {} UTC", env!("CARGO_PKG_VERSION"), moment(Ctx::system().now()));
    report.command = command(std::env::args().skip(1));
    report.html()
}

/// Writes a report, whole or not at all.
///
/// # Errors
/// [`CliError`] when the file cannot be written.
pub fn save(report: Report, to: &Path) -> Result<(), CliError> {
    let text = page(report);
    write(to, &text)
        .map_err(|e| CliError::new(ErrorKind::InvalidInput, format!("cannot write {}: {e}", to.display())))?;
    note(format!("the report is in {} ({})", to.display(), size(text.len() as u64)));
    Ok(())
}

/// The command as a shell takes it, without the key.
fn command(args: impl Iterator<Item = String>) -> String {
    let mut words = vec!["mainspring".to_owned()];
    let mut secret = false;
    for arg in args {
        if std::mem::take(&mut secret) || arg.starts_with("--api-key=") {
            continue;
        }
        if arg == "--api-key" {
            secret = true;
            continue;
        }
        let arg = without_user(arg);
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=,+%".contains(c);
        let quoted = || format!("'{}'", arg.replace('\'', "'\\''"));
        words.push(if !arg.is_empty() && arg.chars().all(plain) { arg } else { quoted() });
    }
    words.join(" ")
}

/// An address without the name and password that may stand in it.
fn without_user(arg: String) -> String {
    let Some(begin) = arg.find("://").map(|at| at + 3) else { return arg };
    let host = arg[begin..].find(['/', '?', '#']).map_or(arg.len(), |at| begin + at);
    match arg[begin..host].rfind('@') {
        Some(at) => format!("{}{}", &arg[..begin], &arg[begin + at + 1..]),
        None => arg,
    }
}

#[cfg(test)]
mod tests {
    use super::command;

    #[test]
    fn the_command_can_be_pasted_and_has_no_key() {
        let given =
            ["--api-key", "ms_secret", "drift", "a b.csv", "it's", "--api-key=ms_secret", "deployment:x?last=1h"];
        let shown = command(given.map(str::to_owned).into_iter());
        assert_eq!(shown, "mainspring drift 'a b.csv' 'it'\\''s' 'deployment:x?last=1h'");
        let given = ["--server", "https://me:se@cret@ml.example.com/a@b", "--server=http://me@x", "a@b"];
        let shown = command(given.map(str::to_owned).into_iter());
        assert_eq!(shown, "mainspring --server https://ml.example.com/a@b --server=http://x a@b");
    }
}
