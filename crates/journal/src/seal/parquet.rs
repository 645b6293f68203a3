//! One segment as Parquet files.

use crate::error::JournalError;
use crate::layout::ENVELOPE_VERSION;
use crate::log::StreamHeader;
use crate::log::frame::FrameReader;
use crate::snapshot::OpenSegment;
use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, SchemaRef, TimestampMicrosecondType};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows of a row group, and with them what the writer holds in memory.
const ROW_GROUP: usize = 32 << 10;
const DAY: i64 = 86_400_000_000;

/// A Parquet file on its way to the store.
pub(crate) struct Made {
    pub header: Arc<StreamHeader>,
    /// `2026-11-23`, of the rows' `at`.
    pub date: String,
    /// Its name in the store.
    pub name: String,
    /// Where it is now.
    pub file: PathBuf,
}

struct Open {
    header: Arc<StreamHeader>,
    file: PathBuf,
    writer: ArrowWriter<File>,
}

/// Writes the segment's rows into `scratch`, one file a stream and day.
pub(crate) fn convert(segment: &OpenSegment, scratch: &Path) -> Result<Vec<Made>, JournalError> {
    std::fs::create_dir_all(scratch).map_err(JournalError::io("create", scratch))?;
    let log = File::open(&segment.path).map_err(JournalError::io("open", &segment.path))?;
    let mut reader = FrameReader::new(BufReader::with_capacity(1 << 16, log).take(segment.len));
    let mut open: BTreeMap<(String, i64), Open> = BTreeMap::new();
    while let Some(rows) = reader.next_rows() {
        for (day, part) in by_day(&rows.batch).map_err(JournalError::arrow("split rows by day"))? {
            let stream = serde_json::to_string(&*rows.header).unwrap_or_default();
            let count = open.len();
            let file = match open.entry((stream, day)) {
                std::collections::btree_map::Entry::Occupied(e) => e.into_mut(),
                std::collections::btree_map::Entry::Vacant(e) => {
                    let file = scratch.join(format!("{}-{count}.parquet", segment.id.id));
                    e.insert(begin(Arc::clone(&rows.header), part.schema(), file)?)
                }
            };
            file.writer.write(&part).map_err(JournalError::parquet("write Parquet"))?;
        }
    }
    if reader.good() != segment.len {
        keep_aside(segment, reader.good(), reader.torn().unwrap_or("it is shorter than it was"))?;
    }
    let mut made = Vec::with_capacity(open.len());
    for ((_, day), Open { header, file, mut writer }) in open {
        writer.finish().map_err(JournalError::parquet("finish Parquet"))?;
        let name = format!("{}-{:016x}.parquet", segment.id.id, header.fingerprint);
        made.push(Made { header, date: date(day), name, file });
    }
    Ok(made)
}

/// A segment that the disk damaged after it was written must not stop the ones behind it: what can be read
/// is sealed, and the file stays under another name for whoever wants to save the rest.
fn keep_aside(segment: &OpenSegment, good: u64, why: &str) -> Result<(), JournalError> {
    let aside = segment.path.with_extension("damaged");
    let (path, lost) = (segment.path.display(), segment.len - good);
    tracing::error!(segment = %path, why, "{lost} bytes of the journal cannot be read; kept as {}", aside.display());
    match std::fs::hard_link(&segment.path, &aside) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => Err(JournalError::io("keep", aside)(e)),
        _ => Ok(()),
    }
}

fn begin(header: Arc<StreamHeader>, schema: SchemaRef, file: PathBuf) -> Result<Open, JournalError> {
    // Plain Parquet types: without Arrow's own schema in the metadata every reader sees the same file.
    let options =
        ArrowWriterOptions::new().with_properties(properties(&header, &schema)).with_skip_arrow_metadata(true);
    let out = File::create(&file).map_err(JournalError::io("create", &file))?;
    let writer =
        ArrowWriter::try_new_with_options(out, schema, options).map_err(JournalError::parquet("begin Parquet"))?;
    Ok(Open { header, file, writer })
}

fn properties(header: &StreamHeader, schema: &SchemaRef) -> WriterProperties {
    let mut about = vec![
        KeyValue::new("mainspring.envelope".into(), ENVELOPE_VERSION.to_string()),
        KeyValue::new("mainspring.tenant".into(), header.tenant.clone()),
        KeyValue::new("mainspring.fingerprint".into(), format!("{:016x}", header.fingerprint)),
    ];
    if let Some(deployment) = &header.deployment {
        about.push(KeyValue::new("mainspring.deployment".into(), deployment.to_string()));
    }
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(concat!("mainspring ", env!("CARGO_PKG_VERSION")).into())
        .set_key_value_metadata(Some(about));
    for field in schema.fields() {
        // Ids and measurements hardly repeat: a dictionary costs time and saves nothing.
        let list = matches!(field.data_type(), DataType::List(_));
        if field.name() == "event_id" || field.data_type().is_floating() || list {
            let mut path = vec![field.name().clone()];
            if list {
                path.extend(["list".into(), "element".into()]);
            }
            properties = properties.set_column_dictionary_enabled(ColumnPath::new(path), false);
        }
    }
    properties.build()
}

/// The rows by the day of their `at`, in days since the epoch. Nearly always one.
fn by_day(batch: &RecordBatch) -> Result<Vec<(i64, RecordBatch)>, arrow::error::ArrowError> {
    let Some(at) = batch.column_by_name("at").and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>()) else {
        return Ok(vec![(0, batch.clone())]);
    };
    let mut days: Vec<i64> = at.values().iter().map(|t| t.div_euclid(DAY)).collect();
    days.dedup();
    days.sort_unstable();
    days.dedup();
    if let [day] = days[..] {
        return Ok(vec![(day, batch.clone())]);
    }
    days.into_iter()
        .map(|day| {
            let mask: BooleanArray = at.values().iter().map(|t| Some(t.div_euclid(DAY) == day)).collect();
            Ok((day, filter_record_batch(batch, &mask)?))
        })
        .collect()
}

/// Days since the epoch as `2026-11-23`.
pub(crate) fn date(day: i64) -> String {
    let epoch = time::OffsetDateTime::UNIX_EPOCH;
    let at = epoch.checked_add(time::Duration::days(day)).unwrap_or(epoch).date();
    format!("{:04}-{:02}-{:02}", at.year(), u8::from(at.month()), at.day())
}
