use super::*;

fn metric(name: &str, role: Role, finding: Finding) -> Metric {
    Metric { name: name.into(), role, finding }
}

fn verdict(metrics: &[Metric]) -> (Verdict, Vec<String>) {
    let decision = decide(metrics);
    (decision.verdict, decision.because)
}

/// A rollout that may ship; each test spoils one thing.
fn good() -> Vec<Metric> {
    vec![
        metric("precision", Role::Success, Finding::Better),
        metric("revenue", Role::Success, Finding::Unclear),
        metric("errors", Role::Guardrail, Finding::NonInferior),
        metric("p99", Role::Guardrail, Finding::Better),
        metric("score", Role::Signal, Finding::Unclear),
        metric("srm", Role::Quality, Finding::Unclear),
    ]
}

#[test]
fn one_better_success_and_all_guardrails_ship() {
    assert_eq!(verdict(&good()), (Verdict::Ship, vec!["precision".into()]));
}

#[test]
fn each_thing_that_is_wrong_has_its_verdict_and_its_name() {
    for (at, finding, want) in [
        (2, Finding::Worse, Verdict::RollBack),
        (1, Finding::Worse, Verdict::RollBack),
        (5, Finding::Worse, Verdict::Untrusted),
        (3, Finding::NoData, Verdict::Hold),
        (5, Finding::NoData, Verdict::Hold),
        (4, Finding::Worse, Verdict::Pause),
    ] {
        let mut metrics = good();
        metrics[at].finding = finding;
        assert_eq!(verdict(&metrics), (want, vec![metrics[at].name.clone()]), "{at} {finding:?}");
    }
    let mut silent = good();
    silent[4].finding = Finding::NoData;
    assert_eq!(verdict(&silent).0, Verdict::Ship, "a signal without data is silent");
}

#[test]
fn what_is_not_shown_does_not_ship() {
    let mut metrics = good();
    metrics[2].finding = Finding::Unclear;
    let (verdict_now, because) = verdict(&metrics);
    assert_eq!(verdict_now, Verdict::Continue);
    assert_eq!(because, ["revenue", "errors"]);
    assert_eq!(verdict(&metrics[2..4]).0, Verdict::Continue, "nothing to ship for");
    assert_eq!(verdict(&[]).0, Verdict::Continue);
}

#[test]
fn harm_comes_before_distrust_and_distrust_before_silence() {
    let mut metrics = good();
    metrics[5].finding = Finding::Worse;
    metrics[3].finding = Finding::NoData;
    assert_eq!(verdict(&metrics).0, Verdict::Untrusted);
    metrics[2].finding = Finding::Worse;
    assert_eq!(verdict(&metrics).0, Verdict::RollBack);
}

#[test]
fn an_interval_is_read_in_the_metrics_direction() {
    let interval = |low, high| Interval { low, estimate: f64::midpoint(low, high), high };
    for (low, high, up, down) in [
        (0.1, 0.2, Finding::Better, Finding::Worse),
        (-0.005, 0.2, Finding::NonInferior, Finding::Unclear),
        (-0.2, 0.2, Finding::Unclear, Finding::Unclear),
        (-0.2, -0.011, Finding::Worse, Finding::Better),
        (-0.2, -0.005, Finding::Unclear, Finding::Better),
        (f64::NAN, 0.1, Finding::NoData, Finding::NoData),
    ] {
        let read = |direction| Finding::of_interval(&interval(low, high), direction, 0.01);
        assert_eq!(read(Direction::Up), up, "{low} {high}");
        assert_eq!(read(Direction::Down), down, "{low} {high} down");
    }
}

#[test]
fn error_rates_are_shared_where_they_add_up_and_only_there() {
    let rates = ErrorRates::plan(0.05, 0.2, 2, 3);
    assert_eq!((rates.success, rates.guardrail, rates.harm, rates.beta), (0.025, 0.05, 0.01, 0.05));
    assert_eq!(ErrorRates::plan(0.05, 0.2, 0, 0).success, 0.05);
}
