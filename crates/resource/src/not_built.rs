//! Fields that a design names and that do nothing yet.

/// Types for fields of a spec that are known to the schema and refused by name: `Type, "field", "what it would be";`.
/// Whoever uses it depends on `serde` and `schemars`.
#[macro_export]
macro_rules! not_built {
    ($($type:ident, $field:literal, $what:literal;)*) => {$(
        #[doc = concat!("`", $field, "`: ", $what, ". Refused until it is built.")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub(super) struct $type;

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
                Err(serde::de::Error::custom(concat!(
                    "`", $field, "` (", $what, ") is not built yet; remove it from the spec"
                )))
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"not": {}, "description": concat!("Not built yet, refused: ", $what, ".")})
            }
        }
    )*};
}
