use super::*;
use mainspring_core::{Name, Tenant, Timestamp};
use mainspring_rollout::machine::Pins;
use mainspring_rollout::{DecisionKind, RolloutSpec, State};
use serde_json::json;
use std::sync::Arc;

fn run() -> Run {
    let spec: RolloutSpec = serde_json::from_value(json!({
        "deployment": "churn",
        "candidates": [{"name": "v8", "model": "models:/churn/8"}, {"name": "v9", "model": "models:/churn/9"}],
        "assignment": {"unit": "header:x-user-id"},
        "steps": [{"canary": {"weight": 10}}],
        "decision": {"ship": "noHarm"},
    }))
    .unwrap();
    let (at, candidates) = (Timestamp(1_000_000), spec.candidates.iter().map(|c| c.model.clone()).collect());
    let pins = Some(Pins { stable: "models:/churn/7".into(), candidates });
    let state = State { phase: Phase::Step, started: Some(at), pins, ..State::new("run".into(), at, 0) };
    Run {
        tenant: Tenant::default(),
        name: Name::new("best").unwrap(),
        number: 3,
        spec: Arc::new(spec),
        state,
        version: 1,
        created_at: at,
        updated_at: at,
    }
}

fn decided(evidence: Option<Report>) -> Decision {
    Decision {
        seq: 7,
        at: Timestamp(2_000_000),
        kind: DecisionKind::RolledBack,
        by: "controller".into(),
        sentence: "rolled back: errors is worse".into(),
        because: Vec::new(),
        phase: Phase::RolledBack,
        step: 0,
        generation: 3,
        weight: 0.0,
        weights: Vec::new(),
        order: None,
        groups: Vec::new(),
        reason: None,
        evidence,
        facts: None,
    }
}

#[test]
fn the_candidate_that_promote_takes_is_named_where_it_is_known() {
    let chosen = |change: &dyn Fn(&mut State)| {
        let mut run = run();
        change(&mut run.state);
        RolloutView::from(&View { run, report: None })
    };
    assert_eq!(chosen(&|_| {}).chosen, None, "two are left and neither leads");
    assert_eq!(chosen(&|state| state.chosen = Some(2)).chosen.as_deref(), Some("v9"));
    let one = chosen(&|state| state.dropped = vec![1]);
    assert_eq!(one.chosen.as_deref(), Some("v9"));
    assert_eq!(one.variants.iter().map(|v| v.dropped).collect::<Vec<_>>(), [false, true, false]);
}

#[test]
fn what_is_not_counted_is_told_where_something_is_not() {
    let left_out = |report| RolloutView::from(&View { run: run(), report: Some(Arc::new(report)) }).left_out;
    assert_eq!(left_out(Report::default()), None);
    let told = left_out(Report { unitless: 4614, excluded: 3, late: 1, ..Report::default() }).unwrap();
    assert_eq!((told.unitless, told.warm_up, told.late, told.strangers), (4614, 3, 1, 0));
    assert_eq!(told.carrier.as_deref(), Some("header x-user-id"));
}

#[test]
fn after_the_end_the_numbers_are_those_of_the_last_decision_with_some() {
    let mut run = run();
    run.state.phase = Phase::RolledBack;
    let evidence = Report {
        cut: Timestamp(1_900_000),
        units: vec![90, 5, 5],
        step_units: vec![90, 5, 5],
        answers: vec![200, 9, 8],
        last_at: vec![None; 3],
        ..Report::default()
    };
    let view = View { run, report: None };
    let decision = decided(Some(evidence.clone()));
    let shown = RolloutView::of(&view, Some(&decision));
    assert_eq!((shown.variants[0].units, shown.variants[1].answers, shown.evidence_of), (90, 9, Some(7)));
    assert!(shown.evidence_until.is_some());
    let nothing = RolloutView::of(&view, Some(&decided(None)));
    assert_eq!((nothing.evidence_of, nothing.variants[0].units), (None, 0));
    // While something is measured, that is what is shown.
    let now = View { report: Some(Arc::new(Report { answers: vec![1, 0, 0], ..evidence })), ..view };
    let shown = RolloutView::of(&now, Some(&decision));
    assert_eq!((shown.variants[0].answers, shown.evidence_of), (1, None));
}

#[test]
fn signals_that_a_person_let_pass_are_those_of_this_step() {
    let mut run = run();
    let signal = |step, variant: &str| Signal { step, metric: "score".into(), variant: Some(variant.into()) };
    run.state.acknowledged = vec![signal(0, "v8"), signal(1, "v9")];
    let mut view = View { run, report: None };
    assert_eq!(RolloutView::from(&view).passed_signals, ["score of v8"]);
    view.run.state.phase = Phase::RolledBack;
    assert!(RolloutView::from(&view).passed_signals.is_empty(), "nothing is stopped any more");
}
