//! `mainspring profile` and `mainspring drift`: what columns look like, and whether they still do.

use crate::args::{DriftArgs, Output};
use crate::client::Server;
use crate::error::CliError;
use crate::html;
use crate::output::{Mark, cell, either, line, mark, note, size, table};
use crate::sides::{Side, tables};
use mainspring_core::ErrorKind;
use mainspring_monitor::drift::{Among, ColumnReport, Comparison, Outcome, Report, Told, compare, shown};
use mainspring_monitor::profile::{Column, Profile, Texts};
use mainspring_monitor::sketches::{Picture, Sketches, compare_sketches};
use mainspring_monitor::{MonitorError, Table};
use mainspring_stats::presets::{Asked, Preset, Tests, VectorTest, Verdict};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs what blocks beside the runtime's threads.
pub async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MonitorError> + Send + 'static,
) -> Result<T, CliError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| CliError::new(ErrorKind::Internal, format!("reading broke off: {e}")))?
        .map_err(|e| CliError::from_failure(&e))
}

/// As many as asked for, or one a core.
pub fn cores(given: Option<usize>) -> usize {
    given.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1)
}

/// Profiles a file; the profile goes into a file or to standard output, and is saved with a version where one is named.
///
/// # Errors
/// [`CliError`] when a file cannot be read or written, or the server refuses the profile.
pub async fn profile(
    file: PathBuf,
    threads: Option<usize>,
    with: Option<(Server, String)>,
    (out, to): (Output, Option<String>),
) -> Result<(), CliError> {
    let threads = cores(threads);
    let found = apart(move || mainspring_monitor::profile::profile(&Table::open(&file)?, threads)).await?;
    if let Some((server, version)) = &with {
        let saved = server.post("/api/v1/profiles", &json!({ "model": version, "profile": found })).await?;
        note(format!("saved with version {} of {}", cell(&saved["version"]), cell(&saved["model"])));
    }
    let Some(to) = to else {
        either(out, &found, || people(&found));
        return Ok(());
    };
    let text = serde_json::to_string_pretty(&found)
        .map_err(|e| CliError::new(ErrorKind::Internal, format!("the profile cannot be written as JSON: {e}")))?;
    write(Path::new(&to), &text)
        .map_err(|e| CliError::new(ErrorKind::InvalidInput, format!("cannot write {to}: {e}")))?;
    people(&found);
    note(format!("the whole profile is in {to} ({})", size(text.len() as u64)));
    Ok(())
}

/// Whole or not at all.
pub fn write(to: &Path, text: &str) -> std::io::Result<()> {
    let mut beside = to.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, to))
}

fn people(profile: &Profile) {
    let head =
        ["column", "kind", "present", "missing", "distinct", "mean", "deviation", "min", "median", "max", "frequent"];
    table(&head, profile.columns.iter().map(|column| row(column, profile.rows)));
    note(format!("{} rows", profile.rows));
}

fn row(column: &Column, rows: u64) -> Vec<String> {
    let number = |value: Option<f64>| value.map(round).unwrap_or_default();
    let share =
        |part: u64| if rows == 0 { "0 %".into() } else { format!("{:.1} %", 100.0 * part as f64 / rows as f64) };
    let kind = serde_json::to_value(column.kind).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
    let mut cells = vec![column.name.clone(), kind, column.present.to_string(), share(column.missing)];
    cells.push(format!("{:.0}", column.distinct));
    if let Some(n) = &column.numbers {
        let median = n.quantiles.iter().find(|(q, _)| *q == 0.5).map(|(_, v)| *v);
        cells.extend([n.mean, n.deviation, n.min, median, n.max].map(number));
    } else {
        cells.extend(std::iter::repeat_n(String::new(), 5));
    }
    cells.push(column.texts.as_ref().map(|texts| format!("{}{}", frequent(texts), form(texts))).unwrap_or_default());
    cells
}

/// What texts look like of which none is frequent.
fn form(texts: &Texts) -> String {
    let median = |name: &str| {
        let shape = texts.form.iter().find(|shape| shape.name == name)?;
        shape.quantiles.iter().find(|(share, _)| *share == 0.5).map(|(_, value)| round(*value))
    };
    match median("words").zip(median("length")).zip(median("non-letters %")) {
        Some(((words, length), others)) if texts.frequent.is_empty() => {
            format!("; in the median {length} characters, {words} words, {others} % no letters")
        }
        _ => String::new(),
    }
}

/// The three most frequent texts with their rows: where not all values were counted, the least and the most that each may
/// have.
fn frequent(texts: &Texts) -> String {
    let error = texts.count_error;
    let rows = |most: u64| match most.saturating_sub(error) {
        least if least == most => most.to_string(),
        least => format!("{least}–{most}"),
    };
    let shown = texts.frequent.iter().take(3).map(|(value, most)| format!("{value} ({})", rows(*most)));
    match shown.collect::<Vec<_>>() {
        shown if shown.is_empty() && error > 0 => format!("none surely above {error}"),
        shown => shown.join(", "),
    }
}

fn round(value: f64) -> String {
    match value {
        x if x == x.trunc() && x.abs() < 1e15 => format!("{x}"),
        x if x.abs() >= 1e6 || x.abs() < 1e-3 => format!("{x:.3e}"),
        x => format!("{x:.4}"),
    }
}

/// Compares two sides and prints what each column says.
///
/// # Errors
/// [`CliError`] when they cannot be compared.
pub async fn drift(server: &Server, args: DriftArgs, out: Output) -> Result<ExitCode, CliError> {
    let sides = [&args.reference, &args.current].map(|side| Side::from(side.as_str()));
    let files = matches!(sides, [Side::File(_), Side::File(_)]);
    let preset = args.profile.unwrap_or_else(|| if files { "sequential" } else { "evidently" }.to_owned());
    let preset: Preset = preset.parse().map_err(|e: String| CliError::new(ErrorKind::InvalidInput, e))?;
    if args.level.is_some() && preset != Preset::Sequential {
        let message = format!("--level is of the profile sequential; {} has thresholds of its own", preset.as_str());
        return Err(CliError::new(ErrorKind::InvalidInput, message).hint("leave --level out"));
    }
    let invalid = |e: String| CliError::new(ErrorKind::InvalidInput, e);
    let numbers = args.test.as_deref().map(|test| Asked { test, threshold: args.threshold });
    let texts = args.text_test.as_deref().map(|test| Asked { test, threshold: args.text_threshold });
    let tests = Tests::named(preset, numbers, texts).map_err(|e| {
        invalid(e).hint("choose whose tests with --profile evidently or nannyml, or leave the test to it")
    })?;
    let needs = [
        (matches!(preset, Preset::Sequential | Preset::NannyMl), preset.as_str()),
        (tests.is_some(), "--test"),
        (!args.vector.is_empty(), "--vector"),
        (args.vectors.is_some(), "--vectors"),
        (args.rows, "--rows"),
    ];
    let needs = needs.iter().find(|(needs, _)| *needs).map(|(_, what)| *what);
    let vectors: VectorTest = args.vectors.as_deref().unwrap_or("model").parse().map_err(invalid)?;
    let (level, threads) = (args.level.unwrap_or(0.05), cores(args.threads));
    let rows = sides.iter().all(Side::has_rows);
    let (report, pictures) = match (needs, sides) {
        (Some(what), _) if !rows => {
            let message = format!("{what} reads rows, and a profile keeps sketches of them");
            let hint = "compare with --profile evidently or whylogs, or with a file or a window of a deployment";
            return Err(CliError::new(ErrorKind::InvalidInput, message).hint(hint));
        }
        (needs, sides) if needs.is_some() || files => {
            let tables = tables(server, sides).await?;
            let draw = args.html.is_some();
            apart(move || {
                let among = Among { only: &args.columns, ignored: &args.ignore };
                let how = Comparison { preset, tests, among, level, threads, vectors, prefixes: &args.vector };
                let report = compare(&tables[0], &tables[1], how)?;
                Ok((report, draw.then(|| drawn(&tables, threads)).transpose()?))
            })
            .await?
        }
        (_, [reference, current]) => {
            let apart = [reference.apart()?, current.apart()?].concat();
            let reference = reference.sketches(server, args.threads).await?.without(&apart);
            let current = current.sketches(server, args.threads).await?.without(&apart);
            let among = Among { only: &args.columns, ignored: &args.ignore };
            let [reference, current] =
                Sketches::among([reference, current], among).map_err(|e| CliError::from_failure(&e))?;
            let report = compare_sketches(&reference, &current, preset).map_err(|e| CliError::from_failure(&e))?;
            (report, args.html.is_some().then(|| reference.pictures(&current)))
        }
    };
    if let (Some(to), Some(pictures)) = (&args.html, pictures) {
        html::save(html::drift(&report, &pictures, [&args.reference, &args.current]), to)?;
    }
    either(out, &report, || findings(&report));
    // A broken column is a drift of the table.
    let failed = args.fail_on_drift && report.verdict == Verdict::Drift;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Both files' columns beside each other.
fn drawn(tables: &[Table; 2], threads: usize) -> Result<Vec<Picture>, MonitorError> {
    let side = |table| Sketches::of(&mainspring_monitor::profile::profile(table, threads)?);
    Ok(side(&tables[0])?.pictures(&side(&tables[1])?))
}

fn findings(report: &Report) {
    let whole = report.together.iter().map(|t| verdict("(rows as wholes)", &t.outcome));
    let rows = report.columns.iter().map(|column| verdict(&column.name, &column.outcome)).chain(whole);
    table(&["column", "verdict", "score", "threshold", "since row", "test"], rows);
    let told = |name: &str, outcome: &Outcome, apart: &Option<Told>| {
        let drifted = matches!(outcome, Outcome::Finding(f) if f.verdict == Verdict::Drift);
        if let Some(told) = apart.as_ref().filter(|_| drifted) {
            note(told_by(name, told));
        }
    };
    report.columns.iter().for_each(|c| told(&c.name, &c.outcome, &c.apart));
    report.together.iter().for_each(|t| told("rows as wholes", &t.outcome, &t.apart));
    for column in &report.columns {
        shapes(column).for_each(|said| note(format!("{}: {said}", column.name)));
    }
    // What is gone and broken has its row and its line.
    let others: Vec<String> = report.removed.iter().filter(|name| !report.broken.contains(name)).cloned().collect();
    for (names, what) in [(&report.added, "only in the current file"), (&others, "only in the reference")] {
        if !names.is_empty() {
            note(format!("{what}: {}", names.join(", ")));
        }
    }
    for text in broken(report) {
        line(mark(Mark::Bad, text));
    }
    let (state, text) = summary(report);
    line(mark(state, text));
    report.below().into_iter().for_each(line);
}

/// What has become of the form of a column's texts, in words.
pub fn shapes(column: &ColumnReport) -> impl Iterator<Item = String> {
    let moved = matches!(&column.outcome, Outcome::Finding(f) if f.verdict == Verdict::Drift);
    let found = column.shape.iter().filter(|shape| shape.finding.verdict == Verdict::Drift);
    let words = if moved { " too" } else { ", and their words have not" };
    found.map(move |shape| format!("their {} has drifted{words}", shape.name))
}

/// What became of columns that cannot be compared any more, a sentence each.
pub fn broken(report: &Report) -> Vec<String> {
    const NAMED: usize = 20;
    let mut says: Vec<String> =
        report.breaks().take(NAMED).map(|(name, what)| format!("column {name} {what}")).collect();
    if report.broken.len() > NAMED {
        says.push(format!("and {} more columns", report.broken.len() - NAMED));
    }
    says
}

/// Columns that drifted, whether rows as wholes did, and beside them the columns that are broken.
pub fn counts(report: &Report) -> String {
    let (drifted, compared) = report.drifted();
    let moved = |outcome: &Outcome| matches!(outcome, Outcome::Finding(f) if f.verdict == Verdict::Drift);
    let whole = if report.together.iter().any(|t| moved(&t.outcome)) { ", rows as wholes did" } else { "" };
    let drifted = format!("{drifted} of {compared} columns drifted{whole}");
    match report.broken.len() {
        0 => drifted,
        1 => format!("1 column is broken, {drifted}"),
        several => format!("{several} columns are broken, {drifted}"),
    }
}

/// The last line, and how good that is.
fn summary(report: &Report) -> (Mark, String) {
    let (drifted, compared) = report.drifted();
    let [before, now] = report.rows;
    let state = match report.verdict {
        Verdict::Drift => Mark::Bad,
        // Where nothing was compared, nothing is known to be steady.
        _ if drifted > 0 || compared == 0 => Mark::Warn,
        Verdict::Steady | Verdict::Possible => Mark::Good,
    };
    (state, format!("{} ({now} rows, reference {before})", counts(report)))
}

/// What a classifier goes by, in words.
pub fn told_by(name: &str, told: &Told) -> String {
    let side = |current: bool| {
        let words = told.by.iter().filter(|w| (w.weight > 0.0) == current).map(|w| w.name.as_str());
        words.collect::<Vec<_>>().join(", ")
    };
    let mut text =
        format!("{name}: told apart with AUC {:.3} ({:.3} to {:.3})", told.auc.area, told.auc.low, told.auc.high);
    for (words, of) in [(side(true), "the current data"), (side(false), "the reference")] {
        if !words.is_empty() {
            text.push_str(&format!("; speaks for {of}: {words}"));
        }
    }
    text
}

fn verdict(name: &str, outcome: &Outcome) -> Vec<String> {
    let found = match outcome {
        Outcome::Finding(found) => found,
        Outcome::Skipped(why) => {
            let skipped = mark(Mark::Warn, "not compared");
            return vec![name.to_owned(), skipped, String::new(), String::new(), String::new(), why.clone()];
        }
        Outcome::Broken(what) => {
            let broken = mark(Mark::Bad, what.word());
            return vec![name.to_owned(), broken, String::new(), String::new(), String::new(), what.to_string()];
        }
    };
    let verdict = match found.verdict {
        Verdict::Drift => mark(Mark::Bad, "drift"),
        Verdict::Possible => mark(Mark::Warn, "possible"),
        Verdict::Steady => mark(Mark::Good, "steady"),
    };
    let since = found.since.map(|row| row.to_string()).unwrap_or_default();
    let (score, threshold) = (shown(found.kind, found.score), shown(found.kind, found.threshold));
    vec![name.to_owned(), verdict, score, threshold, since, found.method.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainspring_monitor::drift::{Broken, Shape};
    use mainspring_stats::presets::{Finding, Score};

    fn finding(verdict: Verdict) -> Finding {
        let (method, kind) = ("K-S p_value", Score::PValue);
        Finding { method, kind, score: 0.5, threshold: 0.05, verdict, since: None, chunks: Vec::new() }
    }

    fn column(name: &str, outcome: Outcome, shape: Vec<Shape>) -> ColumnReport {
        let kind = mainspring_monitor::Kind::Text;
        ColumnReport { name: name.to_owned(), kind, outcome, apart: None, shape }
    }

    fn report(columns: Vec<ColumnReport>, verdict: Verdict) -> Report {
        let broken = |c: &&ColumnReport| matches!(c.outcome, Outcome::Broken(_));
        Report {
            preset: Preset::Evidently,
            rows: [10, 20],
            broken: columns.iter().filter(broken).map(|c| c.name.clone()).collect(),
            columns,
            added: Vec::new(),
            removed: Vec::new(),
            together: Vec::new(),
            verdict,
        }
    }

    /// There is a tick only where something was compared and nothing is wrong.
    #[test]
    fn a_broken_table_has_no_tick() {
        let steady = || column("a", Outcome::Finding(finding(Verdict::Steady)), Vec::new());
        let drifted = || column("b", Outcome::Finding(finding(Verdict::Drift)), Vec::new());
        let gone = || column("c", Outcome::Broken(Broken::Gone), Vec::new());
        let skipped = || column("d", Outcome::Skipped("it holds times".into()), Vec::new());
        let said = |columns, verdict| {
            let (state, text) = summary(&report(columns, verdict));
            (mark(state, ""), text)
        };
        let (good, bad, warn) = (mark(Mark::Good, ""), mark(Mark::Bad, ""), mark(Mark::Warn, ""));
        let rows = "(20 rows, reference 10)";
        let found = said(vec![steady(), skipped()], Verdict::Steady);
        assert_eq!(found, (good, format!("0 of 1 columns drifted {rows}")));
        let found = said(vec![steady(), gone()], Verdict::Drift);
        assert_eq!(found, (bad, format!("1 column is broken, 0 of 1 columns drifted {rows}")));
        let found = said(vec![steady(), steady(), drifted()], Verdict::Steady);
        assert_eq!(found, (warn.clone(), format!("1 of 3 columns drifted {rows}")));
        assert_eq!(said(vec![skipped()], Verdict::Steady), (warn, format!("0 of 0 columns drifted {rows}")));
        assert_eq!(broken(&report(vec![gone()], Verdict::Drift)), ["column c is gone"]);
        let many = (0..25).map(|at| column(&format!("c{at}"), Outcome::Broken(Broken::Gone), Vec::new())).collect();
        assert_eq!(broken(&report(many, Verdict::Drift)).last().unwrap(), "and 5 more columns");
        let row = verdict("c", &gone().outcome);
        assert_eq!((&row[1], row[5].as_str()), (&mark(Mark::Bad, "gone"), "is gone"));
    }

    #[test]
    fn a_form_that_drifted_says_whether_the_words_have() {
        let of = |verdict| {
            let shape = vec![Shape { name: "length", finding: finding(Verdict::Drift) }];
            shapes(&column("said", Outcome::Finding(finding(verdict)), shape)).collect::<Vec<_>>()
        };
        assert_eq!(of(Verdict::Drift), ["their length has drifted too"]);
        assert_eq!(of(Verdict::Steady), ["their length has drifted, and their words have not"]);
    }

    #[test]
    fn frequent_texts_have_the_rows_that_they_may_have() {
        let texts = |of: &[(&str, u64)], count_error| Texts {
            frequent: of.iter().map(|(value, most)| ((*value).to_owned(), *most)).collect(),
            count_error,
            longest: 4,
            mean_length: Some(4.0),
            frequent_items: String::new(),
            form: Vec::new(),
        };
        assert_eq!(frequent(&texts(&[("gold", 40), ("free", 20)], 0)), "gold (40), free (20)");
        assert_eq!(frequent(&texts(&[("gold", 2_050)], 50)), "gold (2000–2050)");
        assert_eq!(frequent(&texts(&[], 31)), "none surely above 31");
        assert_eq!(frequent(&texts(&[], 0)), "");
    }
}
