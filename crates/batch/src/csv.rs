//! CSV: where its records end, and what its texts mean.

use crate::plan::{At, SHARD_BYTES, SHARD_ROWS, Shard};
use arrow::array::{Array, ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, StringArray};
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use mainspring_mlmodel::{Cell, ColumnType};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Columns (all of them text) and shards.
pub(crate) fn plan(file: &File) -> Result<(SchemaRef, Vec<Shard>), String> {
    let mut file = file;
    let mut head = [0; 3];
    let mut start = 0;
    if file.read_exact(&mut head).is_ok() && head == BOM {
        start = 3;
    }
    let mut lines = Lines::new(start, true);
    lines.most = 1;
    lines.scan(&mut file, true).map_err(|e| e.to_string())?;
    let Some(header) = lines.shards.first().cloned() else { return Err("it has no header line".into()) };
    let At::Bytes(bytes) = header.at else { return Err("it has no header line".into()) };
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(bytes.start)).map_err(|e| e.to_string())?;
    file.take(bytes.end - bytes.start).read_to_end(&mut text).map_err(|e| e.to_string())?;
    let (names, _) =
        Format::default().with_header(true).infer_schema(text.as_slice(), Some(0)).map_err(|e| e.to_string())?;
    let name = |(i, field): (usize, &Arc<Field>)| match field.name().as_str() {
        // The index column that `DataFrame.to_csv()` writes has no name; pandas reads it as this.
        "" => format!("Unnamed: {i}"),
        name => name.to_owned(),
    };
    let names = names.fields().iter().enumerate().map(name);
    let fields: Vec<Field> = names.map(|n| Field::new(n, DataType::Utf8, true)).collect();
    let shards = shards(&mut file, bytes.end, true)?;
    Ok((Arc::new(Schema::new(fields)), shards))
}

/// The records from byte `start` on, in shards.
pub(crate) fn shards(file: &mut &File, start: u64, quotes: bool) -> Result<Vec<Shard>, String> {
    let mut lines = Lines::new(start, quotes);
    lines.scan(file, false).map_err(|e| e.to_string())?;
    if lines.quoted {
        // The end of the file ended it.
        return Err(format!("row {} has a quote that is not closed", lines.rows().saturating_sub(1)));
    }
    Ok(lines.shards)
}

/// Finds where records end, without looking at what they say.
struct Lines {
    quotes: bool,
    /// Rows of a shard at most.
    most: u64,
    shards: Vec<Shard>,
    /// First byte and row of the shard at hand.
    start: u64,
    first: u64,
    /// Its records so far.
    records: u64,
    quoted: bool,
    /// Where the last quote closed.
    closed: Option<u64>,
    /// Whether the record at hand has anything in it; empty lines are none.
    content: bool,
    last: u8,
}

impl Lines {
    fn new(start: u64, quotes: bool) -> Self {
        Self {
            quotes,
            most: SHARD_ROWS,
            shards: Vec::new(),
            start,
            first: 0,
            records: 0,
            quoted: false,
            closed: None,
            content: false,
            last: b'\n',
        }
    }

    fn rows(&self) -> u64 {
        self.first + self.records
    }

    fn scan(&mut self, file: &mut &File, only_first: bool) -> io::Result<()> {
        file.seek(SeekFrom::Start(self.start))?;
        let mut buffer = vec![0; 1 << 20];
        let mut base = self.start;
        loop {
            let n = match file.read(&mut buffer) {
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            if n == 0 {
                self.end(base);
                self.shard(base);
                return Ok(());
            }
            self.look(&buffer[..n], base);
            base += n as u64;
            if only_first && !self.shards.is_empty() {
                return Ok(());
            }
        }
    }

    fn look(&mut self, text: &[u8], base: u64) {
        let mut from = 0;
        let other = if self.quotes { b'"' } else { b'\n' };
        for at in memchr::memchr2_iter(b'\n', other, text) {
            if text[at] == b'\n' {
                if self.quoted {
                    continue;
                }
                self.content = self.content || self.says(&text[from..at]);
                from = at + 1;
                self.end(base + at as u64 + 1);
                continue;
            }
            self.content = true;
            let here = base + at as u64;
            if self.quoted {
                self.quoted = false;
                self.closed = Some(here);
                continue;
            }
            let before = if at > 0 { text[at - 1] } else { self.last };
            // Elsewhere in a field a quote is a character like any other.
            self.quoted =
                matches!(before, b',' | b'\n' | b'\r') || (before == b'"' && self.closed == here.checked_sub(1));
        }
        self.content = self.content || self.says(&text[from..]);
        self.last = text.last().copied().unwrap_or(self.last);
    }

    fn says(&self, text: &[u8]) -> bool {
        if self.quotes { text.iter().any(|b| *b != b'\r') } else { text.iter().any(|b| !b.is_ascii_whitespace()) }
    }

    /// A record ends before byte `at`.
    fn end(&mut self, at: u64) {
        if std::mem::take(&mut self.content) {
            self.records += 1;
        }
        if self.records >= self.most || at - self.start >= SHARD_BYTES {
            self.shard(at);
        }
    }

    fn shard(&mut self, at: u64) {
        if self.records > 0 {
            self.shards.push(Shard { first: self.first, rows: self.records, at: At::Bytes(self.start..at) });
        }
        self.first += self.records;
        self.records = 0;
        self.start = at;
    }
}

/// The type in which a column of text that the model takes as `kind` goes on, where the output has types.
pub(crate) fn carried(kind: &ColumnType) -> DataType {
    match kind {
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Integer => DataType::Int32,
        ColumnType::Long => DataType::Int64,
        ColumnType::Float => DataType::Float32,
        ColumnType::Double => DataType::Float64,
        _ => DataType::Utf8,
    }
}

/// Texts as values of `kind`; the model has taken them as such already.
pub(crate) fn typed(texts: &StringArray, kind: &DataType) -> Option<ArrayRef> {
    let cells = || texts.iter().map(|t| t.map_or(Cell::Null, |t| Cell::written(t, false)));
    let number = |cell: Cell| match cell {
        Cell::Int(n) => Some(n as f64),
        Cell::Float(x) => Some(x),
        Cell::Bool(b) => Some(f64::from(u8::from(b))),
        Cell::Null | Cell::Text(_) | Cell::Json(_) => None,
    };
    let whole = |cell: Cell| match cell {
        Cell::Int(n) => Some(n),
        other => number(other).map(|x| x as i64),
    };
    Some(match kind {
        DataType::Boolean => Arc::new(cells().map(|c| number(c).map(|x| x != 0.0)).collect::<BooleanArray>()),
        DataType::Int32 => {
            Arc::new(cells().map(|c| whole(c).and_then(|n| i32::try_from(n).ok())).collect::<Int32Array>())
        }
        DataType::Int64 => Arc::new(cells().map(whole).collect::<Int64Array>()),
        DataType::Float32 => Arc::new(cells().map(|c| number(c).map(|x| x as f32)).collect::<Float32Array>()),
        DataType::Float64 => Arc::new(cells().map(number).collect::<Float64Array>()),
        _ => return None,
    })
}

/// Whether a text stands for a missing value.
pub(crate) fn missing(texts: &StringArray) -> bool {
    texts.null_count() > 0 || texts.iter().flatten().any(|t| matches!(Cell::written(t, true), Cell::Null))
}
