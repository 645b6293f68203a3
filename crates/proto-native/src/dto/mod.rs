//! What goes over the wire. Field names are camelCase; times are RFC 3339 in UTC, except points of
//! charts, which carry milliseconds since the epoch.

pub mod alerts;
pub mod conversions;
pub mod cost;
pub mod deployments;
pub mod estimates;
pub mod journal;
pub mod lineage;
pub mod models;
pub mod monitors;
pub mod performance;
pub mod resources;
pub mod rollouts;
pub mod security;
pub mod system;
pub mod tracking;

use mainspring_core::Timestamp;
use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// An instant, written as RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, utoipa::ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-11-23T21:50:00.000123Z")]
pub struct Time(pub Timestamp);

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0.micros()) * 1000);
        let text = at.ok().and_then(|at| at.format(&Rfc3339).ok());
        serializer.serialize_str(text.as_deref().unwrap_or("1970-01-01T00:00:00Z"))
    }
}

/// A number that may be one JSON has no literal for: those are the strings `NaN`, `Infinity` and
/// `-Infinity`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number(pub f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            v if v.is_nan() => serializer.serialize_str("NaN"),
            v if v.is_infinite() => serializer.serialize_str(if v > 0.0 { "Infinity" } else { "-Infinity" }),
            v => serializer.serialize_f64(v),
        }
    }
}

impl utoipa::PartialSchema for Number {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
        OneOfBuilder::new()
            .item(ObjectBuilder::new().schema_type(Type::Number))
            .item(ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["NaN", "Infinity", "-Infinity"])))
            .into()
    }
}

impl utoipa::ToSchema for Number {}
