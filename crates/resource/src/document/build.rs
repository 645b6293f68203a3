//! The parser's events into trees with places.

use super::scalar;
use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// Nesting beyond this is refused: no kind is that deep, and recursion has an end.
const MAX_DEPTH: usize = 64;

/// A line and a column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A value and where it begins.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) place: Place,
    node: Node,
}

#[derive(Debug)]
enum Node {
    Scalar(Value),
    Sequence(Vec<Tree>),
    Mapping(Vec<(String, Place, Tree)>),
}

type Failed = (Place, String);

impl Tree {
    /// The plain value, with every part's place entered under its path.
    pub(super) fn into_value(self, path: &str, places: &mut BTreeMap<String, Place>) -> Value {
        places.insert(path.to_owned(), self.place);
        match self.node {
            Node::Scalar(value) => value,
            Node::Sequence(items) => items
                .into_iter()
                .enumerate()
                .map(|(i, item)| item.into_value(&format!("{path}[{i}]"), places))
                .collect::<Vec<_>>()
                .into(),
            Node::Mapping(entries) => {
                let mut map = Map::new();
                for (key, place, item) in entries {
                    let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    places.insert(format!("#{inner}"), place);
                    let value = item.into_value(&inner, places);
                    map.insert(key, value);
                }
                Value::Object(map)
            }
        }
    }
}

/// Every document of `text`.
pub(super) fn trees(text: &str) -> Result<Vec<Tree>, Failed> {
    let mut events = Events { parser: Parser::new_from_str(text), last: Place { line: 1, column: 1 } };
    let mut trees = Vec::new();
    while let Some((event, place)) = events.next()? {
        match event {
            Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            other => trees.push(tree(other, place, &mut events, 0)?),
        }
    }
    Ok(trees)
}

struct Events<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    last: Place,
}

impl<'a> Events<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Place)>, Failed> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok((event, span))) => {
                self.last = start(&span);
                Ok(Some((event, self.last)))
            }
            Some(Err(e)) => {
                let marker = e.marker();
                Err((Place { line: marker.line(), column: marker.col() + 1 }, e.info().to_owned()))
            }
        }
    }

    fn expect(&mut self) -> Result<(Event<'a>, Place), Failed> {
        let last = self.last;
        self.next()?.ok_or_else(|| (last, "the document ends here unexpectedly".to_owned()))
    }
}

fn start(span: &Span) -> Place {
    Place { line: span.start.line(), column: span.start.col() + 1 }
}

fn tree(event: Event<'_>, place: Place, events: &mut Events<'_>, depth: usize) -> Result<Tree, Failed> {
    if depth > MAX_DEPTH {
        return Err((place, format!("nested more than {MAX_DEPTH} deep")));
    }
    let node = match event {
        Event::Scalar(text, style, _, tag) => Node::Scalar(value(&text, style, tag.as_ref(), place)?),
        Event::SequenceStart(..) => sequence(events, depth)?,
        Event::MappingStart(..) => mapping(events, depth)?,
        // A few lines of them can stand for gigabytes.
        Event::Alias(_) => return Err((place, "aliases (*name) are not taken; write the value out".to_owned())),
        _ => return Err((place, "a value is expected here".to_owned())),
    };
    Ok(Tree { place, node })
}

fn sequence(events: &mut Events<'_>, depth: usize) -> Result<Node, Failed> {
    let mut items = Vec::new();
    loop {
        let (event, place) = events.expect()?;
        if event == Event::SequenceEnd {
            return Ok(Node::Sequence(items));
        }
        items.push(tree(event, place, events, depth + 1)?);
    }
}

fn mapping(events: &mut Events<'_>, depth: usize) -> Result<Node, Failed> {
    let mut entries: Vec<(String, Place, Tree)> = Vec::new();
    loop {
        let (event, place) = events.expect()?;
        let key = match event {
            Event::MappingEnd => return Ok(Node::Mapping(entries)),
            Event::Scalar(text, ..) => text.into_owned(),
            _ => return Err((place, "a key is a text".to_owned())),
        };
        if entries.iter().any(|(k, ..)| *k == key) {
            return Err((place, format!("the key {key:?} is given twice")));
        }
        let (event, at) = events.expect()?;
        entries.push((key, place, tree(event, at, events, depth + 1)?));
    }
}

fn value(text: &str, style: ScalarStyle, tag: Option<&Cow<'_, Tag>>, place: Place) -> Result<Value, Failed> {
    let text_tag = |t: &Tag| t.is_yaml_core_schema() && t.suffix == "str";
    match tag {
        Some(tag) if text_tag(tag) => Ok(Value::String(text.to_owned())),
        Some(tag) => Err((place, format!("the tag {}{} is not taken", tag.handle, tag.suffix))),
        None if style == ScalarStyle::Plain => Ok(scalar::plain(text)),
        None => Ok(Value::String(text.to_owned())),
    }
}
