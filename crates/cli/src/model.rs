//! Model versions that nothing new may take.

use crate::args::{ModelCmd, Output};
use crate::client::{Server, segment};
use crate::error::CliError;
use crate::output::{Mark, either, line, mark};
use mainspring_core::ErrorKind;
use serde_json::json;

/// Runs one command.
///
/// # Errors
/// [`CliError`] when the version has no number, or the server refuses.
pub async fn run(server: &Server, cmd: ModelCmd, out: Output) -> Result<(), CliError> {
    match cmd {
        ModelCmd::Freeze { version, reason } => {
            let answer = server.post(&path(&version)?, &json!({ "reason": reason })).await?;
            let said = format!("{version} is frozen: what serves it goes on, and nothing new may take it");
            either(out, &answer, || line(mark(Mark::Good, said)));
        }
        ModelCmd::Unfreeze { version } => {
            let answer = server.delete(&path(&version)?).await?;
            either(out, &answer, || line(mark(Mark::Good, format!("{version} may be taken again"))));
        }
    }
    Ok(())
}

/// Where a version's freeze is.
fn path(version: &str) -> Result<String, CliError> {
    let parts = version.strip_prefix("models:/").unwrap_or(version).rsplit_once('/');
    let Some((name, number)) = parts.filter(|(name, number)| !name.is_empty() && number.parse::<u32>().is_ok()) else {
        let why = format!("{version:?} is no version; write NAME/VERSION, such as churn/8");
        return Err(CliError::new(ErrorKind::InvalidInput, why));
    };
    Ok(format!("/api/v1/models/{}/versions/{number}/freeze", segment(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_a_name_and_a_number() {
        for given in ["churn/8", "models:/churn/8"] {
            assert_eq!(path(given).unwrap(), "/api/v1/models/churn/versions/8/freeze");
        }
        for wrong in ["churn", "churn@champion", "/8", "churn/"] {
            assert!(path(wrong).is_err(), "{wrong}");
        }
    }
}
