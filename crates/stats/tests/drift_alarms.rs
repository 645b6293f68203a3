//! A small part of what `examples/drift_alarms.rs` runs: that the error rate of our own drift test is what it says, and
//! that it finds what is there.

mod drift;

use drift::{COLUMNS, Change, Column, Scene, allowance, conformal, delay, rate, windows};

/// A look after each of 20,000 values, with a reference so small that taking it for the truth would go wrong.
#[test]
fn a_stream_that_does_not_drift_rarely_alarms_in_all_its_time() {
    for (name, column) in COLUMNS {
        let scene = Scene::still(column, 500, 20_000);
        let found = rate(200, |seed| conformal(&scene, seed));
        assert!(found <= allowance(200), "{name}: {found}");
    }
}

/// What the rate above is to be seen beside: each window is tested properly, and nearly every stream alarms.
#[test]
fn repeated_tests_of_windows_do_not_keep_their_level() {
    let scene = Scene::still(Column::Normal, 500, 20_000);
    let naive = rate(50, |seed| windows(&scene, seed, 0.05));
    assert!(naive > 0.5, "{naive}");
}

#[test]
fn a_drift_is_found_soon_also_after_a_quiet_time() {
    for (column, change, within) in [
        (Column::Normal, Change::Shift(0.5), 600),
        (Column::Normal, Change::Spread(1.5), 900),
        (Column::Ties, Change::Shift(0.15), 1_500),
        (Column::Rare, Change::Shift(0.7), 2_500),
        (Column::Binary, Change::Shift(0.1), 1_500),
    ] {
        let scene = Scene { column, reference: 2_000, quiet: 10_000, after: 10_000, change };
        let found = delay(&scene, 40, |seed| conformal(&scene, seed));
        assert!(found.missed == 0.0 && found.median.is_some_and(|d| d <= within), "{column:?}: {:?}", found.median);
        assert!(found.early <= 0.2, "{}", found.early);
    }
}
