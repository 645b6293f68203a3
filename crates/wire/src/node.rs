//! A JSON value as a Python client sends it: `NaN` and the infinities are allowed, since Python's
//! `json` writes them for missing values.

use crate::response::{double, string};
use crate::{BodyError, Cursor};
use bytes::Bytes;
use std::sync::Arc;

/// How deep values may be nested.
const MAX_DEPTH: u32 = 64;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number of 64 bits.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text in UTF-8.
    Text(Bytes),
    /// A list.
    List(Vec<Node>),
    /// Members in the order of the text; a name given twice keeps its last value.
    Map(Vec<(Arc<str>, Node)>),
}

impl Node {
    /// Reads a whole text.
    ///
    /// # Errors
    /// [`BodyError::Syntax`] or [`BodyError::Utf8`] with the place.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let text = std::str::from_utf8(body).map_err(|e| BodyError::Utf8 { at: e.valid_up_to() })?;
        let mut cursor = Cursor::new(text);
        let node = read(&mut cursor, 0)?;
        cursor.end()?;
        Ok(node)
    }

    /// Reads the value that is next.
    ///
    /// # Errors
    /// [`BodyError::Syntax`] with the place.
    pub fn take(cursor: &mut Cursor<'_>) -> Result<Self, BodyError> {
        read(cursor, 0)
    }

    /// Writes it as JSON without white space; NaN and the infinities as Python writes them.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(b) => out.extend_from_slice(if *b { b"true" } else { b"false" }),
            Self::Int(n) => out.extend_from_slice(itoa::Buffer::new().format(*n).as_bytes()),
            Self::Float(x) => double(out, *x),
            Self::Text(text) => string(out, &String::from_utf8_lossy(text)),
            Self::List(items) => {
                out.push(b'[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    item.write(out);
                }
                out.push(b']');
            }
            Self::Map(members) => {
                out.push(b'{');
                for (i, (name, value)) in members.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    string(out, name);
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
        }
    }

    /// The text of it.
    pub fn to_json(&self) -> Bytes {
        let mut out = Vec::new();
        self.write(&mut out);
        out.into()
    }

    /// A member of an object.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(members) => members.iter().find(|(n, _)| **n == *name).map(|(_, v)| v),
            _ => None,
        }
    }

    /// What kind of value it is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "an object",
        }
    }

    /// It in a message: never longer than a line.
    pub fn shown(&self) -> String {
        match self {
            Self::Bool(b) => b.to_string(),
            Self::Int(n) => n.to_string(),
            Self::Float(x) => x.to_string(),
            Self::Text(text) => {
                let text = String::from_utf8_lossy(text);
                format!("{:?}", text.chars().take(40).collect::<String>())
            }
            other => other.kind().to_owned(),
        }
    }

    /// Whether it is neither a list nor an object.
    pub fn scalar(&self) -> bool {
        !matches!(self, Self::List(_) | Self::Map(_))
    }
}

fn read(cursor: &mut Cursor<'_>, depth: u32) -> Result<Node, BodyError> {
    if depth > MAX_DEPTH {
        return Err(cursor.syntax("nested too deeply"));
    }
    match cursor.peek() {
        Some(b'{') => object(cursor, depth),
        Some(b'[') => list(cursor, depth),
        Some(b'"') => Ok(Node::Text(Bytes::copy_from_slice(cursor.string()?.as_bytes()))),
        Some(b't') if cursor.word("true") => Ok(Node::Bool(true)),
        Some(b'f') if cursor.word("false") => Ok(Node::Bool(false)),
        Some(b'n') if cursor.word("null") => Ok(Node::Null),
        Some(b'-' | b'0'..=b'9' | b'N' | b'I') => number(cursor),
        _ => Err(cursor.syntax("expected a value")),
    }
}

fn number(cursor: &mut Cursor<'_>) -> Result<Node, BodyError> {
    let text = cursor.number()?;
    if let Ok(whole) = text.parse::<i64>() {
        return Ok(Node::Int(whole));
    }
    // Rust reads `NaN` and `Infinity` too; a number too large for 64 bits becomes infinite, as in
    // Python.
    text.parse::<f64>().map(Node::Float).map_err(|_| cursor.syntax("expected a number"))
}

fn list(cursor: &mut Cursor<'_>, depth: u32) -> Result<Node, BodyError> {
    cursor.bump();
    let mut items = Vec::new();
    if cursor.eat(b']') {
        return Ok(Node::List(items));
    }
    loop {
        items.push(read(cursor, depth + 1)?);
        if !cursor.more(b']', "expected ',' or ']'")? {
            return Ok(Node::List(items));
        }
    }
}

fn object(cursor: &mut Cursor<'_>, depth: u32) -> Result<Node, BodyError> {
    cursor.bump();
    let mut members: Vec<(Arc<str>, Node)> = Vec::new();
    if cursor.eat(b'}') {
        return Ok(Node::Map(members));
    }
    loop {
        let name = cursor.key()?;
        let value = read(cursor, depth + 1)?;
        members.push((Arc::from(&*name), value));
        if !cursor.more(b'}', "expected ',' or '}'")? {
            return Ok(Node::Map(last_of_each(members)));
        }
    }
}

/// Small objects are searched in order, large ones by sorting, so that a hostile body costs no more
/// than its length.
fn last_of_each(mut members: Vec<(Arc<str>, Node)>) -> Vec<(Arc<str>, Node)> {
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by(|a, b| members[*a].0.cmp(&members[*b].0).then(a.cmp(b)));
    let mut keep = vec![true; members.len()];
    let mut doubled = false;
    for pair in order.windows(2) {
        if let [a, b] = pair
            && members[*a].0 == members[*b].0
        {
            keep[*a] = false;
            doubled = true;
        }
    }
    if doubled {
        let mut kept = keep.into_iter();
        members.retain(|_| kept.next().unwrap_or(true));
    }
    members
}
