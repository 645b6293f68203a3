//! `name op value AND name op value …`, not yet checked against what a search knows.

use super::lexer::{Token, lex};
use crate::error::{RegistryError, Result};

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Like,
    ILike,
    In,
    NotIn,
    IsNull,
    IsNotNull,
}

impl Op {
    /// As it is written in a filter, and in SQL but for the two likes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::Like => "LIKE",
            Self::ILike => "ILIKE",
            Self::In => "IN",
            Self::NotIn => "NOT IN",
            Self::IsNull => "IS NULL",
            Self::IsNotNull => "IS NOT NULL",
        }
    }
}

/// A name: `metrics.loss`, or `run_id` without an entity.
#[derive(Debug, Clone, PartialEq)]
pub struct Name {
    /// What stands before the first dot.
    pub entity: Option<String>,
    /// What stands after it, without quotes.
    pub key: String,
}

/// What a name is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw {
    /// Nothing: `IS NULL`.
    None,
    /// A number as it was written.
    Number(String),
    /// Quoted text.
    Text(String),
    /// Text that is not quoted, or in backticks.
    Bare(String),
    /// Quoted texts in parentheses.
    List(Vec<String>),
}

/// One comparison of a filter.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Left.
    pub name: Name,
    /// Middle.
    pub op: Op,
    /// Right.
    pub value: Raw,
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    text: &'a str,
}

fn keyword(token: Option<&Token>, word: &str) -> bool {
    matches!(token, Some(Token::Word(w)) if w.eq_ignore_ascii_case(word))
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<&'a Token> {
        let token = self.tokens.get(self.at);
        self.at += 1;
        token
    }

    fn bad(&self, why: &str) -> RegistryError {
        RegistryError::Invalid(format!("Invalid clause(s) in filter string: '{}'. {why}", self.text))
    }

    fn name(&mut self) -> Result<Name> {
        let mut parts: Vec<&Token> = Vec::new();
        loop {
            match self.next() {
                Some(t @ (Token::Word(_) | Token::Quoted(..))) => parts.push(t),
                // A key that begins with digits: `params.1` or `params.1e5`.
                Some(t @ Token::Number(_)) if !parts.is_empty() => parts.push(t),
                _ => return Err(self.bad("Invalid comparison clause. Expected a name such as metrics.loss")),
            }
            if !matches!(self.peek(), Some(Token::Dot)) {
                break;
            }
            self.at += 1;
        }
        Ok(to_name(&parts))
    }

    fn op(&mut self) -> Result<Op> {
        let op = match self.next() {
            Some(Token::Sign(sign)) => match sign.as_str() {
                "=" => Some(Op::Eq),
                "!=" => Some(Op::Ne),
                "<" => Some(Op::Lt),
                "<=" => Some(Op::Le),
                ">" => Some(Op::Gt),
                ">=" => Some(Op::Ge),
                other => return Err(RegistryError::Invalid(format!("Invalid comparator '{other}'"))),
            },
            Some(Token::Word(word)) => match word.to_ascii_uppercase().as_str() {
                "LIKE" => Some(Op::Like),
                "ILIKE" => Some(Op::ILike),
                "IN" => Some(Op::In),
                "NOT" if keyword(self.next(), "IN") => Some(Op::NotIn),
                "IS" if keyword(self.peek(), "NULL") => {
                    self.at += 1;
                    Some(Op::IsNull)
                }
                "IS" if keyword(self.next(), "NOT") && keyword(self.next(), "NULL") => Some(Op::IsNotNull),
                _ => None,
            },
            _ => None,
        };
        op.ok_or_else(|| self.bad("Expected a comparison after the name"))
    }

    fn list(&mut self) -> Result<Raw> {
        const WHILE: &str = "While parsing a list in the query,";
        let mut items = Vec::new();
        loop {
            match self.next() {
                Some(Token::Text(t) | Token::Quoted('"', t)) => items.push(t.clone()),
                Some(Token::Close) => break,
                Some(Token::Number(_)) => {
                    return Err(RegistryError::Invalid(format!(
                        "{WHILE} expected string value, punctuation, or whitespace, but got different type in list"
                    )));
                }
                _ => {
                    return Err(RegistryError::Invalid(format!(
                        "{WHILE} expected a non-empty list of string values, but got ill-formed list."
                    )));
                }
            }
            match self.next() {
                Some(Token::Comma) => {}
                Some(Token::Close) => break,
                _ => {
                    return Err(RegistryError::Invalid(format!(
                        "{WHILE} expected a non-empty list of string values, but got ill-formed list."
                    )));
                }
            }
        }
        if items.is_empty() {
            return Err(RegistryError::Invalid(format!(
                "{WHILE} expected a non-empty list of string values, but got empty list"
            )));
        }
        Ok(Raw::List(items))
    }

    fn value(&mut self) -> Result<Raw> {
        match self.next() {
            Some(Token::Text(t) | Token::Quoted('"', t)) => Ok(Raw::Text(t.clone())),
            Some(Token::Number(n)) => Ok(Raw::Number(n.clone())),
            Some(Token::Word(w)) => Ok(Raw::Bare(w.clone())),
            Some(Token::Quoted(q, t)) => Ok(Raw::Bare(format!("{q}{t}{q}"))),
            Some(Token::Open) => self.list(),
            _ => Err(self.bad("Expected a value after the comparison")),
        }
    }
}

fn to_name(parts: &[&Token]) -> Name {
    let plain = |t: &Token| match t {
        Token::Word(w) | Token::Quoted(_, w) | Token::Number(w) => w.clone(),
        _ => String::new(),
    };
    match parts {
        [] => Name { entity: None, key: String::new() },
        [key] => Name { entity: None, key: plain(key) },
        [entity, key @ ..] => {
            Name { entity: Some(plain(entity)), key: key.iter().map(|t| plain(t)).collect::<Vec<_>>().join(".") }
        }
    }
}

/// Reads a filter. Empty text is an empty filter.
///
/// # Errors
/// [`RegistryError::Invalid`] with the clause at fault.
pub fn parse_filter(text: &str) -> Result<Vec<Comparison>> {
    let tokens = lex(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, text };
    let mut out = Vec::new();
    while parser.peek().is_some() {
        if !out.is_empty() && !keyword(parser.next(), "AND") {
            return Err(parser.bad("Comparisons are joined by AND"));
        }
        let name = parser.name()?;
        let op = parser.op()?;
        let value = if matches!(op, Op::IsNull | Op::IsNotNull) { Raw::None } else { parser.value()? };
        if matches!(op, Op::In | Op::NotIn) != matches!(value, Raw::List(_)) {
            return Err(parser.bad("IN and NOT IN take a list of quoted values in parentheses; nothing else does"));
        }
        out.push(Comparison { name, op, value });
    }
    Ok(out)
}

/// Reads one entry of an `order_by`: a name and `ASC` or `DESC`; true means ascending.
///
/// # Errors
/// [`RegistryError::Invalid`] when it is anything else.
pub fn parse_order(text: &str) -> Result<(Name, bool)> {
    let unparsable = || RegistryError::Invalid(format!("Invalid order_by clause '{text}'. Could not be parsed."));
    let tokens = lex(text).map_err(|_| unparsable())?;
    let mut parser = Parser { tokens: &tokens, at: 0, text };
    let name = parser.name().map_err(|_| unparsable())?;
    let ascending = match parser.next() {
        None => true,
        Some(Token::Word(w)) if w.eq_ignore_ascii_case("asc") => true,
        Some(Token::Word(w)) if w.eq_ignore_ascii_case("desc") => false,
        Some(_) => {
            return Err(RegistryError::Invalid(format!("Invalid ordering key in order_by clause '{text}'.")));
        }
    };
    if parser.peek().is_some() { Err(unparsable()) } else { Ok((name, ascending)) }
}
