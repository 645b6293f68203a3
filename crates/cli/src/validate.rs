//! `mainspring validate`: whether data keeps its rules.

use crate::args::{Output, ValidateArgs};
use crate::error::CliError;
use crate::html;
use crate::monitor::{apart, write};
use crate::output::{Mark, cell, either, line, mark, note, table};
use mainspring_core::ErrorKind;
use mainspring_monitor::profile::Profile;
use mainspring_monitor::quality::{RuleResult, Severity, Suite, Validation, check, infer, sharpened};
use mainspring_monitor::{MonitorError, Table};
use serde_json::Value;
use std::path::Path;
use std::process::ExitCode;

/// Checks a file against a suite, or makes a suite of it.
///
/// # Errors
/// [`CliError`] when a file cannot be read, or a suite is none.
pub async fn run(
    args: ValidateArgs,
    threads: usize,
    (out, to): (Output, Option<String>),
) -> Result<ExitCode, CliError> {
    if args.infer {
        let suite = apart(move || inferred(&args.file, threads)).await?;
        said(&suite, out, to.as_deref())?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(to) = to {
        let message = format!("--output is {to:?}; it is a file only with --infer, else table or json");
        return Err(CliError::new(ErrorKind::InvalidInput, message));
    }
    let suite = match (&args.suite, &args.profile) {
        (Some(file), _) => Suite::parse(&text(file)?).map_err(|e| located(&e, file))?,
        (None, Some(file)) => of_profile(file)?,
        (None, None) => {
            let message = "say against what: --suite FILE, or --profile FILE";
            return Err(CliError::new(ErrorKind::InvalidInput, message)
                .hint("to make a suite of data that is right: mainspring validate FILE --infer -o suite.yaml"));
        }
    };
    let (file, shown) = (args.file.clone(), args.file.display().to_string());
    let found = apart(move || check(&Table::open(&file)?, &suite)).await?;
    if let Some(to) = &args.html {
        html::save(html::validate(&found, &shown), to)?;
    }
    either(out, &found, || people(&found));
    Ok(if found.success { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn inferred(file: &Path, threads: usize) -> Result<Suite, MonitorError> {
    let table = Table::open(file)?;
    let profile = mainspring_monitor::profile::profile(&table, threads)?;
    sharpened(infer(&profile)?, &profile, &table)
}

fn text(file: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(file).map_err(|e| {
        let kind = if e.kind() == std::io::ErrorKind::NotFound { ErrorKind::NotFound } else { ErrorKind::InvalidInput };
        CliError::new(kind, format!("cannot read {}: {e}", file.display()))
    })
}

fn located(e: &mainspring_monitor::quality::SuiteError, file: &Path) -> CliError {
    let mut error = CliError::from_failure(e);
    error.message = format!("{}: {}", file.display(), error.message);
    error
}

fn of_profile(file: &Path) -> Result<Suite, CliError> {
    let profile: Profile = serde_json::from_str(&text(file)?).map_err(|e| {
        CliError::new(ErrorKind::InvalidInput, format!("{} is no profile: {e}", file.display()))
            .hint("make one: mainspring profile FILE -o profile.json")
    })?;
    infer(&profile).map_err(|e| located(&e, file))
}

fn said(suite: &Suite, out: Output, to: Option<&str>) -> Result<(), CliError> {
    let yaml = suite.to_yaml();
    let Some(to) = to else {
        either(out, &suite.to_json(), || line(yaml.trim_end()));
        return Ok(());
    };
    write(Path::new(to), &yaml)
        .map_err(|e| CliError::new(ErrorKind::InvalidInput, format!("cannot write {to}: {e}")))?;
    note(format!("{} expectations are in {to}", suite.rules.len()));
    Ok(())
}

fn people(found: &Validation) {
    table(&["expectation", "on", "verdict", "unexpected", "what"], found.results.iter().map(row));
    let s = found.statistics;
    let text = format!("{} of {} expectations kept ({} rows)", s.successful, s.evaluated, found.rows);
    let state = match (s.failed, s.warned) {
        (0, 0) => Mark::Good,
        (0, _) => Mark::Warn,
        _ => Mark::Bad,
    };
    line(mark(state, text));
}

fn row(result: &RuleResult) -> Vec<String> {
    let verdict = match (result.success, result.severity) {
        (true, _) => mark(Mark::Good, "kept"),
        (false, Severity::Critical) => mark(Mark::Bad, "broken"),
        (false, _) => mark(Mark::Warn, "broken"),
    };
    let unexpected = match (result.looked, result.unexpected) {
        (Some(looked), Some(unexpected)) if looked > 0 => {
            format!("{unexpected} of {looked} ({:.2} %)", 100.0 * unexpected as f64 / looked as f64)
        }
        _ => String::new(),
    };
    let kind = result.kind.strip_prefix("expect_").unwrap_or(&result.kind).to_owned();
    vec![kind, on(result), verdict, unexpected, what(result)]
}

/// The column, or the columns, that a rule is about.
pub fn on(result: &RuleResult) -> String {
    let of = |key: &str| result.kwargs.get(key).map(cell);
    let list =
        || result.kwargs.get("column_list").and_then(Value::as_array).map(|l| l.iter().map(cell).collect::<Vec<_>>());
    of("column")
        .or_else(|| Some(format!("{}, {}", of("column_A")?, of("column_B")?)))
        .or_else(|| Some(list()?.join(", ")))
        .unwrap_or_default()
}

/// Of a broken rule, what it met.
pub fn what(result: &RuleResult) -> String {
    if let Some(error) = &result.error {
        return error.clone();
    }
    if result.success {
        return String::new();
    }
    if let Some(observed) = result.observed.as_ref().filter(|_| result.examples.is_empty()) {
        return format!("found {}", cell(observed));
    }
    let example = |e: &mainspring_monitor::quality::Example| {
        let values: Vec<String> = e
            .values
            .iter()
            .map(|(k, v)| format!("{k} {}", if v.is_null() { "missing".into() } else { cell(v) }))
            .collect();
        format!("row {}: {}", e.row, values.join(", "))
    };
    result.examples.iter().take(2).map(example).collect::<Vec<_>>().join("; ")
}
