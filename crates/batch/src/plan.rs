//! Cutting the input into shards, the same way each time.

use crate::carry;
use crate::csv;
use crate::error::BatchError;
use crate::format::Format;
use crate::json;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::reader::{FileReader, read_footer_length};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::PageIndexPolicy;
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows of a shard at most, as far as the file can be cut there: an Arrow record batch is read whole.
pub const SHARD_ROWS: u64 = 1 << 17;
/// Bytes of a shard's text, or of its values as Parquet says them, beyond which it ends.
pub const SHARD_BYTES: u64 = 16 << 20;

/// An input that is planned.
#[derive(Debug)]
pub(crate) struct Source {
    pub file: PathBuf,
    /// What messages call it.
    pub name: String,
    pub format: Format,
    /// Columns as they are carried: without dictionaries and views.
    pub schema: SchemaRef,
    pub shards: Vec<Shard>,
    pub rows: u64,
    pub parquet: Option<ArrowReaderMetadata>,
    /// The columns that are read, by place, where the others go over as they are.
    pub read: Option<Vec<usize>>,
}

/// Consecutive rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shard {
    pub first: u64,
    pub rows: u64,
    pub at: At,
}

/// Where they are in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum At {
    /// Parquet row groups, without the first `skip` rows of them.
    Groups { groups: Range<usize>, skip: u64 },
    /// Bytes of a text.
    Bytes(Range<u64>),
    /// An Arrow record batch.
    Batch(usize),
}

impl Source {
    /// Plans `file`. Reads all of a text file, the footer of others. Blocks.
    pub fn plan(file: &Path, name: String, format: Format, threads: usize) -> Result<Self, BatchError> {
        let wrong = |reason: String| BatchError::Input { name: name.clone(), format: format.as_str(), reason };
        let opened = File::open(file).map_err(|e| BatchError::reading(file, e))?;
        let mut parquet = None;
        let (schema, shards) = match format {
            Format::Parquet => {
                let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
                let metadata = ArrowReaderMetadata::load(&opened, options).map_err(|e| wrong(e.to_string()))?;
                let planned = groups(&metadata);
                let schema = Arc::clone(metadata.schema());
                parquet = Some(metadata);
                (schema, planned)
            }
            Format::Csv => csv::plan(&opened).map_err(wrong)?,
            Format::Jsonl => json::plan(file, &opened, threads).map_err(wrong)?,
            Format::Arrow => batches(opened).map_err(wrong)?,
        };
        let schema = plain(&schema);
        let mut seen = HashSet::new();
        if let Some(twice) = schema.fields().iter().find(|f| !seen.insert(f.name())) {
            return Err(wrong(format!("it has two columns {:?}", twice.name())));
        }
        let rows = shards.last().map_or(0, |s| s.first + s.rows);
        Ok(Self { file: file.to_owned(), name, format, schema, shards, rows, parquet, read: None })
    }
}

impl Source {
    /// From now on only the columns at `places` are read, and a shard is a row group.
    pub fn carry(&mut self, places: Vec<usize>) {
        if let Some(parquet) = &self.parquet {
            self.shards = carry::shards(parquet.metadata());
            self.read = Some(places);
        }
    }

    /// The columns of the rows that are read.
    pub fn read_schema(&self) -> SchemaRef {
        self.read.as_ref().map_or_else(|| Arc::clone(&self.schema), |places| carry::some(&self.schema, places))
    }
}

/// Rows that make about [`SHARD_BYTES`].
fn rows_for(rows: u64, bytes: u64) -> u64 {
    let width = (bytes / rows.max(1)).max(1);
    (SHARD_BYTES / width).clamp(1024, SHARD_ROWS)
}

/// Small row groups share a shard, large ones are several.
fn groups(metadata: &ArrowReaderMetadata) -> Vec<Shard> {
    let mut shards: Vec<Shard> = Vec::new();
    let (mut first, mut open) = (0, None::<Shard>);
    for (i, group) in metadata.metadata().row_groups().iter().enumerate() {
        let rows = u64::try_from(group.num_rows()).unwrap_or(0);
        let limit = rows_for(rows, u64::try_from(group.total_byte_size()).unwrap_or(0));
        if let Some(before) = &mut open
            && before.rows + rows <= limit
        {
            before.rows += rows;
            if let At::Groups { groups, .. } = &mut before.at {
                groups.end = i + 1;
            }
        } else {
            shards.extend(open.take());
            let pieces = rows.div_ceil(limit).max(1);
            for piece in 0..pieces {
                let (from, to) = (rows * piece / pieces, rows * (piece + 1) / pieces);
                let at = At::Groups { groups: i..i + 1, skip: from };
                let shard = Shard { first: first + from, rows: to - from, at };
                if pieces == 1 { open = Some(shard) } else { shards.push(shard) }
            }
        }
        first += rows;
    }
    shards.extend(open);
    shards.retain(|s| s.rows > 0);
    shards
}

/// A shard for each record batch. The rows stand in the messages' heads, so no values are read.
fn batches(file: File) -> Result<(SchemaRef, Vec<Shard>), String> {
    let mut file = BufReader::new(file);
    let mut magic = [0; 6];
    file.read_exact(&mut magic).map_err(|e| e.to_string())?;
    if &magic != b"ARROW1" {
        return Err("it is not in Arrow's file format (a stream is not; write it with RecordBatchFileWriter)".into());
    }
    let mut end = [0; 10];
    file.seek(SeekFrom::End(-10)).and_then(|_| file.read_exact(&mut end)).map_err(|e| e.to_string())?;
    let length = read_footer_length(end).map_err(|e| e.to_string())?;
    let back = i64::try_from(length).map_err(|e| e.to_string())? + 10;
    let mut footer = vec![0; length];
    file.seek(SeekFrom::End(-back)).and_then(|_| file.read_exact(&mut footer)).map_err(|e| e.to_string())?;
    let footer = arrow::ipc::root_as_footer(&footer).map_err(|e| format!("its footer is damaged: {e}"))?;
    let mut shards = Vec::new();
    let mut first = 0;
    for (i, block) in footer.recordBatches().into_iter().flatten().enumerate() {
        let offset = u64::try_from(block.offset()).map_err(|e| e.to_string())?;
        let mut head = vec![0; usize::try_from(block.metaDataLength()).map_err(|e| e.to_string())?];
        file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut head)).map_err(|e| e.to_string())?;
        // Since format 0.15 a marker stands before the length.
        let skip = if head.starts_with(&[0xff; 4]) { 8 } else { 4 };
        let message = arrow::ipc::root_as_message(head.get(skip..).unwrap_or_default())
            .map_err(|e| format!("record batch {i} is damaged: {e}"))?;
        let rows = message.header_as_record_batch().map_or(0, |b| b.length());
        let rows = u64::try_from(rows).map_err(|e| e.to_string())?;
        if rows > 0 {
            shards.push(Shard { first, rows, at: At::Batch(i) });
        }
        first += rows;
    }
    file.seek(SeekFrom::Start(0)).map_err(|e| e.to_string())?;
    let reader = FileReader::try_new(file, None).map_err(|e| e.to_string())?;
    Ok((reader.schema(), shards))
}

/// The columns as they are carried.
fn plain(schema: &Schema) -> SchemaRef {
    let fields: Vec<Field> =
        schema.fields().iter().map(|f| Field::new(f.name(), plain_type(f.data_type()), f.is_nullable())).collect();
    Arc::new(Schema::new(fields))
}

fn plain_type(kind: &DataType) -> DataType {
    match kind {
        DataType::Dictionary(_, value) => plain_type(value),
        DataType::RunEndEncoded(_, value) => plain_type(value.data_type()),
        DataType::Utf8View | DataType::LargeUtf8 | DataType::Null => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        other => other.clone(),
    }
}
