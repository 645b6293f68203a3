use super::*;

fn parse(yaml: &str) -> Result<DeploymentSpec, String> {
    serde_saphyr::from_str(yaml).map_err(|e| e.to_string())
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

#[test]
fn the_whole_spec_reads_and_writes_back() {
    let spec = parse(
        "model: models:/churn@champion\nengine: {instances: 3, batch: {maxRows: 32, maxDelay: 2ms}}\n\
         limits: {maxInFlight: 256, deadline: 250ms, maxRequestBytes: 64MiB}\n\
         journal: {sample: 0.5, redact: [email]}\ndefault: true\n",
    )
    .unwrap();
    assert_eq!(spec.engine.instances, Instances::Count(3));
    assert_eq!(spec.engine.batch, BatchSpec { max_rows: 32, max_delay: HumanDuration(Duration::from_millis(2)) });
    assert_eq!(spec.limits.deadline, Some(HumanDuration(Duration::from_millis(250))));
    assert_eq!(spec.limits.max_request_bytes, Some(ByteSize(64 << 20)));
    assert!(spec.default && spec.journal.redact == ["email"]);
    let json = serde_json::to_value(&spec).unwrap();
    assert_eq!(json["engine"]["batch"]["maxDelay"], "2ms");
    assert_eq!(json["limits"]["maxRequestBytes"], "64MiB");
    assert!(json.get("cache").is_none());
    assert_eq!(serde_json::from_value::<DeploymentSpec>(json).unwrap(), spec);
    spec.validate(&name("churn")).unwrap();
}

#[test]
fn a_model_alone_is_enough() {
    assert_eq!(parse("model: models:/m/1").unwrap(), DeploymentSpec::new("models:/m/1"));
    let auto = parse("{model: a, engine: {instances: auto}}").unwrap();
    assert_eq!(auto.engine.instances, Instances::Auto);
}

#[test]
fn a_cache_says_for_how_long_and_how_much() {
    let spec = parse("{model: a, cache: {ttl: 30s}}").unwrap();
    let cache = CacheSpec { ttl: HumanDuration(Duration::from_secs(30)), max_bytes: ByteSize(64 << 20) };
    assert_eq!(spec.cache, Some(cache));
    assert_eq!(serde_json::to_value(&spec).unwrap()["cache"]["maxBytes"], "64MiB");
    assert!(parse("{model: a, cache: {}}").unwrap_err().contains("ttl"));
    assert!(parse("{model: a, cache: {ttl: 1s, maxEntries: 3}}").unwrap_err().contains("maxEntries"));
    let check = |yaml: &str| parse(yaml).unwrap().validate(&name("m")).unwrap_err().to_string();
    assert!(check("{model: a, cache: {ttl: 0s}}").contains("cache.ttl is 0ms"));
    assert!(check("{model: a, cache: {ttl: 721h}}").contains("cache.ttl"));
    assert!(check("{model: a, cache: {ttl: 1s, maxBytes: 1KiB}}").contains("cache.maxBytes is 1KiB"));
}

#[test]
fn what_is_preferred_is_declared() {
    let spec = parse("{model: a, prefer: onnx}").unwrap();
    assert_eq!(spec.prefer, Some(Prefer::Onnx));
    assert_eq!(serde_json::to_value(&spec).unwrap()["prefer"], "onnx");
    assert!(parse("{model: a, prefer: torch}").unwrap_err().contains("torch"));
}

#[test]
fn the_process_of_a_model_is_declared() {
    let spec = parse(
        "{model: a, engine: {python: {env: shared, timeout: 5s, startTimeout: 1m, memory: 2GiB, showErrors: true}}}",
    )
    .unwrap();
    let python = &spec.engine.python;
    assert_eq!((python.env, python.memory, python.show_errors), (PythonEnv::Shared, Some(ByteSize(2 << 30)), true));
    assert_eq!(python.worker().timeout, Duration::from_secs(5));
    assert_eq!(PythonSpec::default().env, PythonEnv::Auto);
    assert!(parse("{model: a, engine: {python: {env: mine}}}").unwrap_err().contains("mine"));
    assert!(parse("{model: a, engine: {python: {environment: auto}}}").unwrap_err().contains("environment"));
    let check = |yaml: &str| parse(yaml).unwrap().validate(&name("m")).unwrap_err().to_string();
    assert!(check("{model: a, engine: {python: {timeout: 0s}}}").contains("engine.python.timeout is 0ms"));
    assert!(check("{model: a, engine: {python: {memory: 1MiB}}}").contains("engine.python.memory is 1MiB"));
}

#[test]
fn unknown_and_later_fields_are_refused_by_name() {
    assert!(parse("{model: a, modle: b}").unwrap_err().contains("modle"));
    assert!(parse("{model: a, limits: {maxInflight: 3}}").unwrap_err().contains("maxInflight"));
    for field in ["features: churn_v1", "scale: {min: 0}", "variants: []"] {
        let error = parse(&format!("{{model: a, {field}}}")).unwrap_err();
        let field = field.split(':').next().unwrap();
        assert!(error.contains(&format!("`{field}`")) && error.contains("not built yet"), "{error}");
    }
}

#[test]
fn what_a_deployment_promises_is_read_as_people_write_it() {
    let spec = parse("{model: a, slo: {availability: 99.9%, p99: 20ms, runbook: 'https://wiki/a'}}").unwrap();
    let slo = spec.slo.clone().unwrap();
    let all = slo.objectives();
    assert_eq!((all[0].0, all[1]), ("availability", ("p99", 0.99, Some(Duration::from_millis(20)))));
    assert!((all[0].1 - 0.999).abs() < 1e-12 && slo.minimum == 20);
    let again: DeploymentSpec = serde_json::from_value(serde_json::to_value(&spec).unwrap()).unwrap();
    assert_eq!(again, spec);
    assert!(parse("{model: a, slo: {availability: 99.9}}").is_err());
    assert!(parse("{model: a, slo: {availability: '999%'}}").unwrap_err().contains("99.9%"));
    let check =
        |slo: &str| parse(&format!("{{model: a, slo: {slo}}}")).unwrap().validate(&name("m")).unwrap_err().to_string();
    assert!(check("{availability: 100%}").contains("slo.availability is 100%"));
    assert!(check("{p95: 0ms}").contains("slo.p95 is 0ms"));
    assert!(check("{}").contains("slo is empty"));
    assert!(check("{p99: 1s, minimum: 0}").contains("slo.minimum"));
    assert!(check("{p99: 1s, runbook: wiki}").contains("slo.runbook"));
}

#[test]
fn values_out_of_range_are_refused_by_name() {
    let check = |yaml: &str| parse(yaml).unwrap().validate(&name("m")).unwrap_err().to_string();
    assert!(check("{model: ''}").contains("model is empty"));
    assert!(check("{model: a, journal: {sample: 1.5}}").contains("journal.sample is 1.5"));
    assert!(check("{model: a, engine: {batch: {maxRows: 0}}}").contains("engine.batch.maxRows"));
    assert!(check("{model: a, engine: {batch: {maxDelay: 1m}}}").contains("engine.batch.maxDelay is 1m"));
    assert!(check("{model: a, engine: {instances: 0}}").contains("engine.instances"));
    assert!(check("{model: a, limits: {maxInFlight: 0}}").contains("limits.maxInFlight"));
    assert!(check("{model: a, limits: {deadline: 0s}}").contains("limits.deadline"));
    let reserved = DeploymentSpec::new("a").validate(&name("stats")).unwrap_err();
    assert!(reserved.to_string().contains("stats"));
}

#[test]
fn units_are_read_as_people_write_them() {
    for (text, ns) in [
        ("14d", 1_209_600_000_000_000_u64),
        ("500us", 500_000),
        ("2ms", 2_000_000),
        ("1.5s", 1_500_000_000),
        ("10 m", 600_000_000_000),
    ] {
        assert_eq!(text.parse::<HumanDuration>().unwrap().0, Duration::from_nanos(ns), "{text}");
    }
    for text in ["", "5", "ms", "-1s", "1 fortnight", "1e400s", "99999999999999999999h", "..s"] {
        assert!(text.parse::<HumanDuration>().is_err(), "{text}");
    }
    assert_eq!("10MB".parse(), Ok(ByteSize(10_000_000)));
    assert_eq!("0.5KiB".parse(), Ok(ByteSize(512)));
    assert!("10mb".parse::<ByteSize>().unwrap_err().contains("64MiB"));
}

#[test]
fn the_schema_names_what_is_not_built() {
    let schema = serde_json::to_value(schemars::schema_for!(DeploymentSpec)).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    assert!(schema["properties"]["scale"]["not"].is_object());
    assert_eq!(schema["required"], serde_json::json!(["model"]));
}

proptest::proptest! {
    #[test]
    fn any_duration_survives_its_text(us in 0_u64..10_000_000_000) {
        let duration = HumanDuration(Duration::from_micros(us));
        proptest::prop_assert_eq!(duration.to_string().parse::<HumanDuration>().unwrap(), duration);
    }

    #[test]
    fn any_size_survives_its_text(bytes in proptest::num::u64::ANY) {
        proptest::prop_assert_eq!(ByteSize(bytes).to_string().parse::<ByteSize>().unwrap(), ByteSize(bytes));
    }

    #[test]
    fn any_text_is_a_spec_or_an_error(text in ".{0,200}") {
        let _ = parse(&text);
    }
}

#[test]
fn rules_are_declared_and_what_cannot_be_is_refused() {
    let between = "{type: expect_column_values_to_be_between, kwargs: {column: age, max_value: 9}";
    let spec = parse(&format!("{{model: a, rules: {{action: reject, expectations: [{between}}}]}}}}")).unwrap();
    spec.validate(&name("m")).unwrap();
    let rules = spec.rules.clone().unwrap();
    assert_eq!(
        (rules.names(), rules.action_of(&rules.expectations[0])),
        (vec!["age:between".to_owned()], RuleAction::Reject)
    );
    assert_eq!(serde_json::from_value::<DeploymentSpec>(serde_json::to_value(&spec).unwrap()).unwrap(), spec);
    let check = |rules: &str| {
        let spec = parse(&format!("{{model: a, rules: {rules}}}")).unwrap();
        spec.validate(&name("m")).unwrap_err().to_string()
    };
    assert!(check("{expectations: []}").contains("one rule to 64"));
    assert!(check(&format!("{{expectations: [{between}, name: 'a,b'}}]}}")).contains("a,b"));
    assert!(check(&format!("{{expectations: [{between}, name: a}}, {between}, name: a}}]}}")).contains("twice"));
    let many = vec![format!("{between}}}"); MOST_RULES + 1].join(", ");
    assert!(check(&format!("{{expectations: [{many}]}}")).contains("a list of 65"));
    for (alert, field) in
        [("over: 100%", "over"), ("over: 1%, window: 7m", "window"), ("over: 1%, minimum: 0", "minimum")]
    {
        let said = check(&format!("{{expectations: [{between}}}], alert: {{{alert}}}}}"));
        assert!(said.contains(&format!("rules.alert.{field}")), "{said}");
    }
    assert!(parse("{model: a, rules: {action: drop, expectations: []}}").unwrap_err().contains("drop"));
}
