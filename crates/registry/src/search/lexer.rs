//! Cuts a filter or an order into tokens.

use crate::error::{RegistryError, Result};

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// A bare word: part of a name, or a keyword.
    Word(String),
    /// Text in backticks or double quotes, without them; the character is the quote.
    Quoted(char, String),
    /// Text in single quotes, without them.
    Text(String),
    /// A number as it was written.
    Number(String),
    /// A comparison sign as it was written.
    Sign(String),
    /// `.`
    Dot,
    /// `,`
    Comma,
    /// `(`
    Open,
    /// `)`
    Close,
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '#')
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let len = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        self.at += len;
        rest.get(..len).unwrap_or_default()
    }

    fn quoted(&mut self, quote: char) -> Result<&'a str> {
        self.at += quote.len_utf8();
        let rest = self.rest();
        let end = rest.find(quote).ok_or_else(|| {
            RegistryError::invalid(format!("Invalid clause(s) in filter string: {quote}{rest} is not closed"))
        })?;
        self.at += end + quote.len_utf8();
        Ok(rest.get(..end).unwrap_or_default())
    }

    /// Text in single quotes; a doubled quote stays inside, doubled, as in MLflow.
    fn text(&mut self) -> Result<String> {
        let mut out = self.quoted('\'')?.to_owned();
        while self.peek() == Some('\'') {
            out.push_str("''");
            out.push_str(self.quoted('\'')?);
        }
        Ok(out)
    }

    fn number(&mut self) -> String {
        let start = self.at;
        if self.peek() == Some('-') {
            self.at += 1;
        }
        self.take_while(|c| c.is_ascii_digit() || c == '.');
        let mut ahead = self.rest().chars();
        if matches!(ahead.next(), Some('e' | 'E')) {
            let digits = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
            let sign = match ahead.next() {
                Some('+' | '-') if digits(ahead.next()) => 2,
                c if digits(c) => 1,
                _ => 0,
            };
            if sign > 0 {
                self.at += sign;
                self.take_while(|c| c.is_ascii_digit());
            }
        }
        self.text.get(start..self.at).unwrap_or_default().to_owned()
    }

    fn starts_number(&self) -> bool {
        let mut chars = self.rest().chars();
        match (chars.next(), chars.next()) {
            (Some('0'..='9'), _) => {
                // `1abc` is a word: a key may begin with a digit.
                let rest = self.rest();
                let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
                let tail = rest.get(end..).unwrap_or_default();
                !tail.starts_with(is_word) || tail.starts_with(['e', 'E'])
            }
            (Some('-' | '.'), Some('0'..='9')) => true,
            (Some('-'), Some('.')) => matches!(chars.next(), Some('0'..='9')),
            _ => false,
        }
    }
}

/// The tokens of `text`.
///
/// # Errors
/// [`RegistryError::Invalid`] on a quote that is not closed or a character with no meaning here.
pub fn lex(text: &str) -> Result<Vec<Token>> {
    // Postgres has no such text.
    if text.contains('\0') {
        return Err(RegistryError::invalid("Invalid clause(s) in filter string: it contains a NUL character"));
    }
    let mut lexer = Lexer { text, at: 0 };
    let mut out: Vec<Token> = Vec::new();
    while let Some(c) = lexer.peek() {
        let after_dot = matches!(out.last(), Some(Token::Dot));
        // `a.1` is a name with a dot; `> .1` is a number.
        let in_name = c == '.' && matches!(out.last(), Some(Token::Word(_) | Token::Quoted(..)));
        let token = match c {
            c if c.is_whitespace() => {
                lexer.at += c.len_utf8();
                continue;
            }
            '\'' => Token::Text(lexer.text()?),
            '"' | '`' => Token::Quoted(c, lexer.quoted(c)?.to_owned()),
            _ if !after_dot && !in_name && lexer.starts_number() => Token::Number(lexer.number()),
            c if is_word(c) => Token::Word(lexer.take_while(is_word).to_owned()),
            '<' | '>' | '=' | '!' => Token::Sign(lexer.take_while(|c| matches!(c, '<' | '>' | '=' | '!')).to_owned()),
            '.' | ',' | '(' | ')' => {
                lexer.at += 1;
                match c {
                    '.' => Token::Dot,
                    ',' => Token::Comma,
                    '(' => Token::Open,
                    _ => Token::Close,
                }
            }
            _ => {
                let rest = lexer.rest();
                return Err(RegistryError::invalid(format!("Invalid clause(s) in filter string: '{rest}'")));
            }
        };
        out.push(token);
    }
    Ok(out)
}
