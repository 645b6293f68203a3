use super::premises::Premises;
use super::*;
use clap::Parser;
use mainspring_rollout::simulate::{Labelling, ObservedLabel, Units};

/// What [`Assume`] takes from the command line.
#[derive(Debug, Parser)]
struct Flags {
    #[command(flatten)]
    assume: Assume,
}

/// The rest of it.
#[derive(Debug, Parser)]
struct Rest {
    #[command(flatten)]
    args: SimulateArgs,
}

fn args(baseline: &[&str]) -> SimulateArgs {
    let fixed = ["simulate", "-f", "rollout.yaml", "--per-hour", "1000"].into_iter();
    Rest::try_parse_from(fixed.chain(baseline.iter().flat_map(|text| ["--baseline", text]))).unwrap().args
}

fn spec(more: Value) -> RolloutSpec {
    let mut spec = json!({
        "deployment": "d", "candidates": [{"name": "v2", "model": "models:/m/2"}],
        "assignment": {"unit": "header:x-user-id"}, "steps": [{"canary": {"weight": 10}}],
        "metrics": {"guardrails": [
            {"name": "errors", "kind": "errors", "nonInferiority": 0.02},
            {"name": "right", "kind": "mean", "source": "label:correct", "nonInferiority": 0.02}
        ]}
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    serde_json::from_value(spec).unwrap()
}

fn effect(source: &str) -> RolloutSpec {
    spec(json!({"metrics": {"success": [{"name": "m", "kind": "mean", "source": source, "minEffect": 0.1}]}}))
}

fn given(baseline: &[&str], flags: &[&str], spec: &RolloutSpec) -> Result<Given, CliError> {
    let flags = Flags::try_parse_from(std::iter::once(&"simulate").chain(flags)).unwrap();
    Given::read(&args(baseline), &flags.assume, spec)
}

fn observed() -> Observed {
    let labelling = Labelling { coverage: 0.12, delays: vec![60_000_000, 7_200_000_000, 86_400_000_000] };
    let label = ObservedLabel { mean: 0.9, deviation: 0.0, labelling, between: (0, 0) };
    Observed {
        requests: 1500,
        seconds: 7200.0,
        units: Some(Units { requests: 1500, different: 200 }),
        labels: [("correct".to_owned(), label)].into(),
        outputs: [("score".to_owned(), (0.5, 0.2))].into(),
        ..Observed::default()
    }
}

/// What is assumed of one thing, and from where.
fn of(premises: &Premises, what: &str) -> (String, String) {
    let found = premises.assumptions.iter().find(|a| a.what == what);
    found.map_or_else(|| panic!("{what}: {:?}", premises.assumptions), |a| (a.value.clone(), a.from.clone()))
}

#[test]
fn the_journal_says_units_and_which_answers_have_labels_and_when() {
    let spec = spec(json!({}));
    let found = premises(&given(&[], &[], &spec).unwrap(), &spec, &observed()).unwrap();
    assert_eq!((found.world.population, found.warnings.len()), (Some(200), 0));
    assert_eq!(found.world.labelling["correct"], observed().labels["correct"].labelling);
    let (units, from) = of(&found, "units");
    assert_eq!(units, "200 in all: 200 different header:x-user-id in 1500 requests");
    assert!(from.contains("--population") && from.starts_with("the journal, its last 2.0 h"), "{from}");
    assert_eq!(of(&found, "answers with correct"), ("12.0 %, by chance".into(), "the journal".into()));
    let late = "2.0 h after the answer in the median, nearly all within 24.0 h";
    assert_eq!(of(&found, "correct comes"), (late.into(), "the journal".into()));
}

#[test]
fn flags_say_otherwise_and_a_wrong_one_is_refused() {
    let spec = spec(json!({}));
    let flags = ["--coverage", "correct=0.5", "--label-delay", "correct=30m", "--harm", "3"];
    let found = premises(&given(&[], &flags, &spec).unwrap(), &spec, &observed()).unwrap();
    let labelling = Labelling { coverage: 0.5, delays: vec![1_800_000_000] };
    assert_eq!((found.harm, &found.world.labelling["correct"]), (Some(3.0), &labelling));
    assert_eq!(of(&found, "answers with correct").1, "--coverage");
    assert_eq!(of(&found, "correct comes"), ("30 min after the answer".into(), "--label-delay".into()));
    assert_eq!(of(&found, "harm").1, "--harm");
    for wrong in [
        ["--coverage", "correct=1.5"],
        ["--coverage", "correct"],
        ["--label-delay", "correct=soon"],
        ["--coverage", "correkt=0.5"],
        ["--harm", "1"],
    ] {
        assert_eq!(given(&[], &wrong, &spec).unwrap_err().kind, ErrorKind::InvalidInput, "{wrong:?}");
    }
    assert!(given(&["correct=much"], &[], &spec).is_err());
}

#[test]
fn what_nobody_knows_is_assumed_and_says_which_flag_changes_it() {
    let spec = spec(json!({"approvals": [{"before": "promotion"}]}));
    let found = premises(&given(&["correct=0.9"], &[], &spec).unwrap(), &spec, &Observed::default()).unwrap();
    assert_eq!(found.world.population, None);
    assert!(found.warnings.len() == 1 && found.warnings[0].contains("--population"), "{:?}", found.warnings);
    let assumed = |what: &str| of(&found, what).1;
    assert_eq!(assumed("units"), "assumed; --population N says otherwise");
    assert_eq!(assumed("answers with correct"), "assumed; --coverage correct=PART says otherwise");
    assert_eq!(assumed("correct comes"), "assumed; --label-delay correct=DURATION says otherwise");
    assert_eq!(of(&found, "failures"), ("0.10 % of the answers".into(), "assumed".into()));
    assert_eq!(of(&found, "approvals"), ("given at once".into(), "assumed".into()));
    assert_eq!((found.harm, assumed("harm")), (Some(2.0), "assumed; --harm TIMES says otherwise".into()));
    assert!(found.warnings[0].contains("journal: {unit: \"header:x-user-id\"}"), "{:?}", found.warnings);
    let field = self::spec(json!({"assignment": {"unit": "field:user"}}));
    let found = premises(&given(&["correct=0.9"], &[], &field).unwrap(), &field, &Observed::default()).unwrap();
    assert!(
        found.warnings[0].contains("field:user") && !found.warnings[0].contains("journal:"),
        "{:?}",
        found.warnings
    );
    // What each request is by the file itself is no assumption.
    let request = self::spec(json!({"assignment": {"unit": "request"}}));
    let found = premises(&given(&["correct=0.9"], &[], &request).unwrap(), &request, &observed()).unwrap();
    assert_eq!((found.world.population, found.warnings.len(), of(&found, "units").1), (None, 0, "the file".into()));
}

#[test]
fn outputs_are_what_the_journal_has_or_a_baseline_says() {
    let spec = effect("output:score");
    let found = premises(&given(&[], &[], &spec).unwrap(), &spec, &observed()).unwrap();
    assert_eq!((found.harm, &found.world.variants[0].outputs["score"]), (None, &(0.5, 0.2)));
    assert_eq!(of(&found, "effect on m").0, "+0.1");
    let given = given(&["output:score=3:1"], &[], &spec).unwrap();
    let found = premises(&given, &spec, &Observed::default()).unwrap();
    assert_eq!(found.world.variants[0].outputs["score"], (3.0, 1.0));
    let refused = premises(&self::given(&[], &[], &spec).unwrap(), &spec, &Observed::default()).unwrap_err();
    assert!(refused.hint.unwrap().contains("--baseline output:score="));
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    let spec = effect("output:score");
    let mistaken = given(&["scor=0.5:0.2"], &[], &spec).unwrap_err();
    assert!(
        mistaken.message.contains("no metric of the file measures \"scor\"; it has output:score"),
        "{}",
        mistaken.message
    );
    for (flag, value) in [("--per-hour", "0"), ("--per-hour", "NaN"), ("--population", "0"), ("--runs", "0")] {
        let args = Rest::try_parse_from(["simulate", "-f", "r.yaml", flag, value]).unwrap().args;
        let flags = Flags::try_parse_from(["simulate"]).unwrap();
        assert!(Given::read(&args, &flags.assume, &spec).unwrap_err().message.contains(flag), "{flag} {value}");
    }
}

#[test]
fn guardrails_alone_are_forecast_and_a_better_one_needs_its_effect() {
    assert!(forecastable(&spec(json!({}))).is_ok());
    assert!(forecastable(&effect("latency")).is_ok());
    let vague = json!({"metrics": {"success": [{"name": "m", "kind": "mean", "source": "latency"}]}});
    assert!(forecastable(&spec(vague)).unwrap_err().hint.unwrap().contains("minEffect"));
}

#[test]
fn what_has_no_verdict_is_said_beside_the_median_of_the_others() {
    let ended = |part: f64, hours: Option<[f64; 2]>| Ended { part, hours };
    let times = Some([0.5, 3.0]);
    let same = Outcome { promoted: ended(0.75, times), rolled_back: ended(0.0, None), decided: ended(0.75, times) };
    let worse = Outcome { promoted: ended(0.0, None), rolled_back: ended(1.0, times), decided: ended(1.0, times) };
    let harmful = Harmful { metric: "errors".into(), stable: 0.001, candidate: 0.041, outcome: worse };
    let found = Forecast { runs: 20, better: None, same, harmful: vec![harmful] };
    let lines = [
        "\nof 20 rollouts each",
        "a harmless candidate",
        "  promoted in 75.0 %, after 30 min in the median and 3.0 h at nine of ten",
        "  rolled back in 0.0 %",
        "  no verdict in 25.0 %; then a person decides",
        "a harmful candidate, errors: 4.1 % fail instead of 0.10 % fail",
        "  promoted in 0.0 %",
        "  rolled back in 100.0 %, after 30 min in the median and 3.0 h at nine of ten",
        "  no verdict in 0.0 %",
    ];
    assert_eq!(sentences(&found, &spec(json!({}))), lines);
    let told = document(&found);
    assert_eq!((&told["power"], &told["same"]["undecided"]), (&Value::Null, &json!(0.25)));
    let told = document(&Forecast { better: Some(same), ..found });
    assert_eq!((&told["power"], &told["hours"], &told["falsePromotions"]), (&json!(0.75), &json!(times), &json!(0.75)));
}
