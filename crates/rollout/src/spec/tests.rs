use super::*;
use std::str::FromStr;

const WHOLE: &str = "
deployment: churn
candidates: [{name: v8, model: models:/churn/8}]
assignment:
  unit: header:x-user-id
  salt: churn-2026q4
  layer: {name: pricing, places: [40, 60], place: 2}
  holdout: {name: '2026', percent: 2}
preflight: {signature: true, replay: {requests: 500, minRequests: 50, tolerance: {absolute: 0.001}}, gates: [{metric: auc, min: 0.9}], timeout: 10m}
steps:
  - shadow: {percent: 20, maxInFlight: 32, duration: 30m, compare: {output: score, maxMeanAbsDiff: 0.02}}
  - canary: {weight: 1, minExposures: 2000, minDuration: 10m}
  - canary: {weight: 5}
  - abTest: {weight: 50, maxDuration: 14d}
warmupExclude: 60s
maxDuration: 21d
metrics:
  guardrails:
    - {name: errors, kind: errors}
    - {name: p99, kind: quantile, source: latency, q: 0.99, margin: 1.1}
    - {name: chargeback, kind: mean, source: 'label:chargeback', direction: down, nonInferiority: 0.002, delay: 7d}
  success: [{name: accepted, kind: mean, source: 'label:accepted', cuped: {covariate: 'input:visits'}, minEffect: 0.01}]
  signals: [{name: score, source: 'output:score', maxShift: 0.2}]
  quality: {srm: {alpha: 0.001}, multipleExposure: {maxPercent: 1}, noData: {after: 30m}}
hardLimits: {errorRate: 0.2, p99: 2s, window: 30s, minRequests: 50}
decision: {ship: better, alpha: 0.05, atMaxDuration: review, onNoNews: {hold: 5m, then: rollback}}
rollback: {window: 7d, keepWarm: 10m, cooldown: 24h}
approvals: [{before: abTest}]
";

pub(crate) fn parse(yaml: &str) -> Result<RolloutSpec, String> {
    serde_saphyr::from_str(yaml).map_err(|e| e.to_string())
}

#[test]
fn the_whole_spec_reads_writes_back_and_is_valid() {
    let spec = parse(WHOLE).unwrap();
    spec.validate().unwrap();
    assert_eq!(spec.ship(), Ship::Better);
    let json = serde_json::to_value(&spec).unwrap();
    assert_eq!(json["steps"][3]["abTest"]["maxDuration"], "14d");
    assert_eq!(json["metrics"]["guardrails"][2]["source"], "label:chargeback");
    assert_eq!(serde_json::from_value::<RolloutSpec>(json).unwrap(), spec);
}

/// The whole spec with one thing replaced.
fn spoiled(from: &str, to: &str) -> String {
    assert!(WHOLE.contains(from), "{from}");
    let to = to.replace("HOOK", "{name: a, url: 'https://a.example.com/', secret: {file: a}}");
    match parse(&WHOLE.replacen(from, &to, 1)) {
        Err(error) => error,
        Ok(spec) => spec.validate().unwrap_err().to_string(),
    }
}

#[test]
fn a_test_fits_its_metric_and_has_what_it_needs() {
    let accepted = "success: [{name: accepted, kind: mean, source: 'label:accepted', cuped: {covariate: 'input:visits'}, minEffect: 0.01";
    let with = |more: &str| (accepted, format!("{accepted}, {more}"));
    let errors = |more: &str| ("{name: errors, kind: errors", format!("{{name: errors, kind: errors, {more}"));
    for ((from, to), says) in [
        (
            with("test: betting"),
            "metrics.success[0].test: betting does not fit kind mean; what does: asymptotic, msprt, groupSequential",
        ),
        (
            errors("test: msprt"),
            "metrics.guardrails[0].test: msprt does not fit kind errors; what does: rateRatio, betting",
        ),
        (
            ("margin: 1.1", "margin: 1.1, test: asymptotic".to_owned()),
            "does not fit kind quantile; what does: exceedance",
        ),
        (errors("test: betting, margin: 1.2"), "metrics.guardrails[0].margin: betting tests a difference"),
        (with("test: groupSequential"), "metrics.success[0].maxUnits: groupSequential needs a known end"),
        (with("test: groupSequential, maxUnits: 100"), "metrics.success[0].maxUnits: must be 400"),
        (with("test: groupSequential, maxUnits: 1000, looks: 21"), "metrics.success[0].looks: must be 1 to 20"),
        (with("maxUnits: 1000"), "metrics.success[0].maxUnits: only `test: groupSequential`"),
        (with("tau: 1"), "metrics.success[0].tau: only `test: msprt`"),
        (with("test: msprt, tau: 0"), "metrics.success[0].tau: must be more than 0"),
        (with("alpha: 0.7"), "metrics.success[0].alpha: 0.7 is no error rate"),
        (with("alpha: 0.05"), "metrics: the metrics' own error rates are 0.05 together, of the 0.05"),
    ] {
        let spoiled = spoiled(from, &to);
        assert!(spoiled.contains(says), "{to}: {spoiled}");
    }
    let fits = WHOLE.replacen(accepted, &format!("{accepted}, test: msprt, alpha: 0.02"), 1);
    parse(&fits).unwrap().validate().unwrap();
    // Without a smallest effect nothing says how large effects are.
    let unknown = fits.replacen(", minEffect: 0.01", "", 1);
    assert!(parse(&unknown).unwrap().validate().unwrap_err().to_string().contains("give tau or minEffect"));
}

#[test]
fn what_own_rates_leave_is_shared_by_the_others() {
    let text = "
deployment: d
candidates: [{name: b, model: 'models:/m/2'}, {name: c, model: 'models:/m/3'}]
steps: [{bandit: {maxDuration: 1d}}]
metrics:
  guardrails: [{name: errors, kind: errors, alpha: 0.01}, {name: p95, kind: quantile, source: latency}]
  success: [{name: a, kind: mean, source: 'label:a', alpha: 0.02}, {name: b, kind: mean, source: 'label:b'}, {name: c, kind: mean, source: 'label:c'}]
";
    let spec = parse(text).unwrap();
    spec.validate().unwrap();
    let plan = crate::ledger::Plan::of(&spec);
    let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
    // Of 2.5 % a candidate, 0.5 and 1 are given; three share 1 for harm, two share 1.5 for being better.
    for (at, harm, holds, better) in
        [(0, 0.005, 0.005, 0.005), (1, 0.01 / 3.0, 0.025, 0.025), (2, 0.01, 0.01, 0.01), (3, 0.01 / 3.0, 0.025, 0.0075)]
    {
        let rates = plan.metrics[at].rates;
        assert!(near(rates.harm, harm) && near(rates.holds, holds) && near(rates.better, better), "{at}: {rates:?}");
    }
    let grouped = text.replacen("source: 'label:b'", "source: 'label:b', test: groupSequential, maxUnits: 4000", 1);
    let refused = parse(&grouped).unwrap().validate().unwrap_err().to_string();
    assert!(refused.starts_with("metrics.success[1].test: a bandit moves its weights"), "{refused}");
    // Its interval would be wrong where nothing is decided, too.
    let shown =
        "report: [{name: shown, kind: mean, source: 'label:b', test: groupSequential, maxUnits: 4000}]\n  success:";
    let refused = parse(&text.replacen("success:", shown, 1)).unwrap().validate().unwrap_err().to_string();
    assert!(refused.starts_with("metrics.report[0].test: a bandit moves its weights"), "{refused}");
}

#[test]
fn each_fault_is_named_with_its_path() {
    for (from, to, says) in [
        ("name: v8", "name: stable", "candidates[0].name"),
        ("[{name: v8, model: models:/churn/8}]", "[]", "candidates: name one"),
        ("header:x-user-id", "'cookie:'", "assignment.unit"),
        ("places: [40, 60]", "places: [60, 60]", "assignment.layer.places"),
        ("place: 2", "place: 3", "assignment.layer.place"),
        ("percent: 2}", "percent: 0}", "assignment.holdout.percent"),
        ("min: 0.9", "metric2: 1", "metric2"),
        ("tolerance: {absolute: 0.001}", "maxInFlight: 4", "preflight.replay: say what must hold"),
        ("absolute: 0.001", "absolute: -1", "preflight.replay.tolerance.absolute"),
        ("minRequests: 50", "minRequests: 501", "preflight.replay.minRequests"),
        ("minRequests: 50", "golden: 's3://b/golden.jsonl'", "preflight.replay.golden"),
        ("canary: {weight: 5}", "canary: {weight: 0.5}", "steps[2]: 0.5 percent after 1"),
        ("canary: {weight: 5}", "canary: {weight: 100}", "steps[2].canary.weight"),
        ("srm: {alpha: 0.001}", "srm: {onFail: explode}", "unknown variant `explode`"),
        (
            "  signals:",
            "  report: [{name: long, kind: mean, source: 'output:long', nonInferiority: 1}]\n  signals:",
            "metrics.report[0].nonInferiority: only a guardrail",
        ),
        (
            "  signals:",
            "  report: [{name: score, kind: quantile, source: latency}]\n  signals:",
            "metrics.signals[0].name: another metric has this name",
        ),
        (
            "canary: {weight: 5}",
            "canary: {weight: 5}\n    abTest: {maxDuration: 1d}",
            "steps[2]: a step is exactly one",
        ),
        ("canary: {weight: 5}", "shadow: {percent: 5, duration: 1m}", "steps[2].shadow"),
        ("canary: {weight: 5}", "contextualBandit: {maxDuration: 1d}", "features"),
        ("abTest: {weight: 50, maxDuration: 14d}", "bandit: {maxDuration: 14d}", "steps[3].bandit: a bandit needs two"),
        ("models:/churn/8}]", "models:/churn/8}, {name: v8, model: models:/churn/9}]", "candidates[1].name"),
        (
            "models:/churn/8}]",
            "models:/churn/8}, {name: v9, model: models:/churn/9}]",
            "steps[0].shadow: a shadow has one",
        ),
        ("covariate: 'input:visits'", "covariate: 'label:visits'", "write before:28d or input:NAME"),
        ("'input:visits'", "'before:1000d'", "metrics.success[0].cuped.covariate"),
        ("q: 0.99, margin: 1.1", "q: 0.99, cuped: {covariate: 'input:age'}", "metrics.guardrails[1].cuped"),
        ("q: 0.99", "q: 1.5", "metrics.guardrails[1].q"),
        ("margin: 1.1", "margin: 0.9", "metrics.guardrails[1].margin"),
        ("nonInferiority: 0.002, ", "", "metrics.guardrails[2].nonInferiority"),
        ("source: latency", "source: lag", "latency, label:NAME or output:NAME"),
        ("name: accepted", "name: errors", "metrics.success[0].name"),
        ("kind: mean, source: 'label:accepted'", "kind: errors", "metrics.success[0].kind"),
        ("q: 0.99, margin: 1.1", "q: 0.99, binary: true", "metrics.guardrails[1].binary"),
        ("maxShift: 0.2", "maxShift: 0.2, psi: 0.2", "metrics.signals[0]"),
        ("maxShift: 0.2", "psi: -0.1", "metrics.signals[0].psi"),
        (", maxShift: 0.2", "", "say one of them"),
        ("alpha: 0.05", "alpha: 0.9", "decision.alpha"),
        ("errorRate: 0.2, p99: 2s, ", "", "hardLimits"),
        ("cooldown: 24h", "notify: [webhook]", "`notify`"),
        ("before: abTest", "before: abTest, approvals: 0", "approvals[0].approvals"),
        ("before: abTest", "before: abTest, group: risk, expires: 0s", "approvals[0].expires"),
        ("before: abTest", "before: abTest, group: risk, webhook: HOOK", "approvals[0].webhook"),
        ("before: abTest", "before: promotion, everyStep: true", "approvals[0].everyStep"),
        ("before: abTest", "before: bandit, group: risk", "approvals[0].before"),
        ("window: 7d", "window: 6d", "metrics.guardrails[2].delay"),
        (
            "  - canary: {weight: 1,",
            "  - shadow: {percent: 20, duration: 30m, compare: {output: score, maxMeanAbsDiff: 0.1}}\n  - canary: {weight: 1,",
            "the same `compare`",
        ),
        (
            "before: abTest",
            "before: abTest, webhook: HOOK}, {before: abTest, webhook: HOOK",
            "approvals[1].webhook.name",
        ),
        ("signature: true", "webhooks: [HOOK, HOOK]", "preflight.webhooks[1].name"),
        ("signature: true", "webhooks: [{name: a, url: 'ftp://x', secret: {file: a}}]", "preflight.webhooks[0].url"),
        (
            "signature: true",
            "webhooks: [{name: a, url: 'http://x', secret: {env: HOME}}]",
            "preflight.webhooks[0].secret",
        ),
        (
            "signature: true",
            "webhooks: [{name: a, url: 'http://x', secret: {file: a}, timeout: 2m}]",
            "preflight.webhooks[0].timeout",
        ),
        ("maxDuration: 21d", "maxDuration: 0s", "maxDuration"),
    ] {
        let error = spoiled(from, to);
        assert!(error.contains(says), "{to}: {error}");
    }
}

#[test]
fn what_could_never_ship_is_refused() {
    let bare = "deployment: d\ncandidates: [{name: b, model: models:/m/2}]\nsteps: [{canary: {weight: 5}}]\n";
    let error = parse(bare).unwrap().validate().unwrap_err();
    assert_eq!(error.path, "decision.ship");
    let weak = parse(&format!("{bare}decision: {{ship: noHarm}}")).unwrap();
    weak.validate().unwrap();
    let better = parse(&format!("{bare}decision: {{ship: better}}")).unwrap();
    assert_eq!(better.validate().unwrap_err().path, "decision.ship");
}

#[test]
fn a_source_is_its_text() {
    for text in ["latency", "label:a:b", "output:score"] {
        assert_eq!(Source::from_str(text).unwrap().to_string(), text);
    }
    assert!(Source::from_str("label:").is_err());
}

#[test]
fn the_kind_finds_keys_in_every_step() {
    let kind = crate::kind();
    let yaml = |step: &str| {
        format!(
            "apiVersion: mainspring/v1\nkind: Rollout\nname: r\ndeployment: d\ncandidates: [{{name: b, model: models:/m/2}}]\n\
             steps: [{{{step}}}]\ndecision: {{ship: noHarm}}\n"
        )
    };
    let check = |step: &str| {
        let documents = mainspring_resource::parse(&yaml(step), "r.yaml").unwrap();
        kind.check(&documents[0]).map_err(|e| e.to_string())
    };
    check("canary: {weight: 5}").unwrap();
    check("abTest: {maxDuration: 1d}").unwrap();
    assert!(check("canary: {wieght: 5}").unwrap_err().contains("weight"));
    assert!(check("contextualBandit: {}").unwrap_err().contains("features"));
}

const BANDIT: &str = "
deployment: churn
candidates: [{name: v8, model: models:/churn/8}, {name: v9, model: models:/churn/9}]
steps: [{canary: {weight: 10}}, {bandit: {metric: accepted, period: 30m, minWeight: 5, maxDuration: 14d}}]
metrics: {success: [{name: accepted, kind: mean, source: 'label:accepted'}]}
approvals: [{before: bandit}]
";

#[test]
fn a_bandit_reads_and_its_faults_are_named() {
    let spec = parse(BANDIT).unwrap();
    spec.validate().unwrap();
    assert_eq!(spec.steps[1].title(), "bandit");
    let written = serde_json::to_value(&spec).unwrap();
    assert_eq!(written["steps"][1]["bandit"]["bestAt"], 99.0);
    assert_eq!(serde_json::from_value::<RolloutSpec>(written).unwrap(), spec);
    for (from, to, says) in [
        ("metric: accepted, ", "metric: liked, ", "steps[1].bandit.metric: a bandit learns from"),
        ("kind: mean, source", "kind: ratio, over: 'label:shown', source", "steps[1].bandit.metric"),
        ("minWeight: 5", "minWeight: 34", "steps[1].bandit.minWeight"),
        ("minWeight: 5", "bestAt: 100", "steps[1].bandit.bestAt"),
        ("period: 30m", "period: 0s", "steps[1].bandit.period"),
        ("maxDuration: 14d", "maxDuration: 20m", "steps[1].bandit.maxDuration"),
        ("[{canary: {weight: 10}}, ", "[", "ok"),
        (
            "maxDuration: 14d}}]",
            "maxDuration: 14d}}, {canary: {weight: 100}}]",
            "steps[1].bandit: a bandit is the last",
        ),
        (", {name: v9, model: models:/churn/9}", "", "steps[1].bandit: a bandit needs two"),
    ] {
        let spoiled = parse(&BANDIT.replacen(from, to, 1)).map(|spec| spec.validate());
        let said = spoiled.map_or_else(|e| e, |r| r.map_or_else(|e| e.to_string(), |()| "ok".to_owned()));
        assert!(said.contains(says), "{to}: {said}");
    }
}

const CONTEXTUAL: &str = "
deployment: churn
candidates: [{name: v8, model: models:/churn/8}]
steps:
  - canary: {weight: 10}
  - contextualBandit:
      features: [{input: age, cuts: [30, 50]}, {input: country, values: [de, fr]}]
      minWeight: 5
      maxDuration: 14d
metrics: {success: [{name: accepted, kind: mean, source: 'label:accepted'}]}
approvals: [{before: bandit}]
";

#[test]
fn a_contextual_bandit_reads_and_its_faults_are_named() {
    let spec = parse(CONTEXTUAL).unwrap();
    spec.validate().unwrap();
    assert_eq!(spec.steps[1].title(), "contextual bandit");
    assert_eq!(spec.steps[1].contextual_bandit.as_ref().unwrap().contexts().unwrap().count(), 12);
    let written = serde_json::to_value(&spec).unwrap();
    assert_eq!(serde_json::from_value::<RolloutSpec>(written).unwrap(), spec);
    for (from, to, says) in [
        ("cuts: [30, 50]", "cuts: [50, 30]", "steps[1].contextualBandit.features: the cuts of \"age\""),
        ("cuts: [30, 50]", "cuts: [30], values: [a]", "features[0]: give cuts or values"),
        ("cuts: [30, 50]", "cuts: []", "features[0]: give cuts or values"),
        ("values: [de, fr]", "values: [de, de]", "the values of \"country\""),
        ("input: country", "input: age", "each of another input"),
        ("input: country", "input: ''", "features[1].input"),
        (
            "cuts: [30, 50]",
            "cuts: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]",
            "66 contexts",
        ),
        ("minWeight: 5", "minWeight: 51", "steps[1].contextualBandit.minWeight"),
        ("minWeight: 5", "metric: other", "steps[1].contextualBandit.metric"),
        ("maxDuration: 14d", "period: 15d\n      maxDuration: 14d", "contextualBandit.maxDuration"),
        ("      maxDuration: 14d\n", "", "ok"),
        ("  - canary: {weight: 10}\n", "", "ok"),
    ] {
        assert!(CONTEXTUAL.contains(from), "{from}");
        let spoiled = parse(&CONTEXTUAL.replacen(from, to, 1)).map(|spec| spec.validate());
        let said = spoiled.map_or_else(|e| e, |r| r.map_or_else(|e| e.to_string(), |()| "ok".to_owned()));
        assert!(said.contains(says), "{to}: {said}");
    }
}
