//! Matchers of labels: `deployment=churn`, `objective!=p99`, `deployment=~eu-.*`, `deployment!~test-.*`; a value may stand in
//! quotes.

use regex::{Regex, RegexBuilder};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Matchers that a silence or a channel may have, and the bytes of one value.
pub(crate) const MOST: usize = 20;
const LONGEST: usize = 1024;
/// Bytes of a compiled regular expression, and of what it remembers while it matches.
const COMPILED: usize = 1 << 18;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Is,
    IsNot,
    Like,
    Unlike,
}

impl Op {
    /// The longer ones first, since `=` begins `=~`.
    const ALL: [(&'static str, Self); 4] =
        [("=~", Self::Like), ("!~", Self::Unlike), ("!=", Self::IsNot), ("=", Self::Is)];
}

/// What a label must be. A label that is not there is the empty text.
#[derive(Debug, Clone)]
pub struct Matcher {
    label: String,
    op: Op,
    value: String,
    regex: Option<Regex>,
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.label, self.op, &self.value) == (&other.label, other.op, &other.value)
    }
}

impl Matcher {
    /// Whether the labels are so. A regular expression must match the whole value.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.label).map_or("", String::as_str);
        let like = || self.regex.as_ref().is_some_and(|r| r.is_match(value));
        match self.op {
            Op::Is => value == self.value,
            Op::IsNot => value != self.value,
            Op::Like => like(),
            Op::Unlike => !like(),
        }
    }
}

impl FromStr for Matcher {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let usage =
            || format!("{text:?} is not a matcher; write LABEL=VALUE, LABEL!=VALUE, LABEL=~REGEX or LABEL!~REGEX");
        let at = text.find(['=', '!']).ok_or_else(usage)?;
        let (label, rest) = text.split_at(at);
        let label = label.trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if label.is_empty() || !label.chars().all(plain) {
            return Err(usage());
        }
        let (op, value) =
            Op::ALL.into_iter().find_map(|(sign, op)| Some((op, rest.strip_prefix(sign)?))).ok_or_else(usage)?;
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value).to_owned();
        if value.len() > LONGEST {
            return Err(format!("the value for {label} has {} bytes; it has at most {LONGEST}", value.len()));
        }
        let regex = match op {
            Op::Is | Op::IsNot => None,
            Op::Like | Op::Unlike => {
                let mut builder = RegexBuilder::new(&format!("^(?:{value})$"));
                let regex = builder.size_limit(COMPILED).dfa_size_limit(COMPILED).build();
                Some(regex.map_err(|e| format!("{value:?} is no regular expression that can be used: {e}"))?)
            }
        };
        Ok(Self { label: label.to_owned(), op, value, regex })
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = Op::ALL.into_iter().find(|(_, op)| *op == self.op).map_or("=", |(sign, _)| sign);
        // Always in quotes: the value may begin with a tilde or a space, or have quotes of its own.
        write!(f, "{}{sign}\"{}\"", self.label, self.value)
    }
}

impl Serialize for Matcher {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Matcher {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Matcher {
    fn schema_name() -> Cow<'static, str> {
        "Matcher".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": r"^\s*[A-Za-z0-9_]+\s*(=|!=|=~|!~)", "description": "LABEL=VALUE, LABEL!=VALUE, LABEL=~REGEX or LABEL!~REGEX."})
    }
}
