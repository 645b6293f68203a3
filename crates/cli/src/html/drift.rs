//! Drift between two sides.

use super::{DRAWN, LISTED};
use crate::monitor::{broken, counts, shapes, told_by};
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
    let [before, now] = found.rows;
    let facts = [
        ("Reference", format!("{reference}, {before} rows")),
        ("Now", format!("{current}, {now} rows")),
        ("Methods", format!("those of the profile {}", found.preset.as_str())),
        ("The table", whole(found).to_owned()),
    ];
    let mut sections: Vec<Section> = lost(found).into_iter().collect();
    sections.push(listed(&columns, &found.together));
    sections.extend(named(found));
    sections.push(drawn(&columns, &pictures));
    sections.push(methods(found.preset));
    Report {
        title: format!("Drift of {}", called(current)),
        verdict: counts(found),
        mood: match (found.verdict, drifted, compared) {
            (Verdict::Drift, _, _) => Mood::Bad,
            (_, 1.., _) | (_, _, 0) => Mood::Warn,
            _ => Mood::Good,
        },
        facts: facts.map(|(name, value)| (name.to_owned(), value)).into(),
        sections,
        ..Report::default()
    }
}

/// What is said of the table.
fn whole(found: &Drift) -> &'static str {
    match found.verdict {
        Verdict::Drift if !found.broken.is_empty() => "is broken",
        Verdict::Drift => "has drifted",
        Verdict::Possible | Verdict::Steady => "has not drifted",
    }
}

/// Columns that cannot be compared any more, and why a table has not drifted of which some have.
fn lost(found: &Drift) -> Option<Section> {
    let says: Vec<String> = broken(found).into_iter().chain(found.below()).collect();
    (!says.is_empty()).then(|| Section { title: "The table".into(), says, ..Section::default() })
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
        Outcome::Broken(_) => 0,
        Outcome::Finding(f) if f.verdict == Verdict::Drift => 1,
        Outcome::Finding(f) if f.verdict == Verdict::Possible => 2,
        Outcome::Finding(_) => 3,
        Outcome::Skipped(_) => 4,
    }
}

/// How far beyond its threshold it is; 1 is at it.
fn beyond(of: &Outcome) -> f64 {
    match of {
        Outcome::Finding(f) if f.kind == Score::PValue => f.threshold / f.score.max(f64::MIN_POSITIVE),
        Outcome::Finding(f) => f.score / f.threshold.abs().max(f64::MIN_POSITIVE),
        Outcome::Skipped(_) | Outcome::Broken(_) => 0.0,
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
        Outcome::Broken(what) => {
            [Cell::new(what.word(), Mood::Bad), "".into(), "".into(), "".into(), what.to_string().into()]
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
        Outcome::Broken(what) => (Mood::Bad, what.word()),
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
        Outcome::Broken(what) => card.says.push(what.to_string()),
    }
    if let Some(picture) = picture {
        pictured(&mut card, picture);
    }
    card.says.extend(column.apart.as_ref().map(|told| told_by(&column.name, told)));
    card.says.extend(shapes(column));
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
        let how = Comparison { threads: 2, vectors: VectorTest::Mmd, ..Comparison::new(Preset::Evidently) };
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

    /// The report of two CSVs by Evidently's choices.
    fn of_csv(reference: &str, current: &str) -> (Drift, String) {
        let folder = tempfile::tempdir().unwrap();
        let tables = [("a.csv", reference), ("b.csv", current)].map(|(name, text)| {
            let file = folder.path().join(name);
            std::fs::write(&file, text).unwrap();
            File::open(&file).unwrap()
        });
        let (preset, vectors) = (Preset::Evidently, VectorTest::Mmd);
        let how = Comparison { vectors, ..Comparison::new(preset) };
        let found = compare(&tables[0], &tables[1], how).unwrap();
        let page = drift(&found, &[], ["a.csv", "b.csv"]).html();
        (found, page)
    }

    #[test]
    fn broken_columns_are_named_apart_from_drifted_ones() {
        let rows = |line: fn(i32) -> String| (0..100).map(|i| line(i) + "\n").collect::<String>();
        let reference = format!("x,kind,empty,gone\n{}", rows(|i| format!("{i},{i},{i},{i}")));
        let current = format!("x,kind,empty\n{}", rows(|i| format!("{i},v{i},")));
        let (found, page) = of_csv(&reference, &current);
        assert!(page.contains("3 columns are broken, 0 of 1 columns drifted") && page.contains("is broken"), "{page}");
        for said in ["column kind was numbers, is text", "column empty has no values any more", "column gone is gone"] {
            assert!(page.contains(said) && broken(&found).iter().any(|s| s == said), "{said}: {page}");
        }
        assert_eq!(counts(&found), "3 columns are broken, 0 of 1 columns drifted");
    }

    #[test]
    fn a_table_below_evidentlys_share_says_so() {
        let table = |shift: i32| {
            let line = |i: i32| format!("{i},{i},{i},{}\n", i + shift);
            format!("a,b,c,d\n{}", (0..100).map(line).collect::<String>())
        };
        let (found, page) = of_csv(&table(0), &table(70));
        assert_eq!((found.verdict, found.drifted()), (Verdict::Steady, (1, 4)));
        assert!(page.contains("1 of 4 columns drifted, but not the table"), "{page}");
    }

    #[test]
    fn a_wide_table_is_listed_whole_and_drawn_where_it_moved_most() {
        let page = report(DRAWN + 50);
        assert_eq!(page.matches("<article>").count(), DRAWN);
        assert_eq!(page.matches("<th scope=\"row\"><bdi>&lt;script").count(), DRAWN + 50);
        assert!(page.contains("The 200 columns that moved most, of 250."));
    }
}
