//! Columns of a Parquet file that go into a Parquet file as they are. What the model does not add is not encoded
//! again, and what it does not take is not even decoded: the bytes of each column of a row group are copied.
//!
//! A row group of the output is then one of the input, so that a shard is one as well.

use crate::plan::{At, Shard, Source};
use arrow::datatypes::{Schema, SchemaRef};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::ParquetMetaData;
use parquet::schema::types::ColumnDescriptor;
use std::sync::Arc;

/// Rows of a row group at most: pyarrow's own limit. A larger one would be much to do again after a crash.
const MOST_ROWS: u64 = 1 << 20;
/// Rows of a row group on average at least: each is a part on disk while the run lasts.
const FEW_ROWS: u64 = 1 << 13;

/// Whether the input's columns can go over as they are and its row groups keep `threads` threads busy.
pub(crate) fn possible(source: &Source, threads: usize) -> bool {
    let Some(metadata) = &source.parquet else { return false };
    let groups = metadata.metadata().row_groups();
    let rows = |group: &parquet::file::metadata::RowGroupMetaData| u64::try_from(group.num_rows()).unwrap_or(0);
    let split = source.shards.iter().filter(|s| matches!(s.at, At::Groups { skip: 1.., .. })).count();
    let enough = split == 0 || groups.len() >= 4 * threads;
    enough
        // More than these no Parquet file may have; written anew, small ones share a row group.
        && i16::try_from(groups.len()).is_ok()
        && source.rows / (groups.len() as u64).max(1) >= FEW_ROWS
        && groups.iter().all(|group| rows(group) <= MOST_ROWS)
        && alike(metadata, &source.schema)
}

/// Whether the file's columns are what we would write.
fn alike(metadata: &ArrowReaderMetadata, schema: &Schema) -> bool {
    let Ok(ours) = ArrowSchemaConverter::new().convert(schema) else { return false };
    let theirs = metadata.metadata().file_metadata().schema_descr();
    ours.num_columns() == theirs.num_columns()
        && ours.columns().iter().zip(theirs.columns()).all(|(ours, theirs)| same(ours, theirs))
}

fn same(ours: &ColumnDescriptor, theirs: &ColumnDescriptor) -> bool {
    // Older writers say the type in the older way only.
    let logical = theirs.logical_type_ref().is_none() || ours.logical_type_ref() == theirs.logical_type_ref();
    logical
        && ours.converted_type() == theirs.converted_type()
        && ours.physical_type() == theirs.physical_type()
        && ours.type_length() == theirs.type_length()
        && (ours.type_precision(), ours.type_scale()) == (theirs.type_precision(), theirs.type_scale())
        && (ours.max_def_level(), ours.max_rep_level()) == (theirs.max_def_level(), theirs.max_rep_level())
        && ours.path() == theirs.path()
}

/// A shard for each row group.
pub(crate) fn shards(metadata: &ParquetMetaData) -> Vec<Shard> {
    let mut first = 0;
    let mut shards = Vec::new();
    for (i, group) in metadata.row_groups().iter().enumerate() {
        let rows = u64::try_from(group.num_rows()).unwrap_or(0);
        if rows > 0 {
            shards.push(Shard { first, rows, at: At::Groups { groups: i..i + 1, skip: 0 } });
        }
        first += rows;
    }
    shards
}

/// Some columns of a schema.
pub(crate) fn some(schema: &Schema, places: &[usize]) -> SchemaRef {
    Arc::new(Schema::new(places.iter().map(|at| Arc::clone(&schema.fields()[*at])).collect::<Vec<_>>()))
}

/// Whether the pages of all its columns are listed. Of a file either all are or none.
pub(crate) fn has_pages(metadata: &ParquetMetaData) -> bool {
    let each = |group| metadata.row_group(group).num_columns();
    (metadata.column_index().zip(metadata.offset_index())).is_some_and(|(columns, offsets)| {
        (0..metadata.num_row_groups()).all(|group| {
            columns.get(group).is_some_and(|all| all.len() == each(group))
                && offsets.get(group).is_some_and(|all| all.len() == each(group))
        })
    })
}

/// What a writer has to know of a column of row group `group` that it takes over, with its pages where they are
/// listed for all.
pub(crate) fn as_it_is(metadata: &ParquetMetaData, group: usize, column: usize, pages: bool) -> ColumnCloseResult {
    let of = metadata.row_group(group);
    let chunk = of.column(column);
    ColumnCloseResult {
        bytes_written: u64::try_from(chunk.compressed_size()).unwrap_or(0),
        rows_written: u64::try_from(of.num_rows()).unwrap_or(0),
        metadata: chunk.clone(),
        bloom_filter: None,
        column_index: metadata.column_index().filter(|_| pages).and_then(|c| c.get(group)?.get(column)).cloned(),
        offset_index: metadata.offset_index().filter(|_| pages).and_then(|c| c.get(group)?.get(column)).cloned(),
    }
}
