//! The rows of a shard.

use crate::error::BatchError;
use crate::format::Format;
use crate::plan::{At, Shard, Source};
use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::FileReader;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>;

/// The rows of one shard, some thousands at a time.
pub(crate) struct Rows {
    batches: Batches,
    schema: SchemaRef,
    name: String,
    format: Format,
    /// The next row.
    row: u64,
    /// The shard's text, for formats that are read from one.
    text: Option<(Arc<[u8]>, SchemaRef)>,
    first: u64,
}

/// Bytes of a file.
pub(crate) fn bytes(path: &Path, range: &Range<u64>) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(range.start))?;
    let length = range.end - range.start;
    let mut text = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(length).read_to_end(&mut text)?;
    Ok(text)
}

fn parse(format: Format, schema: &SchemaRef, text: &Arc<[u8]>, rows: usize) -> Result<Batches, ArrowError> {
    let text = std::io::Cursor::new(Arc::clone(text));
    Ok(if format == Format::Csv {
        Box::new(arrow::csv::ReaderBuilder::new(Arc::clone(schema)).with_batch_size(rows).build(text)?)
    } else {
        let reader = arrow::json::ReaderBuilder::new(Arc::clone(schema)).with_batch_size(rows);
        Box::new(reader.with_coerce_primitive(true).build(BufReader::new(text))?)
    })
}

impl Rows {
    /// Opens a shard; batches have at most `rows` rows, where the format lets one choose.
    pub fn open(source: &Source, shard: &Shard, rows: usize) -> Result<Self, BatchError> {
        let wrong =
            |reason: String| BatchError::Input { name: source.name.clone(), format: source.format.as_str(), reason };
        let file = || File::open(&source.file).map_err(|e| BatchError::reading(&source.file, e));
        let mut text = None;
        let batches: Batches = match (&shard.at, &source.parquet) {
            (At::Groups { groups, skip }, Some(metadata)) => {
                let mut reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file()?, metadata.clone());
                if let Some(places) = &source.read {
                    let columns = ProjectionMask::roots(reader.parquet_schema(), places.iter().copied());
                    reader = reader.with_projection(columns);
                }
                let reader = reader
                    .with_row_groups(groups.clone().collect())
                    .with_offset(usize::try_from(*skip).unwrap_or(usize::MAX))
                    .with_limit(usize::try_from(shard.rows).unwrap_or(usize::MAX))
                    .with_batch_size(rows)
                    .build();
                Box::new(reader.map_err(|e| wrong(e.to_string()))?)
            }
            (At::Bytes(range), _) => {
                let found = bytes(&source.file, range).map_err(|e| BatchError::reading(&source.file, e))?;
                let found: Arc<[u8]> = found.into();
                let batches = parse(source.format, &source.schema, &found, rows).map_err(|e| wrong(e.to_string()))?;
                text = Some((found, Arc::clone(&source.schema)));
                batches
            }
            (At::Batch(at), _) => {
                let mut reader =
                    FileReader::try_new(BufReader::new(file()?), None).map_err(|e| wrong(e.to_string()))?;
                reader.set_index(*at).map_err(|e| wrong(e.to_string()))?;
                Box::new(reader.take(1))
            }
            (At::Groups { .. }, None) => return Err(wrong("it has no row groups".into())),
        };
        Ok(Self {
            batches,
            schema: source.read_schema(),
            name: source.name.clone(),
            format: source.format,
            row: shard.first,
            text,
            first: shard.first,
        })
    }

    /// The error with the row that it is about, where the format can say that.
    fn locate(&self, error: &ArrowError) -> BatchError {
        let Some((text, schema)) = &self.text else {
            let mut reason = error.to_string();
            if reason.contains("lz4") || reason.contains("zstd") {
                reason.push_str("; write it without compression, or as Parquet");
            }
            return BatchError::Input { name: self.name.clone(), format: self.format.as_str(), reason };
        };
        let mut row = self.first;
        let mut reason = error.to_string();
        if let Ok(one_by_one) = parse(self.format, schema, text, 1) {
            for batch in one_by_one {
                match batch {
                    Ok(batch) => row += batch.num_rows() as u64,
                    Err(e) => {
                        reason = e.to_string();
                        break;
                    }
                }
            }
        }
        BatchError::Unreadable { row, reason }
    }

    fn carried(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        if batch.schema_ref() == &self.schema {
            return Ok(batch.clone());
        }
        let columns = batch.columns().iter().zip(self.schema.fields());
        let columns = columns.map(|(column, field)| {
            if column.data_type() == field.data_type() {
                Ok(Arc::clone(column))
            } else {
                cast(column, field.data_type())
            }
        });
        RecordBatch::try_new(Arc::clone(&self.schema), columns.collect::<Result<_, _>>()?)
    }
}

impl Iterator for Rows {
    /// The first row's number, and the rows.
    type Item = Result<(u64, RecordBatch), BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = match self.batches.next()? {
            Ok(batch) => batch,
            Err(e) => return Some(Err(self.locate(&e))),
        };
        let first = self.row;
        self.row += batch.num_rows() as u64;
        Some(match self.carried(&batch) {
            Ok(batch) => Ok((first, batch)),
            Err(e) => Err(self.locate(&e)),
        })
    }
}
