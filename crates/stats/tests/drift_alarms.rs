//! A small part of what `examples/drift_alarms.rs` runs: that the error rate of our own drift test is what it says, and
//! that it finds what is there.

mod drift;

use drift::detectors::{DETECTORS, STREAMS, false_alarms};
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

/// What monitors say beside the stream detectors that they run: how often these call a change in 2,000 values without one.
#[test]
fn detectors_at_their_defaults_call_changes_that_are_not_there() {
    let shares = |name: &str| {
        let detector = DETECTORS.iter().find(|(of, _)| *of == name).unwrap().1;
        STREAMS.map(|(_, stream)| false_alarms(detector, stream, (40, 2_000)).0)
    };
    let [adwin, kswin, page, ddm] = ["ADWIN", "KSWIN", "Page-Hinkley", "DDM"].map(shares);
    assert!(adwin.iter().all(|share| *share <= 0.1), "{adwin:?}");
    // A test at each value, on what numbers are; of errors, whose distances are short, fewer.
    assert!(kswin[0] >= 0.8 && kswin[1] == kswin[0], "{kswin:?}");
    // Its threshold is in the column's unit.
    assert!(page[1] >= 0.9 && page[0] < page[1], "{page:?}");
    assert!(ddm[..2] == [0.0, 0.0] && ddm[2] >= 0.1 && ddm[3] >= 0.3, "{ddm:?}");
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
