//! Names of declared things: illegal ones cannot exist.

use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The name of a resource such as a deployment: 1 to 128 of `a-z A-Z 0-9 . _ -`, starting with a
/// letter or digit. It stands in URLs and in file paths, so nothing else is allowed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Name(Arc<str>);

/// Why a text is not a [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty.
    #[error("a name cannot be empty")]
    Empty,
    /// Over 128 bytes.
    #[error("the name is {0} bytes long; at most 128 are allowed")]
    TooLong(usize),
    /// A character outside the set.
    #[error(
        "{text:?} is not a name: {bad:?} is not allowed (letters, digits, '.', '_' and '-', starting with a letter or digit)"
    )]
    BadChar {
        /// The text given.
        text: String,
        /// The first character at fault.
        bad: char,
    },
}

impl Name {
    /// Checks `text`. The only way to make a name; deserialisation goes through it too.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > 128 {
            return Err(NameError::TooLong(text.len()));
        }
        let bad =
            text.char_indices().find(|(i, c)| !(c.is_ascii_alphanumeric() || (*i > 0 && matches!(c, '.' | '_' | '-'))));
        match bad {
            Some((_, bad)) => Err(NameError::BadChar { text: text.to_owned(), bad }),
            None => Ok(Self(text.into())),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as shared text, without a copy.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for Name {
    type Err = NameError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::new(s)
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}
