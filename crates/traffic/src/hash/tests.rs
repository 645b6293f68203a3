use super::*;

/// Values of XXH3-128 from the reference implementation (the Python package `xxhash`, by
/// `tests/golden.py` in this crate), so that they cannot drift with our dependency.
#[test]
fn the_hash_is_the_specified_one() {
    let golden: Vec<(String, String, u64, u64, u32)> =
        serde_json::from_str(include_str!("../../tests/golden.json")).unwrap();
    assert!(golden.len() > 20, "lengths from 0 to over 240 bytes take all branches of the hash");
    for (salt, unit, id, seed, want) in golden {
        let ours = Salt::new(Purpose::Split, &salt);
        assert_eq!(ours, Salt(seed), "salt {salt:?}");
        assert_eq!(unit_id(unit.as_bytes()), id, "unit {unit:?}");
        assert_eq!(bucket(ours, unit.as_bytes()), want, "unit {unit:?} under {salt:?}");
    }
}

fn units(n: u32) -> impl Iterator<Item = String> {
    (0..n).map(|i| format!("user-{i}"))
}

/// Pearson's statistic for counts that should all be equal.
fn chi_square(counts: &[u32]) -> f64 {
    let n: u32 = counts.iter().sum();
    let expected = f64::from(n) / counts.len() as f64;
    counts.iter().map(|c| (f64::from(*c) - expected).powi(2) / expected).sum()
}

/// The 1 − 10⁻⁶ quantile of chi-square with `k` degrees of freedom, after Wilson and Hilferty (1931).
fn limit(k: f64) -> f64 {
    k * (1.0 - 2.0 / (9.0 * k) + 4.753 * (2.0 / (9.0 * k)).sqrt()).powi(3)
}

#[test]
fn consecutive_units_fill_the_buckets_evenly() {
    for salt in ["", "fraud-2026q4", "a", "b", "checkout", "0"] {
        let salted = Salt::new(Purpose::Split, salt);
        let mut counts = [0; 100];
        for unit in units(200_000) {
            counts[(bucket(salted, unit.as_bytes()) / (BUCKETS / 100)) as usize] += 1;
        }
        let statistic = chi_square(&counts);
        assert!(statistic < limit(99.0), "{salt:?}: {statistic}");
        // Too even would be no chance either.
        assert!(statistic > 40.0, "{salt:?}: {statistic}");
    }
}

#[test]
fn two_salts_assign_independently_and_so_do_two_purposes_of_one() {
    let pairs = [
        (Salt::new(Purpose::Split, "exp-1"), Salt::new(Purpose::Split, "exp-2")),
        (Salt::new(Purpose::Split, "same"), Salt::new(Purpose::Layer, "same")),
        (Salt::new(Purpose::Split, "same"), Salt::new(Purpose::Holdout, "same")),
        (Salt::new(Purpose::Split, "same"), Salt::new(Purpose::Shadow, "same")),
        (Salt::new(Purpose::Layer, "same"), Salt::new(Purpose::Holdout, "same")),
    ];
    for (a, b) in pairs {
        let mut counts = [0; 100];
        for unit in units(200_000) {
            let cell = |salt| bucket(salt, unit.as_bytes()) / (BUCKETS / 10);
            counts[(cell(a) * 10 + cell(b)) as usize] += 1;
        }
        let statistic = chi_square(&counts);
        assert!(statistic < limit(99.0), "{statistic}");
    }
}
