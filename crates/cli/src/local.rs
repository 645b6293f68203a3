//! Commands that work on this machine without a server: configuration, doctor, backup, restore.

use crate::args::{Output, ServerArgs};
use crate::error::CliError;
use crate::output::{Mark, either, line, mark, note, table};
use crate::up::resolve;
use mainspring_core::ErrorKind;
use mainspring_server::backup;
use mainspring_server::doctor::{self, State};
use std::path::Path;

/// Prints every setting and where it comes from.
///
/// # Errors
/// [`CliError`] when a value is wrong.
pub fn config(args: &ServerArgs, out: Output) -> Result<(), CliError> {
    let (resolved, _) = resolve(args)?;
    let rows = resolved.rows();
    let json: Vec<_> = rows
        .iter()
        .map(|(k, v, o)| serde_json::json!({"setting": k.name, "value": v, "origin": o.to_string(), "env": k.env(), "flag": format!("--{}", k.flag()), "help": k.help}))
        .collect();
    either(out, &json, || {
        table(
            &["setting", "value", "from"],
            rows.iter().map(|(k, v, o)| vec![k.name.to_owned(), v.clone(), o.to_string()]),
        );
    });
    Ok(())
}

/// Checks this machine and says how to mend what is missing.
///
/// # Errors
/// [`CliError`] when something is missing without which the server cannot work.
pub async fn doctor(args: &ServerArgs, out: Output) -> Result<(), CliError> {
    let (resolved, settings) = resolve(args)?;
    let checks = doctor::examine(&settings, Some(&resolved)).await;
    either(out, &checks, || {
        for check in &checks {
            let state = match check.state {
                State::Good => Mark::Good,
                State::Warn => Mark::Warn,
                State::Bad => Mark::Bad,
            };
            line(mark(state, format!("{:<16} {}", check.what, check.found)));
            if let Some(mend) = &check.mend {
                line(format!("  {:<16} → {mend}", ""));
            }
        }
    });
    let bad = checks.iter().filter(|c| c.state == State::Bad).count();
    if bad == 0 {
        Ok(())
    } else {
        Err(CliError::new(ErrorKind::Internal, format!("{bad} of {} checks failed", checks.len())))
    }
}

/// Saves the data folder.
///
/// # Errors
/// [`CliError`] when the target exists or something cannot be copied.
pub async fn backup(to: &Path, args: &ServerArgs) -> Result<(), CliError> {
    let (_, settings) = resolve(args)?;
    let report = backup::save(&settings, to).await.map_err(|e| CliError::from_failure(&e))?;
    line(format!("saved {report} into {}", to.display()));
    if let Some(bucket) = &report.bucket {
        note(format!("not in it: the artifacts and the sealed part of the journal, which stay in {bucket}"));
    }
    Ok(())
}

/// Brings a backup into an empty data folder.
///
/// # Errors
/// [`CliError`] when the data folder holds something already, or the backup is not whole.
pub fn restore(from: &Path, args: &ServerArgs) -> Result<(), CliError> {
    let (_, settings) = resolve(args)?;
    let report = backup::load(&settings, from).map_err(|e| CliError::from_failure(&e))?;
    line(format!("restored {report} into {}", settings.data.display()));
    if report.bucket.is_some() {
        let bucket = settings.artifacts.unwrap_or_default();
        note(format!("the artifacts and the sealed part of the journal stay in {bucket}"));
    }
    Ok(())
}
