//! A table: in a file (Parquet, CSV, JSON Lines or Arrow's file format), or of live rows that were read.

use crate::error::MonitorError;
use arrow::array::{Array, ArrayRef, AsArray, LargeStringArray, RecordBatch};
use arrow::compute::cast;
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format as Csv;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::FileReader;
use arrow::json::ReaderBuilder as JsonBuilder;
use arrow::json::reader::infer_json_schema_from_seekable;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use regex::Regex;
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows that are looked at together.
const BATCH: usize = 8_192;
/// Rows that memory is foreseen for at most: what a file says of itself may be wrong.
const FORESEEN: i64 = 1 << 24;
/// What pandas reads as a missing value.
const MISSING: &str =
    r"^(|#N/A|#N/A N/A|#NA|-1\.#IND|-1\.#QNAN|-NaN|-nan|1\.#IND|1\.#QNAN|<NA>|N/A|NA|NULL|NaN|None|n/a|nan|null)$";

/// Rows some thousands at a time.
pub(crate) type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>>>;

/// A table whose columns are known.
#[derive(Debug)]
pub struct Table {
    /// Of live rows, what they are called.
    file: PathBuf,
    schema: SchemaRef,
    inside: Inside,
    /// Rows that were counted when the types were found.
    counted: usize,
    /// How often a part was gone through.
    #[cfg(test)]
    pub(crate) passes: std::sync::atomic::AtomicUsize,
}

#[derive(Debug)]
enum Inside {
    Parquet(ArrowReaderMetadata),
    Csv(Csv),
    Json,
    /// How many record batches.
    Arrow(usize),
    Live(Live),
}

/// Rows of the journal that were read.
#[derive(Debug)]
struct Live {
    batches: Vec<RecordBatch>,
    /// Columns of which nothing is kept.
    unkept: Vec<String>,
}

impl Table {
    /// Opens a file and finds out what columns it has. Of a CSV or JSON Lines all is read, to know its types. Blocks.
    ///
    /// # Errors
    /// [`MonitorError`] when it is not there, or not what its name says.
    pub fn open(file: &Path) -> Result<Self, MonitorError> {
        let opened = || File::open(file).map_err(|source| MonitorError::Open { file: file.to_owned(), source });
        let (schema, inside, counted) = match named_format(file) {
            Some("parquet") => {
                let metadata = ArrowReaderMetadata::load(&opened()?, ArrowReaderOptions::new())
                    .map_err(|e| MonitorError::read(file, "parquet", e))?;
                (Arc::clone(metadata.schema()), Inside::Parquet(metadata), 0)
            }
            Some("csv") => {
                let wrong = |e: &dyn std::fmt::Display| MonitorError::read(file, "csv", e);
                let missing = Regex::new(MISSING).map_err(|e| wrong(&e))?;
                let format = Csv::default().with_header(true).with_null_regex(missing);
                let mut text = opened()?;
                skip_mark(&mut text).map_err(|e| wrong(&e))?;
                let (schema, rows) = format.infer_schema(BufReader::new(text), None).map_err(|e| wrong(&e))?;
                (Arc::new(named(&schema)), Inside::Csv(format), rows)
            }
            Some("jsonl") => {
                let (schema, rows) = infer_json_schema_from_seekable(BufReader::new(opened()?), None)
                    .map_err(|e| MonitorError::read(file, "jsonl", e))?;
                (Arc::new(named(&schema)), Inside::Json, rows)
            }
            Some("arrow") => {
                let reader = FileReader::try_new(BufReader::new(opened()?), None)
                    .map_err(|e| MonitorError::read(file, "arrow", e))?;
                (reader.schema(), Inside::Arrow(reader.num_batches()), 0)
            }
            _ => return Err(MonitorError::Format(file.to_owned())),
        };
        let table = Self {
            file: file.to_owned(),
            schema,
            inside,
            counted,
            #[cfg(test)]
            passes: std::sync::atomic::AtomicUsize::new(0),
        };
        let mut seen = HashSet::new();
        match table.schema.fields().iter().find(|f| !seen.insert(f.name())) {
            Some(twice) => {
                let reason = format!("it has two columns {:?}", twice.name());
                Err(MonitorError::read(file, table.format(), reason))
            }
            None => Ok(table),
        }
    }

    /// Live rows, called `name` where something is said of them. All batches have the schema of the first. Of the columns
    /// `unkept` what stands in the journal is not what came.
    pub(crate) fn live(name: &str, batches: Vec<RecordBatch>, unkept: Vec<String>) -> Self {
        let schema = batches.first().map_or_else(|| Arc::new(Schema::empty()), RecordBatch::schema);
        Self {
            file: name.into(),
            schema,
            counted: batches.iter().map(RecordBatch::num_rows).sum(),
            inside: Inside::Live(Live { batches, unkept }),
            #[cfg(test)]
            passes: std::sync::atomic::AtomicUsize::new(0),
        }
    }

    /// Its path; of live rows, their name.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Its format: `parquet`, `csv`, `jsonl` or `arrow`, and `journal` of live rows.
    pub fn format(&self) -> &'static str {
        match self.inside {
            Inside::Parquet(_) => "parquet",
            Inside::Csv(_) => "csv",
            Inside::Json => "jsonl",
            Inside::Arrow(_) => "arrow",
            Inside::Live(_) => "journal",
        }
    }

    /// The format of the file that it is in; nothing of live rows.
    pub(crate) fn file_format(&self) -> Option<&'static str> {
        (!self.is_live()).then(|| self.format())
    }

    /// Whether it is of live rows, which have inputs and outputs and no other columns.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.inside, Inside::Live(_))
    }

    /// Whether it has this column, and what is in it is not what came.
    pub(crate) fn is_unkept(&self, column: &str) -> bool {
        matches!(&self.inside, Inside::Live(live) if live.unkept.iter().any(|name| name == column))
    }

    /// Its columns, as they are stored.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Parts that can be read beside each other.
    pub(crate) fn parts(&self) -> usize {
        match &self.inside {
            Inside::Parquet(metadata) => metadata.metadata().num_row_groups(),
            Inside::Csv(_) | Inside::Json => 1,
            Inside::Arrow(batches) => *batches,
            Inside::Live(live) => live.batches.len(),
        }
    }

    /// Its rows, where they are known before they are read; else 0.
    pub(crate) fn known_rows(&self) -> usize {
        match &self.inside {
            Inside::Parquet(metadata) => metadata.metadata().file_metadata().num_rows().clamp(0, FORESEEN) as usize,
            Inside::Csv(_) | Inside::Json | Inside::Arrow(_) | Inside::Live(_) => self.counted.min(FORESEEN as usize),
        }
    }

    /// Whether a column can be read without going through the others.
    pub(crate) fn by_column(&self) -> bool {
        matches!(self.inside, Inside::Parquet(_) | Inside::Live(_))
    }

    /// The rows of one part; all columns, or only those at `columns`, which ascend.
    pub(crate) fn rows(&self, part: usize, columns: Option<&[usize]>) -> Result<Batches, MonitorError> {
        #[cfg(test)]
        self.passes.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let wrong = |e: &dyn std::fmt::Display| MonitorError::read(&self.file, self.format(), e);
        let opened = || File::open(&self.file).map_err(|source| MonitorError::Open { file: self.file.clone(), source });
        Ok(match &self.inside {
            Inside::Parquet(metadata) => {
                let mut reader = ParquetRecordBatchReaderBuilder::new_with_metadata(opened()?, metadata.clone())
                    .with_row_groups(vec![part])
                    .with_batch_size(BATCH);
                if let Some(at) = columns {
                    let mask = ProjectionMask::roots(reader.parquet_schema(), at.iter().copied());
                    reader = reader.with_projection(mask);
                }
                Box::new(reader.build().map_err(|e| wrong(&e))?)
            }
            Inside::Csv(format) => {
                let mut file = opened()?;
                skip_mark(&mut file).map_err(|e| wrong(&e))?;
                let mut reader = ReaderBuilder::new(Arc::clone(&self.schema)).with_format(format.clone());
                if let Some(at) = columns {
                    reader = reader.with_projection(at.to_vec());
                }
                Box::new(reader.with_batch_size(BATCH).build(file).map_err(|e| wrong(&e))?)
            }
            Inside::Json => {
                let schema = match columns {
                    Some(at) => Arc::new(self.schema.project(at).map_err(|e| wrong(&e))?),
                    None => Arc::clone(&self.schema),
                };
                // What is not among the columns is passed over.
                let reader = JsonBuilder::new(schema).with_batch_size(BATCH);
                Box::new(reader.build(BufReader::new(opened()?)).map_err(|e| wrong(&e))?)
            }
            Inside::Arrow(_) => {
                let mut reader = FileReader::try_new(BufReader::new(opened()?), columns.map(<[usize]>::to_vec))
                    .map_err(|e| wrong(&e))?;
                reader.set_index(part).map_err(|e| wrong(&e))?;
                Box::new(reader.take(1))
            }
            Inside::Live(live) => Box::new(live.batches.get(part).cloned().into_iter().map({
                let columns = columns.map(<[usize]>::to_vec);
                move |batch| columns.as_ref().map_or(Ok(batch.clone()), |at| batch.project(at))
            })),
        })
    }

    /// Calls `f` with the cells of some columns as texts, row after row, until it fails; a column that is not there has none.
    /// What is no text is written as one, and a map of texts as a JSON object. Blocks.
    ///
    /// # Errors
    /// [`MonitorError`] when the file cannot be read, or with what `f` says of a row, by its number.
    pub fn cells(
        &self,
        columns: &[&str],
        mut f: impl FnMut(&[Option<&str>]) -> Result<(), String>,
    ) -> Result<(), MonitorError> {
        let mut row = 0_u64;
        for part in 0..self.parts() {
            for batch in self.rows(part, None)? {
                let batch = batch.map_err(|e| self.wrong(&e))?;
                let read = |name: &&str| batch.column_by_name(name).map(as_texts).transpose();
                let columns: Vec<Option<LargeStringArray>> =
                    columns.iter().map(read).collect::<Result<_, _>>().map_err(|e| self.wrong(&e))?;
                for i in 0..batch.num_rows() {
                    row += 1;
                    let there = columns.iter().map(|column| column.as_ref().filter(|texts| texts.is_valid(i)));
                    let cells: Vec<Option<&str>> = there.map(|texts| texts.map(|texts| texts.value(i))).collect();
                    let wrong = |reason| MonitorError::Row { file: self.file.clone(), row, reason };
                    f(&cells).map_err(wrong)?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn wrong(&self, e: &ArrowError) -> MonitorError {
        MonitorError::read(&self.file, self.format(), e)
    }
}

/// The format that a file's name says: one of [`Table::format`]'s.
pub(crate) fn named_format(file: &Path) -> Option<&'static str> {
    let ending = file.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    match ending.as_str() {
        "parquet" | "pq" => Some("parquet"),
        "csv" => Some("csv"),
        "jsonl" | "ndjson" => Some("jsonl"),
        "arrow" | "ipc" | "feather" => Some("arrow"),
        _ => None,
    }
}

/// A column's cells as texts.
fn as_texts(column: &ArrayRef) -> Result<LargeStringArray, ArrowError> {
    let Some(maps) = column.as_map_opt() else {
        return Ok(cast(column, &DataType::LargeUtf8)?.as_string::<i64>().clone());
    };
    let of = |array: &ArrayRef| Ok::<_, ArrowError>(cast(array, &DataType::LargeUtf8)?.as_string::<i64>().clone());
    let (keys, values) = (of(maps.keys())?, of(maps.values())?);
    let ends = maps.offsets();
    Ok((0..maps.len())
        .map(|i| {
            let entries = ends[i] as usize..ends[i + 1] as usize;
            let value = |e| if values.is_valid(e) { values.value(e).into() } else { serde_json::Value::Null };
            let object: serde_json::Map<_, _> = entries.map(|e| (keys.value(e).to_owned(), value(e))).collect();
            maps.is_valid(i).then(|| serde_json::Value::Object(object).to_string())
        })
        .collect())
}

/// Passes the mark that some programs write before UTF-8.
fn skip_mark(file: &mut File) -> std::io::Result<()> {
    let mut head = [0; 3];
    if file.read_exact(&mut head).is_err() || head != *b"\xef\xbb\xbf" {
        file.rewind()?;
    }
    Ok(())
}

/// The index column that `DataFrame.to_csv()` writes has no name; pandas reads it as this. Nothing at all is text.
fn named(schema: &Schema) -> Schema {
    let field = |(i, field): (usize, &Arc<Field>)| {
        let name = if field.name().is_empty() { format!("Unnamed: {i}") } else { field.name().clone() };
        let kind = if *field.data_type() == DataType::Null { &DataType::Utf8 } else { field.data_type() };
        Field::new(name, kind.clone(), true)
    };
    Schema::new(schema.fields().iter().enumerate().map(field).collect::<Vec<_>>())
}
