//! The search language: what it reads, what it refuses, and that nothing makes it panic.

use super::parser::{parse_filter, parse_order};
use super::{EXPERIMENTS, Field, LOGGED_MODELS, MODELS, Op, Operand, RUNS, VERSIONS, Vocabulary};
use proptest::prelude::*;

fn one(words: &Vocabulary, text: &str) -> (Field, Op, Operand) {
    let mut clauses = words.filter(text).unwrap();
    assert_eq!(clauses.len(), 1, "{text}");
    let c = clauses.remove(0);
    (c.field, c.op, c.value)
}

fn refused(words: &Vocabulary, text: &str) -> String {
    words.filter(text).expect_err(text).to_string()
}

#[test]
fn reads_every_kind_of_clause_of_runs() {
    let metric = |k: &str| Field::Metric(k.into());
    let text = |t: &str| Operand::Text(t.into());
    assert_eq!(one(&RUNS, "metrics.loss < 0.5"), (metric("loss"), Op::Lt, Operand::Real(0.5)));
    assert_eq!(one(&RUNS, "metric.`a b` >= -1e-3"), (metric("a b"), Op::Ge, Operand::Real(-0.001)));
    assert_eq!(one(&RUNS, "metrics.\"x/y\" != 3"), (metric("x/y"), Op::Ne, Operand::Real(3.0)));
    assert_eq!(one(&RUNS, "params.lr = '0.1'"), (Field::Param("lr".into()), Op::Eq, text("0.1")));
    assert_eq!(one(&RUNS, "param.lr = \"0.1\""), (Field::Param("lr".into()), Op::Eq, text("0.1")));
    assert_eq!(one(&RUNS, "tags.mlflow.user LIKE 'a%'"), (Field::Tag("mlflow.user".into()), Op::Like, text("a%")));
    assert_eq!(one(&RUNS, "tags.`mlflow.user` ilike 'A%'"), (Field::Tag("mlflow.user".into()), Op::ILike, text("A%")));
    assert_eq!(one(&RUNS, "tags.x is not null"), (Field::Tag("x".into()), Op::IsNotNull, Operand::None));
    assert_eq!(one(&RUNS, "params.x IS NULL"), (Field::Param("x".into()), Op::IsNull, Operand::None));
    assert_eq!(one(&RUNS, "start_time > 10"), (Field::Attribute("start_time"), Op::Gt, Operand::Int(10)));
    assert_eq!(one(&RUNS, "attributes.Created > 1.5"), (Field::Attribute("start_time"), Op::Gt, Operand::Real(1.5)));
    assert_eq!(one(&RUNS, "attr.`run name` = 'n'"), (Field::Attribute("name"), Op::Eq, text("n")));
    assert_eq!(one(&RUNS, "dataset.digest = 'd'"), (Field::Dataset("digest"), Op::Eq, text("d")));
    let list = Operand::List(vec!["a".into(), "b".into()]);
    assert_eq!(one(&RUNS, "run_id NOT IN ('a', 'b',)"), (Field::Attribute("run_id"), Op::NotIn, list.clone()));
    assert_eq!(one(&RUNS, "datasets.name IN ('a',\"b\")"), (Field::Dataset("name"), Op::In, list));
    assert_eq!(RUNS.filter("metrics.a > 1 and params.b = 'x' AND tags.c != 'y'").unwrap().len(), 3);
    assert_eq!(RUNS.filter("  ").unwrap(), []);
}

#[test]
fn what_no_database_takes_is_refused() {
    assert!(refused(&RUNS, "params.a = 'x\0'").contains("NUL"));
    let many = vec!["metrics.a > 1"; 49].join(" AND ");
    assert!(refused(&RUNS, &many).contains("at most 48"), "{}", refused(&RUNS, &many));
    let orders: Vec<String> = (0..13).map(|i| format!("metrics.m{i}")).collect();
    assert!(RUNS.order(&orders).unwrap_err().to_string().contains("at most 12"));
    assert!(RUNS.order(&orders[..12]).is_ok());
}

#[test]
fn keys_may_look_like_numbers_and_keywords() {
    assert_eq!(one(&RUNS, "params.1abc = 'x'").0, Field::Param("1abc".into()));
    assert_eq!(one(&RUNS, "metrics.2 > 1").0, Field::Metric("2".into()));
    assert_eq!(one(&RUNS, "params.like = 'x'").0, Field::Param("like".into()));
    assert_eq!(one(&RUNS, "tags.and = 'x'").0, Field::Tag("and".into()));
}

#[test]
fn refuses_what_mlflow_refuses() {
    for (text, says) in [
        ("metrics.loss < 'a'", "Expected numeric value type for metric"),
        ("metrics.loss LIKE '1'", "Invalid comparator"),
        ("params.lr = 0.1", "Expected a quoted string value"),
        ("params.lr = lr", "not quoted or unidentified quote"),
        ("params.lr > '1'", "Invalid comparator"),
        ("params.lr <> '1'", "Invalid comparator '<>'"),
        ("metrics.a == 1", "Invalid comparator '=='"),
        ("metrics.a > 1 OR metrics.b > 1", "Invalid clause(s) in filter string"),
        ("metrics.a > 1 metrics.b > 1", "Invalid clause(s) in filter string"),
        ("metrics.a >", "Invalid clause(s) in filter string"),
        ("metrics.a", "Invalid clause(s) in filter string"),
        ("metrics.a-b > 1", "Invalid clause(s) in filter string"),
        ("'a' = 'b'", "Invalid clause(s) in filter string"),
        ("params.`x = 'b'", "Invalid clause(s) in filter string"),
        ("colour.a = 'b'", "Invalid entity type 'colour'"),
        ("attributes.colour = 'b'", "Invalid attribute key 'colour'"),
        ("dataset.colour = 'b'", "Invalid dataset key 'colour'"),
        ("status IN ('a')", "attributes support comparison with a list"),
        ("run_id IN ()", "non-empty list of string values"),
        ("run_id IN (1)", "got different type in list"),
        ("run_id IN ('a' 'b')", "ill-formed list"),
        ("run_id = ('a')", "IN and NOT IN"),
        ("metrics.a IS NULL", "only supported for tags and params"),
        ("status IS NOT NULL", "only supported for tags and params"),
        ("start_time = '1'", "Expected numeric value type for numeric attribute"),
    ] {
        let error = refused(&RUNS, text);
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn each_search_has_its_own_words() {
    assert!(refused(&EXPERIMENTS, "metrics.a > 1").contains("Invalid entity type"));
    assert_eq!(one(&EXPERIMENTS, "experiment_id IN ('1', '2')").1, Op::In);
    assert!(refused(&EXPERIMENTS, "experiment_id LIKE '1'").contains("Invalid comparator"));
    assert!(refused(&EXPERIMENTS, "experiment_id = 'x'").contains("must be a valid integer"));
    assert_eq!(one(&MODELS, "name ILIKE '%a%'").0, Field::Attribute("name"));
    assert!(refused(&MODELS, "run_id = 'a'").contains("Invalid attribute key"));
    assert!(refused(&MODELS, "tags.a IS NULL").contains("IS NULL"));
    assert_eq!(one(&VERSIONS, "version_number > 2"), (Field::Attribute("version"), Op::Gt, Operand::Int(2)));
    assert_eq!(one(&VERSIONS, "source_path = 'x'").0, Field::Attribute("source"));
    assert_eq!(one(&LOGGED_MODELS, "params.lr IN ('1')").1, Op::In);
    assert_eq!(one(&LOGGED_MODELS, "creation_time > 5").0, Field::Attribute("creation_time"));
}

#[test]
fn reads_orders() {
    let o = RUNS.order(&["metrics.`a b` DESC".into(), "params.x".into(), "start_time asc".into()]).unwrap();
    assert_eq!(o[0].field, Field::Metric("a b".into()));
    assert!(!o[0].ascending && o[1].ascending && o[2].ascending);
    assert!(RUNS.order(&["metrics.a upwards".into()]).is_err());
    assert!(RUNS.order(&["metrics.a desc desc".into()]).is_err());
    assert!(RUNS.order(&["metrics.a".into(), "metrics.a DESC".into()]).is_err());
    assert!(RUNS.order(&["dataset.name".into()]).is_err());
    assert!(EXPERIMENTS.order(&["tags.a".into()]).is_err());
    assert!(MODELS.order(&["timestamp DESC".into(), "name".into()]).is_ok());
    assert!(MODELS.order(&["creation".into()]).is_err());
    assert!(VERSIONS.order(&["creation_timestamp".into()]).is_ok());
    assert!(VERSIONS.order(&["run_id".into()]).is_err());
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("metrics.a".to_owned()),
        Just("params.`b c`".to_owned()),
        Just("run_id".to_owned()),
        Just(" AND ".to_owned()),
        Just(" NOT IN ".to_owned()),
        Just(" IS NOT NULL".to_owned()),
        Just("('a', 'b')".to_owned()),
        Just("'it''s'".to_owned()),
        Just(">=".to_owned()),
        Just("-1.5e-3".to_owned()),
        "[ -~]{0,4}",
        "\\PC{0,3}",
    ]
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(pieces in prop::collection::vec(piece(), 0..8)) {
        let text = pieces.concat();
        for words in [&RUNS, &EXPERIMENTS, &MODELS, &VERSIONS, &LOGGED_MODELS] {
            let _ = words.filter(&text);
            let _ = words.order(std::slice::from_ref(&text));
        }
        let _ = parse_filter(&text);
        let _ = parse_order(&text);
    }

    #[test]
    fn what_is_written_in_quotes_comes_back(key in "[a-z][a-z .:/-]{0,20}", value in "[^'\\x00]{0,20}") {
        let text = format!("params.`{key}` = '{value}'");
        let (field, op, operand) = one(&RUNS, &text);
        prop_assert_eq!(field, Field::Param(key));
        prop_assert_eq!(op, Op::Eq);
        prop_assert_eq!(operand, Operand::Text(value));
    }

    #[test]
    fn numbers_come_back(value in -1.0e12..1.0e12_f64) {
        let (_, _, operand) = one(&RUNS, &format!("metrics.m > {value}"));
        prop_assert_eq!(operand, Operand::Real(value));
        let (_, _, operand) = one(&RUNS, &format!("metrics.m > {value:e}"));
        prop_assert_eq!(operand, Operand::Real(value));
    }
}
