use super::*;

fn unit(value: f64, denominator: f64, covariate: f64) -> UnitTotals {
    UnitTotals { value, denominator, covariate }
}

/// Numbers without chance between 0 and 1, even over any stretch.
fn even(i: u32) -> f64 {
    (f64::from(i) * 0.618_033_988_749_894_9).fract()
}

/// While the baseline doubles, most units go first to one variant, then to the other.
#[test]
fn levels_of_a_drifting_baseline_differ_by_the_effect_alone() {
    for measure in [Measure::Mean, Measure::Ratio] {
        let mut strata = Strata::new(3);
        let mut pooled = [UnitMoments::default(); 3];
        for (step, (base, counts)) in [(1.0, [100, 800, 100]), (2.0, [100, 100, 800])].into_iter().enumerate() {
            for (variant, n) in counts.into_iter().enumerate() {
                for i in 0..n {
                    let totals = unit(base + 0.1 * variant as f64 + even(i), 1.0, 0.0);
                    strata.cell(step, variant).unwrap().add(&totals);
                    pooled[variant].add(&totals);
                }
            }
        }
        let levels = strata.levels(&[0, 1, 2], measure, Vec::<Vec<Visit>>::new()).unwrap();
        for (level, other) in [(1, 0), (2, 1)] {
            let apart = levels[level].value - levels[other].value;
            assert!((apart - 0.1).abs() < 0.01, "{apart}");
        }
        assert!(pooled[2].means().value - pooled[1].means().value > 0.5, "pooled, the drift is an effect");
        assert_eq!(levels.iter().map(|l| l.units as u32).collect::<Vec<_>>(), [200, 900, 900]);
        // Units of 1/12 variance; each step counts half.
        let want = (0.25 / 12.0 * (1.0 / 800.0 + 1.0 / 100.0_f64)).sqrt();
        assert!((levels[1].standard_error / want - 1.0).abs() < 0.03, "{} {want}", levels[1].standard_error);
        assert!(levels[0].standard_error > levels[1].standard_error);
    }
}

#[test]
fn who_comes_in_every_step_is_one_unit_of_a_level() {
    let (mut once, mut twice) = (Strata::new(2), Strata::new(2));
    let mut visits = Vec::new();
    for i in 0..400_u32 {
        let totals = unit(even(i), 1.0, 0.0);
        let variant = (i % 2) as usize;
        once.cell(0, variant).unwrap().add(&totals);
        let both = [0, 1].map(|step| Visit { step, variant, totals });
        for v in &both {
            twice.cell(v.step, v.variant).unwrap().add(&v.totals);
        }
        visits.push(both);
    }
    let none = Vec::<Vec<Visit>>::new();
    let single = once.levels(&[0, 1], Measure::Mean, none.clone()).unwrap();
    let double = twice.levels(&[0, 1], Measure::Mean, visits.iter().map(|v| v.iter().copied())).unwrap();
    let naive = twice.levels(&[0, 1], Measure::Mean, none).unwrap();
    for i in 0..2 {
        assert!((double[i].value - single[i].value).abs() < 1e-12);
        assert!((double[i].standard_error / single[i].standard_error - 1.0).abs() < 0.01, "{double:?} {single:?}");
        assert!(naive[i].standard_error < 0.75 * single[i].standard_error);
    }
}

#[test]
fn few_units_that_are_alike_are_not_certain_and_what_is_missing_is_said() {
    let mut strata = Strata::new(2);
    for i in 0..40 {
        strata.cell(0, 0).unwrap().add(&unit(f64::from(i % 2), 1.0, 0.0));
    }
    let none = Vec::<Vec<Visit>>::new();
    assert_eq!(strata.levels(&[0, 1], Measure::Mean, none.clone()), Err(NoEffect::TooFew));
    strata.cell(0, 1).unwrap().add(&unit(0.0, 1.0, 0.0));
    strata.cell(0, 1).unwrap().add(&unit(0.0, 1.0, 0.0));
    let levels = strata.levels(&[0, 1], Measure::Mean, none.clone()).unwrap();
    assert!(levels[1].value == 0.0 && levels[1].standard_error > 0.2, "{levels:?}");
    assert_eq!(strata.levels(&[0, 7], Measure::Mean, none.clone()), Err(NoEffect::TooFew), "no such variant");
    let mut alike = Strata::new(2);
    for variant in [0, 0, 1, 1] {
        alike.cell(0, variant).unwrap().add(&unit(1.0, 1.0, 0.0));
    }
    assert_eq!(alike.levels(&[0, 1], Measure::Mean, none), Err(NoEffect::NoVariance));
}

/// What the covariate explains goes out of the variance, also of users who come in several steps.
#[test]
fn cuped_narrows_what_returning_users_show() {
    for measure in [Measure::Mean, Measure::Ratio] {
        let mut strata = Strata::new(2);
        let (mut visits, mut once) = (Vec::new(), Strata::new(2));
        for i in 0..600_u32 {
            let (habit, noise, variant) = (even(i), 0.1 * even(i * 7 + 3), (i % 2) as usize);
            let visit = |step: usize| Visit {
                step,
                variant,
                totals: unit(2.0 * habit + noise + 0.05 * variant as f64, 1.0, habit),
            };
            let both = [visit(0), visit(1)];
            for v in &both {
                strata.cell(v.step, v.variant).unwrap().add(&v.totals);
            }
            once.cell(0, variant).unwrap().add(&both[0].totals);
            visits.push(both);
        }
        let contrast = |cuped| Contrast { measure, scale: Scale::Absolute, cuped };
        let robust = |cuped| {
            strata.compare_returning((0, 1), contrast(cuped), visits.iter().map(|v| v.iter().copied())).unwrap()
        };
        let (plain, adjusted) = (robust(false), robust(true));
        assert!(adjusted.standard_error < 0.2 * plain.standard_error, "{adjusted:?} {plain:?}");
        assert!((adjusted.value - 0.05).abs() < 0.01, "{adjusted:?}");
        // Twice the same visits are no more evidence than once, with the covariate as without.
        let single = once.compare(0, 1, contrast(true)).unwrap();
        assert!((adjusted.standard_error / single.standard_error - 1.0).abs() < 0.02, "{adjusted:?} {single:?}");
    }
}
