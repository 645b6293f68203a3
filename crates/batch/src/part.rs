//! Parts of the output, and the output made of them.

use crate::carry::as_it_is;
use crate::error::BatchError;
use crate::format::Format;
use crate::plan::{At, Shard, Source};
use arrow::array::RecordBatch;
use arrow::csv::WriterBuilder as CsvBuilder;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use arrow::json::{LineDelimitedWriter, WriterBuilder as JsonBuilder};
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter, add_encoded_arrow_schema_to_metadata};
use parquet::basic::Compression;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

type Out = BufWriter<File>;

/// A part being written.
pub(crate) struct Part {
    path: PathBuf,
    writer: Writer,
}

enum Writer {
    Parquet(Box<ArrowWriter<Out>>),
    Carried(Box<Carried>),
    Csv(Box<arrow::csv::Writer<Out>>),
    Jsonl(LineDelimitedWriter<Out>),
    Arrow(Box<FileWriter<Out>>),
}

/// One row group, most columns of which are the input's as they are.
struct Carried {
    writer: SerializedFileWriter<Out>,
    input: File,
    metadata: Arc<ParquetMetaData>,
    group: usize,
    /// The columns that are added, and a writer for each leaf of them.
    schema: SchemaRef,
    added: Vec<ArrowColumnWriter>,
}

impl Carried {
    fn write(&mut self, rows: &RecordBatch) -> parquet::errors::Result<()> {
        let mut writers = self.added.iter_mut();
        for (field, column) in self.schema.fields().iter().zip(rows.columns()) {
            for (leaf, writer) in compute_leaves(field, column)?.iter().zip(writers.by_ref()) {
                writer.write(leaf)?;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> parquet::errors::Result<Out> {
        let mut group = self.writer.next_row_group()?;
        for column in 0..self.metadata.row_group(self.group).num_columns() {
            group.append_column(&self.input, as_it_is(&self.metadata, self.group, column))?;
        }
        for writer in self.added {
            writer.close()?.append_to_row_group(&mut group)?;
        }
        group.close()?;
        self.writer.into_inner()
    }
}

/// Whether the format can hold the columns.
pub(crate) fn check(format: Format, schema: &SchemaRef) -> Result<(), BatchError> {
    for field in schema.fields() {
        let kind = field.data_type();
        let fits = match format {
            Format::Csv => !(kind.is_nested() || matches!(kind, DataType::Binary | DataType::FixedSizeBinary(_))),
            Format::Parquet | Format::Jsonl => !matches!(kind, DataType::Union(..)),
            Format::Arrow => true,
        };
        if !fits {
            let (column, kind) = (field.name().clone(), kind.to_string());
            return Err(BatchError::Unwritable { format: format.as_str(), column, kind });
        }
    }
    Ok(())
}

/// Dictionaries pay for texts that repeat; for measurements they cost a table look-up a value.
fn properties(schema: &SchemaRef) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(None)
        .set_dictionary_enabled(false);
    for field in schema.fields() {
        if matches!(field.data_type(), DataType::Utf8 | DataType::Binary) {
            let path = ColumnPath::new(vec![field.name().clone()]);
            properties = properties.set_column_dictionary_enabled(path, true);
        }
    }
    properties.build()
}

impl Part {
    /// Begins the part at `path`.
    pub fn create(path: &Path, format: Format, schema: &SchemaRef) -> Result<Self, BatchError> {
        let file = File::create(path).map_err(|e| BatchError::writing(path, e))?;
        let out = BufWriter::with_capacity(1 << 18, file);
        let broken = |e: &dyn std::fmt::Display| BatchError::Broken(format!("cannot write {}: {e}", path.display()));
        let writer = match format {
            Format::Parquet => {
                let writer = ArrowWriter::try_new(out, Arc::clone(schema), Some(properties(schema)));
                Writer::Parquet(Box::new(writer.map_err(|e| broken(&e))?))
            }
            Format::Csv => Writer::Csv(Box::new(CsvBuilder::new().with_header(false).build(out))),
            Format::Jsonl => Writer::Jsonl(JsonBuilder::new().with_explicit_nulls(true).build(out)),
            Format::Arrow => Writer::Arrow(Box::new(FileWriter::try_new(out, schema).map_err(|e| broken(&e))?)),
        };
        Ok(Self { path: path.to_owned(), writer })
    }

    /// Begins the part of a row group of the input whose columns go over as they are. The rows that are written
    /// have the other columns of `schema` only, which are those of `added`.
    pub fn carry(
        path: &Path,
        source: &Source,
        shard: &Shard,
        (schema, added): (&SchemaRef, &SchemaRef),
    ) -> Result<Self, BatchError> {
        let broken = |e: &dyn std::fmt::Display| BatchError::Broken(format!("cannot write {}: {e}", path.display()));
        let (Some(parquet), At::Groups { groups, .. }) = (&source.parquet, &shard.at) else {
            return Err(broken(&"its input has no row groups"));
        };
        let metadata = Arc::clone(parquet.metadata());
        let input = File::open(&source.file).map_err(|e| BatchError::reading(&source.file, e))?;
        let file = File::create(path).map_err(|e| BatchError::writing(path, e))?;
        let writer = row_groups_into(BufWriter::with_capacity(1 << 18, file), schema).map_err(|e| broken(&e))?;
        let all = ArrowRowGroupWriterFactory::new(&writer, Arc::clone(schema)).create_column_writers(0);
        let added_from = metadata.file_metadata().schema_descr().num_columns();
        let leaves = all.map_err(|e| broken(&e))?.split_off(added_from);
        let carried =
            Carried { writer, input, metadata, group: groups.start, schema: Arc::clone(added), added: leaves };
        Ok(Self { path: path.to_owned(), writer: Writer::Carried(Box::new(carried)) })
    }

    fn failed(&self, e: &dyn std::fmt::Display) -> BatchError {
        BatchError::Broken(format!("cannot write {}: {e}", self.path.display()))
    }

    /// Adds rows.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), BatchError> {
        match &mut self.writer {
            Writer::Parquet(w) => w.write(rows).map_err(|e| e.to_string()),
            Writer::Carried(w) => w.write(rows).map_err(|e| e.to_string()),
            Writer::Csv(w) => w.write(rows).map_err(|e| e.to_string()),
            Writer::Jsonl(w) => w.write(rows).map_err(|e| e.to_string()),
            Writer::Arrow(w) => w.write(rows).map_err(|e| e.to_string()),
        }
        .map_err(|e| self.failed(&e))
    }

    /// Ends the part, on disk.
    pub fn finish(self) -> Result<(), BatchError> {
        let path = self.path;
        let broken = |e: String| BatchError::Broken(format!("cannot write {}: {e}", path.display()));
        let out = match self.writer {
            Writer::Parquet(w) => w.into_inner().map_err(|e| broken(e.to_string()))?,
            Writer::Carried(w) => w.finish().map_err(|e| broken(e.to_string()))?,
            Writer::Csv(w) => w.into_inner(),
            Writer::Jsonl(mut w) => {
                w.finish().map_err(|e| broken(e.to_string()))?;
                w.into_inner()
            }
            Writer::Arrow(w) => w.into_inner().map_err(|e| broken(e.to_string()))?,
        };
        synced(&path, out)
    }
}

fn synced(path: &Path, out: Out) -> Result<(), BatchError> {
    let file = out.into_inner().map_err(|e| BatchError::writing(path, e.into_error()))?;
    file.sync_all().map_err(|e| BatchError::writing(path, e))
}

/// The output, made of its parts while later ones are still being written.
pub(crate) struct Whole {
    path: PathBuf,
    joiner: Joiner,
}

enum Joiner {
    Parquet(Box<SerializedFileWriter<Out>>),
    /// CSV and JSON lines, byte by byte.
    Text(Out),
    Arrow(Box<FileWriter<Out>>),
}

impl Whole {
    /// Begins the output at `path`.
    pub fn create(path: &Path, format: Format, schema: &SchemaRef) -> Result<Self, BatchError> {
        let file = File::create(path).map_err(|e| BatchError::writing(path, e))?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        let broken = |e: &dyn std::fmt::Display| BatchError::Broken(format!("cannot write {}: {e}", path.display()));
        let joiner = match format {
            Format::Parquet => Joiner::Parquet(Box::new(row_groups_into(out, schema).map_err(|e| broken(&e))?)),
            Format::Csv => {
                let mut header = CsvBuilder::new().with_header(true).build(Vec::new());
                header.write(&RecordBatch::new_empty(Arc::clone(schema))).map_err(|e| broken(&e))?;
                out.write_all(&header.into_inner()).map_err(|e| BatchError::writing(path, e))?;
                Joiner::Text(out)
            }
            Format::Jsonl => Joiner::Text(out),
            Format::Arrow => Joiner::Arrow(Box::new(FileWriter::try_new(out, schema).map_err(|e| broken(&e))?)),
        };
        Ok(Self { path: path.to_owned(), joiner })
    }

    fn failed(&self, e: &dyn std::fmt::Display) -> BatchError {
        BatchError::Broken(format!("cannot write {}: {e}", self.path.display()))
    }

    /// Adds the next part.
    pub fn add(&mut self, part: &Path) -> Result<(), BatchError> {
        let mut file = File::open(part).map_err(|e| BatchError::reading(part, e))?;
        match &mut self.joiner {
            Joiner::Parquet(writer) => copy_row_groups(&file, writer).map_err(|e| self.failed(&e)),
            Joiner::Text(out) => match std::io::copy(&mut file, out) {
                Ok(_) => Ok(()),
                Err(e) => Err(BatchError::writing(&self.path, e)),
            },
            Joiner::Arrow(writer) => FileReader::try_new(BufReader::new(file), None)
                .and_then(|mut batches| batches.try_for_each(|batch| writer.write(&batch?)))
                .map_err(|e| self.failed(&e)),
        }
    }

    /// Ends the output, on disk. Returns its size in bytes.
    pub fn finish(self) -> Result<u64, BatchError> {
        let path = self.path;
        let broken = |e: &dyn std::fmt::Display| BatchError::Broken(format!("cannot write {}: {e}", path.display()));
        let out = match self.joiner {
            Joiner::Parquet(writer) => writer.into_inner().map_err(|e| broken(&e))?,
            Joiner::Text(out) => out,
            Joiner::Arrow(writer) => writer.into_inner().map_err(|e| broken(&e))?,
        };
        synced(&path, out)?;
        path.metadata().map(|m| m.len()).map_err(|e| BatchError::reading(&path, e))
    }
}

fn row_groups_into(out: Out, schema: &SchemaRef) -> parquet::errors::Result<SerializedFileWriter<Out>> {
    let mut properties = properties(schema);
    add_encoded_arrow_schema_to_metadata(schema, &mut properties);
    let written = ArrowSchemaConverter::new().convert(schema)?;
    SerializedFileWriter::new(out, written.root_schema_ptr(), Arc::new(properties))
}

/// Copies row groups as they are: nothing is decoded.
fn copy_row_groups(part: &File, writer: &mut SerializedFileWriter<Out>) -> parquet::errors::Result<()> {
    let metadata =
        ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional).parse_and_finish(part)?;
    for (at, group) in metadata.row_groups().iter().enumerate() {
        let mut copy = writer.next_row_group()?;
        for column in 0..group.num_columns() {
            copy.append_column(part, as_it_is(&metadata, at, column))?;
        }
        copy.close()?;
    }
    Ok(())
}
