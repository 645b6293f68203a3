//! Durations, byte sizes and instance counts as people write them.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A duration written as a number and a unit: `2ms`, `250ms`, `30s`, `10m`, `1h`, `500us`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct HumanDuration(pub Duration);

/// A number of bytes written as a number and a unit: `64MiB`, `10MB`, `512B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ByteSize(pub u64);

/// How many calls of a model may run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Instances {
    /// One a core.
    #[default]
    Auto,
    /// This many.
    Count(u32),
}

const DURATIONS: [(&str, u64); 5] =
    [("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000)];

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
            format!("{text:?} is not a duration; write a number and a unit, such as 500us, 2ms, 30s, 10m or 1h")
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

impl FromStr for Instances {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        text.parse()
            .map(Self::Count)
            .map_err(|_| format!("{text:?} is not a number of instances; write auto or 1, 2, …"))
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
    r"^[0-9]+(\.[0-9]+)?\s*(us|ms|s|m|h)$",
    "A duration such as 500us, 2ms, 30s, 10m, 1h."
);
text_form!(
    ByteSize,
    "ByteSize",
    r"^[0-9]+(\.[0-9]+)?\s*(B|kB|MB|GB|KiB|MiB|GiB)$",
    "A size such as 512KiB, 64MiB, 10MB."
);

impl Serialize for Instances {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => s.serialize_str("auto"),
            Self::Count(n) => s.serialize_u32(*n),
        }
    }
}

impl<'de> Deserialize<'de> for Instances {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Instances;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("auto or a number of instances")
            }

            fn visit_u64<E: serde::de::Error>(self, n: u64) -> Result<Instances, E> {
                u32::try_from(n).map(Instances::Count).map_err(|_| E::custom(format!("{n} instances are too many")))
            }

            fn visit_i64<E: serde::de::Error>(self, n: i64) -> Result<Instances, E> {
                u32::try_from(n)
                    .map(Instances::Count)
                    .map_err(|_| E::custom(format!("{n} is not a number of instances; write auto or 1, 2, …")))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Instances, E> {
                text.parse().map_err(E::custom)
            }
        }
        d.deserialize_any(Visitor)
    }
}

impl JsonSchema for Instances {
    fn schema_name() -> Cow<'static, str> {
        "Instances".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Calls that may run at once: auto (one a core) or a number.",
            "anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1, "maximum": 1024}],
        })
    }
}
