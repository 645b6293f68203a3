//! JSON lines: their columns, which only all of them together tell.

use crate::csv;
use crate::plan::{At, Shard};
use crate::read;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::json::reader::{ValueIter, infer_json_schema_from_iterator};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Columns and shards.
pub(crate) fn plan(path: &Path, file: &File, threads: usize) -> Result<(SchemaRef, Vec<Shard>), String> {
    let mut file = file;
    let shards = csv::shards(&mut file, 0, false)?;
    let Some(first) = shards.first() else { return Ok((Arc::new(Schema::empty()), shards)) };
    let order = {
        let text = text(path, first)?;
        let mut lines = serde_json::Deserializer::from_slice(&text).into_iter::<Keys>();
        lines.next().transpose().map_err(|e| format!("row 0: {e}"))?.unwrap_or_default().0
    };
    let next = AtomicUsize::new(0);
    let look = || -> Result<Vec<(usize, Schema)>, String> {
        let mut found = Vec::new();
        while let Some((i, shard)) = {
            let i = next.fetch_add(1, Ordering::Relaxed);
            shards.get(i).map(|s| (i, s))
        } {
            found.push((i, infer(&text(path, shard)?, shard.first)?));
        }
        Ok(found)
    };
    let found: Result<Vec<_>, String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(look)).collect();
        threads.into_iter().map(|t| t.join().unwrap_or_else(|_| Err("reading its columns panicked".into()))).collect()
    });
    let mut found: Vec<(usize, Schema)> = found?.into_iter().flatten().collect();
    found.sort_by_key(|(i, _)| *i);
    let mut columns: BTreeMap<String, DataType> = BTreeMap::new();
    for (_, schema) in found {
        for field in schema.fields() {
            let kind = match columns.remove(field.name()) {
                None => field.data_type().clone(),
                Some(before) => both(&before, field.data_type()).ok_or_else(|| {
                    format!("column {:?} is {before} in some rows and {} in others", field.name(), field.data_type())
                })?,
            };
            columns.insert(field.name().clone(), kind);
        }
    }
    let mut fields: Vec<Field> = Vec::new();
    for name in order {
        if let Some(kind) = columns.remove(&name) {
            fields.push(Field::new(name, kind, true));
        }
    }
    fields.extend(columns.into_iter().map(|(name, kind)| Field::new(name, kind, true)));
    Ok((Arc::new(Schema::new(fields)), shards))
}

fn text(path: &Path, shard: &Shard) -> Result<Vec<u8>, String> {
    match &shard.at {
        At::Bytes(range) => read::bytes(path, range).map_err(|e| e.to_string()),
        _ => Ok(Vec::new()),
    }
}

fn infer(text: &[u8], first: u64) -> Result<Schema, String> {
    let mut row = first;
    let mut source = text;
    let values = ValueIter::new(&mut source, None).inspect(|_| row += 1);
    let schema = infer_json_schema_from_iterator(values);
    schema.map_err(|e| format!("row {}: {e}", row.saturating_sub(1)))
}

/// The type that holds values of both.
fn both(a: &DataType, b: &DataType) -> Option<DataType> {
    Some(match (a, b) {
        (a, b) if a == b => a.clone(),
        (DataType::Null, other) | (other, DataType::Null) => other.clone(),
        (DataType::Int64, DataType::Float64) | (DataType::Float64, DataType::Int64) => DataType::Float64,
        (DataType::List(a), DataType::List(b)) => {
            let item = both(a.data_type(), b.data_type())?;
            DataType::List(Arc::new(Field::new(a.name(), item, true)))
        }
        (DataType::Struct(a), DataType::Struct(b)) => {
            let mut all: Vec<Field> = Vec::new();
            for field in a {
                let kind = match b.find(field.name()) {
                    Some((_, other)) => both(field.data_type(), other.data_type())?,
                    None => field.data_type().clone(),
                };
                all.push(Field::new(field.name(), kind, true));
            }
            all.extend(b.iter().filter(|f| a.find(f.name()).is_none()).map(|f| Field::clone(f)));
            DataType::Struct(Fields::from(all))
        }
        _ => return None,
    })
}

/// The member names of an object, in their order.
#[derive(Default)]
struct Keys(Vec<String>);

impl<'de> serde::Deserialize<'de> for Keys {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Keys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let mut keys = Vec::new();
                while let Some((key, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                    keys.push(key);
                }
                Ok(Keys(keys))
            }
        }
        d.deserialize_map(Members)
    }
}
