//! Where the unit of a request comes from.

use crate::cookie;
use crate::head::RequestHead;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Where a request carries its unit. Written as `header:NAME`, `cookie:NAME`, `field:NAME`, `key` or `request`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum UnitFrom {
    /// A header, or gRPC metadata, of this name; in lower case.
    Header(String),
    /// A cookie of this name; the first, where a request has several.
    Cookie(String),
    /// The first row of an input, a column or a tensor, of this name.
    Field(String),
    /// The API key that the caller showed.
    Key,
    /// The request itself: each is a unit of its own, and nothing is sticky.
    Request,
}

/// A text says no place that a unit can come from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// None of the forms.
    #[error("{0:?} says no unit; write header:NAME, cookie:NAME, field:NAME, key or request")]
    Form(String),
    /// `header:` with what no header can be called.
    #[error("{0:?} is not the name of a header; use letters, digits, '-', '_' and '.'")]
    Header(String),
    /// `cookie:` with what no cookie can be called.
    #[error("{0:?} is not the name of a cookie; write it as browsers send it, without spaces, quotes and '='")]
    Cookie(String),
    /// `field:` with nothing behind it.
    #[error("field: names no input; write field:NAME, with the name of a column or tensor")]
    Field,
}

impl UnitFrom {
    /// The unit, where it stands beside a request's data. An empty one is none.
    #[inline]
    pub fn beside<'a>(&self, head: &'a dyn RequestHead) -> Option<&'a [u8]> {
        let value = match self {
            Self::Header(name) => head.header(name),
            Self::Cookie(name) => head.cookie(name),
            Self::Field(_) | Self::Key | Self::Request => None,
        };
        value.filter(|value| !value.is_empty())
    }
}

impl FromStr for UnitFrom {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let text = text.trim();
        match text.split_once(':') {
            Some(("header", name)) => {
                let name = name.trim();
                // What is both an HTTP header's name and gRPC metadata's.
                let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
                if name.is_empty() || !name.bytes().all(fits) {
                    return Err(UnitError::Header(name.to_owned()));
                }
                Ok(Self::Header(name.to_ascii_lowercase()))
            }
            Some(("cookie", name)) => {
                let name = name.trim();
                let known = if cookie::is_name(name) { Ok(name) } else { Err(UnitError::Cookie(name.to_owned())) };
                known.map(|name| Self::Cookie(name.to_owned()))
            }
            Some(("field", "")) => Err(UnitError::Field),
            Some(("field", name)) => Ok(Self::Field(name.to_owned())),
            None if text == "key" => Ok(Self::Key),
            None if text == "request" => Ok(Self::Request),
            _ => Err(UnitError::Form(text.to_owned())),
        }
    }
}

impl fmt::Display for UnitFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Field(name) => write!(f, "field:{name}"),
            Self::Key => f.write_str("key"),
            Self::Request => f.write_str("request"),
        }
    }
}

impl TryFrom<String> for UnitFrom {
    type Error = UnitError;

    fn try_from(text: String) -> Result<Self, UnitError> {
        text.parse()
    }
}

impl From<UnitFrom> for String {
    fn from(unit: UnitFrom) -> Self {
        unit.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read_and_printed_alike() {
        for text in ["header:x-user-id", "cookie:uid", "field:user_id", "field:a:b", "key", "request"] {
            assert_eq!(text.parse::<UnitFrom>().unwrap().to_string(), text);
        }
        assert_eq!("header: X-User-Id ".parse(), Ok(UnitFrom::Header("x-user-id".into())));
        assert_eq!("cookie: __Host-uid ".parse(), Ok(UnitFrom::Cookie("__Host-uid".into())));
        assert_eq!("field:Größe".parse(), Ok(UnitFrom::Field("Größe".into())));
    }

    #[test]
    fn what_says_no_unit_is_refused_with_the_forms() {
        for bad in ["", "user", "session:id", "Key", "request:", "header", ":x"] {
            assert_eq!(bad.parse::<UnitFrom>(), Err(UnitError::Form(bad.into())), "{bad}");
        }
        for bad in ["header:", "header:x user", "header:größe", "header:a:b"] {
            assert!(matches!(bad.parse::<UnitFrom>(), Err(UnitError::Header(_))), "{bad}");
        }
        for bad in ["cookie:", "cookie:a b", "cookie:a=b", "cookie:a;b", "cookie:größe", "cookie:\"a\""] {
            assert!(matches!(bad.parse::<UnitFrom>(), Err(UnitError::Cookie(_))), "{bad}");
        }
        assert_eq!("field:".parse::<UnitFrom>(), Err(UnitError::Field));
    }

    #[test]
    fn it_is_stored_as_its_text() {
        let unit = UnitFrom::Header("x-user-id".into());
        assert_eq!(serde_json::to_string(&unit).unwrap(), r#""header:x-user-id""#);
        assert_eq!(serde_json::from_str::<UnitFrom>(r#""header:x-user-id""#).unwrap(), unit);
        assert!(serde_json::from_str::<UnitFrom>(r#""user""#).unwrap_err().to_string().contains("header:NAME"));
    }
}
