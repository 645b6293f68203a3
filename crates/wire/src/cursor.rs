//! A JSON reader that walks over the text once and builds nothing: the request parser pulls numbers
//! straight out of it into typed vectors.

use super::decimal::Decimal;
use super::error::BodyError;
use std::borrow::Cow;

/// How deep a value that nobody reads may be nested before it is refused.
const MAX_DEPTH: u32 = 128;

/// How many bytes stand in a string as they are: up to its end, an escape or a control character, which must be
/// escaped.
#[inline]
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    // Bytes below `n` have their high bit set in this, as long as none before them has (Mycroft's test).
    let below = |word: u64, n: u64| word.wrapping_sub(ONES * n) & !word & HIGH;
    let mut at = 0;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*chunk);
        let quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let escape = below(word ^ (ONES * u64::from(b'\\')), 1);
        let ends = below(word, 0x20) | quote | escape;
        if ends != 0 {
            return at + ends.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let ends = |b: &u8| matches!(b, b'"' | b'\\' | 0..=0x1f);
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(ends).unwrap_or(rest.len())
}

/// A position in a JSON text (RFC 8259). Always stands on a character boundary.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At the start of `text`.
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// At byte `at` of `text`.
    pub fn resume(text: &'a str, at: usize) -> Self {
        Self { text, at }
    }

    /// Bytes read so far.
    pub fn at(&self) -> usize {
        self.at
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// Bytes left to read.
    pub fn room(&self) -> usize {
        self.text.len().saturating_sub(self.at)
    }

    /// The text between two positions that the cursor has had.
    pub fn span(&self, from: usize, to: usize) -> &'a str {
        self.text.get(from..to).unwrap_or("")
    }

    /// The error that the text is wrong here.
    pub fn syntax(&self, what: &'static str) -> BodyError {
        BodyError::Syntax { at: self.at, what }
    }

    /// The next byte, without white space and without taking it.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        let bytes = self.bytes();
        while let Some(b) = bytes.get(self.at) {
            match b {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                _ => return Some(*b),
            }
        }
        None
    }

    /// The byte under the cursor as it stands, white space included.
    #[inline]
    pub fn raw(&self) -> Option<u8> {
        self.bytes().get(self.at).copied()
    }

    /// Steps over one byte that [`Cursor::peek`] or [`Cursor::raw`] has seen to be ASCII.
    #[inline]
    pub fn bump(&mut self) {
        self.at += 1;
    }

    /// Takes `want` if it is next.
    #[inline]
    pub fn eat(&mut self, want: u8) -> bool {
        let found = self.peek() == Some(want);
        if found {
            self.at += 1;
        }
        found
    }

    /// Takes `want` or says what was expected.
    pub fn expect(&mut self, want: u8, what: &'static str) -> Result<(), BodyError> {
        if self.eat(want) { Ok(()) } else { Err(self.syntax(what)) }
    }

    /// Takes a literal such as `true`, which must not run on into another word.
    pub fn word(&mut self, word: &str) -> bool {
        let rest = self.bytes().get(self.at..).unwrap_or(&[]);
        let ends = rest.get(word.len()).is_none_or(|b| !b.is_ascii_alphanumeric());
        let found = rest.starts_with(word.as_bytes()) && ends;
        if found {
            self.at += word.len();
        }
        found
    }

    /// Takes exactly this text.
    pub fn literal(&mut self, text: &str) -> Option<()> {
        self.bytes().get(self.at..)?.starts_with(text.as_bytes()).then(|| self.at += text.len())
    }

    /// The text up to the end of a string, an escape or a control character.
    pub fn plain(&mut self) -> &'a str {
        let start = self.at;
        self.at += plain(self.bytes().get(start..).unwrap_or_default());
        self.span(start, self.at)
    }

    /// After a member or an element: `,` goes on (true), `close` ends (false).
    #[inline]
    pub fn more(&mut self, close: u8, what: &'static str) -> Result<bool, BodyError> {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(b) if b == close => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.syntax(what)),
        }
    }

    /// A member's name and its colon.
    pub fn key(&mut self) -> Result<Cow<'a, str>, BodyError> {
        if self.peek() != Some(b'"') {
            return Err(self.syntax("expected a member name in quotes"));
        }
        let key = self.string()?;
        self.expect(b':', "expected ':' after the member name")?;
        Ok(key)
    }

    /// A string; borrowed when it has no escapes. The cursor stands on its opening quote.
    pub fn string(&mut self) -> Result<Cow<'a, str>, BodyError> {
        if self.peek() != Some(b'"') {
            return Err(self.syntax("expected a string"));
        }
        let start = self.at + 1;
        self.at = start + plain(self.bytes().get(start..).unwrap_or_default());
        match self.raw() {
            Some(b'"') => {
                let text = self.span(start, self.at);
                self.at += 1;
                Ok(Cow::Borrowed(text))
            }
            Some(b'\\') => self.escaped(start).map(Cow::Owned),
            Some(_) => Err(self.syntax("a control character must be escaped")),
            None => Err(self.syntax("the string does not end")),
        }
    }

    fn escaped(&mut self, start: usize) -> Result<String, BodyError> {
        let mut out = String::from(self.span(start, self.at));
        let mut plain = self.at;
        let bytes = self.bytes();
        loop {
            match bytes.get(self.at) {
                Some(b'"') => {
                    out.push_str(self.span(plain, self.at));
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    out.push_str(self.span(plain, self.at));
                    self.at += 1;
                    out.push(self.escape()?);
                    plain = self.at;
                }
                Some(0..=0x1f) => return Err(self.syntax("a control character must be escaped")),
                Some(_) => self.at += 1,
                None => return Err(self.syntax("the string does not end")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, BodyError> {
        let Some(b) = self.raw() else { return Err(self.syntax("the string does not end")) };
        let plain = match b {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.unicode();
            }
            _ => return Err(self.syntax("no such escape")),
        };
        self.at += 1;
        Ok(plain)
    }

    fn unicode(&mut self) -> Result<char, BodyError> {
        let first = self.hex4()?;
        let code = match first {
            0xd800..=0xdbff => {
                if !self.bytes().get(self.at..).is_some_and(|rest| rest.starts_with(b"\\u")) {
                    return Err(self.syntax("half of a surrogate pair"));
                }
                self.at += 2;
                let second = self.hex4()?;
                if !(0xdc00..=0xdfff).contains(&second) {
                    return Err(self.syntax("half of a surrogate pair"));
                }
                0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            other => other,
        };
        char::from_u32(code).ok_or_else(|| self.syntax("half of a surrogate pair"))
    }

    fn hex4(&mut self) -> Result<u32, BodyError> {
        let mut code = 0_u32;
        for _ in 0..4 {
            let digit = self.raw().and_then(|b| char::from(b).to_digit(16));
            let Some(digit) = digit else { return Err(self.syntax("\\u takes four hexadecimal digits")) };
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }

    /// A number, or one of the words that Python's `json` writes for what JSON has no number for
    /// (`NaN`, `Infinity`, `-Infinity`): the text of it, its grammar checked.
    pub fn number(&mut self) -> Result<&'a str, BodyError> {
        self.decimal().map(|d| d.text)
    }

    /// The same, with its digits already read.
    pub fn decimal(&mut self) -> Result<Decimal<'a>, BodyError> {
        self.peek();
        let start = self.at;
        let mut number =
            Decimal { text: "", negative: false, mantissa: 0, digits: 0, exponent: 0, whole: true, word: false };
        if self.raw() == Some(b'-') {
            number.negative = true;
            self.at += 1;
        }
        match self.raw() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => {
                self.digits(&mut number);
            }
            _ => return self.number_word(start),
        }
        if self.raw() == Some(b'.') {
            self.at += 1;
            number.whole = false;
            let places = self.digits(&mut number);
            if places == 0 {
                return Err(self.syntax("expected a digit"));
            }
            number.exponent = -places;
        }
        if matches!(self.raw(), Some(b'e' | b'E')) {
            self.at += 1;
            number.whole = false;
            number.exponent = number.exponent.saturating_add(self.exponent()?);
        }
        number.text = self.span(start, self.at);
        Ok(number)
    }

    fn number_word(&mut self, start: usize) -> Result<Decimal<'a>, BodyError> {
        self.at = start;
        if !(self.word("NaN") || self.word("Infinity") || self.word("-Infinity")) {
            return Err(self.syntax("expected a number"));
        }
        let text = self.span(start, self.at);
        Ok(Decimal { text, negative: false, mantissa: 0, digits: 0, exponent: 0, whole: false, word: true })
    }

    /// Takes digits into the mantissa; how many there were.
    #[inline]
    fn digits(&mut self, number: &mut Decimal<'a>) -> i32 {
        let rest = self.bytes().get(self.at..).unwrap_or_default();
        let mut mantissa = number.mantissa;
        let mut count = 0;
        while let Some(digit) = rest.get(count).map(|b| b.wrapping_sub(b'0')).filter(|d| *d < 10) {
            // Wraps beyond 19 digits; the count says so.
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
            count += 1;
        }
        let zeros = match number.digits {
            0 => rest.iter().take(count).take_while(|b| **b == b'0').count(),
            _ => 0,
        };
        number.mantissa = mantissa;
        number.digits = number.digits.saturating_add(u32::try_from(count - zeros).unwrap_or(u32::MAX));
        self.at += count;
        i32::try_from(count).unwrap_or(i32::MAX)
    }

    /// The digits after `e`, with their sign; saturates.
    fn exponent(&mut self) -> Result<i32, BodyError> {
        let negative = self.raw() == Some(b'-');
        if matches!(self.raw(), Some(b'+' | b'-')) {
            self.at += 1;
        }
        let start = self.at;
        let mut value = 0_i32;
        while let Some(digit) = self.raw().map(|b| b.wrapping_sub(b'0')).filter(|d| *d < 10) {
            value = value.saturating_mul(10).saturating_add(i32::from(digit));
            self.at += 1;
        }
        if self.at == start {
            return Err(self.syntax("expected a digit"));
        }
        Ok(if negative { -value } else { value })
    }

    /// Steps over any value, checking that it is JSON.
    pub fn skip(&mut self) -> Result<(), BodyError> {
        self.skip_at(0)
    }

    fn skip_at(&mut self, depth: u32) -> Result<(), BodyError> {
        if depth > MAX_DEPTH {
            return Err(self.syntax("nested too deeply"));
        }
        match self.peek() {
            Some(b'{') => {
                self.at += 1;
                if self.eat(b'}') {
                    return Ok(());
                }
                loop {
                    self.key()?;
                    self.skip_at(depth + 1)?;
                    if !self.more(b'}', "expected ',' or '}'")? {
                        return Ok(());
                    }
                }
            }
            Some(b'[') => {
                self.at += 1;
                if self.eat(b']') {
                    return Ok(());
                }
                loop {
                    self.skip_at(depth + 1)?;
                    if !self.more(b']', "expected ',' or ']'")? {
                        return Ok(());
                    }
                }
            }
            Some(b'"') => self.string().map(drop),
            Some(b't' | b'f' | b'n') if self.word("true") || self.word("false") || self.word("null") => Ok(()),
            Some(b'-' | b'0'..=b'9' | b'N' | b'I') => self.number().map(drop),
            _ => Err(self.syntax("expected a value")),
        }
    }

    /// What kind of value is next, in words, for messages.
    pub fn kind(&mut self) -> &'static str {
        match self.peek() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            Some(_) => "a number",
            None => "the end of the body",
        }
    }

    /// Nothing but white space may follow.
    pub fn end(&mut self) -> Result<(), BodyError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.syntax("there is more after the end of the JSON value")),
        }
    }
}
