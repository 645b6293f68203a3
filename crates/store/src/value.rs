//! Values that go into a statement and come out of a row.

use mainspring_core::{EventId, Name, Tenant, Timestamp};
use std::sync::Arc;

/// One value, in the types that both databases have.
///
/// SQLite stores a NaN as NULL and forgets the sign of a negative zero; keep floats for which that
/// matters as bytes or text. Postgres refuses text with a NUL character.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// `BOOLEAN` on Postgres; 0 or 1 on SQLite.
    Bool(bool),
    /// `BIGINT`.
    Int(i64),
    /// `DOUBLE PRECISION`, `REAL` on SQLite.
    Real(f64),
    /// `TEXT`.
    Text(String),
    /// `BYTEA`, `BLOB` on SQLite.
    Blob(Vec<u8>),
}

impl Value {
    /// The name of the type, for messages.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "an integer",
            Self::Real(_) => "a float",
            Self::Text(_) => "text",
            Self::Blob(_) => "bytes",
        }
    }
}

macro_rules! from {
    ($($from:ty => |$v:ident| $to:expr),* $(,)?) => {$(
        impl From<$from> for Value {
            fn from($v: $from) -> Self {
                $to
            }
        }
    )*};
}

from! {
    bool => |v| Self::Bool(v),
    i64 => |v| Self::Int(v),
    i32 => |v| Self::Int(v.into()),
    i16 => |v| Self::Int(v.into()),
    u32 => |v| Self::Int(v.into()),
    u16 => |v| Self::Int(v.into()),
    u8 => |v| Self::Int(v.into()),
    f64 => |v| Self::Real(v),
    f32 => |v| Self::Real(v.into()),
    String => |v| Self::Text(v),
    &String => |v| Self::Text(v.clone()),
    &str => |v| Self::Text(v.to_owned()),
    Arc<str> => |v| Self::Text(v.as_ref().to_owned()),
    &Arc<str> => |v| Self::Text(v.as_ref().to_owned()),
    Vec<u8> => |v| Self::Blob(v),
    &[u8] => |v| Self::Blob(v.to_vec()),
    &Vec<u8> => |v| Self::Blob(v.clone()),
    Tenant => |v| Self::Text(v.as_str().to_owned()),
    &Tenant => |v| Self::Text(v.as_str().to_owned()),
    Name => |v| Self::Text(v.as_str().to_owned()),
    &Name => |v| Self::Text(v.as_str().to_owned()),
    Timestamp => |v| Self::Int(v.micros()),
    EventId => |v| Self::Text(v.to_string()),
    &EventId => |v| Self::Text(v.to_string()),
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(v: Option<T>) -> Self {
        v.map_or(Self::Null, Into::into)
    }
}

impl From<&Value> for Value {
    fn from(v: &Value) -> Self {
        v.clone()
    }
}

/// The parameters of a statement, in the order of `$1`, `$2`, …: `args![tenant, id, 3]`.
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => {
        ::std::vec::Vec::<$crate::Value>::from([$($crate::Value::from($value)),*])
    };
}
