//! Ages on the command line: `90d`, `12h`.

use crate::error::CliError;
use mainspring_core::ErrorKind;
use mainspring_server::config::parse_duration;
use std::time::Duration;

/// A duration such as `30d`.
///
/// # Errors
/// [`CliError`] naming the text.
pub fn parse_age(text: &str) -> Result<Duration, CliError> {
    parse_duration(text).map_err(|reason| CliError::new(ErrorKind::InvalidInput, format!("{text:?}: {reason}")))
}
