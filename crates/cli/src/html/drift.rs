//! Drift between two sides.

use super::{DRAWN, LISTED};
use crate::monitor::told_by;
use mainspring_monitor::drift::{ColumnReport, Outcome, Report as Drift, Together, shown};
use mainspring_monitor::sketches::{Picture, Shares};
use mainspring_report::{Card, Cell, Chart, Mood, Report, Section, Table, number, percent};
use mainspring_stats::presets::{Finding, Preset, Score, Verdict};
use std::collections::HashMap;

/// The report of a comparison of `reference` and `current`, what drifted first.
pub fn drift(found: &Drift, pictures: &[Picture], [reference, current]: [&str; 2]) -> Report {
    let mut columns: Vec<&ColumnReport> = found.columns.iter().collect();
    columns.sort_by(|a, b| {
        rank(&a.outcome).cmp(&rank(&b.outcome)).then(beyond(&b.outcome).total_cmp(&beyond(&a.outcome)))
    });
    let pictures: HashMap<&str, &Picture> = pictures.iter().map(|p| (p.name.as_str(), p)).collect();
    let (drifted, compared) = found.drifted();
    let verdict = format!("{drifted} of {compared} columns drifted");
    let [before, now] = found.rows;
    let facts = [
        ("Reference", format!("{reference}, {before} rows")),
        ("Now", format!("{current}, {now} rows")),
        ("Methods", format!("those of the profile {}", found.preset.as_str())),
        ("The table", if found.verdict == Verdict::Drift { "has drifted" } else { "has not drifted" }.to_owned()),
    ];
    let mut sections = vec![listed(&columns, &found.together)];
    sections.extend(named(found));
    sections.push(drawn(&columns, &pictures));
    sections.push(methods(found.preset));
    Report {
        title: format!("Drift of {}", called(current)),
        verdict,
        mood: match (found.verdict, drifted) {
            (Verdict::Drift, _) => Mood::Bad,
            (_, 1..) => Mood::Warn,
            _ => Mood::Good,
        },
        facts: facts.map(|(name, value)| (name.to_owned(), value)).into(),
        sections,
        ..Report::default()
    }
}

/// A file by its name; anything else as it is.
fn called(side: &str) -> &str {
    match side.rsplit_once('/') {
        Some((_, name)) if !side.contains(':') && !name.is_empty() => name,
        _ => side,
    }
}

fn rank(of: &Outcome) -> u8 {
    match of {
        Outcome::Finding(f) if f.verdict == Verdict::Drift => 0,
        Outcome::Finding(f) if f.verdict == Verdict::Possible => 1,
        Outcome::Finding(_) => 2,
        Outcome::Skipped(_) => 3,
    }
}

/// How far beyond its threshold it is; 1 is at it.
fn beyond(of: &Outcome) -> f64 {
    match of {
        Outcome::Finding(f) if f.kind == Score::PValue => f.threshold / f.score.max(f64::MIN_POSITIVE),
        Outcome::Finding(f) => f.score / f.threshold.abs().max(f64::MIN_POSITIVE),
        Outcome::Skipped(_) => 0.0,
    }
}

fn mood(finding: &Finding) -> (Mood, &'static str) {
    match finding.verdict {
        Verdict::Drift => (Mood::Bad, "drift"),
        Verdict::Possible => (Mood::Warn, "possible"),
        Verdict::Steady => (Mood::Good, "steady"),
    }
}

fn row(name: &str, outcome: &Outcome) -> Vec<Cell> {
    let cells: [Cell; 5] = match outcome {
        Outcome::Finding(f) => {
            let (mood, word) = mood(f);
            let since = f.since.map(|row| row.to_string()).unwrap_or_default();
            let (score, threshold) = (shown(f.kind, f.score), shown(f.kind, f.threshold));
            [Cell::new(word, mood), score.into(), threshold.into(), since.into(), f.method.into()]
        }
        Outcome::Skipped(why) => {
            [Cell::new("not compared", Mood::Warn), "".into(), "".into(), "".into(), why.as_str().into()]
        }
    };
    std::iter::once(Cell::from(name)).chain(cells).collect()
}

fn listed(columns: &[&ColumnReport], together: &[Together]) -> Section {
    let whole = together.iter().map(|t| row("(rows as wholes)", &t.outcome));
    let rows = whole.chain(columns.iter().take(LISTED).map(|c| row(&c.name, &c.outcome))).collect();
    let told = together.iter().filter_map(|t| Some(told_by("rows as wholes", t.apart.as_ref()?)));
    let mut says: Vec<String> = told.collect();
    if columns.len() > LISTED {
        says.push(format!("The first {LISTED} of {} columns; --output json has them all.", columns.len()));
    }
    let head = ["column", "verdict", "score", "threshold", "since row", "test"].map(str::to_owned).into();
    let table = Table { caption: "Each column's verdict, what drifted first".into(), head, rows };
    Section { title: "Columns".into(), says, table: Some(table), cards: Vec::new() }
}

/// Columns that one side lacks.
fn named(found: &Drift) -> Option<Section> {
    const NAMED: usize = 200;
    let lists = [("Only in the reference", &found.removed), ("Only in what is now", &found.added)];
    let says: Vec<String> = lists
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| {
            let more = names.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("{what}: {}{more}", names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", "))
        })
        .collect();
    (!says.is_empty()).then(|| Section { title: "Columns of one side".into(), says, ..Section::default() })
}

fn drawn(columns: &[&ColumnReport], pictures: &HashMap<&str, &Picture>) -> Section {
    let cards: Vec<Card> =
        columns.iter().take(DRAWN).map(|column| card(column, pictures.get(column.name.as_str()).copied())).collect();
    let says = if columns.len() > DRAWN {
        vec![format!("The {DRAWN} columns that moved most, of {}.", columns.len())]
    } else {
        Vec::new()
    };
    Section { title: "Distributions".into(), says, cards, ..Section::default() }
}

fn card(column: &ColumnReport, picture: Option<&Picture>) -> Card {
    let (mood, badge) = match &column.outcome {
        Outcome::Finding(f) => mood(f),
        Outcome::Skipped(_) => (Mood::Warn, "not compared"),
    };
    let mut card = Card { title: column.name.clone(), badge: badge.into(), mood, ..Card::default() };
    match &column.outcome {
        Outcome::Finding(f) => {
            let (score, threshold) = (shown(f.kind, f.score), shown(f.kind, f.threshold));
            card.facts.push((f.method.to_owned(), format!("{score}, threshold {threshold}")));
            if let Some(row) = f.since {
                card.facts.push(("sure since".into(), format!("row {row}")));
            }
        }
        Outcome::Skipped(why) => card.says.push(why.clone()),
    }
    if let Some(picture) = picture {
        pictured(&mut card, picture);
    }
    card.says.extend(column.apart.as_ref().map(|told| told_by(&column.name, told)));
    let shape = column.shape.iter().filter(|s| s.finding.verdict == Verdict::Drift);
    card.says.extend(shape.map(|s| format!("their {} has drifted too", s.name)));
    card
}

fn pictured(card: &mut Card, picture: &Picture) {
    if let Some([was, now]) = picture.medians {
        card.facts.push(("median".into(), format!("{} → {}", number(was), number(now))));
    }
    if let [Some(was), Some(now)] = picture.missing
        && was + now > 0.0
    {
        card.facts.push(("missing".into(), format!("{} → {}", percent(was), percent(now))));
    }
    card.chart = picture.shares.as_ref().map(|shares| match shares {
        Shares::Bins { edges, shares } => Chart::Bins { edges: edges.clone(), shares: shares.clone() },
        Shares::Values(values) => Chart::Bars {
            bars: values
                .iter()
                .map(|(name, shares)| (name.clone().unwrap_or_else(|| "(others)".into()), *shares))
                .collect(),
        },
    });
}

fn methods(preset: Preset) -> Section {
    let says = match preset {
        Preset::Sequential => {
            "Each column is bet on, row after row: its e-value is what a bet on drift would have multiplied by, and it has \
             drifted when that reached its threshold. The chance that a table without drift is called drifted is at most \
             the level, 0.05 unless --level says otherwise, for all columns together and however often it is looked at."
        }
        Preset::Evidently => {
            "Evidently's defaults. Numbers: Kolmogorov–Smirnov (p below 0.05) up to 1,000 reference rows, above that \
             Wasserstein over the reference's standard deviation (from 0.1 on). Texts: chi² or Z (p below 0.05), above \
             1,000 rows Jensen–Shannon (from 0.1 on). The table has drifted when half of its columns have."
        }
        Preset::NannyMl => {
            "NannyML's defaults. Jensen–Shannon distance of ten chunks, beyond the mean and three standard deviations of \
             the reference's own ten. The table has drifted when any chunk alerts."
        }
        Preset::Whylogs => {
            "whylogs' defaults. Numbers: Kolmogorov–Smirnov at 100 quantiles, p below 0.05, below 0.15 possible. Texts: \
             chi². The table has drifted when any column has."
        }
    };
    let drawn = "Distributions are drawn from sketches: shares are within about 1 % of the rows'. The outer bins hold what \
                 is beyond them.";
    Section { title: "Methods".into(), says: vec![says.into(), drawn.into()], ..Section::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainspring_monitor::Table as File;
    use mainspring_monitor::drift::{Comparison, compare};
    use mainspring_monitor::profile::profile;
    use mainspring_monitor::sketches::Sketches;
    use mainspring_stats::presets::VectorTest;

    /// Two files of which the last column drifted, whose names are markup.
    fn report(columns: usize) -> String {
        let folder = tempfile::tempdir().unwrap();
        let files = [0.0, 0.5].map(|shift| {
            let file = folder.path().join(format!("{shift}.csv"));
            let names: Vec<String> = (0..columns).map(|at| format!("<script>{at}</script>")).collect();
            let even = |i: usize, at: usize| (i as f64 * 0.618 + at as f64 * 0.1).fract();
            let cell = |i: usize, at: usize| even(i, at) + if at + 1 == columns { shift } else { 0.0 };
            let row = |i: usize| (0..columns).map(|at| cell(i, at).to_string()).collect::<Vec<_>>().join(",");
            let rows: Vec<String> = (0..200).map(row).collect();
            std::fs::write(&file, format!("{}\n{}\n", names.join(","), rows.join("\n"))).unwrap();
            file
        });
        let how =
            Comparison { preset: Preset::Evidently, level: 0.05, threads: 2, vectors: VectorTest::Mmd, prefixes: &[] };
        let tables = files.each_ref().map(|file| File::open(file).unwrap());
        let found = compare(&tables[0], &tables[1], how).unwrap();
        let sketches = tables.each_ref().map(|table| Sketches::of(&profile(table, 1).unwrap()).unwrap());
        drift(&found, &sketches[0].pictures(&sketches[1]), ["a<b>.csv", "b.csv"]).html()
    }

    #[test]
    fn what_drifted_comes_first_with_its_distribution_and_names_are_no_markup() {
        let page = report(3);
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;2&lt;/script&gt;"));
        let of = |name: &str| page.find(&format!("<h3><bdi>&lt;script&gt;{name}")).unwrap();
        assert!(of("2") < of("0") && of("2") < of("1"));
        assert_eq!((page.matches("<article>").count(), page.matches("<svg").count()), (3, 3));
        assert!(page.contains("1 of 3 columns drifted") && page.contains("a&lt;b&gt;.csv, 200 rows"), "{page}");
    }

    #[test]
    fn a_wide_table_is_listed_whole_and_drawn_where_it_moved_most() {
        let page = report(DRAWN + 50);
        assert_eq!(page.matches("<article>").count(), DRAWN);
        assert_eq!(page.matches("<th scope=\"row\"><bdi>&lt;script").count(), DRAWN + 50);
        assert!(page.contains("The 200 columns that moved most, of 250."));
    }
}
