use crate::*;
use mainspring_core::{ErrorKind, Failure};
use std::sync::Arc;

#[test]
fn addresses() {
    let shown = |text: &str| DbSettings::parse(text).map(|s| s.display());
    for text in ["data/ms.db", "sqlite:data/ms.db", "sqlite://data/ms.db"] {
        assert_eq!(shown(text).unwrap(), "data/ms.db");
    }
    assert_eq!(shown("sqlite:///var/ms.db").unwrap(), "/var/ms.db");
    for text in ["postgres://me:pass@db:5432/ms?sslmode=require", "postgres://me:p@ss@db:5432/ms"] {
        assert_eq!(shown(text).unwrap(), "postgres://db:5432/ms");
    }
    assert_eq!(shown("postgresql://db/ms").unwrap(), "postgresql://db/ms");
    for text in ["", "sqlite:", ":memory:", "sqlite::memory:", "mysql://me:pass@db/ms"] {
        let failed = shown(text).unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::InvalidInput);
        assert!(!failed.to_string().contains("pass") && failed.hint().is_some(), "{failed}");
    }
}

#[test]
fn text_taken_out_of_a_row() {
    let columns: Arc<[String]> = ["id".to_owned(), "n".to_owned()].into();
    let mut row = crate::row::Row::new(columns, vec![Value::Text("a".into()), Value::Int(1)]);
    assert_eq!(row.take_text("ID").unwrap(), "a");
    assert_eq!(row.get("id").unwrap(), &Value::Null);
    for (column, found) in [("id", "NULL"), ("n", "an integer"), ("other", "nothing")] {
        let failed = row.take_text(column).unwrap_err().to_string();
        assert!(failed.contains(column) && failed.contains(found), "{failed}");
    }
}

#[test]
fn arguments_of_all_types() {
    let some: Option<&str> = Some("x");
    let none: Option<i64> = None;
    let tenant = mainspring_core::Tenant::default();
    let made = args![1, 2_u32, 0.5, true, "t", String::from("s"), vec![1_u8], some, none, &tenant];
    assert_eq!(
        made,
        [
            Value::Int(1),
            Value::Int(2),
            Value::Real(0.5),
            Value::Bool(true),
            Value::Text("t".into()),
            Value::Text("s".into()),
            Value::Blob(vec![1]),
            Value::Text("x".into()),
            Value::Null,
            Value::Text("default".into()),
        ]
    );
    assert!(args![].is_empty());
}

#[test]
fn whole_floats_read_as_integers_only_when_nothing_is_lost() {
    let columns: Arc<[String]> = Arc::from([String::from("v")]);
    let int = |v: f64| Row::new(Arc::clone(&columns), vec![Value::Real(v)]).int("v").ok();
    assert_eq!(int(3.0), Some(3));
    assert_eq!(int(-9_223_372_036_854_775_808.0), Some(i64::MIN));
    for lossy in [0.5, 9_223_372_036_854_775_808.0, f64::NAN, f64::INFINITY] {
        assert_eq!(int(lossy), None, "{lossy}");
    }
}

#[test]
fn messages_show_the_statement_but_not_all_of_it() {
    let long = format!("SELECT\n  {} FROM t", "x, ".repeat(200));
    let text = StoreError::sql(&long, "no such table: t").to_string();
    assert!(text.len() < 250 && text.contains("SELECT x, x") && text.contains("no such table"), "{text}");
}
