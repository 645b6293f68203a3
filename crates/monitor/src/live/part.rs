//! Which part of a deployment's rows: one side of a comparison of two segments.

use super::spec::{MonitorSpec, SpecError, check};
use crate::segment::{FIELDS, Segment, Written};
use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;

const OTHERS: &str = "others";
const EXPECTED: &str = "others, or columns with their values, such as {in.plan: free}";

/// The segment that another one is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beside {
    /// All rows that are not of the monitor's own.
    Others,
    /// These.
    Of(Segment),
}

impl Serialize for Beside {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Others => to.serialize_str(OTHERS),
            Self::Of(segment) => segment.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Beside {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Value::deserialize(from)? {
            Value::String(word) if word == OTHERS => Ok(Self::Others),
            value @ Value::Object(_) => {
                let segment = serde_json::from_value(value);
                segment.map(Self::Of).map_err(|e| D::Error::custom(format!("{e}; expected {EXPECTED}")))
            }
            value => Err(D::Error::custom(format!("{value} is no segment; expected {EXPECTED}"))),
        }
    }
}

impl JsonSchema for Beside {
    fn schema_name() -> Cow<'static, str> {
        "SegmentBeside".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let segment = generator.subschema_for::<Written>();
        json_schema!({ "anyOf": [{ "const": OTHERS }, segment] })
    }
}

/// Which rows of those of a variant or a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// Those of a segment; all where it is of no column.
    Of(&'a Segment),
    /// All but those.
    But(&'a Segment),
}

impl Part<'_> {
    /// Whether each row of a batch is of it; nothing where all are.
    ///
    /// # Errors
    /// What Arrow says of values that it cannot read.
    pub(super) fn rows(self, batch: &RecordBatch) -> Result<Option<Vec<bool>>, ArrowError> {
        match self {
            Self::Of(segment) if segment.is_all() => Ok(None),
            Self::Of(segment) => segment.rows(batch).map(Some),
            Self::But(segment) => Ok(Some(segment.rows(batch)?.into_iter().map(|of| !of).collect())),
        }
    }

    /// ` where in.plan = gold`; nothing of all rows.
    fn words(self) -> String {
        match self {
            Self::Of(segment) if segment.is_all() => String::new(),
            Self::Of(segment) => format!(" where {segment}"),
            Self::But(segment) => format!(" where not ({segment})"),
        }
    }
}

impl MonitorSpec {
    /// Whose rows are watched, in words: `stable of churn where in.plan = gold`.
    pub fn watched(&self) -> String {
        format!("{} of {}{}", self.variant, self.deployment, self.whose().part.words())
    }

    /// Whose rows they are compared with, where these are answered meanwhile, in words.
    pub fn compared(&self) -> Option<String> {
        let (deployment, whose) = self.beside()?;
        let variant = whose.variant.map(|variant| format!("{variant} of ")).unwrap_or_default();
        let version = whose.version.map(|version| format!(" version {version}")).unwrap_or_default();
        Some(format!("{variant}{deployment}{version}{}", whose.part.words()))
    }

    /// The condition of SQL for the watched rows that are of its segment, from `AND` on; nothing where all are. A column
    /// that no row has yet has no such value. `known` are the journal's columns and their types, `prefix` stands before them.
    pub fn in_segment(&self, known: &[(&str, &str)], prefix: &str) -> String {
        if self.segment.is_all() {
            return String::new();
        }
        let condition = self.segment.condition(self.deployment.as_str(), known, prefix);
        format!(" AND ({})", condition.unwrap_or_else(|_| "false".to_owned()))
    }

    /// Whether a column tells the rows of a side from others: it is the same in all of them, or never the same.
    pub(super) fn tells_apart(&self, column: &str) -> bool {
        self.parts().any(|segment| segment.columns().any(|name| name == column))
    }

    /// Whether a column of the journal, or an element of it, tells rows apart.
    pub(super) fn needs_to_tell_apart(&self, column: &str) -> bool {
        let of_list = |name: &str| name.strip_prefix(column).is_some_and(|rest| rest.starts_with('['));
        self.parts().any(|segment| segment.columns().any(|name| name == column || of_list(name)))
    }

    fn parts(&self) -> impl Iterator<Item = &Segment> {
        let beside = self.reference.segment.as_ref().and_then(|beside| match beside {
            Beside::Of(segment) => Some(segment),
            Beside::Others => None,
        });
        std::iter::once(&self.segment).chain(beside)
    }

    pub(super) fn check_segments(&self) -> Result<(), SpecError> {
        for (path, segment) in ["segment", "reference.segment"].into_iter().zip(self.parts()) {
            for column in segment.columns() {
                let whole = column.starts_with("in.") || column.starts_with("out.") || FIELDS.contains(&column);
                let expected = "of inputs and outputs (in.plan, out.label), model, version, protocol or caller";
                check(whole, path, format!("of {column:?}"), expected)?;
                let expected = "without it: `variant` has a word of its own, here and in `reference`";
                check(column != "variant", path, "of \"variant\"", expected)?;
            }
        }
        let Some(beside) = &self.reference.segment else { return Ok(()) };
        let path = "reference.segment";
        match beside {
            Beside::Others => check(!self.segment.is_all(), path, OTHERS, "of a monitor with a `segment` of its own"),
            Beside::Of(theirs) => check(!theirs.is_all(), path, "of no column", EXPECTED),
        }
    }

    /// Whether the rows of the segment beside are surely none of those that are watched.
    pub(super) fn parts_exclude(&self) -> bool {
        match &self.reference.segment {
            None => false,
            Some(Beside::Others) => true,
            Some(Beside::Of(theirs)) => theirs.excludes(&self.segment),
        }
    }
}
