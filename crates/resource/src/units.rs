//! Durations and byte sizes as people write them in specs.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A duration written as a number and a unit: `2ms`, `250ms`, `30s`, `10m`, `1h`, `14d`, `500us`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct HumanDuration(pub Duration);

/// A number of bytes written as a number and a unit: `64MiB`, `10MB`, `512B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ByteSize(pub u64);

const DURATIONS: [(&str, u64); 6] = [
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

const SIZES: [(&str, u64); 7] = [
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// Splits `250ms` into 250 and the scale of `ms`, and multiplies. Fractions are allowed: `1.5s`.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
    let (number, unit) = (&text[..split], text[split..].trim());
    let scale = units.iter().find(|(name, _)| *name == unit)?.1;
    let value = match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(scale)?,
        Err(_) => {
            let value = number.parse::<f64>().ok()? * scale as f64;
            if !(value.is_finite() && (0.0..9.0e18).contains(&value)) {
                return None;
            }
            value.round() as u64
        }
    };
    Some(value)
}

/// The largest unit that divides the value.
fn largest(value: u64, units: &[(&'static str, u64)]) -> (u64, &'static str) {
    let fits = units.iter().filter(|(_, scale)| value != 0 && value.is_multiple_of(*scale)).max_by_key(|(_, s)| *s);
    fits.map_or((value, units[0].0), |(name, scale)| (value / scale, name))
}

impl FromStr for HumanDuration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        scaled(text, &DURATIONS).map(|ns| Self(Duration::from_nanos(ns))).ok_or_else(|| {
            format!("{text:?} is not a duration; write a number and a unit, such as 500us, 2ms, 30s, 10m, 1h or 14d")
        })
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX);
        if ns == 0 {
            return f.write_str("0ms");
        }
        if !ns.is_multiple_of(1_000) {
            return write!(f, "{}us", ns as f64 / 1e3);
        }
        let (number, unit) = largest(ns, &DURATIONS);
        write!(f, "{number}{unit}")
    }
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        scaled(text, &SIZES)
            .map(Self)
            .ok_or_else(|| format!("{text:?} is not a size; write a number and a unit, such as 512KiB, 64MiB or 10MB"))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = largest(self.0, &SIZES);
        write!(f, "{number}{unit}")
    }
}

macro_rules! text_form {
    ($type:ty, $name:literal, $pattern:literal, $what:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "pattern": $pattern, "description": $what})
            }
        }
    };
}

text_form!(
    HumanDuration,
    "Duration",
    r"^[0-9]+(\.[0-9]+)?\s*(us|ms|s|m|h|d)$",
    "A duration such as 500us, 2ms, 30s, 10m, 1h, 14d."
);
text_form!(
    ByteSize,
    "ByteSize",
    r"^[0-9]+(\.[0-9]+)?\s*(B|kB|MB|GB|KiB|MiB|GiB)$",
    "A size such as 512KiB, 64MiB, 10MB."
);
