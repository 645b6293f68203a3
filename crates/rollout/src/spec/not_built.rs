//! Fields that the design names and that do nothing yet: known to the schema, refused by name.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

macro_rules! not_built {
    ($($type:ident, $field:literal, $what:literal;)*) => {$(
        #[doc = concat!("`", $field, "`: ", $what, ". Refused until it is built.")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub(super) struct $type;

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
                Err(serde::de::Error::custom(concat!(
                    "`", $field, "` (", $what, ") is not built yet; remove it from the spec"
                )))
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"not": {}, "description": concat!("Not built yet, refused: ", $what, ".")})
            }
        }
    )*};
}

not_built! {
    Bandit, "bandit", "weights that follow what is learned; use abTest";
    ContextualBandit, "contextualBandit", "a choice by the request's features; use abTest";
    Cuped, "cuped", "less variance by what a unit did before";
    Psi, "psi", "a shift of a whole distribution; maxShift watches the mean";
    Notify, "notify", "messages to people; the decisions are events in the journal";
    Group, "group", "approval by a group; whoever may write may approve";
}
