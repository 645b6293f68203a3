//! Makes statements whose shape depends on the request.

use crate::search::{Clause, Op, Operand};
use crate::types::Pair;
use mainspring_store::{Conn, Dialect, Row, StoreError, Value};
use std::collections::HashMap;

/// A list with more values than this is one argument.
const LONG: usize = 16;

/// A statement under construction: text and arguments that grow together.
pub(crate) struct Sql {
    pub text: String,
    pub args: Vec<Value>,
    pub dialect: Dialect,
}

impl Sql {
    pub fn new(dialect: Dialect, text: &str) -> Self {
        Self { text: text.to_owned(), args: Vec::new(), dialect }
    }

    /// Adds text.
    pub fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Adds an argument's placeholder.
    pub fn arg(&mut self, value: impl Into<Value>) -> &mut Self {
        self.args.push(value.into());
        self.text.push('$');
        self.text.push_str(&self.args.len().to_string());
        self
    }

    /// Adds `($1, $2, …)`; an empty list matches nothing. All values are of one type: text or whole
    /// numbers.
    pub fn list<V: Into<Value>>(&mut self, values: impl IntoIterator<Item = V>) -> &mut Self {
        let values: Vec<Value> = values.into_iter().map(Into::into).collect();
        if values.len() > LONG {
            return self.long_list(values);
        }
        self.push(if values.is_empty() { "(NULL" } else { "(" });
        for (i, value) in values.into_iter().enumerate() {
            if i > 0 {
                self.push(", ");
            }
            self.arg(value);
        }
        self.push(")")
    }

    /// A list as one argument. Databases bound how many arguments a statement has (SQLite: 32,766), and
    /// each length would be a statement of its own to keep prepared.
    fn long_list(&mut self, values: Vec<Value>) -> &mut Self {
        let whole = matches!(values.first(), Some(Value::Int(_)));
        let json: serde_json::Value = values
            .into_iter()
            .map(|v| match v {
                Value::Int(n) => n.into(),
                Value::Text(t) => t.into(),
                _ => serde_json::Value::Null,
            })
            .collect();
        let (before, after) = match (self.dialect, whole) {
            (Dialect::Sqlite, _) => ("(SELECT value FROM json_each(", "))"),
            (Dialect::Postgres, false) => ("(SELECT jsonb_array_elements_text(CAST(", " AS JSONB)))"),
            (Dialect::Postgres, true) => {
                ("(SELECT CAST(n AS BIGINT) FROM jsonb_array_elements_text(CAST(", " AS JSONB)) AS n)")
            }
        };
        self.push(before).arg(json.to_string()).push(after)
    }

    /// Adds a table `e` of these texts to a FROM: `e.value`, and `e.place`, counted from 0. Joined to another
    /// table by CROSS JOIN it is read first, and nothing is built to look its values up in.
    pub fn each(&mut self, values: &[String]) -> &mut Self {
        let (before, after) = match self.dialect {
            Dialect::Sqlite => ("(SELECT key AS place, value FROM json_each(", ")) e"),
            Dialect::Postgres => (
                "(SELECT ordinality - 1 AS place, value FROM jsonb_array_elements_text(CAST(",
                " AS JSONB)) WITH ORDINALITY) e",
            ),
        };
        self.push(before).arg(serde_json::json!(values).to_string()).push(after)
    }

    /// Adds ` LIMIT … OFFSET …`.
    pub fn page(&mut self, limit: u64, offset: u64) -> &mut Self {
        let bound = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.push(" LIMIT ").arg(bound(limit));
        self.push(" OFFSET ").arg(bound(offset))
    }

    /// Adds `column op value`. Patterns are case-sensitive for LIKE on both databases and have no
    /// escape character, as in MLflow.
    pub fn compare(&mut self, column: &str, op: Op, value: &Operand) -> &mut Self {
        match (op, value) {
            (Op::In | Op::NotIn, Operand::List(items)) => {
                self.push(column).push(" ").push(op.as_str()).push(" ");
                self.list(items.iter())
            }
            (Op::Like, Operand::Text(pattern)) => match self.dialect {
                // SQLite's LIKE ignores case; its GLOB does not.
                Dialect::Sqlite => self.push(column).push(" GLOB ").arg(glob(pattern)),
                Dialect::Postgres => self.push(column).push(" LIKE ").arg(pattern).push(" ESCAPE ''"),
            },
            (Op::ILike, Operand::Text(pattern)) => match self.dialect {
                Dialect::Sqlite => {
                    self.push("lower(").push(column).push(") GLOB ").arg(glob(&pattern.to_ascii_lowercase()))
                }
                Dialect::Postgres => self.push(column).push(" ILIKE ").arg(pattern).push(" ESCAPE ''"),
            },
            (_, value) => {
                self.push(column).push(" ").push(op.as_str()).push(" ");
                match value {
                    Operand::Int(n) => self.arg(*n),
                    Operand::Real(n) => self.arg(*n),
                    Operand::Text(t) => self.arg(t),
                    Operand::None | Operand::List(_) => self.push("NULL"),
                }
            }
        }
    }

    /// Adds ` AND column op value` for an attribute clause.
    pub fn and_compare(&mut self, column: &str, clause: &Clause) -> &mut Self {
        self.push(" AND ");
        self.compare(column, clause.op, &clause.value)
    }

    /// How text is ordered: by bytes, on both databases.
    pub fn bytewise(&self) -> &'static str {
        match self.dialect {
            Dialect::Sqlite => "",
            Dialect::Postgres => " COLLATE \"C\"",
        }
    }

    pub async fn rows(self, c: &mut Conn) -> Result<Vec<Row>, StoreError> {
        c.query(&self.text, self.args).await
    }
}

/// SQL's `%` and `_` as a GLOB pattern.
fn glob(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    for ch in pattern.chars() {
        match ch {
            '%' => out.push('*'),
            '_' => out.push('?'),
            '*' | '?' | '[' => {
                out.push('[');
                out.push(ch);
                out.push(']');
            }
            other => out.push(other),
        }
    }
    out
}

/// Rows of (owner, key, value) as pairs by owner, in key order.
pub(crate) fn pairs_by(rows: &[Row], owner: &str) -> Result<HashMap<String, Vec<Pair>>, StoreError> {
    let mut out: HashMap<String, Vec<Pair>> = HashMap::new();
    for row in rows {
        out.entry(row.text(owner)?).or_default().push(Pair { key: row.text("key")?, value: row.text("value")? });
    }
    Ok(out)
}

/// Rows of (key, value) as pairs.
pub(crate) fn pairs(rows: &[Row]) -> Result<Vec<Pair>, StoreError> {
    rows.iter().map(|r| Ok(Pair { key: r.text("key")?, value: r.text("value")? })).collect()
}
