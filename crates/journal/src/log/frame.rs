//! Frames: written by the writer, read at recovery, by queries and by the sealer.

use super::StreamHeader;
use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::convert::fb_to_schema;
use arrow::ipc::reader::read_record_batch;
use arrow::ipc::root_as_message;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions};
use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

/// First bytes of a segment: magic and format version 1.
pub const MAGIC: [u8; 8] = *b"MSJL\x01\0\0\0";
/// Bytes before a frame's body.
pub const HEADER: usize = 16;
/// No frame is longer: a length above it is damage, not a reason to allocate.
const MAX_BODY: usize = 1 << 30;

const STREAM: u32 = 1;
const ROWS: u32 = 2;

fn padded(n: usize) -> usize {
    n.next_multiple_of(8)
}

fn crc(kind: u32, key: u32, body: &[u8]) -> u32 {
    let mut h = crc32fast::Hasher::new();
    h.update(&(body.len() as u32).to_le_bytes());
    h.update(&kind.to_le_bytes());
    h.update(&key.to_le_bytes());
    h.update(body);
    h.finalize()
}

/// Puts the header before the body that was written from `at + HEADER` on, and pads.
fn close(out: &mut Vec<u8>, at: usize, kind: u32, key: u32) {
    let body = at + HEADER;
    let len = out.len() - body;
    let sum = crc(kind, key, &out[body..]);
    for (i, word) in [len as u32, sum, kind, key].into_iter().enumerate() {
        out[at + i * 4..at + i * 4 + 4].copy_from_slice(&word.to_le_bytes());
    }
    out.resize(body + padded(len), 0);
}

fn options() -> Result<IpcWriteOptions, ArrowError> {
    IpcWriteOptions::try_new(8, false, arrow::ipc::MetadataVersion::V5)
}

/// Appends the frame that begins stream `key`.
///
/// # Errors
/// [`ArrowError`] when the header cannot be written as JSON.
pub fn push_stream(out: &mut Vec<u8>, key: u32, header: &StreamHeader, schema: &Schema) -> Result<(), ArrowError> {
    let at = out.len();
    let json = serde_json::to_vec(header).map_err(|e| ArrowError::ExternalError(Box::new(e)))?;
    let mut tracker = DictionaryTracker::new(true);
    let message =
        IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(schema, &mut tracker, &options()?);
    out.resize(at + HEADER, 0);
    out.extend_from_slice(&(json.len() as u32).to_le_bytes());
    out.extend_from_slice(&json);
    out.extend_from_slice(&message.ipc_message);
    close(out, at, STREAM, key);
    Ok(())
}

/// Appends a frame with the rows of `batch`.
///
/// # Errors
/// [`ArrowError`] when Arrow cannot encode the batch; nothing was appended then.
pub fn push_rows(out: &mut Vec<u8>, key: u32, batch: &RecordBatch) -> Result<(), ArrowError> {
    let mut tracker = DictionaryTracker::new(true);
    let (_dictionaries, encoded) = IpcDataGenerator::default().encode(
        batch,
        &mut tracker,
        &options()?,
        &mut arrow::ipc::writer::IpcWriteContext::default(),
    )?;
    let at = out.len();
    let message = &encoded.ipc_message;
    out.reserve(HEADER + 16 + message.len() + encoded.arrow_data.len());
    out.resize(at + HEADER, 0);
    out.extend_from_slice(&(message.len() as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(message);
    out.resize(at + HEADER + 8 + padded(message.len()), 0);
    out.extend_from_slice(&encoded.arrow_data);
    close(out, at, ROWS, key);
    Ok(())
}

/// One stream's rows.
#[derive(Debug, Clone)]
pub struct Rows {
    /// Which stream.
    pub header: Arc<StreamHeader>,
    /// The rows.
    pub batch: RecordBatch,
}

/// Reads a segment frame by frame.
#[derive(Debug)]
pub struct FrameReader<R> {
    from: R,
    streams: HashMap<u32, (Arc<StreamHeader>, SchemaRef)>,
    good: u64,
    frames: u64,
    ended: Option<&'static str>,
}

impl<R: Read> FrameReader<R> {
    /// Over the bytes of a whole segment, magic included.
    pub fn new(from: R) -> Self {
        Self { from, streams: HashMap::new(), good: 0, frames: 0, ended: None }
    }

    /// Bytes up to the end of the last whole frame.
    pub fn good(&self) -> u64 {
        self.good
    }

    /// Whole frames read.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Why reading stopped before the end of the input; `None` when it ended between frames.
    pub fn torn(&self) -> Option<&'static str> {
        self.ended
    }

    /// The next rows; `None` at the end or at the first frame that is not whole.
    pub fn next_rows(&mut self) -> Option<Rows> {
        while self.ended.is_none() {
            match self.next_frame() {
                Ok(Frame::Rows(rows)) => return Some(rows),
                Ok(Frame::Other) => {}
                Err(End::Clean) => return None,
                Err(End::Torn(why)) => self.ended = Some(why),
            }
        }
        None
    }

    fn next_frame(&mut self) -> Result<Frame, End> {
        if self.good == 0 {
            let mut magic = [0; 8];
            self.fill(&mut magic, "its first eight bytes are missing")?;
            if magic != MAGIC {
                return Err(End::Torn("it does not begin like a segment of this version"));
            }
            self.good = 8;
        }
        let mut head = [0; HEADER];
        self.fill(&mut head, "a frame header is incomplete")?;
        let word = |i: usize| u32::from_le_bytes([head[i * 4], head[i * 4 + 1], head[i * 4 + 2], head[i * 4 + 3]]);
        let (len, sum, kind, key) = (word(0) as usize, word(1), word(2), word(3));
        if len == 0 || len > MAX_BODY {
            return Err(End::Torn("a frame length is impossible"));
        }
        // Read in steps: a damaged length must not allocate more than there is.
        let mut body = Vec::new();
        let read = self.from.by_ref().take(padded(len) as u64).read_to_end(&mut body);
        if read.is_err() || body.len() < padded(len) {
            return Err(End::Torn("a frame is incomplete"));
        }
        // The checksum does not cover it, and a writer leaves it empty.
        if body.drain(len..).any(|b| b != 0) {
            return Err(End::Torn("the padding of a frame is not empty"));
        }
        if crc(kind, key, &body) != sum {
            return Err(End::Torn("a frame's checksum does not match"));
        }
        let frame = self.decode(kind, key, &body).ok_or(End::Torn("a frame cannot be decoded"))?;
        self.good += (HEADER + padded(len)) as u64;
        self.frames += 1;
        Ok(frame)
    }

    /// Fills `into`. Nothing at all left is a clean end, unless it is the magic that is missing.
    fn fill(&mut self, into: &mut [u8], torn: &'static str) -> Result<(), End> {
        let mut at = 0;
        while at < into.len() {
            match self.from.read(&mut into[at..]) {
                Ok(0) if at == 0 && self.good > 0 => return Err(End::Clean),
                Ok(0) => return Err(End::Torn(torn)),
                Ok(n) => at += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return Err(End::Torn("it cannot be read further")),
            }
        }
        Ok(())
    }

    /// `None` when the body is not what its kind says.
    fn decode(&mut self, kind: u32, key: u32, body: &[u8]) -> Option<Frame> {
        match kind {
            STREAM => {
                let (json, message) = split(body, 4)?;
                let header = serde_json::from_slice(json).ok()?;
                let schema = fb_to_schema(root_as_message(message).ok()?.header_as_schema()?);
                self.streams.insert(key, (Arc::new(header), Arc::new(schema)));
                Some(Frame::Other)
            }
            ROWS => {
                let (header, schema) = self.streams.get(&key)?;
                let (message, _) = split(body, 8)?;
                let data = 8 + padded(message.len());
                let message = root_as_message(message).ok()?;
                let (version, rows) = (message.version(), message.header_as_record_batch()?);
                if data > body.len() {
                    return None;
                }
                let buffer = Buffer::from(&body[data..]);
                super::fits::fits(&rows, buffer.len(), schema.fields().iter().map(|f| f.data_type()))?;
                let batch =
                    read_record_batch(&buffer, rows, Arc::clone(schema), &HashMap::new(), None, &version).ok()?;
                Some(Frame::Rows(Rows { header: Arc::clone(header), batch }))
            }
            // A newer binary may write kinds that this one does not know.
            _ => Some(Frame::Other),
        }
    }
}

/// The block whose u32 length stands first and which begins at `start`, and what follows it.
fn split(body: &[u8], start: usize) -> Option<(&[u8], &[u8])> {
    let (len, _) = body.split_first_chunk::<4>()?;
    let end = start.checked_add(u32::from_le_bytes(*len) as usize)?;
    Some((body.get(start..end)?, body.get(end..)?))
}

enum Frame {
    Rows(Rows),
    Other,
}

enum End {
    Clean,
    Torn(&'static str),
}

#[cfg(test)]
mod tests;
