//! The journal's log: what is read of a segment after anything happened to it.

use arbitrary::Arbitrary;
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use mainspring_journal::Kind;
use mainspring_journal::log::StreamHeader;
use mainspring_journal::log::frame::{FrameReader, HEADER, MAGIC, Rows, push_rows, push_stream};
use std::sync::Arc;

struct Read {
    rows: Vec<Rows>,
    good: usize,
    frames: u64,
    torn: Option<&'static str>,
}

fn read(bytes: &[u8]) -> Read {
    let mut reader = FrameReader::new(bytes);
    let rows = std::iter::from_fn(|| reader.next_rows()).collect();
    let good = usize::try_from(reader.good()).expect("it fits in memory");
    Read { rows, good, frames: reader.frames(), torn: reader.torn() }
}

/// What recovery relies on: cutting at the last whole frame leaves a segment that reads without a
/// fault and gives the same rows.
fn recoverable(bytes: &[u8]) -> Read {
    let first = read(bytes);
    assert!(first.good <= bytes.len());
    assert_eq!(first.torn.is_none(), first.good == bytes.len() && first.good > 0);
    if first.good > 0 {
        let kept = read(&bytes[..first.good]);
        assert_eq!((kept.good, kept.frames, kept.torn), (first.good, first.frames, None));
        assert_eq!(kept.rows.len(), first.rows.len());
        for (one, other) in kept.rows.iter().zip(&first.rows) {
            assert_eq!((&one.header, &one.batch), (&other.header, &other.batch));
        }
    }
    first
}

/// Any bytes as a segment; then the same bytes as the bodies of frames whose checksums are right, so
/// that what lies behind the checksum is reached as well.
pub fn frames(data: &[u8]) {
    recoverable(data);
    let mut segment = MAGIC.to_vec();
    let mut rest = data;
    while let Some(([kind, key, low, high], after)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(after.len());
        let (body, after) = after.split_at(length);
        rest = after;
        push_frame(&mut segment, u32::from(kind % 4), u32::from(key % 4), body);
    }
    let read = recoverable(&segment);
    // Whatever was taken for rows can be written and read again.
    for rows in &read.rows {
        let mut again = MAGIC.to_vec();
        push_stream(&mut again, 7, &rows.header, &rows.batch.schema()).expect("a schema that was read can be written");
        push_rows(&mut again, 7, &rows.batch).expect("rows that were read can be written");
        let again = recoverable(&again);
        assert_eq!(again.rows.len(), 1);
        assert_eq!((&again.rows[0].header, &again.rows[0].batch), (&rows.header, &rows.batch));
    }
}

fn push_frame(out: &mut Vec<u8>, kind: u32, key: u32, body: &[u8]) {
    let length = u32::try_from(body.len()).expect("bodies are short");
    let mut sum = crc32fast::Hasher::new();
    for word in [length, kind, key] {
        sum.update(&word.to_le_bytes());
    }
    sum.update(body);
    for word in [length, sum.finalize(), kind, key] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(body);
    out.resize(out.len().next_multiple_of(8), 0);
}

/// One row of a batch.
#[derive(Debug, Clone, Arbitrary)]
pub struct Row {
    text: Option<String>,
    whole: Option<i64>,
    number: f64,
}

/// A segment as the writer leaves it, and what happens to it then.
#[derive(Debug, Clone, Arbitrary)]
pub struct Damage {
    /// Batches, each with the stream that it goes to.
    batches: Vec<(u8, Vec<Row>)>,
    /// Bytes that are lost at the end.
    cut: u16,
    /// A byte that changes, counted from the start, and the bits that do.
    flip: Option<(u16, u8)>,
    /// Bytes that something else wrote behind the end.
    behind: Vec<u8>,
}

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: [(&str, ArrayRef, bool); 3] = [
        ("text", Arc::new(rows.iter().map(|r| r.text.as_deref()).collect::<StringArray>()), true),
        ("whole", Arc::new(rows.iter().map(|r| r.whole).collect::<Int64Array>()), true),
        // Not-a-number is not itself.
        (
            "number",
            Arc::new(rows.iter().map(|r| Some(r.number).filter(|x| !x.is_nan())).collect::<Float64Array>()),
            true,
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).expect("columns are of one length")
}

/// Whatever is damaged, every batch whose frame lies before the damage is read, and none after it.
pub fn damaged(damage: &Damage) {
    let mut segment = MAGIC.to_vec();
    // Where each frame ends, and how many batches are whole by then.
    let mut ends = vec![(segment.len(), 0)];
    let mut streams = [false; 3];
    for (i, (key, rows)) in damage.batches.iter().enumerate() {
        let (key, batch) = (key % 3, batch(rows));
        if !std::mem::replace(&mut streams[usize::from(key)], true) {
            let header = StreamHeader {
                tenant: "default".into(),
                kind: Kind::Prediction,
                deployment: Some(format!("d{key}").into()),
                fingerprint: 7,
            };
            push_stream(&mut segment, u32::from(key), &header, &batch.schema()).expect("it can be written");
            ends.push((segment.len(), i));
        }
        push_rows(&mut segment, u32::from(key), &batch).expect("it can be written");
        ends.push((segment.len(), i + 1));
    }
    let whole = segment.clone();
    segment.truncate(whole.len() - usize::from(damage.cut).min(whole.len()));
    if let Some((at, bits)) = damage.flip
        && bits != 0
        && let Some(byte) = segment.get_mut(usize::from(at))
    {
        *byte ^= bits;
    }
    segment.extend_from_slice(&damage.behind);
    let same = whole.iter().zip(&segment).take_while(|(a, b)| a == b).count();
    let kept = ends.iter().filter(|(end, _)| *end <= same).map(|(_, batches)| *batches).max().unwrap_or(0);
    let read = recoverable(&segment);
    // Bytes behind the damage may be anything, even a frame; its checksum makes that unlikely.
    assert_eq!(read.rows.len(), kept);
    for (rows, (_, wrote)) in read.rows.iter().zip(&damage.batches) {
        assert_eq!(rows.batch, batch(wrote));
    }
}

/// A segment as the writer leaves it, and bytes of its bodies that somebody changed who knows how to make a
/// checksum.
#[derive(Debug, Clone, Arbitrary)]
pub struct Forgery {
    batches: Vec<Vec<Row>>,
    /// Of which batch, where in the body of its frame, and to what.
    changes: Vec<(u8, u16, u8)>,
}

/// Whatever a frame of rows says whose checksum is right, it is read or recovery stops at it.
pub fn forged(forgery: &Forgery) {
    let mut frames = vec![Vec::new()];
    let header = StreamHeader { tenant: "default".into(), kind: Kind::Prediction, deployment: None, fingerprint: 7 };
    push_stream(&mut frames[0], 0, &header, &batch(&[]).schema()).expect("it can be written");
    for rows in &forgery.batches {
        let mut frame = Vec::new();
        push_rows(&mut frame, 0, &batch(rows)).expect("it can be written");
        frames.push(frame);
    }
    let mut segment = MAGIC.to_vec();
    for (i, frame) in frames.iter().enumerate() {
        let mut body = frame[HEADER..body_end(frame)].to_vec();
        for (_, at, to) in forgery.changes.iter().filter(|(of, ..)| i > 0 && usize::from(*of) == i - 1) {
            let at = usize::from(*at) % body.len().max(1);
            body[at] = *to;
        }
        push_frame(&mut segment, if i == 0 { 1 } else { 2 }, 0, &body);
    }
    recoverable(&segment);
}

/// Where the body of the frame at the start of `bytes` ends.
fn body_end(bytes: &[u8]) -> usize {
    let length = bytes.first_chunk::<4>().map_or(0, |b| u32::from_le_bytes(*b));
    HEADER + length as usize
}
