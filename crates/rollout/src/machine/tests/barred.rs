//! What cannot be trusted ends with its time, and nobody's consent makes it trusted.

use super::*;

#[test]
fn time_passes_while_it_is_held() {
    for (more, kind) in
        [("", DecisionKind::ReviewAsked), ("decision: {atMaxDuration: rollback}\n", DecisionKind::RolledBack)]
    {
        let mut hand = Hand::testing(&format!("{SPEC}{more}"));
        hand.exposed(500);
        hand.find("srm", Finding::Worse);
        assert_eq!(hand.after(1), [DecisionKind::Held]);
        assert_eq!(hand.after(2 * 24 * 60 - 2), []);
        assert_eq!(hand.after(1), [kind]);
        let sentence = &hand.last().sentence;
        assert!(sentence.contains("time is up without a verdict: the comparison cannot be trusted"), "{sentence}");
    }
}

const BOARD: &str = "{name: board, url: 'https://board.example.com/gate', secret: {file: board}}";

#[test]
fn a_webhook_promotes_no_comparison_that_cannot_be_trusted() {
    let mut hand = Hand::testing(&format!("{SPEC}approvals: [{{before: promotion, webhook: {BOARD}}}]\n"));
    hand.order(Order::Promote).unwrap();
    hand.find("srm", Finding::Worse);
    assert_eq!(hand.after(1), [DecisionKind::Held]);
    assert_eq!(hand.state.hold.as_ref().unwrap().cause, HoldCause::Untrusted);
    let gate = Machine { name: "churn-v8", spec: &hand.spec }.gate(&hand.state, &hand.facts);
    assert_eq!(gate, None, "nobody is asked what would change nothing");
    hand.facts.webhooks = vec![Checked::new("webhook:board", Some(true), "answered 200")];
    assert_eq!(hand.after(1), []);
    hand.facts.candidate = Readiness::Loading("it is being loaded".into());
    hand.find("srm", Finding::Unclear);
    assert_eq!(hand.after(1), [DecisionKind::Held]);
    hand.facts.candidate = Readiness::Ready;
    assert_eq!(hand.after(1), [DecisionKind::Released, DecisionKind::Promoted]);
    // Where the file says so, it goes back.
    let quality = SPEC.replace("hardLimits:", "  quality: {srm: {onFail: rollback}}\nhardLimits:");
    let mut hand = Hand::testing(&format!("{quality}approvals: [{{before: promotion, webhook: {BOARD}}}]\n"));
    hand.order(Order::Promote).unwrap();
    hand.find("srm", Finding::Worse);
    assert_eq!(hand.after(1), [DecisionKind::RolledBack]);
}

/// In its A/B test, before a promotion that a group must agree to.
fn of_a_group() -> Hand {
    let mut hand = Hand::new(&format!("{SPEC}approvals: [{{before: promotion, group: risk}}]\n"));
    hand.facts.starter = Some("key:ada".into());
    hand.after(1);
    while hand.state.step < 2 {
        hand.order_by("key:bob", &[], Order::Skip).unwrap();
    }
    hand
}

#[test]
fn people_who_agree_meanwhile_have_agreed() {
    let mut hand = of_a_group();
    hand.order_by("key:bob", &[], Order::Promote).unwrap();
    hand.find("srm", Finding::Worse);
    assert_eq!(hand.after(1), [DecisionKind::Held]);
    hand.order_by("key:eve", &["risk"], Order::Approve).unwrap();
    assert_eq!((hand.last().kind, hand.state.weight()), (DecisionKind::Agreed, 0.5));
    assert!(
        hand.last().sentence.contains("once this is gone: the comparison cannot be trusted"),
        "{}",
        hand.last().sentence
    );
    hand.find("srm", Finding::Unclear);
    assert_eq!(hand.after(1), [DecisionKind::Released, DecisionKind::Promoted]);
    assert_eq!(hand.last().sentence, "promoted: key:eve approved");
}

#[test]
fn an_order_is_open_where_it_can_be_given() {
    let mut hand = of_a_group();
    let open = |hand: &Hand, order| Machine { name: "churn-v8", spec: &hand.spec }.is_open(&hand.state, order);
    assert!(!open(&hand, Order::Skip), "this is the last step");
    assert!(open(&hand, Order::Promote), "it leads to where they are asked");
    hand.order_by("key:bob", &[], Order::Promote).unwrap();
    assert!(!open(&hand, Order::Promote) && open(&hand, Order::Approve));
}
