//! The filter and order grammar of the searches.

use mainspring_registry::search::parser::{parse_filter, parse_order};
use mainspring_registry::search::{
    Comparison, EXPERIMENTS, LOGGED_MODELS, MODELS, Name, Op, Operand, RUNS, Raw, VERSIONS,
};

/// A filter, and each of its lines as an order.
pub fn filter(text: &str) {
    let written = match parse_filter(text) {
        Ok(clauses) => {
            let written = clauses.iter().map(comparison).collect::<Vec<_>>().join(" AND ");
            assert_eq!(parse_filter(&written).as_ref().ok(), Some(&clauses), "{written}");
            Some(written)
        }
        Err(why) => {
            assert!(!why.to_string().trim().is_empty());
            None
        }
    };
    for words in [&RUNS, &EXPERIMENTS, &MODELS, &VERSIONS, &LOGGED_MODELS] {
        match (words.filter(text), &written) {
            (Ok(clauses), Some(written)) => {
                assert_eq!(words.filter(written).ok().as_ref(), Some(&clauses), "{written}");
                for clause in &clauses {
                    let empty = matches!(clause.op, Op::IsNull | Op::IsNotNull);
                    assert_eq!(empty, clause.value == Operand::None);
                    let listed = matches!(clause.op, Op::In | Op::NotIn);
                    assert_eq!(listed, matches!(&clause.value, Operand::List(all) if !all.is_empty()));
                    assert!(!matches!(clause.value, Operand::Real(x) if x.is_nan()));
                }
            }
            (Ok(_), None) => panic!("a search takes what the grammar refuses"),
            (Err(why), _) => assert!(!why.to_string().trim().is_empty()),
        }
        order(text);
    }
}

fn order(text: &str) {
    if let Ok((key, ascending)) = parse_order(text) {
        let written = format!("{} {}", name(&key), if ascending { "ASC" } else { "DESC" });
        assert_eq!(parse_order(&written).ok(), Some((key, ascending)), "{written}");
    }
}

fn comparison(c: &Comparison) -> String {
    let value = match &c.value {
        Raw::None => String::new(),
        Raw::Number(t) | Raw::Bare(t) => t.clone(),
        Raw::Text(t) => quoted(t),
        Raw::List(items) => format!("({})", items.iter().map(|t| quoted(t)).collect::<Vec<_>>().join(", ")),
    };
    format!("{} {} {value}", name(&c.name), c.op.as_str())
}

/// Text keeps doubled single quotes as they were written, so that they can be written again.
fn quoted(text: &str) -> String {
    if text.contains('"') { format!("'{text}'") } else { format!("\"{text}\"") }
}

/// Every part in quotes. A part cannot hold both kinds of quotes, for it stood in one of them.
fn name(name: &Name) -> String {
    let part = |t: &str| if t.contains('`') { format!("\"{t}\"") } else { format!("`{t}`") };
    let key = name.key.split('.').map(part).collect::<Vec<_>>().join(".");
    match &name.entity {
        Some(entity) => format!("{}.{key}", part(entity)),
        None => part(&name.key),
    }
}
