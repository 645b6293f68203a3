//! Webhooks that must agree: before the first step, before another one, before the promotion.

use super::*;

const HOOK: &str = "url: 'https://board.example.com/gate', secret: {file: board}";

impl Hand {
    /// The gate that it stands before, and its webhooks.
    fn gate(&self) -> Option<(Option<ApprovalPoint>, Vec<String>)> {
        let gate = Machine { name: "churn-v8", spec: &self.spec }.gate(&self.state, &self.facts)?;
        Some((gate.before, gate.webhooks.iter().map(|w| w.name.to_string()).collect()))
    }

    /// A webhook has said something.
    fn hears(&mut self, name: &str, passed: Option<bool>, detail: &str) -> Vec<DecisionKind> {
        let name = format!("webhook:{name}");
        self.facts.webhooks.retain(|check| check.name != name);
        self.facts.webhooks.push(Checked::new(name, passed, detail));
        self.after(1)
    }
}

fn preflight() -> Hand {
    let hooks = format!("[{{name: tests, {HOOK}}}, {{name: board, {HOOK}}}]");
    Hand::new(&format!("{SPEC}preflight: {{webhooks: {hooks}, timeout: 30m}}\n"))
}

fn before(point: &str, more: &str) -> Hand {
    Hand::testing(&format!("{SPEC}approvals: [{{before: {point}, webhook: {{name: board, {HOOK}}}{more}}}]\n"))
}

#[test]
fn a_preflight_asks_last_and_waits_for_all_webhooks() {
    let mut hand = preflight();
    hand.facts.candidate = Readiness::Loading("it is being loaded".into());
    assert_eq!(hand.after(0), [DecisionKind::Started]);
    assert_eq!(hand.gate(), None, "what is not ready is nothing to ask about");
    hand.facts.candidate = Readiness::Ready;
    hand.facts.checks = vec![Checked::new("replay", None, "requests are asked again")];
    assert_eq!((hand.gate(), hand.after(1)), (None, vec![]));
    hand.facts.checks = vec![Checked::new("replay", Some(true), "alike")];
    assert_eq!(hand.gate(), Some((None, vec!["tests".into(), "board".into()])));
    assert_eq!(hand.after(1), [], "a webhook of which nothing is known has not agreed");
    assert_eq!(hand.hears("tests", Some(true), "answered 200"), []);
    assert_eq!(hand.hears("board", None, "it is asked"), []);
    assert_eq!(hand.hears("board", Some(false), "answered 403: 3 reviews are missing"), [DecisionKind::Held]);
    assert_eq!(hand.last().sentence, "held: webhook board answered 403: 3 reviews are missing");
    assert_eq!(hand.state.hold.as_ref().unwrap().cause, HoldCause::Webhook);
    let since = hand.state.hold.as_ref().unwrap().since;
    assert_eq!(
        hand.hears("board", Some(false), "answered 403: 2 reviews are missing"),
        [],
        "numbers alone are no news"
    );
    assert_eq!(hand.hears("board", Some(false), "answered 403: not before Monday"), [DecisionKind::Held]);
    let hold = hand.state.hold.clone().unwrap();
    assert_eq!((hold.since, hold.reason.as_str()), (since, "webhook board answered 403: not before Monday"));
    assert_eq!(hand.hears("tests", Some(false), "answered 500"), [DecisionKind::Held], "what agreed may take it back");
    assert_eq!(hand.hears("board", Some(true), "answered 200"), []);
    assert_eq!(hand.hears("tests", Some(true), "answered 200"), [DecisionKind::Advanced]);
    assert_eq!(hand.last().because, ["replay", "webhook:tests", "webhook:board"]);
    assert_eq!((hand.state.phase, &hand.state.hold, hand.gate()), (Phase::Step, &None, None));
}

#[test]
fn a_preflight_that_is_refused_to_its_end_is_rolled_back_and_freezes_nothing() {
    for (passed, detail, says) in [
        (Some(false), "answered 403: no", "webhook board answered 403: no"),
        (None, "it is asked", "a webhook has not answered"),
    ] {
        let mut hand = preflight();
        hand.spec.rollback.freeze_version = true;
        hand.after(0);
        hand.hears("tests", Some(true), "answered 200");
        hand.hears("board", passed, detail);
        assert_eq!(hand.after(30), [DecisionKind::RolledBack]);
        let sentence = &hand.last().sentence;
        assert!(sentence.contains("did not pass within 30m") && sentence.ends_with(says), "{sentence}");
    }
}

#[test]
fn a_check_that_fails_is_nobodys_to_wave_through() {
    let mut hand = preflight();
    hand.after(0);
    hand.facts.checks = vec![Checked::new("signature", Some(false), "it has no input")];
    assert_eq!(hand.gate(), None);
    hand.hears("tests", Some(true), "answered 200");
    assert_eq!(hand.state.phase, Phase::RolledBack);
}

#[test]
fn no_order_goes_past_a_webhook() {
    let mut hand = before("promotion", "");
    hand.order(Order::Promote).unwrap();
    assert_eq!((hand.state.phase, hand.state.weight()), (Phase::Approval(ApprovalPoint::Promotion), 0.5));
    assert!(hand.last().sentence.ends_with("the promotion waits for webhook board"), "{}", hand.last().sentence);
    assert_eq!(hand.last().kind, DecisionKind::WebhookAsked, "no person is asked");
    assert_eq!(hand.gate(), Some((Some(ApprovalPoint::Promotion), vec!["board".into()])));
    for order in [Order::Promote, Order::Approve] {
        assert!(hand.order(order).is_err(), "{order:?}");
    }
    assert!(hand.order(Order::Approve).unwrap_err().contains("it waits for webhook board"));
    assert_eq!(hand.hears("board", Some(false), "answered 409: a freeze"), [DecisionKind::Held]);
    // Harm is looked for all the while, and needs nobody's leave.
    let mut harmed = before("promotion", "");
    harmed.order(Order::Promote).unwrap();
    harmed.find("errors", Finding::Worse);
    assert_eq!(harmed.after(1), [DecisionKind::RolledBack]);
    assert_eq!(hand.hears("board", Some(true), "answered 200"), [DecisionKind::Promoted]);
    assert_eq!(
        (hand.last().by.as_str(), hand.last().because.as_slice()),
        ("controller", &["webhook:board".into()][..])
    );
    assert_eq!(hand.last().sentence, "promoted: webhook board agreed");
    // Nor past one that is asked before a later step.
    let mut ahead = Hand::new(&format!("{SPEC}approvals: [{{before: abTest, webhook: {{name: board, {HOOK}}}}}]\n"));
    ahead.after(1);
    assert!(ahead.order(Order::Promote).unwrap_err().contains("webhooks must agree"));
}

#[test]
fn a_webhook_is_asked_once_the_people_have_agreed() {
    let both = format!("{{before: canary, group: risk}}, {{before: canary, webhook: {{name: board, {HOOK}}}}}");
    let mut hand = Hand::new(&format!("{SPEC}approvals: [{both}]\n"));
    hand.facts.starter = Some("key:ada".into());
    hand.after(0);
    hand.settle();
    hand.order(Order::Skip).unwrap();
    assert!(
        hand.last().sentence.ends_with("waits for 1 approval of group risk, then webhook board"),
        "{}",
        hand.last().sentence
    );
    assert_eq!((hand.gate(), hand.hears("board", Some(true), "answered 200")), (None, vec![]));
    hand.order_by("key:bob", &["risk"], Order::Approve).unwrap();
    assert_eq!(hand.last().kind, DecisionKind::Agreed);
    assert!(hand.last().sentence.ends_with("it waits for webhook board"), "{}", hand.last().sentence);
    assert!(hand.gate().is_some());
    assert_eq!(hand.after(1), [DecisionKind::Approved]);
    assert_eq!((hand.state.phase, hand.state.weight()), (Phase::Step, 0.05));
    assert_eq!(hand.last().sentence, "key:bob approved, webhook board agreed");
}

#[test]
fn a_webhook_that_does_not_agree_in_time_takes_everything_back() {
    let mut hand = before("promotion", ", expires: 1h");
    hand.order(Order::Promote).unwrap();
    hand.hears("board", Some(false), "answered 403: no");
    assert_eq!(hand.after(58), []);
    assert_eq!(hand.after(1), [DecisionKind::RolledBack]);
    let sentence = &hand.last().sentence;
    assert!(sentence.ends_with("webhook board answered 403: no; it did not agree within 1h"), "{sentence}");
    assert_eq!(hand.gate(), None, "nobody is asked any more");
}

/// What a rollout goes through with two canaries, until it has their weight.
#[test]
fn every_step_is_asked_about_where_the_file_says_so() {
    let steps = "  - canary: {weight: 5, minExposures: 100, minDuration: 10m}";
    let two = format!("{steps}\n{}", steps.replace("weight: 5", "weight: 20"));
    assert!(SPEC.contains(steps), "{SPEC}");
    let people = "{before: canary, group: risk}, {before: canary, group: legal, everyStep: true}";
    let hooks = format!("{{before: canary, everyStep: true, webhook: {{name: board, {HOOK}}}}}");
    let mut hand = Hand::new(&format!("{}approvals: [{people}, {hooks}]\n", SPEC.replacen(steps, &two, 1)));
    hand.facts.starter = Some("key:ada".into());
    hand.after(0);
    hand.settle();
    hand.order(Order::Skip).unwrap();
    assert!(
        hand.last().sentence.ends_with("1 approval of group risk and 1 approval of group legal, then webhook board"),
        "{}",
        hand.last().sentence
    );
    for (who, group) in [("key:bob", "risk"), ("key:eve", "legal")] {
        hand.order_by(who, &[group], Order::Approve).unwrap();
    }
    assert_eq!(hand.hears("board", Some(true), "answered 200"), [DecisionKind::Approved]);
    assert_eq!((hand.state.phase, hand.state.weight()), (Phase::Step, 0.05));
    hand.facts.webhooks.clear();
    // Before the second one those of every step are asked anew, and nobody else. No order goes past them.
    assert!(hand.order(Order::Promote).unwrap_err().contains("people or webhooks must agree"));
    hand.exposed(1000);
    assert_eq!(hand.after(11), [DecisionKind::ApprovalAsked]);
    assert!(hand.last().sentence.ends_with("waits for 1 approval of group legal, then webhook board"));
    assert_eq!((hand.state.weight(), hand.gate()), (0.05, None));
    hand.order_by("key:eve", &["legal"], Order::Approve).unwrap();
    assert_eq!(hand.gate(), Some((Some(ApprovalPoint::Canary), vec!["board".into()])));
    assert_eq!(hand.hears("board", Some(false), "answered 409: no"), [DecisionKind::Held]);
    assert_eq!(hand.hears("board", Some(true), "answered 200"), [DecisionKind::Approved]);
    assert_eq!((hand.state.phase, hand.state.weight(), hand.gate()), (Phase::Step, 0.2, None));
    assert_eq!(hand.state.approved, [ApprovalPoint::Canary]);
}
