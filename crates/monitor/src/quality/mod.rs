//! Rules that data must keep, checked in one pass.
//!
//! A [`Suite`] is a list of expectations with Great Expectations' names and arguments; a file of its own suites is
//! read as it is. [`Checker`] looks at batches of rows one after another and needs no file: [`Checker::finish`] says what
//! came of each rule. [`check`] does that for a file, [`infer`] makes a suite of a profile.
//!
//! Memory is that of the rules and some examples, but for rules of uniqueness, which keep 17 bytes for each different
//! value and as many for one that comes again, in tables that are between half and nearly full: 20 to 40 bytes. The rule
//! of the most common value keeps the values themselves.

mod arguments;
mod checker;
mod end;
mod infer;
mod judge;
mod live;
#[cfg(test)]
mod oracle;
mod rows;
mod rules;
mod state;
mod suite;
#[cfg(test)]
mod tests;

pub use checker::{Checker, Example, RuleResult, Validation};
pub use infer::{infer, sharpened};
pub use live::{RowChecker, RowColumn, RowRule, Rows};
pub use suite::{Rule, Severity, Suite, SuiteError};

use crate::error::MonitorError;
use crate::table::Table;

/// Checks a file. Blocks.
///
/// # Errors
/// [`MonitorError`] when it cannot be read.
pub fn check(table: &Table, suite: &Suite) -> Result<Validation, MonitorError> {
    let mut checker = Checker::new(suite, table.schema());
    for part in 0..table.parts() {
        for batch in table.rows(part, None)? {
            batch.and_then(|batch| checker.see(&batch)).map_err(|e| table.wrong(&e))?;
        }
    }
    Ok(checker.finish())
}
