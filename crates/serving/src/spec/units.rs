//! How many instances of a model run, as people write it.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// How many calls of a model may run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Instances {
    /// One a core.
    #[default]
    Auto,
    /// This many.
    Count(u32),
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
