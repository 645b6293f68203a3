use super::*;
use crate::spec::RuleSpec;
use crate::testing::{Rig, name, request};
use crate::{Deploy, DeploymentSpec, ReadStats, State};
use mainspring_core::{ErrorKind, Failure, Outcome};
use serde_json::json;

/// `most`: a value may be as large as that; a negative one is not what the rule is about. `none` cannot be made ready.
#[derive(Debug)]
struct Most(Vec<f64>);

impl RuleMaker for Most {
    fn make(&self, rules: &RulesSpec, _: &Contract) -> Result<Arc<dyn RowRules>, RuleError> {
        let limit = |(at, (name, rule)): (usize, (String, &RuleSpec))| {
            let most = rule.kwargs.get("most").and_then(serde_json::Value::as_f64);
            most.ok_or_else(|| RuleError { at, name, reason: "there is no such column".into() })
        };
        let rules = rules.names().into_iter().zip(&rules.expectations).enumerate();
        Ok(Arc::new(Self(rules.map(limit).collect::<Result<_, _>>()?)))
    }
}

impl RowRules for Most {
    fn look(&self, inputs: &[NamedTensor], rows: usize, tell: &mut dyn FnMut(Seen)) {
        let values = inputs[0].tensor.to_vec::<f32>().unwrap();
        assert_eq!(values.len(), rows);
        for (rule, most) in self.0.iter().enumerate() {
            for (row, value) in values.iter().map(|v| f64::from(*v)).enumerate() {
                if value < 0.0 || value > *most {
                    tell(Seen { rule, row, broken: value > *most });
                }
            }
        }
    }

    fn why(&self, rule: usize, _: &[NamedTensor], _: usize) -> String {
        format!("the value is above {}", self.0[rule])
    }
}

fn rules(each: &[(&str, f64, RuleAction)]) -> RulesSpec {
    let rule = |(name, most, action): &(&str, f64, RuleAction)| json!({"name": name, "type": "expect_most", "kwargs": {"most": most}, "action": action});
    serde_json::from_value(json!({"expectations": each.iter().map(rule).collect::<Vec<_>>()})).unwrap()
}

async fn rig(each: &[(&str, f64, RuleAction)]) -> Rig {
    let mut rig = Rig::new();
    rig.serving = rig.serving.ruled_by(Arc::new(Most(Vec::new())));
    rig.shelf.put("1", "quick 2");
    rig.deploy("m", |spec| spec.rules = Some(rules(each))).unwrap();
    assert!(rig.settled("m").await.ready());
    rig
}

fn counted(rig: &Rig) -> Vec<(u64, u64, u64)> {
    let stats = rig.serving.stats(&rig.auth(ReadStats { deployment: Some(name("m")) }));
    stats[0].rules.iter().map(|r| (r.looked, r.broken, r.requests)).collect()
}

#[tokio::test]
async fn a_refused_row_never_reaches_the_model_and_is_in_the_journal() {
    let rig = rig(&[("small", 10.0, RuleAction::Reject), ("tiny", 5.0, RuleAction::Flag)]).await;
    let before = rig.stats().execution_count;
    let error = rig.ask(&[1.0, 7.0, 11.0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let said = error.to_string();
    assert!(said.contains("row 2: the value is above 10, against rule \"small\" (expect_most)"), "{said}");
    assert!(error.hint().unwrap().contains("mainspring rules m"));
    assert_eq!(rig.stats().execution_count, before, "the model was not asked");
    let kept = rig.sink.0.lock().pop().unwrap();
    let Outcome::Failed { kind, message } = &kept.outcome else { panic!("{:?}", kept.outcome) };
    assert_eq!((*kind, &**message), (ErrorKind::InvalidInput, &*said));
    assert_eq!(
        kept.flags.as_deref(),
        Some(&[Some("small,tiny".into())][..]),
        "every rule that it broke, on its one line"
    );
    assert_eq!(counted(&rig), [(3, 1, 1), (3, 2, 1)]);
    assert_eq!(rig.ask(&[7.0]).await.unwrap(), [9.0], "what only another rule minds is answered");
}

#[tokio::test]
async fn a_flagged_row_is_answered_and_said_so_beside_it() {
    let rig = rig(&[("tiny", 5.0, RuleAction::Flag), ("none", 0.0, RuleAction::Count)]).await;
    let answer = rig.infer(request(&[1.0, 7.0, -1.0])).await.unwrap();
    assert_eq!(answer.outputs[0].tensor.to_vec::<f32>().unwrap(), [3.0, 9.0, 1.0]);
    assert_eq!(answer.flags.as_deref(), Some("tiny"), "what is only counted is not said");
    answer.encoded().await.unwrap();
    let kept = rig.sink.0.lock().pop().unwrap();
    assert_eq!((&kept.outcome, kept.flags.as_deref()), (&Outcome::Ok, Some(&[None, Some("tiny".into()), None][..])));
    assert_eq!(counted(&rig), [(2, 1, 1), (2, 2, 1)], "a rule is not about the negative one");
    let clean = rig.infer(request(&[1.0])).await.unwrap();
    assert_eq!(clean.flags, None);
    drop(clean);
    assert_eq!(rig.sink.0.lock().pop().unwrap().flags, None);
}

#[tokio::test]
async fn counts_outlive_versions_and_rules_change_without_loading_anything() {
    let rig = rig(&[("tiny", 5.0, RuleAction::Flag)]).await;
    rig.ask(&[7.0]).await.unwrap();
    rig.shelf.put("2", "quick 3");
    rig.shelf.point("2");
    while rig.stats().target.version.as_ref() != "2" {
        rig.settled("m").await;
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.ask(&[7.0]).await.unwrap(), [10.0]);
    assert_eq!(counted(&rig), [(2, 2, 2)]);
    // The version before may still be closing.
    while rig.engine.loaded.load(Ordering::SeqCst) > 1 {
        tokio::task::yield_now().await;
    }
    let loaded = rig.engine.loaded.load(Ordering::SeqCst);
    let two = [("tiny", 5.0, RuleAction::Reject), ("small", 6.0, RuleAction::Count)];
    rig.deploy("m", |spec| spec.rules = Some(rules(&two))).unwrap();
    rig.settled("m").await;
    assert_eq!(counted(&rig), [(2, 2, 2), (0, 0, 0)], "a rule that says the same counts on; a new one begins");
    assert!(rig.ask(&[7.0]).await.is_err());
    rig.deploy("m", |_| {}).unwrap();
    rig.settled("m").await;
    assert_eq!(rig.ask(&[7.0]).await.unwrap(), [10.0]);
    assert!(counted(&rig).is_empty());
    assert_eq!(rig.engine.loaded.load(Ordering::SeqCst), loaded);
}

#[tokio::test]
async fn rules_that_cannot_hold_a_models_rows_leave_what_answers_in_place() {
    let rig = rig(&[("tiny", 5.0, RuleAction::Reject)]).await;
    let mut spec = DeploymentSpec::new("models:/m@champion");
    let mut wrong = rules(&[("tiny", 5.0, RuleAction::Reject)]);
    wrong.expectations[0].kwargs.clear();
    spec.rules = Some(wrong);
    rig.serving.deploy(&rig.auth(Deploy { deployment: name("m") }), spec).unwrap();
    let view = rig.settled("m").await;
    assert_eq!(view.state, State::Ready);
    assert!(view.reason.unwrap().contains("rules.expectations[0], \"tiny\": there is no such column"));
    assert!(rig.ask(&[7.0]).await.is_err(), "the rules before hold on");
}

#[test]
fn a_rule_is_called_by_its_column_and_what_it_says() {
    let spec: RulesSpec = serde_json::from_value(json!({"action": "reject", "expectations": [
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "age, years", "max_value": 1}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "age, years", "max_value": 2}, "severity": "warning"},
        {"type": "expect_column_pair_values_a_to_be_greater_than_b", "kwargs": {"column_A": "a", "column_B": "b"}, "severity": "info"},
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "x"}, "name": "there", "severity": "info", "action": "reject"},
    ]}))
    .unwrap();
    assert_eq!(spec.names(), ["age__years:between", "age__years:between-2", "a:a_to_be_greater_than_b", "there"]);
    let actions: Vec<_> = spec.expectations.iter().map(|rule| spec.action_of(rule).as_str()).collect();
    assert_eq!(actions, ["reject", "flag", "count", "reject"], "a severity says what happens where no action does");
}
